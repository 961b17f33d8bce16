"""Merge patches, JSON patches, Helm's coalescing, and patches of texts in fields."""

import copy
import json

import jsonpatch
import pytest
from clusternet_engine.model.field_patches import patch_field
from clusternet_engine.model.limits import MAX_DEPTH, OBJECT, weigh
from clusternet_engine.model.merging import (
    MalformedPatch,
    PatchError,
    PatchTooLarge,
    coalesce,
    json_patch,
    merge_difference,
    merge_patch,
)
from hypothesis import given
from hypothesis import strategies as st

KEYS = st.sampled_from("abcd")
SCALARS = st.integers(0, 3) | st.booleans() | st.sampled_from(["x", "y"])


def documents(scalars):
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=10
    )


MAPS = st.dictionaries(KEYS, documents(SCALARS), max_size=4)
PATCHES = st.dictionaries(KEYS, documents(SCALARS | st.none()), max_size=4)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # RFC 7386, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_of_rfc_7386(target, patch, result):
    assert merge_patch(target, patch) == result


@given(MAPS, PATCHES)
def test_merging_changes_nothing_that_goes_in_and_settles(target, patch):
    before = copy.deepcopy((target, patch))
    once = merge_patch(target, patch)
    assert (target, patch) == before
    assert merge_patch(once, patch) == once


@given(MAPS, MAPS)
def test_the_difference_leads_from_one_to_the_other(before, after):
    difference = merge_difference(before, after)
    merged = merge_patch(before, difference)
    assert json.dumps(merged, sort_keys=True) == json.dumps(after, sort_keys=True)
    assert (difference == {}) == (json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True))


def test_differences_of_what_is_no_map_on_one_side():
    assert merge_difference({"a": 1}, {"a": True}) == {"a": True}
    assert merge_difference({"a": {"b": 1}, "c": 1}, {"a": 1, "c": {"b": 1}}) == {"a": 1, "c": {"b": 1}}


def test_coalescing():
    values = {"a": {"x": 1, "y": [1]}, "b": 1, "c": 2}
    over = {"a": {"y": [2], "z": None}, "b": None, "d": {"n": None}, "e": None, "c": {"t": 1}}
    assert coalesce(values, over) == {"a": {"x": 1, "y": [2], "z": None}, "c": {"t": 1}, "d": {"n": None}, "e": None}
    assert values == {"a": {"x": 1, "y": [1]}, "b": 1, "c": 2}
    assert coalesce(values, {"a": "text"}) == {"a": "text", "b": 1, "c": 2}


@given(MAPS, MAPS)
def test_coalescing_without_nulls_is_merging(values, over):
    assert coalesce(values, over) == merge_patch(values, over)


def test_json_patch():
    document = {"a": [1, 2], "b": {"c": 1}}
    operations = [
        {"op": "add", "path": "/a/-", "value": {"x": []}},
        {"op": "add", "path": "/a/2/x/0", "value": 1},
        {"op": "replace", "path": "/b/c", "value": 2},
        {"op": "test", "path": "/b/c", "value": 2},
        {"op": "move", "from": "/b/c", "path": "/d"},
        {"op": "remove", "path": "/a/0"},
    ]
    before = copy.deepcopy((document, operations))
    assert json_patch(document, operations) == {"a": [2, {"x": [1]}], "b": {}, "d": 2}
    assert (document, operations) == before


@pytest.mark.parametrize(
    ("operations", "why"),
    [
        ([{"op": "remove", "path": "/missing"}], "operation 1 .remove /missing."),
        ([{"op": "replace", "path": "/missing/x", "value": 1}], "replace /missing/x"),
        ([{"op": "add", "path": "/a", "value": 1}, {"op": "test", "path": "/a", "value": 2}], "operation 2 .test /a."),
        ([{"op": "add", "path": "/list/9", "value": 1}], "add /list/9"),
        ([{"op": "replace", "path": "/list/x", "value": 1}], "replace /list/x"),
        ([{"op": "fly", "path": "/a"}], "fly /a"),
        ([{"op": "add", "path": "/a"}], "add /a"),
        ([{"path": "/a"}], "without op"),
        ([{"op": "remove"}], "without path"),
        (["text"], "not an object"),
        ([{"op": "add", "path": "no-slash", "value": 1}], "no-slash"),
        ({"op": "remove", "path": "/a"}, "a list of operations"),
        ([{"op": "add", "path": "/a", "value": 1}] * 10_001, "10001 operations are more than 10000"),
    ],
)
def test_json_patch_that_fails_says_where(operations, why):
    with pytest.raises(PatchError, match=why):
        json_patch({"list": [1]}, operations)


@given(MAPS, MAPS)
def test_json_patch_does_what_the_difference_says(before, after):
    assert json_patch(before, jsonpatch.make_patch(before, after).patch) == after


def copies(count, source="/a", path="/a/-"):
    return [{"op": "copy", "from": source, "path": path.format(n)} for n in range(count)]


def deeper(op):
    """Return operations that put something one level deeper each."""
    paths = ["/a" * n for n in range(1, 3 * MAX_DEPTH)]
    return [{"op": op, "path": path, "value": {}} for path in paths]


TOO_MUCH = {
    "a list into itself": copies(40),
    "the whole into a part of it": copies(40, "", "/k{}"),
    "a long text": [{"op": "add", "path": "/t", "value": "x" * 100_000}, *copies(100, "/t", "/k{}")],
    "a long key": [{"op": "add", "path": "/t", "value": {"x" * 100_000: 1}}, *copies(100, "/t", "/k{}")],
    "copies that are taken away again": [
        {"op": "add", "path": "/t", "value": [1] * 1000},
        *(
            one
            for n in range(300)
            for one in ({"op": "copy", "from": "/t", "path": "/u"}, {"op": "remove", "path": "/u"})
        ),
    ],
    "moves of something large": [
        {"op": "add", "path": "/t", "value": [1] * 1000},
        *({"op": "move", "from": f"/{'tu'[n % 2]}", "path": f"/{'ut'[n % 2]}"} for n in range(300)),
    ],
    "deeper by adding": deeper("add"),
    "deeper by copying": copies(3 * MAX_DEPTH, "", "/k"),
    "deeper by moving": [
        {"op": "add", "path": "/b", "value": json.loads("[" * 150 + "]" * 150)},
        {"op": "add", "path": "/c", "value": json.loads("[" * 150 + "]" * 150)},
        {"op": "move", "from": "/b", "path": "/c" + "/0" * 149 + "/-"},
    ],
    "deep at once": [{"op": "add", "path": "/b", "value": json.loads("[" * 300 + "]" * 300)}],
    "many operations": [{"op": "test", "path": "/a", "value": []}] * 10_001,
    "a large operation": [{"op": "add", "path": "/b", "value": [1] * OBJECT.nodes}],
}


@pytest.mark.parametrize("operations", TOO_MUCH.values(), ids=TOO_MUCH)
def test_json_patches_grow_no_document_beyond_its_limits(operations):
    with pytest.raises(PatchTooLarge):
        json_patch({"a": []} if operations[0]["path"] != "/a" else {}, operations)


def test_a_json_patch_shows_nothing_of_the_document():
    document = {"password": "hunter2", "list": [{"key": "hunter2"}]}
    for operation in (
        {"op": "test", "path": "/password", "value": "x"},
        {"op": "remove", "path": "/list/0/x"},
        {"op": "add", "path": "/list/x", "value": 1},
        {"op": "add", "path": "/list/0/x/y", "value": 1},
        {"op": "move", "from": "/list/0/x/y", "path": "/a"},
        {"op": "copy", "from": "/password/x", "path": "/a"},
    ):
        with pytest.raises(PatchError) as failure:
            json_patch(document, [operation])
        assert "hunter2" not in str(failure.value)


PATHS = st.lists(st.sampled_from(["a", "b", "0", "1", "-", "~0", "~2", "99999999999999999999"]), max_size=4).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
ANYTHING = st.none() | st.integers() | st.text(max_size=3) | documents(SCALARS) | PATHS
OPERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"]) | ANYTHING,
        "path": PATHS | ANYTHING,
        "from": PATHS | ANYTHING,
        "value": ANYTHING,
    },
)


@given(documents(SCALARS), st.lists(OPERATIONS | ANYTHING, max_size=12))
def test_any_json_patch_makes_a_document_within_the_limits_or_is_refused(document, operations):
    before = copy.deepcopy((document, operations))
    try:
        result = json_patch(document, operations)
    except PatchError:
        pass
    else:
        assert weigh(result).depth <= MAX_DEPTH
        assert weigh(result).nodes <= OBJECT.nodes
    assert (document, operations) == before


def test_what_is_no_json_patch_is_told_from_what_does_not_fit():
    for operations in (
        {},
        ["x"],
        [{"op": "fly", "path": "/a"}],
        [{"op": "add", "path": 1}],
        [{"op": [], "path": "/a"}],
        [{"path": "/a", "value": 1}],
    ):
        with pytest.raises(MalformedPatch):
            json_patch({}, operations)
    for operations in ([{"op": "remove", "path": "/a"}], [{"op": "add", "path": "/a/b", "value": 1}]):
        with pytest.raises(PatchError) as failure:
            json_patch({}, operations)
        assert type(failure.value) is PatchError


CONFIG = {"data": {"conf": '{\n  "b": 1,\n  "a": {"x": 1}\n}', "yaml": "b: 1\na: {x: y}\n", "empty": ""}, "list": ["t"]}


def test_b5_7_only_the_named_keys_change():
    patched = patch_field(CONFIG, "/data/conf", "JSON", [{"op": "replace", "path": "/a/x", "value": 2}], merge=False)
    assert patched["data"]["conf"] == '{\n    "b": 1,\n    "a": {\n        "x": 2\n    }\n}'
    patched = patch_field(CONFIG, "/data/yaml", "YAML", {"a": {"x": "n"}}, merge=True)
    assert patched["data"] == CONFIG["data"] | {"yaml": "a:\n  x: 'n'\nb: 1\n"}


@pytest.mark.parametrize(("path", "text_format"), [("/data/conf", "JSON"), ("/data/yaml", "YAML")])
@pytest.mark.parametrize(
    ("patch", "merge"),
    [
        ({"mysql": {"timeout": 5}}, True),
        ([{"op": "add", "path": "/mysql", "value": {}}, {"op": "add", "path": "/mysql/timeout", "value": 5}], False),
    ],
)
def test_b5_8_keys_can_be_added(path, text_format, patch, merge):
    patched = patch_field(CONFIG, path, text_format, patch, merge=merge)
    text = patched["data"][path.rpartition("/")[2]]
    assert "mysql" in text
    assert "timeout" in text
    assert "5" in text


@pytest.mark.parametrize(
    ("path", "text_format", "patch", "merge", "why"),
    [
        ("/data/missing", "JSON", {}, True, "'missing' is missing"),
        ("/data/yaml", "JSON", {}, True, "the text at /data/yaml is not JSON"),
        ("/data/broken", "YAML", {}, True, "the text at /data/broken is not YAML"),
        ("/data", "JSON", {}, True, "/data is not a text"),
        ("/data/conf", "", {}, True, "fieldFormat must be one of YAML, JSON"),
        ("/data/conf", "TOML", {}, True, "fieldFormat"),
        ("data/conf", "JSON", {}, True, "must start with /"),
        ("/data/conf", "JSON", [{"op": "remove", "path": "/zzz"}], False, "in the text at /data/conf: operation 1"),
    ],
)
def test_b5_9_fields_that_cannot_be_patched(path, text_format, patch, merge, why):
    document = {"data": CONFIG["data"] | {"broken": "a: ["}}
    with pytest.raises(PatchError, match=why):
        patch_field(document, path, text_format, patch, merge=merge)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/metadata/labels", False),
        ("/metadata/labels/x", True),
        ("/spec/commands/1", True),
        ("/spec/commands/2", False),
        ("/spec/commands/-1", False),
        ("/spec/containers/1/image", True),
        ("/spec/containers/error/image", False),
        ("/spec/containers/0", False),
        ("/spec/text/x", False),
        ("/spec/text/d", False),
        ("/spec/commands/²", False),
        ("/spec/text/3", False),
        ("/spec/commands/a: 1", False),
    ],
)
def test_b5_10_paths(path, found):
    document = {
        "metadata": {"labels": {"x": "a: 1"}},
        "spec": {"commands": ["a: 1", "b: 2"], "containers": [{}, {"image": "c: 3"}], "text": "d: 4"},
    }
    if found:
        assert "new: 1" in str(patch_field(document, path, "YAML", {"new": 1}, merge=True))
    else:
        with pytest.raises(PatchError):
            patch_field(document, path, "YAML", {"new": 1}, merge=True)


def test_an_empty_text_stays_empty():
    assert patch_field(CONFIG, "/data/empty", "JSON", {"a": 1}, merge=True) == CONFIG


def test_texts_in_fields_have_limits_too():
    for text, why in (
        ("- " * 1000 + "x", "nested too deep"),
        ("a: &a [*a]", "aliases"),
        ("- a\n" * 60_000, "too large"),
    ):
        with pytest.raises(PatchError, match=why):
            patch_field({"data": {"a": text}}, "/data/a", "YAML", [], merge=False)
    with pytest.raises(PatchError, match="nested too deep"):
        patch_field({"data": {"a": "[" * 1000 + "]" * 1000}}, "/data/a", "JSON", [], merge=False)
    patch = [{"op": "copy", "from": "", "path": f"/k{n}"} for n in range(50)]
    with pytest.raises(PatchError, match="too large"):
        patch_field({"data": {"a": "a: 1"}}, "/data/a", "YAML", patch, merge=False)
