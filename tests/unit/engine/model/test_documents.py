"""Texts as documents: YAML, JSON, and back."""

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
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ('{\n\t"a": [1, "b", null]\n}', {"a": [1, "b", None]}),
        ("- 1\n- x", [1, "x"]),
        ("", None),
        ("   \n", None),
        ("# only a comment\n", None),
    ],
)
def test_a_text_is_a_document(text, value):
    read = read_document(text)
    assert read == value
    assert json.dumps(read) == json.dumps(value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [1", "not YAML"),
        ("a: 1\n---\nb: 2", "single document"),
        ("? [1]\n: 2", "a key is a map or a list"),
        ("a: &x [*x]", "aliases"),
        ("\n".join([f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10) if n else 1}]" for n in range(9)]), "aliases"),
        ("a: !!binary x", "a value is not the base64 that its tag says"),
        ("a: .nan", "a number is infinite, or none at all; quote it if it is a text"),
        ("a: !!int x", "a value is not what its tag says"),
        ("~: x", "a key is null; quote it if it is a text"),
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
