"""JSON of any depth in the collection: parsed, cut at the same limit as in the hub."""

import json
from typing import Any

import pytest
from ansible_collections.clusternet.core.plugins.module_utils import nesting
from clusternet_engine.kube import nesting as engine
from hypothesis import given
from hypothesis import strategies as st

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def nested(levels: int, text: str = "1") -> str:
    return '{"a":' * levels + text + "}" * levels


def depth_of(value: Any) -> int:
    depth = 0
    while isinstance(value, dict):
        depth, value = depth + 1, value["a"]
    return depth


def test_hub_and_collection_cut_at_the_same_depth():
    assert nesting.MAX_DEPTH == engine.MAX_DEPTH


@pytest.mark.parametrize("levels", [1, 199, 200, 201, 990, 1_100, 9_000])
def test_what_is_too_deep_is_cut(levels):
    value, cut = nesting.parse(nested(levels).encode())
    assert cut == (levels > 200)
    assert depth_of(value) == min(levels, 200)
    assert nesting.is_cut(value) == cut


@given(json_values, st.sampled_from([0, 150, 5000]))
def test_the_rest_is_read_as_it_is(value, levels):
    text = json.dumps([value, json.loads(nested(levels)) if levels == 150 else 1, value])
    if levels == 5000:
        text = text.replace(", 1, ", f", {nested(levels)}, ", 1) if ", 1, " not in json.dumps(value) else text
    parsed, _ = nesting.parse(text.encode())
    assert (parsed[0], parsed[2]) == (value, value)


@given(st.binary() | st.text('"\\[]{},:a1').map(str.encode))
def test_any_bytes_are_json_or_refused(text):
    for read in (nesting.parse, nesting.loads):
        try:
            read(text)
        except ValueError:
            continue


@pytest.mark.parametrize("levels", [201, 1_100, 9_000])
def test_a_text_in_a_field_is_refused_when_it_is_too_deep(levels):
    with pytest.raises(ValueError, match="nested too deeply"):
        nesting.loads(nested(levels))
