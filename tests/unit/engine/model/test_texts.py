"""What is shown of texts that others wrote."""

import pytest
from clusternet_engine.model.texts import printable
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words", "plain words"),
        ("two\nlines\tand \x1b[31mred", "two lines and [31mred"),
        ("x" * 30, "x" * 23 + "…"),
        (" " * 1000 + "late", "…"),
        (None, ""),
        ({"not": "a text"}, ""),
        ("‮backwards", "backwards"),
    ],
)
def test_examples(text, shown):
    assert printable(text, 24) == shown


@given(st.text(), st.integers(1, 50))
def test_anything_becomes_one_short_printable_line(text, limit):
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
