"""What a Description tells of how its objects are (spec/03 §10)."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from clusternet_engine.kube.nesting import MARK, is_incomplete
from clusternet_engine.kube.resources import Object

MAX_DESCRIPTION = 1_500_000
"""Bytes of a whole Description; the store takes 1.5 MiB."""


def observed(live: Object) -> Object:
    """Return what an entry of `manifestStatuses` says of an object: its status, without what is nested too deeply."""
    status = live.get("status")
    if is_incomplete(live) and isinstance(status, dict):
        status = {key: value for key, value in status.items() if MARK.encode() not in orjson.dumps(value)}
    return {"observedStatus": status} if status else {}


def fitting(description: Object, entries: Iterable[Object]) -> list[Object]:
    """Return the entries of `manifestStatuses` for which a Description has room; those that tell most come first."""
    room = MAX_DESCRIPTION - len(orjson.dumps({key: value for key, value in description.items() if key != "status"}))
    kept: set[int] = set()
    listed = list(entries)
    for number, entry in sorted(enumerate(listed), key=lambda pair: "observedStatus" not in pair[1]):
        room -= len(orjson.dumps(entry)) + 1
        if room < 0:
            break
        kept.add(number)
    return [entry for number, entry in enumerate(listed) if number in kept]
