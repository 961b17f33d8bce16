"""Overrides: which apply, in what order, when, and what becomes of those that fail; on clusters without agents."""

import asyncio
import json

import pytest
from clusternet_engine.kube.resources import DESCRIPTIONS, HELM_RELEASES, MANAGED_CLUSTERS, Object
from hub_site import eventually
from publishing import (
    FakeCluster,
    chart,
    config_map,
    deployment,
    feed_of,
    globalization,
    localization,
    override,
    subscription,
)
from publishing_site import PublishingSite, contents, names_of


@pytest.fixture
def site(publishing: PublishingSite) -> PublishingSite:
    """What one test publishes."""
    return publishing


def data(rendered: list[Object]) -> list[Object]:
    """Return the data of ConfigMaps."""
    return [obj.get("data") or {} for obj in rendered]


async def only_release(site: PublishingSite, cluster: FakeCluster) -> Object:
    """Return the only HelmRelease of a cluster, as soon as there is one."""
    (release,) = await eventually(lambda: site.of(HELM_RELEASES, cluster), 15)
    return release


def values_of(release: Object) -> Object:
    """Return the values of a HelmRelease."""
    return contents({"spec": {"raw": [release["spec"].get("overrides", "")]}}, "raw")[0]


async def test_a2_globalizations(site: PublishingSite) -> None:
    elsewhere, area = await site.cluster(), await site.cluster(name=f"area1-{site.name[:8]}")
    mysql = await site.found(chart(site.name, chart="mysql", version="9.2.0", targetNamespace="abc"))
    web = deployment("web", site.name, 3)
    await site.make(web)
    names = {
        "matchExpressions": [{"key": "clusters.clusternet.io/cluster-name", "operator": "In", "values": [area.name]}]
    }
    labels = {"some-label": "some-value", "another-label": "another-value"}
    later = {"overridePolicy": "ApplyLater", "priority": 600}
    await site.make(
        globalization(
            f"{site.name}-chart",
            mysql,
            [
                override("Helm", "commonLabels:\n  some: label\n"),
                override("Helm", '{"primary": {"persistence": {"enabled": false}}}'),
                override("Helm", {"spec": {"version": "9.1.0"}, "metadata": {"labels": labels}}, overrideChart=True),
            ],
            **later,
        ),
        globalization(
            f"{site.name}-web",
            web,
            [
                override("MergePatch", {"metadata": {"labels": labels}}),
                override("JSONPatch", [{"op": "remove", "path": "/metadata/labels/another-label"}]),
            ],
            clusterAffinity=names,
            **later,
        ),
    )
    made = await site.make(subscription(site.name, [mysql, web], clusters={"site": site.name}))
    for cluster in (elsewhere, area):
        release = await only_release(site, cluster)
        assert release["spec"]["version"] == "9.1.0"
        assert release["metadata"]["labels"].items() >= labels.items()
        values = values_of(release)
        assert values == {"commonLabels": {"some": "label"}, "primary": {"persistence": {"enabled": False}}}
    assert "some-label" not in (await site.rendered(elsewhere))[0]["metadata"]["labels"]
    here = (await site.rendered(area))[0]["metadata"]["labels"]
    assert (here["some-label"], "another-label" in here) == ("some-value", False)

    # Created after deployment nothing changes until the feed does.
    await site.make(
        globalization(
            f"{site.name}-late", web, [override("MergePatch", {"metadata": {"labels": {"late": "1"}}})], **later
        )
    )
    marker = await site.make(localization("now", elsewhere.namespace, mysql, [override("Helm", {"now": 1})]))
    assert marker

    async def marked() -> bool:
        return values_of(await only_release(site, elsewhere)).get("now") == 1

    await eventually(marked)
    assert "late" not in (await site.rendered(area))[0]["metadata"]["labels"]
    await site.change(web, {"spec": {"paused": True}})
    await site.becomes(area, "1", lambda rendered: rendered[0]["metadata"]["labels"].get("late"))
    assert (
        made["metadata"]["uid"] == (await only_release(site, area))["metadata"]["labels"]["apps.clusternet.io/subs.uid"]
    )


async def test_a3_localizations(site: PublishingSite) -> None:
    cluster = await site.cluster()
    mysql = await site.found(chart(site.name, chart="mysql", version="9.2.0", targetNamespace="abc"))
    web = deployment("web", site.name, 2)
    web["metadata"]["annotations"] = {"old": "gone"}
    await site.make(web)
    tag = "8.0.26-debian-10-r39"
    await site.make(
        globalization(
            f"{site.name}-chart", mysql, [override("Helm", {"spec": {"version": "9.1.0"}}, overrideChart=True)]
        ),
        localization(
            "mysql",
            cluster.namespace,
            mysql,
            [
                override(
                    "Helm", {"spec": {"version": "9.1.8"}, "metadata": {"labels": {"a": "b-2"}}}, overrideChart=True
                ),
                override("Helm", {"image": {"tag": tag}}),
                override("Helm", {"auth": {"database": "mine"}}),
            ],
        ),
        localization(
            "high",
            cluster.namespace,
            web,
            [
                override(
                    "JSONPatch",
                    [
                        {"op": "replace", "path": "/spec/replicas", "value": 3},
                        {"op": "replace", "path": "/metadata/annotations", "value": {"foo": "bar"}},
                    ],
                ),
                override(
                    "JSONPatch",
                    [
                        {"op": "replace", "path": "/spec/template/spec/containers/0/name", "value": "nginx-container"},
                        {
                            "op": "replace",
                            "path": "/spec/template/spec/containers/0/image",
                            "value": "nginx:1.14.0-alpine",
                        },
                        {
                            "op": "add",
                            "path": "/spec/template/spec/containers/1",
                            "value": {"name": "redis-container", "image": "redis:6.2.5"},
                        },
                    ],
                ),
            ],
            priority=600,
        ),
        localization(
            "low",
            cluster.namespace,
            web,
            [override("MergePatch", {"metadata": {"labels": {"deployed-in-cluster": "x"}}, "spec": {"replicas": 1}})],
            priority=300,
        ),
    )
    await site.make(subscription(site.name, [mysql, web], clusters={"site": site.name}))
    release = await only_release(site, cluster)
    assert release["spec"]["version"] == "9.1.8"
    assert (release["spec"]["chart"], release["spec"]["releaseName"]) == ("mysql", site.name)
    assert release["metadata"]["labels"]["a"] == "b-2"
    assert values_of(release) == {"image": {"tag": tag}, "auth": {"database": "mine"}}
    (rendered,) = await site.rendered(cluster)
    assert rendered["spec"]["replicas"] == 3
    assert rendered["metadata"]["annotations"] == {"foo": "bar"}
    assert rendered["metadata"]["labels"]["deployed-in-cluster"] == "x"
    containers = rendered["spec"]["template"]["spec"]["containers"]
    assert [(one["name"], one["image"]) for one in containers] == [
        ("nginx-container", "nginx:1.14.0-alpine"),
        ("redis-container", "redis:6.2.5"),
    ]


async def test_a7_field_patch(site: PublishingSite) -> None:
    west, east = await site.cluster(labels={"area": "west"}), await site.cluster()
    original = {"db_address": "remote:3306", "zone_id": "zone-0", "region_id": "none", "kept": True}
    settings = config_map("server-conf", site.name, **{"server.conf": json.dumps(original)})
    await site.make(settings)
    wanted = {"db_address": "local:3306", "region_id": "us-west-1", "zone_id": "zone-1"}
    patch = override("FieldMergePatch", wanted, fieldPath="/data/server.conf", fieldFormat="JSON")
    await site.make(globalization(site.name, settings, [patch], clusterAffinity={"matchLabels": {"area": "west"}}))
    await site.make(subscription(site.name, [settings], clusters={"site": site.name}))
    assert data(await site.rendered(east)) == [{"server.conf": json.dumps(original)}]
    expected = json.dumps(original | wanted, indent=4, sort_keys=True)
    assert data(await site.rendered(west)) == [{"server.conf": expected}]

    # The labels of a cluster decide anew at any time.
    metadata = {"metadata": {"labels": {"area": "west"}}}
    await site.parent.patch(MANAGED_CLUSTERS, east.name, metadata, east.namespace)
    await site.becomes(east, [{"server.conf": expected}], data)


async def test_apply_now_is_rendered_at_once_when_made_changed_and_deleted(site: PublishingSite) -> None:
    one, two = await site.cluster(), await site.cluster()
    settings = config_map("settings", site.name, a="1")
    await site.make(settings)
    await site.make(subscription(site.name, [settings], clusters={"site": site.name}))
    await site.becomes(one, [{"a": "1"}], data)
    local = await site.make(
        localization("mine", one.namespace, settings, [override("MergePatch", {"data": {"y": "2"}})])
    )
    await site.becomes(one, [{"a": "1", "y": "2"}], data)
    await site.change(local, {"spec": {"overrides": [override("MergePatch", {"data": {"y": "3"}})]}})
    await site.becomes(one, [{"a": "1", "y": "3"}], data)
    everywhere = await site.make(
        globalization(site.name, settings, [override("MergePatch", {"data": {"y": "0", "z": "9"}})])
    )
    await site.becomes(two, [{"a": "1", "y": "0", "z": "9"}], data)
    await site.becomes(one, [{"a": "1", "y": "3", "z": "9"}], data)
    await site.remove(local)
    await site.remove(everywhere)
    for cluster in (one, two):
        await site.becomes(cluster, [{"a": "1"}], data)


async def test_c3_14_override_created_before_its_chart_is_effective(site: PublishingSite) -> None:
    """[fix]: never in the reference."""
    cluster = await site.cluster()
    web = chart(site.name)
    await site.make(localization("early", cluster.namespace, web, [override("Helm", {"early": True})]))
    await site.make(subscription(site.name, [web], clusters={"site": site.name}))
    await site.found(web)
    assert values_of(await only_release(site, cluster)) == {"early": True}


async def test_overrides_still_match_a_feed_made_anew(site: PublishingSite) -> None:
    """[fix]: in the reference they are bound to the UID of the feed (spec/03 §7.1)."""
    cluster = await site.cluster()
    settings = config_map("settings", site.name, a="1")
    await site.make(
        settings, localization("mine", cluster.namespace, settings, [override("MergePatch", {"data": {"b": "2"}})])
    )
    await site.remove(settings)

    async def gone() -> bool:
        return await site.is_gone(settings)

    await eventually(gone)
    await site.make(settings)
    await site.make(subscription(site.name, [settings], clusters={"site": site.name}))
    await site.becomes(cluster, [{"a": "1", "b": "2"}], data)


async def test_failing_override_is_reported_and_spares_the_other_feeds(site: PublishingSite) -> None:
    """B5.6 [fix]: a missing path is no silence. The faulty feed stays as it was; it isn't pruned."""
    faulty, other = await site.cluster(), await site.cluster()
    settings, second = config_map("settings", site.name, a="1"), config_map("second", site.name, a="1")
    await site.make(settings, second)
    made = await site.make(subscription(site.name, [settings, second], clusters={"site": site.name}))
    for cluster in (faulty, other):
        await site.becomes(cluster, [{"a": "1"}, {"a": "1"}], data)
    bad = await site.make(
        localization(
            "bad", faulty.namespace, settings, [override("JSONPatch", [{"op": "remove", "path": "/data/nothing"}])]
        )
    )
    events = await site.events_when(made, "FailedApplyingOverrides")
    assert f"Localization {faulty.namespace}/bad" in events["FailedApplyingOverrides"]
    await site.change(settings, {"data": {"a": "2"}})
    await site.change(second, {"data": {"a": "2"}})
    await site.becomes(faulty, [{"a": "1"}, {"a": "2"}], data)
    await site.becomes(other, [{"a": "2"}, {"a": "2"}], data)
    condition = await site.condition(made, "Rendered", "OverrideFailed")
    assert f"Localization {faulty.namespace}/bad" in condition["message"]
    await site.change(bad, {"spec": {"overrides": [override("MergePatch", {"data": {"b": "3"}})]}})
    await site.becomes(faulty, [{"a": "2", "b": "3"}, {"a": "2"}], data)
    await site.condition(made, "Rendered", "Rendered")


async def test_chart_that_is_not_found_spares_the_other_feeds(site: PublishingSite) -> None:
    cluster = await site.cluster()
    settings, lost = config_map("settings", site.name, a="1"), chart(site.name)
    await site.make(settings)
    stored = await site.found(lost, "NotFound")
    made = await site.make(subscription(site.name, [lost, settings], clusters={"site": site.name}))
    assert names_of(await site.rendered(cluster)) == ["ConfigMap/settings"]
    condition = await site.condition(made, "Rendered", "HelmChartNotFound")
    assert f"HelmChart default/{site.name}" in condition["message"]
    assert "as the test says" in condition["message"]
    assert "HelmChartNotFound" in await site.events_when(made, "HelmChartNotFound")
    await site.set_phase(stored, "Found")
    await only_release(site, cluster)


async def test_chart_taken_out_and_whole_subscription_deleted(site: PublishingSite) -> None:
    """HelmReleases go when their chart does, and with the Subscription; the Description of charts waits for them."""
    cluster = await site.cluster()
    first, second = await site.found(chart(site.name)), await site.found(chart(f"{site.name}-b"))
    made = await site.make(subscription(site.name, [first, second], clusters={"site": site.name}))

    async def releases() -> list[str]:
        return sorted(one["spec"]["releaseName"] for one in await site.of(HELM_RELEASES, cluster) if is_live(one))

    def is_live(obj: Object) -> bool:
        return not obj["metadata"].get("deletionTimestamp")

    async def both() -> bool:
        return await releases() == [site.name, f"{site.name}-b"]

    async def one_left() -> bool:
        return await releases() == [site.name]

    async def none_left() -> bool:
        return await releases() == []

    await eventually(both)
    await site.change(made, {"spec": {"feeds": [feed_of(first)]}})
    await eventually(one_left)
    description = await site.description(cluster, "Helm")
    assert [one["name"] for one in description["spec"]["charts"]] == [site.name]
    await site.remove(made)
    await eventually(none_left)
    description = await site.description(cluster, "Helm")
    assert description["metadata"]["finalizers"], "it waits for the releases"
    for release in await site.of(HELM_RELEASES, cluster):
        patch = {"metadata": {"finalizers": []}}
        await site.parent.patch(HELM_RELEASES, release["metadata"]["name"], patch, cluster.namespace)

    async def gone() -> bool:
        return await site.of(DESCRIPTIONS, cluster) == []

    await eventually(gone)


async def test_c3_16_name_of_53_to_57_characters_with_a_chart(site: PublishingSite) -> None:
    """[fix]: the reference's HelmRelease is refused for a label that is too long."""
    cluster = await site.cluster()
    web = await site.found(chart(site.name))
    name = (site.name + "-" + "x" * 60)[:57]
    await site.make(subscription(name, [web], clusters={"site": site.name}))
    release = await only_release(site, cluster)
    labels = release["metadata"]["labels"]
    assert labels["apps.clusternet.io/config.name"] == (await site.description(cluster, "Helm"))["metadata"]["name"]
    assert labels["apps.clusternet.io/config.kind"] == "Description"
    assert labels["apps.clusternet.io/subs.name"] == ""
    assert release["metadata"]["name"] == f"{labels['apps.clusternet.io/config.name']}-default-{site.name}"


async def test_many_overrides_at_once(site: PublishingSite) -> None:
    """Whatever the order in which they arrive, the result is the same."""
    cluster = await site.cluster()
    settings = config_map("settings", site.name)
    await site.make(settings)
    await site.make(subscription(site.name, [settings], clusters={"site": site.name}))
    await asyncio.gather(
        *(
            site.make(
                localization(
                    f"l{n}",
                    cluster.namespace,
                    settings,
                    [override("MergePatch", {"data": {"last": str(n), f"key{n}": "x"}})],
                    priority=n,
                )
            )
            for n in range(20)
        )
    )
    await site.becomes(cluster, [{"last": "19", **{f"key{n}": "x" for n in range(20)}}], data)
