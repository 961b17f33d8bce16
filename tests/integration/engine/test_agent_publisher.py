"""What the agent does with Descriptions: pulls, restores what was changed, reports (spec/03 §8.1, §10, §11)."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
from agent_site import AgentSite
from clusternet_engine.kube.errors import AlreadyExists, NotFound
from clusternet_engine.kube.resources import CLUSTER_ROLE_BINDINGS, NAMESPACES, Object, Resource
from deploying import Deployed, exists, is_gone
from hub_site import eventually
from publishing import FakeCluster, config_map, deployment, native_namespace

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", namespaced=True)
ALL = "AppPusher=true,Recovery=true,Predictor=true"


@pytest.fixture
async def pulled(hub: Any, site: AgentSite) -> AsyncIterator[Callable[..., Any]]:
    """Starts an agent whose cluster is registered; returns the cluster."""

    async def start(*flags: str) -> FakeCluster:
        await site.prepare()
        await grant(site)
        site.start(*flags)
        await site.is_ready()
        cluster = await site.managed_cluster()
        metadata = cluster["metadata"]
        return FakeCluster(metadata["name"], metadata["namespace"], cluster["spec"]["clusterId"])

    yield start
    with suppress(NotFound):
        await site.child.delete(CLUSTER_ROLE_BINDINGS, site.name)


async def grant(site: AgentSite) -> None:
    """Let the deployer's account do everything, as the role `agent` does."""
    body = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": site.name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "clusternet-app-deployer", "namespace": site.namespace}],
    }
    with suppress(AlreadyExists):
        await site.child.create(CLUSTER_ROLE_BINDINGS, body)


@pytest.fixture
async def namespace(site: AgentSite) -> AsyncIterator[str]:
    name = f"app-{random.randbytes(4).hex()}"
    yield name
    with suppress(NotFound):
        await site.child.delete(NAMESPACES, name)


async def test_a_pulling_agent_deploys_and_removes(pulled, site, namespace):
    cluster = await pulled("--cluster-sync-mode=Pull")
    deployed = Deployed(site.parent, cluster)
    await deployed.create(deployment("web", namespace), native_namespace(namespace))
    await deployed.reaches("Success")
    await exists(site.child, DEPLOYMENTS, "web", namespace)
    await deployed.change(native_namespace(namespace))
    await deployed.reaches("Success")
    await is_gone(site.child, DEPLOYMENTS, "web", namespace)
    await deployed.delete()
    await deployed.gone()
    await is_gone(site.child, NAMESPACES, namespace)


async def test_c3_7_c3_8_what_is_changed_or_deleted_by_hand_comes_back(pulled, site, namespace):
    cluster = await pulled("--cluster-sync-mode=Pull", f"--feature-gates={ALL}", "--predictor-port=0")
    deployed = Deployed(site.parent, cluster)
    await deployed.create(
        native_namespace(namespace), config_map("same", namespace, a="1"), deployment("same", namespace)
    )
    await deployed.reaches("Success")
    await eventually(lambda: told(deployed, {"ConfigMap", "Deployment", "Namespace"}), 15, "manifestStatuses")

    patch = {"metadata": {"labels": {"mine": "stays"}}, "data": {"a": "2", "b": "stays"}}
    await site.child.patch(CONFIG_MAPS, "same", patch, namespace)

    async def restored() -> Object | None:
        live = await site.child.get(CONFIG_MAPS, "same", namespace)
        return live if live["data"]["a"] == "1" else None

    live = await eventually(restored, 10, "the value is restored")
    assert live["data"] == {"a": "1", "b": "stays"}
    assert live["metadata"]["labels"]["mine"] == "stays"

    before = await site.child.get(DEPLOYMENTS, "same", namespace)
    await site.child.delete(DEPLOYMENTS, "same", namespace)

    async def back() -> bool:
        return (await site.child.get(DEPLOYMENTS, "same", namespace))["metadata"]["uid"] != before["metadata"]["uid"]

    await eventually(back, 10, "the Deployment is back")
    await deployed.delete()
    await deployed.gone()
    await is_gone(site.child, NAMESPACES, namespace)
    await is_gone(site.child, DEPLOYMENTS, "same", namespace)


async def told(deployed: Deployed, kinds: set[str]) -> bool:
    """Whether `manifestStatuses` has these kinds, and the Deployment its own status."""
    entries = ((await deployed.get()).get("status") or {}).get("manifestStatuses") or []
    statuses = {entry["kind"]: entry.get("observedStatus") for entry in entries}
    return set(statuses) == kinds and bool(statuses.get("Deployment"))
