"""When a cluster counts as lost (spec/02 §9).

What counts is when this process saw a heartbeat arrive. The time written in it is used only for heartbeats that came
before the process began to watch: the clocks of child and parent may differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.conditions import find_condition, make_condition
from clusternet_engine.model.times import parse_time

MISSED_HEARTBEATS = 3
DEFAULT_GRACE = 9 * 60.0
"""Seconds of grace for a cluster that doesn't say how often it reports."""
_HEALTH_FLAGS = ("healthz", "livez", "readyz")


def grace_period(status: Object) -> float:
    """Return the seconds without a heartbeat after which a cluster counts as lost."""
    frequency = status.get("heartbeatFrequencySeconds") or 0
    return float(MISSED_HEARTBEATS * frequency) if frequency > 0 else DEFAULT_GRACE


@dataclass(frozen=True, slots=True)
class _Seen:
    stamp: str
    at: float


class Heartbeats:
    """Remembers when each cluster was last heard of.

    Every cluster has at least half its grace period after `started` to report, so that a parent that comes back after
    an outage doesn't take all its clusters for lost.

    Args:
        started: when the watching began, in seconds of a monotonic clock.
    """

    def __init__(self, started: float) -> None:
        self._started = started
        self._seen: dict[str, _Seen] = {}

    def remaining(self, key: str, cluster: Object, monotonic: float, wall: datetime) -> float:
        """Return the seconds until the cluster counts as lost unless it reports; zero or less: it is lost.

        Args:
            key: of the cluster.
            cluster: the ManagedCluster as it is now.
            monotonic: now, on the clock of `started`.
            wall: now, to compare with times in objects.
        """
        status = cluster.get("status") or {}
        stamp = str(status.get("lastObservedTime") or cluster["metadata"].get("creationTimestamp"))
        seen = self._seen.get(key)
        if seen is None:
            moment = parse_time(stamp)
            age = max(0.0, (wall - moment).total_seconds()) if moment else 0.0
            seen = self._seen[key] = _Seen(stamp, monotonic - age)
        elif seen.stamp != stamp:
            seen = self._seen[key] = _Seen(stamp, monotonic)
        grace = grace_period(status)
        return max(seen.at + grace, self._started + grace / 2) - monotonic

    def forget(self, key: str) -> None:
        """The cluster is gone."""
        self._seen.pop(key, None)


def lost_status(status: Object, now: datetime) -> tuple[dict[str, bool], Object]:
    """Return what becomes of the status of a lost cluster: the health flags and the condition Ready.

    A condition that says so already is returned unchanged.
    """
    if status.get("lastObservedTime"):
        reason, message = names.CLUSTER_STATUS_UNKNOWN, "The agent has stopped reporting the status of the cluster."
    else:
        reason, message = names.CLUSTER_STATUS_NEVER_UPDATED, "The agent has never reported the status of the cluster."
    before = find_condition(status.get("conditions"), names.READY)
    if before is None or (before.get("status"), before.get("reason")) != (names.UNKNOWN, reason):
        before = make_condition(names.READY, names.UNKNOWN, reason, message, now)
    return dict.fromkeys(_HEALTH_FLAGS, False), before
