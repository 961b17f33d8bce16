"""What the agent does with Descriptions: pulls, restores what was changed, reports (spec/03 §8.1, §10, §11)."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import pytest
from agent_site import AgentSite
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import (
    EVENTS,
    MANAGED_CLUSTERS,
    NAMESPACES,
    Object,
    Resource,
)
from deploying import Deployed, exists, is_gone
from hub_site import eventually
from publishing import config_map, deployment, native_namespace

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", namespaced=True)
ALL = "AppPusher=true,Recovery=true,Predictor=true"


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


JOBS = Resource("batch", "v1", "jobs", "Job", namespaced=True)


def job(name: str, namespace: str, **spec: object) -> Object:
    """A Job that fails after a second, since nothing runs its pods, and goes a second later."""
    container = {"name": "main", "image": "registry.example.org/migrate:1"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"ttlSecondsAfterFinished": 1, "activeDeadlineSeconds": 1, "template": template, **spec},
    }


async def test_a_job_that_has_finished_and_went_by_its_own_rules_is_not_made_again(pulled, site, namespace):
    cluster = await pulled("--cluster-sync-mode=Pull", f"--feature-gates={ALL}", "--predictor-port=0")
    deployed = Deployed(site.parent, cluster)
    objects = [native_namespace(namespace), job("migrate", namespace)]
    await deployed.create(*objects)
    await deployed.reaches("Success")

    async def ended() -> dict[str, Object] | None:
        for entry in ((await deployed.get()).get("status") or {}).get("manifestStatuses") or ():
            conditions = {one["type"]: one for one in (entry.get("observedStatus") or {}).get("conditions") or ()}
            if entry["kind"] == "Job" and "Expired" in conditions:
                return conditions
        return None

    conditions = await eventually(ended, 60, "the status says that the Job has gone")
    assert (conditions["Failed"]["status"], conditions["Expired"]["reason"]) == ("True", "Finished")
    assert conditions["Expired"]["message"] == (
        "It has done its work and was removed by its own rules. It is made again when it is published in another form."
    )
    # Whatever else changes, whoever looks: it isn't made again.
    await deployed.change(*objects, config_map("more", namespace))
    await deployed.reaches("Success")
    await exists(site.child, CONFIG_MAPS, "more", namespace)
    with pytest.raises(NotFound):
        await site.child.get(JOBS, "migrate", namespace)
    assert await ended()
    # In another form it is another piece of work.
    await deployed.change(*objects[:1], job("migrate", namespace, activeDeadlineSeconds=600))
    await deployed.reaches("Success")
    made = await exists(site.child, JOBS, "migrate", namespace)

    async def told_anew() -> bool:
        return not await ended()

    await eventually(told_anew, 30, "the status is that of the new Job")
    # And one that is removed before it has finished comes back.
    await site.child.delete(JOBS, "migrate", namespace, propagation="Background")

    async def back() -> bool:
        return (await site.child.get(JOBS, "migrate", namespace))["metadata"]["uid"] != made["metadata"]["uid"]

    await eventually(back, 30, "the Job is back")


async def test_a_fight_with_another_controller_is_told_and_becomes_rarer(pulled, site, namespace):
    cluster = await pulled("--cluster-sync-mode=Pull", f"--feature-gates={ALL}", "--predictor-port=0")
    deployed = Deployed(site.parent, cluster)
    await deployed.create(
        native_namespace(namespace), deployment("web", namespace, replicas=2), config_map("other", namespace, a="1")
    )
    await deployed.reaches("Success")
    await exists(site.child, DEPLOYMENTS, "web", namespace)
    rounds = 0

    async def fight() -> None:
        nonlocal rounds
        while True:
            live = await site.child.get(DEPLOYMENTS, "web", namespace)
            if live["spec"]["replicas"] != 5:
                patch = {"spec": {"replicas": 5}}
                await site.child.patch(
                    DEPLOYMENTS, "web", patch, namespace, subresource="scale", field_manager="autoscaler"
                )
                rounds += 1
            await asyncio.sleep(0.02)

    async def contested() -> Object | None:
        conditions = ((await deployed.get()).get("status") or {}).get("conditions") or ()
        return next((one for one in conditions if one["type"] == "Contested" and one["status"] == "True"), None)

    fighting = asyncio.create_task(fight())
    try:
        condition = await eventually(contested, 30, "the condition says so")
        message = (
            f"Deployment {namespace}/web: .spec.replicas is set by autoscaler. What is published is restored again and "
            "again, at longer and longer intervals. Leave such fields out of what is published, or keep the others "
            "from setting them."
        )
        assert (condition["reason"], condition["message"]) == ("OtherManagers", message)
        await eventually(lambda: told_event(site, cluster.namespace, "Contested", message), 30, "an event says so")
        before, began = rounds, time.monotonic()
        await asyncio.sleep(5)
        # Waits of 1, 2, 4, … seconds: in five seconds there is room for two or three of them.
        assert rounds - before <= 3, (rounds, time.monotonic() - began)
        await site.child.patch(CONFIG_MAPS, "other", {"data": {"a": "2"}}, namespace)

        async def restored() -> bool:
            return (await site.child.get(CONFIG_MAPS, "other", namespace))["data"]["a"] == "1"

        await eventually(restored, 10, "other objects are restored at once")
    finally:
        fighting.cancel()
        await asyncio.gather(fighting, return_exceptions=True)


async def test_what_the_server_writes_in_another_way_is_not_restored(pulled, site, namespace):
    cluster = await pulled("--cluster-sync-mode=Pull", f"--feature-gates={ALL}", "--predictor-port=0")
    deployed = Deployed(site.parent, cluster)
    web = deployment("web", namespace)
    del web["spec"]["replicas"]
    container = web["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": "0.5"}}
    container["securityContext"] = {"privileged": False}
    await deployed.create(native_namespace(namespace), web)
    await deployed.reaches("Success")
    await exists(site.child, DEPLOYMENTS, "web", namespace)
    patch = {"spec": {"replicas": 3}}
    await site.child.patch(DEPLOYMENTS, "web", patch, namespace, subresource="scale", field_manager="autoscaler")

    async def seen() -> bool:
        entries = ((await deployed.get()).get("status") or {}).get("manifestStatuses") or ()
        return any((entry.get("observedStatus") or {}).get("replicas") == 3 for entry in entries)

    await eventually(seen, 30, "the agent has told of three replicas")
    assert (await site.child.get(DEPLOYMENTS, "web", namespace))["spec"]["replicas"] == 3
    events = (await site.parent.list(EVENTS, cluster.namespace)).items
    assert "Recovered" not in {event["reason"] for event in events}


async def told_event(site: AgentSite, namespace: str, reason: str, message: str) -> bool:
    """Return whether an event says something."""
    events = (await site.parent.list(EVENTS, namespace)).items
    return any((event["reason"], event["message"]) == (reason, message) for event in events)


async def told(deployed: Deployed, kinds: set[str]) -> bool:
    """Whether `manifestStatuses` has these kinds, and the Deployment its own status."""
    entries = ((await deployed.get()).get("status") or {}).get("manifestStatuses") or []
    statuses = {entry["kind"]: entry.get("observedStatus") for entry in entries}
    return set(statuses) == kinds and bool(statuses.get("Deployment"))


async def test_c3_10_the_managed_cluster_decides_not_the_flag(pulled, site, namespace):
    """An agent that was told Pull leaves a cluster alone that is pushed to, and takes over when that ends."""
    flags = ("--cluster-sync-mode=Pull", "--feature-gates=AppPusher=true")
    cluster = await pulled(*flags)
    site.agents[-1].stop()
    await site.parent.patch(MANAGED_CLUSTERS, cluster.name, {"spec": {"syncMode": "Dual"}}, cluster.namespace)
    site.start(*flags)
    deployed = Deployed(site.parent, cluster)
    await deployed.create(native_namespace(namespace))
    await site.beats_again()
    assert "phase" not in ((await deployed.get()).get("status") or {})
    await site.parent.patch(MANAGED_CLUSTERS, cluster.name, {"spec": {"syncMode": "Pull"}}, cluster.namespace)
    await deployed.reaches("Success")
    await deployed.delete()


async def test_b4_7_the_built_in_predictor_answers(pulled, site):
    cluster = await pulled("--feature-gates=Predictor=true", "--predictor-port=0", "--predictor-direct-access")
    status = (await site.parent.get(MANAGED_CLUSTERS, cluster.name, cluster.namespace))["status"]
    assert status["predictorEnabled"]
    assert status["predictorDirectAccess"]
    url = status["predictorAddress"] + "/replicas/predict"
    async with aiohttp.ClientSession() as session:
        answer = await session.post(url, json={"resources": {"requests": {"cpu": "1"}}})
        assert answer.status == 200
        room = (await answer.json())["replicas"]["default"]
        assert isinstance(room, int)
        for body in ("nonsense", "[]"):
            refused = await session.post(url, data=body)
            assert refused.status == 400, body
