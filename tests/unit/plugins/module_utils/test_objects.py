"""When workloads that were just applied count as available."""

import pytest
from ansible_collections.clusternet.core.plugins.module_utils.objects import unavailable

READY = {"observedGeneration": 2, "desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1}
COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}


def workload(kind: str, api_version: str, status: dict) -> dict:
    """Return a workload that was changed once."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"generation": 2}, "spec": {}, "status": status}


@pytest.mark.parametrize(
    ("obj", "reason"),
    [
        (workload("DaemonSet", "apps/v1", {}), "about generation 0, the object has generation 2"),
        (workload("DaemonSet", "apps/v1", {**READY, "observedGeneration": 1}), "about generation 1"),
        (workload("DaemonSet", "apps/v1", {**READY, "numberAvailable": 0}), "0 of 1 pods are available"),
        (workload("Job", "batch/v1", {}), "it runs"),
    ],
)
def test_what_is_missing(obj: dict, reason: str) -> None:
    (found,) = unavailable([obj])
    assert reason in found


def test_nothing_is_missing() -> None:
    assert unavailable([workload("DaemonSet", "apps/v1", READY), workload("Job", "batch/v1", COMPLETE)]) == []


def test_what_is_gone_is_not_available() -> None:
    assert unavailable([]) == ["it is gone"]
