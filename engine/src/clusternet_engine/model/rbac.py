"""What an approved child may do on the parent, and when existing RBAC objects are brought up to date (spec/02 §6.2)."""

from __future__ import annotations

from clusternet_engine.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    Object,
    Resource,
)
from clusternet_engine.model import constants as names
from clusternet_engine.model.names import cluster_object_name


def cluster_rules(cluster_id: str) -> list[Object]:
    """Return the rules of a child's ClusterRole.

    Narrower than Clusternet's own: a child reads only its own request, and no Secrets outside its namespace.
    """
    return [
        {
            "apiGroups": [names.CLUSTERS_GROUP],
            "resources": ["clusterregistrationrequests"],
            "verbs": ["create"],
        },
        {
            "apiGroups": [names.CLUSTERS_GROUP],
            "resources": ["clusterregistrationrequests"],
            "resourceNames": [cluster_object_name(cluster_id)],
            "verbs": ["get"],
        },
        {
            "apiGroups": [names.PROXIES_GROUP],
            "resources": ["sockets"],
            "resourceNames": [cluster_id],
            "verbs": ["*"],
        },
    ]


def cluster_role(cluster_id: str) -> Object:
    """Return the ClusterRole of a child."""
    return _object(CLUSTER_ROLES, _cluster_metadata(cluster_id), rules=cluster_rules(cluster_id))


def cluster_role_binding(cluster_id: str, namespace: str, account: str) -> Object:
    """Return the binding of a child's ClusterRole to its ServiceAccount."""
    name = cluster_object_name(cluster_id)
    return _object(
        CLUSTER_ROLE_BINDINGS, _cluster_metadata(cluster_id), **_binding(CLUSTER_ROLES.kind, name, namespace, account)
    )


def namespace_role(namespace: str) -> Object:
    """Return the Role by which a child may do everything in its dedicated namespace."""
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    return _object(ROLES, _namespace_metadata(namespace), rules=[everything])


def namespace_role_binding(namespace: str, account: str) -> Object:
    """Return the binding of that Role to the child's ServiceAccount."""
    return _object(
        ROLE_BINDINGS,
        _namespace_metadata(namespace),
        **_binding(ROLES.kind, names.MANAGED_CLUSTER_ROLE, namespace, account),
    )


def outdated(existing: Object, wanted: Object) -> Object | None:
    """Return the object to write over an existing RBAC object; None when it is right or must be left alone.

    Only an object with annotation `clusternet.io/autoupdate: "true"` may be overwritten; foreign labels and annotations
    on it stay. If its `roleRef` differs from the wanted one, it can't be written over but must be replaced.
    """
    metadata = existing["metadata"]
    annotations = metadata.get("annotations") or {}
    if annotations.get(names.AUTOUPDATE_ANNOTATION) != "true":
        return None
    labels = metadata.get("labels") or {}
    updated = {
        **existing,
        **{field: value for field, value in wanted.items() if field != "metadata"},
        "metadata": {**metadata, "labels": labels | wanted["metadata"]["labels"]},
    }
    return None if _comparable(updated) == _comparable(existing) else updated


def _comparable(obj: Object) -> Object:
    """The object with subjects as API servers fill them in."""
    if "subjects" not in obj:
        return obj
    return {**obj, "subjects": [{"apiGroup": "", **subject} for subject in obj["subjects"]]}


def _binding(kind: str, role: str, namespace: str, account: str) -> Object:
    return {
        "roleRef": {"apiGroup": CLUSTER_ROLES.group, "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }


def _object(resource: Resource, metadata: Object, **fields: object) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **fields}


def _cluster_metadata(cluster_id: str) -> Object:
    metadata = _metadata(cluster_object_name(cluster_id))
    metadata["labels"][names.CLUSTER_ID_LABEL] = cluster_id
    return metadata


def _namespace_metadata(namespace: str) -> Object:
    return {**_metadata(names.MANAGED_CLUSTER_ROLE), "namespace": namespace}


def _metadata(name: str) -> Object:
    return {
        "name": name,
        "labels": {
            names.BOOTSTRAPPING_LABEL: names.RBAC_DEFAULTS,
            names.CREATED_BY_LABEL: names.CREATED_BY_CONTROLLER_MANAGER,
        },
        "annotations": {names.AUTOUPDATE_ANNOTATION: "true"},
    }
