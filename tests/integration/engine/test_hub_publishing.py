"""From a Subscription to its Descriptions: Bases, rendering, overrides, deletion; clusters without agents."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from clusternet_engine.kube.client import Client
from hub_site import HubProcess
from publishing import (
    config_map,
    deployment,
    native_namespace,
    subscription,
)
from publishing_site import PublishingSite

GATES = "--feature-gates=Deployer=true,FeedInventory=true,FeedInUseProtection=true"


@pytest.fixture(scope="module")
def hub(hub_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub that publishes, for all tests of the module."""
    process = HubProcess(hub_kubeconfig, tmp_path_factory.mktemp("hub") / "hub.log", GATES)
    yield process
    process.end()


@pytest.fixture
async def site(hub: HubProcess, parent: Client) -> AsyncIterator[PublishingSite]:
    """What one test publishes; gone at its end."""
    site = PublishingSite(parent)
    yield site
    await site.clean_up()


async def test_subscription_becomes_base_and_description(site: PublishingSite) -> None:
    one, two = await site.cluster(), await site.cluster()
    objects = (native_namespace(site.name), config_map("settings", site.name, a="1"), deployment("web", site.name))
    await site.make(*objects)
    made = await site.make(subscription(site.name, objects, clusters={"site": site.name}))
    for cluster in (one, two):
        rendered = await site.rendered(cluster)
        assert [obj["kind"] for obj in rendered] == ["Namespace", "ConfigMap", "Deployment"]
        assert rendered[1]["data"] == {"a": "1"}
        assert rendered[1]["metadata"]["labels"] == {"clusternet.io/created-by": "clusternet-hub"}
