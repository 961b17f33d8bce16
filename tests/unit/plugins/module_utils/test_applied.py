"""Whether an apply would change nothing, by managed fields: right for what was applied, wrong for any difference."""

import copy
import json

import pytest
from ansible_collections.clusternet.core.plugins.module_utils.applied import is_applied
from hypothesis import given
from hypothesis import strategies as st

MANAGER = "clusternet.core"
SCALARS = st.integers() | st.text(max_size=3) | st.booleans()
MAPS = st.recursive(
    st.dictionaries(st.sampled_from("abc"), SCALARS, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), SCALARS | inner, max_size=3),
    max_leaves=6,
)


def fields(value):
    """The managed fields that a server notes for maps."""
    if not isinstance(value, dict):
        return {}
    return {f"f:{key}": fields(item) for key, item in value.items()}


def stored(definition, owned, manager=MANAGER):
    live = copy.deepcopy(definition)
    live["metadata"]["managedFields"] = [{"manager": manager, "operation": "Apply", "fieldsV1": owned}]
    return live


def definition(spec):
    return {"apiVersion": "v1", "kind": "K", "metadata": {"name": "n"}, "spec": spec}


@given(MAPS)
def test_what_was_applied_is_applied(spec):
    wanted = definition(spec)
    live = stored(wanted, {"f:spec": fields(spec)})
    live["status"] = {"phase": "set by somebody else"}
    assert is_applied(wanted, live, MANAGER)
    assert not is_applied(wanted, stored(wanted, {"f:spec": fields(spec)}, "kubectl"), MANAGER)


@given(MAPS, MAPS)
def test_another_definition_is_not_applied(one, other):
    live = stored(definition(one), {"f:spec": fields(one)})
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    if is_applied(definition(other), live, MANAGER):
        assert same or one == other


PORTS = {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:name": {}}}}}


@pytest.mark.parametrize(
    ("ports", "applied"),
    [
        ([{"port": 80, "name": "web"}], True),
        ([{"port": 80, "name": "other"}], False),
        ([{"port": 81, "name": "web"}], False),
        ([{"port": 80, "name": "web"}, {"port": 81, "name": "more"}], False),
        ([], False),
    ],
)
def test_lists_that_are_maps_by_keys(ports, applied):
    live = stored(definition({"ports": [{"port": 80, "protocol": "TCP", "name": "web"}]}), PORTS)
    assert is_applied(definition({"ports": ports}), live, MANAGER) is applied


def test_sets_and_atomic_lists():
    owned = {"f:metadata": {"f:finalizers": {'v:"a"': {}}}, "f:rules": {}}
    wanted = {"apiVersion": "v1", "kind": "K", "metadata": {"name": "n", "finalizers": ["a"]}, "rules": [{"x": 1}]}
    live = stored(wanted, owned)
    live["metadata"]["finalizers"] = ["b", "a"]
    assert is_applied(wanted, live, MANAGER)
    live["rules"] = [{"x": 1, "y": 2}]
    assert not is_applied(wanted, live, MANAGER)
