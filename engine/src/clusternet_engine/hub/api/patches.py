"""Patches of every kind that API servers take."""

from __future__ import annotations

from typing import Any

import jsonpatch
import jsonpointer
import orjson
import yaml

from clusternet_engine.answers import refuse
from clusternet_engine.kube.client import PatchType
from clusternet_engine.kube.resources import Object
from clusternet_engine.model.schemas import Schema
from clusternet_engine.model.strategic import StrategicMergeError, strategic_merge

MAX_OPERATIONS = 10000


def patch_type(content_type: str) -> PatchType:
    """Return the kind of a patch.

    Raises:
        ApiError: 415 if the content type is none of a patch.
    """
    text = content_type.partition(";")[0].strip()
    if text == "application/apply-patch+json":
        return PatchType.APPLY
    try:
        return PatchType(text)
    except ValueError:
        known = ", ".join(one.value for one in PatchType)
        raise refuse(415, f"the body of the request was in an unknown format - accepted media types: {known}") from None


def read_patch(kind: PatchType, body: bytes) -> Any:
    """Return the patch of a request's body.

    Raises:
        ApiError: 400 if it isn't JSON (YAML for server-side apply), or neither a list of operations nor an object.
    """
    try:
        patch = yaml.safe_load(body) if kind is PatchType.APPLY else orjson.loads(body)
    except (orjson.JSONDecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise refuse(400, f"the patch can't be read: {error}") from None
    wanted = list if kind is PatchType.JSON else dict
    if not isinstance(patch, wanted):
        raise refuse(400, f"a patch of type {kind.value} must be {'a list' if wanted is list else 'an object'}")
    return patch


def patched(obj: Object, kind: PatchType, patch: Any, schema: Schema | None) -> Object:
    """Return an object after a patch, of any kind but server-side apply.

    Raises:
        ApiError: 422 if the patch doesn't fit the object.
    """
    match kind:
        case PatchType.MERGE:
            result: Object = merged(obj, patch)
            return result
        case PatchType.STRATEGIC:
            try:
                return strategic_merge(obj, patch, schema)
            except StrategicMergeError as error:
                raise refuse(422, str(error)) from None
        case _:
            return _json_patched(obj, patch)


def merged(value: Any, patch: Any) -> Any:
    """Return a value after a merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, inner in patch.items():
        if inner is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), inner)
    return result


def _json_patched(obj: Object, operations: list[Any]) -> Object:
    if len(operations) > MAX_OPERATIONS:
        raise refuse(413, f"a JSON patch may have {MAX_OPERATIONS} operations, this one has {len(operations)}")
    try:
        result = jsonpatch.JsonPatch(operations).apply(obj)
    except (jsonpatch.InvalidJsonPatch, TypeError) as error:
        raise refuse(400, f"the JSON patch is malformed: {error}") from None
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise refuse(422, f"the JSON patch doesn't fit: {error}") from None
    if not isinstance(result, dict):
        raise refuse(422, "the JSON patch leaves no object")
    return result
