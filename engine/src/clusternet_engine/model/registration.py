"""Registration: judging a ClusterRegistrationRequest, and the objects an approved cluster gets (spec/02 §6)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from itertools import repeat

from clusternet_engine.kube.resources import MANAGED_CLUSTERS, NAMESPACES, SECRETS, SERVICE_ACCOUNTS, Object, Resource
from clusternet_engine.model import constants as names
from clusternet_engine.model.labels import is_label_key, is_label_value
from clusternet_engine.model.names import cluster_object_name, derived_names, is_dns_label, is_dns_subdomain
from clusternet_engine.model.taints import initialization_taint


class Reason(StrEnum):
    """Why a request isn't approved; stands before the sentence in `status.errorMessage`, and is the event's reason."""

    CLUSTER_ID_MISMATCH = "ClusterIDMismatch"
    INVALID_REQUEST = "InvalidRequest"
    NAMESPACE_RESERVED = "NamespaceReserved"
    NAMESPACE_EXISTS = "NamespaceExists"
    NAMESPACE_TAKEN = "NamespaceTaken"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    CLUSTER_NAME_TAKEN = "ClusterNameTaken"
    TOKEN_SECRET_EXISTS = "TokenSecretExists"  # noqa: S105 - a word, not a password
    TOKEN_NOT_ISSUED = "TokenNotIssued"  # noqa: S105 - a word, not a password
    REFUSED_BY_PARENT = "RefusedByParent"
    WAITING_FOR_APPROVAL = "WaitingForApproval"


class Obstacle(Exception):
    """A request can't be approved now, for a reason that people must hear of; it is tried again.

    Attributes:
        reason: one word.
        message: what is wrong and what to do.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class IdMismatch(Obstacle):
    """The request's name doesn't belong to its cluster ID: the one case that is denied (spec/02 §6.1)."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.CLUSTER_ID_MISMATCH, message)


def check_request(request: Object, reserved_namespaces: Iterable[str]) -> None:
    """Check everything about a request that can be known from itself.

    Args:
        request: the ClusterRegistrationRequest.
        reserved_namespaces: namespaces no cluster may have for itself.

    Raises:
        IdMismatch: the name isn't `clusternet-<spec.clusterId>`.
        Obstacle: a field has a value that can't be used.
    """
    spec = request.get("spec") or {}
    cluster_id, name = spec.get("clusterId") or "", request["metadata"]["name"]
    if not cluster_id or name != cluster_object_name(cluster_id):
        raise IdMismatch(f"the name of the request must be {names.PREFIX} and spec.clusterId, which is {cluster_id!r}")
    if not is_label_value(cluster_id):
        raise Obstacle(Reason.INVALID_REQUEST, f"spec.clusterId {cluster_id!r} can't be the value of a label")
    cluster = spec.get("clusterName") or ""
    if not (is_dns_subdomain(cluster) and is_label_value(cluster)):
        raise Obstacle(Reason.INVALID_REQUEST, f"spec.clusterName {cluster!r} is not a name an object can have")
    namespace = spec.get("clusterNamespace") or ""
    if namespace and not is_dns_label(namespace):
        raise Obstacle(Reason.INVALID_REQUEST, f"spec.clusterNamespace {namespace!r} is not a name of a namespace")
    if namespace in set(reserved_namespaces):
        message = f"namespace {namespace} belongs to Clusternet itself; ask for another one, or for none"
        raise Obstacle(Reason.NAMESPACE_RESERVED, message)
    for key, value in (spec.get("clusterLabels") or {}).items():
        if not (is_label_key(key) and is_label_value(value)):
            raise Obstacle(Reason.INVALID_REQUEST, f"spec.clusterLabels: {key}={value} is not a valid label")


def system_labels(request: Object) -> dict[str, str]:
    """Return the labels by which a cluster's objects are found again; they may not be overwritten."""
    spec = request["spec"]
    return {
        names.CREATED_BY_LABEL: names.CREATED_BY_AGENT,
        names.CLUSTER_ID_LABEL: spec["clusterId"],
        names.CLUSTER_NAME_LABEL: spec["clusterName"],
    }


def is_labelled_for(obj: Object, cluster_id: str) -> bool:
    """Return whether an object carries the two labels that make it a cluster's (spec/02 §6.2)."""
    labels = obj["metadata"].get("labels") or {}
    return (
        labels.get(names.CREATED_BY_LABEL) == names.CREATED_BY_AGENT
        and labels.get(names.CLUSTER_ID_LABEL) == cluster_id
    )


def choose(candidates: Iterable[Object], *preferred: str | None) -> Object | None:
    """Return the object with the first preferred name, else the oldest; None if there are none."""
    by_name = {candidate["metadata"]["name"]: candidate for candidate in candidates}
    for name in preferred:
        if name in by_name:
            return by_name[name]
    return min(
        by_name.values(),
        key=lambda candidate: (candidate["metadata"].get("creationTimestamp") or "", candidate["metadata"]["name"]),
        default=None,
    )


def namespace_names(request: Object) -> Iterator[str]:
    """Yield the names to try for a dedicated namespace that has to be made; a fixed one is yielded again and again.

    A namespace that an approved cluster had before comes back under its name.
    """
    spec, status = request["spec"], request.get("status") or {}
    fixed = status.get("dedicatedNamespace") or spec.get("clusterNamespace")
    return repeat(fixed) if fixed else derived_names(spec["clusterId"])


def check_namespace(namespace: Object, request: Object) -> bool:
    """Judge a namespace that has a name we want: True when it is the cluster's, False when it may be labelled as such.

    What the hub has recorded in the request counts more than labels, which others may have written.

    Raises:
        Obstacle: it belongs to somebody else, or is being deleted.
    """
    name, cluster_id = namespace["metadata"]["name"], request["spec"]["clusterId"]
    labels = namespace["metadata"].get("labels") or {}
    owner = labels.get(names.CLUSTER_ID_LABEL)
    if namespace["metadata"].get("deletionTimestamp"):
        raise Obstacle(
            Reason.NAMESPACE_TERMINATING, f"namespace {name} is being deleted; it is made anew when it is gone"
        )
    if is_labelled_for(namespace, cluster_id):
        return True
    recorded = (request.get("status") or {}).get("dedicatedNamespace") == name
    if owner not in (None, cluster_id) and not recorded:
        message = f"namespace {name} belongs to the cluster {owner}; ask for another one, or remove that cluster first"
        raise Obstacle(Reason.NAMESPACE_TAKEN, message)
    if recorded:
        return False
    message = (
        f"namespace {name} exists and is not labelled for this cluster; label it {names.CREATED_BY_LABEL}="
        f"{names.CREATED_BY_AGENT} and {names.CLUSTER_ID_LABEL}={cluster_id}, delete it, or ask for another one"
    )
    raise Obstacle(Reason.NAMESPACE_EXISTS, message)


def check_managed_cluster(cluster: Object, request: Object) -> None:
    """Check that a ManagedCluster with the wanted name is this cluster's.

    Raises:
        Obstacle: it is another cluster's.
    """
    metadata, owner = cluster["metadata"], (cluster.get("spec") or {}).get("clusterId")
    if owner != request["spec"]["clusterId"]:
        message = (
            f"ManagedCluster {metadata['namespace']}/{metadata['name']} belongs to the cluster {owner};"
            " ask for another name or another namespace, or remove that cluster first"
        )
        raise Obstacle(Reason.CLUSTER_NAME_TAKEN, message)


def make_namespace(request: Object, name: str) -> Object:
    """Return the dedicated Namespace of a cluster."""
    return _object(NAMESPACES, {"name": name, "labels": system_labels(request)})


def make_managed_cluster(
    request: Object, namespace: str, labels: Mapping[str, str], init: datetime | None = None
) -> Object:
    """Return the ManagedCluster of a cluster.

    Args:
        request: the ClusterRegistrationRequest.
        namespace: the dedicated namespace.
        labels: those that the cluster wishes for and gets.
        init: the current time if the cluster has to be initialised first (feature gate ClusterInit), else None.
    """
    spec, status = request["spec"], request.get("status") or {}
    metadata = {
        "name": status.get("managedClusterName") or spec["clusterName"],
        "namespace": namespace,
        "labels": {**labels, **system_labels(request)},
    }
    wanted = {
        "clusterId": spec["clusterId"],
        "clusterType": spec.get("clusterType") or "",
        "syncMode": spec.get("syncMode") or names.PULL,
    }
    if init:
        wanted["taints"] = [initialization_taint(init)]
    return _object(MANAGED_CLUSTERS, metadata, spec=wanted)


def make_service_account(request: Object, namespace: str, name: str) -> Object:
    """Return the ServiceAccount that a cluster acts as on the parent."""
    return _object(SERVICE_ACCOUNTS, {"name": name, "namespace": namespace, "labels": system_labels(request)})


def make_token_secret(request: Object, namespace: str, account: str) -> Object:
    """Return the Secret that Kubernetes fills with the token of a ServiceAccount and the parent's CA."""
    metadata = {
        "name": account,
        "namespace": namespace,
        "labels": system_labels(request),
        "annotations": {names.SERVICE_ACCOUNT_NAME_ANNOTATION: account},
    }
    return _object(SECRETS, metadata, type=names.SERVICE_ACCOUNT_TOKEN_TYPE)


def check_token_secret(secret: Object, account: str) -> None:
    """Check that a Secret with the name of a ServiceAccount is for its token.

    Raises:
        Obstacle: it is for something else.
    """
    metadata = secret["metadata"]
    of = (metadata.get("annotations") or {}).get(names.SERVICE_ACCOUNT_NAME_ANNOTATION)
    if secret.get("type") != names.SERVICE_ACCOUNT_TOKEN_TYPE or of != account:
        where = f"{metadata['namespace']}/{metadata['name']}"
        message = f"Secret {where} is not for the token of ServiceAccount {account}; delete it"
        raise Obstacle(Reason.TOKEN_SECRET_EXISTS, message)


def issued_credential(secret: Object, account_uid: str) -> tuple[str, str] | None:
    """Return token and CA of a token Secret, base64 as they are; None until Kubernetes has filled in both.

    What it holds for an earlier ServiceAccount of the same name doesn't count.
    """
    annotations, data = secret["metadata"].get("annotations") or {}, secret.get("data") or {}
    if annotations.get(names.SERVICE_ACCOUNT_UID_ANNOTATION) != account_uid:
        return None
    token, ca = data.get(names.TOKEN_KEY), data.get(names.CA_CERTIFICATE_KEY)
    return (token, ca) if token and ca else None


def approved_status(namespace: str, cluster: str, credential: tuple[str, str], *, handed_over: bool) -> Object:
    """Return the status of an approved request; without the token when the cluster has it."""
    token, ca = credential
    return {
        "result": names.APPROVED,
        "dedicatedNamespace": namespace,
        "managedClusterName": cluster,
        **({} if handed_over else {"token": token}),
        "caCertificate": ca,
    }


def credential_id(token: str) -> str:
    """Return a text that tells tokens apart and gives none away."""
    return hashlib.sha256(token.encode()).hexdigest()[:32]


def handed_over(request: Object) -> str:
    """Return the `credential_id` of the token that the cluster has, as the hub has noted it; empty if it has none."""
    return str((request["metadata"].get("annotations") or {}).get(names.HANDED_OVER_ANNOTATION) or "")


def is_open(request: Object) -> bool:
    """Return whether an answer to the request is still to be fetched by whoever posted it."""
    status = request.get("status") or {}
    return status.get("result") != names.APPROVED or bool(status.get("token")) or not handed_over(request)


def registrant(request: Object) -> str:
    """Return the user who posted the request, as the request names it; empty if it doesn't."""
    return str((request["metadata"].get("annotations") or {}).get(names.REGISTRANT_ANNOTATION) or "")


def is_settled(request: Object) -> bool:
    """Return whether somebody else has given the request its result, which is final then (spec/02 §6.1).

    What is approved is looked after; what the hub itself denied, by the reason in the message, is looked at again.
    """
    status = request.get("status") or {}
    own = (status.get("errorMessage") or "").startswith(f"{Reason.CLUSTER_ID_MISMATCH}: ")
    return bool(status.get("result")) and status["result"] != names.APPROVED and not own


def is_waiting(request: Object) -> bool:
    """Return whether a request waits for an administrator to approve it."""
    status = request.get("status") or {}
    message = status.get("errorMessage") or ""
    return not status.get("result") and message.startswith(f"{Reason.WAITING_FOR_APPROVAL}: ")


def is_denied(request: Object) -> bool:
    """Return whether somebody has denied a request."""
    return (request.get("status") or {}).get("result") == names.DENIED


def obstructed_status(status: Object, obstacle: Obstacle) -> Object:
    """Return the status of a request with an obstacle in its way.

    What is approved stays approved: only the message is added. Otherwise `result` stays empty, because Clusternet's own
    approver takes any result for final; an ID mismatch is denied, as it does (spec/02 §6.1).
    """
    if status.get("result") == names.APPROVED:
        return {**status, "errorMessage": str(obstacle)}
    if isinstance(obstacle, IdMismatch):
        return {"result": names.DENIED, "errorMessage": str(obstacle)}
    return {"errorMessage": str(obstacle)}


def _object(resource: Resource, metadata: Object, **fields: object) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **fields}
