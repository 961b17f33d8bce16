"""How many replicas the nodes of a cluster have room for: the arithmetic of the built-in predictor (spec/03 §4.3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.inventory import pod_needs
from clusternet_engine.model.quantities import parse_quantity
from clusternet_engine.model.tolerations import untolerated_taint

_PODS = "pods"
_ENDED = frozenset({"Succeeded", "Failed"})
_UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": names.NO_SCHEDULE}


def room_in_cluster(requirements: Mapping[str, Any], nodes: Iterable[Object], pods: Iterable[Object]) -> int:
    """Return how many more replicas fit on all nodes together.

    Args:
        requirements: `replicaRequirements` of a FeedInventory.
        nodes: of the cluster.
        pods: of the cluster; those that have ended or have no node yet take no room.

    Raises:
        ValueError: an amount is not a quantity.
    """
    by_node: defaultdict[str, list[Object]] = defaultdict(list)
    for pod in pods:
        if node := (pod.get("spec") or {}).get("nodeName"):
            by_node[node].append(pod)
    return sum(room_on_node(requirements, node, by_node[node["metadata"]["name"]]) for node in nodes)


def room_on_node(requirements: Mapping[str, Any], node: Object, pods: Sequence[Object]) -> int:
    """Return how many more replicas fit on a node that runs these pods.

    Raises:
        ValueError: an amount is not a quantity.
    """
    if not _admits(requirements, node):
        return 0
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    free = defaultdict(Fraction, {name: parse_quantity(amount).value for name, amount in allocatable.items()})
    for pod in pods:
        if (pod.get("status") or {}).get("phase") in _ENDED:
            continue
        free[_PODS] -= 1
        for name, quantity in pod_needs(pod["spec"]).requests.items():
            free[name] -= quantity.value
    requests = (requirements.get("resources") or {}).get("requests") or {}
    needed = {_PODS: Fraction(1), **{name: parse_quantity(amount).value for name, amount in requests.items()}}
    return max(0, min(int(free[name] // amount) for name, amount in needed.items() if amount > 0))


def _admits(requirements: Mapping[str, Any], node: Object) -> bool:
    """Whether a replica may run on a node: taints, node selector and required node affinity."""
    spec, labels = node.get("spec") or {}, node["metadata"].get("labels") or {}
    taints = [*(spec.get("taints") or ()), *([_UNSCHEDULABLE] if spec.get("unschedulable") else ())]
    if untolerated_taint(taints, requirements.get("tolerations") or ()):
        return False
    if any(labels.get(key) != value for key, value in (requirements.get("nodeSelector") or {}).items()):
        return False
    affinity = (requirements.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(_fits(term, labels, node["metadata"]["name"]) for term in required.get("nodeSelectorTerms") or ())


def _fits(term: Mapping[str, Any], labels: Mapping[str, str], name: str) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(_meets(one, labels) for one in expressions) and all(
        _meets(one, {"metadata.name": name}) for one in fields
    )


def _meets(expression: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    value, wanted = values.get(expression["key"]), expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return _compares(operator, value, wanted)
        case _:
            return False


def _compares(operator: str, value: str | None, wanted: Sequence[str]) -> bool:
    try:
        [limit] = map(int, wanted)
        there = int(value or "")
    except ValueError:
        return False
    return there > limit if operator == "Gt" else there < limit
