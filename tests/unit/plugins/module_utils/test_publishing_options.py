"""From the options of the modules to Subscriptions, HelmCharts and overrides."""

import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.clusternet.core.plugins.module_utils import constants, helm_chart, overrides, subscription
from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError
from ansible_collections.clusternet.core.plugins.module_utils.feeds import feed

CRDS = Path(__file__).parents[4] / "roles" / "hub" / "files" / "crds"
CHART_FEED = {"kind": "HelmChart", "namespace": "default", "name": "mysql"}
DEPLOYMENT_FEED = {"api_version": "apps/v1", "kind": "Deployment", "namespace": "foo", "name": "my-nginx"}


def given(arguments, **options):
    """Suboptions as Ansible hands them over: all of them, with defaults."""
    return {name: argument.get("default") for name, argument in arguments.items()} | options


def a_subscription(**options):
    base = {"name": "app", "subscribers": [{"cluster_affinity": {}}], "feeds": [CHART_FEED]}
    return given(subscription.SUBSCRIPTION_ARGUMENTS, **{**base, **options})


def an_override(**options):
    argument = overrides.LOCALIZATION_ARGUMENTS["overrides"]["options"]
    return given(argument, **options)


def a_localization(*entries, **options):
    base = {"name": "l", "namespace": "ns", "feed": CHART_FEED, "overrides": list(entries)}
    return given(overrides.LOCALIZATION_ARGUMENTS, **{**base, **options})


def schema(plural):
    document = yaml.safe_load((CRDS / f"apps.clusternet.io_{plural}.yaml").read_text())
    return document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


def test_a_subscription_has_every_default_of_the_server():
    spec = subscription.subscription("o", a_subscription())["spec"]
    properties = schema("subscriptions")
    for field, described in properties.items():
        if "default" in described:
            assert spec[field] == described["default"], field
    assert set(spec) <= set(properties)
    assert spec["feeds"] == [{"apiVersion": constants.APPS_API_VERSION, **CHART_FEED}]
    assert spec["subscribers"] == [{"clusterAffinity": {}}]


def test_every_field_of_a_subscription_has_an_option():
    spec = subscription.subscription(
        "o",
        a_subscription(
            scheduling_strategy="Dividing",
            scheduling_by_sub_group=True,
            priority=7,
            dividing_scheduling={
                "type": "Dynamic",
                "dynamic_dividing": {
                    "strategy": "Spread",
                    "topology_spread_constraints": [{"maxSkew": 1}],
                    "preferred_clusters": [{"weight": 1}],
                    "min_clusters": 1,
                    "max_clusters": 2,
                },
            },
            subscribers=[
                {
                    "cluster_affinity": {
                        "match_labels": {"a": "b"},
                        "match_expressions": [{"key": "c", "operator": "In", "values": ["d"]}],
                    },
                    "weight": 2,
                    "sub_group_strategy": {"min_clusters": 1},
                }
            ],
            cluster_tolerations=[
                {"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule", "toleration_seconds": 1}
            ],
        ),
    )["spec"]
    assert set(spec) == set(schema("subscriptions"))
    dynamic = schema("subscriptions")["dividingScheduling"]["properties"]["dynamicDividing"]["properties"]
    assert set(spec["dividingScheduling"]["dynamicDividing"]) == set(dynamic)
    assert spec["subscribers"] == [
        {
            "clusterAffinity": {
                "matchLabels": {"a": "b"},
                "matchExpressions": [{"key": "c", "operator": "In", "values": ["d"]}],
            },
            "weight": 2,
            "subGroupStrategy": {"minClusters": 1},
        }
    ]
    assert set(spec["clusterTolerations"][0]) == {"key", "operator", "value", "effect", "tolerationSeconds"}


def test_dividing_is_static_and_dynamic_spreads_unless_said_otherwise():
    static = subscription.subscription("o", a_subscription(scheduling_strategy="Dividing"))
    assert static["spec"]["dividingScheduling"] == {"type": "Static"}
    dynamic = a_subscription(scheduling_strategy="Dividing", dividing_scheduling={"type": "Dynamic"})
    assert subscription.subscription("o", dynamic)["spec"]["dividingScheduling"] == {
        "type": "Dynamic",
        "dynamicDividing": {"strategy": "Spread"},
    }


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"feeds": None}, "needs feeds"),
        ({"subscribers": []}, "needs subscribers"),
        ({"feeds": [CHART_FEED, CHART_FEED]}, "twice"),
        ({"feeds": [{"kind": "HelmChart", "name": "mysql"}]}, "namespace of the chart"),
        ({"feeds": [{"kind": "Deployment", "namespace": "a", "name": "b"}]}, "api_version"),
        ({"dividing_scheduling": {"type": "Static"}}, "scheduling_strategy Dividing"),
        (
            {
                "scheduling_strategy": "Dividing",
                "dividing_scheduling": {"type": "Static", "dynamic_dividing": {"strategy": "Spread"}},
            },
            "type Dynamic",
        ),
        ({"scheduling_by_sub_group": True}, "sub_group_strategy"),
        ({"subscribers": [{"cluster_affinity": {}, "weight": -1}]}, "negative"),
        (
            {"subscribers": [{"cluster_affinity": {"match_expressions": [{"key": "a", "operator": "In"}]}}]},
            "needs values",
        ),
        (
            {
                "subscribers": [
                    {"cluster_affinity": {"match_expressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}
                ]
            },
            "takes no values",
        ),
        ({"name": "Upper"}, "lower-case"),
        ({"namespace": "a/b"}, "namespace|lower-case"),
    ],
)
def test_what_no_subscription_can_be(options, why):
    with pytest.raises(ConfigError, match=why) as raised:
        subscription.subscription("subscriptions", a_subscription(**options))
    assert raised.value.option == "subscriptions"


def test_a_chart_has_every_default_and_field_of_the_api():
    everything = {name: True for name, argument in helm_chart.CHART_ARGUMENTS.items() if argument["type"] == "bool"}
    chart = helm_chart.helm_chart(
        "o",
        given(
            helm_chart.CHART_ARGUMENTS,
            name="mysql",
            repo="https://charts.example.com",
            chart="mysql",
            version="9.2.0",
            target_namespace="abc",
            pull_secret={"name": "s", "namespace": "default"},
            **everything,
        ),
    )
    assert set(chart["spec"]) == set(schema("helmcharts"))
    plain = given(
        helm_chart.CHART_ARGUMENTS, name="mysql", repo="https://charts.example.com", chart="m", target_namespace="abc"
    )
    assert helm_chart.helm_chart("o", plain)["spec"] == {
        "repo": "https://charts.example.com",
        "chart": "m",
        "targetNamespace": "abc",
        **{field: item["default"] for field, item in schema("helmcharts").items() if "default" in item},
    }


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"repo": None}, "needs repo"),
        ({"repo": "ftp://x"}, "must begin with"),
        ({"repo": "oci://x", "version": None}, "needs version"),
        ({"name": "n" * 64}, "1 to 63"),
    ],
)
def test_what_no_chart_can_be(options, why):
    base = {"name": "m", "repo": "https://x", "chart": "m", "version": "1.0.0", "target_namespace": "n"}
    with pytest.raises(ConfigError, match=why):
        helm_chart.helm_chart("charts", given(helm_chart.CHART_ARGUMENTS, **{**base, **options}))


def test_values_may_be_data_or_text():
    data = {"y": "y", "nothing": None, "umlaut": "ü", "a": {"b": [1, True]}}
    entries = overrides.localization(
        "o",
        a_localization(
            an_override(type="Helm", value=data),
            an_override(type="MergePatch", value="a: 1\n"),
            an_override(type="JSONPatch", value=[{"op": "remove", "path": "/a"}]),
            an_override(type="Helm", value={"spec": {"version": "9.1.8"}}, override_chart=True, name="version"),
        ),
    )["spec"]["overrides"]
    assert json.loads(entries[0]["value"]) == data
    assert entries[1]["value"] == "a: 1\n"
    assert json.loads(entries[2]["value"]) == [{"op": "remove", "path": "/a"}]
    assert entries[3] == {
        "name": "version",
        "type": "Helm",
        "value": '{"spec": {"version": "9.1.8"}}',
        "overrideChart": True,
    }


def test_overrides_have_the_fields_of_the_api():
    entry = an_override(type="FieldMergePatch", value={"a": 1}, field_path="/data/a", field_format="JSON", name="n")
    found = overrides.localization("o", a_localization(entry, feed=DEPLOYMENT_FEED))
    assert set(found["spec"]) == set(schema("localizations"))
    assert found["spec"]["overridePolicy"] == "ApplyNow"
    fields = set(schema("localizations")["overrides"]["items"]["properties"])
    assert set(found["spec"]["overrides"][0]) == fields - {"overrideChart"}
    given_global = given(
        overrides.GLOBALIZATION_ARGUMENTS,
        name="g",
        feed=CHART_FEED,
        cluster_affinity={"match_labels": {"a": "b"}},
    )
    found = overrides.globalization("o", given_global)
    assert set(found["spec"]) == set(schema("globalizations"))
    assert found["metadata"] == {"name": "g"}


@pytest.mark.parametrize(
    ("options", "entry", "why"),
    [
        ({"feed": None}, {}, "needs the feed"),
        ({"priority": 1001}, {}, "from 0 to 1000"),
        ({}, {"type": "FieldMergePatch", "value": {}}, "needs field_path and field_format"),
        ({}, {"type": "FieldMergePatch", "value": {}, "field_path": "a", "field_format": "YAML"}, "slash"),
        ({}, {"type": "Helm", "value": {}, "field_path": "/a"}, "only Field types"),
        ({}, {"type": "Helm", "value": []}, "must be a mapping or text"),
        ({}, {"type": "JSONPatch", "value": {}}, "must be a list of operations or text"),
        ({"feed": DEPLOYMENT_FEED}, {"type": "Helm", "value": {}, "override_chart": True}, "no HelmChart"),
    ],
)
def test_what_no_override_can_be(options, entry, why):
    entries = [an_override(**entry)] if entry else []
    with pytest.raises(ConfigError, match=why):
        overrides.localization("localizations", a_localization(*entries, **options))


def test_choices_are_those_of_the_crds():
    properties = schema("localizations")
    entry = properties["overrides"]["items"]["properties"]
    assert list(constants.OVERRIDE_TYPES) == entry["type"]["enum"]
    assert list(constants.FIELD_FORMATS) == entry["fieldFormat"]["enum"]
    assert list(constants.OVERRIDE_POLICIES) == properties["overridePolicy"]["enum"]
    properties = schema("subscriptions")
    assert list(constants.SCHEDULING_STRATEGIES) == properties["schedulingStrategy"]["enum"]
    assert list(constants.PREEMPTION_POLICIES) == properties["preemptionPolicy"]["enum"]
    dividing = properties["dividingScheduling"]["properties"]
    assert list(constants.DIVIDING_TYPES) == dividing["type"]["enum"]
    assert list(constants.DYNAMIC_STRATEGIES) == dividing["dynamicDividing"]["properties"]["strategy"]["enum"]


def test_the_version_of_a_chart_feed_need_not_be_given():
    assert feed("o", CHART_FEED)["apiVersion"] == constants.APPS_API_VERSION
    assert feed("o", {**CHART_FEED, "api_version": "x/v1"})["apiVersion"] == "x/v1"


@pytest.mark.parametrize(
    ("status", "phase", "why"),
    [
        ({}, None, None),
        ({"phase": "Found"}, "Found", None),
        ({"phase": "Found", "observedGeneration": 1}, None, None),
        ({"phase": "NotFound", "reason": "no such version"}, "NotFound", "chart m 1.0.0 is not in https://x: no such"),
        ({"phase": "NotFound", "observedGeneration": 2}, "NotFound", "no reason given"),
    ],
)
def test_what_the_hub_says_of_a_chart(status, phase, why):
    chart = {"metadata": {"generation": 2}, "spec": {"chart": "m", "version": "1.0.0", "repo": "https://x"}}
    chart["status"] = status
    assert helm_chart.verdict(chart) == phase
    found = helm_chart.not_found(chart)
    assert found is None if why is None else why in found
