"""Where a Subscription stands, judged from it, its Descriptions and its HelmReleases."""

import base64
import json

import pytest
from ansible_collections.clusternet.core.plugins.module_utils import publication
from ansible_collections.clusternet.core.plugins.module_utils.health import unavailable

UID = "0c4a9f0e-9d1c-4f0b-8f5e-b7f2f7f7a001"
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "foo"},
    "spec": {"replicas": 2},
}
FEED = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "foo", "name": "web"}
CHART = {"apiVersion": "apps.clusternet.io/v1alpha1", "kind": "HelmChart", "namespace": "default", "name": "mysql"}
AVAILABLE = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


def condition(kind, status="True", reason="Fine", generation=1):
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "the message",
        "observedGeneration": generation,
    }


def subscription(*conditions, feeds=(FEED,), bound=("ns-1/edge-1",), **status):
    return {
        "metadata": {"name": "app", "namespace": "default", "uid": UID, "generation": 1},
        "spec": {"feeds": list(feeds), "schedulingStrategy": "Replication"},
        "status": {"bindingClusters": list(bound), "conditions": list(conditions), **status},
    }


def labels(name="edge-1"):
    return {"apps.clusternet.io/subs.uid": UID, "clusters.clusternet.io/cluster-name": name}


def description(*objects, phase="Success", namespace="ns-1", observed=None, generation=1, **status):
    raw = [base64.b64encode(json.dumps(obj).encode()).decode() for obj in objects]
    seen = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "foo", "name": "web", "observedStatus": observed}
    ]
    return {
        "metadata": {"name": "app-x-generic", "namespace": namespace, "labels": labels(), "generation": generation},
        "spec": {"deployer": "Generic", "raw": raw},
        "status": {"phase": phase, **({"manifestStatuses": seen} if observed else {}), **status},
    }


def helm_description(phase="Success"):
    return {
        "metadata": {"name": "app-x-helm", "namespace": "ns-1", "labels": labels(), "generation": 1},
        "spec": {"deployer": "Helm", "charts": [{"name": "mysql", "namespace": "default"}]},
        "status": {"phase": phase},
    }


def release(phase="deployed", **status):
    return {
        "metadata": {"name": "app-x-helm-default-mysql", "namespace": "ns-1", "labels": labels(), "generation": 1},
        "spec": {"releaseName": "mysql", "chart": "mysql", "version": "9.2.0", "targetNamespace": "abc"},
        "status": {"phase": phase, **status},
    }


def problems(sub, descriptions=(), releases=(), stage="healthy"):
    (found,) = publication.join([sub], descriptions, releases)
    return publication.problems(found, stage)


TRUE = (condition("Scheduled"), condition("Rendered"), condition("Deployed"))


@pytest.mark.parametrize("conditions", [(), TRUE], ids=["without conditions", "with conditions"])
def test_everything_in_place_has_no_problems(conditions):
    sub = subscription(*conditions)
    for stage in publication.STAGES:
        assert problems(sub, [description(DEPLOYMENT, observed=AVAILABLE)], stage=stage) == []


def test_nothing_bound_is_not_scheduled():
    (problem,) = problems(subscription(bound=()), stage="scheduled")
    assert str(problem) == "no cluster is bound yet"
    assert not problem.failed


def test_a_condition_that_is_false_says_why_and_has_failed():
    sub = subscription(condition("Scheduled", "False", "NoFeasibleCluster"), bound=())
    (problem,) = problems(sub, stage="scheduled")
    assert str(problem) == "Scheduled is False (NoFeasibleCluster): the message"
    assert problem.failed


def test_a_condition_about_an_older_generation_counts_for_nothing():
    sub = subscription(condition("Scheduled", generation=0))
    (problem,) = problems(sub, stage="scheduled")
    assert "has not judged yet" in str(problem)
    assert not problem.failed


def test_what_is_going_on_has_not_failed():
    sub = subscription(condition("Scheduled"), condition("Deployed", "False", "Deploying"))
    assert [problem.failed for problem in problems(sub, [description(DEPLOYMENT)], stage="deployed")] == [False]


def test_a_feed_that_is_in_no_description_is_missing():
    (problem,) = problems(subscription(), [description()], stage="deployed")
    assert str(problem) == "edge-1: Deployment foo/web is not rendered yet"


def test_a_feed_without_namespace_means_that_name_anywhere():
    feed = {key: value for key, value in FEED.items() if key != "namespace"}
    assert problems(subscription(feeds=[feed]), [description(DEPLOYMENT)], stage="deployed") == []


def test_a_failure_names_the_cluster_and_replaces_the_condition_that_sums_it_up():
    sub = subscription(condition("Scheduled"), condition("Deployed", "False", "DeployFailed"))
    (problem,) = problems(sub, [description(DEPLOYMENT, phase="Failure", reason="no such namespace")], stage="deployed")
    assert str(problem) == "edge-1: no such namespace"
    assert problem.failed


def test_pain_7_a_phase_about_an_older_generation_counts_for_nothing():
    old = description(DEPLOYMENT, generation=2, observedGeneration=1)
    (problem,) = problems(subscription(), [old], stage="deployed")
    assert "is not deployed yet" in str(problem)
    old = {**release(observedGeneration=1), "metadata": {**release()["metadata"], "generation": 2}}
    (problem,) = problems(subscription(feeds=[CHART]), [helm_description()], [old], stage="deployed")
    assert str(problem) == "edge-1: release mysql is not changed yet"


def test_a_release_that_failed_says_why_once():
    found = problems(
        subscription(feeds=[CHART]),
        [helm_description("Failure")],
        [release("failed", description="no such image")],
        "deployed",
    )
    assert [(str(problem), problem.failed) for problem in found] == [
        ("edge-1: release mysql is failed (no such image)", True)
    ]


def test_healthy_needs_the_workloads_to_be_available():
    few = description(DEPLOYMENT, observed={**AVAILABLE, "availableReplicas": 1})
    assert problems(subscription(), [few], stage="deployed") == []
    (problem,) = problems(subscription(), [few], stage="healthy")
    assert str(problem) == "edge-1: Deployment foo/web: 1 of 2 replicas are available"
    (problem,) = problems(subscription(), [description(DEPLOYMENT)], stage="healthy")
    assert "Recovery" in str(problem)


def test_the_view_shows_bound_and_left_clusters():
    sub = subscription(*TRUE, replicas={"apps/v1/Deployment/foo/web": [2]})
    left = description(DEPLOYMENT, namespace="ns-2")
    left["metadata"]["labels"] = labels("edge-2")
    (found,) = publication.join([sub], [description(DEPLOYMENT, observed=AVAILABLE), left], [])
    view = publication.view(found)
    assert [(item["name"], item["bound"], item["phase"]) for item in view["clusters"]] == [
        ("edge-1", True, "Success"),
        ("edge-2", False, "Removing"),
    ]
    assert view["clusters"][0]["replicas"] == {"apps/v1/Deployment/foo/web": 2}
    assert view["clusters"][0]["objects"][0]["available"] is True
    assert (view["scheduled"], view["deployed"], view["healthy"]) == (True, True, True)


@pytest.mark.parametrize(
    ("kind", "spec", "status", "why"),
    [
        ("apps/v1 Deployment", {"replicas": 1}, {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}, None),
        ("apps/v1 Deployment", {"replicas": 0}, {}, None),
        ("apps/v1 Deployment", {}, {}, "0 of 1 replicas are available"),
        (
            "apps/v1 Deployment",  # as many as an autoscaler has chosen
            {},
            {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 1},
            "1 of 3 replicas are available",
        ),
        ("apps/v1 Deployment", {}, {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}, None),
        ("apps/v1 Deployment", {}, {"conditions": [{"type": "Available", "status": "True"}]}, None),
        ("apps/v1 StatefulSet", {}, {"replicas": 3, "readyReplicas": 2}, "2 of 3 replicas are ready"),
        ("apps/v1 Deployment", {}, {"replicas": 2, "updatedReplicas": 1}, "1 of 2 replicas are up to date"),
        (
            "apps/v1 Deployment",
            {},
            {"conditions": [{"reason": "ProgressDeadlineExceeded", "message": "too slow"}]},
            "it doesn't progress: too slow",
        ),
        ("apps/v1 StatefulSet", {"replicas": 2}, {"readyReplicas": 2}, None),
        ("apps/v1 StatefulSet", {"replicas": 2}, {"readyReplicas": 1}, "1 of 2 replicas are ready"),
        (
            "apps/v1 StatefulSet",
            {"replicas": 2},
            {"readyReplicas": 2, "updateRevision": "b", "currentRevision": "a", "updatedReplicas": 1},
            "1 of 2 replicas are up to date",
        ),
        (
            "apps/v1 StatefulSet",
            {"updateStrategy": {"type": "OnDelete"}},
            {"readyReplicas": 1, "updateRevision": "b", "currentRevision": "a"},
            None,
        ),
        ("apps/v1 ReplicaSet", {}, {"availableReplicas": 1}, None),
        ("apps/v1 DaemonSet", {}, {"desiredNumberScheduled": 0}, None),
        (
            "apps/v1 DaemonSet",
            {},
            {"desiredNumberScheduled": 2, "updatedNumberScheduled": 1},
            "1 of 2 pods are up to date",
        ),
        (
            "apps/v1 DaemonSet",
            {},
            {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1},
            "1 of 2 pods are available",
        ),
        ("batch/v1 Job", {}, {"conditions": [{"type": "Complete", "status": "True"}]}, None),
        (
            "batch/v1 Job",
            {},
            {"conditions": [{"type": "Failed", "status": "True", "message": "back-off"}]},
            "it failed: back-off",
        ),
        ("batch/v1 Job", {}, {"conditions": [{"type": "Expired", "status": "True"}]}, None),
        (
            "batch/v1 Job",
            {},
            {
                "conditions": [
                    {"type": "Failed", "status": "True", "message": "back-off"},
                    {"type": "Expired", "status": "True"},
                ]
            },
            "it failed: back-off",
        ),
        ("batch/v1 Job", {"completions": 3}, {"succeeded": 1}, "it runs (1 of 3 completions)"),
        ("v1 ConfigMap", {}, None, None),
    ],
)
def test_rules_of_availability(kind, spec, status, why):
    api_version, kind = kind.split()
    assert unavailable({"apiVersion": api_version, "kind": kind, "spec": spec}, status) == why


SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "foo"}, "spec": {}}


def test_a_status_that_another_kind_has_replaced_is_told_as_unknown():
    """Clusternet's agent reports one status for each namespace and name; the later kind wins."""
    reported = [{"apiVersion": "v1", "kind": "Service", "namespace": "foo", "name": "web", "observedStatus": {}}]
    made = description(DEPLOYMENT, SERVICE, manifestStatuses=reported)
    assert publication.hidden_objects(made) == [DEPLOYMENT]
    workload, service = publication.objects_of(made)
    assert (workload["available"], service["available"]) == (False, True)
    assert workload["reason"] == (
        "its status isn't known, because its cluster's agent reports one status for each namespace and name"
    )
    made["status"]["manifestStatuses"].append({"kind": "Deployment", "namespace": "foo", "name": "web", "unread": "X."})
    assert publication.hidden_objects(made) == []
    assert publication.objects_of(made)[0]["reason"].endswith(
        "for each namespace and name, and can't be read there: X."
    )
    for phase, objects in (("Failure", (DEPLOYMENT, SERVICE)), ("Success", (SERVICE,))):
        assert publication.hidden_objects(description(*objects, phase=phase, manifestStatuses=reported)) == []
    nothing = description(DEPLOYMENT, SERVICE)
    assert publication.hidden_objects(nothing) == []
    assert "gate Recovery" in publication.objects_of(nothing)[0]["reason"]
