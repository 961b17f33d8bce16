"""Server-side apply: who owns which field, what an apply changes, and what it would take from others.

Fields are paths of elements as `metadata.managedFields` spells them: `f:spec`, `k:{"name":"web"}`, `v:"a"`.
"""

from __future__ import annotations

import copy
import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clusternet_engine.kube.resources import Object
from clusternet_engine.model.documents import read_json
from clusternet_engine.model.schemas import LIST_MAP_KEYS, LIST_TYPE, MAP_TYPE, Schema

APPLY = "Apply"
UPDATE = "Update"
BEFORE_FIRST_APPLY = "before-first-apply"
"""Owner of what was there before anybody applied; API servers call it so, too."""

Path = tuple[str, ...]
Fields = frozenset[Path]

MAX_FIELDS = 30_000
"""Fields that owners are kept of; more don't fit into annotations, where they are kept."""

_ITSELF = "."
_IDENTITY = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        *(
            ("f:metadata", f"f:{field}")
            for field in (
                "name",
                "namespace",
                "uid",
                "resourceVersion",
                "generation",
                "creationTimestamp",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "managedFields",
            )
        ),
    }
)
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Manager:
    """Somebody who owns fields, by applying them or by other writes."""

    name: str
    operation: str
    api_version: str
    fields: Fields


class ApplyConflict(Exception):
    """An apply would change fields that others own; `conflicts` has the owner and the field of each."""

    def __init__(self, conflicts: list[tuple[Manager, Path]]) -> None:
        self.conflicts = conflicts
        super().__init__(f"Apply failed with {len(conflicts)} conflict{'s' if len(conflicts) > 1 else ''}")


class TooManyFields(Exception):
    """An object has more fields than owners can be kept of."""


class _Sorted:
    """Fields in an order in which all that lie within another one follow it."""

    def __init__(self, fields: Iterable[Path]) -> None:
        self._fields = sorted(fields)

    def within(self, path: Path) -> bool:
        """Return whether one of them is this field, or lies within it."""
        place = bisect_left(self._fields, path)
        return place < len(self._fields) and self._fields[place][: len(path)] == path


class _Reader:
    """Reads fields of an object; elements of lists are found by their names at once.

    Args:
        obj: the object; it must not change meanwhile.
        schema: of its kind.
    """

    def __init__(self, obj: Any, schema: Schema | None) -> None:
        self._obj = obj
        self._schema = schema
        self._named: dict[int, dict[str, Any]] = {}

    def value(self, path: Path) -> Any:
        """Return the value of a field; `_MISSING` if it isn't there."""
        obj, schema = self._obj, self._schema
        for element in path:
            if element.startswith("f:"):
                key = element[2:]
                if not isinstance(obj, dict) or key not in obj:
                    return _MISSING
                obj, schema = obj[key], schema.field(key) if schema else None
                continue
            name = _item_namer(schema)
            named = self._elements(obj, name) if isinstance(obj, list) and name else {}
            if element not in named:
                return _MISSING
            obj, schema = named[element], schema.items if schema else None
        return obj

    def _elements(self, values: list[Any], name: Any) -> dict[str, Any]:
        if id(values) not in self._named:
            named = self._named[id(values)] = {}
            for one in values:
                named.setdefault(name(one), one)
        return self._named[id(values)]


def apply(
    live: Object | None,
    config: Object,
    schema: Schema | None,
    managers: Iterable[Manager],
    manager: str,
    *,
    force: bool,
) -> tuple[Object, list[Manager]]:
    """Return an object after an apply, and the owners of its fields.

    Args:
        live: as it is; None if it isn't there yet.
        config: what is applied.
        schema: of its kind; without one every list counts as one value.
        managers: the owners so far. If nobody is known to own a live object, all of it has an owner from before.
        manager: who applies.
        force: whether to take fields from others.

    Raises:
        ApplyConflict: others own fields that would change; never with `force`.
        TooManyFields: the object has more than owners can be kept of.
    """
    before = list(managers)
    if live is not None and not before:
        before = [Manager(BEFORE_FIRST_APPLY, UPDATE, live["apiVersion"], fields_of(live, schema))]
    own = next((one for one in before if one.name == manager and one.operation == APPLY), None)
    others = [one for one in before if one is not own]
    fields = fields_of(config, schema)
    current: Object = copy.deepcopy(live) if live is not None else {}
    there, wanted = _Reader(current, schema), _Reader(config, schema)
    disputed = {path for path in fields if not _is_item(path) and there.value(path) != wanted.value(path)}
    conflicts = [(one, path) for one in others for path in sorted(one.fields & disputed)]
    if conflicts and not force:
        raise ApplyConflict(conflicts)
    others = [_without(one, disputed) for one in others]
    result = _merged(current, config, schema)
    kept = fields.union(*(one.fields for one in others))
    gone = (own.fields if own else frozenset()) - kept
    held = _Sorted(kept)
    gone = frozenset(path for path in gone if not held.within(path) and not _is_key_of(path, held))
    if gone:
        result = _pruned(result, schema, (), gone, _Sorted(gone), kept)
    applied = Manager(manager, APPLY, config["apiVersion"], fields)
    return result, [one for one in others if one.fields] + [applied]


def updated(
    before: Object, after: Object, schema: Schema | None, managers: Iterable[Manager], manager: str
) -> list[Manager]:
    """Return the owners after another kind of write: whoever wrote owns what has changed.

    Raises:
        TooManyFields: the object has more than owners can be kept of.
    """
    there = fields_of(after, schema)
    past = fields_of(before, schema)
    old, new = _Reader(before, schema), _Reader(after, schema)
    changed = {
        path for path in there if path not in past or (not _is_item(path) and old.value(path) != new.value(path))
    }
    result = []
    own: Fields = frozenset()
    for one in managers:
        if one.name == manager and one.operation == UPDATE:
            own = one.fields
            continue
        left = frozenset(path for path in one.fields if path in there) - changed
        if left:
            result.append(Manager(one.name, one.operation, one.api_version, left))
    own = frozenset(path for path in own if path in there) | changed
    return [*result, Manager(manager, UPDATE, after["apiVersion"], own)] if own else result


def fields_of(obj: Object, schema: Schema | None) -> Fields:
    """Return the fields of an object that can be owned.

    Raises:
        TooManyFields: it has more than owners can be kept of.
    """
    found = set()
    for path in _walk(obj, schema, ()):
        if path not in _IDENTITY:
            found.add(path)
            if len(found) > MAX_FIELDS:
                raise TooManyFields(f"the owners of more than {MAX_FIELDS} fields can't be kept; divide the object")
    return frozenset(found)


def managed_fields(managers: Iterable[Manager]) -> list[Object]:
    """Return owners in the form of `metadata.managedFields`."""
    return [
        {
            "manager": one.name,
            "operation": one.operation,
            "apiVersion": one.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": _tree(one.fields),
        }
        for one in managers
    ]


def managers_of(entries: Iterable[Mapping[str, Any]]) -> list[Manager]:
    """Return the owners that `metadata.managedFields` tells of."""
    return [
        Manager(entry["manager"], entry["operation"], entry["apiVersion"], frozenset(_paths(entry["fieldsV1"], ())))
        for entry in entries
    ]


def path_text(path: Path) -> str:
    """Return how messages name a field: `.spec.template.spec.containers[name="web"].image`."""
    text = ""
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            text += f"[{','.join(f'{key}={json.dumps(value)}' for key, value in read_json(rest).items())}]"
        else:
            text += f"[={rest}]"
    return text


def _walk(value: Any, schema: Schema | None, path: Path) -> Iterator[Path]:
    if isinstance(value, dict) and value and not _is_atomic_map(schema):
        for key, inner in value.items():
            yield from _walk(inner, schema.field(key) if schema else None, (*path, f"f:{key}"))
        return
    if isinstance(value, list) and value and (name := _item_namer(schema)):
        items = schema.items if schema else None
        for inner in value:
            place = (*path, name(inner))
            yield place
            if place[-1].startswith("k:"):
                yield from _walk(inner, items, place)
        return
    if path:
        yield path


def _is_atomic_map(schema: Schema | None) -> bool:
    return schema is not None and schema.extension(MAP_TYPE) == "atomic"


def _item_namer(schema: Schema | None) -> Any:
    """Return how elements of a list are told apart; None if the list counts as one value."""
    if schema is None:
        return None
    if schema.extension(LIST_TYPE) == "set":
        return lambda value: f"v:{_json(value)}"
    if schema.extension(LIST_TYPE) != "map":
        return None
    keys, items = schema.extension(LIST_MAP_KEYS) or [], schema.items

    def name(value: Any) -> str:
        if not isinstance(value, dict):
            return f"v:{_json(value)}"
        found = {}
        for key in keys:
            default = items.field(key) if items else None
            found[key] = value.get(key, default.extension("default") if default else None)
        return f"k:{_json({key: one for key, one in found.items() if one is not None})}"

    return name


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _is_item(path: Path) -> bool:
    """Whether a path names the presence of an element in a list, not a value."""
    return not path[-1].startswith("f:")


def _is_key_of(path: Path, fields: _Sorted) -> bool:
    """Whether a field tells apart an element of a list of which others own something."""
    if len(path) < 2 or not path[-2].startswith("k:"):
        return False
    return path[-1].removeprefix("f:") in read_json(path[-2][2:]) and fields.within(path[:-1])


def _without(manager: Manager, fields: set[Path]) -> Manager:
    return Manager(manager.name, manager.operation, manager.api_version, manager.fields - fields)


def _merged(live: Any, config: Any, schema: Schema | None) -> Any:
    """Return a value with everything that is applied; what isn't mentioned stays."""
    if isinstance(live, dict) and isinstance(config, dict) and not _is_atomic_map(schema):
        result = dict(live)
        for key, value in config.items():
            inner = schema.field(key) if schema else None
            result[key] = _merged(live[key], value, inner) if key in live else copy.deepcopy(value)
        return result
    name = _item_namer(schema)
    if isinstance(live, list) and isinstance(config, list) and name:
        items = schema.items if schema else None
        wanted = {name(one): one for one in config}
        merged = [_merged(one, wanted.pop(name(one), one), items) for one in live]
        return merged + [copy.deepcopy(one) for one in wanted.values()]
    return copy.deepcopy(config)


def _pruned(value: Any, schema: Schema | None, path: Path, gone: Fields, places: _Sorted, kept: Fields) -> Any:
    """Return a value without fields that go, and without the maps and lists that this leaves empty.

    Args:
        value: of the field.
        schema: of it.
        path: of it.
        gone: the fields that go.
        places: the same.
        kept: fields that somebody wants, even if they are empty.
    """
    if path in gone:
        return _MISSING
    if not places.within(path):
        return value
    result: Any
    name = _item_namer(schema)
    if isinstance(value, dict):
        result = {}
        for key, inner in value.items():
            field = schema.field(key) if schema else None
            left = _pruned(inner, field, (*path, f"f:{key}"), gone, places, kept)
            if left is not _MISSING:
                result[key] = left
    elif isinstance(value, list) and name:
        result = []
        items = schema.items if schema else None
        for one in value:
            left = _pruned(one, items, (*path, name(one)), gone, places, kept)
            if left is not _MISSING:
                result.append(left)
    else:
        return value
    if result or len(result) == len(value) or not path or path in kept:
        return result
    return _MISSING


def _tree(fields: Fields) -> Object:
    tree: Object = {}
    for path in sorted(fields):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
    for path in fields:
        if _is_item(path) and (node := _node(tree, path)):
            node[_ITSELF] = {}
    return tree


def _node(tree: Object, path: Path) -> Object:
    for element in path:
        tree = tree[element]
    return tree


def _paths(tree: Mapping[str, Any], path: Path) -> Iterator[Path]:
    for element, inner in tree.items():
        if element == _ITSELF:
            yield path
        elif not inner:
            yield (*path, element)
        else:
            yield from _paths(inner, (*path, element))
