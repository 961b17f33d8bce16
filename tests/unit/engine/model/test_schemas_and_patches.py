"""Schemas of API servers, strategic merge patches by them, and server-side apply."""

import pytest
from clusternet_engine.model import apply as apply_module
from clusternet_engine.model.apply import (
    APPLY,
    BEFORE_FIRST_APPLY,
    UPDATE,
    ApplyConflict,
    Manager,
    apply,
    fields_of,
    managed_fields,
    managers_of,
    path_text,
    updated,
)
from clusternet_engine.model.schemas import GVK, Schema, find_schema, problems
from clusternet_engine.model.strategic import StrategicMergeError, strategic_merge
from hypothesis import given
from hypothesis import strategies as st

CONTAINER = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "image": {"type": "string"},
        "args": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"},
        "ports": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "port": {"type": "integer"},
                    "protocol": {"type": "string", "default": "TCP"},
                    "name": {"type": "string"},
                },
            },
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["port", "protocol"],
            "x-kubernetes-patch-strategy": "merge",
            "x-kubernetes-patch-merge-key": "port",
        },
    },
}
SPEC = {
    "type": "object",
    "properties": {
        "replicas": {"type": "integer"},
        "ratio": {"type": "number"},
        "paused": {"type": "boolean"},
        "maxSurge": {"allOf": [{"$ref": "#/components/schemas/IntOrString"}], "default": "25%"},
        "size": {"x-kubernetes-int-or-string": True, "type": "string"},
        "selector": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "x-kubernetes-map-type": "atomic",
        },
        "strategy": {
            "type": "object",
            "properties": {"type": {"type": "string"}, "rolling": {"type": "object"}},
            "x-kubernetes-patch-strategy": "retainKeys",
        },
        "volume": {
            "type": "object",
            "properties": {"a": {"type": "object"}, "b": {"type": "object"}},
            "x-kubernetes-patch-strategy": "replace",
        },
        "main": {"allOf": [{"$ref": "#/components/schemas/Container"}], "description": "one of them"},
        "marks": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": {"type": "string"}, "zone": {"type": "string"}}},
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["zone", "name"],
            "x-kubernetes-patch-strategy": "merge,retainKeys",
            "x-kubernetes-patch-merge-key": "name",
        },
        "containers": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Container"},
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "x-kubernetes-patch-strategy": "merge",
            "x-kubernetes-patch-merge-key": "name",
        },
        "finalizers": {
            "type": "array",
            "items": {"type": "string"},
            "x-kubernetes-list-type": "set",
            "x-kubernetes-patch-strategy": "merge",
        },
        "free": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"a": {"type": "string"}},
        },
    },
}
DOCUMENT = {
    "components": {
        "schemas": {
            "Other": {"type": "object", GVK: [{"group": "x", "version": "v1", "kind": "Other"}]},
            "IntOrString": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
            "Container": CONTAINER,
            "Thing": {
                "type": "object",
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"type": "object"},
                    "spec": SPEC,
                },
                GVK: [{"group": "x", "version": "v1", "kind": "Thing"}],
            },
        }
    }
}
SCHEMA = find_schema(DOCUMENT, "x", "v1", "Thing")
assert SCHEMA is not None


def thing(**spec):
    return {"apiVersion": "x/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec}


def test_a_schema_is_found_by_its_kind():
    assert find_schema(DOCUMENT, "x", "v2", "Thing") is None
    assert find_schema({}, "x", "v1", "Thing") is None
    assert Schema({"$ref": "#/components/schemas/Nowhere"}, {}).field("x") is None


def test_what_stands_beside_a_reference_counts_more():
    size = SCHEMA.field("spec").field("size")
    assert size.type is None
    main = SCHEMA.field("spec").field("main")
    assert (main.required, main.extension("description")) == (["name"], "one of them")
    assert problems(SCHEMA, thing(main={"image": 5})).errors == [
        "spec.main.name: Required value",
        "spec.main.image: must be of type string",
    ]


@pytest.mark.parametrize(
    ("spec", "errors"),
    [
        ({"replicas": 1, "ratio": 1.5, "paused": True, "maxSurge": "1", "size": 5, "selector": {"a": "b"}}, []),
        ({"replicas": None}, []),
        ({"replicas": "1"}, ["spec.replicas: must be of type integer"]),
        ({"replicas": True}, ["spec.replicas: must be of type integer"]),
        ({"paused": 1}, ["spec.paused: must be of type boolean"]),
        ({"selector": {"a": 1}}, ["spec.selector.a: must be of type string"]),
        ({"containers": {}}, ["spec.containers: must be of type array"]),
        ({"ratio": "1"}, ["spec.ratio: must be of type number"]),
        ({"containers": [{"name": "a"}, {"image": 5}]}, None),
    ],
)
def test_problems(spec, errors):
    found = problems(SCHEMA, thing(**spec)).errors
    if errors is None:
        errors = ["spec.containers[1].name: Required value", "spec.containers[1].image: must be of type string"]
    assert found == errors


def test_a_value_of_the_wrong_type_altogether():
    assert problems(SCHEMA, []).errors == ["<object>: must be of type object"]
    assert problems(Schema({"type": "weird"}, {}), 1).errors == []
    assert problems(Schema({"type": "array"}, {}), [1]).errors == []
    assert problems(Schema({}, {}), True).errors == []


def test_unknown_fields():
    assert problems(SCHEMA, thing(replicaz=1)).unknown == ['unknown field "spec.replicaz"']
    assert problems(SCHEMA, {**thing(free={"x": 1}), "nonsense": 1}).unknown == ['unknown field "nonsense"']


@pytest.mark.parametrize(
    ("rule", "is_open"),
    [
        ({}, False),
        ({"additionalProperties": True}, True),
        ({"additionalProperties": False}, False),
        ({"x-kubernetes-preserve-unknown-fields": True}, True),
        ({"x-kubernetes-embedded-resource": True}, True),
    ],
)
def test_where_unknown_fields_are_allowed(rule, is_open):
    found = problems(Schema({"type": "object", "properties": {"a": {}}, **rule}, {}), {"a": 1, "b": 2})
    assert (found.unknown == []) is is_open


# Strategic merge patch


def merged(spec, patch, schema=SCHEMA):
    return strategic_merge(thing(**spec), {"spec": patch}, schema)["spec"]


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        ({"replicas": 1}, {"replicas": 2}, {"replicas": 2}),
        ({"replicas": 1}, {"replicas": None}, {}),
        ({}, {"replicas": None}, {}),
        (
            {"containers": [{"name": "a", "image": "1"}, {"name": "b"}]},
            {"containers": [{"name": "a", "image": "2"}, {"name": "c"}]},
            {"containers": [{"name": "a", "image": "2"}, {"name": "b"}, {"name": "c"}]},
        ),
        ({"containers": None}, {"containers": [{"name": "c"}]}, {"containers": [{"name": "c"}]}),
        (
            {"containers": [{"name": "a"}, {"name": "b"}, 5]},
            {"containers": [{"name": "a", "$patch": "delete"}]},
            {"containers": [{"name": "b"}, 5]},
        ),
        (
            {"containers": [{"name": "a"}]},
            {"containers": [{"name": "z"}, {"$patch": "replace"}]},
            {"containers": [{"name": "z"}]},
        ),
        ({"containers": [{"name": "a", "args": ["1"]}]}, {"containers": [{"name": "a", "args": ["2"]}]}, None),
        (
            {"containers": [{"name": "a", "ports": [{"port": 80, "name": "web"}]}]},
            {"containers": [{"name": "a", "ports": [{"port": 81}, {"port": 80, "protocol": "TCP"}]}]},
            {"containers": [{"name": "a", "ports": [{"port": 80, "name": "web", "protocol": "TCP"}, {"port": 81}]}]},
        ),
        ({"finalizers": ["a"]}, {"finalizers": ["b", "a", "b"]}, {"finalizers": ["a", "b"]}),
        ({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {"finalizers": ["b"]}),
        ({}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {}),
        ({"selector": {"a": "1"}}, {"selector": {"$patch": "replace", "b": "1"}}, {"selector": {"b": "1"}}),
        ({"selector": {"a": "1"}}, {"selector": {"$patch": "delete"}}, {"selector": {}}),
        ({"selector": "x"}, {"selector": {"a": "1"}}, {"selector": {"a": "1"}}),
        ({"volume": {"a": {}}}, {"volume": {"b": {}}}, {"volume": {"b": {}}}),
        (
            {"strategy": {"type": "Rolling", "rolling": {"x": 1}}},
            {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}},
            {"strategy": {"type": "Recreate"}},
        ),
        (
            {"strategy": {"type": "Rolling", "rolling": {"x": 1}}},
            {"strategy": {"$retainKeys": ["type"], "type": "Recreate", "rolling": None}},
            {"strategy": {"type": "Recreate"}},
        ),
        (
            {"containers": [{"name": "x"}, {"name": "a"}, {"name": "y"}, {"name": "b"}]},
            {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}, {"name": "none"}]},
            {"containers": [{"name": "x"}, {"name": "b"}, {"name": "a"}, {"name": "y"}]},
        ),
        ({"finalizers": ["a", "b"]}, {"$setElementOrder/finalizers": ["b", "a"]}, {"finalizers": ["b", "a"]}),
        ({}, {"$setElementOrder/containers": [{"name": "b"}]}, {}),
        ({"unknown": [1]}, {"unknown": [2]}, {"unknown": [2]}),
        ({"marks": [{"name": "a"}]}, {"marks": [{"name": "b"}]}, {"marks": [{"name": "a"}, {"name": "b"}]}),
        ({"containers": [{"name": "a"}]}, {"containers": 5}, {"containers": 5}),
        ({}, {"containers": [{"name": "a"}, "x"]}, {"containers": [{"name": "a"}, "x"]}),
        ({"finalizers": ["a"]}, {"finalizers": [{"b": 1}, {"b": 1}]}, {"finalizers": ["a", {"b": 1}]}),
    ],
)
def test_c4_9_strategic_merge(before, patch, after):
    after = {"containers": [{"name": "a", "args": ["2"]}]} if after is None else after
    assert merged(before, patch) == after


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ({"selector": {"$patch": "nonsense"}}, "unknown directive"),
        ({"containers": [{"image": "x"}]}, "lacks 'name'"),
        ({"$setElementOrder/containers": ["a"]}, "lacks 'name'"),
        ({"$setElementOrder/containers": ["a name"]}, "lacks 'name'"),
        ({"strategy": {"$retainKeys": ["type"], "rolling": {}}}, "rolling"),
        ({"strategy": {"$retainKeys": "type"}}, "must be a list"),
    ],
)
def test_patches_that_do_not_fit(patch, told):
    with pytest.raises(StrategicMergeError, match=told):
        merged({"containers": [{"name": "a"}]}, patch)


def test_without_a_schema_only_maps_are_merged():
    assert merged({"a": {"b": 1}, "l": [1]}, {"a": {"c": 2}, "l": [2]}, None) == {"a": {"b": 1, "c": 2}, "l": [2]}
    assert merged({"l": [2, 1]}, {"$setElementOrder/l": [1, 2]}, None) == {"l": [1, 2]}


@given(st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.sampled_from("xy"), st.text(max_size=2))))
def test_a_patch_of_itself_changes_nothing(spec):
    assert strategic_merge(spec, spec, None) == spec


# Server-side apply


def owned(managers):
    return {(one.name, one.operation): {path_text(path) for path in one.fields} for one in managers}


def test_apply_makes_what_is_not_there_and_owns_it():
    config = thing(replicas=3, containers=[{"name": "a", "image": "i", "ports": [{"port": 80}]}])
    obj, managers = apply(None, config, SCHEMA, [], "me", force=False)
    assert obj == config
    assert owned(managers) == {
        ("me", APPLY): {
            ".spec.replicas",
            '.spec.containers[name="a"]',
            '.spec.containers[name="a"].name',
            '.spec.containers[name="a"].image',
            '.spec.containers[name="a"].ports[port=80,protocol="TCP"]',
            '.spec.containers[name="a"].ports[port=80,protocol="TCP"].port',
        }
    }
    assert managers_of(managed_fields(managers)) == managers
    told = {key: value for key, value in managed_fields(managers)[0].items() if key != "fieldsV1"}
    assert told == {"manager": "me", "operation": "Apply", "apiVersion": "x/v1", "fieldsType": "FieldsV1"}
    tree = managed_fields(managers)[0]["fieldsV1"]["f:spec"]["f:containers"]['k:{"name":"a"}']
    assert tree["."] == {}


def test_apply_takes_away_what_it_no_longer_wants():
    first = thing(replicas=3, selector={"a": "1"}, containers=[{"name": "a"}, {"name": "b", "image": "i"}])
    live, managers = apply(None, first, SCHEMA, [], "me", force=False)
    live["spec"]["paused"] = True
    after, managers = apply(live, thing(containers=[{"name": "b"}]), SCHEMA, managers, "me", force=False)
    assert after["spec"] == {"paused": True, "containers": [{"name": "b"}]}
    assert live["spec"]["replicas"] == 3
    after, _ = apply(after, {"apiVersion": "x/v1"}, SCHEMA, managers, "me", force=False)
    assert after["spec"] == {"paused": True}


def test_what_others_own_too_stays():
    live, managers = apply(None, thing(finalizers=["a", "b"], replicas=1), SCHEMA, [], "one", force=False)
    live, managers = apply(live, thing(finalizers=["b"], replicas=1), SCHEMA, managers, "two", force=False)
    live, managers = apply(live, thing(finalizers=["c"]), SCHEMA, managers, "one", force=False)
    assert live["spec"] == {"finalizers": ["b", "c"], "replicas": 1}


def test_a_conflict_names_owner_and_field():
    live, managers = apply(None, thing(replicas=1), SCHEMA, [], "one", force=False)
    with pytest.raises(ApplyConflict, match="1 conflict") as caught:
        apply(live, thing(replicas=2), SCHEMA, managers, "two", force=False)
    assert [(owner.name, path_text(path)) for owner, path in caught.value.conflicts] == [("one", ".spec.replicas")]
    live, managers = apply(live, thing(replicas=2), SCHEMA, managers, "two", force=True)
    assert live["spec"]["replicas"] == 2
    assert owned(managers) == {("two", APPLY): {".spec.replicas"}}


def test_only_the_element_that_differs_is_in_conflict():
    first = thing(containers=[{"name": "a", "image": "1"}, {"name": "b", "image": "2"}])
    live, managers = apply(None, first, SCHEMA, [], "one", force=False)
    same = thing(containers=[{"name": "b", "image": "2"}])
    assert apply(live, same, SCHEMA, managers, "two", force=False)[0] == live
    with pytest.raises(ApplyConflict) as caught:
        apply(live, thing(containers=[{"name": "b", "image": "1"}]), SCHEMA, managers, "two", force=False)
    assert [path_text(path) for _, path in caught.value.conflicts] == ['.spec.containers[name="b"].image']


def test_elements_of_elements_can_be_in_conflict():
    one, two = (thing(containers=[{"name": "a", "ports": [{"port": 80, "name": name}]}]) for name in ("x", "y"))
    live, managers = apply(None, one, SCHEMA, [], "one", force=False)
    with pytest.raises(ApplyConflict) as caught:
        apply(live, two, SCHEMA, managers, "two", force=False)
    ((_, path),) = caught.value.conflicts
    assert path_text(path) == '.spec.containers[name="a"].ports[port=80,protocol="TCP"].name'


def test_what_was_there_before_anybody_applied_has_an_owner():
    live = thing(replicas=1, paused=True)
    with pytest.raises(ApplyConflict):
        apply(live, thing(replicas=2), SCHEMA, [], "me", force=False)
    _, managers = apply(live, thing(replicas=1), SCHEMA, [], "me", force=False)
    assert owned(managers)[BEFORE_FIRST_APPLY, UPDATE] == {".spec.replicas", ".spec.paused"}


def test_an_element_keeps_its_keys_while_others_own_some_of_it():
    live, managers = apply(None, thing(containers=[{"name": "a", "image": "1"}]), SCHEMA, [], "me", force=False)
    changed = thing(containers=[{"name": "a", "image": "2"}])
    managers = updated(live, changed, SCHEMA, managers, "editor")
    assert owned(managers) == {
        ("me", APPLY): {'.spec.containers[name="a"]', '.spec.containers[name="a"].name'},
        ("editor", UPDATE): {'.spec.containers[name="a"].image'},
    }
    after, _ = apply(changed, thing(replicas=1), SCHEMA, managers, "me", force=False)
    assert after["spec"]["containers"] == [{"name": "a", "image": "2"}]


def test_other_writes_own_what_they_change():
    live, managers = apply(None, thing(replicas=1, paused=True), SCHEMA, [], "me", force=False)
    after = thing(replicas=2, ratio=1.0)
    managers = updated(live, after, SCHEMA, managers, "editor")
    assert owned(managers) == {("editor", UPDATE): {".spec.replicas", ".spec.ratio"}}
    again = updated(after, thing(replicas=3, ratio=1.0), SCHEMA, managers, "editor")
    assert owned(again) == {("editor", UPDATE): {".spec.replicas", ".spec.ratio"}}
    assert updated(after, after, SCHEMA, [], "editor") == []
    fewer = updated(after, thing(replicas=2), SCHEMA, managers, "editor")
    assert owned(fewer) == {("editor", UPDATE): {".spec.replicas"}}
    longer = updated(thing(), thing(containers=[{"name": "a"}]), SCHEMA, [], "editor")
    assert owned(longer)["editor", UPDATE] >= {'.spec.containers[name="a"]', '.spec.containers[name="a"].name'}
    assert [one.name for one in again + fewer] == ["editor", "editor"]
    others = updated(thing(replicas=2), thing(replicas=2, paused=True), SCHEMA, fewer, "scaler")
    assert owned(others) == {("editor", UPDATE): {".spec.replicas"}, ("scaler", UPDATE): {".spec.paused"}}


def test_what_somebody_wrote_otherwise_outlives_what_they_apply():
    managers = updated(thing(), thing(replicas=1), SCHEMA, [], "me")
    after, managers = apply(thing(replicas=1), thing(paused=True), SCHEMA, managers, "me", force=False)
    assert after["spec"] == {"replicas": 1, "paused": True}
    assert owned(managers) == {("me", UPDATE): {".spec.replicas"}, ("me", APPLY): {".spec.paused"}}


def test_what_somebody_applied_and_then_writes_otherwise_is_theirs_twice():
    live, managers = apply(None, thing(replicas=1, paused=True), SCHEMA, [], "me", force=False)
    managers = updated(live, thing(replicas=2, paused=True), SCHEMA, managers, "me")
    assert owned(managers) == {("me", APPLY): {".spec.paused"}, ("me", UPDATE): {".spec.replicas"}}
    assert fields_of(thing(containers=[]), SCHEMA) == {("f:spec", "f:containers")}


def test_lists_and_maps_without_a_rule_count_as_one_value():
    assert {path_text(path) for path in fields_of(thing(selector={"a": "1"}, unknown=[{"x": 1}]), SCHEMA)} == {
        ".spec.selector",
        ".spec.unknown",
    }
    assert {path_text(path) for path in fields_of(thing(containers=[{"name": "a"}]), None)} == {".spec.containers"}
    live = thing(selector={"a": "1"}, containers=[{"name": "a"}])
    after, _ = apply(live, thing(selector={"b": "1"}), SCHEMA, [], "me", force=True)
    assert after["spec"]["selector"] == {"b": "1"}


def test_fields_of_others_that_are_gone_already():
    stale = [
        Manager("me", APPLY, "x/v1", fields_of(thing(containers=[{"name": "z", "image": "1"}], ratio=1.0), SCHEMA)),
        Manager("other", UPDATE, "x/v1", fields_of(thing(finalizers=["q"]), SCHEMA)),
    ]
    live = thing(containers=[{"name": "a"}], replicas=1)
    after, _ = apply(live, thing(replicas=1), SCHEMA, stale, "me", force=False)
    assert after["spec"] == {"containers": [{"name": "a"}], "replicas": 1}
    for spec in ("text", ["replicas", "ratio"]):
        broken = {**live, "spec": spec}
        after, _ = apply(broken, thing(replicas=1), SCHEMA, stale, "me", force=False)
        assert after["spec"] == {"replicas": 1}
        after, _ = apply(broken, {"apiVersion": "x/v1"}, SCHEMA, stale, "me", force=False)
        assert after["spec"] == spec


def test_lists_that_are_none_count_as_one_value():
    broken = thing(containers="text", finalizers={"a": 1})
    assert {path_text(path) for path in fields_of(broken, SCHEMA)} == {".spec.containers", ".spec.finalizers.a"}
    stale = [Manager("me", APPLY, "x/v1", fields_of(thing(containers=[{"name": "z"}], finalizers=["q"]), SCHEMA))]
    after, _ = apply(broken, thing(replicas=1), SCHEMA, stale, "me", force=False)
    assert after["spec"] == {**broken["spec"], "replicas": 1}
    after, _ = apply(broken, thing(containers=[{"name": "z"}]), SCHEMA, [], "me", force=True)
    assert after["spec"]["containers"] == [{"name": "z"}]


def test_owners_of_elements_that_the_schema_no_longer_tells_apart():
    first = thing(containers=[{"name": "a", "image": "1"}], replicas=1)
    live, managers = apply(None, first, SCHEMA, [], "me", force=False)
    after, _ = apply(live, thing(replicas=1), None, managers, "other", force=False)
    assert after == live
    after, _ = apply(live, thing(replicas=1), None, managers, "me", force=False)
    assert after == live


def test_lists_in_elements_are_merged_by_their_own_rules():
    first = thing(containers=[{"name": "a", "args": ["1", "2"], "ports": [{"port": 80}]}])
    live, managers = apply(None, first, SCHEMA, [], "one", force=False)
    second = thing(containers=[{"name": "a", "ports": [{"port": 81}, {"port": 80, "protocol": "UDP"}]}])
    live, managers = apply(live, second, SCHEMA, managers, "two", force=False)
    (container,) = live["spec"]["containers"]
    assert container["ports"] == [{"port": 80}, {"port": 81}, {"port": 80, "protocol": "UDP"}]
    changed = thing(containers=[{"name": "a", "args": ["3"]}])
    live, _ = apply(live, changed, SCHEMA, managers, "one", force=False)
    (container,) = live["spec"]["containers"]
    assert container == {"name": "a", "args": ["3"], "ports": [{"port": 81}, {"port": 80, "protocol": "UDP"}]}


def test_an_element_without_one_of_its_keys_is_known_by_the_others():
    assert {path_text(path) for path in fields_of(thing(marks=[{"name": "a"}]), SCHEMA)} == {
        '.spec.marks[name="a"]',
        '.spec.marks[name="a"].name',
    }
    (place,) = (path for path in fields_of(thing(marks=[{"zone": "z", "name": "a"}]), SCHEMA) if len(path) == 3)
    assert place[-1] == 'k:{"name":"a","zone":"z"}', "as API servers spell it"


def test_without_a_schema_fields_go_too_however_deep_they_are():
    live, managers = apply(None, thing(a={"b": {"c": 1, "d": 2}}), None, [], "me", force=False)
    after, _ = apply(live, thing(a={"b": {"d": 2}}), None, managers, "me", force=False)
    assert after["spec"] == {"a": {"b": {"d": 2}}}


def test_what_an_apply_leaves_empty_goes_too():
    live, managers = apply(None, thing(replicas=1), SCHEMA, [], "me", force=False)
    after, _ = apply(live, {"apiVersion": "x/v1", "metadata": {}}, SCHEMA, managers, "me", force=False)
    assert after == {"apiVersion": "x/v1", "kind": "Thing", "metadata": {"name": "a"}}


def test_a_map_that_somebody_wants_empty_stays():
    live, managers = apply(None, thing(a={"b": 1}), None, [], "me", force=False)
    after, managers = apply(live, thing(a={}), None, managers, "me", force=False)
    assert after["spec"] == {"a": {}}
    assert owned(managers) == {("me", APPLY): {".spec.a"}}


def test_a_field_of_the_object_itself_goes_too():
    live, managers = apply(None, {**thing(replicas=1), "immutable": True}, None, [], "me", force=False)
    after, _ = apply(live, thing(replicas=1), None, managers, "me", force=False)
    assert after == thing(replicas=1)


def test_an_empty_object_has_no_fields():
    assert fields_of({}, SCHEMA) == frozenset()


def test_nobody_owns_what_identifies_an_object_or_comes_from_the_system():
    system = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp")
    metadata = dict.fromkeys(("name", "namespace", "managedFields", "deletionGracePeriodSeconds", *system), "x")
    assert fields_of({**thing(), "metadata": metadata, "spec": 1}, None) == {("f:spec",)}


def test_a_map_can_become_something_else():
    after, _ = apply(thing(strategy={"type": "x"}), thing(strategy="text"), SCHEMA, [], "me", force=True)
    assert after["spec"] == {"strategy": "text"}
    after, _ = apply(thing(containers=[{"name": "a"}]), thing(containers="text"), SCHEMA, [], "me", force=True)
    assert after["spec"] == {"containers": "text"}


def test_names_of_fields():
    assert path_text(("f:a", 'v:"x"')) == '.a[="x"]'


SPECS = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.integers(0, 3),
        "paused": st.booleans(),
        "selector": st.dictionaries(st.sampled_from("ab"), st.sampled_from("12"), min_size=1),
        "finalizers": st.lists(st.sampled_from("abc"), unique=True, min_size=1),
        "containers": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from("abc")}, optional={"image": st.sampled_from("12")}),
            unique_by=lambda one: one["name"],
            min_size=1,
        ),
    },
)


@given(SPECS, SPECS)
def test_applying_alone_leaves_exactly_what_was_applied_last(first, second):
    live, managers = apply(None, thing(**first), SCHEMA, [], "me", force=False)
    after, managers = apply(live, thing(**second), SCHEMA, managers, "me", force=False)
    assert fields_of(after, SCHEMA) == fields_of(thing(**second), SCHEMA)
    again, same = apply(after, thing(**second), SCHEMA, managers, "me", force=False)
    assert (again, same) == (after, managers)


@given(SPECS, SPECS)
def test_an_apply_never_takes_what_others_own(first, second):
    live, managers = apply(None, thing(**first), SCHEMA, [], "one", force=False)
    try:
        after, managers = apply(live, thing(**second), SCHEMA, managers, "two", force=False)
    except ApplyConflict:
        return
    assert fields_of(after, SCHEMA) >= {path for path in fields_of(thing(**first), SCHEMA) if len(path) > 1}


# Long lists


def long(**fields):
    return {"apiVersion": "x/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": fields}


@pytest.mark.timeout(30)
def test_long_lists_take_no_time_by_the_square_of_their_length():
    count = 40_000
    containers = [{"name": str(number)} for number in range(count)]
    finalizers = [str(number) for number in range(count)]
    patch = {
        "containers": [{"name": str(number), "$patch": "delete"} for number in range(0, count, 2)],
        "finalizers": [str(number) for number in range(count // 2, 2 * count)],
        "$deleteFromPrimitiveList/finalizers": finalizers,
        "$setElementOrder/containers": containers[::-1],
    }
    result = merged({"containers": containers, "finalizers": finalizers}, patch)
    assert [one["name"] for one in result["containers"]] == finalizers[::-2]
    assert len(result["finalizers"]) == count + count // 2
    some = apply_module.MAX_FIELDS // 4
    live, managers = apply(
        None, long(containers=containers[:some], finalizers=finalizers[:some]), SCHEMA, [], "a", force=False
    )
    live, managers = apply(live, long(containers=containers[:1]), SCHEMA, managers, "a", force=False)
    assert live["spec"] == {"containers": containers[:1]}
    after = long(containers=containers[:some])
    assert len(updated(live, after, SCHEMA, managers, "b")[-1].fields) == 2 * (some - 1)


def test_an_object_of_too_many_fields_has_no_owners():
    many = long(free={str(number): 1 for number in range(apply_module.MAX_FIELDS + 1)})
    with pytest.raises(apply_module.TooManyFields, match="divide the object"):
        apply(None, many, SCHEMA, [], "a", force=False)
