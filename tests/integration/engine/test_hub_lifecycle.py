"""Heartbeats that stop and come back, taints, initialisation (spec/02 §9)."""

from datetime import UTC, datetime, timedelta

import pytest
from clusternet_engine.kube.errors import Conflict
from clusternet_engine.kube.resources import BASES, DESCRIPTIONS, MANAGED_CLUSTERS
from hub_site import eventually

UNSCHEDULABLE = "clusters.clusternet.io/unschedulable"
INITIALIZATION = "clusters.clusternet.io/initialization"
HEARTBEAT = 1
GRACE = 3 * HEARTBEAT


async def report(child, ready="True", ago=0.0, frequency=HEARTBEAT):
    """Do what an agent does with every heartbeat."""
    now = (datetime.now(UTC) - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {
        "type": "Ready",
        "status": ready,
        "reason": "ManagedClusterReady" if ready == "True" else "ManagedClusterNotReady",
        "message": "said by a test",
        "lastTransitionTime": now,
    }
    while True:
        cluster = await child.managed_cluster()
        others = [c for c in cluster.get("status", {}).get("conditions", []) if c["type"] != "Ready"]
        flags = dict.fromkeys(("healthz", "livez", "readyz"), ready == "True")
        cluster["status"] = {
            **flags,
            "lastObservedTime": now,
            "heartbeatFrequencySeconds": frequency,
            "conditions": [*others, condition],
        }
        try:
            await child.parent.update(MANAGED_CLUSTERS, cluster, subresource="status")
        except Conflict:
            continue
        return


async def condition(child, kind="Ready"):
    """Status and reason of a condition."""
    conditions = (await child.managed_cluster()).get("status", {}).get("conditions", [])
    return next(((c["status"], c["reason"]) for c in conditions if c["type"] == kind), None)


async def taints(child):
    """Taints by key, with their values."""
    return {taint["key"]: taint.get("value") for taint in (await child.managed_cluster())["spec"].get("taints", [])}


async def becomes(child, wanted_condition, wanted_taints, timeout=30.0, kind="Ready"):
    async def reached():
        return await condition(child, kind) == wanted_condition and await taints(child) == wanted_taints

    await eventually(reached, timeout, f"{wanted_condition} and {wanted_taints}")


@pytest.fixture
async def registered(applicant):
    """Registers a cluster."""

    async def register(**spec):
        child = applicant(**spec)
        await child.ask()
        await child.approved()
        return child

    return register


async def test_a_lost_cluster_is_unknown_and_tainted_until_it_reports(hubs, registered):
    hubs.start()
    child = await registered()
    await report(child)
    await becomes(child, ("True", "ManagedClusterReady"), {})
    await becomes(child, ("Unknown", "ClusterStatusUnknown"), {UNSCHEDULABLE: "ClusterStatusUnknown"}, GRACE + 5)
    status = (await child.managed_cluster())["status"]
    assert (status["healthz"], status["livez"], status["readyz"]) == (False, False, False)
    assert await condition(child, "ClusterInit") == ("True", "ClusterInitDisabled")
    await report(child, frequency=60)
    await becomes(child, ("True", "ManagedClusterReady"), {})


async def test_a_cluster_that_never_reported_is_lost_after_its_grace(hubs, registered):
    hubs.start()
    child = await registered()
    cluster = await child.managed_cluster()
    await child.parent.patch(
        MANAGED_CLUSTERS,
        cluster["metadata"]["name"],
        {"status": {"heartbeatFrequencySeconds": HEARTBEAT}},
        cluster["metadata"]["namespace"],
        subresource="status",
    )
    wanted = {UNSCHEDULABLE: "ClusterStatusNeverUpdated"}
    await becomes(child, ("Unknown", "ClusterStatusNeverUpdated"), wanted, GRACE + 5)


async def test_a_cluster_that_is_not_ready_is_tainted(hubs, registered):
    hubs.start()
    child = await registered()
    await report(child, ready="False", frequency=60)
    await becomes(child, ("False", "ManagedClusterNotReady"), {UNSCHEDULABLE: "ManagedClusterNotReady"})
    await report(child, frequency=60)
    await becomes(child, ("True", "ManagedClusterReady"), {})


async def test_clocks_of_children_do_not_matter(hubs, registered):
    hubs.start()
    child = await registered()
    for _ in range(3):
        await report(child, ago=3600 - _, frequency=30)
    await becomes(child, ("True", "ManagedClusterReady"), {})
    hubs.end()
    hubs.start()
    await report(child, ago=3000, frequency=30)
    await becomes(child, ("True", "ManagedClusterReady"), {})


async def test_a_cluster_lost_while_no_hub_ran_is_noticed(hubs, registered):
    first = hubs.start()
    child = await registered()
    await report(child)
    first.kill()
    led = first.log.count("leading; running")
    second = hubs.start()

    async def leads():
        return second.log.count("leading; running") > led

    await eventually(leads)
    await becomes(child, ("Unknown", "ClusterStatusUnknown"), {UNSCHEDULABLE: "ClusterStatusUnknown"}, GRACE + 10)


async def test_taints_of_users_stay(hubs, registered):
    hubs.start()
    child = await registered()
    await report(child, frequency=60)
    cluster = (await child.managed_cluster())["metadata"]
    own = [
        {"key": UNSCHEDULABLE, "value": "maintenance", "effect": "NoSchedule"},
        {"key": INITIALIZATION, "value": "mine", "effect": "NoSchedule"},
        {"key": "team", "value": "a", "effect": "NoExecute"},
    ]
    await child.parent.patch(MANAGED_CLUSTERS, cluster["name"], {"spec": {"taints": own}}, cluster["namespace"])
    await report(child, ready="False", frequency=61)
    await report(child, frequency=62)

    async def settled():
        return (await child.managed_cluster())["status"]["heartbeatFrequencySeconds"] == 62

    await eventually(settled)
    await report(child, ready="False", frequency=63)
    await becomes(
        child, ("False", "ManagedClusterNotReady"), {UNSCHEDULABLE: "maintenance", INITIALIZATION: "mine", "team": "a"}
    )


async def test_both_taints_go_at_once(hubs, registered):
    """With the gate switched off, a cluster that becomes ready loses both taints in one write."""
    first = hubs.start("--feature-gates=ClusterInit=true")
    child = await registered()
    await report(child, ready="False", frequency=60)
    both = {INITIALIZATION: "ClusterInitWaiting", UNSCHEDULABLE: "ManagedClusterNotReady"}
    await becomes(child, ("False", "ManagedClusterNotReady"), both)
    first.stop()
    await report(child, frequency=60)
    generation = (await child.managed_cluster())["metadata"]["generation"]
    hubs.start()
    await becomes(child, ("True", "ManagedClusterReady"), {})
    assert (await child.managed_cluster())["metadata"]["generation"] == generation + 1


@pytest.mark.parametrize("chosen_by", ["annotation", "default"])
async def test_a_cluster_is_initialised_by_its_base(hubs, registered, chosen_by):
    hubs.start("--feature-gates=ClusterInit=true")
    child = await registered()
    await report(child, frequency=60)
    waiting = {INITIALIZATION: "ClusterInitWaiting"}
    await becomes(child, ("False", "ClusterInitWaiting"), waiting, kind="ClusterInit")
    cluster = (await child.managed_cluster())["metadata"]
    namespace = cluster["namespace"]
    annotations = {"apps.clusternet.io/is-default-cluster-init": "true"} if chosen_by == "default" else {}
    base = await child.parent.create(
        BASES,
        {
            "apiVersion": BASES.api_version,
            "kind": BASES.kind,
            "metadata": {"name": "first", "namespace": namespace, "annotations": annotations},
            "spec": {"feeds": []},
        },
    )
    if chosen_by == "annotation":
        patch = {"metadata": {"annotations": {"apps.clusternet.io/cluster-init-base": "first"}}}
        await child.parent.patch(MANAGED_CLUSTERS, cluster["name"], patch, namespace)
    labels = {
        "apps.clusternet.io/config.kind": "Base",
        "apps.clusternet.io/config.namespace": namespace,
        "apps.clusternet.io/config.uid": base["metadata"]["uid"],
    }
    await child.parent.create(
        DESCRIPTIONS,
        {
            "apiVersion": DESCRIPTIONS.api_version,
            "kind": DESCRIPTIONS.kind,
            "metadata": {"name": "first-generic", "namespace": namespace, "labels": labels},
            "spec": {"deployer": "Generic"},
        },
    )

    async def told():
        conditions = (await child.managed_cluster())["status"]["conditions"]
        return any(c["type"] == "ClusterInit" and "first-generic" in c["message"] for c in conditions)

    await eventually(told)
    await becomes(child, ("False", "ClusterInitWaiting"), waiting, kind="ClusterInit")
    await child.parent.patch(
        DESCRIPTIONS, "first-generic", {"status": {"phase": "Success"}}, namespace, subresource="status"
    )
    await becomes(child, ("True", "ClusterInitDone"), {}, kind="ClusterInit")
    assert (await child.managed_cluster())["spec"]["clusterInitBaseName"] == "first"


async def test_a_cluster_can_be_excepted_from_initialisation(hubs, registered):
    hubs.start("--feature-gates=ClusterInit=true")
    child = await registered()
    await becomes(child, ("False", "ClusterInitWaiting"), {INITIALIZATION: "ClusterInitWaiting"}, kind="ClusterInit")
    cluster = (await child.managed_cluster())["metadata"]
    patch = {"metadata": {"annotations": {"clusters.clusternet.io/skip-cluster-init": "true"}}}
    await child.parent.patch(MANAGED_CLUSTERS, cluster["name"], patch, cluster["namespace"])
    await becomes(child, ("True", "ClusterInitDisabled"), {}, kind="ClusterInit")
