"""Bringing Clusternet's own objects to what is wanted."""

from ansible_collections.clusternet.core.plugins.module_utils.custom_objects import change


def obj(spec, **metadata):
    return {"metadata": {"name": "a", **metadata}, "spec": spec}


def test_nothing_to_do_is_an_empty_patch():
    live = obj({"a": 1}, labels={"own": "x", "hub": "y"}, finalizers=["f"])
    assert change(live, obj({"a": 1}, labels={"own": "x", "gone": None})) == {}


def test_a_spec_is_just_what_is_given():
    live = obj({"same": 1, "other": 1, "extra": 1, "map": {"a": 1, "b": 2}, "list": [1, 2]})
    wanted = obj({"same": 1, "other": 2, "map": {"a": 1}, "list": [1]})
    assert change(live, wanted) == {"spec": {"extra": None, "other": 2, "map": {"b": None}, "list": [1]}}


def test_labels_are_added_changed_and_removed_but_those_of_others_stay():
    live = obj({}, labels={"old": "1", "gone": "1", "hub": "1"})
    wanted = obj({}, labels={"old": "2", "gone": None, "new": "1"}, annotations={"n": "t"})
    assert change(live, wanted) == {
        "metadata": {"labels": {"old": "2", "gone": None, "new": "1"}, "annotations": {"n": "t"}}
    }
