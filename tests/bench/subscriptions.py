"""How quickly applications reach children, and how scheduling grows with Subscriptions and clusters."""

import asyncio
import math
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import psutil
from clusternet_engine.kube.client import Client, PatchType
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.resources import (
    CONFIG_MAPS,
    DESCRIPTIONS,
    GLOBALIZATIONS,
    MANAGED_CLUSTERS,
    MANIFESTS,
    NAMESPACES,
    SUBSCRIPTIONS,
    Object,
    Resource,
)
from deployment import Deployment, ready
from fleet import managed_cluster, status
from programs import Programs
from publishing import manifest_of

CHILDREN = ("child1", "child2")  # pushed to, and pulling
FEEDS = (1, 20)
ROUNDS = 20
OVERRIDES = 20
SUBSCRIPTION_COUNT, CLUSTER_COUNT = 1_000, 20
GROWTH = (100, 1_000, 5_000)
CONCURRENCY = 32
TIMEOUT = 300.0
NAMESPACE = "bench-publishing"
LABEL = "bench"
JOINED = {"bench-joined": "true"}
"""Label of the clusters that agents serve, so that nothing of theirs goes to the simulated ones."""

Condition = Callable[[Object], bool]
"""Whether an object, of many that are shown to it one after the other, is the awaited one."""


@dataclass(frozen=True)
class Times:
    """Seconds of several rounds."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def p95(self) -> float:
        return sorted(self.rounds)[math.ceil(0.95 * len(self.rounds)) - 1]


@dataclass(frozen=True)
class Fleet:
    """Many Subscriptions to simulated clusters: seconds until every Description is there, and what the hub used."""

    seconds: float
    cpu: float
    memory: float


@dataclass(frozen=True)
class Growth:
    """One Subscription to this many clusters: seconds until it is scheduled, and until every Description is there."""

    clusters: int
    scheduled: float
    described: float


@dataclass(frozen=True)
class Publishing:
    """All figures of publishing.

    Attributes:
        delivered: from creating a Subscription until its last object is on a child, by number of feeds and child.
        direct: the same objects created on the child at once, without Clusternet.
        override: from changing an override until it is on a child.
    """

    delivered: dict[tuple[int, str], Times]
    direct: dict[int, Times]
    override: dict[str, Times]
    fleet: Fleet
    growth: tuple[Growth, ...]


def publishing(deployment: Deployment) -> Publishing:
    """Measure on a deployment with one hub and agents that are started here."""
    programs = Programs(deployment)
    try:
        for name in ("parent", *CHILDREN):
            programs.start(name)
        return asyncio.run(_measure(deployment, programs))
    finally:
        programs.end()


async def _measure(deployment: Deployment, programs: Programs) -> Publishing:
    async with AsyncExitStack() as stack:
        parent, *children = [
            await stack.enter_async_context(
                Client(ClusterConfig.from_kubeconfig(deployment.lab.cluster(name).kubeconfig), qps=0)
            )
            for name in ("parent", *CHILDREN)
        ]
        clients = dict(zip(CHILDREN, children, strict=True))
        await parent.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        await _until(parent, MANAGED_CLUSTERS, _ready_count(len(CHILDREN)))
        for metadata in [one["metadata"] for one in (await parent.list(MANAGED_CLUSTERS)).items if _is_ready(one)]:
            joined = {"metadata": {"labels": JOINED}}
            await parent.patch(MANAGED_CLUSTERS, metadata["name"], joined, metadata["namespace"])
        await _deliver(parent, clients, "warm-up", 1)
        delivered: dict[tuple[int, str], Times] = {}
        direct = {}
        for feeds in FEEDS:
            rounds = [await _deliver(parent, clients, f"feeds-{feeds}-{number}", feeds) for number in range(ROUNDS)]
            for child in CHILDREN:
                delivered[feeds, child] = Times(tuple(found[child] for found in rounds))
            direct[feeds] = Times(
                tuple([await _direct(clients["child1"], f"direct-{feeds}-{number}", feeds) for number in range(ROUNDS)])
            )
        override = await _override(parent, clients)
        for child in CHILDREN:
            programs.kill(child)
        await _simulate(parent, range(GROWTH[-1]))
        fleet = await _fleet(parent, psutil.Process(programs.running["parent"].pid))
        growth = tuple([await _grow(parent, size) for size in GROWTH])
        return Publishing(delivered, direct, override, fleet, growth)


def _config_map(name: str, run: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", "labels": {LABEL: run}},
        "data": {"value": "as published"},
    }


def _subscription(name: str, match: dict[str, str], objects: Iterable[Object]) -> Object:
    feeds = [{"apiVersion": item["apiVersion"], "kind": item["kind"], **_place(item["metadata"])} for item in objects]
    subscribers = [{"clusterAffinity": {"matchLabels": match}}]
    return {
        "apiVersion": SUBSCRIPTIONS.api_version,
        "kind": SUBSCRIPTIONS.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"subscribers": subscribers, "feeds": feeds},
    }


def _place(metadata: Object) -> dict[str, str]:
    return {"namespace": metadata["namespace"], "name": metadata["name"]}


async def _deliver(parent: Client, children: dict[str, Client], run: str, feeds: int) -> dict[str, float]:
    """Publish ConfigMaps to both children and return the seconds until each has the last of them."""
    objects = [_config_map(f"{run}-{number}", run) for number in range(feeds)]
    await asyncio.gather(*(parent.create(MANIFESTS, manifest_of(item)) for item in objects))

    def all_are_there() -> Condition:
        missing = {item["metadata"]["name"] for item in objects}

        def condition(item: Object) -> bool:
            missing.discard(item["metadata"]["name"])
            return not missing

        return condition

    async def subscribe() -> None:
        await parent.create(SUBSCRIPTIONS, _subscription(run, JOINED, objects))

    return await _arrivals(children, run, all_are_there, subscribe)


async def _arrivals(
    children: dict[str, Client],
    run: str,
    make_condition: Callable[[], Condition],
    action: Callable[[], Awaitable[None]],
) -> dict[str, float]:
    """Do something and return the seconds until ConfigMaps of a run fulfil a condition, by child."""
    started = 0.0

    async def arrived(child: Client) -> float:
        await _until(child, CONFIG_MAPS, make_condition(), namespace="default", label_selector=f"{LABEL}={run}")
        return time.monotonic() - started

    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        waiting = {name: tasks.create_task(arrived(child)) for name, child in children.items()}
        await asyncio.sleep(0.3)  # the watches are open then
        started = time.monotonic()
        await action()
    return {name: task.result() for name, task in waiting.items()}


async def _direct(child: Client, run: str, feeds: int) -> float:
    start = time.monotonic()
    await asyncio.gather(*(child.create(CONFIG_MAPS, _config_map(f"{run}-{number}", run)) for number in range(feeds)))
    return time.monotonic() - start


async def _override(parent: Client, children: dict[str, Client]) -> dict[str, Times]:
    """Change an override of a published ConfigMap and return the seconds until each child has the new value."""
    rounds: list[dict[str, float]] = []
    await _deliver(parent, children, "override", 1)
    for number in range(OVERRIDES):
        value = f"override {number}"
        rounds.append(
            await _arrivals(children, "override", partial(_has, value), partial(_set_override, parent, value))
        )
    return {child: Times(tuple(found[child] for found in rounds)) for child in children}


def _has(value: str) -> Condition:
    return lambda item: bool(item["data"]["value"] == value)


async def _set_override(parent: Client, value: str) -> None:
    override = {
        "apiVersion": GLOBALIZATIONS.api_version,
        "kind": GLOBALIZATIONS.kind,
        "metadata": {"name": "bench"},
        "spec": {
            "overridePolicy": "ApplyNow",
            "overrides": [{"type": "MergePatch", "value": f'{{"data": {{"value": "{value}"}}}}'}],
            "feed": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "override-0"},
        },
    }
    await parent.patch(GLOBALIZATIONS, "bench", override, kind=PatchType.APPLY, field_manager="bench", force=True)


async def _simulate(parent: Client, numbers: Iterable[int]) -> None:
    """Make clusters without agents, each in a namespace of its own; the labels say to which measurement they belong."""
    numbers = iter(numbers)

    async def make_some() -> None:
        for number in numbers:
            cluster = managed_cluster(f"bench-cluster-{number}", number)
            labels = cluster["metadata"]["labels"]
            labels |= {f"bench-{size}": "true" for size in (CLUSTER_COUNT, *GROWTH) if number < size}
            identity = {key: labels[key] for key in labels if key.startswith("clusters.clusternet.io/")}
            namespace = {"name": f"bench-cluster-{number}", "labels": identity}
            await parent.create(NAMESPACES, {"metadata": namespace})
            cluster["spec"]["syncMode"] = "Pull"
            place = cluster["metadata"]["name"], {"status": status(number * 10 + 1)}, namespace["name"]
            await parent.create(MANAGED_CLUSTERS, cluster)
            await parent.patch(MANAGED_CLUSTERS, *place, subresource="status")

    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONCURRENCY):
            tasks.create_task(make_some())


async def _fleet(parent: Client, hub: psutil.Process) -> Fleet:
    """Create many Subscriptions to `CLUSTER_COUNT` clusters and wait for all Descriptions."""
    objects = [_config_map(f"fleet-{number}", "fleet") for number in range(10)]
    await asyncio.gather(*(parent.create(MANIFESTS, manifest_of(item)) for item in objects))
    bodies = [
        _subscription(f"fleet-{number}", {f"bench-{CLUSTER_COUNT}": "true"}, [objects[number % len(objects)]])
        for number in range(SUBSCRIPTION_COUNT)
    ]
    wanted = SUBSCRIPTION_COUNT * CLUSTER_COUNT
    before = sum(hub.cpu_times()[:2])
    seconds = await _described(parent, bodies, wanted)
    return Fleet(seconds, sum(hub.cpu_times()[:2]) - before, hub.memory_info().rss / 2**20)


async def _grow(parent: Client, size: int) -> Growth:
    """Publish one ConfigMap to a number of clusters."""
    item = _config_map(f"growth-{size}", "growth")
    await parent.create(MANIFESTS, manifest_of(item))
    body = _subscription(f"growth-{size}", {f"bench-{size}": "true"}, [item])
    scheduled = 0.0
    start = time.monotonic()

    async def wait_scheduled() -> None:
        nonlocal scheduled

        def done(item: Object) -> bool:
            bound = (item.get("status") or {}).get("bindingClusters") or []
            return item["metadata"]["name"] == f"growth-{size}" and len(bound) == size

        await _until(parent, SUBSCRIPTIONS, done, namespace=NAMESPACE)
        scheduled = time.monotonic() - start

    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        tasks.create_task(wait_scheduled())
        described = tasks.create_task(_described(parent, [body], size))
    return Growth(size, scheduled, described.result())


async def _described(parent: Client, subscriptions: list[Object], wanted: int) -> float:
    """Create Subscriptions and return the seconds until so many new Descriptions are there."""
    seen: set[str] = set()
    known = {item["metadata"]["uid"] for item in (await parent.list(DESCRIPTIONS)).items}

    def done(item: Object) -> bool:
        if item["metadata"]["uid"] not in known:
            seen.add(item["metadata"]["uid"])
        return len(seen) >= wanted

    start = time.monotonic()
    pending = iter(subscriptions)

    async def create_some() -> None:
        for body in pending:
            await parent.create(SUBSCRIPTIONS, body)

    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        tasks.create_task(_until(parent, DESCRIPTIONS, done))
        for _ in range(CONCURRENCY):
            tasks.create_task(create_some())
    return time.monotonic() - start


async def _until(
    client: Client,
    resource: Resource,
    condition: Condition,
    *,
    namespace: str | None = None,
    label_selector: str | None = None,
) -> None:
    """Return as soon as an object, as it is or as it becomes, fulfils a condition."""
    listed = await client.list(resource, namespace, label_selector=label_selector)
    if any(map(condition, listed.items)):
        return
    async with asyncio.timeout(TIMEOUT):
        async for event in client.watch(
            resource, namespace, resource_version=listed.resource_version, label_selector=label_selector
        ):
            if event.object and event.type != "BOOKMARK" and condition(event.object):
                return


def _is_ready(cluster: Object) -> bool:
    return bool(ready(cluster).get("status") == "True")


def _ready_count(wanted: int) -> Condition:
    """Return the condition that so many ManagedClusters are Ready."""
    found: set[str] = set()

    def condition(cluster: Object) -> bool:
        if _is_ready(cluster):
            found.add(cluster["metadata"]["uid"])
        return len(found) >= wanted

    return condition
