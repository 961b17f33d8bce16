"""Who deploys, in which order, and whether an object is still what was applied (spec/03 §8, §9, §11)."""

import base64
import json

import pytest
from clusternet_engine.model.applied import (
    APPLIED_OBJECTS_ANNOTATION,
    MAX_LAST_APPLIED,
    MalformedObject,
    identity,
    owner_of,
    owner_text,
    parse_objects,
    prepare,
    reference,
    references_of,
    remembered,
    remembering,
    remembering_lost,
    to_annotation,
    union,
    unlisted,
    without,
)
from clusternet_engine.model.drift import drifted, needs_apply, outdated
from clusternet_engine.model.managers import taken_over
from clusternet_engine.model.ordering import wave, waves
from clusternet_engine.model.readiness import is_lost, is_ready
from clusternet_engine.model.sync_modes import cluster_deployer, deployer
from hypothesis import given
from hypothesis import strategies as st

OWNED = "apps.clusternet.io/owned-by-description"
LAST = "clusternet.io/last-applied-configuration"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


def kind(api_version, name):
    return {"apiVersion": api_version, "kind": name, "metadata": {"name": name.lower()}}


def live_with(**fields):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, **fields}


@pytest.mark.parametrize(
    ("sync_mode", "app_pusher", "who"),
    [
        ("Pull", True, "agent"),
        ("Pull", False, "agent"),
        ("Pull", None, "agent"),
        ("Push", True, "hub"),
        ("Push", False, None),
        ("Push", None, None),
        ("Dual", True, "hub"),
        ("Dual", False, "agent"),
        ("Dual", None, None),
    ],
)
def test_c3_10_who_deploys(sync_mode, app_pusher, who):
    assert deployer(sync_mode, app_pusher) == who
    status = {} if app_pusher is None else {"status": {"appPusher": app_pusher}}
    assert cluster_deployer({"spec": {"syncMode": sync_mode}, **status}) == who


def test_a_cluster_without_a_sync_mode_pulls():
    assert cluster_deployer({"spec": {}, "status": {"appPusher": True}}) == "agent"


@pytest.mark.parametrize(
    ("status", "ready", "lost"), [("True", True, False), ("Unknown", False, True), ("False", False, True)]
)
def test_b6_4_readiness(status, ready, lost):
    cluster = {"status": {"conditions": [{"type": "Ready", "status": status}]}}
    assert (is_ready(cluster), is_lost(cluster)) == (ready, lost)


def test_b6_4_without_conditions_a_cluster_is_neither_ready_nor_lost():
    assert (is_ready({}), is_lost({})) == (False, False)


def test_what_others_need_comes_first():
    objects = [
        kind("example.org/v1", "Widget"),
        kind("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
        kind("apps/v1", "Deployment"),
        kind("v1", "Service"),
        kind("v1", "ConfigMap"),
        kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
        kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        kind("v1", "Namespace"),
    ]
    order = [[obj["kind"] for obj in group] for group in waves(objects)]
    assert order == [
        ["CustomResourceDefinition", "Namespace"],
        ["ClusterRoleBinding"],
        ["ConfigMap"],
        ["Service"],
        ["Deployment"],
        ["Widget"],
        ["ValidatingWebhookConfiguration"],
    ]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("Namespace", "ServiceAccount"),
        ("ClusterRole", "ClusterRoleBinding"),
        ("PersistentVolume", "PersistentVolumeClaim"),
        ("StorageClass", "PersistentVolumeClaim"),
        ("PriorityClass", "Deployment"),
        ("Role", "RoleBinding"),
        ("ServiceAccount", "RoleBinding"),
        ("ResourceQuota", "Pod"),
        ("LimitRange", "Pod"),
        ("NetworkPolicy", "Pod"),
        ("PodDisruptionBudget", "Deployment"),
        ("Secret", "StatefulSet"),
        ("ConfigMap", "DaemonSet"),
        ("PersistentVolumeClaim", "StatefulSet"),
        ("Service", "StatefulSet"),
        ("Service", "Ingress"),
        ("Endpoints", "Pod"),
        ("RoleBinding", "Job"),
        ("CronJob", "MutatingWebhookConfiguration"),
        ("ReplicaSet", "APIService"),
        ("HorizontalPodAutoscaler", "ValidatingAdmissionPolicyBinding"),
    ],
)
def test_what_needs_another_comes_later(first, then):
    assert wave(kind("v1", first)) < wave(kind("v1", then))


@pytest.mark.parametrize(
    ("api_version", "name"),
    [
        ("v1", "Pod"),
        ("apps/v1", "Deployment"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("batch/v1", "CronJob"),
        ("policy/v1", "PodDisruptionBudget"),
        ("extensions/v1beta1", "Ingress"),
        ("networking.k8s.io/v1", "Ingress"),
    ],
)
def test_what_kubernetes_brings_along_comes_before_what_it_does_not(api_version, name):
    assert wave(kind(api_version, name)) < wave(kind("example.org/v1", "Widget"))


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("apiregistration.k8s.io", "APIService"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ],
)
def test_what_reaches_into_requests_comes_last(group, name):
    assert wave(kind(f"{group}/v1", name)) > wave(kind("example.org/v1", "Widget"))


def test_a_kind_is_built_in_only_in_its_own_group():
    assert wave(kind("serving.example.org/v1", "Service")) == wave(kind("example.org/v1", "Widget"))
    assert wave(kind("v1", "Unheard")) == wave(kind("example.org/v1", "Widget"))


@given(st.lists(st.sampled_from(["Namespace", "Pod", "Secret", "Service", "Role"]), max_size=10))
def test_no_object_is_lost_in_waves(kinds):
    objects = [kind("v1", name) for name in kinds]
    assert sorted(map(id, objects)) == sorted(id(obj) for group in waves(objects) for obj in group)
    assert all(waves(objects))


def test_b6_1_additions_are_no_drift():
    assert not drifted(live_with(spec={"a": 1, "b": 2}), live_with(spec={"a": 1}))


@pytest.mark.parametrize(
    ("live", "wanted"),
    [
        ({"a": 2}, {"a": 1}),
        ({}, {"a": 1}),
        ({"a": [1, 2]}, {"a": [1]}),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}),
        ({"a": "1"}, {"a": 1}),
        ({"a": True}, {"a": 1}),
        ({"a": 3}, {"a": {"b": 1}}),
        ({"a": 3}, {"a": {}}),
        ({"a": {"b": 1}}, {"a": [1]}),
        ({"a": 1}, {"a": None}),
        ({"a": [1]}, {"a": []}),
        ({"a": "xy"}, {"a": ["x", "y"]}),
        ({"a": 5}, {"a": ["x", "y"]}),
    ],
)
def test_b6_2_removed_and_changed_fields_are_drift(live, wanted):
    assert drifted(live_with(spec=live), live_with(spec=wanted))


@pytest.mark.parametrize("empty", [None, {}, []])
def test_what_is_wanted_empty_may_be_missing(empty):
    assert not drifted(live_with(spec={}), live_with(spec={"a": empty}))
    assert not drifted(live_with(spec={"a": {"b": 1}}), live_with(spec={"a": {}})), "additions"


def test_b6_3_a_status_is_no_drift():
    wanted = prepare(live_with(data={"a": "1"}, status={"x": 1}), "ns.d")
    live = {**wanted, "status": {"x": 2}}
    assert not needs_apply(live, wanted)


def test_what_was_changed_on_the_cluster_is_applied_again():
    wanted = prepare(live_with(data={"a": "1"}), "ns.d")
    assert needs_apply({**wanted, "data": {"a": "2"}}, wanted)
    assert not outdated({**wanted, "data": {"a": "2"}}, wanted)
    assert needs_apply(live_with(data={"a": "1"}), wanted), "it isn't ours yet"


@given(JSON)
def test_nothing_drifts_from_itself(value):
    assert not drifted(live_with(spec=value), live_with(spec=value))


def test_the_spelling_of_the_last_applied_configuration_does_not_matter():
    wanted = prepare(live_with(data={"a": "1"}), "ns.d")
    text = json.dumps(json.loads(wanted["metadata"]["annotations"][LAST]), indent=2)
    live = {**wanted, "metadata": {**wanted["metadata"], "annotations": {OWNED: "ns.d", LAST: text}}}
    assert not outdated(live, wanted)
    broken = {**live, "metadata": {**live["metadata"], "annotations": {OWNED: "ns.d", LAST: "{"}}}
    assert outdated(broken, wanted)
    assert needs_apply(broken, wanted)


def test_an_object_is_prepared_as_observed():
    obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "cm",
            "namespace": "n",
            "uid": "u",
            "resourceVersion": "1",
            "managedFields": [],
            "annotations": {"n": "z", "kubectl.kubernetes.io/last-applied-configuration": "{}", LAST: "old"},
        },
        "data": {"a": "1"},
        "status": {},
    }
    prepared = prepare(obj, owner_text("ns", "d"))
    annotations = prepared["metadata"]["annotations"]
    assert annotations.keys() == {"n", OWNED, LAST}
    assert json.loads(annotations[LAST]) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "cm", "namespace": "n", "annotations": {"n": "z", OWNED: "ns.d"}},
        "data": {"a": "1"},
    }
    assert "status" not in prepared
    assert prepared["metadata"].keys() == {"name", "namespace", "annotations"}


def test_what_is_too_large_is_not_kept_twice():
    prepared = prepare(live_with(data={"a": "x" * MAX_LAST_APPLIED}), "ns.d")
    assert prepared["metadata"]["annotations"] == {OWNED: "ns.d"}
    assert needs_apply(prepared, prepared)


def test_the_plain_data_of_a_secret_is_compared_as_it_is_stored():
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "stringData": {"a": "1"},
        "data": {"b": "Mg=="},
    }
    prepared = prepare(secret, "ns.d")
    assert prepared["data"] == {"a": "MQ==", "b": "Mg=="}
    assert "stringData" not in prepared
    other = {"apiVersion": "example.org/v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "1"}}
    assert prepare(other, "ns.d")["stringData"] == {"a": "1"}
    del secret["stringData"]
    assert prepare(secret, "ns.d")["data"] == {"b": "Mg=="}
    secret |= {"stringData": {"a": "1"}, "data": None}
    assert prepare(secret, "ns.d")["data"] == {"a": "MQ=="}


def encoded(value):
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_objects_are_read_from_a_description():
    assert parse_objects([encoded(live_with())]) == [live_with()]


@pytest.mark.parametrize(
    "raw",
    [
        "###",
        base64.b64encode(b"{").decode(),
        encoded([]),
        encoded({"metadata": {}}),
        encoded({**kind("v1", "X"), "metadata": "x"}),
        encoded(kind("", "X")),
    ],
)
def test_what_is_no_object_is_refused(raw):
    with pytest.raises(MalformedObject, match="entry 0"):
        parse_objects([raw])


@pytest.mark.parametrize(
    ("text", "owner"),
    [("ns.a", ("ns", "a")), ("ns.a.b", ("ns", "a.b")), ("ns", None), (".a", None), ("ns.", None), (None, None)],
)
def test_owners_with_dots_in_their_names(text, owner):
    assert owner_of({"metadata": {"annotations": {OWNED: text}}}) == owner
    assert owner_of({"metadata": {}}) is None


def test_references_are_remembered():
    references = [
        reference(kind("apps/v1", "Deployment")),
        reference(live_with(metadata={"name": "x", "namespace": "n"})),
    ]
    assert references[1] == {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "n", "name": "x"}
    description = {"metadata": {"annotations": {APPLIED_OBJECTS_ANNOTATION: to_annotation(references)}}}
    assert remembered(description) == references
    assert remembered({"metadata": {}}) == []


def test_a_description_refers_to_all_its_objects_or_to_none():
    objects = [kind("apps/v1", "Deployment"), live_with(metadata={"name": "x", "namespace": "n"})]
    raw = [encoded(obj) for obj in objects]
    assert references_of({"spec": {"raw": raw}}) == dict(enumerate(map(reference, objects)))
    assert references_of({"spec": {"raw": [*raw, "?"]}}) == references_of({"spec": {}}) == {}


@pytest.mark.parametrize(
    "text", ["{", "{}", "5", '[1, {"kind": "x"}, {"apiVersion": "v1", "kind": "X", "name": "x", "namespace": 1}]']
)
def test_a_damaged_memory_is_left_out(text):
    assert remembered({"metadata": {"annotations": {APPLIED_OBJECTS_ANNOTATION: text}}}) == []


def test_versions_are_views_of_one_object():
    old, new = ({"apiVersion": f"apps/{version}", "kind": "D", "name": "x"} for version in ("v1beta1", "v1"))
    other = {"apiVersion": "v1", "kind": "D", "name": "x"}
    assert identity(old) == identity(new) != identity(other)
    assert union([old, other], [new]) == [new, other]
    assert without([old, other], [new]) == [other]
    assert identity({**old, "namespace": "a"}) != identity({**old, "namespace": "b"}) != identity(old)
    assert identity({**old, "namespace": ""}) == identity(old)
    assert identity({**old, "apiVersion": "batch/v1"}) != identity(old)


def described(*objects, remembers=None):
    annotations = {} if remembers is None else {APPLIED_OBJECTS_ANNOTATION: json.dumps(remembers)}
    return {"metadata": {"annotations": annotations}, "spec": {"raw": [encoded(obj) for obj in objects]}}


def test_a_description_remembers_what_it_loses_until_it_is_removed():
    one, two, three = (kind("v1", name) for name in ("One", "Two", "Three"))
    before = described(one, two, remembers=[reference(three)])
    after = remembering_lost(before, described(one))
    assert unlisted(after) == [reference(three), reference(two)]
    assert unlisted(remembering_lost(after, described(one, two))) == []
    grown = described(one, two, three)
    assert remembering_lost(before, grown) is grown
    after["metadata"]["annotations"] |= remembering([reference(one), reference(two)])
    assert unlisted(after) == [reference(two)]


def test_what_is_noted_of_an_object_stays_when_another_one_leaves():
    one, two = kind("v1", "One"), kind("x/v1", "Two")
    before = described(
        one, two, remembers=[{**reference(one), "digest": "d"}, {**reference(two), "apiVersion": "x/v0"}]
    )
    after = remembering_lost(before, described(one))
    assert remembered(after) == [{**reference(one), "digest": "d"}, reference(two)]


def test_nothing_is_lost_where_a_description_cannot_be_read():
    one = kind("v1", "One")
    damaged = {"metadata": {}, "spec": {"raw": ["?"]}}
    assert remembering_lost(described(one), damaged) is damaged
    damaged["metadata"]["annotations"] = remembering([reference(one)])
    assert unlisted(damaged) == []


def entry(manager, operation="Update", annotation=True, **more):
    fields = {"f:data": {f"f:{manager}": {}}}
    if annotation:
        fields["f:metadata"] = {"f:annotations": {f"f:{LAST}": {}}}
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


def test_fields_of_clusternets_deployer_become_ours():
    other = entry("kubectl", annotation=False)
    live = {"metadata": {"managedFields": [entry("a", time="1"), other, entry("b", time="2"), {"operation": "Update"}]}}
    kept, empty, ours = taken_over(live)
    assert (kept, empty, ours["time"]) == (other, {"operation": "Update"}, "2")
    assert (ours["manager"], ours["operation"]) == ("clusternet", "Apply")
    assert ours["fieldsV1"]["f:data"] == {"f:a": {}, "f:b": {}}
    assert ours["fieldsV1"]["f:metadata"] == {"f:annotations": {f"f:{LAST}": {}}}


def test_what_clusternets_agent_restores_becomes_ours_again():
    """It writes fields that this engine has applied, with or without the annotation."""
    mine = entry("clusternet", operation="Apply", time="1")
    for program in (entry("x", time="2"), entry("clusternet-agent", annotation=False, time="2")):
        [ours] = taken_over({"metadata": {"managedFields": [mine, program]}})
        assert (ours["manager"], ours["operation"], ours["time"]) == ("clusternet", "Apply", "1")
        assert ours["fieldsV1"]["f:data"] == {"f:clusternet": {}, f"f:{program['manager']}": {}}


@pytest.mark.parametrize(
    "managed",
    [
        None,
        [entry("kubectl", annotation=False)],
        [entry("x", operation="Apply")],
        [entry("x", subresource="status")],
        [entry("clusternet", operation="Apply")],
        [entry("clusternet", operation="Apply"), entry("kubectl", annotation=False)],
        [entry("clusternet-agent", annotation=False, subresource="status")],
    ],
)
def test_nothing_is_taken_over_where_none_of_clusternets_programs_has_written(managed):
    assert taken_over({"metadata": {"managedFields": managed}}) is None
