"""Documents that users write as text, YAML or JSON, read and written without the surprises of YAML 1.1."""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from typing import Any

import orjson
import yaml

FORMATS = ("YAML", "JSON")

MAX_NODES = 1_000_000
"""Nodes of a document with all its aliases written out: a few lines of YAML can stand for billions."""

_INTEGERS = range(-(2**63), 2**64)
"""What fits into JSON as Kubernetes reads it."""


class DocumentError(ValueError):
    """A text is not the document it should be."""


class _Loader(yaml.SafeLoader if not yaml.__with_libyaml__ else yaml.CSafeLoader):  # type: ignore[misc]
    """Reads as YAML 1.2 does: only true and false are booleans, dates are text, keys are what is written.

    Numbers such as 0644 stay octal, as in all of Kubernetes.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - of the base class

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        """Return the mapping with the text of each key, whatever type it looks like."""
        self.flatten_mapping(node)
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    "while reading a mapping", node.start_mark, "a key is not a plain text", key.start_mark
                )
        return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}

    def whole_number(self, node: yaml.ScalarNode) -> int:
        """Return the number as it is written: decimal, 0x, 0b, or octal with 0 or 0o."""
        text = node.value.replace("_", "")
        sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.removeprefix("+"))
        if digits.isdigit():
            return sign * int(digits, 8 if digits[0] == "0" and not set(digits) & {"8", "9"} else 10)
        return sign * int(digits, 0)


def _resolve(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), list(first))


_resolve("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
_resolve("null", "~|null|Null|NULL|", "~nN")
_Loader.yaml_implicit_resolvers.setdefault("", []).append(("tag:yaml.org,2002:null", re.compile("^$")))
_resolve("merge", "<<", "<")
_resolve("int", "[-+]?(?:0b[01_]+|0o[0-7_]+|[0-9][0-9_]*|0x[0-9a-fA-F_]+)", "-+0123456789")
_resolve("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789")
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)


class _Dumper(yaml.SafeDumper):
    """Writes so that YAML 1.1 and 1.2 read the same: what either takes for more than text is quoted."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^[yYnN]$"), list("yYnN"))


@lru_cache(maxsize=1024)
def read_document(text: str) -> Any:
    """Return the value of a YAML or JSON text, as JSON could carry it; it is shared and must not be changed.

    Raises:
        DocumentError: it is neither, or holds what JSON can't carry.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _read_yaml(text)


def read_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        DocumentError: it isn't one.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise DocumentError(f"not JSON: {error}") from None


def write_json(value: Any, *, sort_keys: bool) -> str:
    """Return JSON, indented by 4 blanks as Clusternet does."""
    return json.dumps(value, indent=4, sort_keys=sort_keys, ensure_ascii=False)


def write_yaml(value: Any) -> str:
    """Return YAML with sorted keys."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=2**31)


def _read_yaml(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MAX_NODES:
            raise DocumentError(f"more than {MAX_NODES} values when its aliases are written out")
        value = loader.construct_document(node)
    except DocumentError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DocumentError(f"not YAML: {_one_line(error)}") from None
    finally:
        loader.dispose()
    _check(value)
    return value


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the nodes below one, those behind aliases as often as they are used."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = MAX_NODES + 1  # for a node that contains itself
        below = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        known[id(node)] = 1 + sum(_size(part, known) for part in below)
    return known[id(node)]


def _check(value: Any) -> None:
    """Make sure that JSON can carry a value."""
    match value:
        case dict():
            for part in value.values():
                _check(part)
        case list():
            for part in value:
                _check(part)
        case bool() | str() | None:
            pass
        case int():
            if value not in _INTEGERS:
                raise DocumentError(f"the number {value} is too large")
        case float():
            if not math.isfinite(value):
                raise DocumentError(f"{value} is no number of JSON")
        case _:
            raise DocumentError(f"a value of type {type(value).__name__} has no place in JSON")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
