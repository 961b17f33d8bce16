"""How large a document may be, and whether one is: bytes of its text, values in it, and how deep it is nested.

Foreign text is small and means much: aliases of YAML and copies of JSON patches double what is there with every line,
and nesting overruns whatever works by recursion. So everything that comes from users, children and foreign servers is
measured. The limits alone keep the work for one document at about a second, since a thread that works on it can't be
stopped. Nothing here works by recursion, and nothing looks at more values than the limit allows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from clusternet_engine.kube import nesting

MAX_DEPTH = nesting.MAX_DEPTH - 10
"""Levels of maps and lists; what is accepted is kept in objects that have some more, and those must be readable."""


class DocumentError(ValueError):
    """A text is not the document it should be, or is too large a one; the message never shows what is in it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may have.

    Attributes:
        size: bytes of its text; also characters of all keys and texts in it, with the aliases of YAML written out.
        nodes: keys and values, with the aliases written out.
    """

    size: int
    nodes: int

    def check_size(self, text: str | bytes) -> None:
        """See that a text may be read at all.

        Raises:
            DocumentError: it is too long.
        """
        size = len(text)
        if isinstance(text, str) and size <= self.size and not text.isascii():
            size = len(text.encode("utf-8", "surrogatepass"))
        if size > self.size:
            raise DocumentError(f"too large: it may have {_bytes(self.size)}; divide it")

    def check(self, nodes: int, characters: int, depth: int) -> None:
        """See that a document is as small as it has to be.

        Raises:
            DocumentError: it isn't.
        """
        if depth > MAX_DEPTH:
            raise DocumentError(f"nested too deep: it may have {MAX_DEPTH} levels")
        if nodes > self.nodes:
            raise DocumentError(f"too large: it may have {self.nodes} keys and values, with its aliases written out")
        if characters > self.size:
            raise DocumentError(f"too large: it may have {_bytes(self.size)}, with its aliases written out; divide it")

    def check_value(self, value: Any) -> Weight:
        """Return how large a value is, if it may be that large.

        Raises:
            DocumentError: it may not.
        """
        weight = weigh(value, self)
        self.check(weight.nodes, weight.characters, weight.depth)
        return weight

    def without(self, weight: Weight) -> Limits:
        """Return what is left of the limits for others."""
        return replace(self, size=self.size - weight.characters, nodes=self.nodes - weight.nodes)


@dataclass(frozen=True, slots=True)
class Weight:
    """How large a value is: keys and values, characters of keys and texts, and levels of maps and lists."""

    nodes: int
    characters: int
    depth: int


OBJECT = Limits(size=3 * 2**20, nodes=200_000)
"""Of objects, patches, values and overrides; an API server takes 3 MiB and stores half of that."""


def weigh(value: Any, limits: Limits = OBJECT) -> Weight:
    """Return how large a value is; counting ends soon after a limit, even where a value contains itself."""
    nodes, characters, depth = 1, 0, 0
    level = [value]
    while level:
        below: list[Any] = []
        deeper = False
        for one in level:
            kind = type(one)
            if kind is str:
                characters += len(one)
            elif kind is dict:
                deeper = True
                nodes += 2 * len(one)
                characters += sum(map(len, one))
                below += one.values()
            elif kind is list:
                deeper = True
                nodes += len(one)
                below += one
            if nodes > limits.nodes:
                return Weight(nodes, characters, depth + deeper)
        depth += deeper
        if depth > MAX_DEPTH:
            break
        level = below
    return Weight(nodes, characters, depth)


def _bytes(size: int) -> str:
    return f"{size // 2**20} MiB" if size >= 2**20 else f"{max(size, 0)} bytes"
