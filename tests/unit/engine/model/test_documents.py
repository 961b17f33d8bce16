"""Texts as documents: YAML as 1.2 reads it, JSON, and back."""

import json
import math

import pytest
import yaml
from clusternet_engine.model.documents import DocumentError, read_document, read_json, write_json, write_yaml
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\x85\u2028\u2029\ufeff"))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXT, children, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("y: 1", {"y": 1}),
        ("a: y\nb: no\nc: Off\nd: on", {"a": "y", "b": "no", "c": "Off", "d": "on"}),
        ("a: true\nb: False\nc: TRUE", {"a": True, "b": False, "c": True}),
        ("1: a\ntrue: b\nnull: c\n0x1: d", {"1": "a", "true": "b", "null": "c", "0x1": "d"}),
        (
            "mode: 0644\nnew: 0o644\nhex: 0x1F\nbinary: 0b101\nzero: 0",
            {"mode": 420, "new": 420, "hex": 31, "binary": 5, "zero": 0},
        ),
        ("a: -12\nb: +3\nc: 1_000\nd: -0644", {"a": -12, "b": 3, "c": 1000, "d": -420}),
        ("a: 1e3\nb: .5\nc: 2.\nd: 08", {"a": 1000.0, "b": 0.5, "c": 2.0, "d": 8}),
        (
            "day: 2020-01-01\ntime: 12:30:45\nversion: 1.2.3",
            {"day": "2020-01-01", "time": "12:30:45", "version": "1.2.3"},
        ),
        ("a:\nb: ~\nc: null", {"a": None, "b": None, "c": None}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("base: &b {x: 1, y: 2}\nmine:\n  <<: *b\n  y: 3", {"base": {"x": 1, "y": 2}, "mine": {"x": 1, "y": 3}}),
        ('{\n\t"a": [1, "b", null]\n}', {"a": [1, "b", None]}),
        ("- 1\n- x", [1, "x"]),
        ("", None),
        ("   \n", None),
        ("# only a comment\n", None),
    ],
)
def test_yaml_is_read_as_1_2_reads_it(text, value):
    read = read_document(text)
    assert read == value
    assert json.dumps(read) == json.dumps(value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [1", "not YAML"),
        ("a: 1\n---\nb: 2", "single document"),
        ("? [1]\n: 2", "a key is not a plain text"),
        ("a: &x [*x]", "aliases"),
        ("\n".join([f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10) if n else 1}]" for n in range(9)]), "aliases"),
        ("a: !!binary aGk=", "a tag that JSON has no value for"),
        ("a: !!float .nan", "no number of JSON"),
        ("a: 1e999", "no number of JSON"),
        (f"a: {2**64}", "too large"),
        (f"a: {-(2**63) - 1}", "too large"),
        (f"a: {{b: [c, {2**64}]}}", "too large"),
        ("a: !!int x", "not YAML"),
        ("a: !custom x", "a tag that JSON has no value for"),
        ("- " * 5000 + "x", "nested too deep: it may have 190 levels"),
    ],
)
def test_what_is_no_document_says_why(text, why):
    with pytest.raises(DocumentError, match=why):
        read_document(text)


def test_json_is_not_yaml():
    assert read_json('{"a": 1}') == {"a": 1}
    with pytest.raises(DocumentError, match="not JSON"):
        read_json("a: 1")


@given(JSON_VALUES)
def test_what_is_written_is_read_back(value):
    assert read_document(write_yaml(value)) == value
    assert yaml.safe_load(write_yaml(value)) == value
    assert json.loads(write_json(value, sort_keys=True)) == value


def test_texts_that_look_like_more_are_quoted():
    assert (
        write_yaml({"y": "n", "a": ["yes", "1", "true", "012"]}) == "a:\n- 'yes'\n- '1'\n- 'true'\n- '012'\n'y': 'n'\n"
    )


@pytest.mark.parametrize("text", ["0E0", "1e5", ".5E3", "-1e+3", "0o7", "089", "-08", "1_0"])
def test_numbers_of_other_dialects_are_quoted(text):
    assert write_yaml(text) == f"'{text}'\n"
    assert read_document(write_yaml(text)) == text


def test_text_is_written_as_it_is():
    assert write_yaml({"a": "ü " * 100}) == f"a: '{'ü ' * 100}'\n"


def test_json_is_indented_by_four():
    assert write_json({"b": 1, "a": {"ü": 2}}, sort_keys=True) == '{\n    "a": {\n        "ü": 2\n    },\n    "b": 1\n}'
    assert write_json({"b": 1, "a": 2}, sort_keys=False) == '{\n    "b": 1,\n    "a": 2\n}'


def test_numbers_keep_their_sort():
    assert not isinstance(read_document("a: 1")["a"], float)
    assert math.isclose(read_document("a: 1.5")["a"], 1.5)
