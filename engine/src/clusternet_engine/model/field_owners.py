"""Who owns which field of an object, as `metadata.managedFields` tells it.

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


def fields_of_manager(obj: Object, manager: str, operation: str) -> Object:
    """Return the fields that a manager owns by one kind of write, in the form `fieldsV1`; empty if there are none."""
    fields: Object = {}
    for entry in _entries(obj):
        if entry.get("manager") == manager and entry.get("operation") == operation and not entry.get("subresource"):
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
    others = [entry for entry in _entries(obj) if not _is_ours(entry)]
    for path in paths:
        managers = [entry["manager"] for entry in others if _reaches(entry["fieldsV1"], path)]
        for manager in managers or [""]:
            found[path, printable(manager)[:MAX_MANAGER]] = None
    return list(found)


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return entry["manager"] == FIELD_MANAGER and entry.get("operation") == APPLY


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
