"""The one reader of foreign text, YAML or JSON, and how documents are written without the surprises of YAML 1.1.

Whatever a user, a child cluster or a foreign server has written is read here: bodies and patches of the shadow API,
overrides, values, charts, indexes of repositories, answers, annotations. Everything has a limit in size, in keys and
values, and in depth, and an error that says which. What these functions accept, JSON can carry and `orjson` can write.
A text within the limits keeps a processor busy for up to about a second: what may be large is read in a thread
(`clusternet_engine.threads`), and the limits are what keeps that short, since a thread can't be stopped.
"""

from __future__ import annotations

import json
import re
from threading import Lock
from typing import Any

import orjson
import yaml

from clusternet_engine.model.limits import MAX_DEPTH, OBJECT, DocumentError, Limits
from clusternet_engine.model.remembered import Remembered
from clusternet_engine.model.yaml_reading import Part, read_yaml

__all__ = [
    "FORMATS",
    "DocumentError",
    "copied",
    "read_document",
    "read_documents",
    "read_json",
    "read_kubernetes",
    "read_part",
    "write_json",
    "write_yaml",
]

FORMATS = ("YAML", "JSON")

_BESIDE_COMMAS = bytes(set(range(256)) - set(b'",'))
_PIECE = 64 * 2**10
"""Bytes of a text that are taken apart at once."""

_REMEMBERED = 2 * 2**20
"""Characters of texts whose values are kept; a value takes up to thirty times the memory of its text."""


class _Dumper(yaml.SafeDumper):
    """Writes so that YAML 1.1 and 1.2 read the same: what either takes for more than text is quoted."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^[yYnN]$"), list("yYnN"))
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile("^[-+]?(?:0b[01_]+|0o[0-7_]+|[0-9][0-9_]*|0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


class _Memory:
    """The values of the texts that were read last: an override is read for each cluster that it is meant for."""

    def __init__(self) -> None:
        self._values: Remembered[str, Any] = Remembered(_REMEMBERED)
        self._lock = Lock()

    def value(self, text: str) -> Any:
        with self._lock:
            value = self._values.get(text)
        if value is None:
            value = _json_or_yaml(text, OBJECT)
            with self._lock:
                self._values.put(text, value, len(text))
        return value


_memory = _Memory()


def read_document(text: str) -> Any:
    """Return the value of a YAML or JSON text, as JSON could carry it; it is shared and must not be changed.

    Raises:
        DocumentError: it is neither, holds what JSON can't carry, or is too large.
    """
    return _memory.value(text)


def read_kubernetes(text: str | bytes, limits: Limits = OBJECT) -> Any:
    """Return the value of a YAML or JSON text in which somebody has written an object, a patch, values or a file.

    None stands for an empty text.

    Raises:
        DocumentError: it is neither, holds what JSON can't carry, or is too large.
    """
    return _json_or_yaml(text, limits)


def read_documents(text: str | bytes, limits: Limits = OBJECT) -> list[Any]:
    """Return the values of all documents in a YAML text, as `read_kubernetes` reads them.

    Raises:
        DocumentError: it is not YAML, holds what JSON can't carry, or is too large.
    """
    return read_yaml(text, limits)


def read_part(text: str | bytes, path: tuple[str, ...], limits: Limits) -> Any:
    """Return a YAML text of which nothing is kept but what is at a path of keys, and the maps on the way there.

    An index of charts is a hundred times what one chart needs of it. None stands for an empty text.

    Raises:
        DocumentError: it is not YAML, holds what JSON can't carry, or is too large: the text, or what is kept of it.
    """
    documents = read_yaml(text, limits, Part(path, OBJECT.nodes))
    return documents[0] if documents else None


def read_json(text: str | bytes, limits: Limits = OBJECT) -> Any:
    """Return the value of a JSON text.

    Raises:
        DocumentError: it isn't one, or is too large.
    """
    limits.check_size(text)
    limits.check(_least_nodes(text, limits), 0, 0)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        limits.check(0, 0, MAX_DEPTH + 1 if _is_too_deep(error) else 0)
        raise DocumentError(f"not JSON: {error}") from None
    limits.check_value(value)
    return value


def copied(value: Any) -> Any:
    """Return a copy of a value of JSON that shares nothing with it.

    Raises:
        DocumentError: JSON can't carry it.
    """
    try:
        return orjson.loads(orjson.dumps(value))
    except (TypeError, orjson.JSONDecodeError):
        raise DocumentError("not a document of JSON") from None


def write_json(value: Any, *, sort_keys: bool) -> str:
    """Return JSON, indented by 4 blanks as Clusternet does."""
    return json.dumps(value, indent=4, sort_keys=sort_keys, ensure_ascii=False)


def write_yaml(value: Any) -> str:
    """Return YAML with sorted keys."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=2**31)


def _json_or_yaml(text: str | bytes, limits: Limits) -> Any:
    limits.check_size(text)
    if _least_nodes(text, limits) <= limits.nodes:
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            limits.check(0, 0, MAX_DEPTH + 1 if _is_too_deep(error) else 0)
        else:
            limits.check_value(value)
            return value
    documents = read_yaml(text, limits)
    if len(documents) > 1:
        raise DocumentError("not YAML: it is not a single document, but several")
    return documents[0] if documents else None


def _least_nodes(text: str | bytes, limits: Limits) -> int:
    """Return how many keys and values a text has at least, if it is JSON; orjson builds them all before it is asked.

    Commas outside of strings are counted, by whole pieces of text: a match for each string, all at once, would take
    thirty times the memory of the text.
    """
    if isinstance(text, str):
        if text.count(",") < limits.nodes:
            return 0
        text = text.encode("utf-8", "surrogatepass")
    if text.count(b",") < limits.nodes:
        return 0
    marks = text.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _BESIDE_COMMAS)
    commas, inside = 0, 0
    for start in range(0, len(marks), _PIECE):
        parts = marks[start : start + _PIECE].split(b'"')
        commas += sum(map(len, parts[inside::2]))
        inside ^= (len(parts) - 1) % 2
    return commas + 1


def _is_too_deep(error: orjson.JSONDecodeError) -> bool:
    """Return whether orjson has given up on the depth of a text: it stops at 1,024 levels."""
    return "depth limit" in str(error) or "recursion limit" in str(error).lower()
