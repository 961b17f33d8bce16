"""Rights of an approved child on the parent, and when existing RBAC objects are brought up to date.

A child gets a ClusterRole of its own (its registration request, its socket) and a Role in its dedicated namespace. That
lists what an agent does there and nothing else: it tells of its cluster, deploys what the hub has rendered for it, and
hands its deployer's credential over. The hub makes these roles without the right to escalate, so its own ClusterRole
(in the role `hub`) must hold every rule that is given here.
"""

from __future__ import annotations

from enum import StrEnum

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

_REGISTRANT_SUFFIX = "-registrant"


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


class ChildRights(StrEnum):
    """Sets of rights that children can have in their dedicated namespaces."""

    AGENT = "agent"
    """What the agent of this project does."""
    CLUSTERNET = "clusternet"
    """Also what only Clusternet's own agent does: it takes HelmReleases away and copies EndpointSlices."""


def namespace_rules(cluster: str, account: str, rights: ChildRights = ChildRights.AGENT) -> list[Object]:
    """Return the rules of a child's Role in its dedicated namespace.

    Args:
        cluster: name of its ManagedCluster.
        account: name of its ServiceAccount.
        rights: the set of rights.
    """
    rules: list[Object] = [
        # Find its ManagedCluster; only that one can be written: the status, and labels that sum up those of nodes.
        _rule(names.CLUSTERS_GROUP, ["managedclusters"], ["get", "list", "watch"]),
        _rule(names.CLUSTERS_GROUP, ["managedclusters", "managedclusters/status"], ["patch", "update"], [cluster]),
        # Deploy what the hub has rendered; a finalizer keeps it until it is taken from the cluster.
        _rule(names.APPS_GROUP, ["bases"], ["get", "list", "watch"]),
        _rule(names.APPS_GROUP, ["descriptions", "helmreleases"], ["get", "list", "patch", "update", "watch"]),
        _rule(names.APPS_GROUP, ["descriptions/status", "helmreleases/status"], ["patch", "update"]),
        # Read what the hub has put there for it, and hand its deployer's credential over.
        _rule("", ["secrets"], ["create", "get"]),
        _rule("", ["secrets"], ["patch", "update"], [names.CHILD_DEPLOYER_SECRET]),
        # Renew its own token.
        _rule("", ["serviceaccounts/token"], ["create"], [account]),
        _rule("", ["events"], ["create", "patch"]),
    ]
    if rights == ChildRights.CLUSTERNET:
        rules += [
            _rule(names.APPS_GROUP, ["helmreleases"], ["delete"]),
            _rule(
                "discovery.k8s.io",
                ["endpointslices"],
                ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            ),
        ]
    return rules


def namespace_role(namespace: str, cluster: str, account: str, rights: ChildRights = ChildRights.AGENT) -> Object:
    """Return the Role of a child in its dedicated namespace; see `namespace_rules`."""
    return _object(ROLES, _namespace_metadata(namespace), rules=namespace_rules(cluster, account, rights))


def registrant_name(request: str) -> str:
    """Return the name of what lets somebody read a request, by the request's name."""
    return request + _REGISTRANT_SUFFIX


def registrants_request(name: str) -> str | None:
    """Return the name of the request that somebody may read by an object of this name; None if it isn't for that."""
    return name.removesuffix(_REGISTRANT_SUFFIX) if name.endswith(_REGISTRANT_SUFFIX) else None


def registrant_role(request: str) -> Object:
    """Return the ClusterRole by which whoever posted a request may read this one."""
    rule = _rule(names.CLUSTERS_GROUP, ["clusterregistrationrequests"], ["get"], [request])
    return _object(CLUSTER_ROLES, _metadata(registrant_name(request)), rules=[rule])


def registrant_binding(request: str, registrant: str, system_namespace: str) -> Object:
    """Return the binding of that ClusterRole.

    Args:
        request: name of the request.
        registrant: the user who posted it, or `ANY_REGISTRANT`.
        system_namespace: where the account is by which clusters register.
    """
    group = CLUSTER_ROLES.group
    if registrant == names.ANY_REGISTRANT:
        subjects = [
            {"apiGroup": group, "kind": "Group", "name": names.BOOTSTRAP_GROUP},
            {"kind": "ServiceAccount", "name": names.BOOTSTRAP_ACCOUNT, "namespace": system_namespace},
        ]
    else:
        subjects = [{"apiGroup": group, "kind": "User", "name": registrant}]
    name = registrant_name(request)
    role = {"apiGroup": group, "kind": CLUSTER_ROLES.kind, "name": name}
    return _object(CLUSTER_ROLE_BINDINGS, _metadata(name), roleRef=role, subjects=subjects)


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


def _rule(group: str, resources: list[str], verbs: list[str], only: list[str] | None = None) -> Object:
    rule: Object = {"apiGroups": [group], "resources": resources, "verbs": verbs}
    return {**rule, "resourceNames": only} if only else rule


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
