"""Tells where an object on a cluster isn't what was applied any more.

The API server itself tells: it notes who owns which field, and takes a field from us as soon as somebody else gives it
another value or removes it. So a field that is ours is as we want it, however the server writes it: quantities, zeros
that it leaves out, defaults, what a webhook of the cluster made of it. A field that isn't ours is no drift either if it
has the wanted value. What was never applied is nobody's business here: other managers keep what they own.

Caches know objects without their owners. There a difference only says that somebody should look at the object itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.apply import Path
from clusternet_engine.model.documents import DocumentError, read_json
from clusternet_engine.model.field_owners import applied_fields

_IDENTITY = ("apiVersion", "kind")
_IDENTITY_METADATA = ("name", "namespace")


def drifted(live: Object, wanted: Object) -> bool:
    """Return whether something wanted is missing on the cluster or different there; additions are nobody's business.

    Status and what the system keeps in the metadata don't count, as `wanted` has none of that.
    """
    return next(differences(live, wanted), None) is not None


def differences(live: Object, wanted: Object) -> Iterator[Path]:
    """Yield the fields that were applied and aren't as they were.

    Args:
        live: the object on the cluster; with `managedFields` if its owners are to be heeded.
        wanted: the object as it was applied.
    """
    config = {key: value for key, value in wanted.items() if key not in _IDENTITY}
    config["metadata"] = {key: value for key, value in wanted["metadata"].items() if key not in _IDENTITY_METADATA}
    ours: Any = applied_fields(live) or None
    yield from _differences(live, config, ours, ())


def outdated(live: Object, wanted: Object) -> bool:
    """Return whether something else than `wanted` was applied last: then the difference is no drift."""
    return bool(_last_applied(live) != _last_applied(wanted))


def fingerprint(live: Object) -> bytes:
    """Return what tells whether an object is still as it was when it was looked at; its status doesn't count."""
    metadata = {
        key: value for key, value in live["metadata"].items() if key not in ("resourceVersion", "managedFields")
    }
    content = {key: value for key, value in live.items() if key != "status"} | {"metadata": metadata}
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()


def needs_apply(live: Object, wanted: Object) -> bool:
    """Return whether an object must be applied: it is new in some way, was changed, or fields have to go."""
    return _last_applied(wanted) is None or outdated(live, wanted) or drifted(live, wanted)


def _last_applied(obj: Object) -> Any:
    """Return what the annotation says; both sides may write the same in different ways."""
    text = (obj["metadata"].get("annotations") or {}).get(names.LAST_APPLIED_ANNOTATION)
    if text is None:
        return None
    try:
        return read_json(text)
    except DocumentError:
        return text


def _differences(live: Any, wanted: Any, ours: Any, path: Path) -> Iterator[Path]:
    """Yield the differences within a value.

    Args:
        live: the value on the cluster.
        wanted: the value that was applied.
        ours: our part of `managedFields` at this place; None if nothing here is ours, empty if all of it is.
        path: of the value.
    """
    if ours == {}:
        return
    if isinstance(wanted, dict) and wanted:
        there = live if isinstance(live, dict) else {}
        for key, value in wanted.items():
            yield from _differences(there.get(key), value, _within(ours, f"f:{key}"), (*path, f"f:{key}"))
    elif isinstance(wanted, list) and (places := _places(ours)):
        for item in wanted:
            place = next((place for place, keys in places if _is_at(item, keys)), None)
            if place is not None:
                yield from _differences(_found(live, place), item, _within(ours, place), (*path, place))
            elif not (isinstance(live, list) and any(_contains(one, item) for one in live)):
                yield path
    elif not _contains(live, wanted):
        yield path


def _within(ours: Any, element: str) -> Any:
    found = ours.get(element) if isinstance(ours, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _places(ours: Any) -> list[tuple[str, Any]]:
    """Return the elements of a list that are ours, each with what tells it apart; none if the list is one value."""
    if not isinstance(ours, Mapping):
        return []
    found = []
    for place in ours:
        if isinstance(place, str) and place[:2] in ("k:", "v:"):
            try:
                found.append((place, read_json(place[2:])))
            except DocumentError:
                continue
    return found


def _is_at(item: Any, keys: Any) -> bool:
    """Return whether an element of a list is the one that these keys, or this value, tell apart.

    A key that the element lacks has its default.
    """
    if isinstance(keys, dict) and isinstance(item, dict):
        return all(item.get(key, value) == value for key, value in keys.items())
    return bool(item == keys)


def _found(live: Any, place: str) -> Any:
    keys = read_json(place[2:])
    return next((one for one in live if _is_at(one, keys)), None) if isinstance(live, list) else None


def _contains(live: Any, wanted: Any) -> bool:
    match wanted:
        case None:
            return not live
        case dict():
            if not wanted:
                return live is None or isinstance(live, dict)
            return isinstance(live, dict) and all(_contains(live.get(key), value) for key, value in wanted.items())
        case []:
            return not live
        case list():
            return (
                isinstance(live, list)
                and len(live) == len(wanted)
                and all(_contains(there, value) for there, value in zip(live, wanted, strict=True))
            )
        case _:
            return isinstance(live, bool) == isinstance(wanted, bool) and bool(live == wanted)
