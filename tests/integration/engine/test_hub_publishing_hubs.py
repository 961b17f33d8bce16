"""Hubs with other gates, and hubs that are killed while they publish; on clusters without agents."""

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.resources import BASES, DESCRIPTIONS, MANAGED_CLUSTERS
from hub_site import HubProcess, Hubs, eventually
from publishing import FakeCluster, bind, config_map, deployment, feed_of, subscription
from publishing_site import PublishingSite, names_of

PUBLISHING = ("--feature-gates=Deployer=true,FeedInventory=true", "--controllers=*,-helmchart")


async def leads(hub: HubProcess) -> None:
    """Wait until it runs the controllers."""

    async def leading() -> bool:
        return hub.leads

    await eventually(leading)


async def test_c3_6_unprotected_feed_is_dropped_from_the_subscriptions(hubs: Hubs, parent: Client) -> None:
    await leads(hubs.start(*PUBLISHING))
    site = PublishingSite(parent)
    try:
        cluster = await site.cluster()
        web, settings = deployment("web", site.name), config_map("settings", site.name)
        await site.make(web, settings)
        made = await site.make(subscription(site.name, [web, settings, web], clusters={"site": site.name}))
        await site.becomes(cluster, True, lambda rendered: "Deployment/web" in names_of(rendered))

        async def guarded() -> bool:
            return (await site.look(web))["metadata"].get("finalizers") == ["apps.clusternet.io/finalizer"]

        await eventually(guarded)
        await site.remove(web)

        async def gone() -> bool:
            return await site.is_gone(web)

        await eventually(gone)
        assert (await site.look(made))["spec"]["feeds"] == [feed_of(settings)]
        await site.becomes(cluster, ["ConfigMap/settings"], names_of)
    finally:
        await site.clean_up()


async def test_without_the_gate_nothing_is_published(hubs: Hubs, parent: Client) -> None:
    site = PublishingSite(parent)
    try:
        cluster = await site.cluster()
        settings = config_map("settings", site.name)
        await site.make(settings)
        made = await site.make(subscription(site.name, [settings], clusters={"site": site.name}))
        hub = hubs.start("--controllers=*,-helmchart")
        await leads(hub)
        hub.stop()
        assert await site.of(BASES, cluster) == []
        for obj in (settings, made):
            assert not (await site.look(obj))["metadata"].get("finalizers")
    finally:
        await site.clean_up()


async def test_killed_hubs_leave_nothing_behind(hubs: Hubs, parent: Client) -> None:
    """Whenever it is killed, the next hub finishes: exactly one Base and Description for each cluster, then none."""
    hub = hubs.start(*PUBLISHING)
    site = PublishingSite(parent)
    try:
        clusters = [await site.cluster() for _ in range(3)]
        made, settings = [], config_map("settings", site.name)
        await site.make(settings)
        for number in range(6):
            made.append(
                await site.make(subscription(f"{site.name}-{number}", [settings], clusters={"site": site.name}))
            )
            if number % 2:
                hub.kill()
                hub = hubs.start(*PUBLISHING)
        expected = len(clusters) * len(made)

        async def complete() -> bool:
            bases = [one for cluster in clusters for one in await site.of(BASES, cluster)]
            found = [one for cluster in clusters for one in await site.of(DESCRIPTIONS, cluster)]
            assert len(bases) <= expected
            assert len(found) <= expected
            return len(bases) == len(found) == expected

        await eventually(complete, 30, "everything is there once")
        for number, one in enumerate(made):
            await site.remove(one)
            if number % 2:
                hub.kill()
                hub = hubs.start(*PUBLISHING)

        async def empty() -> bool:
            gone = [await site.is_gone(one) for one in made]
            bases = [one for cluster in clusters for one in await site.of(BASES, cluster)]
            found = [one for cluster in clusters for one in await site.of(DESCRIPTIONS, cluster)]
            return all(gone) and not bases and all(one["metadata"].get("deletionTimestamp") for one in found)

        await eventually(empty, 30, "everything is gone")
    finally:
        await site.clean_up()


async def test_namespaces_publish_where_they_may(hubs: Hubs, parent: Client) -> None:
    """Whoever has bound a Subscription, and as soon as labels change."""
    await leads(hubs.start(*PUBLISHING, "--publisher=default=tier in (gold,silver)"))
    site = PublishingSite(parent)
    try:
        gold, plain = await site.cluster(labels={"tier": "gold"}), await site.cluster()
        settings = config_map("settings", site.name)
        await site.make(settings)
        everywhere = {"site": site.name}
        made = await site.make(subscription(site.name, [settings], clusters=everywhere))
        await site.becomes(gold, ["ConfigMap/settings"], names_of)
        condition = await site.condition(made, "Scheduled", "Scheduled")
        assert f"may not publish to {plain.name}" in condition["message"]
        other = await site.make(subscription(site.name, [settings], clusters=everywhere, namespace="kube-public"))
        assert (
            "may not publish to any cluster" in (await site.condition(other, "Scheduled", "NotAPublisher"))["message"]
        )
        foreign = await site.make(subscription(f"{site.name}-f", [settings], clusters=everywhere, schedulerName="mine"))
        await bind(parent, foreign, [gold, plain])
        await eventually(lambda: has_bases(site, gold, 2))
        assert await site.of(BASES, plain) == []
        await parent.patch(MANAGED_CLUSTERS, gold.name, {"metadata": {"labels": {"tier": "bronze"}}}, gold.namespace)
        await eventually(lambda: has_bases(site, gold, 0))
        assert (await site.condition(made, "Scheduled", "NoFeasibleCluster"))["status"] == "False"
    finally:
        await site.clean_up()


async def has_bases(site: PublishingSite, cluster: FakeCluster, number: int) -> bool:
    return len(await site.of(BASES, cluster)) == number
