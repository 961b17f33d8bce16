"""Why some feeds can't be rendered for one cluster, as a Base keeps it for its Subscription's status.

Clusternet's Base has no status. What concerns all clusters alike isn't kept here: it can be seen at the feeds.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.documents import DocumentError, read_json
from clusternet_engine.model.rendering import OVERRIDE_FAILED, TOO_LARGE, VALUES_UNREADABLE, Problem

_OF_CLUSTER = (OVERRIDE_FAILED, TOO_LARGE, VALUES_UNREADABLE)
_KEPT = 10
"""Problems that a Base keeps."""


def problems_patch(base: Object, problems: Iterable[Problem]) -> Object:
    """Return the merge patch of a Base that notes these problems; empty if they are noted already."""
    noted = [
        {"reason": problem.reason, "message": problem.message} for problem in problems if problem.reason in _OF_CLUSTER
    ]
    wanted = orjson.dumps(noted[:_KEPT]).decode() if noted else None
    if _noted(base) == wanted:
        return {}
    return {"metadata": {"annotations": {names.RENDERING_PROBLEMS_ANNOTATION: wanted}}}


def noted_problems(base: Object) -> list[tuple[str, str]]:
    """Return reason and message of each problem that a Base keeps."""
    noted = _noted(base)
    try:
        problems = read_json(noted or "[]")
        return [(str(problem["reason"]), str(problem["message"])) for problem in problems]
    except (DocumentError, TypeError, KeyError):
        return []


def _noted(base: Object) -> str | None:
    return (base["metadata"].get("annotations") or {}).get(names.RENDERING_PROBLEMS_ANNOTATION)
