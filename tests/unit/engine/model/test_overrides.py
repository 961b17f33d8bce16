"""Localizations and Globalizations: spec/06 B5, selection and order, and what always holds."""

import copy
import json
import uuid

import pytest
from clusternet_engine.model.overrides import (
    Override,
    OverrideError,
    applicable,
    is_urgent,
    override_chart,
    override_native,
    override_text,
    selects,
    selects_differently,
)
from hypothesis import given
from hypothesis import strategies as st

FEED = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "foo", "name": "settings"}
REFERENCE = "v1/ConfigMap/foo/settings"
CHART = {
    "apiVersion": "apps.clusternet.io/v1alpha1",
    "kind": "HelmChart",
    "metadata": {"name": "mysql", "namespace": "default", "labels": {"a": "1"}},
    "spec": {"chart": "mysql", "repo": "https://x.example.org", "version": "9.2.0", "targetNamespace": "abc"},
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "default", "labels": {"app": "p"}},
    "spec": {"containers": [{"name": "one", "image": "nginx:1.14.2"}]},
}


def entry(kind, value, **fields):
    return {"name": "it", "type": kind, "value": value if isinstance(value, str) else json.dumps(value), **fields}


def overriding(*entries):
    return [Override("Localization ns/mine", entries)]


def localization(name, priority=None, feed=FEED, created="2026-01-01T00:00:00Z", **metadata):
    spec = {"feed": feed, "overrides": [entry("MergePatch", {"by": name})]}
    if priority is not None:
        spec["priority"] = priority
    return {
        "kind": "Localization",
        "metadata": {"name": name, "namespace": "ns", "creationTimestamp": created, **metadata},
        "spec": spec,
    }


def globalization(name, priority=None, affinity=None, **metadata):
    one = localization(name, priority, **metadata)
    one["kind"] = "Globalization"
    del one["metadata"]["namespace"]
    if affinity is not None:
        one["spec"]["clusterAffinity"] = affinity
    return one


def order(localizations, globalizations, labels=({},)):
    return [
        one.text.split("/")[-1].split()[-1] for one in applicable([REFERENCE], localizations, globalizations, labels)
    ]


def test_b5_1_helm_overrides_are_merged_deep_and_the_last_wins():
    _, values = override_chart(
        CHART,
        overriding(
            entry("Helm", {"address": {"city": "c", "street": "s"}, "boat": "b", "other": 1}),
            entry("Helm", ""),
            entry("Helm", '{"address": {"country": "x", "state": "y"}, "boat": "fighter"}'),
            entry("Helm", "  \n"),
            entry("Helm", "address:\n  planet: p\n  street: t\nhole: black\n"),
        ),
    )
    assert values == {
        "address": {"city": "c", "street": "t", "country": "x", "state": "y", "planet": "p"},
        "boat": "fighter",
        "other": 1,
        "hole": "black",
    }


def test_b5_2_overrides_of_the_chart():
    chart, values = override_chart(
        CHART,
        overriding(
            entry("Helm", {"metadata": {"labels": {"b": "2"}, "annotations": {"n": "1"}}}, overrideChart=True),
            entry("Helm", {"spec": {"repo": "oci://y/z", "targetNamespace": "other"}}, overrideChart=True),
            entry("Helm", "spec:\n  version: 9.1.0\n  chart: wordpress\n", overrideChart=True),
        ),
    )
    assert values == {}
    assert chart["metadata"] == CHART["metadata"] | {"labels": {"a": "1", "b": "2"}, "annotations": {"n": "1"}}
    assert chart["spec"] == CHART["spec"] | {"repo": "oci://y/z", "version": "9.1.0"}


def test_b5_3_the_first_entry_that_says_something_becomes_the_values():
    _, values = override_chart(
        CHART, overriding(entry("Helm", " "), entry("MergePatch", {"a": None, "b": {"c": None}}))
    )
    assert values == {"a": None, "b": {"c": None}}, "null takes away a default of the chart"
    _, values = override_chart(CHART, overriding(entry("Helm", {"a": 1}), entry("Helm", {"a": None, "b": 1})))
    assert values == {"b": 1}
    _, values = override_chart(CHART, overriding(entry("Helm", {"a": 1}), entry("Helm", {"b": None})))
    assert values == {"a": 1, "b": None}, "likewise where it comes later"
    assert override_chart(CHART, overriding(entry("Helm", "# nothing")))[1] == {}


def test_b5_4_what_no_override_of_a_chart_changes():
    for spec in ({"chart": None, "targetNamespace": None, "version": "1"}, {"chart": "x", "version": "1"}):
        chart, _ = override_chart(CHART, overriding(entry("MergePatch", {"spec": spec}, overrideChart=True)))
        assert chart["spec"] == CHART["spec"] | {"version": "1"}
        assert chart["metadata"] == CHART["metadata"]
    renamed, _ = override_chart(CHART, overriding(entry("MergePatch", {"metadata": {"name": "x"}}, overrideChart=True)))
    assert renamed == CHART


def test_b5_5_a_pod_after_many_patches():
    pod = override_native(
        POD,
        overriding(
            entry("MergePatch", {"metadata": {"namespace": "test"}}),
            entry("MergePatch", "metadata:\n  namespace: test2\n"),
            entry("JSONPatch", [{"op": "replace", "path": "/spec/containers/0/image", "value": "nginx:1.19"}]),
            entry("Helm", {"metadata": {"labels": {"foo": "bar", "xyz": None}}}),
            entry("Helm", "metadata:\n  labels:\n    key: null\n"),
            entry("JSONPatch", "- op: replace\n  path: /spec/containers/0/image\n  value: nginx:1.20.1\n"),
            entry("JSONPatch", [{"op": "add", "path": "/spec/containers/1", "value": {"name": "two", "image": "b"}}]),
        ),
    )
    assert pod["metadata"]["namespace"] == "test2"
    assert pod["metadata"]["labels"] == {"app": "p", "foo": "bar"}
    assert [one["image"] for one in pod["spec"]["containers"]] == ["nginx:1.20.1", "b"]


def test_b5_6_json_patch_of_a_missing_path_is_an_error():
    """[fix]: the reference ignores the whole patch in silence."""
    with pytest.raises(OverrideError, match=r"Localization ns/mine: override 'it': operation 1 \(remove /missing\)"):
        override_native(POD, overriding(entry("JSONPatch", [{"op": "remove", "path": "/missing"}])))
    with pytest.raises(OverrideError, match="replace /image/tag"):
        override_chart(CHART, overriding(entry("JSONPatch", [{"op": "replace", "path": "/image/tag", "value": 1}])))


def test_b5_7_field_patches():
    document = POD | {"data": {"conf": '{"a": 1, "b": 2}'}}
    fields = {"fieldPath": "/data/conf", "fieldFormat": "JSON"}
    patched = override_native(document, overriding(entry("FieldMergePatch", {"b": 3}, **fields)))
    assert json.loads(patched["data"]["conf"]) == {"a": 1, "b": 3}
    operations = [{"op": "replace", "path": "/a", "value": 0}]
    patched = override_native(document, overriding(entry("FieldJSONPatch", operations, **fields)))
    assert json.loads(patched["data"]["conf"]) == {"a": 0, "b": 2}


def test_json_patches_of_values_start_from_nothing():
    add = [{"op": "add", "path": "/a", "value": 1}]
    assert override_chart(CHART, overriding(entry("JSONPatch", add)))[1] == {"a": 1}
    assert override_chart(CHART, overriding(entry("JSONPatch", add), entry("Helm", {"b": 1})))[1] == {"a": 1, "b": 1}
    assert override_chart(CHART, overriding(entry("Helm", {"b": 1}), entry("JSONPatch", add)))[1] == {"a": 1, "b": 1}
    assert override_chart(CHART, overriding(entry("Helm", {"b": 1}), entry("MergePatch", {"b": None})))[1] == {}


def test_entries_for_charts_leave_native_objects_alone():
    assert override_native(POD, overriding(entry("Helm", {"spec": None}, overrideChart=True))) == POD


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (entry("Helm", "a: ["), "the value is not YAML"),
        (entry("Helm", "just text"), "the value must be a mapping"),
        (entry("MergePatch", "[1]"), "the value must be a mapping"),
        (entry("JSONPatch", {"a": 1}), "a list of operations"),
        (entry("FieldMergePatch", {"a": 1}), "fieldFormat"),
        (entry("FieldMergePatch", {"a": 1}, fieldFormat="JSON"), "must start with /"),
        (entry("FieldMergePatch", {"a": 1}, fieldPath="/kind"), "fieldFormat must be one of YAML, JSON, not ''"),
        (entry("Magic", {"a": 1}), "type 'Magic' is none of Helm, JSONPatch"),
        (entry("JSONPatch", [{"op": "replace", "path": "", "value": 1}]), "leaves no apiVersion"),
        (entry("MergePatch", {"metadata": {"name": None}}), "leaves no apiVersion"),
        (entry("MergePatch", {"kind": ""}), "leaves no apiVersion"),
        (entry("MergePatch", {"kind": 5}), "leaves no apiVersion"),
        (entry("MergePatch", {"metadata": None}), "leaves no apiVersion"),
        ({"type": "Helm", "value": "a: ["}, "^Localization ns/mine: the value"),
    ],
)
def test_overrides_that_fail_say_which_and_why(one, why):
    with pytest.raises(OverrideError, match=why):
        override_native(POD, overriding(one))


@pytest.mark.parametrize(
    "one",
    [
        entry("Helm", "text"),
        entry("JSONPatch", [{"op": "replace", "path": "", "value": 1}]),
        entry("MergePatch", {"kind": None}, overrideChart=True),
        entry("Magic", {}),
    ],
)
def test_failing_overrides_of_charts(one):
    with pytest.raises(OverrideError):
        override_chart(CHART, overriding(one))


def test_a_patch_may_not_take_the_spec_of_a_chart():
    chart, _ = override_chart(
        CHART, overriding(entry("JSONPatch", [{"op": "remove", "path": "/spec"}], overrideChart=True))
    )
    assert chart["spec"] == {"chart": "mysql", "targetNamespace": "abc"}


def test_globalizations_come_first_then_localizations_each_by_priority():
    locals_ = [localization("l500"), localization("l0", 0), localization("l900", 900), localization("l300", 300)]
    globals_ = [globalization("g1000", 1000), globalization("g500"), globalization("g1", 1)]
    assert order(locals_, globals_) == ["g1", "g500", "g1000", "l0", "l300", "l500", "l900"]


@given(st.permutations(range(6)))
def test_the_order_in_which_they_are_listed_does_not_matter(numbers):
    """[fix]: in the reference those of the same priority apply in any order."""
    made = [localization(f"l{n}", n // 3, created=f"2026-01-0{5 - n % 3}T00:00:00Z") for n in numbers]
    assert order(made, []) == ["l2", "l1", "l0", "l5", "l4", "l3"]


def test_which_apply():
    other = {**FEED, "name": "other"}
    without = localization("none")
    del without["spec"]["feed"]
    candidates = [
        localization("mine"),
        localization("theirs", feed=other),
        localization("going", deletionTimestamp="t"),
        without,
    ]
    assert order(candidates, []) == ["mine"]
    empty = localization("empty")
    del empty["spec"]["overrides"]
    assert [list(one.entries) for one in applicable([REFERENCE], [empty], [], [])] == [[]]
    affinity = {"matchLabels": {"area": "west"}}
    globals_ = [globalization("all"), globalization("west", affinity=affinity), globalization("any", affinity={})]
    assert order([], globals_, ({"area": "west"},)) == ["all", "any", "west"]
    assert order([], globals_, ({"area": "east"}, {"area": "west"})) == ["all", "any", "west"]
    assert order([], globals_, ({"area": "east"},)) == ["all", "any"]
    assert order([], globals_, ()) == ["all"], "no cluster in the namespace"


def test_a_wrong_selector_is_an_error_of_that_globalization():
    wrong = globalization("wrong", affinity={"matchExpressions": [{"key": "a", "operator": "Like", "values": ["b"]}]})
    with pytest.raises(OverrideError, match="Globalization wrong: clusterAffinity: unknown operator"):
        order([], [wrong])
    assert not selects_differently(wrong, {}, {"a": "b"})


def test_selecting_after_labels_have_changed():
    west = globalization("west", affinity={"matchLabels": {"area": "west"}})
    assert selects_differently(west, {}, {"area": "west"})
    assert not selects_differently(west, {"area": "west"}, {"area": "west", "x": "y"})
    assert not selects_differently(globalization("all"), {}, {"area": "west"})
    assert selects(west, ({"area": "west"},))


def test_policy_and_text():
    one = localization("l")
    assert not is_urgent(one)
    one["spec"]["overridePolicy"] = "ApplyNow"
    assert is_urgent(one)
    assert override_text(one) == "Localization ns/l"
    assert override_text(globalization("g")) == "Globalization g"


VALUES = st.dictionaries(
    st.sampled_from(["a", "b", "y", "metadata"]),
    st.recursive(
        st.integers(0, 2) | st.none() | st.sampled_from(["", "y"]), lambda x: st.dictionaries(st.sampled_from("ab"), x)
    ),
    max_size=3,
)


@given(st.lists(st.tuples(st.sampled_from(["Helm", "MergePatch"]), VALUES), max_size=4))
def test_nothing_that_goes_in_is_changed_and_twice_is_the_same(pairs):
    entries = [entry(kind, value) for kind, value in pairs]
    before = copy.deepcopy(CHART)
    first = override_chart(CHART, overriding(*entries))
    assert before == CHART
    assert override_chart(CHART, overriding(*entries)) == first
    assert first[0] == CHART


@given(st.dictionaries(st.sampled_from("ab"), st.integers(0, 9), min_size=1))
def test_the_last_override_wins(change):
    patched = override_native(
        POD, overriding(entry("MergePatch", {"data": {"a": -1}}), entry("MergePatch", {"data": change}))
    )
    assert patched["data"] == {"a": -1} | change


def test_uids_of_feeds_play_no_part():
    """[fix]: they do in the reference."""
    assert order([localization("l", uid=str(uuid.uuid4()))], []) == ["l"]
