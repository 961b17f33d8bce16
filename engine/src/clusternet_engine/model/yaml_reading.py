"""Reads YAML into values that JSON can carry, in bounded time and memory.

Values are built straight from the parser's events, one after the other: how deep they are nested, how many there are
and how much text they hold is counted as they come, with what an alias stands for counted as often as it is used. So a
text is refused at the first event that is too much, before anything is written out; and nothing works by recursion.
Of a text that is large because it has parts for many, one part can be asked for: the others are counted, not built.
With libyaml, as in PyYAML's wheels, 200,000 keys and values take about half a second.

What a text such as `yes`, `1:30` or `1e3` is taken for is the same as in kubectl and Helm
(`clusternet_engine.model.yaml_scalars`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from clusternet_engine.model import yaml_scalars
from clusternet_engine.model.limits import DocumentError, Limits

MAX_DIRECTIVES = 100
"""Lines with %TAG: libyaml compares each with all others."""

_DIRECTIVE = re.compile("(?:^|[\r\n\x85\u2028\u2029])%TAG")
_DIRECTIVE_BYTES = re.compile(b"(?:^|[\r\n]|\xc2\x85|\xe2\x80[\xa8\xa9])%TAG")
_MERGE_TAG = f"{yaml_scalars.TAG}merge"
_Parser: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


@dataclass(slots=True)
class _Open:
    """A map or list whose end has not come yet, what had been counted when it began, and whether it is left out."""

    value: Any
    anchor: str | None
    nodes: int
    characters: int
    left_out: bool
    height: int = 1
    key: str | None = None
    merges: bool = False


@dataclass(frozen=True, slots=True)
class _Anchored:
    """What aliases stand for, and whether that would be a merge key."""

    value: Any
    nodes: int
    characters: int
    height: int
    merges: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """What is built of a large text.

    Attributes:
        path: keys, from the top, of what is asked for; of the maps on the way nothing else is built.
        nodes: keys and values that may be built, anchored ones elsewhere in the text among them.
    """

    path: tuple[str, ...]
    nodes: int


def read_yaml(text: str | bytes, limits: Limits, part: Part | None = None) -> list[Any]:
    """Return the values of all documents in a text; an empty one has none.

    Args:
        text: the documents.
        limits: of the whole text.
        part: of each document that is wanted; None means all of it.

    Raises:
        DocumentError: it isn't YAML, holds what JSON can't carry, or is larger than the limits.
    """
    limits.check_size(text)
    try:
        if isinstance(text, bytes):
            if not text.isascii():
                text.decode()  # libyaml takes other encodings, too
            directives = sum(1 for _ in _DIRECTIVE_BYTES.finditer(text))
        else:
            directives = sum(1 for _ in _DIRECTIVE.finditer(text))
        if directives > MAX_DIRECTIVES:
            raise DocumentError(f"too large: it may have {MAX_DIRECTIVES} directives of YAML")
        parser = _Parser(text)
        try:
            return _Builder(limits, part).build(parser)
        finally:
            parser.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise DocumentError(f"not YAML: {where}{error.problem}") from None
    except yaml.YAMLError:
        raise DocumentError("not YAML: it holds characters that YAML doesn't allow") from None
    except UnicodeError:
        raise DocumentError("not YAML: it is text in UTF-8") from None


class _Builder:
    """Makes values of events."""

    def __init__(self, limits: Limits, part: Part | None) -> None:
        self._limits = limits
        self._path = part.path if part else ()
        self._room = part.nodes if part else limits.nodes
        self._nodes = 0
        self._characters = 0
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored | None] = {}
        self._documents: list[Any] = []

    def build(self, parser: Any) -> list[Any]:
        while True:
            event = parser.get_event()
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.MappingStartEvent:
                self._begin({}, event)
            elif kind is yaml.SequenceStartEvent:
                self._begin([], event)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._end()
            elif kind is yaml.DocumentStartEvent:
                self._anchors = {}
            elif kind is yaml.StreamEndEvent:
                return self._documents

    def _count(self, nodes: int, characters: int, height: int) -> None:
        """Count what comes next; `height` is that of its maps and lists."""
        self._nodes += nodes
        self._characters += characters
        self._limits.check(self._nodes, self._characters, len(self._stack) + height)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        text = event.value
        self._count(1, len(text), 0)
        top = self._stack[-1] if self._stack else None
        if top is not None and top.left_out and not event.anchor:
            top.key = text if type(top.value) is dict and top.key is None else None
            return
        if not text.isascii():
            text.encode()  # half of a surrogate pair, as an escape, is no text
        is_key = top is not None and type(top.value) is dict and top.key is None
        left_out = not event.anchor and not is_key and self._is_left_out(top)
        value = None if left_out else _value(event, text)
        merges = text == yaml_scalars.MERGE and (event.implicit[0] or event.tag == _MERGE_TAG)
        if top is not None and is_key:
            top.key, top.merges = _key(value), merges
        else:
            self._add(value)
        if event.anchor:
            self._build()
            self._anchors[event.anchor] = _Anchored(value, 1, len(text), 0, merges)

    def _alias(self, event: yaml.AliasEvent) -> None:
        name = str(event.anchor)
        anchored = self._anchors.get(name)
        if anchored is None:
            inside = name in self._anchors
            raise DocumentError(f"not YAML: one of its aliases {'contains itself' if inside else 'stands for nothing'}")
        self._count(anchored.nodes, anchored.characters, anchored.height)
        top = self._stack[-1]  # the parser takes no alias outside
        top.height = max(top.height, 1 + anchored.height)
        if type(top.value) is dict and top.key is None:
            top.key, top.merges = _key(anchored.value), anchored.merges
        else:
            self._add(anchored.value)

    def _begin(self, value: Any, event: Any) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and type(top.value) is dict and top.key is None:
            _key(value)  # raises: neither a map nor a list is a key
        left_out = not event.anchor and self._is_left_out(top)
        if type(value) is list and not left_out and self._is_on_the_way():
            raise DocumentError("a list where a map should be")
        self._stack.append(_Open(value, event.anchor, self._nodes, self._characters, left_out))
        self._count(1, 0, 0)
        if event.anchor:
            self._build()
            self._anchors[event.anchor] = None

    def _end(self) -> None:
        done = self._stack.pop()
        value = done.value
        if done.anchor:
            nodes, characters = self._nodes - done.nodes, self._characters - done.characters
            self._anchors[done.anchor] = _Anchored(value, nodes, characters, done.height)
        if self._stack:
            top = self._stack[-1]
            top.height = max(top.height, 1 + done.height)
        self._add(value)

    def _build(self) -> None:
        self._room -= 1
        if self._room < 0:
            raise DocumentError("too large: too much of it would have to be kept")

    def _is_left_out(self, top: _Open | None) -> bool:
        """Return whether the value that begins isn't built: it is within such a one, or not on the way to the part."""
        if top is None or top.left_out:
            return top is not None
        level = len(self._stack)
        if level > len(self._path) or any(one.anchor for one in self._stack):
            return False
        return type(top.value) is dict and top.key != self._path[level - 1] and not top.merges

    def _is_on_the_way(self) -> bool:
        """Return whether what begins, which isn't left out, should have a key of the path."""
        merges = any(one.anchor or one.merges for one in self._stack)
        return len(self._stack) < len(self._path) and not merges

    def _add(self, value: Any) -> None:
        if not self._stack:
            self._documents.append(value)
            return
        top = self._stack[-1]
        if self._is_left_out(top):
            top.key, top.merges = None, False
            return
        self._build()
        if type(top.value) is list:
            top.value.append(value)
        elif top.merges:
            try:
                top.value.update(yaml_scalars.merged(value))
            except ValueError as error:
                raise DocumentError(f"not YAML: {error}") from None
        else:
            top.value[top.key] = value
        top.key, top.merges = None, False


def _value(event: yaml.ScalarEvent, text: str) -> Any:
    """Return what a text stands for."""
    try:
        if event.tag not in (None, "!"):
            return yaml_scalars.tagged(event.tag, text)
        return yaml_scalars.plain(text) if event.implicit[0] else text
    except ValueError as error:
        raise DocumentError(f"not a document of JSON: {error}") from None


def _key(value: Any) -> str:
    """Return what a value is as the key of a map."""
    try:
        return yaml_scalars.key(value)
    except ValueError as error:
        raise DocumentError(f"not a document of JSON: {error}") from None
