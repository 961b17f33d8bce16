"""Conditions, quantities, nodes, address ranges, heartbeats, taints, initialisation."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from clusternet_engine.model import constants as names
from clusternet_engine.model.cidrs import cluster_cidr, flag_values, service_cidr
from clusternet_engine.model.conditions import find_condition, make_condition, merge_conditions, ready_condition
from clusternet_engine.model.heartbeats import Heartbeats, grace_period, lost_status
from clusternet_engine.model.initialization import init_base_name, init_condition, init_disabled, init_skipped
from clusternet_engine.model.nodes import node_statistics, sum_resources
from clusternet_engine.model.quantities import Format, Quantity, parse_quantity, sum_quantities
from clusternet_engine.model.taints import initialization_taint, wanted_taints
from clusternet_engine.model.times import format_time
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


# Conditions


def test_ready_condition():
    assert ready_condition(True, NOW)["reason"] == "ManagedClusterReady"
    assert ready_condition(False, NOW)["reason"] == "ManagedClusterNotReady"
    assert ready_condition(False, NOW)["status"] == "False"


def test_an_unchanged_ready_takes_the_new_time():
    assert merge_conditions([ready_condition(True, NOW)], [ready_condition(True, LATER)]) == [
        ready_condition(True, LATER)
    ]


def test_an_unchanged_condition_of_another_type_keeps_its_time():
    before = make_condition("ClusterInit", "True", "A", "b", NOW)
    assert merge_conditions([before], [make_condition("ClusterInit", "True", "A", "b", LATER)]) == [before]


@pytest.mark.parametrize("kind", ["Ready", "ClusterInit"])
def test_another_reason_keeps_the_time_another_status_changes_it(kind):
    before = make_condition(kind, "True", "A", "b", NOW)
    (after,) = merge_conditions([before], [make_condition(kind, "True", "B", "b", LATER)])
    assert (after["reason"], after["lastTransitionTime"]) == ("B", format_time(NOW))
    (after,) = merge_conditions([before], [make_condition(kind, "False", "A", "b", LATER)])
    assert after["lastTransitionTime"] == format_time(LATER)


CONDITIONS = st.lists(
    st.builds(
        make_condition,
        st.sampled_from(["Ready", "ClusterInit", "Foreign"]),
        st.sampled_from(["True", "False", "Unknown"]),
        st.sampled_from(["A", "B"]),
        st.sampled_from(["", "x"]),
        st.just(NOW),
    ),
    unique_by=lambda condition: condition["type"],
)


@given(CONDITIONS, CONDITIONS)
def test_merging_keeps_others_and_takes_all_new(existing, new):
    merged = merge_conditions(existing, new)
    by_type = {condition["type"]: condition for condition in merged}
    assert len(by_type) == len(merged)
    assert set(by_type) == {condition["type"] for condition in (*existing, *new)}
    for condition in new:
        assert by_type[condition["type"]]["status"] == condition["status"]
    for condition in existing:
        if find_condition(new, condition["type"]) is None:
            assert by_type[condition["type"]] == condition
    assert merge_conditions(merged, new) == merged


# Quantities


@pytest.mark.parametrize(
    ("text", "value", "written"),
    [
        ("0", 0, "0"),
        ("1", 1, "1"),
        ("4000m", 4, "4"),
        ("1500m", Fraction(3, 2), "1500m"),
        ("0.1", Fraction(1, 10), "100m"),
        ("1.5Gi", 3 * 2**29, "1536Mi"),
        ("1024Ki", 2**20, "1Mi"),
        ("512Ki", 2**19, "512Ki"),
        ("0.5Ki", 512, "512"),
        ("1000000", 10**6, "1M"),
        ("1e3", 1000, "1e3"),
        ("1E3", 1000, "1e3"),
        ("5e0", 5, "5"),
        ("2E", 2 * 10**18, "2E"),
        ("3Ei", 3 * 2**60, "3Ei"),
        ("100n", Fraction(1, 10**7), "100n"),
        ("-2k", -2000, "-2k"),
        (".5", Fraction(1, 2), "500m"),
        ("7.", 7, "7"),
    ],
)
def test_quantities(text, value, written):
    assert parse_quantity(text).value == value
    assert str(parse_quantity(text)) == written


def test_what_is_smaller_than_nano_is_rounded_away_from_zero():
    assert str(Quantity(Fraction(1, 10**10))) == "1n"
    assert str(Quantity(Fraction(-1, 10**10))) == "-1n"


@pytest.mark.parametrize("text", ["", "x", "1 Gi", "1gi", "1ki", "--1", "1e", "1Zi", "."])
def test_no_quantities(text):
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)


@given(st.lists(st.tuples(st.integers(-(10**6), 10**6), st.sampled_from(["n", "m", "", "k", "Ki", "Mi", "Gi", "e3"]))))
def test_sums_are_exact_and_read_back(amounts):
    quantities = [parse_quantity(f"{number}{suffix}") for number, suffix in amounts]
    total = sum_quantities(quantities)
    assert total.value == sum(quantity.value for quantity in quantities)
    if total.format is not Format.BINARY:
        assert parse_quantity(str(total)).value == total.value


# Nodes


def node(ready=None, **status):
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    return {"metadata": {"name": "n"}, "status": {"conditions": conditions, **status}}


def test_node_statistics():
    nodes = [node("True"), node("True"), node("False"), node("Unknown"), node(), {"metadata": {}}]
    assert node_statistics(nodes) == {"readyNodes": 2, "notReadyNodes": 1, "unknownNodes": 1, "lostNodes": 2}
    assert node_statistics([]) == {}


def test_resources_are_summed():
    amounts = [
        {"cpu": "4", "memory": "16Gi", "pods": "110"},
        {"cpu": "500m", "memory": "8Gi", "nvidia.com/gpu": "2"},
        {},
    ]
    assert sum_resources(amounts) == {"cpu": "4500m", "memory": "24Gi", "nvidia.com/gpu": "2"}
    assert sum_resources([]) == {"cpu": "0", "memory": "0"}


# Address ranges


def pod(label, *words, key="component", field="command"):
    return {"metadata": {"labels": {key: label}}, "spec": {"containers": [{field: list(words)}]}}


@pytest.mark.parametrize(
    ("pods", "wanted"),
    [
        ([], ""),
        ([pod("kube-apiserver", "--service-cluster-ip-range=10.0.0.0/16")], "10.0.0.0/16"),
        ([pod("kube-apiserver", "--service-cluster-ip-range", "10.0.0.0/16", field="args")], "10.0.0.0/16"),
        (
            [pod("kube-apiserver", "sh", "-c", "exec kube-apiserver --service-cluster-ip-range=10.0.0.0/16 -v 2")],
            "10.0.0.0/16",
        ),
        (
            [pod("kube-apiserver", "--service-cluster-ip-range=10.0.0.0/16", key="app.kubernetes.io/component")],
            "10.0.0.0/16",
        ),
        ([pod("kube-apiserver", "--service-cluster-ip-range=10.0.0.0/16,fd00::/108")], "10.0.0.0/16,fd00::/108"),
        (
            [
                pod("kube-controller-manager", "--service-cluster-ip-range=10.1.0.0/16"),
                pod("kube-apiserver", "--service-cluster-ip-range=10.0.0.0/16"),
            ],
            "10.0.0.0/16",
        ),
        (
            [pod("kube-apiserver"), pod("kube-controller-manager", "--service-cluster-ip-range=10.1.0.0/16")],
            "10.1.0.0/16",
        ),
        ([pod("kube-apiserver", "--service-cluster-ip-range=$(RANGE)")], ""),
        ([pod("kube-apiserver", "--service-cluster-ip-range=10.0.0.1")], ""),
        ([pod("kube-apiserver", "--service-cluster-ip-range=10.0.0.0/99")], ""),
        ([pod("kube-apiserver", "--service-cluster-ip-range")], ""),
        ([pod("kube-apiserver", "--service-cluster-ip-range", "--other")], ""),
        ([pod("other", "--service-cluster-ip-range=10.0.0.0/16")], ""),
        ([{"metadata": {}, "spec": {}}, {"metadata": {"labels": {"component": "kube-apiserver"}}}], ""),
    ],
)
def test_service_cidr(pods, wanted):
    assert service_cidr(pods) == wanted


def test_cluster_cidr():
    proxy = pod("kube-proxy", "--cluster-cidr=10.3.0.0/16", key="k8s-app")
    manager = pod("kube-controller-manager", "--cluster-cidr", "10.2.0.0/16")
    assert cluster_cidr([proxy]) == "10.3.0.0/16"
    assert cluster_cidr([proxy, manager]) == "10.2.0.0/16"


def test_a_flag_followed_by_itself():
    assert list(flag_values(["--a", "--a=1", "--a", "2", '--a="3"'], "--a")) == ["1", "2", "3"]


@given(st.lists(st.text()))
def test_flags_never_fail(words):
    list(flag_values(words, "--a"))


# Heartbeats


def cluster(observed=None, frequency=5, created=NOW):
    status = {"heartbeatFrequencySeconds": frequency} | (
        {"lastObservedTime": format_time(observed)} if observed else {}
    )
    return {"metadata": {"creationTimestamp": format_time(created)}, "status": status}


@pytest.mark.parametrize(("frequency", "grace"), [(5, 15), (180, 540), (0, 540), (None, 540), (-1, 540)])
def test_grace(frequency, grace):
    assert grace_period({"heartbeatFrequencySeconds": frequency}) == grace
    assert grace_period({}) == 540


def test_a_heartbeat_before_the_start_counts_by_its_time():
    beats = Heartbeats(started=0.0)
    assert beats.remaining("k", cluster(NOW), 100.0, NOW + timedelta(seconds=10)) == 5
    assert beats.remaining("k", cluster(NOW), 110.0, NOW + timedelta(seconds=20)) == -5


def test_a_heartbeat_seen_counts_from_its_arrival_whatever_time_it_bears():
    beats = Heartbeats(started=0.0)
    beats.remaining("k", cluster(NOW - timedelta(hours=1)), 100.0, NOW)
    assert beats.remaining("k", cluster(NOW - timedelta(minutes=59)), 101.0, NOW) == 15
    assert beats.remaining("k", cluster(NOW - timedelta(minutes=59)), 111.0, NOW) == 5
    assert beats.remaining("k", cluster(NOW + timedelta(hours=1)), 112.0, NOW) == 15
    beats.forget("k")
    assert beats.remaining("k", cluster(NOW + timedelta(hours=1)), 120.0, NOW) == 15


def test_after_the_start_every_cluster_has_half_its_grace():
    beats = Heartbeats(started=100.0)
    assert beats.remaining("k", cluster(NOW - timedelta(hours=1)), 100.0, NOW) == 7.5


def test_a_cluster_that_never_reported_counts_from_its_creation():
    beats = Heartbeats(started=0.0)
    assert beats.remaining("k", cluster(created=NOW), 1000.0, NOW + timedelta(seconds=14)) == 1
    assert beats.remaining("l", {"metadata": {}}, 1000.0, NOW) == 540


def test_lost_status():
    flags, ready = lost_status({"lastObservedTime": format_time(NOW)}, NOW)
    assert flags == {"healthz": False, "livez": False, "readyz": False}
    assert (ready["status"], ready["reason"]) == ("Unknown", "ClusterStatusUnknown")
    _, ready = lost_status({}, NOW)
    assert ready["reason"] == "ClusterStatusNeverUpdated"
    assert lost_status({"conditions": [ready]}, LATER)[1] is ready
    ready = ready_condition(True, NOW)
    assert lost_status({"lastObservedTime": "x", "conditions": [ready]}, LATER)[1]["status"] == "Unknown"


# Taints

OWN = {
    "key": names.UNSCHEDULABLE_TAINT,
    "value": "ClusterStatusUnknown",
    "effect": "NoSchedule",
    "timeAdded": format_time(NOW),
}
FOREIGN = {"key": names.UNSCHEDULABLE_TAINT, "value": "maintenance", "effect": "NoSchedule"}
OTHER = {"key": "team", "effect": "NoExecute"}


def ready(status, reason):
    return make_condition("Ready", status, reason, "", NOW)


@pytest.mark.parametrize(
    ("taints", "conditions", "wanted"),
    [
        ([OTHER], [], [OTHER]),
        ([OTHER], [ready("Unknown", "ClusterStatusUnknown")], [OTHER, OWN]),
        ([OWN], [ready("False", "ManagedClusterNotReady")], [OWN]),
        ([FOREIGN], [ready("False", "ManagedClusterNotReady")], [FOREIGN]),
        ([OWN, OTHER, initialization_taint(NOW)], [ready("True", "A"), init_disabled(NOW)], [OTHER]),
        ([FOREIGN, OWN], [ready("True", "ManagedClusterReady")], [FOREIGN]),
        ([OWN], [], [OWN]),
        ([{**OWN, "effect": "NoExecute"}], [ready("True", "A")], [{**OWN, "effect": "NoExecute"}]),
        ([], [ready("Unknown", "SomethingElse")], [OWN]),
        ([], [ready("False", "SomethingElse")], [{**OWN, "value": "ManagedClusterNotReady"}]),
        ([], [make_condition("ClusterInit", "False", "Other", "", NOW)], [initialization_taint(NOW)]),
    ],
)
def test_taints(taints, conditions, wanted):
    assert wanted_taints(taints, conditions, NOW) == wanted


@given(st.lists(st.sampled_from([OWN, FOREIGN, OTHER, initialization_taint(NOW)]), unique_by=id), CONDITIONS)
def test_a_second_look_changes_no_taints_and_users_keep_theirs(taints, conditions):
    wanted = wanted_taints(taints, conditions, NOW)
    assert wanted_taints(wanted, conditions, LATER) == wanted
    for taint in taints:
        assert taint in wanted or taint in (OWN, initialization_taint(NOW))


# Initialisation


def base(name, created="2026-01-01T00:00:00Z", default="true"):
    annotations = {names.DEFAULT_CLUSTER_INIT_ANNOTATION: default} if default else {}
    return {"metadata": {"name": name, "creationTimestamp": created, "annotations": annotations}}


def test_which_base_initialises():
    plain = {"metadata": {}, "spec": {}}
    assert init_base_name(plain, []) is None
    assert init_base_name(plain, [base("a", default=None), base("b", default="false")]) is None
    assert init_base_name(plain, [base("b", "2026-02-01T00:00:00Z"), base("c"), base("d")]) == "c"
    chosen = {"metadata": {"annotations": {names.CLUSTER_INIT_BASE_ANNOTATION: "x"}}, "spec": {}}
    assert init_base_name(chosen, [base("c")]) == "x"
    assert init_base_name({**chosen, "spec": {"clusterInitBaseName": "y"}}, [base("c")]) == "y"


def description(phase):
    return {"metadata": {"name": "d"}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("name", "found", "descriptions", "status", "text"),
    [
        (None, None, [], "False", "No Base"),
        ("b", None, [], "False", "does not exist"),
        ("b", base("b"), [], "False", "no Description"),
        ("b", base("b"), [description("Success"), {"metadata": {"name": "e"}}], "False", "yet: e"),
        ("b", base("b"), [description("Failure")], "False", "yet: d"),
        ("b", base("b"), [description("Success")], "True", "is deployed"),
    ],
)
def test_init_condition(name, found, descriptions, status, text):
    condition = init_condition(name, found, descriptions, NOW)
    assert condition["status"] == status
    assert text in condition["message"]


def test_init_skipped():
    assert init_skipped({"metadata": {"annotations": {names.SKIP_CLUSTER_INIT_ANNOTATION: "true"}}})
    assert not init_skipped({"metadata": {"annotations": {names.SKIP_CLUSTER_INIT_ANNOTATION: "yes"}}})
    assert not init_skipped({"metadata": {}})
