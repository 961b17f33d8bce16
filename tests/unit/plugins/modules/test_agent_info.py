"""What agent_info reads from a Lease."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.clusternet.core.plugins.module_utils.errors import ClusternetError
from ansible_collections.clusternet.core.plugins.modules.agent_info import (
    CONFIRMED_AFTER,
    FINAL_REASONS,
    STATUS_ANNOTATION,
    Registration,
    held_now,
    registration_status,
    view,
)
from clusternet_engine.agent.progress import Reason
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
STUCK = {"step": "approval", "reason": "RegistrationDenied", "message": "no", "time": "2026-11-23T11:59:00Z"}


def lease(seconds_ago: float = 1, holder: str = "host_1", **annotations: str) -> dict[str, Any]:
    renewed = (NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "metadata": {"uid": "uid-1", "annotations": annotations},
        "spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15},
    }


def test_no_lease_has_every_key() -> None:
    nothing = view(None, NOW)
    assert nothing.keys() == view(lease(), NOW).keys()
    assert not any(nothing.values())


def test_a_running_agent_and_what_it_says() -> None:
    shown = view(lease(**{STATUS_ANNOTATION: json.dumps(STUCK)}), NOW)
    assert shown == {
        "exists": True,
        "cluster_id": "uid-1",
        "running": True,
        "step": "approval",
        "reason": "RegistrationDenied",
        "message": "no",
        "since": "2026-11-23T11:59:00Z",
    }


def test_an_identity_kept_by_annotation_wins() -> None:
    assert view(lease(**{"legacy-cluster-id": "old"}), NOW)["cluster_id"] == "old"


@pytest.mark.parametrize(("seconds", "holder", "held"), [(14, "a", True), (16, "a", False), (1, "", False)])
def test_a_lease_is_held_while_it_is_renewed(seconds: float, holder: str, held: bool) -> None:
    assert held_now(lease(seconds, holder), NOW) is held


@given(st.text() | st.sampled_from(["[]", "1", "null", '"x"']))
def test_any_annotation_is_read_without_failing(text: str) -> None:
    assert isinstance(registration_status(text), dict)
    assert view(lease(**{STATUS_ANNOTATION: text}), NOW)["exists"]


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def said(step: str, reason: str, time: str = "2026-11-23T11:59:30Z", acquired: str = "2026-11-23T11:59:30.5Z") -> Any:
    status = {"step": step, "reason": reason, "message": "no", "time": time}
    found = lease(**{STATUS_ANNOTATION: json.dumps(status)})
    found["spec"]["acquireTime"] = acquired
    return found


def test_a_registered_cluster_ends_the_wait() -> None:
    judge = Registration("a/b", Clock())
    assert judge.missing(said("start", "Starting")) == ["the agent is at step 'start' (Starting): no"]
    for step in ("registered", "heartbeat", "deployer"):
        assert judge.missing(said(step, "Whatever")) == []


def test_a_final_reason_that_stands_ends_the_wait() -> None:
    clock = Clock()
    judge = Registration("a/b", clock)
    refused = said("authentication", "BootstrapTokenRejected")
    assert judge.missing(refused) == ["the agent is at step 'authentication' (BootstrapTokenRejected): no"]
    clock.now = CONFIRMED_AFTER - 0.1
    assert judge.missing(refused)
    clock.now = CONFIRMED_AFTER
    with pytest.raises(ClusternetError) as ended:
        judge.missing(refused)
    assert ended.value.msg == "The registration is refused (BootstrapTokenRejected): no"
    assert ended.value.failure["code"] == "RegistrationRefused"


def test_a_reason_that_goes_or_comes_anew_is_not_final() -> None:
    clock = Clock()
    judge = Registration("a/b", clock)
    for number in range(10):
        clock.now += CONFIRMED_AFTER - 1
        assert judge.missing(said("approval", "RegistrationDenied", time=f"2026-11-23T12:00:{number:02}Z"))
        clock.now += 5
        assert judge.missing(said("approval", "RegistrationPending"))


def test_what_an_agent_said_before_the_present_one_counts_for_nothing() -> None:
    clock = Clock()
    judge = Registration("a/b", clock)
    for step, reason in (("registered", "Registered"), ("authentication", "BootstrapTokenRejected")):
        for _ in range(3):
            clock.now += CONFIRMED_AFTER
            assert judge.missing(said(step, reason, time="2026-11-23T11:59:29Z")) == [
                "the agent that holds the Lease a/b hasn't said yet how it stands"
            ]


def test_every_final_reason_is_one_of_the_engines() -> None:
    assert {str(reason) for reason in Reason} >= FINAL_REASONS
