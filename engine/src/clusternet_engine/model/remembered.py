"""Keeps the values that were used last, as many as fit a size.

A number of values bounds nothing where somebody else decides how large each of them is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Values by key.

    Args:
        limit: of the sizes of all values together; one that is larger alone isn't kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._size = 0

    def get(self, key: K) -> V | None:
        """Return the value of a key, None if it isn't kept."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: K, value: V, size: int) -> None:
        """Keep a value, and forget those that were not used for longest.

        Args:
            key: of the value; what it had before is forgotten.
            value: to be kept.
            size: of the value, in the unit of the limit.
        """
        _, before = self._values.pop(key, (None, 0))
        self._values[key] = value, size
        self._size += size - before
        while self._size > self._limit:
            _, (_, forgotten) = self._values.popitem(last=False)
            self._size -= forgotten
