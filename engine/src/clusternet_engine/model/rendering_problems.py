"""Overrides that failed, as a Base keeps them for its Subscription's status.

Clusternet's Base has no status. Other problems concern all clusters alike, so they can be seen at the feeds.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.rendering import OVERRIDE_FAILED, Problem

_KEPT = 10
"""Messages that a Base keeps."""


def problems_patch(base: Object, problems: Iterable[Problem]) -> Object:
    """Return the merge patch of a Base that notes its failed overrides; empty if they are noted already."""
    failed = [problem.message for problem in problems if problem.reason == OVERRIDE_FAILED]
    wanted = orjson.dumps(failed[:_KEPT]).decode() if failed else None
    if _noted(base) == wanted:
        return {}
    return {"metadata": {"annotations": {names.RENDERING_PROBLEMS_ANNOTATION: wanted}}}


def noted_problems(base: Object) -> list[str]:
    """Return the messages of the overrides that failed for a Base."""
    noted = _noted(base)
    try:
        messages = orjson.loads(noted) if noted else []
    except orjson.JSONDecodeError:
        return []
    return [message for message in messages if isinstance(message, str)] if isinstance(messages, list) else []


def _noted(base: Object) -> str | None:
    noted = (base["metadata"].get("annotations") or {}).get(names.RENDERING_PROBLEMS_ANNOTATION)
    return str(noted) if noted is not None else None
