"""Values that were used last, as many as fit a size."""

from clusternet_engine.model.remembered import Remembered
from hypothesis import given
from hypothesis import strategies as st

LIMIT = 20


def test_those_that_were_used_last_stay():
    values = Remembered(LIMIT)
    for name in "abc":
        values.put(name, name.upper(), 8)
    assert [values.get(name) for name in "abc"] == [None, "B", "C"]
    values.get("b")
    values.put("d", "D", 8)
    assert [values.get(name) for name in "bcd"] == ["B", None, "D"]


def test_one_that_is_too_large_alone_is_not_kept():
    values = Remembered(LIMIT)
    values.put("a", "A", LIMIT + 1)
    assert values.get("a") is None
    values.put("b", "B", LIMIT)
    assert values.get("b") == "B"


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 2 * LIMIT))))
def test_they_never_take_more_than_the_limit(puts):
    values, sizes = Remembered(LIMIT), {}
    for key, size in puts:
        values.put(key, key, size)
        sizes[key] = size
        kept = [name for name in sizes if values.get(name) is not None]
        assert sum(sizes[name] for name in kept) <= LIMIT
        assert key in kept or size > LIMIT
