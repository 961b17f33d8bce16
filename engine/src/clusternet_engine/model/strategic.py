"""Strategic merge patch: merges lists by the keys that the schema names, and obeys directives in the patch."""

from __future__ import annotations

from typing import Any

import orjson

from clusternet_engine.kube.resources import Object
from clusternet_engine.model.schemas import PATCH_MERGE_KEY, PATCH_STRATEGY, Schema

_DIRECTIVE = "$patch"
_RETAIN_KEYS = "$retainKeys"
_DELETE_VALUES = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_DIRECTIVES = ("merge", "replace", "delete")
_GONE = object()


class StrategicMergeError(ValueError):
    """The patch can't be applied; the text says where and why."""


def strategic_merge(original: Object, patch: Object, schema: Schema | None) -> Object:
    """Return an object after a strategic merge patch.

    Lists are merged where the schema says so, by its merge key or as sets of plain values; all others are replaced.
    Without a schema only the maps are merged.

    Raises:
        StrategicMergeError: a directive is unknown or doesn't fit, or an element lacks its merge key.
    """
    return _merge_maps(original, patch, schema, "")


def _merge_maps(original: Object, patch: Object, schema: Schema | None, path: str) -> Object:
    directive = _directive(patch, path)
    if directive == "delete":
        return {}
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _DIRECTIVE}
    result = _retained(original, patch, path)
    for key, value in patch.items():
        if key.startswith(_DELETE_VALUES):
            field = key.removeprefix(_DELETE_VALUES)
            gone = set(map(_hashable, _list(value, f"{path}.{key}")))
            if field in result:
                left = _list(result[field], f"{path}.{field}")
                result[field] = [one for one in left if _hashable(one) not in gone]
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        inner = f"{path}.{key}"
        if value is None:
            result.pop(key, None)
            continue
        field_schema = schema.field(key) if schema else None
        if isinstance(value, dict):
            before = result.get(key)
            if "replace" in _strategies(field_schema) and "merge" not in _strategies(field_schema):
                before = None
            result[key] = _merge_maps(before if isinstance(before, dict) else {}, value, field_schema, inner)
        elif isinstance(value, list) and "merge" in _strategies(field_schema):
            before = result.get(key)
            result[key] = _merge_lists(before if isinstance(before, list) else [], value, field_schema, inner)
        else:
            result[key] = value
    for key, value in patch.items():
        if key.startswith(_ORDER) and isinstance(found := result.get(key.removeprefix(_ORDER)), list):
            field = key.removeprefix(_ORDER)
            merge_key = _merge_key(schema.field(field) if schema else None)
            order = [_identity(one, merge_key, f"{path}.{key}") for one in _list(value, f"{path}.{key}")]
            result[field] = _ordered(found, order, merge_key, f"{path}.{field}")
    return result


def _merge_lists(original: list[Any], patch: list[Any], schema: Schema | None, path: str) -> list[Any]:
    merge_key = _merge_key(schema)
    if merge_key is None or not all(isinstance(one, dict) for one in patch):
        merged, there = list(original), set(map(_hashable, original))
        for one in patch:
            if (known := _hashable(one)) not in there:
                there.add(known)
                merged.append(one)
        return merged
    items = schema.items if schema else None
    directives = [_directive(element, path) for element in patch]
    if "replace" in directives:
        return [element for element, directive in zip(patch, directives, strict=True) if directive != "replace"]
    result: list[Any] = list(original)
    places: dict[Any, list[int]] = {}
    for number, one in enumerate(result):
        if isinstance(one, dict):
            places.setdefault(_hashable(one.get(merge_key)), []).append(number)
    for element, directive in zip(patch, directives, strict=True):
        identity = _identity(element, merge_key, path)
        known = _hashable(identity)
        if directive == "delete":
            for number in places.pop(known, ()):
                result[number] = _GONE
        elif known in places:
            number = places[known][0]
            result[number] = _merge_maps(result[number], element, items, f"{path}[{identity}]")
        else:
            places[known] = [len(result)]
            result.append(_merge_maps({}, element, items, f"{path}[{identity}]"))
    return [one for one in result if one is not _GONE]


def _ordered(values: list[Any], order: list[Any], merge_key: str | None, path: str) -> list[Any]:
    """Return a list in the order asked for; an element that isn't mentioned stays behind the one it stood behind."""
    identities = [_hashable(_identity(one, merge_key, path)) for one in values]
    ranks: dict[Any, int] = {}
    for rank, one in enumerate(order):
        ranks.setdefault(_hashable(one), rank)
    mentioned = sorted(
        (number for number, one in enumerate(identities) if one in ranks), key=lambda number: ranks[identities[number]]
    )
    followers: dict[int | None, list[int]] = {}
    leader: int | None = None
    for number, one in enumerate(identities):
        if one in ranks:
            leader = number
        else:
            followers.setdefault(leader, []).append(number)
    places = [*followers.get(None, ())]
    for number in mentioned:
        places += [number, *followers.get(number, ())]
    return [values[number] for number in places]


def _retained(original: Object, patch: Object, path: str) -> Object:
    if _RETAIN_KEYS not in patch:
        return dict(original)
    kept = _list(patch[_RETAIN_KEYS], f"{path}.{_RETAIN_KEYS}")
    if others := [key for key in patch if not key.startswith("$") and patch[key] is not None and key not in kept]:
        raise StrategicMergeError(f"{path or '.'}: the patch sets {', '.join(others)}, which {_RETAIN_KEYS} leaves out")
    return {key: value for key, value in original.items() if key in kept}


def _directive(patch: Object, path: str) -> str:
    directive = patch.get(_DIRECTIVE, "merge")
    if directive not in _DIRECTIVES:
        raise StrategicMergeError(f"{path or '.'}: unknown directive {_DIRECTIVE}: {directive!r}")
    return str(directive)


def _strategies(schema: Schema | None) -> list[str]:
    return str(schema.extension(PATCH_STRATEGY) or "").split(",") if schema else []


def _merge_key(schema: Schema | None) -> str | None:
    return schema.extension(PATCH_MERGE_KEY) if schema else None


def _identity(element: Any, merge_key: str | None, path: str) -> Any:
    if merge_key is None:
        return element
    if not isinstance(element, dict) or merge_key not in element:
        raise StrategicMergeError(f"{path}: an element lacks {merge_key!r}, by which the list is merged")
    return element[merge_key]


def _hashable(value: Any) -> Any:
    """Return what stands for a value in sets: lists in a patch and an object may both be long."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS) if isinstance(value, (dict, list)) else value


def _list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise StrategicMergeError(f"{path}: must be a list")
    return value
