"""From a Subscription to its Descriptions: Bases, feeds, deletion; on clusters without agents."""

import pytest
from clusternet_engine.kube.resources import BASES, DESCRIPTIONS, LOCALIZATIONS
from hub_site import eventually
from publishing import (
    bind,
    chart,
    config_map,
    deployment,
    feed_of,
    localization,
    native_namespace,
    override,
    subscription,
)
from publishing_site import PublishingSite, names_of


@pytest.fixture
def site(publishing: PublishingSite) -> PublishingSite:
    """What one test publishes."""
    return publishing


async def test_names_that_no_label_can_hold_are_published_and_overridden(site: PublishingSite) -> None:
    cluster = await site.cluster()
    objects = [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": []}
        for name in (f"system:{site.name}", f"{site.name}-{'x' * 100}", f"{site.name}-{'x' * 101}")
    ]
    await site.make(*objects)
    change = override("MergePatch", {"metadata": {"annotations": {"a": "b"}}})
    await site.make(localization(site.name, cluster.namespace, feed_of(objects[0]), [change]))
    await site.make(subscription(site.name, objects, clusters={"site": site.name}))
    rendered = await site.rendered(cluster)
    assert names_of(rendered) == [f"ClusterRole/{obj['metadata']['name']}" for obj in objects]
    assert rendered[0]["metadata"]["annotations"] == {"a": "b"}


async def test_subscription_becomes_bases_and_descriptions(site: PublishingSite) -> None:
    one, two = await site.cluster(), await site.cluster()
    objects = (native_namespace(site.name), config_map("settings", site.name, a="1"), deployment("web", site.name))
    await site.make(*objects)
    made = await site.make(subscription(site.name, objects, clusters={"site": site.name}))
    uid = made["metadata"]["uid"]
    for cluster in (one, two):
        rendered = await site.rendered(cluster)
        assert names_of(rendered) == [f"Namespace/{site.name}", "ConfigMap/settings", "Deployment/web"]
        assert rendered[1] == {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": "settings",
                "namespace": site.name,
                "labels": {"clusternet.io/created-by": "clusternet-hub"},
            },
            "data": {"a": "1"},
        }

        async def labelled(cluster=cluster) -> bool:
            (base,) = await site.of(BASES, cluster)
            return base["metadata"]["labels"].get(base["metadata"]["uid"]) == "Base"

        await eventually(labelled, why="the Base has its own label")
        (base,) = await site.of(BASES, cluster)
        common = {
            "clusternet.io/created-by": "clusternet-controller-manager",
            "clusters.clusternet.io/cluster-id": cluster.id,
            "clusters.clusternet.io/cluster-name": cluster.name,
            "apps.clusternet.io/subs.namespace": "default",
            "apps.clusternet.io/subs.uid": uid,
        }
        assert base["metadata"]["labels"] == {
            **common,
            "apps.clusternet.io/config.kind": "Subscription",
            "apps.clusternet.io/config.name": site.name,
            "apps.clusternet.io/config.namespace": "default",
            "apps.clusternet.io/config.uid": uid,
            "apps.clusternet.io/subs.name": site.name,
            base["metadata"]["uid"]: "Base",
        }
        assert base["metadata"]["finalizers"] == ["apps.clusternet.io/finalizer"]
        assert base["spec"]["feeds"] == made["spec"]["feeds"]
        description = await site.description(cluster)
        assert description["metadata"]["name"] == f"{base['metadata']['name']}-generic"
        assert description["metadata"]["labels"] == {
            **common,
            "apps.clusternet.io/config.kind": "Base",
            "apps.clusternet.io/config.namespace": cluster.namespace,
            "apps.clusternet.io/config.uid": base["metadata"]["uid"],
        }
        (owner,) = description["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("Base", base["metadata"]["uid"], True)
        assert "DescriptionCreated" in await site.events_when(base, "DescriptionCreated")
    assert "BaseCreated" in await site.events_when(made, "BaseCreated")


async def test_users_objects_carry_finalizers_and_labels_of_their_use(site: PublishingSite) -> None:
    cluster = await site.cluster()
    settings = config_map("settings", site.name)
    await site.make(settings)
    made = await site.make(subscription(site.name, [settings], clusters={"site": site.name}))
    local = await site.make(localization("mine", cluster.namespace, settings, [override("MergePatch", {"data": {}})]))
    (base,) = await eventually(lambda: site.of(BASES, cluster))

    async def marked() -> bool:
        manifest, subscribed, overriding = [await site.look(obj) for obj in (settings, made, local)]
        labels = manifest["metadata"]["labels"]
        finalizers = {"apps.clusternet.io/finalizer", "apps.clusternet.io/feed-protection"}
        return (
            set(manifest["metadata"].get("finalizers") or ()) == finalizers
            and labels.get(made["metadata"]["uid"]) == "Subscription"
            and labels.get(base["metadata"]["uid"]) == "Base"
            and subscribed["metadata"].get("labels") == {made["metadata"]["uid"]: "Subscription"}
            and subscribed["metadata"].get("finalizers") == ["apps.clusternet.io/finalizer"]
            and overriding["metadata"].get("labels") == {manifest["metadata"]["uid"]: "ConfigMap"}
            and overriding["metadata"].get("finalizers") == ["apps.clusternet.io/finalizer"]
        )

    await eventually(marked)
    await site.change(made, {"spec": {"feeds": []}})

    async def unlabelled() -> bool:
        labels = (await site.look(settings))["metadata"]["labels"]
        return made["metadata"]["uid"] not in labels and base["metadata"]["uid"] not in labels

    await eventually(unlabelled)


async def test_c3_1_feed_that_is_missing_is_named_and_the_others_are_rendered(site: PublishingSite) -> None:
    """[fix]: the reference deploys none of the feeds then."""
    cluster = await site.cluster()
    there, missing, third = (config_map(name, site.name) for name in ("there", "missing", "third"))
    await site.make(there, third)
    made = await site.make(subscription(site.name, [there, missing, third], clusters={"site": site.name}))
    assert names_of(await site.rendered(cluster)) == ["ConfigMap/there", "ConfigMap/third"]
    (base,) = await site.of(BASES, cluster)
    for obj in (base, made):
        assert (
            f"ConfigMap {site.name}/missing"
            in (await site.events_when(obj, "NonexistentConfigMap"))["NonexistentConfigMap"]
        )
    condition = await site.condition(made, "Rendered", "FeedMissing")
    assert condition["status"] == "False"
    assert f"ConfigMap {site.name}/missing" in condition["message"]
    await site.make(missing)
    await site.becomes(cluster, ["ConfigMap/there", "ConfigMap/missing", "ConfigMap/third"], names_of)
    assert (await site.condition(made, "Rendered", "Rendered"))["status"] == "True"


async def test_c3_3_feed_taken_out_of_the_subscription_leaves_the_description(site: PublishingSite) -> None:
    cluster = await site.cluster()
    first, second = config_map("first", site.name), config_map("second", site.name)
    await site.make(first, second)
    made = await site.make(subscription(site.name, [first, second], clusters={"site": site.name}))
    await site.becomes(cluster, ["ConfigMap/first", "ConfigMap/second"], names_of)
    await site.change(made, {"spec": {"feeds": [feed_of(second)]}})
    await site.becomes(cluster, ["ConfigMap/second"], names_of)
    await site.change(made, {"spec": {"feeds": []}})

    async def empty() -> bool:
        found = await site.of(DESCRIPTIONS, cluster)
        return all(one["metadata"].get("deletionTimestamp") for one in found)

    await eventually(empty, why="no Description without objects")


async def test_c3_4_deleted_subscription_takes_its_bases_and_descriptions_along(site: PublishingSite) -> None:
    one, two = await site.cluster(), await site.cluster()
    settings = config_map("settings", site.name)
    await site.make(settings)
    made = await site.make(subscription(site.name, [settings], clusters={"site": site.name}))
    for cluster in (one, two):
        await site.description(cluster)
    await site.remove(made)

    async def gone() -> bool:
        return await site.is_gone(made)

    await eventually(gone, why="the Subscription is gone")
    for cluster in (one, two):
        assert await site.of(BASES, cluster) == []
        for description in await site.of(DESCRIPTIONS, cluster):
            assert description["metadata"]["deletionTimestamp"], "only its deployer keeps it"


async def test_c3_5_protected_feed_stays_until_no_subscription_lists_it(site: PublishingSite) -> None:
    cluster = await site.cluster()
    web = deployment("web", site.name)
    await site.make(web)
    made = await site.make(subscription(site.name, [web], clusters={"site": site.name}))
    await site.description(cluster)
    await site.remove(web)

    async def explained() -> str:
        metadata = (await site.look(web))["metadata"]
        assert metadata["deletionTimestamp"]
        return metadata.get("annotations", {}).get("apps.clusternet.io/feed-protection", "")

    assert f"default/{site.name}" in await eventually(explained, why="the annotation feed-protection")
    assert names_of(await site.rendered(cluster)) == ["Deployment/web"]
    await site.change(made, {"spec": {"feeds": []}})

    async def gone() -> bool:
        return await site.is_gone(web)

    await eventually(gone, why="the Manifest is gone")


async def test_override_of_a_feed_that_is_gone_can_be_deleted(site: PublishingSite) -> None:
    cluster = await site.cluster()
    never = config_map("never", site.name)
    local = await site.make(localization("mine", cluster.namespace, never, [override("MergePatch", {"data": {}})]))

    async def marked() -> bool:
        return bool((await site.look(local))["metadata"].get("finalizers"))

    await eventually(marked)
    await site.remove(local)

    async def gone() -> bool:
        return await site.is_gone(local)

    await eventually(gone)


async def test_cluster_no_longer_bound_loses_its_base(site: PublishingSite) -> None:
    one, two = await site.cluster(), await site.cluster()
    settings = config_map("settings", site.name)
    await site.make(settings)
    made = await site.make(subscription(site.name, [settings], schedulerName="test"))
    await bind(site.parent, made, [one, two])
    await site.description(one)
    await site.description(two)
    await bind(site.parent, made, [two])

    async def left() -> bool:
        return await site.of(BASES, one) == []

    await eventually(left)
    assert len(await site.of(BASES, two)) == 1


async def test_base_and_description_that_somebody_deletes_are_made_anew(site: PublishingSite) -> None:
    cluster = await site.cluster()
    settings = config_map("settings", site.name)
    await site.make(settings)
    await site.make(subscription(site.name, [settings], clusters={"site": site.name}))
    description = await site.description(cluster)
    name = description["metadata"]["name"]
    for resource, obj in ((DESCRIPTIONS, description), (BASES, (await site.of(BASES, cluster))[0])):
        former = (await site.description(cluster))["metadata"]["uid"]
        await site.parent.delete(resource, obj["metadata"]["name"], cluster.namespace)

        async def renewed(former: str = former) -> bool:
            for one in await site.of(DESCRIPTIONS, cluster):
                if one["metadata"].get("deletionTimestamp"):  # what its deployer would do
                    patch = {"metadata": {"finalizers": []}}
                    await site.parent.patch(DESCRIPTIONS, one["metadata"]["name"], patch, cluster.namespace)
            found = await site.of(DESCRIPTIONS, cluster)
            return [one["metadata"]["name"] for one in found] == [name] and found[0]["metadata"]["uid"] != former

        await eventually(renewed, why=f"another Description after that of {resource.kind}")
    assert len(await site.of(BASES, cluster)) == 1


async def test_long_names_of_subscriptions(site: PublishingSite) -> None:
    """Names of 57 characters and more are left out of the labels; what is derived stays within 63."""
    cluster = await site.cluster()
    settings, web = config_map("settings", site.name), await site.found(chart(site.name))
    await site.make(settings)
    for length in (57, 58, 253):
        name = (site.name + "." + "x" * 253)[:length]
        made = await site.make(subscription(name, [settings, web], schedulerName="test"))
        await bind(site.parent, made, [cluster])

        async def rendered(uid: str = made["metadata"]["uid"]) -> list:
            found = await site.of(DESCRIPTIONS, cluster)
            mine = [one for one in found if one["metadata"]["labels"]["apps.clusternet.io/subs.uid"] == uid]
            return mine if len(mine) == 2 else []

        for description in await eventually(rendered, why=f"Descriptions of a name of {length} characters"):
            assert len(description["metadata"]["name"]) <= 63 + len("generic") - len("helm")
            assert "." not in description["metadata"]["name"]
        (base,) = [
            one
            for one in await site.of(BASES, cluster)
            if one["metadata"]["labels"]["apps.clusternet.io/subs.uid"] == made["metadata"]["uid"]
        ]
        assert ("apps.clusternet.io/subs.name" in base["metadata"]["labels"]) == (length <= 57)


async def test_dividing_gives_each_cluster_its_share_and_never_all_of_them(site: PublishingSite) -> None:
    """The Localization of a share is on the wire, but nothing is ever rendered without it (spec/08 item 18)."""
    one, two = await site.cluster(labels={"part": "1"}), await site.cluster(labels={"part": "2"})
    web, settings = deployment("web", site.name, 6), config_map("settings", site.name)
    await site.make(web, settings)
    seen: set[int] = set()

    def replicas(rendered: list) -> list:
        numbers = [obj["spec"]["replicas"] for obj in rendered if obj["kind"] == "Deployment"]
        seen.update(numbers)
        return numbers

    made = await site.make(
        subscription(
            site.name,
            [web, settings],
            clusters=[
                {"clusterAffinity": {"matchLabels": {"site": site.name, "part": "1"}}, "weight": 1},
                {"clusterAffinity": {"matchLabels": {"site": site.name, "part": "2"}}, "weight": 2},
            ],
            schedulingStrategy="Dividing",
            dividingScheduling={"type": "Static"},
        )
    )
    await site.becomes(one, [2], replicas)
    await site.becomes(two, [4], replicas)
    (local,) = await eventually(lambda: site.of(LOCALIZATIONS, one))
    (base,) = await site.of(BASES, one)
    assert local["metadata"]["name"].startswith(base["metadata"]["name"] + "-")
    assert local["metadata"]["labels"][made["metadata"]["uid"]] == "Subscription"
    assert local["metadata"]["labels"]["clusternet.io/created-by"] == "clusternet-controller-manager"
    assert local["metadata"]["ownerReferences"][0]["uid"] == base["metadata"]["uid"]
    assert (local["spec"]["priority"], local["spec"]["overridePolicy"]) == (1000, "ApplyNow")
    assert local["spec"]["overrides"][0]["type"] == "JSONPatch"
    await site.change(web, {"spec": {"replicas": 9}})
    await site.becomes(one, [3], replicas)
    await site.becomes(two, [6], replicas)
    assert seen <= {2, 3, 4, 6}, seen
    await site.remove(made)

    async def cleared() -> bool:
        return not await site.of(LOCALIZATIONS, one)

    await eventually(cleared, 30, "the Localizations go with their Bases")


async def test_5_mb_of_manifests(site: PublishingSite) -> None:
    """More than the store takes in one object: what fits goes on, the reason is on the Subscription."""
    cluster = await site.cluster()
    small = config_map("small", site.name)
    large = [config_map(f"large{n}", site.name, text="x" * 900_000) for n in range(6)]
    await site.make(small, *large)
    made = await site.make(subscription(site.name, [*large[:3], small, *large[3:]], clusters={"site": site.name}))
    await site.becomes(cluster, ["ConfigMap/large0", "ConfigMap/small"], names_of)

    async def every_one_is_named() -> bool:
        condition = await site.condition(made, "Rendered", "TooLarge")
        return all(f"ConfigMap {site.name}/large{n} doesn't fit" in condition["message"] for n in range(1, 6))

    await eventually(every_one_is_named, why="every feed that doesn't fit is named")
