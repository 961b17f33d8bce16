# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of ClusterRegistrationRequests (spec/02 §5, §6): building, comparing, showing, and explaining what is stuck."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants, validate
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.managed_cluster import ready_condition
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import Reconciler
from ansible_collections.clusternet.core.plugins.module_utils.resources import (
    CLUSTER_REGISTRATION_REQUESTS,
    MANAGED_CLUSTERS,
    NAMESPACES,
)
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline, wait_until


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
        "registrant": (request["metadata"].get("annotations") or {}).get(constants.ANNOTATION_REGISTRANT),
        "waiting_for_approval": is_waiting(request),
    }


def is_waiting(request: Mapping[str, Any]) -> bool:
    """Whether I(request) waits for an administrator to approve it."""
    status = request.get("status") or {}
    message = status.get("errorMessage") or ""
    return not status.get("result") and message.startswith(f"{constants.REASON_WAITING_FOR_APPROVAL}: ")


class Explanation(NamedTuple):
    """Which step of a registration is stuck, and why; both None when the cluster is registered and ready."""

    stuck_step: Optional[str]
    explanation: Optional[str]


def explain(
    request: Mapping[str, Any],
    managed_cluster: Optional[Mapping[str, Any]],
    wanted_namespace: Optional[Mapping[str, Any]],
) -> Explanation:
    """Say where the registration stands; the ManagedCluster and the wanted namespace are None when they don't exist."""
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
            f"The request is {result}: {reason}. The parent doesn't look at it again; approve it with "
            "clusternet.core.registration, result: approved; or remove the cause, then delete the request. The agent "
            "posts it anew; Clusternet's own has to be restarted for that.",
        )
    return Explanation("approval", _explain_waiting(request, wanted_namespace))


def _explain_waiting(request: Mapping[str, Any], wanted_namespace: Optional[Mapping[str, Any]]) -> str:
    spec = request.get("spec") or {}
    message = (request.get("status") or {}).get("errorMessage")
    if is_waiting(request):
        return (
            "It waits for an administrator. Approve or deny it with clusternet.core.registration, result: approved or "
            "result: denied."
        )
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
            f"The request is approved, but its ManagedCluster {place} is gone. The hub makes it anew, if it runs and "
            "nothing stands in the way"
            + (f": {status['errorMessage']}" if status.get("errorMessage") else "")
            + ". Clusternet's own doesn't: delete the request there and restart the agent.",
        )
    ready = ready_condition(managed_cluster)
    if ready.get("status") == "True":
        return Explanation(None, None)
    reason = ready.get("message") or ready.get("reason") or "no Ready condition"
    if ready.get("status") == "False":
        return Explanation(
            "health",
            f"The agent reports that the API server of {place} isn't healthy: {reason}",
        )
    if not (managed_cluster.get("status") or {}).get("lastObservedTime"):
        return Explanation(
            "heartbeat",
            f"The agent of {place} has never reported. Is it running, has it stored the Secret "
            f"{constants.SECRET_PARENT_CLUSTER}, and does it reach the parent?",
        )
    return Explanation(
        "heartbeat",
        f"The agent of {place} has stopped reporting: {reason}",
    )


def wanted(params: Mapping[str, Any]) -> dict[str, Any]:
    """The request that the module's options ask for; raises ConfigError."""
    cluster_id = validate.cluster_id("cluster_id", params["cluster_id"])
    if params["result"] and params["state"] == "absent":
        raise validate.invalid("result", "a request that is to be absent can't be decided about")
    if params["result"] == "denied" and params["wait"]:
        raise validate.invalid("wait", "a request that is denied is never approved")
    if params["state"] == "absent" or params["cluster_name"] is None:
        return {"metadata": {"name": request_name(cluster_id)}}
    namespace = params["cluster_namespace"]
    return request_of(
        cluster_id,
        validate.cluster_name("cluster_name", params["cluster_name"]),
        None if namespace is None else validate.dns_label("cluster_namespace", namespace),
        params["cluster_type"],
        params["sync_mode"],
        validate.labels("cluster_labels", params["cluster_labels"]),
    )


def ensure(reconciler: Reconciler, wanted: dict[str, Any]) -> tuple[Optional[dict[str, Any]], bool]:
    """Have the request I(wanted); return it and whether it changed. With only its name, it isn't made or changed.

    Raises ClusternetError when the parent has answered a different request already, because nothing would come of it.
    """
    live = reconciler.client.get(CLUSTER_REGISTRATION_REQUESTS.path_of(wanted))
    if "spec" not in wanted:
        return live, False
    if live is None:
        outcome = reconciler.create(CLUSTER_REGISTRATION_REQUESTS, wanted)
        return outcome.after or wanted, True
    fields = differences(wanted, live)
    result = (live.get("status") or {}).get("result")
    if fields and result:
        raise ClusternetError(
            f"The request {wanted['metadata']['name']} differs in {', '.join(fields)} and was answered with {result} "
            "already; what was made of it wouldn't change. Change labels and sync mode with "
            "clusternet.core.managed_cluster; for anything else unregister the cluster first (state: absent there).",
            "AlreadyAnswered",
            fields=fields,
            result=result,
        )
    patch = {"spec": {field: wanted["spec"].get(field) for field in fields}} if fields else {}
    outcome = reconciler.patch(CLUSTER_REGISTRATION_REQUESTS, live, patch)
    return outcome.after or live, outcome.changed


def decide(
    reconciler: Reconciler, request: Optional[dict[str, Any]], name: str, result: str, reason: Optional[str]
) -> tuple[Optional[dict[str, Any]], bool]:
    """Approve or deny a request that was just read or made; return it and whether it changed.

    The hub does the rest: it registers the cluster, or takes away what it had. Raises ClusternetError when there is no
    request.
    """
    if request is None:
        raise ClusternetError(f"There is no request {name} to be {result}.", "NotFound")
    status = request.get("status") or {}
    change: dict[str, Any] = {}
    if result == "approved":
        if status.get("result") != constants.REQUEST_APPROVED:
            change = {"result": constants.REQUEST_APPROVED, "errorMessage": None}
    else:
        message = f"{constants.REASON_DENIED_BY_ADMINISTRATOR}: {reason or 'without a reason'}"
        told = reason is None or status.get("errorMessage") == message
        if status.get("result") != constants.REQUEST_DENIED or not told:
            change = {"result": constants.REQUEST_DENIED, "errorMessage": message, "token": None}
    if reconciler.check_mode and reconciler.client.get(CLUSTER_REGISTRATION_REQUESTS.path_of(request)) is None:
        return {**request, "status": {key: value for key, value in change.items() if value}}, True
    outcome = reconciler.patch_status(CLUSTER_REGISTRATION_REQUESTS, request, change)
    return outcome.after or request, outcome.changed


def remove(reconciler: Reconciler, wanted: dict[str, Any]) -> tuple[Optional[dict[str, Any]], bool]:
    """Remove the request; return it as it was and whether it was there."""
    live = reconciler.client.get(CLUSTER_REGISTRATION_REQUESTS.path_of(wanted))
    return live, reconciler.delete(CLUSTER_REGISTRATION_REQUESTS, live).changed


def wait_approved(client: Client, request: dict[str, Any], timeout: int) -> dict[str, Any]:
    """The request once approved; raises ClusternetError if it is refused, WaitTimeout after I(timeout) seconds."""
    name = request["metadata"]["name"]

    def missing(requests: Iterable[dict[str, Any]]) -> list[str]:
        found = list(requests)
        if not found:
            return ["the request is gone"]
        status = found[0].get("status") or {}
        if status.get("result") == constants.REQUEST_APPROVED and status.get("managedClusterName"):
            return []
        stuck = explain(found[0], None, None)
        if status.get("result") not in (None, "", constants.REQUEST_APPROVED):
            raise ClusternetError(
                stuck.explanation or "", "Denied", result=status["result"], stuck_step=stuck.stuck_step
            )
        return [stuck.explanation or ""]

    return wait_until(
        client,
        CLUSTER_REGISTRATION_REQUESTS.path(),
        missing,
        Deadline(timeout),
        f"Approval of {name}",
        field_selector=f"metadata.name={name}",
        start=request,
    )[0]


def explained(client: Client, requests: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Views of I(requests), each with C(stuck_step) and C(explanation).

    Costs one more list when any is approved, and a GET for each open request that wants a namespace of its own.
    """
    requests = list(requests)
    clusters: dict[tuple, dict[str, Any]] = {}
    if any((request.get("status") or {}).get("result") == constants.REQUEST_APPROVED for request in requests):
        found = client.list(MANAGED_CLUSTERS.path())
        clusters = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in found}
    views = []
    for request in requests:
        status = request.get("status") or {}
        cluster = clusters.get((status.get("dedicatedNamespace"), status.get("managedClusterName")))
        namespace = (request.get("spec") or {}).get("clusterNamespace")
        existing = None
        if namespace and not status.get("result"):
            existing = client.get(NAMESPACES.path(namespace))
        stuck = explain(request, cluster, existing)
        views.append({**view(request), **stuck._asdict()})
    return views


def read(client: Client, label_selector: Optional[str]) -> list[dict[str, Any]]:
    """All requests; none, when the parent doesn't know the kind."""
    try:
        return client.list(CLUSTER_REGISTRATION_REQUESTS.path(), label_selector)
    except ApiError as error:
        if error.status != 404:
            raise
        return []


def matches(request: Mapping[str, Any], cluster_ids: Iterable[str], cluster_names: Iterable[str]) -> bool:
    """Whether I(request) is of a cluster with one of these identities and one of these names; empty means any."""
    spec = request.get("spec") or {}
    return (not cluster_ids or spec.get("clusterId") in cluster_ids) and (
        not cluster_names or spec.get("clusterName") in cluster_names
    )
