"""Go durations."""

import pytest
from clusternet_engine.model.durations import parse_duration
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20s", 20),
        ("3m", 180),
        ("1m30s", 90),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("250ms", 0.25),
        ("5µs", 5e-6),
        ("5μs", 5e-6),
        ("5us", 5e-6),
        ("7ns", 7e-9),
        ("-2m", -120),
        ("+2m", 120),
        ("0", 0),
        ("-0", 0),
    ],
)
def test_values(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "20", "s", "1d", "1 m", "1m ", "--1s", "1..5s", ".s", "1e3s", "٣s"])
def test_what_is_none(text):
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@given(st.integers(0, 999), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_parts_add_up(hours, minutes, seconds, milliseconds):
    text = f"{hours}h{minutes}m{seconds}s{milliseconds}ms"
    assert parse_duration(text) == pytest.approx(hours * 3600 + minutes * 60 + seconds + milliseconds / 1000)
