"""Native objects pushed to child clusters (spec/03 §8.2, §9); Descriptions are made by hand."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from random import randbytes

import pytest
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import NAMESPACES, Resource
from clusternet_lab import Lab
from deploying import Deployed, is_gone, pushed_cluster
from hub_site import HubProcess
from publishing import FakeCluster, config_map, deployment, native_namespace, remove_cluster

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", namespaced=True)
OWNED = "apps.clusternet.io/owned-by-description"
LAST = "clusternet.io/last-applied-configuration"


@pytest.fixture(scope="module")
def hub(hub_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub that does nothing but push."""
    log = tmp_path_factory.mktemp("hub") / "hub.log"
    process = HubProcess(hub_kubeconfig, log, "--controllers=description", "--feature-gates=Deployer=true")
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
async def namespace(child: Client) -> AsyncIterator[str]:
    """The name of a namespace that a test may publish."""
    name = f"app-{randbytes(4).hex()}"
    yield name
    with suppress(NotFound):
        await child.delete(NAMESPACES, name)


async def test_objects_come_and_go_with_their_description(parent, child, cluster, namespace):
    deployed = Deployed(parent, cluster)
    await deployed.create(
        deployment("web", namespace), config_map("settings", namespace, a="1"), native_namespace(namespace)
    )
    status = await deployed.reaches("Success")
    assert status["reason"] == ""
    live = await child.get(DEPLOYMENTS, "web", namespace)
    annotations = live["metadata"]["annotations"]
    assert annotations[OWNED] == f"{cluster.namespace}.{deployed.name}"
    applied = json.loads(annotations[LAST])
    assert applied["metadata"]["annotations"] == {OWNED: annotations[OWNED]}
    assert applied["spec"] == deployment("web", namespace)["spec"]

    await deployed.change(config_map("settings", namespace, b="2"), native_namespace(namespace))
    await deployed.reaches("Success")
    await is_gone(child, DEPLOYMENTS, "web", namespace)
    assert (await child.get(CONFIG_MAPS, "settings", namespace))["data"] == {"b": "2"}

    await deployed.delete()
    await deployed.gone()
    await is_gone(child, CONFIG_MAPS, "settings", namespace)
    await is_gone(child, NAMESPACES, namespace)
    assert {"SuccessfullyDeployed", "SuccessfullyPruningFeed"} <= await deployed.events()
