"""Publishing while a cache of the parent is old, as after watches that were cut: what was decided by it is mended."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from random import randbytes
from typing import Any

import pytest
from clusternet_engine.hub.bases import Bases
from clusternet_engine.hub.caches import Caches
from clusternet_engine.hub.inventory import Inventory
from clusternet_engine.hub.settings import Settings
from clusternet_engine.hub.subscriptions import Subscriptions
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import (
    BASES,
    DESCRIPTIONS,
    FEED_INVENTORIES,
    LOCALIZATIONS,
    MANIFESTS,
    SUBSCRIPTIONS,
    Object,
)
from clusternet_engine.model import constants as names
from clusternet_engine.model.bases import build_base
from deploying import is_gone
from hub_site import eventually
from prometheus_client import REGISTRY
from publishing import (
    FakeCluster,
    bind,
    config_map,
    deployment,
    fake_cluster,
    feed_of,
    localization,
    manifest_of,
    override,
    remove_cluster,
    subscription,
)

pytestmark = pytest.mark.usefixtures("hub_kubeconfig")

SETTINGS = Settings(
    controllers=frozenset(),
    workers=2,
    system_namespace="clusternet-system",
    reserved_namespace=names.RESERVED_NAMESPACE,
    gates={"Deployer": True, "FeedInventory": True},
)


class Hub:
    """One controller of a hub over caches of which each can be held up."""

    def __init__(self, client: Client, tasks: asyncio.TaskGroup) -> None:
        self.client = client
        self.caches = Caches(client, reserved_namespace=names.RESERVED_NAMESPACE)
        self._tasks = tasks
        self._running: dict[int, asyncio.Task[None]] = {}

    async def start(self, make: Callable[..., Any]) -> None:
        controller = make(self.client, self.caches, EventRecorder(self.client, "test"), SETTINGS)
        informers = [one for one in vars(self.caches).values() if isinstance(one, Informer)]
        for informer in informers:
            self.resume(informer)
        await asyncio.gather(*(informer.wait_synced(30) for informer in informers))
        self._running[0] = self._tasks.create_task(controller.run())

    async def hold(self, informer: Informer) -> None:
        task = self._running.pop(id(informer))
        task.cancel()
        await asyncio.wait([task])

    def resume(self, informer: Informer) -> None:
        self._running[id(informer)] = self._tasks.create_task(informer.run())

    def stop(self) -> None:
        for task in self._running.values():
            task.cancel()


@asynccontextmanager
async def hub_of(client: Client, make: Callable[..., Any]) -> AsyncIterator[Hub]:
    async with asyncio.TaskGroup() as tasks:
        hub = Hub(client, tasks)
        await hub.start(make)
        try:
            yield hub
        finally:
            hub.stop()


@pytest.fixture
async def cluster(parent: Client) -> AsyncIterator[FakeCluster]:
    made = await fake_cluster(parent, sync_mode="Pull")
    yield made
    for resource in (BASES, DESCRIPTIONS):
        for obj in (await parent.list(resource, made.namespace)).items:
            with suppress(NotFound):
                name = obj["metadata"]["name"]
                await parent.delete(resource, name, made.namespace)
                await parent.patch(resource, name, {"metadata": {"finalizers": None}}, made.namespace)
    for wish in (await parent.list(SUBSCRIPTIONS, "default")).items:
        if made.binding in ((wish.get("status") or {}).get("bindingClusters") or ()):
            await parent.delete(SUBSCRIPTIONS, wish["metadata"]["name"], "default")
    await remove_cluster(parent, made)


@pytest.fixture
async def manifest(parent: Client, request: pytest.FixtureRequest) -> AsyncIterator[Object]:
    """The Manifest of a native object."""
    make = getattr(request, "param", config_map)
    made = await parent.create(MANIFESTS, manifest_of(make(f"lag-{randbytes(4).hex()}")))
    yield {**made, "apiVersion": MANIFESTS.api_version, "kind": MANIFESTS.kind}
    await parent.delete(MANIFESTS, made["metadata"]["name"], names.RESERVED_NAMESPACE)


async def looked(controller: str, change: Awaitable[Any], cached: Callable[[], Awaitable[bool]]) -> None:
    """Change something and wait until a cache has that and the controller has looked at it."""
    before = looks(controller)
    await change
    await eventually(cached, why=f"a cache of {controller} has the news")

    async def again() -> bool:
        return looks(controller) > before

    await eventually(again, why=f"{controller} has looked")


def looks(controller: str) -> float:
    labels = {"controller": controller, "result": "success"}
    return REGISTRY.get_sample_value("clusternet_reconcile_total", labels) or 0.0


async def changed(hub: Hub, manifest: Object, controller: str, template: Object) -> None:
    """Change a Manifest and wait until the controller has looked at that."""
    name = manifest["metadata"]["name"]
    change = hub.client.patch(MANIFESTS, name, {"template": template}, names.RESERVED_NAMESPACE)

    async def cached() -> bool:
        found = hub.caches.manifests.get(name, names.RESERVED_NAMESPACE)
        return found is not None and all(found["template"].get(key) == value for key, value in template.items())

    await looked(controller, change, cached)


def version(obj: Object) -> str:
    return str(obj["metadata"]["resourceVersion"])


async def made_base(parent: Client, cluster: FakeCluster, feed: Object) -> Object:
    """Make a Base, and the Subscription that asks for it."""
    name = f"b-{randbytes(4).hex()}"
    body = subscription(name, [feed], schedulerName="mine")
    wish = {**body, **await parent.create(SUBSCRIPTIONS, body)}
    await bind(parent, wish, [cluster])
    base = build_base(wish, name, cluster.namespace, {})
    del base["metadata"]["finalizers"]
    return {**base, **await parent.create(BASES, base)}


async def test_a_change_that_was_taken_back_too_early_is_taken_back_later(parent, cluster, manifest):
    base = await made_base(parent, cluster, feed_of(manifest["template"]))
    name = f"{base['metadata']['name']}-generic"

    async def deployed(value: str) -> bool:
        [raw] = (await parent.get(DESCRIPTIONS, name, cluster.namespace))["spec"]["raw"]
        return json.loads(base64.b64decode(raw)).get("data", {}).get("a") == value

    async with hub_of(parent, Bases) as hub:
        await changed(hub, manifest, "base", {"data": {"a": "1"}})
        await eventually(lambda: deployed("1"), 15, "the first version")

        async def cached() -> bool:
            found = hub.caches.descriptions.get(name, cluster.namespace)
            return found is not None and version(found) == version(
                await parent.get(DESCRIPTIONS, name, cluster.namespace)
            )

        await eventually(cached, why="the cache has the Description")
        await hub.hold(hub.caches.descriptions)
        await changed(hub, manifest, "base", {"data": {"a": "2"}})
        await eventually(lambda: deployed("2"), 15, "the second version")
        await changed(hub, manifest, "base", {"data": {"a": "1"}})
        assert await deployed("2"), "the hub believes that nothing has changed"
        hub.resume(hub.caches.descriptions)
        await eventually(lambda: deployed("1"), 15, "the first version again")


@pytest.mark.parametrize("manifest", [deployment], indirect=True)
async def test_an_inventory_that_was_taken_back_too_early_is_taken_back_later(parent, manifest):
    subs = await parent.create(
        SUBSCRIPTIONS,
        subscription(f"lag-{randbytes(4).hex()}", [manifest["template"]], schedulingStrategy=names.DIVIDING),
    )
    name, template = subs["metadata"]["name"], manifest["template"]

    async def counted(number: int) -> bool:
        [feed] = (await parent.get(FEED_INVENTORIES, name, "default"))["spec"]["feeds"]
        return bool(feed["desiredReplicas"] == number)

    def replicas(number: int) -> Object:
        return {"spec": {**template["spec"], "replicas": number}}

    async with hub_of(parent, Inventory) as hub:
        await eventually(lambda: counted(1), 15, "the first version")

        async def cached() -> bool:
            return hub.caches.inventories.get(name, "default") is not None

        await eventually(cached, why="the cache has the FeedInventory")
        await hub.hold(hub.caches.inventories)
        await changed(hub, manifest, "feedinventory", replicas(2))
        await eventually(lambda: counted(2), 15, "the second version")
        await changed(hub, manifest, "feedinventory", replicas(1))
        hub.resume(hub.caches.inventories)
        await eventually(lambda: counted(1), 15, "the first version again")
    await parent.delete(SUBSCRIPTIONS, name, "default")


async def test_a_problem_that_has_gone_is_not_told_for_ever(parent, cluster, manifest):
    base = await made_base(parent, cluster, feed_of(manifest["template"]))
    name = base["metadata"]["name"]
    wrong = [override("JSONPatch", [{"op": "test", "path": "/kind", "value": "Secret"}])]
    right = [override("JSONPatch", [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}])]
    local = localization(name, cluster.namespace, manifest["template"], right)

    async def noted() -> str | None:
        annotations = (await parent.get(BASES, name, cluster.namespace))["metadata"].get("annotations") or {}
        return annotations.get(names.RENDERING_PROBLEMS_ANNOTATION)

    async def overridden(hub: Hub, overrides: list[Object]) -> None:
        change = parent.patch(LOCALIZATIONS, name, {"spec": {"overrides": overrides}}, cluster.namespace)

        async def cached() -> bool:
            found = hub.caches.localizations.get(name, cluster.namespace)
            return found is not None and found["spec"]["overrides"] == overrides

        await looked("base", change, cached)

    async def calm() -> bool:
        return not await noted()

    async with hub_of(parent, Bases) as hub:
        await parent.create(LOCALIZATIONS, local)

        async def cached() -> bool:
            found = hub.caches.bases.get(name, cluster.namespace)
            fresh = await parent.get(BASES, name, cluster.namespace)
            return (
                found is not None
                and version(found) == version(fresh)
                and names.FINALIZER in fresh["metadata"].get("finalizers", ())
            )

        await eventually(cached, why="the cache has the Base")
        await hub.hold(hub.caches.bases)
        await overridden(hub, wrong)
        await eventually(noted, why="the problem is noted")
        await overridden(hub, right)
        assert await noted(), "the hub believes that it was never noted"
        hub.resume(hub.caches.bases)
        await eventually(calm, why="the problem is gone")


async def test_a_subscription_does_not_go_before_a_base_that_the_cache_does_not_know(parent, cluster):
    """A former hub has made it, or an API server that was killed before it had answered."""
    body = subscription(f"lag-{randbytes(4).hex()}", [config_map("x")])
    name = body["metadata"]["name"]
    subs = {**body, **await parent.create(SUBSCRIPTIONS, body)}
    async with hub_of(parent, Subscriptions) as hub:

        async def secured() -> bool:
            found = hub.caches.subscriptions.get(name, "default")
            return found is not None and names.FINALIZER in found["metadata"].get("finalizers", ())

        await eventually(secured, why="the Subscription has its finalizer")
        await hub.hold(hub.caches.bases)
        base = build_base(subs, name, cluster.namespace, {})
        await parent.create(BASES, base)
        await parent.delete(SUBSCRIPTIONS, name, "default")

        async def going() -> bool:
            return bool((await parent.get(BASES, name, cluster.namespace))["metadata"].get("deletionTimestamp"))

        await eventually(going, why="the Base is removed")
        assert await parent.get(SUBSCRIPTIONS, name, "default"), "its Subscription waits for that"
        await parent.patch(BASES, name, {"metadata": {"finalizers": None}}, cluster.namespace)
        await is_gone(parent, SUBSCRIPTIONS, name, "default", 15)


async def test_a_base_that_comes_after_the_end_of_its_subscription_is_removed(parent, cluster):
    body = subscription("gone", [config_map("x")])
    body["metadata"]["uid"] = f"no-such-{randbytes(4).hex()}"
    base = build_base(body, f"late-{randbytes(4).hex()}", cluster.namespace, {})
    async with hub_of(parent, Bases) as hub:
        await parent.create(BASES, base)
        await is_gone(parent, BASES, base["metadata"]["name"], cluster.namespace, 15)
        foreign = build_base(body, f"late-{randbytes(4).hex()}", cluster.namespace, {})
        foreign["metadata"]["labels"] = {names.SUBSCRIPTION_UID_LABEL: "x"}
        name = foreign["metadata"]["name"]

        async def cached() -> bool:
            return hub.caches.bases.get(name, cluster.namespace) is not None

        await looked("base", parent.create(BASES, foreign), cached)
        assert await parent.get(BASES, name, cluster.namespace), "a Base of somebody else stays"
