"""How deeply the JSON of an object may be nested, and what becomes of the part that is nested deeper.

API servers take and give out JSON of 10,000 levels; parsers, writers and functions that call themselves give up long
before. So what lies deeper than `MAX_DEPTH` is cut out of the text before it is parsed, and a mark takes its place. An
object that has lost something is an `Incomplete` one: it can be read, counted and removed like any other, but it isn't
what somebody wrote, so it must never be published or written back. Informers tell of such objects, see `kube.faults`.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

MAX_DEPTH = 200
"""Levels of an object that are read, its own braces being the first."""

MARK = f"nested too deeply to be read ({secrets.token_hex(8)})"
"""Stands in an incomplete object for what was cut out. It differs in each process, so nobody can write it himself."""

_MARK_JSON = f'"{MARK}"'.encode()
# A string that never ends counts as one up to the end of the text: so every byte is looked at once.
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_OPENING = frozenset(b"[{")
_CLOSING = frozenset(b"]}")


class Incomplete(dict[str, Any]):
    """An object that was nested too deeply, without what lay deeper than `MAX_DEPTH`."""


def is_incomplete(obj: Any) -> bool:
    """Return whether parts of an object were left out when it was read."""
    return isinstance(obj, Incomplete)


def cut_deep(text: bytes, depth: int) -> bytes:
    """Return a JSON text with every value deeper than some levels replaced by the mark, as one pass finds them.

    Args:
        text: JSON; of anything else the result isn't JSON either.
        depth: levels to keep, 1 or more.
    """
    pieces: list[bytes] = []
    kept_to = level = start = 0
    for token in _TOKENS.finditer(text):
        first = text[token.start()]
        if first in _OPENING:
            level += 1
            if level == depth + 1:
                start = token.start()
        elif first in _CLOSING:
            level -= 1
            if level == depth:
                pieces += (text[kept_to:start], _MARK_JSON)
                kept_to = token.end()
    pieces.append(text[kept_to:])
    return b"".join(pieces)
