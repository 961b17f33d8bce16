"""Which clusters may register: all, those that an administrator approves, or those that rules allow.

A rule names clusters by what stands in their registration request. All that a rule says must fit, and one rule that
fits is enough. Names, namespaces and labels are what the cluster wishes for itself; who has posted the request is
proven where the parent's API server refuses requests that name somebody else (ValidatingAdmissionPolicy
`clusternet-registrant`). Whom no rule allows waits for an administrator, and so does everybody with `Mode.MANUAL`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.registration import registrant

_OWN_DOMAIN = "clusternet.io"


class Mode(StrEnum):
    """Who decides about registration requests."""

    AUTO = "auto"
    """Nobody: whoever has a registration token registers."""
    MANUAL = "manual"
    """An administrator."""
    RULES = "rules"
    """Rules; an administrator where none allows the request."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Requests that are approved. Patterns are those of shells (`edge-*`); what is empty fits everything.

    Attributes:
        names: patterns of the wanted cluster name.
        namespaces: patterns of the wanted namespace, which is empty if the parent may choose.
        labels: patterns by keys of labels that the cluster must wish for.
        registrants: patterns of the user who posted the request, such as `system:bootstrap:<token ID>`.
    """

    names: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    registrants: tuple[str, ...] = ()

    def allows(self, request: Object) -> bool:
        """Return whether a request fits."""
        spec = request["spec"]
        wished = spec.get("clusterLabels") or {}
        return (
            _fits(self.names, spec.get("clusterName") or "")
            and _fits(self.namespaces, spec.get("clusterNamespace") or "")
            and _fits(self.registrants, registrant(request))
            and all(key in wished and fnmatchcase(wished[key], pattern) for key, pattern in self.labels.items())
        )


def parse_rules(text: str) -> tuple[Rule, ...]:
    """Return the rules of a JSON list of objects with the attributes of `Rule`.

    Raises:
        ValueError: it isn't such a list, or a rule says nothing and would allow everybody.
    """
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the approval rules are not JSON: {error}") from None
    if not isinstance(items, list):
        raise ValueError("the approval rules are not a list")
    return tuple(_rule(number, item) for number, item in enumerate(items, start=1))


def is_approved(request: Object, mode: Mode, rules: Sequence[Rule]) -> bool:
    """Return whether a request is approved: by an administrator or earlier, or now by the mode and its rules."""
    if (request.get("status") or {}).get("result") == names.APPROVED or mode is Mode.AUTO:
        return True
    return mode is Mode.RULES and any(rule.allows(request) for rule in rules)


def kept_labels(wished: Mapping[str, str], allowed: Sequence[str] | None) -> dict[str, str]:
    """Return those of the labels that a cluster wishes for that it gets.

    Args:
        wished: the labels.
        allowed: patterns of keys; None if all are.

    Returns:
        The labels that are allowed; never those of Clusternet itself, by which clusters and their parts are found.
    """
    return {
        key: value
        for key, value in wished.items()
        if not _is_own(key) and (allowed is None or any(fnmatchcase(key, pattern) for pattern in allowed))
    }


def _is_own(key: str) -> bool:
    domain, slash, _ = key.rpartition("/")
    return bool(slash) and (domain == _OWN_DOMAIN or domain.endswith(f".{_OWN_DOMAIN}"))


def _fits(patterns: Sequence[str], text: str) -> bool:
    return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)


def _rule(number: int, item: object) -> Rule:
    where = f"approval rule {number}"
    if not isinstance(item, dict):
        raise ValueError(f"{where} is not an object")
    if unknown := item.keys() - {"names", "namespaces", "labels", "registrants"}:
        raise ValueError(f"{where} has unknown fields: {', '.join(sorted(unknown))}")
    labels = item.get("labels") or {}
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise ValueError(f"{where}: labels are not texts by keys")
    rule = Rule(
        names=_patterns(where, item, "names"),
        namespaces=_patterns(where, item, "namespaces"),
        labels=labels,
        registrants=_patterns(where, item, "registrants"),
    )
    if rule == Rule():
        raise ValueError(f"{where} says nothing, so it would allow everybody; that is what the mode auto is for")
    return rule


def _patterns(where: str, item: Mapping[str, object], key: str) -> tuple[str, ...]:
    patterns = item.get(key) or []
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise ValueError(f"{where}: {key} are not a list of texts")
    return tuple(patterns)
