"""Patches of documents that are the text of one field, such as a file in a ConfigMap (spec/03 §7.2)."""

from __future__ import annotations

from typing import Any

from clusternet_engine.model.documents import (
    FORMATS,
    DocumentError,
    copied,
    read_document,
    read_json,
    write_json,
    write_yaml,
)
from clusternet_engine.model.limits import Limits
from clusternet_engine.model.merging import PatchError, json_patch, merge_patch

_WRITABLE = Limits(size=3 * 2**20, nodes=50_000)
"""Of a text that is written as YAML: that takes ten times as long as to read it."""


def patch_field(document: Any, path: str, text_format: str, patch: Any, *, merge: bool) -> Any:
    """Return a document in which the text at a path is patched; nothing that goes in is changed.

    A text that is empty stays so.

    Args:
        document: the object around the field.
        path: `/data/server.conf`; parts are divided by `/` without any escape, numbers count in lists.
        text_format: of the text, `YAML` or `JSON`.
        patch: a merge patch, or the operations of a JSON patch.
        merge: which of them it is.

    Raises:
        PatchError: there is no text at the path, it isn't of the format, or the patch doesn't fit it.
    """
    if text_format not in FORMATS:
        raise PatchError(f"fieldFormat must be one of {', '.join(FORMATS)}, not {text_format!r}")
    try:
        patched = copied(document)
    except DocumentError as error:
        raise PatchError(f"the object is {error}") from None
    parent, key = _locate(patched, path)
    text = parent[key]
    if not isinstance(text, str):
        raise PatchError(f"{path} is not a text")
    if text:
        parent[key] = _patch_text(path, text, text_format, patch, merge=merge)
    return patched


def _patch_text(path: str, text: str, text_format: str, patch: Any, *, merge: bool) -> str:
    try:
        content = read_json(text) if text_format == "JSON" else read_document(text)
    except DocumentError as error:
        raise PatchError(f"the text at {path} is {error}") from None
    try:
        content = merge_patch(content, patch) if merge else json_patch(content, patch)
    except PatchError as error:
        raise PatchError(f"in the text at {path}: {error}") from None
    if text_format == "JSON":
        return write_json(content, sort_keys=merge)
    try:
        _WRITABLE.check_value(content)
    except DocumentError as error:
        raise PatchError(f"the text at {path} would be {error}") from None
    return write_yaml(content)


def _locate(document: Any, path: str) -> tuple[Any, str | int]:
    """Return the mapping or list that holds what the path means, and its key or index there."""
    if not path.startswith("/"):
        raise PatchError(f"fieldPath must start with /, not {path!r}")
    *steps, last = path[1:].split("/")
    here = document
    for step in steps:
        here = here[_key(here, step, path)]
    return here, _key(here, last, path)


def _key(here: Any, step: str, path: str) -> str | int:
    if isinstance(here, dict) and step in here:
        return step
    if isinstance(here, list) and step.isascii() and step.isdigit() and int(step) < len(here):
        return int(step)
    raise PatchError(f"there is nothing at {path}: {step!r} is missing")
