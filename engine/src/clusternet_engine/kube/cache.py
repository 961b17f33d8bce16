"""The objects an informer knows, with indexes and the changes that lead from one state to the next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from clusternet_engine.kube.resources import Object, object_key

log = logging.getLogger(__name__)

IndexFunction = Callable[[Object], Iterable[str]]
Failed = Callable[[Object, str, Exception], None]
"""Told of an object, what has failed on it, and how."""


def _log_failure(obj: Object, where: str, error: Exception) -> None:
    log.error("%s failed on %s", where, object_key(obj), exc_info=error)


class Change(NamedTuple):
    """What happened to one object.

    :ivar type: ``ADDED``, ``MODIFIED`` or ``DELETED``.
    :ivar old: the object before; of ``DELETED`` the last state known. ``None`` for ``ADDED``.
    :ivar new: the object after; ``None`` for ``DELETED``.
    """

    type: str
    old: Object | None
    new: Object | None

    @property
    def object(self) -> Object:
        """The newest state known."""
        obj = self.new if self.new is not None else self.old
        assert obj is not None
        return obj


class Cache:
    """Objects by key, and by the values that index functions give them. Objects in it must not be changed.

    :param failed: told when an index function fails on an object, which that index then does not find.
    """

    def __init__(self, failed: Failed = _log_failure) -> None:
        self._failed = failed
        self._objects: dict[str, Object] = {}
        self._indexes: dict[str, _Index] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: str) -> Object | None:
        """The object of a key, or ``None``."""
        return self._objects.get(key)

    def items(self) -> list[Object]:
        """All objects."""
        return list(self._objects.values())

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Index all objects, those to come included, by the values the function gives.

        :raises ValueError: the name is taken.
        """
        if name in self._indexes:
            raise ValueError(f"index {name!r} exists")
        index = self._indexes[name] = _Index(name, function, self._failed)
        for key, obj in self._objects.items():
            index.put(key, obj)

    def by_index(self, name: str, value: str) -> list[Object]:
        """The objects an index function gave this value.

        :raises KeyError: no such index.
        """
        return [self._objects[key] for key in self._indexes[name].keys_of(value)]

    def put(self, obj: Object) -> list[Change]:
        """An object exists in this state; nothing changes if the cached one has the same version."""
        key = object_key(obj)
        old = self._objects.get(key)
        self._store(key, obj)
        return list(_changes(old, obj))

    def remove(self, obj: Object) -> list[Change]:
        """An object is gone; ``obj`` is its last state."""
        key = object_key(obj)
        if self._objects.pop(key, None) is None:
            return []
        for index in self._indexes.values():
            index.drop(key)
        return [Change("DELETED", obj, None)]

    def replace(self, objects: Iterable[Object]) -> list[Change]:
        """Exactly these objects exist; the changes from what was known, deletions first."""
        before = self._objects
        after = {object_key(obj): obj for obj in objects}
        gone = [(key, old) for key, old in before.items() if key not in after]
        for key, _ in gone:
            for index in self._indexes.values():
                index.drop(key)
        self._objects = {}
        for key, obj in after.items():
            self._store(key, obj)
        changes = [Change("DELETED", old, None) for _, old in gone]
        for key, obj in after.items():
            changes += _changes(before.get(key), obj)
        return changes

    def _store(self, key: str, obj: Object) -> None:
        self._objects[key] = obj
        for index in self._indexes.values():
            index.put(key, obj)


class _Index:
    """Keys by value; remembers each key's values, so that removal does not depend on the object."""

    def __init__(self, name: str, function: IndexFunction, failed: Failed) -> None:
        self._name = name
        self._failed = failed
        self._function = function
        self._keys: dict[str, dict[str, None]] = {}
        self._values: dict[str, tuple[str, ...]] = {}

    def keys_of(self, value: str) -> Iterable[str]:
        return self._keys.get(value, ())

    def put(self, key: str, obj: Object) -> None:
        try:
            values = tuple(dict.fromkeys(self._function(obj)))
        except Exception as error:
            self._failed(obj, f"index {self._name!r}", error)
            values = ()
        if values == self._values.get(key):
            return
        self.drop(key)
        if not values:
            return
        self._values[key] = values
        for value in values:
            self._keys.setdefault(value, {})[key] = None

    def drop(self, key: str) -> None:
        for value in self._values.pop(key, ()):
            keys = self._keys[value]
            del keys[key]
            if not keys:
                del self._keys[value]


def _changes(old: Object | None, new: Object) -> Iterator[Change]:
    if old is None:
        yield Change("ADDED", None, new)
    elif old["metadata"].get("uid") != new["metadata"].get("uid"):
        yield Change("DELETED", old, None)
        yield Change("ADDED", None, new)
    elif old["metadata"].get("resourceVersion") != new["metadata"].get("resourceVersion"):
        yield Change("MODIFIED", old, new)
