"""Hold to when an agent is ready."""

from collections.abc import Mapping

import pytest
from clusternet_engine.agent.readiness import Need, NotReady, Readiness


def failed(readiness: Readiness, *, leading: bool = True, standing_by: bool = False) -> Mapping[str, str]:
    """Return what is missing, with what is said about it."""
    reasons = {}
    for name, check in readiness.checks(lambda: leading, lambda: standing_by).items():
        try:
            check()
        except NotReady as error:
            reasons[name] = str(error)
    return reasons


def test_an_agent_that_has_just_started_misses_everything() -> None:
    assert list(failed(Readiness(tunnel=True), leading=False)) == [
        "leader-election",
        "credential",
        "managed-cluster",
        "tunnel",
    ]
    reasons = failed(Readiness(tunnel=True))
    assert list(reasons) == ["credential", "managed-cluster", "tunnel"]
    assert "annotation clusternet.io/registration-status of the Lease says why" in reasons["credential"]


@pytest.mark.parametrize("wanted", [True, False])
def test_a_tunnel_counts_if_it_is_wanted(wanted: bool) -> None:
    readiness = Readiness(tunnel=wanted)
    with readiness.membership():
        assert Need.CREDENTIAL not in failed(readiness)
        assert Need.MANAGED_CLUSTER in failed(readiness)
        readiness.gained(Need.MANAGED_CLUSTER)
        assert list(failed(readiness)) == (["tunnel"] if wanted else [])
        with readiness.has(Need.TUNNEL):
            assert not failed(readiness)
        assert list(failed(readiness)) == (["tunnel"] if wanted else [])


def test_nothing_outlives_the_registration() -> None:
    readiness = Readiness(tunnel=False)
    with readiness.membership():
        readiness.gained(Need.MANAGED_CLUSTER)
    assert list(failed(readiness)) == ["credential", "managed-cluster"]


def test_who_stands_by_is_ready() -> None:
    assert not failed(Readiness(tunnel=True), leading=False, standing_by=True)
