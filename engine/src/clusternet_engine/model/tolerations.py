"""Taints and tolerations as Kubernetes' core/v1 has them; for clusters (spec/03 §2.1) and for nodes (§4.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names

_KEEPS_AWAY = frozenset({names.NO_SCHEDULE, names.NO_EXECUTE})
HIGHEST_SCORE = 100


def tolerates(toleration: Object, taint: Object) -> bool:
    """Return whether a toleration covers a taint; an empty key or effect covers every one."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    match toleration.get("operator") or "Equal":
        case "Exists":
            return True
        case "Equal":
            return (toleration.get("value") or "") == (taint.get("value") or "")
        case _:
            return False


def untolerated_taint(taints: Iterable[Object], tolerations: Sequence[Object]) -> Object | None:
    """Return the first taint that keeps its bearer from being chosen, None where there is none."""
    return next(
        (taint for taint in taints if taint["effect"] in _KEEPS_AWAY and not _covered(taint, tolerations)), None
    )


def aversions(taints: Iterable[Object], tolerations: Sequence[Object]) -> int:
    """Return how many taints ask, without insisting, that their bearer be avoided."""
    return sum(taint["effect"] == names.PREFER_NO_SCHEDULE and not _covered(taint, tolerations) for taint in taints)


def taint_text(taint: Object) -> str:
    """Return a taint as kubectl writes it: `dedicated=user1:NoSchedule`."""
    value = taint.get("value")
    return f"{taint['key']}={value}:{taint['effect']}" if value else f"{taint['key']}:{taint['effect']}"


def normalise(values: Sequence[int], *, reverse: bool = False) -> list[int]:
    """Return scores from 0 to 100 in proportion to the values; with `reverse` the highest value scores lowest."""
    highest = max(values, default=0)
    if highest == 0:
        return [HIGHEST_SCORE if reverse else 0] * len(values)
    scores = [HIGHEST_SCORE * value // highest for value in values]
    return [HIGHEST_SCORE - score for score in scores] if reverse else scores


def _covered(taint: Object, tolerations: Sequence[Object]) -> bool:
    return any(tolerates(toleration, taint) for toleration in tolerations)
