"""Patches of every kind that API servers take."""

from __future__ import annotations

from typing import Any

from clusternet_engine.answers import refuse
from clusternet_engine.kube.client import PatchType
from clusternet_engine.kube.resources import Object
from clusternet_engine.model.documents import DocumentError, read_json, read_kubernetes
from clusternet_engine.model.limits import OBJECT
from clusternet_engine.model.merging import MalformedPatch, PatchError, PatchTooLarge, json_patch, merge_patch
from clusternet_engine.model.schemas import Schema
from clusternet_engine.model.strategic import StrategicMergeError, strategic_merge


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
    patch = read_body(body, yaml=kind is PatchType.APPLY)
    wanted = list if kind is PatchType.JSON else dict
    if not isinstance(patch, wanted):
        raise refuse(400, f"a patch of type {kind.value} must be {'a list' if wanted is list else 'an object'}")
    return patch


def read_body(body: bytes, *, yaml: bool) -> Any:
    """Return what the body of a request says.

    Args:
        body: as it was sent.
        yaml: whether it may be YAML.

    Raises:
        ApiError: 400 if it can't be read, or is more than an object may be.
    """
    try:
        return read_kubernetes(body) if yaml else read_json(body)
    except DocumentError as error:
        raise refuse(400, f"the body of the request is {error}") from None


def patched(obj: Object, kind: PatchType, patch: Any, schema: Schema | None) -> Object:
    """Return an object after a patch, of any kind but server-side apply.

    Raises:
        ApiError: 422 if the patch doesn't fit the object, 413 if what it makes is too large, 400 if it is no patch.
    """
    try:
        match kind:
            case PatchType.MERGE:
                result = merge_patch(obj, patch)
            case PatchType.STRATEGIC:
                result = strategic_merge(obj, patch, schema)
            case _:
                result = json_patch(obj, patch)
    except MalformedPatch as error:
        raise refuse(400, f"the JSON patch is malformed: {error}") from None
    except PatchTooLarge as error:
        raise refuse(413, str(error)) from None
    except PatchError as error:
        raise refuse(422, f"the JSON patch doesn't fit: {error}") from None
    except StrategicMergeError as error:
        raise refuse(422, str(error)) from None
    if not isinstance(result, dict):
        raise refuse(422, "the JSON patch leaves no object")
    return bounded(result)


def bounded(obj: Object) -> Object:
    """Return what a change has made of an object, if it is not too large.

    Raises:
        ApiError: 413 if it is.
    """
    try:
        OBJECT.check_value(obj)
    except DocumentError as error:
        raise refuse(413, f"with this change the object would be {error}") from None
    return obj
