"""Labels whose key is a UID and whose value a kind: who uses a feed, what an override is for (spec/01 §6).

Clusternet finds objects by them; here they are only kept for others to see, since a feed that is made anew has another
UID (spec/03 §7.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from clusternet_engine.kube.resources import Object

_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def uid_label(obj: Object, kind: str | None = None) -> dict[str, str]:
    """Return the label that means an object.

    Args:
        obj: the object.
        kind: the value, if it isn't the object's own kind.
    """
    return {obj["metadata"]["uid"]: kind or obj["kind"]}


def uid_labels(obj: Object, kinds: Iterable[str]) -> dict[str, str]:
    """Return the UID labels of an object that mean objects of these kinds."""
    wanted = frozenset(kinds)
    labels = obj["metadata"].get("labels") or {}
    return {key: value for key, value in labels.items() if value in wanted and _UID.fullmatch(key)}


def without_uid_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return all labels but those whose key is a UID."""
    return {key: value for key, value in labels.items() if not _UID.fullmatch(key)}


def labels_patch(there: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str | None]:
    """Return the merge patch that makes the labels `there` the wanted ones; empty if nothing is to do."""
    changed: dict[str, str | None] = {key: value for key, value in wanted.items() if there.get(key) != value}
    return changed | dict.fromkeys(there.keys() - wanted.keys())
