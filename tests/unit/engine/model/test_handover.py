"""When a credential leaves the registration request in which its cluster finds it."""

from clusternet_engine.model.handover import REISSUE_GRACE, Handovers
from hypothesis import given
from hypothesis import strategies as st


def test_the_first_heartbeat_shows_that_the_credential_is_there():
    handovers = Handovers()
    handovers.offer("r", "a", "", 0)
    assert "r" in handovers
    assert not handovers.used("r", "a", "", 1)
    assert handovers.used("r", "a", "t1", 1.1)


def test_an_earlier_heartbeat_shows_nothing():
    handovers = Handovers()
    assert not handovers.used("r", "a", "t1", 0)
    assert not handovers.used("r", "a", "t1", 100)
    assert handovers.used("r", "a", "t2", 101)


def test_a_heartbeat_by_the_credential_before_shows_nothing():
    handovers = Handovers()
    handovers.offer("r", "b", "t1", 0)
    assert not handovers.used("r", "b", "t2", REISSUE_GRACE)
    assert not handovers.used("r", "b", "t2", REISSUE_GRACE + 100)
    assert handovers.used("r", "b", "t3", REISSUE_GRACE + 101)


def test_another_credential_is_another_story():
    handovers = Handovers()
    handovers.offer("r", "a", "", 0)
    assert not handovers.used("r", "b", "t1", 1)
    assert not handovers.used("r", "b", "t1", 100)


def test_what_is_forgotten_is_not_there():
    handovers = Handovers()
    handovers.offer("r", "a", "", 0)
    handovers.forget("r")
    handovers.forget("r")
    assert "r" not in handovers


@given(
    st.lists(
        st.tuples(
            st.floats(0, 60),
            st.sampled_from("ab"),
            st.sampled_from(["", "t1", "t2", "t3"]),
        )
    )
)
def test_nothing_counts_as_used_without_a_change_of_the_heartbeat(steps):
    handovers, now = Handovers(), 0.0
    seen: dict[str, list[str]] = {"a": [], "b": []}
    last = ""
    for pause, credential, heartbeat in steps:
        now += pause
        if credential != last:
            seen[credential] = []
        used = handovers.used("r", credential, heartbeat, now)
        assert not used or (seen[credential] and seen[credential][-1] != heartbeat)
        seen[credential].append(heartbeat)
        last = credential
