"""Remembers what the agent has seen of the ends of objects that go by themselves, such as a Job with a time to live.

The last state of an object is kept from the moment that it goes until its Description changes. It says whether the
object had done its work, or was removed before: only then it is made again. An agent that wasn't there can't know; it
says so, once it is sure that the object isn't just being made.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from clusternet_engine.kube.resources import Object
from clusternet_engine.model.applied import Identity, identity, reference
from clusternet_engine.model.drift import outdated
from clusternet_engine.model.expiring import digest, expired_status, expires, has_finished, tells_of_end
from clusternet_engine.model.manifest_statuses import observed

SURE = 10.0
"""Seconds for which an object must be missing before it counts as one that nobody has seen go."""


class Ends:
    """The ends of objects, by Description."""

    def __init__(self) -> None:
        self._last: dict[str, dict[Identity, Object]] = {}
        self._told: dict[str, dict[Identity, Object]] = {}
        self._missing: dict[str, dict[Identity, float]] = {}

    def saw(self, key: str, obj: Object, *, gone: bool) -> None:
        """Note that an object is there or has gone.

        Args:
            key: of its Description.
            obj: as it was seen last.
            gone: whether it isn't there any more.
        """
        place = identity(reference(obj))
        if gone and expires(obj):
            self._last.setdefault(key, {})[place] = obj
        elif not gone:
            for known in (self._last, self._missing, self._told):
                known.get(key, {}).pop(place, None)

    def was_cut_short(self, key: str, wanted: Object) -> bool:
        """Return whether an object was removed before it had done its work."""
        last = self._last.get(key, {}).get(identity(reference(wanted)))
        return last is not None and not outdated(last, wanted) and not has_finished(last, datetime.now(UTC))

    def status(self, key: str, wanted: Object, description: Object) -> Object | None:
        """Return the status of an object that has gone by its own rules; None if that isn't known."""
        place, form = identity(reference(wanted)), digest(wanted)
        told = self._told.setdefault(key, {})
        if tells_of_end(told.get(place), form):
            return told[place]
        now, last = datetime.now(UTC), self._last.get(key, {}).get(place)
        if last is not None and not outdated(last, wanted) and has_finished(last, now):
            status = expired_status(observed(last).get("observedStatus") or {}, form, now)
        elif (former := _former(description, place)) is not None and tells_of_end(former, form):
            status = former
        elif time.monotonic() - self._missing.setdefault(key, {}).setdefault(place, time.monotonic()) >= SURE:
            status = expired_status(None, form, now)
        else:
            return None
        self._missing.get(key, {}).pop(place, None)
        told[place] = status
        return status

    def next_look(self, key: str) -> float | None:
        """Return the seconds until something that is missing counts as gone; None if nothing is."""
        since = self._missing.get(key)
        return max(0.1, min(since.values()) + SURE - time.monotonic()) if since else None

    def forget(self, key: str) -> None:
        """Forget what is known of the objects of a Description."""
        for known in (self._last, self._told, self._missing):
            known.pop(key, None)


def _former(description: Object, place: Identity) -> Object | None:
    """Return the observed status that a Description has of an object."""
    for entry in (description.get("status") or {}).get("manifestStatuses") or ():
        if identity(entry) == place:
            status = entry.get("observedStatus")
            return status if isinstance(status, dict) else None
    return None
