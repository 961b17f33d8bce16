"""This engine's hub with Clusternet's own agent, of which a stand-in does what that was seen to do."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from random import randbytes

import pytest
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import NAMESPACES, Object, Resource
from clusternets_own import AGENT, ClusternetAgent
from deploying import exists, hand_over, is_gone
from hub_site import eventually
from publishing import FakeCluster, config_map, feed_of, localization, native_namespace, override, subscription
from publishing_site import PublishingSite

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
KINDS = (CONFIG_MAPS, NAMESPACES)


@pytest.fixture
async def agent_child(child: Client) -> AsyncIterator[Client]:
    """The child as Clusternet's agent writes to it."""
    async with Client(child.config, qps=0, user_agent=f"{AGENT}/v1") as client:
        yield client


@pytest.fixture
async def namespace(child: Client) -> AsyncIterator[str]:
    """A namespace of the child."""
    name = f"app-{randbytes(4).hex()}"
    await child.create(NAMESPACES, native_namespace(name))
    yield name
    with suppress(NotFound):
        await child.delete(NAMESPACES, name)


@pytest.fixture
async def make_cluster(publishing: PublishingSite, parent: Client, child: Client) -> Callable[..., FakeCluster]:
    """Registers the child."""

    async def make(sync_mode: str, *, app_pusher: bool) -> FakeCluster:
        status = {"appPusher": app_pusher, "useSocket": False, "apiserverURL": child.config.server}
        cluster = await publishing.cluster(sync_mode=sync_mode, status=status)
        await hand_over(parent, child, cluster)
        return cluster

    return make


async def published(publishing: PublishingSite, *feeds: Object) -> Object:
    return await publishing.make(*feeds, subscription(publishing.name, feeds, clusters={"site": publishing.name}))


@pytest.mark.parametrize(("sync_mode", "app_pusher"), [("Pull", False), ("Dual", False)])
async def test_what_leaves_a_subscription_leaves_a_cluster_whose_agent_never_looks_back(
    publishing, parent, child, agent_child, namespace, make_cluster, sync_mode, app_pusher
):
    cluster = await make_cluster(sync_mode, app_pusher=app_pusher)
    stays, goes, foreign = (config_map(name, namespace, a="1") for name in ("stays", "goes", "foreign"))
    wanted = await published(publishing, stays, goes, foreign)
    async with ClusternetAgent(parent, agent_child, cluster.namespace, *KINDS).works():
        for one in (stays, goes, foreign):
            await exists(child, CONFIG_MAPS, one["metadata"]["name"], namespace)
        theirs = {"metadata": {"annotations": {"apps.clusternet.io/owned-by-description": "another.one-generic"}}}
        await child.patch(CONFIG_MAPS, "foreign", theirs, namespace)
        await publishing.change(wanted, {"spec": {"feeds": [feed_of(stays)]}})
        await is_gone(child, CONFIG_MAPS, "goes", namespace)
        description = await publishing.description(cluster)
        events = await publishing.events_when(description, "SuccessfullyPruningFeed")
        assert "ConfigMap" in events["SuccessfullyPruningFeed"]
    await child.get(CONFIG_MAPS, "stays", namespace)
    await child.get(CONFIG_MAPS, "foreign", namespace)


async def test_what_another_subscription_publishes_too_stays(
    publishing, parent, child, agent_child, namespace, make_cluster
):
    cluster = await make_cluster("Pull", app_pusher=False)
    shared, other, stays = (config_map(name, namespace, a="1") for name in ("shared", "other", "stays"))
    first = await published(publishing, shared, other, stays)
    clusters = {"site": publishing.name}
    await publishing.make(subscription(f"{publishing.name}-2", [shared], clusters=clusters))
    async with ClusternetAgent(parent, agent_child, cluster.namespace, *KINDS).works():
        await exists(child, CONFIG_MAPS, "shared", namespace)
        await exists(child, CONFIG_MAPS, "other", namespace)
        await publishing.change(first, {"spec": {"feeds": [feed_of(stays)]}})
        await is_gone(child, CONFIG_MAPS, "other", namespace)
        await child.get(CONFIG_MAPS, "shared", namespace)


async def test_a_field_of_an_override_goes_with_it_although_the_agent_has_written_it_too(
    publishing, parent, child, agent_child, namespace, make_cluster
):
    cluster = await make_cluster("Dual", app_pusher=True)
    settings = config_map("settings", namespace, a="1")
    await published(publishing, settings)
    agent = ClusternetAgent(parent, agent_child, cluster.namespace, *KINDS, deploys=False)
    async with agent.works():
        await exists(child, CONFIG_MAPS, "settings", namespace)
        for _ in range(4):
            more = await publishing.make(
                localization("extra", cluster.namespace, settings, [override("MergePatch", {"data": {"extra": "2"}})])
            )
            await data_becomes(child, namespace, {"a": "1", "extra": "2"})
            await hub_has_deployed(publishing, cluster)
            await agent_has_written(child, namespace)
            await publishing.remove(more)
            await data_becomes(child, namespace, {"a": "1"})


async def data_becomes(child: Client, namespace: str, data: Object) -> None:
    async def same() -> bool:
        return (await child.get(CONFIG_MAPS, "settings", namespace))["data"] == data

    await eventually(same, why=f"the ConfigMap has {data}")


async def agent_has_written(child: Client, namespace: str) -> None:
    """Make the object differ once, for the agent to restore, and wait until it has."""
    forgotten = {"annotations": {"clusternet.io/last-applied-configuration": "{}"}}
    patch = {"metadata": forgotten, "data": {"extra": None}}
    await child.patch(CONFIG_MAPS, "settings", patch, namespace)

    async def written() -> bool:
        managers = (await child.get(CONFIG_MAPS, "settings", namespace))["metadata"]["managedFields"]
        return any(entry["manager"] == AGENT and "f:data" in entry["fieldsV1"] for entry in managers)

    await eventually(written, why="the agent has restored the ConfigMap")


async def hub_has_deployed(publishing: PublishingSite, cluster: FakeCluster) -> None:
    async def deployed() -> bool:
        description = await publishing.description(cluster)
        status = description.get("status") or {}
        now = status.get("observedGeneration") == description["metadata"]["generation"]
        return now and status.get("phase") == "Success"

    await eventually(deployed, why="the hub has deployed the Description")
