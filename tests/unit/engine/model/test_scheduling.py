"""Where Subscriptions go (spec/03 §2–§4; cases A4–A6, B3.2, B3.3, B3.7–B3.9, B3.11, B3.12, B3.16, C2.4, C3.20–22)."""

import copy

import pytest
from clusternet_engine.model.scheduling import (
    Placement,
    Reason,
    Unschedulable,
    is_due,
    make_plan,
    schedule,
    within_tolerance,
)
from clusternet_engine.model.spec_hash import spec_hash
from hypothesis import given
from hypothesis import strategies as st

WEB = {"kind": "Deployment", "apiVersion": "apps/v1", "namespace": "foo", "name": "web"}
API = {**WEB, "name": "api"}
PLAIN = {"kind": "Namespace", "apiVersion": "v1", "name": "foo"}
WEB_KEY, API_KEY, PLAIN_KEY = "apps/v1/Deployment/foo/web", "apps/v1/Deployment/foo/api", "v1/Namespace/foo"
STATIC = {"schedulingStrategy": "Dividing", "dividingScheduling": {"type": "Static"}}
DYNAMIC = {
    "schedulingStrategy": "Dividing",
    "dividingScheduling": {"type": "Dynamic", "dynamicDividing": {"strategy": "Spread"}},
}
TAINT = {"key": "k", "effect": "NoSchedule"}
EVERYWHERE = [{"clusterAffinity": {}}]


def cluster(name, /, *, namespace="", taints=(), **labels):
    metadata = {"name": name, "namespace": namespace or f"ns-{name}", "labels": labels}
    return {"metadata": metadata, "spec": {"taints": list(taints)}}


def clusters(*names):
    return [cluster(name) for name in names]


def subscription(feeds=(WEB,), subscribers=EVERYWHERE, annotations=None, status=None, **spec):
    spec = {"subscribers": list(subscribers), "feeds": list(feeds), **spec}
    return {"metadata": {"annotations": annotations}, "spec": spec} | ({"status": status} if status else {})


def divided(bindings, replicas, hashed=True, **options):
    """A Subscription that has been scheduled; `hashed` = and hasn't changed since."""
    subs = subscription(**options)
    status = {"bindingClusters": [f"ns-{name}/{name}" for name in bindings], "replicas": replicas}
    return {**subs, "status": {**status, "specHash": spec_hash(subs["spec"]) if hashed else 1}}


def entry(feed, replicas=None):
    return feed if replicas is None else {**feed, "desiredReplicas": replicas}


def rooms(feeds, **by_cluster):
    """Predictions: one number for all feeds, or one for each."""
    return {
        f"ns-{name}/{name}": dict(
            zip(feeds, numbers if isinstance(numbers, list) else [numbers] * len(feeds), strict=True)
        )
        for name, numbers in by_cluster.items()
    }


def result(placement):
    """Names of the clusters, and replicas by feed."""
    return [binding.split("/")[1] for binding in placement.bindings], placement.replicas


# Spec hash

HASHED = {
    "schedulerName": "default",
    "schedulingStrategy": "Replication",
    "subscribers": [{"clusterAffinity": {"matchLabels": {"cluster-name": "abc"}}}],
    "feeds": [{"kind": "Demo", "apiVersion": "abc.com/v1", "namespace": "foo", "name": "bar"}],
}


def test_b3_16_spec_hash():
    assert spec_hash(HASHED) == 2608449479


def test_b3_16_nothing_said_hashes_like_nothing_there():
    said_nothing = {
        **HASHED,
        "schedulingBySubGroup": False,
        "dividingScheduling": None,
        "priority": None,
        "clusterTolerations": [],
        "subscribers": [{**HASHED["subscribers"][0], "weight": 0, "subGroupStrategy": None}],
    }
    assert spec_hash(said_nothing) == 2608449479


@pytest.mark.parametrize(
    "change",
    [
        {"schedulerName": "other"},
        {"schedulingBySubGroup": True},
        {"schedulingStrategy": "Dividing"},
        {"dividingScheduling": {"type": "Static"}},
        {"dividingScheduling": {"type": "Dynamic", "dynamicDividing": {"strategy": "Spread", "maxClusters": 2}}},
        {"priority": 1},
        {"preemptionPolicy": "PreemptNever"},
        {"subscribers": [{"clusterAffinity": {}}]},
        {"subscribers": [{**HASHED["subscribers"][0], "weight": 1}]},
        {"subscribers": [{**HASHED["subscribers"][0], "subGroupStrategy": {"minClusters": 1}}]},
        {"subscribers": [{**HASHED["subscribers"][0], "subGroupStrategy": {}}]},
        {"clusterTolerations": [{"operator": "Exists"}]},
        {"feeds": []},
        {"feeds": [{**HASHED["feeds"][0], "name": "<"}]},
        {"feeds": [{**HASHED["feeds"][0], "name": "ä"}]},
    ],
)
def test_b3_16_everything_said_counts(change):
    assert spec_hash({**HASHED, **change}) != 2608449479


def test_b3_16_the_order_of_keys_does_not_count():
    labels = {"b": "2", "a": "1"}
    one = {**HASHED, "subscribers": [{"clusterAffinity": {"matchLabels": labels}}]}
    other = {key: one[key] for key in reversed(one)}
    other["subscribers"] = [{"clusterAffinity": {"matchLabels": dict(sorted(labels.items()))}}]
    assert spec_hash(one) == spec_hash(other)


def test_b3_16_characters_that_go_escapes():
    """The value of the text that Go writes, with <, > and & as \\u003c, \\u003e and \\u0026."""
    escaped = '{"feeds":[{"kind":"\\u003c\\u003e\\u0026\\u2028ä"}]}'
    value = 0x811C9DC5
    for byte in f"([]uint8)[{' '.join(str(byte) for byte in escaped.encode())}]".encode():
        value = ((value ^ byte) * 0x01000193) % 2**32
    assert spec_hash({"feeds": [{"kind": "<>&\u2028ä"}]}) == value


# Replication


def test_a1_replication_binds_all_that_are_feasible_in_order():
    found = [cluster("b", namespace="z"), cluster("a", namespace="y"), cluster("c", taints=[TAINT])]
    placement = schedule(subscription(), found)
    assert placement.bindings == ["y/a", "z/b"]
    assert (placement.replicas, placement.reason) == ({}, Reason.SCHEDULED)
    assert placement.message == "bound to 2 clusters; taint k:NoSchedule keeps away c"


def test_replication_follows_the_clusters_without_a_change_of_its_own():
    assert result(schedule(divided(["a"], {}), clusters("a", "b"))) == (["a", "b"], {})


def test_what_is_tolerated_and_what_is_ready_counts():
    lost = cluster("lost")
    lost["status"] = {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "ClusterStatusUnknown"}]}
    found = [cluster("tainted", taints=[TAINT]), lost]
    tolerant = subscription(clusterTolerations=[{"key": "k", "operator": "Exists"}])
    assert result(schedule(tolerant, found))[0] == ["lost", "tainted"]
    assert result(schedule(tolerant, found, fail_over=True))[0] == ["tainted"]


def test_clusters_that_nobody_selects_are_not_worth_a_word():
    found = [cluster("a", env="x"), cluster("b")]
    placement = schedule(subscription(subscribers=[{"clusterAffinity": {"matchLabels": {"env": "x"}}}]), found)
    assert placement.message == "bound to 1 cluster"


def test_b3_11_bindings_are_sorted_and_replicas_go_along():
    found = [cluster("xyz", namespace="cluster-ns-03"), cluster("def", namespace="cluster-ns-01")]
    weighted = [{"clusterAffinity": {}, "weight": 1}]
    placement = schedule(subscription(subscribers=weighted, **STATIC), found, [entry(WEB, 3)])
    assert placement.bindings == ["cluster-ns-01/def", "cluster-ns-03/xyz"]
    assert placement.replicas == {WEB_KEY: [2, 1]}
    found = [cluster("abc", namespace="cluster-ns-03"), cluster("def", namespace="cluster-ns-01")]
    assert schedule(subscription(subscribers=weighted, **STATIC), found, [entry(WEB, 3)]).replicas == {WEB_KEY: [1, 2]}


def test_c3_2_no_feasible_cluster_binds_none_and_says_why():
    found = [cluster("a", taints=[TAINT]), cluster("b", env="x"), cluster("c", env="y")]
    subscribers = [{"clusterAffinity": {"matchExpressions": [{"key": "env", "operator": "DoesNotExist"}]}}]
    placement = schedule(subscription(subscribers=subscribers), found)
    assert (placement.bindings, placement.replicas) == ([], {})
    assert placement.reason == Reason.NO_FEASIBLE_CLUSTER
    message = "0/3 clusters are available: taint k:NoSchedule keeps away a; no subscriber selects b, c"
    assert placement.message == message


def test_c3_2_clusters_that_are_being_removed_are_none():
    leaving = cluster("a")
    leaving["metadata"]["deletionTimestamp"] = "2026-11-23T10:00:00Z"
    message = "0/0 clusters are available: all of them are being removed"
    assert schedule(subscription(), [leaving]) == Placement([], {}, Reason.NO_FEASIBLE_CLUSTER, message)


def obstacle(subs, found=(), inventory=None):
    with pytest.raises(Unschedulable) as raised:
        schedule(subs, found, inventory)
    return raised.value.reason, raised.value.message


def test_without_any_cluster_what_was_bound_stays():
    assert obstacle(subscription()) == (Reason.NO_CLUSTERS, "no cluster has been registered yet")


def test_a_selector_that_is_none():
    bad = [{"clusterAffinity": {"matchExpressions": [{"key": "a", "operator": "Like"}]}}]
    reason, message = obstacle(subscription(subscribers=bad), clusters("a"))
    assert reason == Reason.INVALID_SPEC
    assert "'Like'" in message


# Sub groups


def groups(*wanted, weights=(0, 0)):
    return [
        {
            "clusterAffinity": {"matchLabels": {"region": region}},
            "subGroupStrategy": {"minClusters": count},
            "weight": weight,
        }
        for region, count, weight in zip(("shanghai", "beijing"), wanted, weights, strict=True)
    ]


REGIONS = [*(cluster(name, region="shanghai") for name in ("s1", "s2", "s3")), cluster("b1", region="beijing")]


def test_a6_replication():
    subs = subscription(subscribers=groups(2, 1), schedulingBySubGroup=True)
    assert result(schedule(subs, REGIONS)) == (["b1", "s1", "s2"], {})


def test_a6_static():
    subs = subscription(subscribers=groups(1, 1, weights=(2, 1)), schedulingBySubGroup=True, **STATIC)
    assert result(schedule(subs, REGIONS, [entry(WEB, 6)])) == (["b1", "s1"], {WEB_KEY: [2, 4]})


def test_a6_dynamic():
    subs = subscription(subscribers=groups(1, 1), schedulingBySubGroup=True, **DYNAMIC)
    placement = schedule(subs, REGIONS, [entry(WEB, 6)], rooms([WEB_KEY], s1=10, b1=10))
    assert result(placement) == (["b1", "s1"], {WEB_KEY: [3, 3]})


def test_groups_that_ask_for_nothing():
    subs = subscription(subscribers=groups(0, 0), schedulingBySubGroup=True)
    assert obstacle(subs, REGIONS)[0] == Reason.EMPTY_SUB_GROUPS
    subs = subscription(schedulingBySubGroup=True)
    assert obstacle(subs, REGIONS)[0] == Reason.INVALID_SPEC
    subs = subscription(subscribers=groups(1, 1), schedulingBySubGroup=True)
    assert schedule(subs, clusters("other")).reason == Reason.NO_FEASIBLE_CLUSTER


# Static


def weighted(**weights):
    return [{"clusterAffinity": {"matchLabels": {"name": name}}, "weight": weight} for name, weight in weights.items()]


def test_a4_static():
    found = [cluster("child1", name="child1"), cluster("child2", name="child2")]
    service = {"kind": "Service", "apiVersion": "v1", "namespace": "bar", "name": "svc"}
    subs = subscription([PLAIN, service, WEB], weighted(child1=1, child2=2), **STATIC)
    for desired, shares in ((6, [2, 4]), (9, [3, 6])):
        placement = schedule(subs, found, [entry(PLAIN), entry(service), entry(WEB, desired)])
        assert result(placement) == (
            ["child1", "child2"],
            {WEB_KEY: shares, PLAIN_KEY: [], "v1/Service/bar/svc": []},
        )


MEMBERS = [cluster("member1", a="1"), cluster("member2", b="2"), cluster("member3", a="1", b="1")]


def selecting(**label):
    weight = label.pop("weight")
    return {"clusterAffinity": {"matchLabels": label}, "weight": weight}


def test_b3_2_a_cluster_in_two_groups_has_both_weights():
    found = [*MEMBERS[:2], cluster("member3", a="1", b="2")]
    subs = subscription(subscribers=[selecting(a="1", weight=1), selecting(b="2", weight=2)], **STATIC)
    assert result(schedule(subs, found, [entry(WEB, 12)]))[1] == {WEB_KEY: [2, 4, 6]}


def test_b3_3_groups_without_weight_take_part_with_none():
    groups = [selecting(a="1", weight=1), selecting(b="2", weight=0), selecting(b="1", weight=2)]
    subs = subscription([WEB, API], groups, **STATIC)
    placement = schedule(subs, MEMBERS, [entry(WEB, 12), entry(API, 12)])
    assert result(placement) == (["member1", "member2", "member3"], {WEB_KEY: [3, 0, 9], API_KEY: [3, 0, 9]})


def test_c3_20_without_weights_nothing_is_divided():
    subs = subscription([WEB, PLAIN], **STATIC)
    placement = schedule(subs, clusters("a", "b"), [entry(WEB, 6), entry(PLAIN)])
    assert result(placement) == (["a", "b"], {})
    assert placement.reason == Reason.SCHEDULED


def test_only_feeds_without_replicas():
    for type_ in (STATIC, DYNAMIC):
        subs = subscription([PLAIN], weighted(a=1), **type_)
        assert result(schedule(subs, [cluster("a", name="a")], [entry(PLAIN)])) == (["a"], {PLAIN_KEY: []})


def test_c2_4_c3_21_static_stays_until_the_spec_changes():
    options = {"subscribers": [{"clusterAffinity": {}, "weight": 1}], **STATIC}
    inventory = [entry(WEB, 4)]
    settled = divided(["a", "b"], {WEB_KEY: [2, 2]}, **options)
    assert result(schedule(settled, clusters("a", "c"), inventory)) == (["a", "b"], {WEB_KEY: [2, 2]})
    assert result(schedule(settled, [], inventory)) == (["a", "b"], {WEB_KEY: [2, 2]})
    changed = divided(["a", "b"], {WEB_KEY: [2, 2]}, hashed=False, **options)
    assert result(schedule(changed, clusters("a", "c"), inventory)) == (["a", "c"], {WEB_KEY: [2, 2]})
    mobile = divided(["a", "b"], {WEB_KEY: [2, 2]}, annotations={"apps.clusternet.io/rebalance": "true"}, **options)
    assert result(schedule(mobile, clusters("a"), inventory)) == (["a"], {WEB_KEY: [4]})


def test_static_asks_no_predictors_and_follows_weights_when_rebalanced():
    options = {"subscribers": [selecting(a="1", weight=1), selecting(b="2", weight=3)], **STATIC}
    moved = divided(
        ["member1", "member2"], {WEB_KEY: [2, 2]}, annotations={"apps.clusternet.io/rebalance": "true"}, **options
    )
    plan = make_plan(moved, MEMBERS[:2], [entry(WEB, 4)], fail_over=False)
    assert not plan.to_predict
    assert result(plan.place({})) == (["member1", "member2"], {WEB_KEY: [1, 3]})


# Admission


@pytest.mark.parametrize(
    ("hashed", "replicas", "inventory", "due"),
    [
        (True, {WEB_KEY: [2, 1]}, [entry(WEB, 3)], False),
        (True, {WEB_KEY: [2, 1]}, [entry(WEB, 4)], True),
        (True, {WEB_KEY: [2, 1]}, [entry(WEB, 2)], True),
        (True, {WEB_KEY: [2, 1]}, [entry(WEB, 3), entry(API, 1)], True),
        (True, {WEB_KEY: [2, 1]}, [entry(WEB, 3), entry(PLAIN)], True),
        (True, {WEB_KEY: [2, 1], PLAIN_KEY: []}, [entry(WEB, 3), entry(PLAIN)], False),
        (True, {API_KEY: [2, 1]}, [entry(WEB, 3)], True),
        (True, {WEB_KEY: [2, 1], API_KEY: [1, 1]}, [entry(WEB, 3)], False),
        (False, {WEB_KEY: [2, 1]}, [entry(WEB, 3)], True),
    ],
)
def test_b3_12_admission(hashed, replicas, inventory, due):
    assert is_due(divided(["a", "b"], replicas, hashed=hashed), inventory) == due


def test_b3_12_what_was_never_scheduled_is_due():
    assert is_due(subscription(), [])
    assert is_due(divided([], None), [entry(WEB, 1)])


def test_dividing_waits_for_the_inventory_of_its_feeds():
    subs = subscription([WEB, API], **STATIC)
    assert obstacle(subs)[0] == Reason.WAITING_FOR_INVENTORY
    plain = subscription([{**PLAIN, "namespace": ""}], **STATIC)
    assert make_plan(plain, clusters("a"), [PLAIN], fail_over=False).chosen
    for inventory in ([], [WEB], [API, WEB], [WEB, {**API, "namespace": "bar"}]):
        assert obstacle(subs, inventory=inventory)[0] == Reason.WAITING_FOR_INVENTORY
    assert make_plan(subs, clusters("a"), [entry(WEB, 1), {**API, "namespace": "foo"}], fail_over=False).chosen


@pytest.mark.parametrize(
    ("dividing", "text"),
    [
        (None, "dividingScheduling is missing"),
        ({"type": "Dynamic"}, "dynamicDividing is missing"),
        ({"type": "Dynamic", "dynamicDividing": {"strategy": "Binpack"}}, "Binpack"),
    ],
)
def test_ways_of_dividing_that_do_not_exist(dividing, text):
    subs = subscription(schedulingStrategy="Dividing", dividingScheduling=dividing)
    reason, message = obstacle(subs)
    assert reason == Reason.INVALID_SPEC
    assert text in message


# Dynamic


def dynamic(replicas=None, bindings=("c1", "c2", "c3"), feeds=(WEB, API), **options):
    replicas = {WEB_KEY: [1, 3, 0], API_KEY: [1, 1, 1]} if replicas is None else replicas
    return divided(bindings, replicas, feeds=feeds, **DYNAMIC, **options)


def test_a5_dynamic():
    subs = subscription(**DYNAMIC)
    placement = schedule(subs, clusters("a", "b", "c"), [entry(WEB, 6)], rooms([WEB_KEY], a=9, b=9, c=9))
    assert result(placement) == (["a", "b", "c"], {WEB_KEY: [2, 2, 2]})
    scaled = divided(["a", "b", "c"], {WEB_KEY: [2, 2, 2]}, **DYNAMIC)
    plan = make_plan(scaled, clusters("a", "b", "c", "d"), [entry(WEB, 3)], fail_over=False)
    assert not plan.to_predict
    assert result(plan.place({})) == (["a", "b", "c"], {WEB_KEY: [1, 1, 1]})


def test_b3_5_scale_up():
    room = rooms([WEB_KEY, API_KEY], c1=[10, 10], c2=[10, 20], c3=[10, 30])
    placement = schedule(dynamic(), clusters("c1", "c2", "c3"), [entry(WEB, 8), entry(API, 9)], room)
    assert result(placement) == (["c1", "c2", "c3"], {WEB_KEY: [3, 4, 1], API_KEY: [2, 3, 4]})


def test_b3_6_scale_down():
    placement = schedule(dynamic(), clusters("c1", "c2", "c3"), [entry(WEB, 2), entry(API, 1)])
    assert placement.replicas == {WEB_KEY: [0, 2, 0], API_KEY: [0, 0, 1]}


def test_b3_7_a_new_cluster_instead_of_another():
    room = rooms([WEB_KEY, API_KEY], c1=[10, 10], c2=[10, 20], c4=[10, 30])
    placement = schedule(dynamic(), clusters("c1", "c2", "c4"), [entry(WEB, 8), entry(API, 9)], room)
    assert result(placement) == (["c1", "c2", "c3", "c4"], {WEB_KEY: [3, 4, 0, 1], API_KEY: [2, 3, 1, 3]})


@pytest.mark.parametrize("hashed", [True, False])
def test_b3_8_nothing_changed(hashed):
    plan = make_plan(
        dynamic(hashed=hashed), clusters("c1", "c2", "c3", "c4"), [entry(WEB, 4), entry(API, 3)], fail_over=False
    )
    assert not plan.to_predict
    assert result(plan.place({})) == (["c1", "c2", "c3"], {WEB_KEY: [1, 3, 0], API_KEY: [1, 1, 1]})


def test_b3_9_a_feed_without_replicas_is_added():
    subs = dynamic(feeds=[WEB, API, PLAIN], hashed=False)
    found = clusters("c1", "c2", "c3", "c4")
    placement = schedule(subs, found, [entry(WEB, 4), entry(API, 3), entry(PLAIN)])
    wanted = {WEB_KEY: [1, 3, 0], API_KEY: [1, 1, 1], PLAIN_KEY: []}
    assert result(placement) == (["c1", "c2", "c3"], wanted)


def test_a_workload_is_added_and_another_has_left():
    subs = dynamic(feeds=[WEB], replicas={API_KEY: [1, 1, 1]}, hashed=False)
    placement = schedule(subs, clusters("c1", "c4"), [entry(WEB, 4)], rooms([WEB_KEY], c1=3, c4=9))
    assert result(placement) == (["c1", "c2", "c3", "c4"], {WEB_KEY: [1, 0, 0, 3]})


@pytest.mark.parametrize("replicas", [{WEB_KEY: []}, {WEB_KEY: [4]}])
def test_replicas_that_do_not_fit_the_bindings_are_divided_anew(replicas):
    subs = dynamic(feeds=[WEB], replicas=replicas, hashed=False)
    placement = schedule(subs, clusters("c1"), [entry(WEB, 4)], rooms([WEB_KEY], c1=9))
    assert result(placement) == (["c1", "c2", "c3"], {WEB_KEY: [4, 0, 0]})


def test_c3_21_dynamic_keeps_a_cluster_that_is_no_longer_selected():
    subs = dynamic(feeds=[WEB], replicas={WEB_KEY: [1, 3, 0]}, hashed=False)
    assert result(schedule(subs, clusters("c1"), [entry(WEB, 4)])) == (["c1", "c2", "c3"], {WEB_KEY: [1, 3, 0]})


def test_what_does_not_fit_is_told():
    subs = subscription([WEB, API], **DYNAMIC)
    room = rooms([WEB_KEY, API_KEY], a=[2, 9], b=[1, 9])
    placement = schedule(subs, clusters("a", "b"), [entry(WEB, 9), entry(API, 2)], room)
    assert result(placement) == (["a", "b"], {WEB_KEY: [2, 1], API_KEY: [1, 1]})
    assert placement.reason == Reason.INSUFFICIENT_CAPACITY
    assert placement.message == "there is only room for 3 of 9 replicas of Deployment foo/web"


def test_rebalancing_moves_replicas_when_clusters_change_only():
    inventory = [entry(WEB, 6)]

    def rebalanced(found, replicas=(3, 3), **room):
        subs = divided(
            ["a", "b"], {WEB_KEY: list(replicas)}, annotations={"apps.clusternet.io/rebalance": "true"}, **DYNAMIC
        )
        return result(schedule(subs, found, inventory, rooms([WEB_KEY], **room)))

    joined = divided(["a"], {WEB_KEY: [6]}, annotations={"apps.clusternet.io/rebalance": "true"}, **DYNAMIC)
    assert make_plan(joined, clusters("a", "b"), inventory, fail_over=False).to_predict == inventory
    assert not make_plan(subscription(**DYNAMIC), [cluster("a", taints=[TAINT])], inventory, fail_over=False).to_predict
    assert rebalanced(clusters("a", "b", "c"), a=7, b=7, c=10) == (["a", "b", "c"], {WEB_KEY: [2, 2, 2]})
    assert rebalanced(clusters("a"), a=7) == (["a"], {WEB_KEY: [6]})
    assert rebalanced([cluster("a", taints=[TAINT]), cluster("b")], b=7) == (["b"], {WEB_KEY: [6]})
    assert rebalanced([cluster("a", taints=[TAINT])]) == ([], {})
    assert rebalanced(clusters("a", "b"), replicas=(5, 1), a=0, b=90) == (["a", "b"], {WEB_KEY: [5, 1]})
    assert rebalanced(clusters("a", "b"), replicas=(2, 1), a=0, b=90) == (["a", "b"], {WEB_KEY: [2, 4]})


@pytest.mark.parametrize(
    ("failed", "asked", "tolerated"), [(0, 2, True), (1, 2, False), (1, 10, True), (2, 10, False), (11, 100, False)]
)
def test_tolerance_of_failing_predictors(failed, asked, tolerated):
    assert within_tolerance(failed, asked) == tolerated


# What always holds

NAMES = st.lists(st.sampled_from([f"c{number}" for number in range(8)]), unique=True, min_size=1)


@st.composite
def situations(draw):
    """A dividing Subscription that may have been scheduled before, its clusters, inventory and predictions."""
    names, before = draw(NAMES), sorted(draw(NAMES))
    feeds = draw(st.lists(st.sampled_from([WEB, API, PLAIN]), unique_by=str, min_size=1))
    subscribers = [
        {"clusterAffinity": {"matchLabels": {"name": name}} if name else {}, "weight": draw(st.integers(0, 4))}
        for name in draw(st.lists(st.sampled_from(["", "c0", "c1"]), min_size=1, max_size=3))
    ]
    annotations = draw(st.sampled_from([None, {"apps.clusternet.io/rebalance": "true"}]))
    type_ = draw(st.sampled_from([STATIC, DYNAMIC]))
    subs = subscription(feeds, subscribers, annotations, **type_)
    if draw(st.booleans()):
        numbers = st.lists(st.integers(0, 9), min_size=len(before), max_size=len(before))
        subs["status"] = {
            "bindingClusters": [f"ns-{name}/{name}" for name in before],
            "replicas": {WEB_KEY: draw(numbers), PLAIN_KEY: []},
            "specHash": spec_hash(subs["spec"]),
        }
    inventory = [entry(feed, None if feed is PLAIN else draw(st.integers(0, 20))) for feed in feeds]
    predictions = rooms([WEB_KEY, API_KEY], **{name: [draw(st.integers(0, 9)) for _ in "ab"] for name in names})
    return subs, [cluster(name, name=name) for name in names], inventory, predictions


@given(situations(), st.randoms())
def test_the_order_of_clusters_does_not_matter_and_nothing_is_changed(situation, random):
    subs, found, inventory, predictions = situation
    shuffled = random.sample(found, len(found))
    before = copy.deepcopy(situation)
    assert schedule(subs, found, inventory, predictions) == schedule(subs, shuffled, inventory, predictions)
    assert situation == before


@given(situations())
def test_every_placement_is_whole(situation):
    subs, found, inventory, predictions = situation
    placement = schedule(subs, found, inventory, predictions)
    assert placement.bindings == sorted(set(placement.bindings))
    assert all(len(numbers) in (0, len(placement.bindings)) for numbers in placement.replicas.values())
    assert all(number >= 0 for numbers in placement.replicas.values() for number in numbers)


@given(situations())
def test_a_placement_is_final_once_it_is_in_the_status(situation):
    subs, found, inventory, predictions = situation
    placement = schedule(subs, found, inventory, predictions)
    if placement.reason != Reason.SCHEDULED:
        return
    status = {
        "bindingClusters": placement.bindings,
        "replicas": placement.replicas,
        "specHash": spec_hash(subs["spec"]),
    }
    again = schedule({**subs, "status": status}, found, inventory, predictions)
    assert (again.bindings, again.replicas) == (placement.bindings, placement.replicas)


@given(situations())
def test_the_sum_of_replicas_is_the_one_wanted_or_the_shortage_is_told(situation):
    subs, found, inventory, predictions = situation
    placement = schedule(subs, found, inventory, predictions)
    wanted = {
        f"apps/v1/Deployment/foo/{one['name']}": one["desiredReplicas"] for one in inventory if "desiredReplicas" in one
    }
    sums = {key: sum(placement.replicas[key]) for key in wanted if key in placement.replicas}
    if placement.bindings and sums:
        assert (sums == wanted) == (placement.reason == Reason.SCHEDULED)
        assert all(sums[key] <= wanted[key] for key in sums)
