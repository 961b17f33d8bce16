"""Which clusters are candidates: tolerations, scores, groups (spec/03 §2; cases B3.10, B3.13, B3.14, B3.18)."""

import pytest
from clusternet_engine.model.candidates import find_candidates, listed, subscribers_of, take_groups
from clusternet_engine.model.tolerations import aversions, normalise, taint_text, tolerates, untolerated_taint
from hypothesis import given
from hypothesis import strategies as st

DEDICATED = {"key": "dedicated", "value": "user1", "effect": "NoSchedule"}


def cluster(name, *, taints=(), namespace="", ready="", deleting=False, **labels):
    metadata = {"name": name, "namespace": namespace or f"ns-{name}", "labels": labels}
    if deleting:
        metadata["deletionTimestamp"] = "2026-11-23T10:00:00Z"
    conditions = [{"type": "Ready", "status": ready, "reason": "X", "message": ""}] if ready else []
    return {"metadata": metadata, "spec": {"taints": list(taints)}, "status": {"conditions": conditions}}


def candidates(clusters, *affinities, tolerations=(), fail_over=False):
    subscribers = subscribers_of({"subscribers": [{"clusterAffinity": affinity} for affinity in affinities or ({},)]})
    return find_candidates(subscribers, list(tolerations), clusters, fail_over=fail_over)


def test_where_the_namespace_may_not_publish_is_left_out():
    some = [cluster("a", tier="gold"), cluster("b", tier="test"), cluster("c", tier="test", env="dev")]
    subscribers = subscribers_of({"subscribers": [{"clusterAffinity": {"matchLabels": {"tier": "test"}}}]})
    result = find_candidates(
        subscribers, [], some, fail_over=False, permits=lambda one: "env" in one["metadata"]["labels"]
    )
    assert found(result) == ["c"]
    assert result.reasons(selected_only=True) == "the Subscription's namespace may not publish to b"


def found(result):
    return [one["metadata"]["name"] for one in result.feasible]


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        (None, False),
        ({"key": "dedicated", "operator": "Equal", "value": "user1", "effect": "NoSchedule"}, True),
        ({"key": "dedicated", "value": "user1", "effect": "NoSchedule"}, True),
        ({"key": "dedicated", "operator": "", "value": "user1"}, True),
        ({"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "dedicated", "operator": "Equal", "value": "user2", "effect": "NoSchedule"}, False),
        ({"key": "dedicated", "operator": "Equal", "value": "user1", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "dedicated", "operator": "Like", "value": "user1"}, False),
    ],
)
def test_b3_13_filter(toleration, tolerated):
    tolerations = [toleration] if toleration else []
    assert (untolerated_taint([DEDICATED], tolerations) is None) == tolerated
    assert found(candidates([cluster("a", taints=[DEDICATED])], tolerations=tolerations)) == ["a"] * tolerated


def test_b3_13_a_taint_without_value():
    taint = {"key": "k", "effect": "NoExecute"}
    assert tolerates({"key": "k"}, taint)
    assert tolerates({"key": "k", "value": ""}, taint)
    assert not tolerates({"key": "k", "value": "x"}, taint)
    assert taint_text(taint) == "k:NoExecute"
    assert taint_text(DEDICATED) == "dedicated=user1:NoSchedule"


def test_b3_13_prefer_no_schedule_does_not_keep_away():
    assert untolerated_taint([{**DEDICATED, "effect": "PreferNoSchedule"}], []) is None
    assert untolerated_taint([{**DEDICATED, "effect": "PreferNoSchedule"}, DEDICATED], []) == DEDICATED


def test_b3_14_score():
    averse = [{"key": str(number), "effect": "PreferNoSchedule"} for number in range(2)]
    counts = [aversions(taints, []) for taints in ([DEDICATED], averse[:1], averse)]
    assert counts == [0, 1, 2]
    assert normalise(counts, reverse=True) == [100, 50, 0]
    assert aversions(averse, [{"key": "0", "operator": "Exists"}]) == 1


def test_b3_18_normalise():
    assert normalise([1, 2, 3, 4]) == [25, 50, 75, 100]
    assert normalise([1, 2, 3, 4], reverse=True) == [75, 50, 25, 0]
    assert normalise([3, 3, 3]) == [100, 100, 100]
    assert normalise([0, 0], reverse=True) == [100, 100]
    assert normalise([0, 0]) == [0, 0]
    assert normalise([]) == []


def test_the_best_come_first_and_equal_ones_by_name():
    averse = [{"key": "k", "effect": "PreferNoSchedule"}]
    clusters = [
        cluster("d"),
        cluster("a", taints=averse),
        cluster("c"),
        cluster("b", namespace="y"),
        cluster("b", namespace="x"),
    ]
    result = candidates(clusters)
    assert found(result) == ["b", "b", "c", "d", "a"]
    assert [one["metadata"]["namespace"] for one in result.feasible][:2] == ["x", "y"]


def test_every_rejected_cluster_has_its_reason():
    clusters = [
        cluster("a", env="prod"),
        cluster("b", env="prod", taints=[DEDICATED]),
        cluster("c", env="test"),
        cluster("d", env="prod", deleting=True),
        cluster("e", env="prod", taints=[DEDICATED]),
    ]
    result = candidates(clusters, {"matchLabels": {"env": "prod"}}, {"matchLabels": {"env": "stage"}})
    assert found(result) == ["a"]
    assert result.reasons() == "taint dedicated=user1:NoSchedule keeps away b, e; no subscriber selects c"
    assert result.reasons(selected_only=True) == "taint dedicated=user1:NoSchedule keeps away b, e"


def test_with_fail_over_a_cluster_that_is_not_ready_counts_as_tainted():
    clusters = [cluster("a", ready="True"), cluster("b", ready="Unknown"), cluster("c")]
    assert found(candidates(clusters)) == ["a", "b", "c"]
    assert found(candidates(clusters, fail_over=True)) == ["a", "c"]
    exists = {"key": "clusters.clusternet.io/unschedulable", "operator": "Exists"}
    assert found(candidates(clusters, fail_over=True, tolerations=[exists])) == ["a", "b", "c"]


@pytest.mark.parametrize("fail_over", [True, False])
def test_a_cluster_that_has_just_been_made(fail_over):
    bare = {"metadata": {"name": "a", "namespace": "x"}, "spec": {}}
    assert found(candidates([bare], fail_over=fail_over)) == ["a"]


def group(region, wanted):
    affinity = {"matchLabels": {"region": region}} if region else {}
    return {"clusterAffinity": affinity} | ({} if wanted is None else {"subGroupStrategy": wanted})


def taken(clusters, *groups):
    subscribers = subscribers_of({"subscribers": groups})
    return [one["metadata"]["name"] for one in take_groups(subscribers, clusters)]


def test_b3_10_the_best_of_each_group_are_taken():
    scored = [
        cluster("first", region="beijing"),
        cluster("second", region="beijing"),
        cluster("third", region="shanghai"),
    ]
    assert taken(scored, group("beijing", {"minClusters": 1}), group("shanghai", {"minClusters": 1})) == [
        "first",
        "third",
    ]


def test_groups_give_what_they_have_and_no_more_than_asked():
    clusters = [cluster(name, region="x") for name in "abc"]
    assert taken(clusters, group("x", {"minClusters": 2})) == ["a", "b"]
    assert taken(clusters, group("x", {"minClusters": 9})) == ["a", "b", "c"]
    assert taken(clusters, group("x", {"minClusters": 0}), group("y", {"minClusters": 1})) == []
    assert taken(clusters, group("x", {})) == []


def test_c3_22_a_cluster_of_two_groups_is_taken_once():
    clusters = [cluster("a", region="x"), cluster("b", region="x")]
    assert taken(clusters, group("x", {"minClusters": 1}), group("", {"minClusters": 2})) == ["a", "b"]


def test_a_group_must_say_how_many():
    with pytest.raises(ValueError, match=r"spec\.subscribers\[1\] needs subGroupStrategy"):
        taken([], group("x", {"minClusters": 1}), group("y", None))


def test_messages_name_only_the_first_of_many():
    assert listed([]) == ""
    assert listed([str(number) for number in range(10)]).endswith("8, 9")
    assert listed([str(number) for number in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"


@given(st.permutations([cluster(name, env="x" if name < "g" else "y") for name in "abcdefghij"]))
def test_the_order_of_clusters_does_not_matter(clusters):
    assert found(candidates(clusters, {"matchLabels": {"env": "x"}})) == list("abcdef")
