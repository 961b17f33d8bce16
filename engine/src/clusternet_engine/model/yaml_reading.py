"""Reads YAML into values that JSON can carry, in bounded time and memory.

Values are built straight from the parser's events, one after the other: how deep they are nested, how many there are
and how much text they hold is counted as they come, with what an alias stands for counted as often as it is used. So a
text is refused at the first event that is too much, before anything is written out; and nothing works by recursion.
Of a text that is large because it has parts for many, one part can be asked for: the others are counted, not built.
With libyaml, as in PyYAML's wheels, 200,000 keys and values take about half a second.

There are two dialects. They differ in what a plain text such as `yes`, `1:30` or `1e3` is taken for; in both, keys and
dates are what is written, and tags that JSON has no value for are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from clusternet_engine.model.limits import DocumentError, Limits

MAX_DIGITS = 400
"""Characters of a number; reading one takes time by the square of its length."""

MAX_DIRECTIVES = 100
"""Lines with %TAG: libyaml compares each with all others."""

_DIRECTIVE = re.compile("(?:^|[\r\n\x85\u2028\u2029])%TAG")
_DIRECTIVE_BYTES = re.compile(b"(?:^|[\r\n]|\xc2\x85|\xe2\x80[\xa8\xa9])%TAG")
_PREFIX = "tag:yaml.org,2002:"
_BOOL, _NULL, _INT, _FLOAT, _TEXT, _MERGE, _MAP, _SEQUENCE = (
    f"{_PREFIX}{kind}" for kind in ("bool", "null", "int", "float", "str", "merge", "map", "seq")
)
_OF_SCALARS = frozenset((_BOOL, _NULL, _INT, _FLOAT, _TEXT, _MERGE))
_INTEGERS = range(-(2**63), 2**64)
"""What fits into JSON as Kubernetes reads it."""

Resolvers = Mapping[str, Iterable[tuple[str, re.Pattern[str]]]]
_Parser: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_OF_PYYAML = yaml.constructor.SafeConstructor()


@dataclass(frozen=True, slots=True)
class Dialect:
    """What plain texts are taken for.

    Attributes:
        resolvers: tags and patterns of plain texts, by their first character.
        whole_number: reads a number that is tagged as one.
    """

    resolvers: Resolvers
    whole_number: Callable[[str], int]


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
    merged: list[Any] | None = None


@dataclass(frozen=True, slots=True)
class _Anchored:
    """What aliases stand for; of a plain text also as what it would be a key."""

    value: Any
    nodes: int
    characters: int
    height: int
    key: tuple[str, bool] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What is built of a large text.

    Attributes:
        path: keys, from the top, of what is asked for; of the maps on the way nothing else is built.
        nodes: keys and values that may be built, anchored ones elsewhere in the text among them.
    """

    path: tuple[str, ...]
    nodes: int


def read_yaml(text: str | bytes, dialect: Dialect, limits: Limits, part: Part | None = None) -> list[Any]:
    """Return the values of all documents in a text; an empty one has none.

    Args:
        text: the documents.
        dialect: what plain texts are taken for.
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
            return _Builder(dialect, limits, part).build(parser)
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

    def __init__(self, dialect: Dialect, limits: Limits, part: Part | None) -> None:
        self._dialect = dialect
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
                self._begin({}, event, _MAP)
            elif kind is yaml.SequenceStartEvent:
                self._begin([], event, _SEQUENCE)
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
        tag = self._tag(event, text)
        if tag not in _OF_SCALARS:
            raise _bad_tag()
        key = (text, tag == _MERGE)
        is_key = top is not None and type(top.value) is dict and top.key is None
        left_out = not event.anchor and not is_key and self._is_left_out(top)
        value = self._value(tag, text) if not left_out and (event.anchor or not is_key) else None
        if top is not None and is_key:
            top.key, top.merges = key
        else:
            self._add(value)
        if event.anchor:
            self._build()
            self._anchors[event.anchor] = _Anchored(value, 1, len(text), 0, key)

    def _tag(self, event: yaml.ScalarEvent, text: str) -> str:
        tag = event.tag
        if tag is not None and tag != "!":
            return str(tag)
        if event.implicit[0]:
            for found, pattern in self._dialect.resolvers.get(text[:1], ()):
                if pattern.match(text):
                    return found
        return _TEXT

    def _value(self, tag: str, text: str) -> Any:
        """Return the value of a scalar."""
        if tag in (_TEXT, _MERGE):
            return text
        if tag == _NULL:
            return None
        if len(text) > MAX_DIGITS:
            raise DocumentError(f"not a document of JSON: a number has more than {MAX_DIGITS} characters; quote it")
        try:
            if tag == _BOOL:
                return _OF_PYYAML.bool_values[text.lower()]
            if tag == _INT:
                whole = self._dialect.whole_number(text)
                if whole not in _INTEGERS:
                    raise DocumentError("not a document of JSON: a number is too large")
                return whole
            if tag == _FLOAT:
                number = _OF_PYYAML.construct_yaml_float(yaml.ScalarNode(tag, text))
                if not math.isfinite(number):
                    raise DocumentError("not a document of JSON: infinite, or no number of JSON")
                return number
        except DocumentError:
            raise
        except (ValueError, LookupError, OverflowError):
            raise DocumentError("not YAML: a value is not what its tag says") from None
        raise _bad_tag()

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
            if anchored.key is None:
                raise _bad_key()
            top.key, top.merges = anchored.key
        else:
            self._add(anchored.value)

    def _begin(self, value: Any, event: Any, expected: str) -> None:
        if event.tag not in (None, "!", expected):
            raise _bad_tag()
        top = self._stack[-1] if self._stack else None
        if top is not None and type(top.value) is dict and top.key is None:
            raise _bad_key()
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
        if done.merged is not None:
            # What is merged comes first, so that the map's own keys win.
            own, value = value, {}
            for one in done.merged:
                value.update(one)
            value.update(own)
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
            top.merged = (top.merged or []) + _merge(value)
        else:
            top.value[top.key] = value
        top.key, top.merges = None, False


def _merge(value: Any) -> list[Any]:
    """Return the maps that a merge key names, those that win last."""
    maps = value[::-1] if type(value) is list else [value]
    if not all(type(one) is dict for one in maps):
        raise DocumentError("not YAML: a merge key << has something else than maps; quote the key if it is none")
    return maps


def _bad_tag() -> DocumentError:
    return DocumentError("not a document of JSON: it has a tag that JSON has no value for")


def _bad_key() -> DocumentError:
    return DocumentError("not a document of JSON: a key is not a plain text")


def _whole_number(text: str) -> int:
    """Return a number as it is written: decimal, 0x, 0b, or octal with 0 or 0o."""
    text = text.replace("_", "")
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.removeprefix("+"))
    if digits.isdigit():
        return sign * int(digits, 8 if digits[0] == "0" and not set(digits) & {"8", "9"} else 10)
    return sign * int(digits, 0)


def _resolvers(*rules: tuple[str, str, str]) -> Resolvers:
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, pattern, first in rules:
        for character in first or ("",):
            found.setdefault(character, []).append((tag, re.compile(rf"(?:{pattern})\Z")))
    return found


CORE = Dialect(
    _resolvers(
        (_BOOL, "true|True|TRUE|false|False|FALSE", "tTfF"),
        (_NULL, "~|null|Null|NULL", "~nN"),
        (_NULL, "", ""),
        (_MERGE, "<<", "<"),
        (_INT, "[-+]?(?:0b[01_]+|0o[0-7_]+|[0-9][0-9_]*|0x[0-9a-fA-F_]+)", "-+0123456789"),
        (_FLOAT, r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ),
    _whole_number,
)
"""As YAML 1.2: only true and false are booleans. Numbers such as 0644 stay octal, as in all of Kubernetes."""

YAML_1_1 = Dialect(
    {
        first: [rule for rule in rules if rule[0] not in (f"{_PREFIX}timestamp", f"{_PREFIX}value")]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    },
    lambda text: int(_OF_PYYAML.construct_yaml_int(yaml.ScalarNode(_INT, text))),
)
"""As PyYAML reads: also yes, no, on and off are booleans."""
