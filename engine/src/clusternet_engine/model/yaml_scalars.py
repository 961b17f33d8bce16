"""What texts, keys and merges of YAML stand for, as kubectl, Helm and API servers read them.

They share one reader, which is neither YAML 1.1 nor 1.2: `yes`, `on` and `y` are booleans, `0644`, `0o644`, `1_000` and
`1e3` are numbers, but dates, times such as `12:30:45`, and `=` are text. What doesn't fit into 64 bits is a float, what
is too large for a float is text. A key that isn't text becomes one. Modules and engine have the same file.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Any

TAG = "tag:yaml.org,2002:"
"""What the names of YAML's own tags begin with; `!!int` is short for such a one."""
MERGE = "<<"
"""The key whose value is merged into its map."""
MAX_DIGITS = 400
"""Characters of a number; reading one takes time by the square of its length."""

_BOOLEANS = {
    spelling: value
    for value, words in ((True, ("y", "yes", "true", "on")), (False, ("n", "no", "false", "off")))
    for word in words
    for spelling in (word, word.capitalize(), word.upper())
}
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_NOT_FINITE = frozenset(
    (*(f"{sign}.{word}" for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")), ".nan", ".NaN", ".NAN")
)
_NUMERIC = frozenset("+-.0123456789")
_WHOLE = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INTEGERS = range(-(2**63), 2**63)


def plain(text: str) -> Any:
    """Return what a text without quotes and tag stands for.

    Raises:
        ValueError: it is a number that isn't finite, or too long a one; the message doesn't repeat it.
    """
    if text in _NULLS:
        return None
    if text[0] in _NUMERIC:
        return _number(text)
    return _BOOLEANS.get(text, text)


def tagged(tag: str, text: str) -> Any:
    """Return what a text with a tag stands for; tags that aren't YAML's own, and those of maps and lists, say nothing.

    Raises:
        ValueError: it isn't what the tag says; the message doesn't repeat it.
    """
    kind = tag[len(TAG) :] if tag.startswith(TAG) else ""
    if kind == "binary":
        try:
            return base64.b64decode("".join(text.split()), validate=True).decode(errors="replace")
        except binascii.Error:
            raise ValueError("a value is not the base64 that its tag says") from None
    if kind not in ("null", "bool", "int", "float"):
        return text
    value = plain(text)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {
        "null": value is None,
        "bool": isinstance(value, bool),
        "int": number and bool(_WHOLE.match(text.replace("_", ""))),
        "float": number,
    }
    if not fits[kind]:
        raise ValueError("a value is not what its tag says")
    return value


def key(value: Any) -> str:
    """Return the key of a map that a value becomes.

    Raises:
        ValueError: it is null, a map or a list.
    """
    if isinstance(value, (dict, list)):
        raise ValueError("a key is a map or a list")
    if value is None:
        raise ValueError("a key is null; quote it if it is a text")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def merged(value: Any) -> dict[str, Any]:
    """Return what the value of a merge key brings into its map; of several maps, the first wins.

    Raises:
        ValueError: there is something else than maps.
    """
    maps = value[::-1] if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in maps):
        raise ValueError("a merge key << has something else than maps; quote the key if it is none")
    return {key: item for one in maps for key, item in one.items()}


def _number(text: str) -> Any:
    if text in _NOT_FINITE:
        raise ValueError("a number is infinite, or none at all; quote it if it is a text")
    digits = text.replace("_", "")
    whole, real = _WHOLE.match(digits), _FLOAT.match(digits)
    if not whole and not real:
        return text
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} characters; quote it if it is a text")
    if whole:
        value = _whole(digits)
        if value in _INTEGERS:
            return value
        # Readers of JSON take it for a float, too; a number of another base is text when it doesn't fit 64 bits.
        return float(value) if real or value in range(2**64) else text
    number = float(digits)
    if not math.isfinite(number):
        return text
    # JSON has one sort of numbers: 1e3 and 1.0 go to the API server as 1000 and 1.
    return int(number) if number.is_integer() and int(number) in _INTEGERS else number


def _whole(digits: str) -> int:
    sign, unsigned = (-1, digits[1:]) if digits[0] == "-" else (1, digits.lstrip("+"))
    octal = len(unsigned) > 1 and unsigned[0] == "0" and unsigned[1].isdigit()
    return sign * int(unsigned, 8 if octal else 0)
