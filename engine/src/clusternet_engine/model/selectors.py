"""Label selectors: as text (`env=prod,region in (a,b),!gpu`) and as the object `LabelSelector` (spec/01 §3.0)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clusternet_engine.model.labels import is_label_key, is_label_value

IN = "In"
NOT_IN = "NotIn"
EXISTS = "Exists"
DOES_NOT_EXIST = "DoesNotExist"

_TERM = re.compile(
    r"""\s*(?:
        (?P<absent>!)\s*(?P<absent_key>[^\s=!,()]+)
      | (?P<key>[^\s=!,()]+)\s*
        (?:(?P<equality>==|=|!=)\s*(?P<value>[^\s=!,()]*)
         | (?<=\s)(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?
    )\s*(?:,|$)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on the labels of an object."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels meet it; an absent label meets NotIn, as in Kubernetes."""
        if self.operator == EXISTS:
            return self.key in labels
        if self.operator == DOES_NOT_EXIST:
            return self.key not in labels
        if self.operator == IN:
            return labels.get(self.key) in self.values
        return self.key not in labels or labels[self.key] not in self.values


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements together; none at all select everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Return whether the labels meet all requirements."""
        return all(requirement.matches(labels or {}) for requirement in self.requirements)


def parse_selector(text: str) -> Selector:
    """Return the selector of a text, as kubectl takes it.

    Raises:
        ValueError: the text is not a selector, or a key or value is none of a label.
    """
    requirements: list[Requirement] = []
    position = 0
    while position < len(text.rstrip()):
        match = _TERM.match(text, position)
        if not match:
            raise ValueError(f"{text!r} is not a label selector; it goes wrong at {text[position:].strip()!r}")
        requirements.append(_of_term(match))
        position = match.end()
    if text.rstrip().endswith(","):
        raise ValueError(f"{text!r} is not a label selector; it ends with a comma")
    return Selector(tuple(requirements))


def selector_of(label_selector: Mapping[str, Any]) -> Selector:
    """Return the selector of a `LabelSelector` object; an empty one selects everything.

    Raises:
        ValueError: an operator is unknown, its values don't fit it, or a key or value is none of a label.
    """
    requirements = [_requirement(key, IN, [value]) for key, value in (label_selector.get("matchLabels") or {}).items()]
    for expression in label_selector.get("matchExpressions") or ():
        requirements.append(_requirement(expression["key"], expression["operator"], expression.get("values") or []))
    return Selector(tuple(requirements))


def _of_term(match: re.Match[str]) -> Requirement:
    if match["absent"]:
        return _requirement(match["absent_key"], DOES_NOT_EXIST, [])
    if match["set"]:
        values = [value.strip() for value in match["values"].split(",")]
        return _requirement(match["key"], IN if match["set"] == "in" else NOT_IN, values)
    if match["equality"]:
        return _requirement(match["key"], NOT_IN if match["equality"] == "!=" else IN, [match["value"]])
    return _requirement(match["key"], EXISTS, [])


def _requirement(key: str, operator: str, values: list[str]) -> Requirement:
    if not is_label_key(key):
        raise ValueError(f"{key!r} is not the key of a label")
    if operator not in (IN, NOT_IN, EXISTS, DOES_NOT_EXIST):
        raise ValueError(f"unknown operator {operator!r}; known are {IN}, {NOT_IN}, {EXISTS} and {DOES_NOT_EXIST}")
    if bool(values) != (operator in (IN, NOT_IN)):
        raise ValueError(f"operator {operator} of {key!r} {'needs values' if not values else 'takes no values'}")
    for value in values:
        if not is_label_value(value):
            raise ValueError(f"{value!r} is not the value of a label")
    return Requirement(key, operator, frozenset(values))
