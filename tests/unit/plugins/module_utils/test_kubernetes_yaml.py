"""Modules read YAML as the engine does, and as kubectl does."""

import json
import sys

import orjson
import pytest
from ansible_collections.clusternet.core.plugins.module_utils.errors import MissingLibrary
from ansible_collections.clusternet.core.plugins.module_utils.kubernetes_yaml import YamlError, read_all
from clusternet_engine.model.documents import DocumentError, read_documents
from hypothesis import example, given
from hypothesis import strategies as st
from yaml_cases import READ, REFUSED

PIECES = st.sampled_from(
    [
        *(
            "&a ",
            "*a",
            "<<: ",
            "[",
            "]",
            "{",
            "}",
            "? ",
            "a",
            "1",
            "0x1",
            "!!int ",
            "!x ",
            "'",
            '"',
            "~",
            "yes",
            "#",
            "1e9",
        ),
        *(">-", "|", "- ", ", ", ": ", "  ", "\n", "---\n", "2026-01-02", "=", "1:30", "é", "null", "!!str "),
    ]
)


@pytest.mark.parametrize("text", READ)
def test_a_text_is_read_as_kubectl_reads_it(text):
    read = read_all(text.lstrip("\ufeff"))
    assert json.dumps(read, sort_keys=True) == json.dumps([READ[text]], sort_keys=True)


@pytest.mark.parametrize("text", REFUSED)
def test_what_kubectl_refuses_is_refused(text):
    with pytest.raises(YamlError):
        read_all(text)


def test_documents_of_a_text():
    assert read_all("a: 1\n---\n---\n- b\n") == [{"a": 1}, ["b"]]
    assert read_all("") == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\nb: !!int hunter2", "a value is not what its tag says (line 2)"),
        ("a: 1\nb:\n  .inf: c", "a number is infinite, or none at all; quote it if it is a text (line 3)"),
        ("a: &a [*a]", "found unconstructable recursive node (line 1)"),
        ("a: \x00", "it holds characters that YAML doesn't allow"),
    ],
)
def test_an_error_says_where_and_not_what(text, why):
    with pytest.raises(YamlError) as failure:
        read_all(text)
    assert str(failure.value) == why


@given(st.lists(PIECES, max_size=30).map("".join))
@example("a: &a 1\n---\nb: *a")
def test_modules_read_what_the_engine_reads(text):
    try:
        theirs = [document for document in read_documents(text) if document is not None]
    except DocumentError as error:
        if "nested" not in str(error) and "large" not in str(error):
            with pytest.raises(YamlError):
                read_all(text)
        return
    assert orjson.dumps(read_all(text)) == orjson.dumps(theirs)


def test_without_pyyaml_json_is_read_and_yaml_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert read_all('{"kind": "ConfigMap", "data": {"a": "1"}}') == [{"kind": "ConfigMap", "data": {"a": "1"}}]
    assert read_all(" \n") == read_all("null") == []
    for text in ("kind: ConfigMap", "{kind: ConfigMap}", '{"a": 1}\n---\n{"a": 2}'):
        with pytest.raises(MissingLibrary) as missing:
            read_all(text)
        assert missing.value.msg == (
            f"{sys.executable}, by which Ansible runs modules on the host, lacks the package PyYAML, which reading YAML"
            " takes. Install it (in most distributions python3-yaml), set ansible_python_interpreter to a Python that"
            " has it, or give JSON."
        )
