"""The shadow API as its users meet it: through the parent's API server, with kubectl and by plain requests (spec/04 §8)."""

import asyncio
import json
import subprocess
import sys
import uuid

import orjson
import pytest
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import MANIFESTS
from hub_site import HubProcess, eventually, install_api_services, remove_api_services

RESERVED = "clusternet-reserved"
API = "/apis/shadow/v1alpha1"


@pytest.fixture(scope="module")
def shadow_hub(hub_kubeconfig, lab, tmp_path_factory):
    """A hub that serves the shadow API through the parent's API server."""
    port = lab.cluster("parent").engine_port
    log = tmp_path_factory.mktemp("hub") / "hub.log"
    hub = HubProcess(
        hub_kubeconfig,
        log,
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--feature-gates=ShadowAPI=true,Deployer=true,FeedInUseProtection=true",
    )

    async def as_admin(work):
        async with Client(ClusterConfig.from_kubeconfig(lab.cluster("parent").kubeconfig), qps=0) as admin:
            await work(admin, port)

    asyncio.run(as_admin(install_api_services))
    yield hub
    asyncio.run(as_admin(remove_api_services))
    hub.end()


class ShadowClient:
    """Plain requests to the shadow API, in a namespace of their own that the parent doesn't have."""

    def __init__(self, client):
        self.client = client
        self.namespace = f"t-{uuid.uuid4().hex[:8]}"

    def path(self, plural, name=None, *, namespaced=True):
        scope = f"/namespaces/{self.namespace}" if namespaced else ""
        return f"{API}{scope}/{plural}" + (f"/{name}" if name else "")

    async def ask(self, method, path, body=None, content_type=None, **query):
        headers = {"Content-Type": content_type} if content_type else {}
        data = None if body is None else orjson.dumps(body)
        if content_type:
            session = self.client._session
            async with session.request(
                method, f"{self.client.config.server}{path}", params=query, data=data, headers=headers
            ) as answer:
                return answer.status, orjson.loads(await answer.read()), answer.headers
        answer = await self.client.raw(method, path, params=query, body=data)
        return answer.status, orjson.loads(answer.body), answer.headers

    async def create(self, plural, obj, **query):
        return await self.ask("POST", self.path(plural), obj, **query)

    async def manifest(self, plural, name):
        return await self.client.get(MANIFESTS, f"{plural}.{self.namespace}.{name}", RESERVED)


@pytest.fixture
async def shadow(shadow_hub, parent):
    """A user of the shadow API; what they made is gone afterwards."""
    one = ShadowClient(parent)
    yield one
    for selector in (one.namespace,):
        found = await parent.list(MANIFESTS, RESERVED, label_selector=f"apps.clusternet.io/config.namespace={selector}")
        for manifest in found.items:
            await parent.delete(MANIFESTS, manifest["metadata"]["name"], RESERVED)


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name="web", replicas=3):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "img:1"}]},
            },
        },
    }


async def test_create_fills_in_defaults_and_keeps_a_manifest(shadow):
    status, body, _ = await shadow.create("deployments", deployment())
    assert status == 201, body
    assert body["spec"]["progressDeadlineSeconds"] == 600
    manifest = await shadow.manifest("deployments", "web")
    assert manifest["metadata"]["labels"] == {
        "app": "web",
        "apps.clusternet.io/config.group": "apps",
        "apps.clusternet.io/config.kind": "Deployment",
        "apps.clusternet.io/config.name": "web",
        "apps.clusternet.io/config.namespace": shadow.namespace,
        "apps.clusternet.io/config.version": "v1",
        "clusternet.io/created-by": "clusternet-hub",
    }
    assert set(manifest["template"]) == {"apiVersion", "kind", "metadata", "spec"}
    assert manifest["template"]["metadata"] == {
        "name": "web",
        "namespace": shadow.namespace,
        "labels": {"app": "web", "clusternet.io/created-by": "clusternet-hub"},
    }
