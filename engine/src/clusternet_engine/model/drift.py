"""Whether an object on a cluster is still what was applied (spec/03 §8.2, §11)."""

from __future__ import annotations

from typing import Any

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.documents import DocumentError, read_json


def drifted(live: Object, wanted: Object) -> bool:
    """Return whether something wanted is missing on the cluster or different there; additions are nobody's business.

    Status and what the system keeps in the metadata don't count, as `wanted` has none of that.
    """
    return not _contains(live, wanted)


def outdated(live: Object, wanted: Object) -> bool:
    """Return whether something else than `wanted` was applied last: then the difference is no drift."""
    return bool(_last_applied(live) != _last_applied(wanted))


def needs_apply(live: Object, wanted: Object) -> bool:
    """Return whether an object must be applied: it is new in some way, was changed, or fields have to go."""
    return _last_applied(wanted) is None or outdated(live, wanted) or drifted(live, wanted)


def _last_applied(obj: Object) -> Any:
    """Return what the annotation says; both sides may write the same in different ways."""
    text = (obj["metadata"].get("annotations") or {}).get(names.LAST_APPLIED_ANNOTATION)
    if text is None:
        return None
    try:
        return read_json(text)
    except DocumentError:
        return text


def _contains(live: Any, wanted: Any) -> bool:
    match wanted:
        case None:
            return not live
        case dict():
            if not wanted:
                return live is None or isinstance(live, dict)
            return isinstance(live, dict) and all(_contains(live.get(key), value) for key, value in wanted.items())
        case []:
            return not live
        case list():
            return (
                isinstance(live, list)
                and len(live) == len(wanted)
                and all(_contains(there, value) for there, value in zip(live, wanted, strict=True))
            )
        case _:
            return isinstance(live, bool) == isinstance(wanted, bool) and bool(live == wanted)
