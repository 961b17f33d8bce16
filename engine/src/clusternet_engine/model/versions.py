"""Semantic versions, and constraints on them in the words that Helm takes (spec/03 §1.2, §8.3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import total_ordering

_STRICT = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z.-]+))?"
)
_LOOSE = re.compile(r"v?(\d+)(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?")
_TERM = re.compile(r"(=|==|!=|>|<|>=|=>|<=|=<|~|~>|\^)?\s*(v?[0-9xX*][0-9A-Za-z.*+-]*)")
_WILD = ("x", "X", "*")


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """A semantic version; what follows `+` doesn't count."""

    numbers: tuple[int, int, int]
    pre: tuple[str, ...] = ()

    def __lt__(self, other: Version) -> bool:
        if self.numbers != other.numbers:
            return self.numbers < other.numbers
        if not self.pre or not other.pre:
            return bool(self.pre) and not other.pre
        return [_rank(part) for part in self.pre] < [_rank(part) for part in other.pre]


def _rank(part: str) -> tuple[int, int, str]:
    return (0, int(part), "") if part.isdigit() else (1, 0, part)


def parse_version(text: str) -> Version | None:
    """Return a version, also one that is shortened or begins with `v`; None where the text is none."""
    found = _LOOSE.fullmatch(text.strip())
    if not found or any(found[place] in _WILD for place in (2, 3)):
        return None
    return _version(found)


def is_strict(text: str) -> bool:
    """Return whether a text is a whole semantic version without `v`."""
    return _STRICT.fullmatch(text) is not None


def _version(found: re.Match[str]) -> Version:
    numbers = tuple(0 if part is None or part in _WILD else int(part) for part in found.group(1, 2, 3))
    return Version((numbers[0], numbers[1], numbers[2]), tuple(found[4].split(".")) if found[4] else ())


def satisfies(version: str, constraint: str) -> bool:
    """Return whether a version is what a constraint asks for.

    Constraints are versions, ranges (`~1.2`, `^1`, `1.2.x`, `>=1.2 <2`, `1.2 - 1.4`), joined by blanks or commas for
    "and", by `||` for "or"; an empty one takes every released version. Versions before their release are taken only
    where a term names one.

    A constraint that can't be read takes what is spelt the same.
    """
    parsed = parse_version(version)
    if parsed is None:
        return version == constraint
    wanted = constraint.strip() or "*"
    tests = [_all_of(part) for part in wanted.split("||")]
    if any(test is None for test in tests):
        return version == constraint
    return any(test(parsed) for test in tests if test is not None)


def _all_of(text: str) -> Callable[[Version], bool] | None:
    text = re.sub(r"(\S+)\s+-\s+(\S+)", r">=\1 <=\2", text.strip())
    tests: list[Callable[[Version], bool]] = []
    named_pre = False
    while text:
        found = _TERM.match(text)
        if not found:
            return None
        test = _term(found[1] or "", found[2])
        if test is None:
            return None
        tests.append(test)
        named_pre = named_pre or "-" in found[2]
        text = text[found.end() :].lstrip(" ,")
    return (lambda version: (named_pre or not version.pre) and all(test(version) for test in tests)) if tests else None


def _term(operator: str, text: str) -> Callable[[Version], bool] | None:
    if text in _WILD:
        return lambda version: True
    found = _LOOSE.fullmatch(text)
    if not found:
        return None
    low = _version(found)
    given = sum(1 for part in found.group(1, 2, 3) if part is not None and part not in _WILD)
    match operator:
        case "" | "=" | "==":
            return lambda version: version == low if given == 3 else low <= version < _after(low, given)
        case "!=":
            return lambda version: version != low if given == 3 else not low <= version < _after(low, given)
        case ">":
            return lambda version: version > low if given == 3 else version >= _after(low, given)
        case ">=" | "=>":
            return lambda version: version >= low
        case "<":
            return lambda version: version < low
        case "<=" | "=<":
            return lambda version: version <= low if given == 3 else version < _after(low, given)
        case "~" | "~>":
            return lambda version: low <= version < _after(low, min(given, 2))
        case _:
            return lambda version: low <= version < _after(low, _caret(low, given))


def _caret(low: Version, given: int) -> int:
    """Return how many of the numbers `^` holds fast: up to the first that isn't zero."""
    return next((place + 1 for place in range(given) if low.numbers[place]), given)


def _after(low: Version, held: int) -> Version:
    """Return the first version with others in the places that are held fast."""
    major, minor, patch = low.numbers
    return Version(((major + 1, 0, 0), (major, minor + 1, 0), (major, minor, patch + 1))[held - 1])
