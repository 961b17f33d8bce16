# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""REST paths of the kinds the collection handles; no discovery is needed for them."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional
from urllib.parse import quote

Object = dict  # a Kubernetes object as parsed JSON


class Resource(NamedTuple):
    """How one kind is addressed; C(api_version) is such as C(apps/v1)."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, name: Optional[str] = None, namespace: Optional[str] = None) -> str:
        """Path of the collection, or of one object when I(name) is given; without I(namespace), of all namespaces."""
        path = group_version_path(self.api_version)
        if namespace and self.namespaced:
            path += f"/namespaces/{quote(namespace, safe='')}"
        path += f"/{self.plural}"
        return f"{path}/{quote(name, safe='')}" if name else path

    def path_of(self, obj: dict[str, Any]) -> str:
        """Path of I(obj)."""
        return self.path(obj["metadata"]["name"], obj["metadata"].get("namespace"))


def group_version_path(api_version: str) -> str:
    """Path of a group-version's discovery document."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


NAMESPACES = Resource("v1", "Namespace", "namespaces", False)
SECRETS = Resource("v1", "Secret", "secrets", True)
SERVICE_ACCOUNTS = Resource("v1", "ServiceAccount", "serviceaccounts", True)
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps", True)
SERVICES = Resource("v1", "Service", "services", True)
PERSISTENT_VOLUME_CLAIMS = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims", True)
DEPLOYMENTS = Resource("apps/v1", "Deployment", "deployments", True)
DAEMON_SETS = Resource("apps/v1", "DaemonSet", "daemonsets", True)
STATEFUL_SETS = Resource("apps/v1", "StatefulSet", "statefulsets", True)
LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases", True)
ROLES = Resource("rbac.authorization.k8s.io/v1", "Role", "roles", True)
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", True)
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", False)
CLUSTER_ROLE_BINDINGS = Resource("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", False)
CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", False
)
API_SERVICES = Resource("apiregistration.k8s.io/v1", "APIService", "apiservices", False)

CLUSTER_REGISTRATION_REQUESTS = Resource(
    "clusters.clusternet.io/v1beta1", "ClusterRegistrationRequest", "clusterregistrationrequests", False
)
MANAGED_CLUSTERS = Resource("clusters.clusternet.io/v1beta1", "ManagedCluster", "managedclusters", True)
BASES = Resource("apps.clusternet.io/v1alpha1", "Base", "bases", True)
DESCRIPTIONS = Resource("apps.clusternet.io/v1alpha1", "Description", "descriptions", True)
HELM_RELEASES = Resource("apps.clusternet.io/v1alpha1", "HelmRelease", "helmreleases", True)
LOCALIZATIONS = Resource("apps.clusternet.io/v1alpha1", "Localization", "localizations", True)
GLOBALIZATIONS = Resource("apps.clusternet.io/v1alpha1", "Globalization", "globalizations", False)
SUBSCRIPTIONS = Resource("apps.clusternet.io/v1alpha1", "Subscription", "subscriptions", True)
HELM_CHARTS = Resource("apps.clusternet.io/v1alpha1", "HelmChart", "helmcharts", True)
MANIFESTS = Resource("apps.clusternet.io/v1alpha1", "Manifest", "manifests", True)
FEED_INVENTORIES = Resource("apps.clusternet.io/v1alpha1", "FeedInventory", "feedinventories", True)

KNOWN = {
    (resource.api_version, resource.kind): resource
    for resource in (
        NAMESPACES,
        SECRETS,
        SERVICE_ACCOUNTS,
        CONFIG_MAPS,
        SERVICES,
        PERSISTENT_VOLUME_CLAIMS,
        Resource("v1", "Pod", "pods", True),
        DEPLOYMENTS,
        DAEMON_SETS,
        STATEFUL_SETS,
        Resource("batch/v1", "Job", "jobs", True),
        LEASES,
        CLUSTER_ROLES,
        CLUSTER_ROLE_BINDINGS,
        ROLES,
        ROLE_BINDINGS,
        API_SERVICES,
        CUSTOM_RESOURCE_DEFINITIONS,
        CLUSTER_REGISTRATION_REQUESTS,
        MANAGED_CLUSTERS,
        BASES,
        DESCRIPTIONS,
        HELM_RELEASES,
        LOCALIZATIONS,
        GLOBALIZATIONS,
        SUBSCRIPTIONS,
        HELM_CHARTS,
        MANIFESTS,
        FEED_INVENTORIES,
    )
}
