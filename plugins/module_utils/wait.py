# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting for objects of one collection: a watch, and a list with back-off where the watch breaks off."""

from __future__ import annotations

import time
from typing import Any, Callable, Iterable, Mapping, Optional

from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, ConnectionFailed, WaitTimeout

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0  # seconds between two lists
_SHOWN = 5  # reasons in a message

Missing = Callable[[Iterable[dict]], list]


class Deadline:
    """A point in time on the monotonic clock, I(seconds) from now."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self._end - time.monotonic())


def wait_until(
    client: Client,
    collection: str,
    missing: Missing,
    deadline: Deadline,
    what: str,
    *,
    field_selector: Optional[str] = None,
    label_selector: Optional[str] = None,
    start: Optional[dict[str, Any]] = None,
) -> list[dict[str, Any]]:
    """Wait until I(missing), called with the objects of I(collection), returns no reasons any more; return the objects.

    I(start) is the one object that matches the selectors, as a write or read returned it: the watch goes on from its
    C(resourceVersion) without a list. Raises WaitTimeout with I(what), the reasons and the last object after the
    deadline. Errors of I(missing) pass through, so that it can give up at once.
    """
    selectors = {"fieldSelector": field_selector, "labelSelector": label_selector}
    objects: dict[tuple, dict[str, Any]] = {}
    version = None
    if start is not None:
        objects, version = {_key(start): start}, start["metadata"]["resourceVersion"]
    pause = _FIRST_PAUSE
    while True:
        try:
            if version is None:
                objects, version = _list(client, collection, selectors)
            reasons = missing(objects.values())
            if not reasons:
                return list(objects.values())
            if deadline.remaining():
                for kind, obj in client.watch(
                    collection, version, deadline.remaining(), field_selector, label_selector
                ):
                    _take(objects, kind, obj)
                    reasons = missing(objects.values())
                    if not reasons:
                        return list(objects.values())
        except ConnectionFailed as error:
            reasons = [error.msg]
        except ApiError as error:
            if error.status not in (404, 410, 429) and error.status < 500:
                raise
            if error.status == 404:  # the kind is gone, and its objects with it
                objects = {}
            reasons = missing(objects.values())
            if not reasons:
                return list(objects.values())
        version = None
        if not deadline.remaining():
            raise WaitTimeout(
                f"{what} did not happen within {deadline.seconds:g} seconds: {_join(reasons)}",
                _join(reasons),
                next(iter(objects.values()), None),
            )
        time.sleep(min(pause, deadline.remaining()))
        pause = min(pause * 2, _LONGEST_PAUSE)


def _list(client: Client, collection: str, selectors: Mapping[str, Optional[str]]) -> tuple:
    """Items of a list don't bear their kind, events of a watch do."""
    answer = client.request("GET", collection, selectors)
    kind = answer.get("kind", "").removesuffix("List")
    borne = {"apiVersion": answer["apiVersion"], "kind": kind} if kind else {}
    return {_key(item): {**borne, **item} for item in answer["items"]}, answer["metadata"]["resourceVersion"]


def _key(obj: Mapping[str, Any]) -> tuple:
    return obj["metadata"].get("namespace"), obj["metadata"]["name"]


def _take(objects: dict, kind: str, obj: dict[str, Any]) -> None:
    """Bring a watch event into I(objects)."""
    if kind == "DELETED":
        objects.pop(_key(obj), None)
    elif kind in ("ADDED", "MODIFIED"):
        objects[_key(obj)] = obj


def _join(reasons: list) -> str:
    more = len(reasons) - _SHOWN
    return "; ".join(reasons[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def condition_true(obj: Mapping[str, Any], kind: str) -> Optional[str]:
    """Why the condition of type I(kind) isn't True for the object's present generation; None when it is.

    A condition that says which generation it was judged by, itself or for the whole status, counts only when that is
    the present one.
    """
    status = obj.get("status") or {}
    condition = next((item for item in status.get("conditions") or () if item.get("type") == kind), None)
    if condition is None:
        return f"condition {kind} is not there yet"
    observed = condition.get("observedGeneration", status.get("observedGeneration"))
    generation = obj["metadata"].get("generation", 0)
    if observed is not None and observed < generation:
        return f"condition {kind} is about generation {observed}, the object has generation {generation}"
    if condition.get("status") != "True":
        reason = condition.get("message") or condition.get("reason") or "no reason given"
        return f"condition {kind} is {condition.get('status')} ({reason})"
    return None
