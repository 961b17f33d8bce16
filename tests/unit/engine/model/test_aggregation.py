"""What a Subscription's status tells of publishing."""

import base64
from datetime import UTC, datetime

import orjson
import pytest
from arbitrary import json_objects, json_values
from clusternet_engine.kube.decoding import encode
from clusternet_engine.model import aggregation
from clusternet_engine.model import constants as names
from clusternet_engine.model.aggregation import ClusterState, aggregate, parts_of
from clusternet_engine.model.bases import build_base
from clusternet_engine.model.descriptions import build_generic, build_helm
from clusternet_engine.model.feeds import feed_reference
from clusternet_engine.model.releases import wanted_releases
from clusternet_engine.model.rendering import render, source_references
from hypothesis import given
from hypothesis import strategies as st
from publishing import chart, config_map, deployment, feed_of, manifest_of, native_namespace, subscription

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FOUND = {"status": {"phase": "Found"}}


def native(kind, api_version="apps/v1", **spec):
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "default"}, "spec": spec}


class Fleet:
    """A Subscription with everything made of it, as if deployed."""

    def __init__(self, *objects, clusters=("one", "two")):
        self.objects = list(objects)
        made = subscription("app", objects)
        self.subscription = {
            **made,
            "metadata": {**made["metadata"], "uid": "s", "generation": 3},
            "status": {"bindingClusters": [f"ns-{name}/{name}" for name in clusters]},
        }
        self.states = [self.state(name) for name in clusters]

    def find(self, feed):
        sources = [obj if obj["kind"] == "HelmChart" else manifest_of(obj) for obj in self.objects]
        return [source for source in sources if feed_reference(feed) in source_references(source)]

    def state(self, name):
        base = build_base(self.subscription, f"app-{name}", f"ns-{name}", {})
        base["metadata"]["uid"] = f"base-{name}"
        rendering = render(base["spec"]["feeds"], self.find, [], [], [])
        descriptions, releases = [], {}
        if rendering.generic:
            descriptions.append(build_generic(base, rendering, None).description)
        if rendering.charts:
            helm = build_helm(base, rendering, None).description
            helm["metadata"]["uid"] = f"helm-{name}"
            descriptions.append(helm)
            for release in wanted_releases(helm):
                release["metadata"]["generation"] = 1
                release["status"] = {"phase": "deployed", "observedGeneration": 1}
                releases[release["metadata"]["name"]] = release
        for description in descriptions:
            description["metadata"]["generation"] = 2
            description["status"] = {"phase": "Success", "observedGeneration": 2}
        cluster = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        return ClusterState(name, f"id-{name}", cluster, base, descriptions, releases)

    def observe(self, index, status, phase="Success"):
        """Let an agent report the status of every native object of a cluster."""
        for description in self.states[index].descriptions:
            description["status"] |= {
                "phase": phase,
                "manifestStatuses": [
                    {
                        **dict(zip(("apiVersion", "kind", "namespace", "name"), part.key, strict=True)),
                        "observedStatus": status,
                    }
                    for part in parts_of(description)
                ],
            }

    def judge(self, **status):
        self.subscription["status"] |= status
        return aggregate(self.subscription, self.states, self.find, NOW)

    def says(self, kind):
        """Return status, reason and message of a condition."""
        (condition,) = (one for one in self.judge()["conditions"] if one["type"] == kind)
        assert condition["observedGeneration"] == 3
        return condition["status"], condition["reason"], condition["message"]


def test_all_is_well():
    fleet = Fleet(config_map("a"), {**chart("web"), **FOUND})
    status = fleet.judge()
    assert status["completedReleases"] == 2
    assert fleet.says("Rendered") == ("True", "Rendered", "All feeds are rendered for 2 clusters.")
    assert fleet.says("Deployed") == ("True", "Deployed", "All feeds are deployed to 2 clusters.")
    assert status["aggregatedStatuses"][0] == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "namespace": "default",
        "name": "a",
        "feedStatusSummary": {"available": True},
        "feedStatusDetails": [
            {"clusterName": "one", "clusterId": "id-one", "available": True},
            {"clusterName": "two", "clusterId": "id-two", "available": True},
        ],
    }
    assert status["aggregatedStatuses"][1]["feedStatusSummary"] == {"available": True}
    assert Fleet(config_map("a"), clusters=["one"]).says("Deployed")[2] == "All feeds are deployed to 1 cluster."


@pytest.mark.parametrize("status", ["True", "False"])
def test_what_others_undo_is_told(status):
    fleet = Fleet(config_map("a"))
    condition = {"type": "Contested", "status": status, "message": "ConfigMap a: .data.x\nis set by mesh."}
    fleet.states[1].descriptions[0]["status"]["conditions"] = [condition]
    told = " Others undo it: two: ConfigMap a: .data.x is set by mesh." if status == "True" else ""
    message = f"All feeds are deployed to 2 clusters.{told}"
    assert fleet.says("Deployed") == ("True", "Deployed", message)


def test_too_early():
    fleet = Fleet(config_map("a"))
    fleet.subscription["status"]["specHash"] = 1
    assert fleet.says("Rendered")[:2] == fleet.says("Deployed")[:2] == ("False", "NotScheduled")
    nowhere = Fleet(config_map("a"), clusters=())
    assert nowhere.says("Rendered")[:2] == nowhere.says("Deployed")[:2] == ("False", "NoClusters")
    assert nowhere.judge()["completedReleases"] == 0
    del nowhere.subscription["status"]
    assert len(aggregate(nowhere.subscription, [], nowhere.find, NOW)["conditions"]) == 2
    nowhere.subscription["status"] = {}
    assert nowhere.judge()["aggregatedStatuses"][0]["feedStatusSummary"] == {"available": False}


def test_a_missing_feed():
    fleet = Fleet(config_map("a"), config_map("b"))
    fleet.objects.pop()
    status, reason, message = fleet.says("Rendered")
    assert (status, reason) == ("False", "FeedMissing")
    assert "ConfigMap default/b doesn't exist" in message
    assert fleet.says("Deployed")[1] == "NotRendered"
    assert fleet.judge()["completedReleases"] == 0


def test_what_is_not_rendered_yet():
    for spoil in (
        lambda state: setattr(state, "base", None),
        lambda state: setattr(state, "descriptions", []),
        lambda state: state.base["spec"].update(feeds=[]),
        lambda state: state.descriptions[0]["metadata"]["annotations"].update(
            {names.RENDERED_FEEDS_ANNOTATION: '["v1/ConfigMap/default/old"]'}
        ),
    ):
        fleet = Fleet(config_map("a"))
        spoil(fleet.states[1])
        assert fleet.says("Rendered") == ("False", "Rendering", "Not yet rendered for two.")
        assert fleet.says("Deployed") == ("False", "Deploying", "Not yet deployed to two.")
        assert fleet.judge()["completedReleases"] == 1


def test_overrides_that_failed():
    fleet = Fleet(config_map("a"))
    for state in fleet.states:
        note = '[{"reason": "OverrideFailed", "message": "it broke."}]'
        state.base["metadata"]["annotations"] = {names.RENDERING_PROBLEMS_ANNOTATION: note}
    assert fleet.says("Rendered") == ("False", "OverrideFailed", "it broke.")
    assert fleet.judge()["completedReleases"] == 0
    assert fleet.says("Deployed")[:2] == ("False", "NotRendered")


@pytest.mark.parametrize(
    ("status", "deployed", "reason", "message"),
    [
        ({"phase": "Success"}, "True", "Deployed", "2 clusters"),
        ({"phase": "Success", "observedGeneration": 1}, "False", "Deploying", "two"),
        ({"phase": "Failure", "observedGeneration": 1, "reason": "old"}, "False", "Deploying", "two"),
        ({"phase": "Failure", "observedGeneration": 2, "reason": "no room"}, "False", "DeployFailed", "two: no room"),
        ({"phase": "Failure"}, "False", "DeployFailed", "two: no reason was given"),
        ({"phase": "Installing"}, "False", "Deploying", "two"),
        ({}, "False", "Deploying", "two"),
        (None, "False", "Deploying", "two"),
    ],
)
def test_phases_of_descriptions(status, deployed, reason, message):
    fleet = Fleet(config_map("a"))
    fleet.states[1].descriptions[0]["status"] = status
    assert fleet.says("Deployed")[:2] == (deployed, reason)
    assert message in fleet.says("Deployed")[2]
    assert fleet.judge()["completedReleases"] == (2 if deployed == "True" else 1)
    assert fleet.says("Rendered")[0] == "True"


def test_lost_clusters_are_named_only_where_something_is_open():
    fleet = Fleet(config_map("a"))
    for cluster in (None, {}, {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}):
        fleet.states[1].cluster = cluster
        assert fleet.says("Deployed")[1] == "Deployed"
    fleet.states[1].descriptions[0]["status"] = {}
    assert fleet.says("Deployed") == ("False", "ClusterLost", "Not Ready, so what they have isn't known: two.")


def test_messages_name_a_few():
    fleet = Fleet(config_map("a"), clusters=[f"c{n}" for n in range(8)])
    for state in fleet.states:
        state.descriptions[0]["status"] = {"phase": "Failure", "reason": "x" * 2000}
    status, reason, message = fleet.says("Deployed")
    assert (status, reason) == ("False", "DeployFailed")
    assert message.startswith("c0: xxx")
    assert all(len(part) < 520 for part in message.split("; ")), "one cluster's words leave room for the others"
    for state in fleet.states:
        state.descriptions[0]["status"] = {}
    assert fleet.says("Deployed")[2] == "Not yet deployed to c0, c1, c2, c3, c4 and 3 more."


def test_transitions():
    fleet = Fleet(config_map("a"))
    since = "2025-01-01T00:00:00Z"
    before = [
        {"type": "Deployed", "status": "True", "lastTransitionTime": since},
        {"type": "Rendered", "status": "False", "lastTransitionTime": since},
    ]
    rendered, deployed = fleet.judge(conditions=before)["conditions"]
    assert deployed["lastTransitionTime"] == since
    assert rendered["lastTransitionTime"] == "2026-01-01T00:00:00Z"


def test_replicas_are_summed_up():
    fleet = Fleet(deployment("web", replicas=3))
    full = {"observedGeneration": 4, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
    fleet.observe(0, {**full, "conditions": [], "collisionCount": 1})
    fleet.observe(1, {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "unavailableReplicas": 3})
    (web,) = fleet.judge()["aggregatedStatuses"]
    assert web["feedStatusSummary"] == {
        "available": False,
        "replicaStatus": {
            "replicas": 6,
            "updatedReplicas": 6,
            "readyReplicas": 3,
            "availableReplicas": 3,
            "unavailableReplicas": 3,
        },
    }
    assert web["feedStatusDetails"][0] == {
        "clusterName": "one",
        "clusterId": "id-one",
        "available": True,
        "replicaStatus": full,
    }
    assert not web["feedStatusDetails"][1]["available"]


@pytest.mark.parametrize(
    ("obj", "status", "available"),
    [
        (native("Deployment", replicas=2), None, False),
        (native("Deployment", replicas=2), {}, False),
        (native("Deployment", replicas=0), {"observedGeneration": 1}, True),
        (native("Deployment", replicas=0), {}, False),
        (
            native("Deployment", replicas=2),
            {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
            True,
        ),
        (
            native("Deployment", replicas=2),
            {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 2},
            False,
        ),
        (
            native("Deployment", replicas=2),
            {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2},
            False,
        ),
        (
            native("Deployment", replicas=3),
            {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
            False,
        ),
        (
            native("Deployment"),
            {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
            True,
        ),
        (
            native("Deployment", replicas="2"),
            {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
            True,
        ),
        (
            native("Deployment"),  # as many as an autoscaler has chosen
            {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3},
            True,
        ),
        (
            native("Deployment"),
            {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 1},
            False,
        ),
        (native("Deployment"), {"observedGeneration": 1, "unavailableReplicas": 1}, False),
        (
            native("Deployment"),
            {"observedGeneration": 1, "conditions": [{"type": "Available", "status": "True"}]},
            True,
        ),
        (native("StatefulSet"), {"observedGeneration": 1}, False),
        (native("StatefulSet", replicas=1), {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1}, True),
        (native("ReplicaSet", replicas=1), {"observedGeneration": 1, "replicas": 1, "availableReplicas": 1}, True),
        (native("ReplicaSet", replicas=2), {"observedGeneration": 1, "replicas": 2, "availableReplicas": 1}, False),
        (native("DaemonSet"), {}, False),
        (native("DaemonSet"), {"desiredNumberScheduled": 2, "numberAvailable": 2, "updatedNumberScheduled": 2}, True),
        (native("DaemonSet"), {"desiredNumberScheduled": 0}, True),
        (native("DaemonSet"), {"desiredNumberScheduled": 2, "numberAvailable": 1, "updatedNumberScheduled": 2}, False),
        (native("Job", "batch/v1"), {"active": 1}, True),
        (native("Job", "batch/v1"), {"failed": 1, "conditions": [{"type": "Failed", "status": "True"}]}, False),
        (native("Job", "batch/v1"), {"conditions": [{"type": "Failed", "status": "False"}]}, True),
        (native("Service", "v1"), None, True),
    ],
)
def test_what_is_available(obj, status, available):
    fleet = Fleet(obj, clusters=["one"])
    if status is not None:
        fleet.observe(0, status)
    (feed,) = fleet.judge()["aggregatedStatuses"]
    assert feed["feedStatusSummary"]["available"] is available


def test_objects_that_are_not_deployed_are_not_available():
    fleet = Fleet(config_map("a"), clusters=["one"])
    fleet.states[0].descriptions[0]["status"] = {"phase": "Failure"}
    assert not fleet.judge()["aggregatedStatuses"][0]["feedStatusSummary"]["available"]
    fleet.states[0].descriptions = []
    assert not fleet.judge()["aggregatedStatuses"][0]["feedStatusSummary"]["available"]
    fleet.states[0].base = None
    assert fleet.judge()["aggregatedStatuses"][0]["feedStatusDetails"] == []


def test_what_is_told_of_a_stateful_set():
    fleet = Fleet(native("StatefulSet", replicas=1), clusters=["one"])
    told = ("replicas", "updatedReplicas", "currentReplicas", "readyReplicas", "availableReplicas")
    numbers = dict.fromkeys(told, 1)
    fleet.observe(0, {**numbers, "observedGeneration": 1, "unavailableReplicas": 1, "updateRevision": "x"})
    (feed,) = fleet.judge()["aggregatedStatuses"]
    assert feed["feedStatusSummary"] == {"available": True, "replicaStatus": numbers}


def test_jobs_are_counted_and_several_objects_of_one_feed_together():
    job = native("Job", "batch/v1")
    fleet = Fleet(job, {**job, "metadata": {"name": "x", "namespace": "other"}}, clusters=["one"])
    fleet.subscription["spec"]["feeds"] = [{"apiVersion": "batch/v1", "kind": "Job", "name": "x"}]
    fleet.states = [fleet.state("one")]
    fleet.observe(0, {"succeeded": 1, "observedGeneration": 1, "active": "no number"})
    (feed,) = fleet.judge()["aggregatedStatuses"]
    assert feed["feedStatusSummary"] == {"available": True, "replicaStatus": {"succeeded": 2}}
    assert feed["feedStatusDetails"][0]["replicaStatus"] == {"succeeded": 2}, "a generation of several means nothing"
    fleet.observe(0, {})
    (feed,) = fleet.judge()["aggregatedStatuses"]
    assert feed["feedStatusSummary"] == {"available": True, "replicaStatus": {}}


def test_charts():
    fleet = Fleet({**chart("web"), **FOUND}, clusters=["one"])

    def available():
        return fleet.judge()["aggregatedStatuses"][0]["feedStatusSummary"]["available"]

    assert available()
    (release,) = fleet.states[0].releases.values()
    release["status"] = {"phase": "failed"}
    assert not available()
    release["status"] = {"phase": "deployed", "observedGeneration": 0}
    assert not available()
    release["status"] = {"phase": "deployed"}
    assert available()
    fleet.states[0].releases.clear()
    assert not available()
    fleet.states[0].descriptions.clear()
    assert not available()


def test_a_cluster_without_an_identity_and_entries_that_are_no_objects():
    fleet = Fleet(config_map("a"), clusters=["one"])
    fleet.states[0].identity = ""
    fleet.states[0].descriptions[0]["spec"]["raw"].append("e30=")
    fleet.states[0].descriptions[0]["spec"]["raw"].append("W10=")
    assert fleet.judge()["aggregatedStatuses"][0]["feedStatusDetails"] == [{"clusterName": "one", "available": True}]


def test_parts_of_descriptions():
    fleet = Fleet(native_namespace("n"), deployment("web", replicas=2), clusters=["one"])
    (description,) = fleet.states[0].descriptions
    assert [(part.key, part.wanted) for part in parts_of(description)] == [
        (("v1", "Namespace", "", "n"), None),
        (("apps/v1", "Deployment", "default", "web"), 2),
    ]
    del description["spec"]["raw"]
    assert parts_of(description) == []


def test_details_stay_within_bounds(monkeypatch):
    monkeypatch.setattr(aggregation, "MAX_DETAILS", 6)
    fleet = Fleet(config_map("a"), config_map("b"), clusters=[f"c{n}" for n in range(5)])
    fleet.states[4].descriptions[0]["status"] = {}
    for feed in fleet.judge()["aggregatedStatuses"]:
        assert [one["clusterName"] for one in feed["feedStatusDetails"]] == ["c4", "c0", "c1"], "the bad ones first"
        assert feed["feedStatusSummary"] == {"available": False}
    monkeypatch.setattr(aggregation, "MAX_DETAILS", 10)
    for feed in fleet.judge()["aggregatedStatuses"]:
        assert [one["clusterName"] for one in feed["feedStatusDetails"]] == [f"c{n}" for n in range(5)]
    monkeypatch.setattr(aggregation, "MAX_DETAILS", 3)
    fleet.subscription["spec"]["feeds"].pop()
    (feed,) = fleet.judge()["aggregatedStatuses"]
    assert len(feed["feedStatusDetails"]) == 3


def test_feeds_are_told_in_their_order():
    fleet = Fleet(config_map("b"), config_map("a"))
    assert [one["name"] for one in fleet.judge()["aggregatedStatuses"]] == ["b", "a"]
    assert feed_of(config_map("b")) in fleet.subscription["spec"]["feeds"]


@pytest.mark.parametrize("conditions", [["not an object"], "text", 7, {"type": "Failed"}, [None]])
def test_a_malformed_status_is_a_failure_of_its_cluster_alone(conditions):
    fleet = Fleet(native("Job", "batch/v1"))
    fleet.observe(0, {"conditions": conditions})
    fleet.observe(1, {"conditions": [{"type": "Complete", "status": "True"}]})
    (job,) = fleet.judge()["aggregatedStatuses"]
    assert [detail["available"] for detail in job["feedStatusDetails"]] == [False, True]
    assert fleet.says("Deployed") == (
        "False",
        "DeployFailed",
        "one: the status it reports of Job default/x is malformed",
    )


@given(st.tuples(json_objects | json_values, json_objects), st.sampled_from(["Deployment", "DaemonSet", "Job"]))
def test_whatever_clusters_report_the_api_server_takes_what_is_made_of_it(reported, kind):
    """A number that no API server accepts, in one cluster's report, would keep the whole status from being written."""
    fleet = Fleet(native(kind, "batch/v1" if kind == "Job" else "apps/v1"))
    for index, status in enumerate(reported):
        fleet.observe(index, status)
    status = fleet.judge()
    encode(status)
    for entry in status["aggregatedStatuses"]:
        for part in (entry["feedStatusSummary"], *entry["feedStatusDetails"]):
            for name, number in part.get("replicaStatus", {}).items():
                assert 0 <= number < (2**63 if name == "observedGeneration" else 2**31)


def test_sums_of_lies_stay_numbers():
    fleet = Fleet(native("Deployment"))
    lies = {"replicas": 2**31 - 1, "readyReplicas": 2**31, "availableReplicas": -1, "updatedReplicas": True}
    for index in (0, 1):
        fleet.observe(index, lies)
    (summary,) = (entry["feedStatusSummary"] for entry in fleet.judge()["aggregatedStatuses"])
    assert summary["replicaStatus"] == {"replicas": 2**31 - 1}


@pytest.mark.parametrize("notes", ["[[]]", "[{}]", "[1]", "[null]", '[{"a": 1}]'])
def test_notes_of_feeds_that_are_no_texts_mean_no_feed(notes):
    fleet = Fleet(config_map("a"))
    fleet.states[0].descriptions[0]["metadata"]["annotations"][names.RENDERED_FEEDS_ANNOTATION] = notes
    assert fleet.says("Rendered") == ("False", "Rendering", "Not yet rendered for one.")


@pytest.mark.parametrize(
    "obj", [{"metadata": "x"}, {"kind": [], "metadata": {"name": {}}}, {"spec": {"replicas": True}}]
)
def test_parts_that_are_no_objects_have_no_names(obj):
    raw = [base64.b64encode(orjson.dumps(obj)).decode()]
    (part,) = parts_of({"metadata": {}, "spec": {"deployer": "Generic", "raw": raw}})
    assert part.key == ("", "", "", "")
    assert part.wanted is None
