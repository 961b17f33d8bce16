"""The resources the engine reads and writes, and the REST paths they live at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote

Object: TypeAlias = dict[str, Any]
"""A Kubernetes object as it travels: parsed JSON."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of one API version.

    :param group: API group, empty for core.
    :param plural: the name in paths, e.g. ``managedclusters``.
    :param namespaced: whether objects live in a namespace.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """``group/version``, or ``v1`` for core."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The REST path of an object, of one namespace's objects, or of all objects.

        :raises ValueError: a namespace for a cluster-scoped resource, a name without the namespace it needs,
            an empty or dotted name, or a subresource without a name.
        """
        if namespace is not None and not self.namespaced:
            raise ValueError(f"{self.plural} are not namespaced, but namespace {namespace!r} was given")
        if name is not None and self.namespaced and namespace is None:
            raise ValueError(f"{self.plural} {name!r} needs a namespace")
        if subresource is not None and name is None:
            raise ValueError(f"subresource {subresource!r} of {self.plural} needs a name")
        parts = ["/apis" if self.group else "/api", self.api_version]
        if namespace is not None:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        if name is not None:
            parts.append(_segment(name))
        if subresource is not None:
            parts.append(subresource)
        return "/".join(parts)


def _segment(name: str) -> str:
    if name in ("", ".", ".."):
        raise ValueError(f"{name!r} is not a name")
    return quote(name, safe=":")


def object_key(obj: Object) -> str:
    """The key of an object in caches and queues: ``namespace/name``, or ``name`` if it has no namespace."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


def make_key(name: str, namespace: str | None = None) -> str:
    """The key of the object with this name and namespace."""
    return f"{namespace}/{name}" if namespace else name


def split_key(key: str) -> tuple[str | None, str]:
    """Namespace (``None`` for cluster-scoped objects) and name of a key."""
    namespace, slash, name = key.rpartition("/")
    return (namespace if slash else None), name


NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
SECRETS = Resource("", "v1", "secrets", "Secret", namespaced=True)
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", namespaced=True)
PODS = Resource("", "v1", "pods", "Pod", namespaced=True)
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
EVENTS = Resource("", "v1", "events", "Event", namespaced=True)
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", namespaced=True)
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role", namespaced=True)
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", namespaced=True)
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
CLUSTER_REGISTRATION_REQUESTS = Resource(
    "clusters.clusternet.io", "v1beta1", "clusterregistrationrequests", "ClusterRegistrationRequest", namespaced=False
)
MANAGED_CLUSTERS = Resource("clusters.clusternet.io", "v1beta1", "managedclusters", "ManagedCluster", namespaced=True)
SUBSCRIPTIONS = Resource("apps.clusternet.io", "v1alpha1", "subscriptions", "Subscription", namespaced=True)
HELM_CHARTS = Resource("apps.clusternet.io", "v1alpha1", "helmcharts", "HelmChart", namespaced=True)
MANIFESTS = Resource("apps.clusternet.io", "v1alpha1", "manifests", "Manifest", namespaced=True)
GLOBALIZATIONS = Resource("apps.clusternet.io", "v1alpha1", "globalizations", "Globalization", namespaced=False)
LOCALIZATIONS = Resource("apps.clusternet.io", "v1alpha1", "localizations", "Localization", namespaced=True)
FEED_INVENTORIES = Resource("apps.clusternet.io", "v1alpha1", "feedinventories", "FeedInventory", namespaced=True)
BASES = Resource("apps.clusternet.io", "v1alpha1", "bases", "Base", namespaced=True)
DESCRIPTIONS = Resource("apps.clusternet.io", "v1alpha1", "descriptions", "Description", namespaced=True)
HELM_RELEASES = Resource("apps.clusternet.io", "v1alpha1", "helmreleases", "HelmRelease", namespaced=True)
CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
API_SERVICES = Resource("apiregistration.k8s.io", "v1", "apiservices", "APIService", namespaced=False)
SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)
SELF_SUBJECT_REVIEWS = Resource(
    "authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False
)
TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
SOCKETS = Resource("proxies.clusternet.io", "v1alpha1", "sockets", "Socket", namespaced=False)
