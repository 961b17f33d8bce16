"""Tells who owns which field of an object, as `metadata.managedFields` says it.

The API server writes it, but a cluster may be hostile: what isn't of the known form is no owner of anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from clusternet_engine.kube.resources import Object
from clusternet_engine.model.apply import APPLY, Path
from clusternet_engine.model.texts import printable

FIELD_MANAGER = "clusternet"
"""As whom objects are applied to clusters."""
MAX_MANAGER = 128
"""Characters of a manager's name; the API server takes no longer ones."""


def is_applied_by_us(entry: Mapping[str, Any]) -> bool:
    """Return whether an entry of `managedFields` holds what we have applied."""
    return (entry.get("manager"), entry.get("operation")) == (FIELD_MANAGER, APPLY) and not entry.get("subresource")


def applied_fields(obj: Object) -> Object:
    """Return the fields that we have applied and own, in the form `fieldsV1`; empty if there are none."""
    fields: Object = {}
    for entry in filter(is_applied_by_us, _entries(obj)):
        fields = merged_fields(fields, entry["fieldsV1"])
    return fields


def merged_fields(one: Object, other: Object) -> Object:
    """Return the fields of both."""
    merged = dict(one)
    for key, value in other.items():
        before = merged.get(key)
        merged[key] = merged_fields(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


def other_owners(obj: Object, paths: Iterable[Path]) -> list[tuple[Path, str]]:
    """Return for each of some fields who else owns it, or something in it; the name is empty where nobody does."""
    found: dict[tuple[Path, str], None] = {}
    others = [entry for entry in _entries(obj) if not is_applied_by_us(entry)]
    for path in paths:
        managers = [entry["manager"] for entry in others if _reaches(entry["fieldsV1"], path)]
        for manager in managers or [""]:
            found[path, printable(manager)[:MAX_MANAGER]] = None
    return list(found)


def _entries(obj: Object) -> Iterator[Mapping[str, Any]]:
    entries = obj["metadata"].get("managedFields")
    for entry in entries if isinstance(entries, Sequence) else ():
        if (
            isinstance(entry, Mapping)
            and isinstance(entry.get("manager"), str)
            and isinstance(entry.get("fieldsV1"), dict)
        ):
            yield entry


def _reaches(fields: Any, path: Path) -> bool:
    """Return whether somebody who owns these fields owns that one, something in it, or the whole that it is part of."""
    for element in path:
        if not fields:
            return True
        if not isinstance(fields, Mapping) or element not in fields:
            return False
        fields = fields[element]
    return True
