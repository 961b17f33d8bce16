"""Labels, taints, readiness: once brought to what is wanted, nothing more is to do."""

from ansible_collections.clusternet.core.plugins.module_utils import managed_cluster
from hypothesis import given
from hypothesis import strategies as st

KEYS = st.sampled_from(["a", "b", "c", *managed_cluster.SYSTEM_LABELS, "node.clusternet.io/zone"])
OWN_KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from(["", "x", "y"])
EFFECTS = st.sampled_from(["NoSchedule", "NoExecute"])


def _taints(keys):
    taint = st.fixed_dictionaries({"key": keys, "effect": EFFECTS, "value": st.sampled_from(["x", "y"])})
    return st.lists(taint, unique_by=lambda item: (item["key"], item["effect"]), max_size=4)


def merged(labels, patch):
    return {key: value for key, value in {**labels, **patch}.items() if value is not None}


@given(st.dictionaries(KEYS, VALUES), st.dictionaries(OWN_KEYS, VALUES | st.none()), st.booleans())
def test_labels_converge_and_clusternets_own_stay(live, wanted, purge):
    after = merged(live, managed_cluster.label_patch(wanted, purge, live))
    assert managed_cluster.label_patch(wanted, purge, after) == {}
    assert all(after.get(key) == value for key, value in wanted.items())
    kept = {key for key in live if key not in ("a", "b", "c")} if purge else set(live) - set(wanted)
    assert all(after[key] == live[key] for key in kept)
    if purge:
        assert {key for key in after if key in ("a", "b", "c")} <= set(wanted)


@given(_taints(st.sampled_from(["a", "clusters.clusternet.io/unschedulable"])), _taints(OWN_KEYS), st.booleans())
def test_taints_converge_and_the_parents_own_stay(live, wanted, purge):
    after = managed_cluster.taint_list(wanted, purge, live)
    assert managed_cluster.taint_list(wanted, purge, after) == after
    assert all(taint in after for taint in wanted)
    assert all(taint in after for taint in live if (taint["key"], taint["effect"]) in managed_cluster.SYSTEM_TAINTS)
    if not purge:
        identities = {(taint["key"], taint["effect"]) for taint in after}
        assert identities == {(taint["key"], taint["effect"]) for taint in [*live, *wanted]}


def test_a_taint_keeps_the_time_it_was_added():
    live = [{"key": "a", "effect": "NoSchedule", "timeAdded": "2026-11-23T10:00:00Z"}]
    assert managed_cluster.taint_list([{"key": "a", "effect": "NoSchedule"}], True, live) == live


def test_a_list_of_taints_is_only_replaced_if_nobody_else_did():
    cluster = {"metadata": {"name": "c", "namespace": "n", "resourceVersion": "7"}, "spec": {"syncMode": "Pull"}}
    patch = managed_cluster.change(cluster, None, False, [{"key": "a", "effect": "NoSchedule"}], False, "Pull")
    assert patch["metadata"]["resourceVersion"] == "7"
    assert managed_cluster.change(cluster, {}, True, [], True, "Pull") == {}


def test_not_ready_says_why():
    cluster = {"metadata": {"name": "c", "namespace": "n"}}
    assert managed_cluster.not_all_ready([cluster], 2) == [
        "1 of 2 clusters are registered",
        "n/c: its agent has not reported yet",
    ]
