# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON of any depth: API servers give out up to 10,000 levels, Python's parser and Ansible's results give up before.

What lies deeper than C(MAX_DEPTH) levels of an answer is cut out of the text before it is parsed, as the hub does; a
text that says so takes its place.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any, Union

MAX_DEPTH = 200
MARK = "nested too deeply to be read"
"""Stands for what was cut out."""

_MARK_JSON = json.dumps(MARK).encode()
# A string that never ends counts as one up to the end of the text: so every byte is looked at once.
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_TOKENS = re.compile(_STRINGS.pattern + rb"|[\[\]{}]", re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = [1 if byte in b"[{" else -1 for byte in range(256)]


def parse(text: bytes) -> tuple[Any, bool]:
    """The value of a JSON text, and whether something was cut out of it; raises ValueError."""
    if not _is_deeper(text):
        return json.loads(text), False
    return json.loads(_cut(text)), True


def loads(text: Union[str, bytes]) -> Any:
    """The value of a JSON text that somebody keeps in a field; raises ValueError, also when it is nested too deeply."""
    if _is_deeper(text.encode("utf-8", "replace") if isinstance(text, str) else text):
        raise ValueError(MARK)
    return json.loads(text)


def is_cut(value: Any) -> bool:
    """Whether something was cut out of a value."""
    return MARK in json.dumps(value)


def _is_deeper(text: bytes) -> bool:
    if text.count(b"{") + text.count(b"[") <= MAX_DEPTH:
        return False
    brackets = _STRINGS.sub(b"", text).translate(None, _NO_BRACKETS)
    return max(itertools.accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_DEPTH


def _cut(text: bytes) -> bytes:
    pieces = []
    kept_to = level = start = 0
    for token in _TOKENS.finditer(text):
        first = text[token.start()]
        if first in b"[{":
            level += 1
            if level == MAX_DEPTH + 1:
                start = token.start()
        elif first in b"]}":
            level -= 1
            if level == MAX_DEPTH:
                pieces += [text[kept_to:start], _MARK_JSON]
                kept_to = token.end()
    return b"".join([*pieces, text[kept_to:]])
