"""What the agent does with Descriptions: pulls, restores what was changed, reports (spec/03 §8.1, §10, §11)."""

import random
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import pytest
from agent_site import AgentSite
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import (
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
