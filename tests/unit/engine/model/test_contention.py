"""Restorations that others undo become rarer, are told of, and begin anew when there is peace."""

import pytest
from clusternet_engine.model.contention import LONGEST_WAIT, PEACE, Contests, contest_message
from hypothesis import given
from hypothesis import strategies as st

WEB = ("apps", "Deployment", "foo", "web")
RIVALS = ((".spec.replicas", "autoscaler"), (".spec.paused", ""))


def test_waits_grow_and_end():
    contests, now, waits = Contests(), 100.0, []
    for _ in range(14):
        wait = contests.wait(WEB, now)
        waits.append(wait)
        now += wait
        contests.restored(WEB, "Deployment foo/web", now, RIVALS)
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert contests.wait(("", "ConfigMap", "foo", "other"), now) == 0
    assert contests.next_end(now) == LONGEST_WAIT + PEACE
    assert len(contests.fights(now + LONGEST_WAIT + PEACE - 1)) == 1
    now += LONGEST_WAIT + PEACE
    assert (contests.fights(now), contests.next_end(now), contests.wait(WEB, now)) == ([], None, 0)


@given(st.lists(st.floats(0, 1000), max_size=100))
def test_it_never_waits_longer_than_the_longest(pauses):
    contests, now = Contests(), 0.0
    for pause in pauses:
        now += pause
        contests.restored(WEB, "x", now, ())
        assert 0 <= contests.wait(WEB, now) <= LONGEST_WAIT


def test_one_change_by_hand_is_no_fight():
    contests = Contests()
    contests.restored(WEB, "x", 0.0, ())
    assert contests.fights(1.0) == []


@pytest.mark.parametrize(
    ("rivals", "told"),
    [
        (RIVALS, ".spec.replicas is set by autoscaler, .spec.paused is changed by somebody who doesn't own it"),
        ((), "somebody removes it"),
    ],
)
def test_the_message_names_field_and_manager_and_what_to_do(rivals, told):
    contests = Contests()
    for now in (0.0, 0.1):
        contests.restored(WEB, "Deployment foo/web", now, rivals)
    assert contest_message(contests.fights(0.2)) == (
        f"Deployment foo/web: {told}. What is published is restored again and again, at longer and longer intervals. "
        "Leave such fields out of what is published, or keep the others from setting them."
    )
    for number in range(12):
        for now in (0.0, 0.1):
            contests.restored((*WEB[:3], str(number)), f"x{number}", now, rivals)
    assert "; and 3 more objects. " in contest_message(contests.fights(0.2))
    assert contest_message([]) == ""
