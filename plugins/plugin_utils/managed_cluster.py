# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A ManagedCluster as the inventory shows it: few fields, none that changes with every heartbeat."""

from __future__ import annotations

from typing import Any, TypedDict

from ansible_collections.clusternet.core.plugins.module_utils.constants import CONDITION_READY

SCHEMA_VERSION = 1
"""Version of :class:`ManagedCluster`; a cache written with another one is not read."""

READINESS = {"True": "ready", "False": "not_ready", "Unknown": "unknown"}


class ManagedCluster(TypedDict, total=False):
    """Each field becomes the host variable of the same name with the prefix ``clusternet_``; ``object`` is optional."""

    id: str
    name: str
    namespace: str
    labels: dict[str, str]
    taints: list[dict[str, str]]
    sync_mode: str | None
    cluster_type: str | None
    ready: bool
    readiness: str
    ready_reason: str | None
    status: dict[str, Any]
    object: dict[str, Any]


def normalise(item: dict[str, Any], full_object: bool = False) -> ManagedCluster:
    """Pick the stable fields of a ManagedCluster (spec/01 §2.2); maps and taints come sorted.

    :param item: the object as the API server returned it
    :param full_object: add the whole object under ``object``
    """
    metadata = item["metadata"]
    spec = item.get("spec") or {}
    status = item.get("status") or {}
    condition = next((entry for entry in status.get("conditions") or [] if entry.get("type") == CONDITION_READY), {})
    readiness = READINESS.get(condition.get("status", "Unknown"), "unknown")
    cluster = ManagedCluster(
        id=spec.get("clusterId", ""),
        name=metadata["name"],
        namespace=metadata["namespace"],
        labels=_sorted(metadata.get("labels")),
        taints=_taints(spec.get("taints")),
        sync_mode=spec.get("syncMode"),
        cluster_type=spec.get("clusterType"),
        ready=readiness == "ready",
        readiness=readiness,
        ready_reason=condition.get("reason"),
        status=_status(status),
    )
    if full_object:
        cluster["object"] = item
    return cluster


def _status(status: dict[str, Any]) -> dict[str, Any]:
    nodes = status.get("nodeStatistics") or {}
    return {
        "version": status.get("k8sVersion"),
        "platform": status.get("platform"),
        "agent_version": status.get("agentVersion"),
        "apiserver_url": status.get("apiserverURL"),
        "healthz": status.get("healthz", False),
        "livez": status.get("livez", False),
        "readyz": status.get("readyz", False),
        "nodes": {
            "ready": nodes.get("readyNodes", 0),
            "not_ready": nodes.get("notReadyNodes", 0),
            "unknown": nodes.get("unknownNodes", 0),
            "lost": nodes.get("lostNodes", 0),
        },
        "capacity": _sorted(status.get("capacity")),
        "allocatable": _sorted(status.get("allocatable")),
        "cluster_cidr": status.get("clusterCIDR"),
        "service_cidr": status.get("serviceCIDR"),
        "app_pusher": status.get("appPusher"),
        "use_socket": status.get("useSocket"),
    }


def _taints(taints: list[dict[str, Any]] | None) -> list[dict[str, str]]:
    kept = [
        {"key": taint["key"], "value": taint.get("value") or "", "effect": taint["effect"]} for taint in taints or []
    ]
    return sorted(kept, key=lambda taint: (taint["key"], taint["effect"], taint["value"]))


def _sorted(values: dict[str, Any] | None) -> dict[str, Any]:
    return dict(sorted((values or {}).items()))
