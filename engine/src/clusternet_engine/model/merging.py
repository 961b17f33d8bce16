"""Three ways to lay a change over a document: RFC 7386, RFC 6902, and Helm's for values (spec/03 §7.2)."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import jsonpointer

MAX_OPERATIONS = 10_000
"""Operations that one JSON patch may have (spec/03 §7.2)."""


class PatchError(ValueError):
    """A patch doesn't fit the document."""


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

    Raises:
        PatchError: it is no list of operations, or one of them fails; the message names the operation.
    """
    if not isinstance(operations, list):
        raise PatchError("a JSON patch is a list of operations")
    if len(operations) > MAX_OPERATIONS:
        raise PatchError(f"{len(operations)} operations are more than {MAX_OPERATIONS}")
    patched = copy.deepcopy(document)
    for number, operation in enumerate(operations, start=1):
        # One at a time, so that the message can say which. Copied, since later operations may change what it added.
        try:
            patched = jsonpatch.apply_patch(patched, [copy.deepcopy(operation)], in_place=True)
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, ValueError) as error:
            raise PatchError(f"operation {number} ({_shown(operation)}): {error}") from None
    return patched


def _shown(operation: Any) -> str:
    if not isinstance(operation, dict):
        return "not an object"
    return f"{operation.get('op', 'without op')} {operation.get('path', 'without path')}"
