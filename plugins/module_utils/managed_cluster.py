# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of ManagedClusters (spec/01 §2.2, spec/02 §8, §9): choosing, showing, labels, taints, readiness."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants, validate

SYSTEM_LABELS = (constants.LABEL_CREATED_BY, constants.LABEL_CLUSTER_ID, constants.LABEL_CLUSTER_NAME)
# Taints that the parent sets and removes itself, by key and effect (spec/02 §9).
SYSTEM_TAINTS = (
    (constants.TAINT_UNSCHEDULABLE, "NoSchedule"),
    (constants.TAINT_INITIALIZATION, "NoSchedule"),
)


def place(cluster: Mapping[str, Any]) -> str:
    """C(namespace/name), how messages and results call a cluster."""
    return f"{cluster['metadata']['namespace']}/{cluster['metadata']['name']}"


def cluster_id(cluster: Mapping[str, Any]) -> str:
    """Identity of the cluster."""
    return (cluster.get("spec") or {}).get("clusterId", "")


def ready_condition(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """The condition of type Ready, empty when there is none."""
    conditions = (cluster.get("status") or {}).get("conditions") or ()
    return next((item for item in conditions if item.get("type") == constants.CONDITION_READY), {})


def not_ready(cluster: Mapping[str, Any]) -> Optional[str]:
    """Why the cluster isn't ready; None when it is."""
    ready = ready_condition(cluster)
    if not ready:
        return f"{place(cluster)}: its agent has not reported yet"
    if ready.get("status") == "True":
        return None
    reason = ready.get("message") or ready.get("reason") or "no reason given"
    return f"{place(cluster)}: Ready is {ready.get('status')} ({reason})"


def not_all_ready(clusters: Iterable[Mapping[str, Any]], minimum: int = 0) -> list[str]:
    """What is missing until at least I(minimum) clusters are there and all of them ready."""
    clusters = list(clusters)
    missing = [reason for reason in map(not_ready, clusters) if reason]
    if len(clusters) < minimum:
        missing.insert(0, f"{len(clusters)} of {minimum} clusters are registered")
    return missing


def view(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """What modules return of a cluster; every key is always there."""
    spec, status, metadata = cluster.get("spec") or {}, cluster.get("status") or {}, cluster["metadata"]
    nodes = status.get("nodeStatistics") or {}
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "cluster_id": spec.get("clusterId"),
        "cluster_type": spec.get("clusterType"),
        "sync_mode": spec.get("syncMode"),
        "labels": metadata.get("labels") or {},
        "annotations": metadata.get("annotations") or {},
        "taints": spec.get("taints") or [],
        "created_at": metadata.get("creationTimestamp"),
        "ready": ready_condition(cluster).get("status", "Unknown"),
        "conditions": status.get("conditions") or [],
        "last_observed_time": status.get("lastObservedTime"),
        "heartbeat_frequency_seconds": status.get("heartbeatFrequencySeconds"),
        "kubernetes_version": status.get("k8sVersion"),
        "agent_version": status.get("agentVersion"),
        "platform": status.get("platform"),
        "apiserver_url": status.get("apiserverURL"),
        "healthz": status.get("healthz"),
        "livez": status.get("livez"),
        "readyz": status.get("readyz"),
        "app_pusher": status.get("appPusher"),
        "use_socket": status.get("useSocket"),
        "cluster_cidr": status.get("clusterCIDR"),
        "service_cidr": status.get("serviceCIDR"),
        "nodes": {
            "ready": nodes.get("readyNodes", 0),
            "not_ready": nodes.get("notReadyNodes", 0),
            "unknown": nodes.get("unknownNodes", 0),
            "lost": nodes.get("lostNodes", 0),
        },
        "capacity": status.get("capacity") or {},
        "allocatable": status.get("allocatable") or {},
    }


def wanted_labels(option: str, labels: Optional[Mapping[Any, Any]]) -> Optional[dict[str, Optional[str]]]:
    """Checked labels, of which those with the value None are to be removed; None when nothing is asked.

    Labels that the parent or the agent writes are refused, because they would be set back (spec/02 §8).
    Raises ConfigError.
    """
    if labels is None:
        return None
    for key in labels:
        validate.label_key(option, key)
        if key in SYSTEM_LABELS:
            raise validate.invalid(option, f"{key} identifies the cluster and can't be changed")
        if key.startswith(constants.LABEL_PREFIX_NODE):
            raise validate.invalid(option, f"{key} is set by the agent from the labels of the nodes")
    return {key: None if value is None else validate.label_value(option, key, value) for key, value in labels.items()}


def wanted_taints(option: str, taints: Optional[Iterable[Mapping[str, Any]]]) -> Optional[list[dict[str, str]]]:
    """Checked taints; None when nothing is asked. Those that the parent manages are refused; raises ConfigError."""
    if taints is None:
        return None
    wanted: dict[tuple, dict[str, str]] = {}
    for taint in taints:
        key = validate.label_key(option, taint["key"])
        identity = (key, taint["effect"])
        if identity in SYSTEM_TAINTS:
            raise validate.invalid(option, f"{key}:{taint['effect']} is set and removed by the parent itself")
        if identity in wanted:
            raise validate.invalid(option, f"{key}:{taint['effect']} is given twice")
        value = validate.label_value(option, key, taint.get("value") or "")
        wanted[identity] = {"key": key, "effect": taint["effect"], **({"value": value} if value else {})}
    return list(wanted.values())


def label_patch(wanted: Optional[Mapping[str, Optional[str]]], purge: bool, live: Mapping[str, str]) -> dict[str, Any]:
    """The merge patch of labels that brings I(live) to I(wanted), empty when nothing is to do.

    With I(purge) all other labels go, except those that the parent and the agent keep.
    """
    if wanted is None:
        return {}
    patch = {key: value for key, value in wanted.items() if live.get(key) != value}
    if purge:
        patch.update(
            (key, None)
            for key in live
            if key not in wanted and key not in SYSTEM_LABELS and not key.startswith(constants.LABEL_PREFIX_NODE)
        )
    return patch


def taint_list(
    wanted: Optional[Iterable[Mapping[str, str]]], purge: bool, live: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The taints that the cluster should have; those it has already keep their place and the time they were added.

    Taints are the same when key and effect are. With I(purge) all others go, except those that the parent manages.
    """
    if wanted is None:
        return [dict(taint) for taint in live]
    missing = {(taint["key"], taint["effect"]): dict(taint) for taint in wanted}
    result = []
    for taint in live:
        identity = (taint["key"], taint["effect"])
        new = missing.pop(identity, None)
        if new is not None:
            result.append(dict(taint) if new.get("value", "") == taint.get("value", "") else new)
        elif not purge or identity in SYSTEM_TAINTS:
            result.append(dict(taint))
    return result + list(missing.values())


def change(
    cluster: Mapping[str, Any],
    labels: Optional[Mapping[str, Optional[str]]],
    purge_labels: bool,
    taints: Optional[Iterable[Mapping[str, str]]],
    purge_taints: bool,
    sync_mode: Optional[str],
) -> dict[str, Any]:
    """The merge patch that makes I(cluster) what is wanted, empty when it is; None leaves a thing as it is."""
    patch: dict[str, Any] = {}
    spec = cluster.get("spec") or {}
    metadata = label_patch(labels, purge_labels, cluster["metadata"].get("labels") or {})
    if metadata:
        patch["metadata"] = {"labels": metadata}
    live = [dict(taint) for taint in spec.get("taints") or ()]
    after = taint_list(taints, purge_taints, live)
    if after != live:
        patch["spec"] = {"taints": after}
        # Others write taints too: a list can only be replaced as a whole, so the server has to refuse a stale one.
        patch.setdefault("metadata", {})["resourceVersion"] = cluster["metadata"]["resourceVersion"]
    if sync_mode is not None and sync_mode != spec.get("syncMode"):
        patch.setdefault("spec", {})["syncMode"] = sync_mode
    return patch
