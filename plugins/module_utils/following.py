# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Following several collections at once until many things are as they should be, or won't get there."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, Callable, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import (
    ApiError,
    ClusternetError,
    ConnectionFailed,
    WaitTimeout,
)
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline

PATIENCE = 5.0
"""Seconds for which a failure must last to be given up on: what is retried may come right by itself."""
SETTLING = 1.0
"""Seconds for which a state must last that doesn't say which generation it is about."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0  # seconds between two lists
_FOR_EVER = float("inf")
_SHOWN = 5  # reasons in a message


class Collection(NamedTuple):
    """Objects to follow: a path and selectors."""

    path: str
    label_selector: Optional[str] = None
    field_selector: Optional[str] = None


class Standing(NamedTuple):
    """Where one thing stands.

    C(missing) says what isn't there yet, C(failing) what, as it looks, won't come by itself. C(state) is given when
    what is there doesn't say which generation it is about: it counts when this state lasts.
    """

    missing: list
    failing: list
    state: Optional[str] = None


class Mirrors:
    """Copies of collections, kept up to date by a watch each; errors of the server are raised where they are read."""

    def __init__(self, client: Client, deadline: Deadline):
        self._client = client
        self._deadline = deadline
        self._events: queue.Queue = queue.Queue()
        self._copies: dict[str, Any] = {}  # objects by key; None until they were listed, which comes before any change
        self._unreachable: Optional[ConnectionFailed] = None

    def follow(self, name: str, collection: Collection) -> None:
        """Begin to follow a collection, unless it is followed already under this name."""
        if name not in self._copies:
            self._copies[name] = None
            threading.Thread(target=self._mirror, args=(name, collection), daemon=True).start()

    def listed(self) -> bool:
        """Whether every collection has been read once."""
        return all(copy is not None for copy in self._copies.values())

    def objects(self, name: str) -> list[dict[str, Any]]:
        """What is in a collection; nothing when it isn't followed or not read yet."""
        return list((self._copies.get(name) or {}).values())

    def why_not(self) -> str:
        """Why not every collection could be read."""
        return self._unreachable.msg if self._unreachable else "the parent has not answered yet"

    def wait(self, timeout: float) -> None:
        """Return when something has changed, at the latest after I(timeout) seconds; raises ClusternetError."""
        try:
            self._take(self._events.get(timeout=timeout))
            while True:
                self._take(self._events.get_nowait())
        except queue.Empty:
            pass

    def _take(self, event: tuple) -> None:
        name, kind, content = event
        if kind == "FAILED":
            if not isinstance(content, ConnectionFailed):
                raise content
            self._unreachable = content
        elif kind == "LISTED":
            self._copies[name] = content
        elif kind == "DELETED":
            self._copies[name].pop(_key(content), None)
        elif kind in ("ADDED", "MODIFIED"):
            self._copies[name][_key(content)] = content

    def _mirror(self, name: str, collection: Collection) -> None:
        """Read the collection and pass every change on until the deadline."""
        pause = _FIRST_PAUSE
        selectors = {"labelSelector": collection.label_selector, "fieldSelector": collection.field_selector}
        while self._deadline.remaining():
            try:
                answer = self._client.request("GET", collection.path, selectors)
                self._events.put((name, "LISTED", {_key(item): item for item in answer["items"]}))
                pause = _FIRST_PAUSE
                for kind, obj in self._client.watch(
                    collection.path,
                    answer["metadata"]["resourceVersion"],
                    self._deadline.remaining(),
                    collection.field_selector,
                    collection.label_selector,
                ):
                    self._events.put((name, kind, obj))
            except ApiError as error:
                if error.status == 404:  # the kind is gone, and its objects with it
                    self._events.put((name, "LISTED", {}))
                elif error.status not in (410, 429) and error.status < 500:
                    self._events.put((name, "FAILED", error))
                    return
            except ClusternetError as error:
                self._events.put((name, "FAILED", error))
            time.sleep(min(pause, self._deadline.remaining()))
            pause = min(pause * 2, _LONGEST_PAUSE)


def wait_for_each(
    mirrors: Mirrors, judge: Callable[[], list], deadline: Deadline, period: Callable[[], float] = lambda: _FOR_EVER
) -> list[Optional[str]]:
    """Wait until all that I(judge) tells Standings of is there, or has been failing for a while.

    I(judge) is asked anew after every change, once everything has been read, and may follow further collections. It is
    asked anew without a change after as many seconds as I(period) says then: it may look at more than collections.
    Returns for each what went wrong, None for what is there. Raises ClusternetError when the server refuses.
    """
    since: dict[tuple, float] = {}
    while True:
        now = time.monotonic()
        standings: list[Standing] = judge() if mirrors.listed() else []
        if not mirrors.listed():  # also when judging has shown that more must be read
            if not deadline.remaining():
                raise WaitTimeout(f"Waiting failed: {mirrors.why_not()}", mirrors.why_not())
            mirrors.wait(deadline.remaining())
            continue
        soonest, pending, seen = deadline.remaining(), False, {}
        for number, standing in enumerate(standings):
            state, seconds = _lasting(standing)
            key = (number, state)
            seen[key] = since.get(key, now)
            left = seen[key] + seconds - now
            if left > 0:
                pending, soonest = True, min(soonest, left)
        since = seen
        if not pending:
            return [_join(standing.failing) if standing.missing else None for standing in standings]
        if not deadline.remaining():
            return [_overdue(standing, deadline) for standing in standings]
        mirrors.wait(min(soonest, period()))


def _lasting(standing: Standing) -> tuple:
    """What must last how many seconds to be final."""
    if not standing.missing:
        return standing.state, 0.0 if standing.state is None else SETTLING
    if standing.failing:
        return tuple(standing.failing), PATIENCE
    return None, _FOR_EVER


def _overdue(standing: Standing, deadline: Deadline) -> Optional[str]:
    reasons = standing.failing or standing.missing
    return f"not within {deadline.seconds:g} seconds: {_join(reasons)}" if standing.missing else None


def _key(obj: dict[str, Any]) -> tuple:
    return obj["metadata"].get("namespace"), obj["metadata"]["name"]


def _join(reasons: list) -> str:
    more = len(reasons) - _SHOWN
    return "; ".join(reasons[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
