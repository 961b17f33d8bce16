"""Three ways to lay a change over a document: RFC 7386, RFC 6902, and Helm's for values (spec/03 §7.2)."""

from __future__ import annotations

from typing import Any

import jsonpatch
import jsonpointer

from clusternet_engine.model.documents import copied
from clusternet_engine.model.limits import OBJECT, DocumentError, Limits, weigh

MAX_OPERATIONS = 10_000
"""Operations that one JSON patch may have (spec/03 §7.2)."""

_SHOWN = 200
"""Characters of an operation that messages show."""
_FAILURES = (
    jsonpatch.JsonPatchException,
    jsonpointer.JsonPointerException,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
)
"""What the libraries raise where an operation can't be done."""


class PatchError(ValueError):
    """A patch doesn't fit the document."""


class MalformedPatch(PatchError):
    """A patch is none, whatever the document."""


class PatchTooLarge(PatchError):
    """A patch, or what it makes of a document, is larger than it may be."""


def merge_patch(target: Any, patch: Any) -> Any:
    """Return a document after a merge patch (RFC 7386); nothing that goes in is changed."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def merge_difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return the merge patch that makes `after` of `before`; empty if they are the same. Neither may hold nulls."""
    patch: dict[str, Any] = dict.fromkeys(before.keys() - after.keys())
    for key, value in after.items():
        there = before.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            if changed := merge_difference(there, value):
                patch[key] = changed
        elif key not in before or type(there) is not type(value) or there != value:
            patch[key] = value
    return patch


def coalesce(values: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return Helm values after an override, as Helm coalesces tables; nothing that goes in is changed.

    Maps are merged deep, all else is replaced. `null` removes the key if it is there; if not it stays, since it takes
    away a default of the chart.
    """
    merged = dict(values)
    for key, value in over.items():
        before = merged.get(key)
        if value is None and before is not None:
            del merged[key]
        elif isinstance(value, dict) and isinstance(before, dict):
            merged[key] = coalesce(before, value)
        else:
            merged[key] = value
    return merged


def json_patch(document: Any, operations: Any) -> Any:
    """Return a document after a JSON patch (RFC 6902); nothing that goes in is changed.

    Document, operations and result may each be as large as any object; so may all together that the operations copy and
    move, as every copy can double what is there.

    Raises:
        MalformedPatch: it is no list of operations, or one of them is none.
        PatchTooLarge: it has too many operations, or something is larger than it may be.
        PatchError: one of the operations fails; the message names it, but shows nothing of the document.
    """
    if not isinstance(operations, list):
        raise MalformedPatch("a JSON patch is a list of operations")
    if len(operations) > MAX_OPERATIONS:
        raise PatchTooLarge(f"{len(operations)} operations are more than {MAX_OPERATIONS}")
    try:
        OBJECT.check_value(document)
        OBJECT.check_value(operations)
        patched, left = copied(document), OBJECT
        for number, operation in enumerate(copied(operations), start=1):
            left = _checked(patched, operation, number, left)
            patched = _patched(patched, operation, number)
        OBJECT.check_value(patched)
    except DocumentError as error:
        raise PatchTooLarge(f"with this JSON patch the document would be {error}") from None
    return patched


def _checked(document: Any, operation: Any, number: int, left: Limits) -> Limits:
    """Return how much the next operations may copy and move, if this one doesn't take more than is left.

    What is wrong with an operation otherwise is found when it is done.

    Raises:
        DocumentError: it takes more, or nests too deep.
    """
    if not isinstance(operation, dict) or not isinstance(path := operation.get("path"), str):
        return left
    depth = path.count("/")
    if operation.get("op") in ("copy", "move"):
        try:
            value = jsonpointer.JsonPointer(operation["from"]).resolve(document)
        except _FAILURES:
            return left
        weight = weigh(value, left)
    elif "value" in operation:
        weight = weigh(operation["value"])
    else:
        return left
    OBJECT.check(0, 0, depth + weight.depth)
    if operation.get("op") not in ("copy", "move"):
        return left
    left = left.without(weight)
    if left.nodes < 0 or left.size < 0:
        raise DocumentError(f"too large: up to operation {number} it copies and moves more than a document may have")
    return left


def _patched(document: Any, operation: Any, number: int) -> Any:
    """Return a document after one operation; one at a time, so that the message can say which it was that failed."""
    try:
        return jsonpatch.apply_patch(document, [operation], in_place=True)
    except jsonpatch.JsonPatchTestFailed:
        raise PatchError(f"operation {number} ({_shown(operation)}): the value there is another one") from None
    except (jsonpatch.InvalidJsonPatch, TypeError):
        raise MalformedPatch(f"operation {number} ({_shown(operation)}) is no operation of a JSON patch") from None
    except _FAILURES:
        raise PatchError(f"operation {number} ({_shown(operation)}): there is nothing that it can be done to") from None


def _shown(operation: Any) -> str:
    if not isinstance(operation, dict):
        return "not an object"
    path = operation.get("path", "without path")
    return f"{operation.get('op', 'without op')} {path}"[:_SHOWN]
