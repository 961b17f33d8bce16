"""Judging requests, the objects of a cluster, and permissions kept up to date."""

from datetime import UTC, datetime
from itertools import islice

import pytest
from clusternet_engine.model import rbac
from clusternet_engine.model import registration as rules
from clusternet_engine.model.registration import IdMismatch, Obstacle, Reason
from hypothesis import given
from hypothesis import strategies as st

ID = "6a7b1f0e-0000-4000-8000-0123456789ab"
OTHER = "ffffffff-0000-4000-8000-0123456789ab"
LABELS = {
    "clusternet.io/created-by": "clusternet-agent",
    "clusters.clusternet.io/cluster-id": ID,
    "clusters.clusternet.io/cluster-name": "one",
}


def request(status=None, **spec):
    return {
        "metadata": {"name": f"clusternet-{ID}"},
        "spec": {"clusterId": ID, "clusterName": "one", **spec},
        "status": status or {},
    }


def namespace(name="ns", labels=None, **metadata):
    return {"metadata": {"name": name, "labels": labels or {}, **metadata}}


def test_a_good_request_passes():
    rules.check_request(request(clusterNamespace="ns", clusterLabels={"a": "b"}), ["reserved"])


@pytest.mark.parametrize("spec", [None, {}, {"clusterId": ""}, {"clusterId": OTHER}])
def test_the_name_must_fit_the_id(spec):
    with pytest.raises(IdMismatch, match="ClusterIDMismatch: "):
        rules.check_request({"metadata": {"name": f"clusternet-{ID}"}, "spec": spec}, [])


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"clusterName": ""}, Reason.INVALID_REQUEST),
        ({"clusterName": "UPPER-a"}, Reason.INVALID_REQUEST),
        ({"clusterName": "a." * 40 + "a"}, Reason.INVALID_REQUEST),
        ({"clusterNamespace": "a.b"}, Reason.INVALID_REQUEST),
        ({"clusterNamespace": "reserved"}, Reason.NAMESPACE_RESERVED),
        ({"clusterLabels": {"a b": "c"}}, Reason.INVALID_REQUEST),
        ({"clusterLabels": {"a": "b c"}}, Reason.INVALID_REQUEST),
    ],
)
def test_values_that_cannot_be_used(spec, reason):
    with pytest.raises(Obstacle) as caught:
        rules.check_request(request(**spec), ["reserved"])
    assert caught.value.reason is reason


def test_an_id_that_is_too_long_for_a_label():
    long = "x" * 64
    with pytest.raises(Obstacle, match="label"):
        rules.check_request({"metadata": {"name": f"clusternet-{long}"}, "spec": {"clusterId": long}}, [])


def test_choosing():
    old, new = namespace("b", creationTimestamp="2025"), namespace("a", creationTimestamp="2026")
    assert rules.choose([]) is None
    assert rules.choose([new, old]) is old
    assert rules.choose([new, old], None, "x", "a") is new


def test_names_of_namespaces():
    assert list(islice(rules.namespace_names(request(clusterNamespace="w")), 2)) == ["w", "w"]
    assert next(rules.namespace_names(request({"dedicatedNamespace": "d"}, clusterNamespace="w"))) == "d"
    assert next(rules.namespace_names(request())).startswith("clusternet-")


def test_namespaces_that_may_be_used():
    assert rules.check_namespace(namespace(labels=LABELS), request())
    recorded = request({"dedicatedNamespace": "ns"})
    assert not rules.check_namespace(namespace(), recorded)
    assert not rules.check_namespace(namespace(labels={"clusters.clusternet.io/cluster-id": OTHER}), recorded)


@pytest.mark.parametrize(
    ("found", "status", "reason"),
    [
        (namespace(), {}, Reason.NAMESPACE_EXISTS),
        (namespace(labels={"clusters.clusternet.io/cluster-id": ID}), {}, Reason.NAMESPACE_EXISTS),
        (namespace(labels={"clusters.clusternet.io/cluster-id": OTHER}), {}, Reason.NAMESPACE_TAKEN),
        (
            namespace(labels={"clusters.clusternet.io/cluster-id": OTHER}),
            {"dedicatedNamespace": "else"},
            Reason.NAMESPACE_TAKEN,
        ),
        (namespace(labels=LABELS, deletionTimestamp="2026"), {}, Reason.NAMESPACE_TERMINATING),
        ({"metadata": {"name": "ns"}}, {}, Reason.NAMESPACE_EXISTS),
    ],
)
def test_namespaces_that_may_not(found, status, reason):
    with pytest.raises(Obstacle) as caught:
        rules.check_namespace(found, request(status))
    assert caught.value.reason is reason


def test_a_managed_cluster_of_another_cluster():
    found = {"metadata": {"name": "one", "namespace": "ns"}, "spec": {"clusterId": ID}}
    rules.check_managed_cluster(found, request())
    with pytest.raises(Obstacle, match=OTHER):
        rules.check_managed_cluster({**found, "spec": {"clusterId": OTHER}}, request())


@given(st.dictionaries(st.sampled_from([*LABELS, "env"]), st.text()))
def test_system_labels_win(labels):
    cluster = rules.make_managed_cluster(request(), "ns", labels)
    assert LABELS.items() <= cluster["metadata"]["labels"].items()
    assert cluster["metadata"]["labels"].get("env") == labels.get("env")


def test_objects():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert rules.make_namespace(request(), "ns")["metadata"] == {"name": "ns", "labels": LABELS}
    cluster = rules.make_managed_cluster(request({"managedClusterName": "had"}, syncMode="Dual"), "ns", {}, now)
    assert cluster["metadata"]["name"] == "had"
    assert cluster["spec"]["syncMode"] == "Dual"
    assert cluster["spec"]["taints"][0]["value"] == "ClusterInitWaiting"
    assert rules.make_managed_cluster(request(), "ns", {})["spec"] == {
        "clusterId": ID,
        "clusterType": "",
        "syncMode": "Pull",
    }
    assert rules.make_service_account(request(), "ns", "sa")["metadata"]["labels"] == LABELS
    secret = rules.make_token_secret(request(), "ns", "sa")
    rules.check_token_secret(secret, "sa")
    assert rules.is_labelled_for(secret, ID)
    assert not rules.is_labelled_for(secret, OTHER)
    assert not rules.is_labelled_for({"metadata": {}}, ID)


@pytest.mark.parametrize("change", [{"type": "Opaque"}, {"metadata": {"name": "sa", "namespace": "ns"}}])
def test_a_secret_for_something_else(change):
    with pytest.raises(Obstacle, match="delete it"):
        rules.check_token_secret({**rules.make_token_secret(request(), "ns", "sa"), **change}, "sa")


@pytest.mark.parametrize(
    ("uid", "data", "wanted"),
    [
        ("u", {"token": "t", "ca.crt": "c"}, ("t", "c")),
        ("u", {"token": "t"}, None),
        ("u", {"ca.crt": "c"}, None),
        ("u", None, None),
        ("before", {"token": "t", "ca.crt": "c"}, None),
    ],
)
def test_issued_credentials(uid, data, wanted):
    secret = {"metadata": {"annotations": {"kubernetes.io/service-account.uid": uid}}, "data": data}
    assert rules.issued_credential(secret, "u") == wanted
    assert rules.issued_credential({"metadata": {}, "data": data}, "u") is None


@pytest.mark.parametrize(
    ("status", "settled"),
    [
        (None, False),
        ({"errorMessage": "NamespaceTaken: no"}, False),
        ({"result": "Approved", "errorMessage": "NamespaceTaken: no"}, False),
        ({"result": "Denied", "errorMessage": "ClusterIDMismatch: the name"}, False),
        ({"result": "Denied", "errorMessage": "not one of ours"}, True),
        ({"result": "Failed"}, True),
    ],
)
def test_a_result_that_others_gave_is_final(status, settled):
    assert rules.is_settled({"status": status}) is settled


def test_statuses():
    approved = rules.approved_status("ns", "one", ("t", "c"), handed_over=False)
    obstacle = Obstacle(Reason.NAMESPACE_TAKEN, "no")
    assert rules.obstructed_status(approved, obstacle) == approved | {"errorMessage": "NamespaceTaken: no"}
    assert rules.obstructed_status({"result": "Denied"}, obstacle) == {"errorMessage": "NamespaceTaken: no"}
    assert rules.obstructed_status({}, IdMismatch("no"))["result"] == "Denied"
    assert rules.obstructed_status(approved, IdMismatch("no"))["result"] == "Approved"


@pytest.mark.parametrize(
    "wanted",
    [
        rbac.cluster_role(ID),
        rbac.cluster_role_binding(ID, "ns", "sa"),
        rbac.namespace_role("ns", "c", "sa"),
        rbac.namespace_role_binding("ns", "sa"),
    ],
)
def test_permissions_are_kept_up_to_date(wanted):
    metadata = wanted["metadata"]
    labels = metadata["labels"] | {"mine": "x"}
    stored = {**wanted, "metadata": {**metadata, "uid": "u", "resourceVersion": "1", "labels": labels}}
    assert rbac.outdated(stored, wanted) is None
    if "subjects" in stored:
        stored["subjects"] = [{**subject, "apiGroup": ""} for subject in stored["subjects"]]
        assert rbac.outdated(stored, wanted) is None
    field = "subjects" if "subjects" in wanted else "rules"
    changed = {**stored, field: []}
    updated = rbac.outdated(changed, wanted)
    assert updated[field] == wanted[field]
    assert updated["metadata"] == stored["metadata"]
    unlabelled = {**stored, "metadata": {**stored["metadata"], "labels": None}}
    assert rbac.outdated(unlabelled, wanted)["metadata"]["labels"] == metadata["labels"]
    for annotations in (None, {"clusternet.io/autoupdate": "false"}):
        assert rbac.outdated({**changed, "metadata": {**metadata, "annotations": annotations}}, wanted) is None


def test_a_child_reads_only_its_own_request_and_no_secrets():
    everything = rbac.cluster_rules(ID)
    assert not any("secrets" in rule["resources"] or "*" in rule["resources"] for rule in everything)
    reading = [rule for rule in everything if "get" in rule["verbs"]]
    assert [rule["resourceNames"] for rule in reading] == [[f"clusternet-{ID}"]]


@pytest.mark.parametrize(
    ("status", "waits"),
    [
        ({}, False),
        ({"errorMessage": "WaitingForApproval: somebody decides"}, True),
        ({"errorMessage": "NamespaceTaken: no"}, False),
        ({"result": "Approved", "errorMessage": "WaitingForApproval: x"}, False),
        ({"result": "Denied", "errorMessage": "WaitingForApproval: x"}, False),
    ],
)
def test_what_waits_for_an_administrator(status, waits):
    assert rules.is_waiting(request(status)) is waits


def test_a_request_is_open_until_its_credential_is_handed_over():
    def handed(status):
        return {"metadata": {"annotations": {"clusternet.io/handed-over-credential": "x"}}, "status": status}

    assert rules.is_open(request())
    assert rules.is_open(request({"result": "Denied"}))
    assert rules.is_open(request({"result": "Approved"}))
    assert rules.is_open(handed({"result": "Approved", "token": "dA=="}))
    assert not rules.is_open(handed({"result": "Approved"}))


@given(st.text(), st.text())
def test_credentials_are_told_apart(one, other):
    assert (rules.credential_id(one) == rules.credential_id(other)) is (one == other)
