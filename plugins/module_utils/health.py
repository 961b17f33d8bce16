# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a native object on a child is available, judged from what was deployed and the status that was observed."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional


def unavailable(obj: Mapping[str, Any], status: Optional[Mapping[str, Any]]) -> Optional[str]:
    """Why I(obj), as it was deployed, isn't available with the observed I(status); None when it is.

    Kinds without a rule are available as soon as they are there.
    """
    rule = _RULES.get((str(obj.get("apiVersion")).partition("/")[0], obj["kind"]))
    if rule is None:
        return None
    if status is None:
        return "its status has not been reported (the agent's feature gate Recovery does that)"
    try:
        return rule(obj.get("spec") or {}, status)
    except (AttributeError, LookupError, TypeError, ValueError):
        return "the status that its cluster reports of it is malformed"


def judged(api_version: str, kind: str) -> bool:
    """Return whether there is a rule for the availability of a kind."""
    return (api_version.partition("/")[0], kind) in _RULES


def workload_path(obj: Mapping[str, Any], namespace: str) -> str:
    """Return the path of an object whose kind has a rule."""
    return f"/apis/{obj['apiVersion']}/namespaces/{namespace}/{obj['kind'].lower()}s/{obj['metadata']['name']}"


def _deployment(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Optional[str]:
    for condition in status.get("conditions") or ():
        if condition.get("reason") == "ProgressDeadlineExceeded":
            return f"it doesn't progress: {condition.get('message')}"
    if status.get("replicas", 0) != status.get("updatedReplicas", 0):
        return f"{status.get('updatedReplicas', 0)} of {status.get('replicas', 0)} replicas are up to date"
    return _enough(status.get("availableReplicas", 0), _wanted_replicas(spec, status), "replicas are available")


def _wanted_replicas(spec: Mapping[str, Any], status: Mapping[str, Any]) -> int:
    """Return how many replicas there should be: those asked for, else as many as the cluster has chosen.

    An autoscaler may choose none: then a Deployment says that it is available. One that is just being made doesn't.
    """
    if spec.get("replicas") is not None:
        return int(spec["replicas"])
    conditions = status.get("conditions") or ()
    idle = any(item.get("type") == "Available" and item.get("status") == "True" for item in conditions)
    return max(status.get("replicas", 0), 0 if idle and not status.get("unavailableReplicas") else 1)


def _stateful_set(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Optional[str]:
    wanted = _wanted_replicas(spec, status)
    on_delete = (spec.get("updateStrategy") or {}).get("type") == "OnDelete"
    if not on_delete and status.get("updateRevision") != status.get("currentRevision"):
        return f"{status.get('updatedReplicas', 0)} of {wanted} replicas are up to date"
    return _enough(status.get("readyReplicas", 0), wanted, "replicas are ready")


def _replica_set(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Optional[str]:
    return _enough(status.get("availableReplicas", 0), _wanted_replicas(spec, status), "replicas are available")


def _daemon_set(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Optional[str]:
    wanted = status.get("desiredNumberScheduled", 0)
    on_delete = (spec.get("updateStrategy") or {}).get("type") == "OnDelete"
    if not on_delete and status.get("updatedNumberScheduled", 0) < wanted:
        return f"{status.get('updatedNumberScheduled', 0)} of {wanted} pods are up to date"
    return _enough(status.get("numberAvailable", 0), wanted, "pods are available")


def _job(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Optional[str]:
    conditions = {item.get("type"): item for item in status.get("conditions") or () if item.get("status") == "True"}
    if "Complete" in conditions:
        return None
    if "Failed" in conditions:
        return f"it failed: {conditions['Failed'].get('message')}"
    if "Expired" in conditions:  # it was removed by its own rules, unseen
        return None
    return f"it runs ({status.get('succeeded', 0)} of {spec.get('completions', 1)} completions)"


def _enough(there: int, wanted: int, what: str) -> Optional[str]:
    return None if there >= wanted else f"{there} of {wanted} {what}"


_RULES: dict[tuple, Callable[[Mapping[str, Any], Mapping[str, Any]], Optional[str]]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
}
