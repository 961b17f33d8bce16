"""What agent_info reads from a Lease."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.clusternet.core.plugins.modules.agent_info import (
    STATUS_ANNOTATION,
    held_now,
    registration_status,
    view,
)
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
