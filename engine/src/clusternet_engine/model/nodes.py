"""What the nodes of a child say about it: how many are ready, and what they have together (spec/02 §8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.conditions import find_condition
from clusternet_engine.model.quantities import parse_quantity, sum_quantities

_ALWAYS = ("cpu", "memory")
_WHERE_PRESENT = ("nvidia.com/gpu",)
_FIELDS = {names.TRUE: "readyNodes", names.FALSE: "notReadyNodes", names.UNKNOWN: "unknownNodes"}


def node_statistics(nodes: Iterable[Object]) -> dict[str, int]:
    """Return `status.nodeStatistics`: nodes by their condition Ready, `lostNodes` without one; zeros are left out."""
    counts: Counter[str] = Counter()
    for node in nodes:
        ready = find_condition((node.get("status") or {}).get("conditions"), names.READY)
        counts[_FIELDS.get(ready["status"], "lostNodes") if ready else "lostNodes"] += 1
    return dict(counts)


def sum_resources(resources: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the sums of `cpu`, `memory` and, where any node has some, `nvidia.com/gpu`; a missing amount counts as 0.

    Raises:
        ValueError: an amount is not a quantity.
    """
    amounts = list(resources)
    sums = {}
    for name in (*_ALWAYS, *_WHERE_PRESENT):
        total = sum_quantities(parse_quantity(amount.get(name) or 0) for amount in amounts)
        if total.value or name in _ALWAYS:
            sums[name] = str(total)
    return sums
