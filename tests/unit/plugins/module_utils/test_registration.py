"""Every way in which a registration can be stuck has a step and an explanation; credentials are never shown."""

import pytest
from ansible_collections.clusternet.core.plugins.module_utils import registration

ID = "5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21"


def request(name=f"clusternet-{ID}", status=None, **spec):
    return {"metadata": {"name": name}, "spec": {"clusterId": ID, "clusterName": "c", **spec}, "status": status or {}}


def cluster(ready=None, observed="2026-11-23T10:00:00Z"):
    conditions = [{"type": "Ready", "status": ready, "message": "the reason"}] if ready else []
    return {"metadata": {}, "status": {"conditions": conditions, "lastObservedTime": observed}}


APPROVED = {"result": "Approved", "dedicatedNamespace": "n", "managedClusterName": "c"}
FOREIGN = {"metadata": {"name": "wanted", "labels": {"team": "blue"}}}


@pytest.mark.parametrize(
    ("stuck", "managed_cluster", "namespace", "step", "words"),
    [
        (request(name="clusternet-x"), None, None, "identity", "denies"),
        (request(), None, None, "approval", "hasn't answered"),
        (request(status={"errorMessage": "namespace is taken"}), None, None, "approval", "namespace is taken"),
        (request(clusterNamespace="wanted"), None, FOREIGN, "approval", "doesn't belong to this cluster"),
        (request(status={"result": "Denied", "errorMessage": "no"}), None, None, "approval", "Denied: no"),
        (request(status={"result": "Failed"}), None, None, "approval", "Failed: without a reason"),
        (request(status=APPROVED), None, None, "managed_cluster", "n/c is gone. The hub makes it anew"),
        (request(status={**APPROVED, "errorMessage": "why"}), None, None, "managed_cluster", "in the way: why."),
        (request(status=APPROVED), cluster(observed=None), None, "heartbeat", "never reported"),
        (request(status=APPROVED), cluster("Unknown"), None, "heartbeat", "stopped reporting: the reason"),
        (request(status=APPROVED), cluster("False"), None, "health", "isn't healthy: the reason"),
    ],
)
def test_each_stuck_state_is_explained(stuck, managed_cluster, namespace, step, words):
    explained = registration.explain(stuck, managed_cluster, namespace)
    assert explained.stuck_step == step
    assert words in explained.explanation


def test_a_ready_cluster_is_not_stuck():
    assert registration.explain(request(status=APPROVED), cluster("True"), None) == (None, None)


def test_pain_13_a_view_has_no_credentials():
    view = registration.view(request(status={**APPROVED, "token": "planted", "caCertificate": "planted"}))
    assert "planted" not in str(view)


def test_differences_name_the_fields():
    wanted = registration.request_of(ID, "c", "n", "StandardCluster", "Dual", {"a": "b"})
    assert registration.differences(wanted, wanted) == []
    live = {**wanted, "spec": {**wanted["spec"], "syncMode": "Pull", "clusterLabels": {}}}
    assert registration.differences(wanted, live) == ["clusterLabels", "syncMode"]
