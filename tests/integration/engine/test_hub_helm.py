"""HelmCharts looked for and HelmReleases pushed to child clusters (spec/03 §1.2, §8.3); releases are made by hand."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from charts import ChartServer, pack
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import HELM_RELEASES, NAMESPACES, SECRETS, Object, Resource
from clusternet_lab import Lab
from deploying import encode, exists, is_gone, pushed_cluster
from hub_site import HubProcess, eventually
from publishing import FakeCluster, remove_cluster

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
FINALIZER = "apps.clusternet.io/finalizer"


@pytest.fixture(scope="module")
def charts() -> Iterator[ChartServer]:
    with ChartServer() as server:
        server.add_example("hello", "1.0.0", "1.1.0", "2.0.0-rc1")
        server.add_example("mysql")
        library = {"apiVersion": "v2", "name": "library", "version": "1.0.0", "type": "library"}
        server.add(library, pack(library, {"templates/_none.tpl": b""}))
        bad = {"apiVersion": "v2", "name": "bad", "version": "1.0.0"}
        server.add(bad, pack(bad, {"templates/bad.yaml": b"apiVersion: v1\nkind: Nonsense\nmetadata: {name: x}\n"}))
        yield server


@pytest.fixture(scope="module")
def private() -> Iterator[ChartServer]:
    with ChartServer(login=("reader", "s3cret-word")) as server:
        server.add_example("hello", "1.0.0")
        yield server


@pytest.fixture(scope="module")
def hub(hub_kubeconfig: Path, helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub that only looks for charts and pushes."""
    log = tmp_path_factory.mktemp("hub") / "hub.log"
    flags = ("--controllers=description,helmchart", "--feature-gates=Deployer=true", f"--helm-binary={helm}")
    process = HubProcess(hub_kubeconfig, log, *flags)
    yield process
    process.end()


@pytest.fixture
async def child(lab: Lab) -> AsyncIterator[Client]:
    async with Client(ClusterConfig.from_kubeconfig(lab.cluster("child1").kubeconfig), qps=0) as client:
        yield client


@pytest.fixture
async def cluster(hub: HubProcess, parent: Client, child: Client) -> AsyncIterator[FakeCluster]:
    made = await pushed_cluster(parent, child)
    yield made
    await remove_cluster(parent, made)


@pytest.fixture
async def target(child: Client) -> AsyncIterator[str]:
    """A namespace for releases."""
    name = f"helm-{random.randbytes(4).hex()}"
    yield name
    with suppress(NotFound):
        await child.delete(NAMESPACES, name)


class Release:
    """A HelmRelease as the hub would make it."""

    def __init__(self, parent: Client, cluster: FakeCluster, name: str = "") -> None:
        self.parent = parent
        self.namespace = cluster.namespace
        self.release = f"r-{random.randbytes(3).hex()}"
        self.name = name or f"b-helm-default-{self.release}"

    async def create(self, values: Object | None = None, **spec: Any) -> Object:
        body = {
            "apiVersion": HELM_RELEASES.api_version,
            "kind": HELM_RELEASES.kind,
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "finalizers": [FINALIZER],
                "labels": {"apps.clusternet.io/config.name": "b-helm"},
            },
            "spec": {"releaseName": self.release, "overrides": encode(values) if values else "IA==", **spec},
        }
        return await self.parent.create(HELM_RELEASES, body)

    async def change(self, **spec: Any) -> None:
        await self.parent.patch(HELM_RELEASES, self.name, {"spec": spec}, self.namespace)

    async def get(self) -> Object:
        return await self.parent.get(HELM_RELEASES, self.name, self.namespace)

    async def reaches(self, phase: str, timeout: float = 60.0) -> Object:
        async def reached() -> Object | None:
            found = await self.get()
            status = found.get("status") or {}
            current = status.get("observedGeneration") == found["metadata"]["generation"]
            return status if current and status.get("phase") == phase else None

        status = await eventually(reached, timeout, f"{self.name} is {phase}")
        assert status is not None
        return status

    async def delete(self) -> None:
        await self.parent.delete(HELM_RELEASES, self.name, self.namespace)
        await is_gone(self.parent, HELM_RELEASES, self.name, self.namespace)


async def test_a_release_is_installed_upgraded_and_uninstalled(parent, child, cluster, charts, target):
    release = Release(parent, cluster)
    await release.create({"greeting": "moin"}, repo=charts.repo, chart="hello", version="1.0.0", targetNamespace=target)
    status = await release.reaches("deployed")
    assert status["version"] == 1
    assert status["notes"] == f"{release.release} says moin.\n"
    assert status["firstDeployed"].endswith("UTC")
    live = await exists(child, CONFIG_MAPS, release.release, target)
    assert live["data"] == {"greeting": "moin", "version": "1.0.0"}

    await release.change(version="~1.1", overrides=encode({"greeting": "hi"}))
    status = await release.reaches("deployed")
    assert status["version"] == 2
    assert (await child.get(CONFIG_MAPS, release.release, target))["data"] == {"greeting": "hi", "version": "1.1.0"}

    await release.delete()
    await is_gone(child, CONFIG_MAPS, release.release, target)
    records = await child.list(SECRETS, target, label_selector="owner=helm")
    assert not records.items
