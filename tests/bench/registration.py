"""How quickly clusters register, and what hub and agents need for it."""

import asyncio
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.resources import (
    CLUSTER_REGISTRATION_REQUESTS,
    CONFIG_MAPS,
    MANAGED_CLUSTERS,
    Object,
    Resource,
)
from deployment import Deployment, ready
from measure import run
from programs import Programs

SINGLE = 20
STARTS = 5
MANY = 200
IDLE = 10.0
"""Seconds hub and agents rest before their memory is read."""
TIMEOUT = 120.0


@dataclass(frozen=True)
class Registration:
    """Seconds and MiB.

    Attributes:
        create: one plain create request, for comparison.
        approval: from posting a registration request until it is approved.
        ready: from starting an agent until its new ManagedCluster is Ready.
        import_: of that, starting Python and importing the agent.
        many: from posting `MANY` requests at once until all are approved.
        hub_idle, agent_idle: resident memory of hub and agent at rest.
        hub_many: resident memory of the hub after `MANY` more.
    """

    create: float
    approval: float
    ready: float
    import_: float
    many: float
    hub_idle: float
    hub_many: float
    agent_idle: float


def registration(deployment: Deployment) -> Registration:
    """Measure on a deployment with one hub and agents that are started here."""
    programs = Programs(deployment)
    try:
        programs.start("parent")
        return asyncio.run(_measure(deployment, programs))
    finally:
        programs.end()


async def _measure(deployment: Deployment, programs: Programs) -> Registration:
    config = ClusterConfig.from_kubeconfig(deployment.lab.cluster("parent").kubeconfig)
    async with Client(config, qps=0) as client:
        await approved(client, [new_request("warm-up")])
        creates = [await _timed_create(client) for _ in range(SINGLE)]
        approvals = [await approved(client, [new_request(f"single-{number}")]) for number in range(SINGLE)]
        starts = []
        for _ in range(STARTS):
            programs.forget("child1")
            starts.append(await _started(client, programs, deployment))
            programs.kill("child1")
        programs.start("child1")
        programs.start("child2")
        await asyncio.sleep(IDLE)
        hub_idle, agent_idle = programs.memory("parent"), programs.memory("child1")
        many = await approved(client, [new_request(f"many-{number}") for number in range(MANY)])
        return Registration(
            create=statistics.median(creates),
            approval=statistics.median(approvals),
            ready=statistics.median(starts),
            import_=run([*programs.command("child1")[:2], "--version"]).wall,
            many=many,
            hub_idle=hub_idle,
            hub_many=programs.memory("parent"),
            agent_idle=agent_idle,
        )


async def _timed_create(client: Client) -> float:
    start = time.monotonic()
    await client.create(CONFIG_MAPS, {"metadata": {"generateName": "bench-"}}, "default")
    return time.monotonic() - start


async def approved(client: Client, requests: list[Object]) -> float:
    """Post requests at once and return the seconds until all are approved."""
    waiting = {request["metadata"]["name"] for request in requests}

    def is_last(request: Object) -> bool:
        if request.get("status", {}).get("result") == "Approved":
            waiting.discard(request["metadata"]["name"])
        return not waiting

    async def post() -> None:
        posts = (client.create(CLUSTER_REGISTRATION_REQUESTS, request) for request in requests)
        await asyncio.gather(*posts)

    return await _seconds_until(client, CLUSTER_REGISTRATION_REQUESTS, is_last, post)


async def _started(client: Client, programs: Programs, deployment: Deployment) -> float:
    """Start the agent of child1 and return the seconds until a new ManagedCluster of it is Ready."""
    known = {cluster["metadata"]["uid"] for cluster in (await client.list(MANAGED_CLUSTERS)).items}

    def is_new_and_ready(cluster: Object) -> bool:
        return cluster["metadata"]["uid"] not in known and ready(cluster).get("status") == "True"

    async def start() -> None:
        programs.start("child1")

    return await _seconds_until(client, MANAGED_CLUSTERS, is_new_and_ready, start)


async def _seconds_until(
    client: Client, resource: Resource, condition: Callable[[Object], bool], action: Callable[[], Awaitable[None]]
) -> float:
    """Do something and return the seconds until a watched object fulfils a condition."""
    version = (await client.list(resource)).resource_version
    start = time.monotonic()

    async def watched() -> None:
        async for event in client.watch(resource, resource_version=version):
            if condition(event.object):
                return

    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        tasks.create_task(watched())
        tasks.create_task(action())
    return time.monotonic() - start


def new_request(name: str) -> Object:
    """Return the registration request of a cluster that isn't known yet."""
    identity = str(uuid.uuid4())
    return {
        "apiVersion": CLUSTER_REGISTRATION_REQUESTS.api_version,
        "kind": CLUSTER_REGISTRATION_REQUESTS.kind,
        "metadata": {
            "name": f"clusternet-{identity}",
            "labels": {
                "clusters.clusternet.io/registered-by": "clusternet-agent",
                "clusters.clusternet.io/cluster-id": identity,
                "clusters.clusternet.io/cluster-name": name,
            },
        },
        "spec": {"clusterId": identity, "clusterName": name, "clusterType": "StandardCluster", "syncMode": "Dual"},
    }
