"""Conditions of ManagedClusters: writing one, and laying new ones over those that are there (spec/02 §8)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.times import format_time


def make_condition(kind: str, status: str, reason: str, message: str, now: datetime) -> Object:
    """Return a condition of type `kind` that has come about now."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": format_time(now),
    }


def ready_condition(healthy: bool, now: datetime) -> Object:
    """Return the condition Ready that an agent posts: whether the child's API server answers its health probes."""
    if healthy:
        return make_condition(
            names.READY, names.TRUE, names.MANAGED_CLUSTER_READY, "The API server of the cluster is healthy.", now
        )
    return make_condition(
        names.READY,
        names.FALSE,
        names.MANAGED_CLUSTER_NOT_READY,
        "The API server of the cluster fails its health checks.",
        now,
    )


def merge_conditions(existing: Iterable[Object], new: Iterable[Object]) -> list[Object]:
    """Lay new conditions over the existing ones and return the result; the order and other types stay.

    `lastTransitionTime` changes with the status only, with one exception: an unchanged `Ready` takes the new time,
    which makes it a heartbeat (spec/02 §8).
    """
    merged = {condition["type"]: condition for condition in existing}
    for condition in new:
        before = merged.get(condition["type"])
        if before is not None and before.get("status") == condition["status"]:
            same = all(before.get(field) == condition[field] for field in ("reason", "message"))
            if not (same and condition["type"] == names.READY):
                since = before.get("lastTransitionTime") or condition["lastTransitionTime"]
                condition = {**condition, "lastTransitionTime": since}
        merged[condition["type"]] = condition
    return list(merged.values())


def find_condition(conditions: Iterable[Object] | None, kind: str) -> Object | None:
    """Return the condition of this type, None where there is none; what isn't a condition doesn't count."""
    if not isinstance(conditions, list | tuple):
        return None
    return next((one for one in conditions if isinstance(one, dict) and one.get("type") == kind), None)
