"""Dividing replicas: the worked checks of spec/03 §4, cases B3.1 and B3.4 of spec/06, and what always holds."""

from itertools import pairwise

import pytest
from clusternet_engine.model.dividing import divide_by_room, divide_by_weight, rebalance, spread
from hypothesis import given
from hypothesis import strategies as st

NUMBERS = st.lists(st.integers(0, 1000), max_size=12)
HUGE = st.lists(st.integers(0, 2**40), max_size=12)


@pytest.mark.parametrize(
    ("weights", "desired", "shares"),
    [
        ([2, 1, 0, 2], 5, [2, 1, 0, 2]),
        ([2, 1, 2], 10, [4, 2, 4]),
        ([2, 1, 0, 2], 6, [3, 1, 0, 2]),
        ([5, 1, 0, 2], 5, [4, 0, 0, 1]),
        ([1, 2], 6, [2, 4]),
        ([1, 2], 9, [3, 6]),
        ([0, 0], 9, [0, 0]),
        ([], 9, []),
        ([1, 1, 1], 0, [0, 0, 0]),
    ],
)
def test_b3_1_static(weights, desired, shares):
    assert divide_by_weight(desired, weights) == shares


@pytest.mark.parametrize(
    ("difference", "rooms", "shares"),
    [
        (6, [3, 6, 9], [1, 2, 3]),
        (2, [3, 6, 9], [0, 1, 1]),
        (3, [3, 6, 9], [1, 1, 1]),
        (3, [0, 0, 0], [0, 0, 0]),
        (6, [1, 2, 2], [1, 2, 2]),
        (-6, [3, 6, 9], [-1, -2, -3]),
        (-2, [3, 6, 9], [0, -1, -1]),
        (0, [3, 6], [0, 0]),
        (-9, [3, 6], [-3, -6]),
        (5, [], []),
        (1, [1, 0], [1, 0]),
    ],
)
def test_b3_4_dynamic_divide(difference, rooms, shares):
    assert divide_by_room(difference, rooms) == shares


@pytest.mark.parametrize(
    ("desired", "current", "rooms", "result"),
    [
        pytest.param(8, [1, 3, 0], [10, 10, 10], [3, 4, 1], id="B3.5 f1"),
        pytest.param(9, [1, 1, 1], [10, 20, 30], [2, 3, 4], id="B3.5 f3"),
        pytest.param(2, [1, 3, 0], [10, 10, 10], [0, 2, 0], id="B3.6 f1"),
        pytest.param(1, [1, 1, 1], [10, 20, 30], [0, 0, 1], id="B3.6 f3"),
        pytest.param(4, [1, 3, 0], [0, 0, 9], [1, 3, 0], id="nothing changed"),
        pytest.param(5, [1, 3, 0], [0, 0, 9], [1, 3, 1], id="one more"),
    ],
)
def test_b3_5_b3_6_spread(desired, current, rooms, result):
    clusters = ["c1", "c2", "c3"]
    spreaded = spread(desired, dict(zip(clusters, current, strict=True)), dict(zip(clusters, rooms, strict=True)))
    assert spreaded == dict(zip(clusters, result, strict=True))


@pytest.mark.parametrize(
    ("desired", "current", "rooms", "result"),
    [
        pytest.param(8, [1, 3, 0], [10, 10, 10], [3, 4, 0, 1], id="f1"),
        pytest.param(9, [1, 1, 1], [10, 20, 30], [2, 3, 1, 3], id="f3"),
    ],
)
def test_b3_7_a_new_cluster_instead_of_one_that_keeps_what_it_has(desired, current, rooms, result):
    before = dict(zip(["c1", "c2", "c3"], current, strict=True))
    room = dict(zip(["c1", "c2", "c4"], rooms, strict=True))
    assert spread(desired, before, room) == dict(zip(["c1", "c2", "c3", "c4"], result, strict=True))


def test_rebalancing_counts_what_runs_already_as_room():
    assert rebalance(6, {"a": 3, "b": 3}, {"a": 7, "b": 7, "c": 10}) == {"a": 2, "b": 2, "c": 2}
    assert rebalance(6, {"a": 3, "gone": 3}, {"a": 1}) == {"a": 4}
    assert rebalance(9, {"a": 3}, {"a": 2, "b": 1}) == {"a": 5, "b": 1}


@given(st.integers(0, 10_000), HUGE)
def test_static_keeps_the_sum(desired, weights):
    shares = divide_by_weight(desired, weights)
    assert sum(shares) == (desired if any(weights) else 0)
    assert all(share >= 0 for share in shares)
    assert all(share == 0 for share, weight in zip(shares, weights, strict=True) if weight == 0)


@given(st.integers(-10_000, 10_000), HUGE)
def test_dynamic_keeps_the_sum_and_nobody_gets_more_than_its_room(difference, rooms):
    shares = divide_by_room(difference, rooms)
    assert sum(map(abs, shares)) == min(abs(difference), sum(rooms))
    assert all(abs(share) <= room for share, room in zip(shares, rooms, strict=True))
    assert all(share * difference >= 0 for share in shares)


@pytest.mark.parametrize("divide", [divide_by_weight, divide_by_room])
@given(desired=st.integers(0, 10_000), numbers=NUMBERS)
def test_who_has_more_gets_no_less(divide, desired, numbers):
    shares = divide(desired, numbers)
    ranked = sorted(zip(numbers, shares, strict=True))
    for (less, less_share), (more, more_share) in pairwise(ranked):
        assert less_share <= more_share or less == more
        assert more_share - less_share <= 1 or less < more


@pytest.mark.parametrize("divide", [divide_by_weight, divide_by_room])
@given(desired=st.integers(0, 10_000), numbers=st.lists(st.integers(0, 1000), max_size=8, unique=True), data=st.data())
def test_the_order_of_different_ones_does_not_matter(divide, desired, numbers, data):
    """Under dynamic dividing different rooms may have equal fractions; then the first has one more."""
    order = data.draw(st.permutations(range(len(numbers))))
    shares = divide(desired, numbers)
    permuted = divide(desired, [numbers[index] for index in order])
    differences = [share - shares[index] for share, index in zip(permuted, order, strict=True)]
    assert sum(differences) == 0
    assert all(abs(difference) <= (divide is divide_by_room) for difference in differences)


@given(st.integers(0, 500), st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 50)), st.data())
def test_spread_moves_only_the_difference(desired, current, data):
    rooms = data.draw(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 50)))
    result = spread(desired, current, rooms)
    before = sum(current.values())
    assert sum(result.values()) == min(desired, max(before, before + sum(rooms.values())))
    grows = desired >= before
    assert all(
        result.get(cluster, 0) >= number if grows else result[cluster] <= number for cluster, number in current.items()
    )
    assert spread(sum(result.values()), result, rooms) == result
