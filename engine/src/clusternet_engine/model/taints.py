"""The taints that the hub puts on ManagedClusters and takes off again (spec/02 §9)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.conditions import find_condition
from clusternet_engine.model.times import format_time

_REASONS = {
    names.UNSCHEDULABLE_TAINT: {
        names.MANAGED_CLUSTER_NOT_READY,
        names.CLUSTER_STATUS_UNKNOWN,
        names.CLUSTER_STATUS_NEVER_UPDATED,
    },
    names.INITIALIZATION_TAINT: {names.CLUSTER_INIT_WAITING},
}
"""Values by which the hub recognises its own taints; a user's taint with the same key and another value stays."""
_CONDITIONS = {names.UNSCHEDULABLE_TAINT: names.READY, names.INITIALIZATION_TAINT: names.CLUSTER_INIT}


def initialization_taint(now: datetime) -> Object:
    """Return the taint of a cluster that still has to be initialised."""
    return _taint(names.INITIALIZATION_TAINT, names.CLUSTER_INIT_WAITING, now)


def wanted_taints(taints: Iterable[Object], conditions: Iterable[Object], now: datetime) -> list[Object]:
    """Return the taints a cluster should have, the order kept.

    A condition (Ready, ClusterInit) that is False or Unknown brings its taint, unless one of the same key and effect is
    there; the value is the condition's reason then and isn't refreshed. True takes the hub's own taint off. An absent
    condition changes nothing.
    """
    wanted = list(taints)
    conditions = list(conditions)
    for key, kind in _CONDITIONS.items():
        condition = find_condition(conditions, kind)
        if condition is None:
            continue
        if condition["status"] == names.TRUE:
            wanted = [taint for taint in wanted if not _is_own(taint, key)]
        elif not any(_concerns(taint, key) for taint in wanted):
            wanted.append(_taint(key, _reason(key, condition), now))
    return wanted


def _reason(key: str, condition: Object) -> str:
    """The value of a taint: the reason, or the nearest known one for the reasons of other agents."""
    if key == names.INITIALIZATION_TAINT:
        return names.CLUSTER_INIT_WAITING
    if condition["reason"] in _REASONS[key]:
        return str(condition["reason"])
    return names.MANAGED_CLUSTER_NOT_READY if condition["status"] == names.FALSE else names.CLUSTER_STATUS_UNKNOWN


def _taint(key: str, value: str, now: datetime) -> Object:
    return {"key": key, "value": value, "effect": names.NO_SCHEDULE, "timeAdded": format_time(now)}


def _concerns(taint: Object, key: str) -> bool:
    return bool(taint.get("key") == key and taint.get("effect") == names.NO_SCHEDULE)


def _is_own(taint: Object, key: str) -> bool:
    return _concerns(taint, key) and taint.get("value") in _REASONS[key]
