"""Who gets in when strangers fill a port."""

from __future__ import annotations

from collections import Counter

import pytest
from clusternet_engine.model.connection_limits import LEAST, ConnectionLimits, Phase, Stranger, Strangers, network_of
from hypothesis import given
from hypothesis import strategies as st

LIMITS = ConnectionLimits(strangers=6, per_address=3, acquainted=4, grace=2.0)


def fill(strangers: Strangers, address: str, number: int, now: float = 0.0) -> list[Stranger]:
    made = [strangers.admit(address, Phase.HANDSHAKE, now)[0] for _ in range(number)]
    return [one for one in made if one is not None]


def test_an_address_that_is_full_loses_its_oldest_and_no_other_one() -> None:
    strangers = Strangers(LIMITS)
    other = fill(strangers, "10.0.0.9", 1, now=-50.0)[0]
    first, *_ = fill(strangers, "10.0.0.1", 3)
    assert strangers.admit("10.0.0.1", Phase.HANDSHAKE, 1.0) == (None, None), "all have just come"
    newcomer, victim = strangers.admit("10.0.0.1", Phase.HANDSHAKE, 2.0)
    assert victim is first
    assert newcomer is not None
    assert other in strangers.overdue(20.0)


def test_who_is_being_answered_is_not_driven_out() -> None:
    strangers = Strangers(LIMITS)
    busy, idle, _ = fill(strangers, "10.0.0.1", 3)
    strangers.move(busy, Phase.REQUEST, 0.0)
    strangers.move(idle, Phase.IDLE, 0.0)
    assert strangers.admit("10.0.0.1", Phase.HANDSHAKE, 5.0)[1] is idle


def test_strangers_cannot_keep_out_an_address_where_somebody_is_known() -> None:
    strangers = Strangers(LIMITS)
    api_server = fill(strangers, "10.0.0.1", 1)[0]
    strangers.recognize(api_server)
    for number in range(20):
        fill(strangers, f"10.0.1.{number}", 1)
    assert len(strangers) == LIMITS.strangers
    assert len(fill(strangers, "10.0.0.1", 10)) == LIMITS.acquainted
    assert strangers.admit("10.0.1.99", Phase.HANDSHAKE, 1.0) == (None, None)
    newcomer, victim = strangers.admit("10.0.0.1", Phase.HANDSHAKE, 3.0)
    assert newcomer is not None
    assert victim is not None
    assert victim.network == "10.0.0.1"


def test_a_want_of_descriptors_halves_the_room_for_a_while() -> None:
    strangers = Strangers(ConnectionLimits(strangers=40, per_address=30, acquainted=4, grace=2.0))
    first, *others = fill(strangers, "10.0.0.1", 20)
    strangers.move(first, Phase.REQUEST, -9.0)
    strangers.shrink()
    assert strangers.excess(1.0) == []
    closed = strangers.excess(2.0)
    assert closed == others[:10]
    for one in closed:
        strangers.forget(one)
    assert strangers.admit("10.0.0.2", Phase.HANDSHAKE, 1.0) == (None, None)
    for _ in range(5):
        strangers.shrink()
    assert strangers.limits.strangers >= LEAST
    strangers.restore()
    assert len(fill(strangers, "10.0.0.2", 40)) == 30


@pytest.mark.parametrize(
    ("phase", "seconds"), [(Phase.HANDSHAKE, 10.0), (Phase.HEAD, 10.0), (Phase.REQUEST, 60.0), (Phase.IDLE, 60.0)]
)
def test_each_phase_has_its_time(phase: Phase, seconds: float) -> None:
    strangers = Strangers(LIMITS)
    stranger = fill(strangers, "10.0.0.1", 1)[0]
    strangers.move(stranger, phase, 100.0)
    assert strangers.overdue(100.0 + seconds) == []
    assert strangers.overdue(100.1 + seconds) == [stranger]
    strangers.recognize(stranger)
    assert strangers.overdue(1e6) == []


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
    ],
)
def test_a_host_is_one_peer_however_many_addresses_it_has(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize("descriptors", [64, 256, 1024, 2**20])
def test_half_of_the_descriptors_stay_free(descriptors: int) -> None:
    limits = ConnectionLimits.within(descriptors)
    assert limits.strangers + limits.acquainted <= descriptors // 2
    assert limits.per_address < limits.strangers


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["come", "answer", "prove", "leave"]),
            st.integers(0, 4),
            st.floats(0, 3, allow_nan=False),
        )
    )
)
def test_limits_hold_whatever_happens(events: list[tuple[str, int, float]]) -> None:
    strangers = Strangers(LIMITS)
    inside: list[Stranger] = []
    now = 0.0
    for event, number, seconds in events:
        now += seconds
        if event == "come":
            newcomer, victim = strangers.admit(f"10.0.0.{number}", Phase.HEAD, now)
            if victim is not None:
                inside.remove(victim)
                assert victim.phase is not Phase.REQUEST
                assert now - victim.since >= LIMITS.grace
            if newcomer is not None:
                inside.append(newcomer)
        elif inside:
            chosen = inside[number % len(inside)]
            if event == "answer":
                strangers.move(chosen, Phase.REQUEST, now)
            else:
                inside.remove(chosen)
                (strangers.recognize if event == "prove" else strangers.forget)(chosen)
        assert len(strangers) == len(inside)
        assert sum(1 for one in inside if not one.acquainted) <= LIMITS.strangers
        assert sum(1 for one in inside if one.acquainted) <= LIMITS.acquainted
        counted = Counter(one.network for one in inside if not one.acquainted)
        assert all(count <= LIMITS.per_address for count in counted.values())
