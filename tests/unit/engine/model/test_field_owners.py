"""Drift by the owners of fields, and who they are; what a cluster writes there is never trusted."""

import json

import pytest
from clusternet_engine.model.drift import differences, drifted
from clusternet_engine.model.field_owners import other_owners
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def owned(fields, manager="clusternet", operation="Apply", **more):
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields, **more}


def obj(spec, *owners):
    metadata = {"name": "x", "namespace": "n", **({"managedFields": list(owners)} if owners else {})}
    return {"apiVersion": "v1", "kind": "X", "metadata": metadata, "spec": spec}


def port(number, protocol):
    return "k:" + json.dumps({"containerPort": number, "protocol": protocol})


@pytest.mark.parametrize(
    ("live", "wanted", "fields", "lost"),
    [
        ({"cpu": "500m"}, {"cpu": "0.5"}, {"f:cpu": {}}, []),
        ({"cpu": "600m"}, {"cpu": "0.5"}, {"f:memory": {}}, [("f:spec", "f:cpu")]),
        ({}, {"hostNetwork": False}, {"f:hostNetwork": {}}, []),
        ({"a": 1, "b": 2}, {"a": 1}, {"f:a": {}}, []),
        ({"a": 1}, {"a": 1}, {"f:b": {}}, []),
        ({"atomic": {"x": 1, "added": 2}}, {"atomic": {"x": "1"}}, {"f:atomic": {}}, []),
        (
            {"ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 1}]},
            {"ports": [{"containerPort": 80}]},
            {"f:ports": {port(80, "TCP"): {".": {}, "f:containerPort": {}}}},
            [],
        ),
        (
            {"ports": [{"containerPort": 80, "protocol": "TCP", "name": "theirs"}]},
            {"ports": [{"containerPort": 80, "name": "ours"}]},
            {"f:ports": {port(80, "TCP"): {".": {}, "f:containerPort": {}}}},
            [("f:spec", "f:ports", port(80, "TCP"), "f:name")],
        ),
        (
            {"ports": [{"containerPort": 81}]},
            {"ports": [{"containerPort": 80}, {"containerPort": 81}]},
            {"f:ports": {port(81, "TCP"): {".": {}, "f:containerPort": {}}}},
            [("f:spec", "f:ports")],
        ),
        ({"set": ["a", "b"]}, {"set": ["b"]}, {"f:set": {'v:"b"': {}}}, []),
        ({"set": ["a"]}, {"set": ["b"]}, {"f:set": {'v:"a"': {}}}, [("f:spec", "f:set")]),
    ],
)
def test_what_is_ours_is_as_we_want_it(live, wanted, fields, lost):
    assert list(differences(obj(live, owned({"f:spec": fields, "f:metadata": {"f:x": {}}})), obj(wanted))) == lost


def test_updates_and_status_writes_under_our_name_are_not_ours():
    fields = {"f:spec": {"f:a": {}}}
    for entry in (owned(fields, operation="Update"), owned(fields, subresource="scale"), owned(fields, "other")):
        assert drifted(obj({"a": 2}, entry), obj({"a": 1}))


@given(JSON, JSON, JSON)
def test_whatever_a_cluster_says_of_owners_does_no_harm(live, wanted, told):
    seen = obj({"a": live})
    seen["metadata"]["managedFields"] = [
        told,
        owned(told),
        owned({"f:spec": told}),
        owned({"f:spec": told}, "\n" * 999),
    ]
    paths = list(differences(seen, obj({"a": wanted})))
    assert all(len(manager) <= 128 and manager.isprintable() for _, manager in other_owners(seen, paths))
    seen["metadata"]["managedFields"] = told
    assert drifted(seen, obj({"a": wanted})) == drifted(obj({"a": live}), obj({"a": wanted}))


def test_other_owners():
    entries = [
        owned({"f:spec": {"f:a": {}}}),
        owned({"f:spec": {"f:a": {}}}, "scaler", "Update"),
        owned({"f:spec": {"f:b": {".": {}, "f:c": {}}}}, "mesh"),
    ]
    seen = obj({}, *entries)
    asked = [("f:spec", "f:a"), ("f:spec", "f:b"), ("f:spec", "f:b", "f:c", "f:d"), ("f:spec", "f:z")]
    assert other_owners(seen, asked) == [
        (asked[0], "scaler"),
        (asked[1], "mesh"),
        (asked[2], "mesh"),
        (asked[3], ""),
    ]
