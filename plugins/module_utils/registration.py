# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of ClusterRegistrationRequests (spec/02 §5, §6): building, comparing, showing, and explaining what is stuck."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants
from ansible_collections.clusternet.core.plugins.module_utils.managed_cluster import ready_condition
from ansible_collections.clusternet.core.plugins.module_utils.resources import CLUSTER_REGISTRATION_REQUESTS


def request_name(cluster_id: str) -> str:
    """The only name that the parent accepts for the request of a cluster."""
    return constants.OBJECT_NAME_PREFIX + cluster_id


def request_of(
    cluster_id: str,
    cluster_name: str,
    cluster_namespace: Optional[str],
    cluster_type: str,
    sync_mode: str,
    labels: Mapping[str, str],
) -> dict[str, Any]:
    """The request as an agent would send it (spec/02 §5)."""
    spec: dict[str, Any] = {
        "clusterId": cluster_id,
        "clusterName": cluster_name,
        "clusterType": cluster_type,
        "syncMode": sync_mode,
    }
    if cluster_namespace:
        spec["clusterNamespace"] = cluster_namespace
    if labels:
        spec["clusterLabels"] = dict(labels)
    return {
        "apiVersion": CLUSTER_REGISTRATION_REQUESTS.api_version,
        "kind": CLUSTER_REGISTRATION_REQUESTS.kind,
        "metadata": {
            "name": request_name(cluster_id),
            "labels": {
                constants.LABEL_REGISTERED_BY: constants.CREATED_BY_AGENT,
                constants.LABEL_CLUSTER_ID: cluster_id,
                constants.LABEL_CLUSTER_NAME: cluster_name,
            },
        },
        "spec": spec,
    }


def differences(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    """Names of the spec fields in which two requests differ."""
    one, other = wanted["spec"], live.get("spec") or {}
    return sorted(key for key in set(one) | set(other) if one.get(key) != other.get(key))


def view(request: Mapping[str, Any]) -> dict[str, Any]:
    """What modules return of a request: never its token or certificate authority."""
    spec, status = request.get("spec") or {}, request.get("status") or {}
    return {
        "name": request["metadata"]["name"],
        "cluster_id": spec.get("clusterId"),
        "cluster_name": spec.get("clusterName"),
        "cluster_namespace": spec.get("clusterNamespace"),
        "cluster_type": spec.get("clusterType"),
        "cluster_labels": spec.get("clusterLabels") or {},
        "sync_mode": spec.get("syncMode"),
        "created_at": request["metadata"].get("creationTimestamp"),
        "result": status.get("result"),
        "error_message": status.get("errorMessage"),
        "dedicated_namespace": status.get("dedicatedNamespace"),
        "managed_cluster_name": status.get("managedClusterName"),
    }


class Explanation(NamedTuple):
    """Which step of a registration is stuck, and why; both None when the cluster is registered and ready."""

    stuck_step: Optional[str]
    explanation: Optional[str]


def explain(
    request: Mapping[str, Any],
    managed_cluster: Optional[Mapping[str, Any]],
    wanted_namespace: Optional[Mapping[str, Any]],
) -> Explanation:
    """Say where the registration stands, from the request, its ManagedCluster and the namespace it wants, as far as they exist."""
    spec, status = request.get("spec") or {}, request.get("status") or {}
    name, cluster_id = request["metadata"]["name"], spec.get("clusterId")
    if name != request_name(cluster_id or ""):
        return Explanation(
            "identity",
            f"The request is named {name} but its spec.clusterId is {cluster_id or 'empty'}; the parent denies it. "
            f"Delete it and create it as {constants.OBJECT_NAME_PREFIX}<cluster ID>.",
        )
    result = status.get("result")
    if result == constants.REQUEST_APPROVED:
        return _explain_cluster(status, managed_cluster)
    if result:
        reason = status.get("errorMessage") or "without a reason"
        return Explanation(
            "approval",
            f"The parent answered {result}: {reason}. It doesn't look at the request again; remove the cause, "
            "delete the request and restart the agent.",
        )
    return Explanation("approval", _explain_waiting(request, wanted_namespace))


def _explain_waiting(request: Mapping[str, Any], wanted_namespace: Optional[Mapping[str, Any]]) -> str:
    spec = request.get("spec") or {}
    message = (request.get("status") or {}).get("errorMessage")
    if message:
        return f"The parent can't approve it yet and tries again: {message}"
    if wanted_namespace is not None:
        labels = wanted_namespace["metadata"].get("labels") or {}
        needed = {
            constants.LABEL_CREATED_BY: constants.CREATED_BY_AGENT,
            constants.LABEL_CLUSTER_ID: spec["clusterId"],
        }
        if any(labels.get(key) != value for key, value in needed.items()):
            return (
                f"The wanted namespace {spec['clusterNamespace']} exists and doesn't belong to this cluster. "
                "Ask for another one, or give it the labels "
                + ", ".join(f"{key}={value}" for key, value in needed.items())
                + "."
            )
    return (
        "The parent hasn't answered. Is a hub running there with its leader lease held, "
        "and may it read ClusterRegistrationRequests?"
    )


def _explain_cluster(status: Mapping[str, Any], managed_cluster: Optional[Mapping[str, Any]]) -> Explanation:
    place = f"{status.get('dedicatedNamespace')}/{status.get('managedClusterName')}"
    if managed_cluster is None:
        return Explanation(
            "managed_cluster",
            f"The request is approved, but its ManagedCluster {place} is gone. "
            "Delete the request and restart the agent to register the cluster again.",
        )
    ready = ready_condition(managed_cluster)
    if ready.get("status") == "True":
        return Explanation(None, None)
    if ready.get("status") == "False":
        return Explanation(
            "health",
            f"The agent reports that the API server of {place} isn't healthy: {ready.get('message') or ready.get('reason')}",
        )
    if not (managed_cluster.get("status") or {}).get("lastObservedTime"):
        return Explanation(
            "heartbeat",
            f"The agent of {place} has never reported. Is it running, has it stored the Secret "
            f"{constants.SECRET_PARENT_CLUSTER}, and does it reach the parent?",
        )
    return Explanation(
        "heartbeat",
        f"The agent of {place} has stopped reporting: {ready.get('message') or ready.get('reason') or 'no Ready condition'}",
    )
