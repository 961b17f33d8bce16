"""JSON of API servers, parsed whatever its depth.

orjson refuses more than 1,024 levels, and writes at most 254. Objects that are nested deeper than the engine can use
are read without their deepest parts, see `kube.nesting`; everything else in the same answer is read as it is.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from clusternet_engine.kube.nesting import MARK, MAX_DEPTH, Incomplete, cut_deep
from clusternet_engine.kube.resources import Object

OBJECT, EVENT, LIST = 0, 1, 2
"""Levels that an answer has around each object: none, those of a watch event, those of a list."""

_WRITABLE_DEPTH = 254
"""Levels that orjson writes; more are refused at the speed of C, by which the depth of something parsed is checked."""
_QUICK_SIZE = 2**16
"""Bytes of a text that is cut in the event loop; a longer one is cut in a thread."""
_MARK = MARK.encode()


class NotJSON(ValueError):
    """A text that isn't JSON."""


def decode(text: bytes, around: int = OBJECT) -> tuple[Any, bool]:
    """Return the value of a JSON text, and whether parts of it were cut out because they were nested too deeply.

    Args:
        text: the text.
        around: levels around the objects in it.

    Raises:
        NotJSON: it isn't JSON.
    """
    try:
        value = orjson.loads(text)
        if _is_shallow(text, value, around):
            return value, False
    except orjson.JSONDecodeError:
        pass  # so deep that orjson doesn't read it, or no JSON
    cut = cut_deep(text, MAX_DEPTH + around)
    try:
        return orjson.loads(cut), cut != text
    except orjson.JSONDecodeError as error:
        raise NotJSON(f"{len(text)} bytes that are not JSON: {error}") from None


async def decode_aside(text: bytes, around: int = OBJECT) -> tuple[Any, bool]:
    """Return what `decode` does, but don't hold up the event loop by a long text that is nested deeply."""
    try:
        value = orjson.loads(text)
        if _is_shallow(text, value, around):
            return value, False
    except orjson.JSONDecodeError:
        pass
    return decode(text, around) if len(text) <= _QUICK_SIZE else await asyncio.to_thread(decode, text, around)


def marked(obj: Object) -> Object:
    """Return an object out of an answer that was cut: as an incomplete one, if it is among those that lost something.

    `metadata.managedFields` has a level for each of the object's own and some more, so it isn't kept and doesn't count.
    """
    metadata = obj.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)
    return Incomplete(obj) if _MARK in orjson.dumps(obj) else obj


def encode(body: Any) -> bytes:
    """Return JSON to send.

    Raises:
        ValueError: the value is nested too deeply, or has lost something when it was read: written back, that would be
            gone for good.
    """
    try:
        data = orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"it can't be written as JSON: {error}") from None
    if _MARK in data:
        raise ValueError(f"parts of it were nested deeper than {MAX_DEPTH} levels and haven't been read")
    return data


def _is_shallow(text: bytes, value: Any, around: int) -> bool:
    deepest = MAX_DEPTH + around
    if text.count(b"{") + text.count(b"[") <= deepest:
        return True
    for _ in range(_WRITABLE_DEPTH - deepest):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True
