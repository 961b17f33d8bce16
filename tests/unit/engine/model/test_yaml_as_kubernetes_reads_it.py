"""YAML means what it means to kubectl: dates and times are text, `yes` is true, large numbers are floats."""

import json
from pathlib import Path

import pytest
from clusternet_engine.model.documents import DocumentError, read_document, read_documents, read_kubernetes
from clusternet_engine.model.yaml_scalars import plain
from hypothesis import given
from hypothesis import strategies as st
from yaml_cases import READ, REFUSED

ROOT = Path(__file__).parents[4]
NUMBERS = st.text("0123456789_.+-eExXoObBaf", min_size=1, max_size=8)


@pytest.mark.parametrize("text", READ)
def test_a_text_is_read_as_kubectl_reads_it(text: str) -> None:
    for read in (read_document(text), read_kubernetes(text), *read_documents(text)):
        assert json.dumps(read, sort_keys=True) == json.dumps(READ[text], sort_keys=True)


@pytest.mark.parametrize("text", REFUSED)
def test_what_kubectl_refuses_is_refused(text: str) -> None:
    for read in (read_document, read_kubernetes, read_documents):
        with pytest.raises(DocumentError):
            read(text)


@given(NUMBERS)
def test_what_may_look_like_a_number_is_a_number_or_text(text: str) -> None:
    value = plain(text)
    assert isinstance(value, int | float | str)
    assert value == text or isinstance(value, int | float)
    if text.isdigit() and text[0] != "0":
        assert value == int(text)


def test_modules_and_engine_have_the_same_rules() -> None:
    ours = (ROOT / "engine" / "src" / "clusternet_engine" / "model" / "yaml_scalars.py").read_text()
    theirs = (ROOT / "plugins" / "module_utils" / "yaml_scalars.py").read_text()
    assert theirs.partition("\n\n")[2] == ours
