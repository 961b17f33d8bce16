"""What Subscriptions tell of publishing; on clusters without agents."""

import asyncio
from typing import Any

import pytest
from clusternet_engine.kube.resources import DESCRIPTIONS, HELM_RELEASES, Object
from hub_site import eventually
from publishing import (
    FakeCluster,
    chart,
    config_map,
    deployment,
    feed_of,
    localization,
    override,
    set_ready,
    subscription,
)
from publishing_site import PublishingSite


@pytest.fixture
def site(publishing: PublishingSite) -> PublishingSite:
    """What one test publishes."""
    return publishing


async def deployed(site: PublishingSite, cluster: FakeCluster, phase: str = "Success", **status: Any) -> None:
    """Report what a deployer would report of the native objects of a cluster."""
    description = await site.description(cluster)
    metadata = description["metadata"]
    body = {"status": {"phase": phase, "observedGeneration": metadata["generation"], **status}}
    await site.parent.patch(DESCRIPTIONS, metadata["name"], body, cluster.namespace, subresource="status")


async def status_of(site: PublishingSite, made: Object) -> Object:
    """Return the status of a Subscription."""
    return (await site.look(made)).get("status") or {}


async def test_status_follows_the_clusters(site: PublishingSite) -> None:
    one, two = await site.cluster(), await site.cluster()
    web = deployment("web", site.name, 2)
    await site.make(web)
    made = await site.make(subscription(site.name, [web], clusters={"site": site.name}))
    await site.condition(made, "Rendered", "Rendered")
    await site.condition(made, "Deployed", "Deploying")
    running = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
    await deployed(site, one, manifestStatuses=[{**feed_of(web), "observedStatus": running}])
    await deployed(site, two, "Failure", reason="no room")
    failed = await site.condition(made, "Deployed", "DeployFailed")
    assert failed["message"] == f"{two.name}: no room"

    async def half() -> bool:
        return (await status_of(site, made)).get("completedReleases") == 1

    await eventually(half)
    await deployed(site, two, reason="", manifestStatuses=[{**feed_of(web), "observedStatus": running}])
    await site.condition(made, "Deployed", "Deployed")
    status = await status_of(site, made)
    assert (status["completedReleases"], status["desiredReleases"]) == (2, 2)
    (feed,) = status["aggregatedStatuses"]
    assert {key: feed[key] for key in ("apiVersion", "kind", "namespace", "name")} == feed_of(web)
    assert feed["feedStatusSummary"]["available"] is True
    assert feed["feedStatusSummary"]["replicaStatus"]["availableReplicas"] == 4
    assert {(one_["clusterId"], one_["available"]) for one_ in feed["feedStatusDetails"]} == {
        (one.id, True),
        (two.id, True),
    }

    # Another form of the feed isn't deployed yet.
    await site.change(web, {"spec": {"replicas": 3}})
    await site.condition(made, "Deployed", "Deploying")
    await set_ready(site.parent, two, ready=False)
    await deployed(site, one)


async def test_status_of_charts(site: PublishingSite) -> None:
    cluster = await site.cluster()
    web = await site.found(chart(site.name))
    made = await site.make(subscription(site.name, [web], clusters={"site": site.name}))
    await site.condition(made, "Deployed", "Deploying")

    async def report(phase: str, text: str) -> None:
        (release,) = await eventually(lambda: site.of(HELM_RELEASES, cluster), 10)
        body = {"status": {"phase": phase, "description": text}}
        await site.parent.patch(
            HELM_RELEASES, release["metadata"]["name"], body, cluster.namespace, subresource="status"
        )

    await report("failed", "timed out")
    failed = await site.condition(made, "Deployed", "DeployFailed")
    assert failed["message"] == f"{cluster.name}: default/{site.name}: timed out"
    assert (await site.description(cluster, "Helm"))["status"]["phase"] == "Failure"
    await report("deployed", "Install complete")
    await site.condition(made, "Deployed", "Deployed")
    assert (await status_of(site, made))["aggregatedStatuses"][0]["feedStatusSummary"] == {"available": True}


async def test_rounds_of_changes_end_in_what_was_wanted_last(site: PublishingSite) -> None:
    clusters = [await site.cluster() for _ in range(2)]
    objects = [config_map(f"c{n}", site.name, round="0") for n in range(5)]
    await site.make(*objects)
    made = await site.make(subscription(site.name, objects, clusters={"site": site.name}))
    local = await site.make(
        localization("mine", clusters[0].namespace, objects[0], [override("MergePatch", {"data": {"by": "0"}})])
    )
    for number in range(1, 6):
        await asyncio.gather(
            *(site.change(obj, {"data": {"round": str(number)}}) for obj in objects),
            site.change(made, {"spec": {"feeds": [feed_of(obj) for obj in objects[: 1 + number % 5]]}}),
            site.change(local, {"spec": {"overrides": [override("MergePatch", {"data": {"by": str(number)}})]}}),
        )
    await site.becomes(clusters[0], [{"round": "5", "by": "5"}], lambda rendered: [obj["data"] for obj in rendered])
    await site.becomes(clusters[1], [{"round": "5"}], lambda rendered: [obj["data"] for obj in rendered])
