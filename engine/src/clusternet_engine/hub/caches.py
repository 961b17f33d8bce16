"""What the hub knows of the parent cluster: one informer for each kind it cares about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from clusternet_engine.hub.manifests import Manifests
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.faults import Listener
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import (
    BASES,
    CLUSTER_REGISTRATION_REQUESTS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    DESCRIPTIONS,
    FEED_INVENTORIES,
    GLOBALIZATIONS,
    HELM_CHARTS,
    HELM_RELEASES,
    LOCALIZATIONS,
    MANAGED_CLUSTERS,
    MANIFESTS,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SUBSCRIPTIONS,
    Object,
    object_key,
)
from clusternet_engine.model import constants as names
from clusternet_engine.model.feeds import chart_feed, feed_reference, feed_references, manifest_references
from clusternet_engine.model.logins import logins_of, original_of
from clusternet_engine.model.names import cluster_object_name
from clusternet_engine.model.shapes import complete

BY_CLUSTER = "cluster"
"""Index by cluster ID."""
BY_NAMESPACE = "namespace"
BY_SUBSCRIPTION = "subscription"
"""Index of Bases, Descriptions, HelmReleases and Localizations of replicas by the UID of their Subscription."""
BY_UID = "uid"
BY_LOGIN = "login"
"""Index of Bases, and of copies of logins, by the key of the Secret that holds the login."""
BY_OWNER = "owner"
"""Index of Descriptions and HelmReleases by the UID of what they belong to."""
BY_NAMESPACE_AND_FEED = "namespace and feed"
"""Index by `namespaced_reference`, of Bases and Localizations."""
BY_MANIFEST = "manifest"
"""Index of Secrets with values by the name of the Manifest that they are of."""
BY_FEED = "feed"
"""Index by `feed_reference`: of the objects a feed means, and of those that list or override a feed."""

_OF_CLUSTERS = f"{names.CREATED_BY_LABEL}={names.CREATED_BY_AGENT},{names.CLUSTER_ID_LABEL}"
_RBAC_DEFAULTS = f"{names.BOOTSTRAPPING_LABEL}={names.RBAC_DEFAULTS}"
_SERVICE_ACCOUNT_TOKENS = f"type={names.SERVICE_ACCOUNT_TOKEN_TYPE}"
_MANIFEST_VALUES = f"type={names.MANIFEST_VALUES_TYPE}"
_DESCRIPTION_VALUES = f"type={names.DESCRIPTION_VALUES_TYPE}"
_LOGINS = f"{names.CHART_LOGIN_LABEL}=true"
_CHILD_CREDENTIALS = f"metadata.name={names.CHILD_DEPLOYER_SECRET}"


class Caches:
    """The informers of the hub.

    Args:
        client: of the parent cluster.
        reserved_namespace: where Manifests are kept; those elsewhere are not seen (spec/01 §1).
    """

    def __init__(self, client: Client, *, reserved_namespace: str) -> None:
        self.requests = Informer(client, CLUSTER_REGISTRATION_REQUESTS, complete=complete)
        self.clusters = Informer(client, MANAGED_CLUSTERS, complete=complete)
        self.namespaces = Informer(client, NAMESPACES)
        self.accounts = Informer(client, SERVICE_ACCOUNTS, label_selector=_OF_CLUSTERS)
        self.tokens = Informer(client, SECRETS, label_selector=_OF_CLUSTERS, field_selector=_SERVICE_ACCOUNT_TOKENS)
        self.logins = Informer(client, SECRETS, label_selector=_LOGINS)
        self.child_credentials = Informer(client, SECRETS, field_selector=_CHILD_CREDENTIALS)
        self.cluster_roles = Informer(client, CLUSTER_ROLES, label_selector=_RBAC_DEFAULTS)
        self.cluster_role_bindings = Informer(client, CLUSTER_ROLE_BINDINGS, label_selector=_RBAC_DEFAULTS)
        self.roles = Informer(client, ROLES, label_selector=_RBAC_DEFAULTS)
        self.role_bindings = Informer(client, ROLE_BINDINGS, label_selector=_RBAC_DEFAULTS)
        self.subscriptions = Informer(client, SUBSCRIPTIONS)
        self.stored_manifests = Informer(client, MANIFESTS, namespace=reserved_namespace)
        self.manifest_values = Informer(client, SECRETS, namespace=reserved_namespace, field_selector=_MANIFEST_VALUES)
        self.manifests = Manifests(self.stored_manifests, self.manifest_values)
        self.description_values = Informer(client, SECRETS, field_selector=_DESCRIPTION_VALUES, metadata_only=True)
        self.charts = Informer(client, HELM_CHARTS)
        self.globalizations = Informer(client, GLOBALIZATIONS)
        self.localizations = Informer(client, LOCALIZATIONS)
        self.inventories = Informer(client, FEED_INVENTORIES, complete=complete)
        self.bases = Informer(client, BASES, complete=complete)
        self.descriptions = Informer(client, DESCRIPTIONS)
        self.releases = Informer(client, HELM_RELEASES)
        self.requests.add_index(BY_NAMESPACE, _dedicated_namespaces)
        self.namespaces.add_index(BY_CLUSTER, cluster_ids)
        self.clusters.add_index(BY_CLUSTER, _identities)
        for informer in (
            self.clusters,
            self.accounts,
            self.bases,
            self.descriptions,
            self.releases,
            self.localizations,
            self.subscriptions,
            self.charts,
        ):
            informer.add_index(BY_NAMESPACE, _namespaces)
        for informer in (self.bases, self.descriptions, self.releases):
            informer.add_index(BY_SUBSCRIPTION, _subscription_uids)
        for informer in (self.subscriptions, self.bases):
            informer.add_index(BY_FEED, _feeds_listed)
        for informer in (self.globalizations, self.localizations):
            informer.add_index(BY_FEED, _feeds_overridden)
        self.subscriptions.add_index(BY_UID, lambda subscription: (subscription["metadata"]["uid"],))
        self.bases.add_index(BY_NAMESPACE_AND_FEED, lambda base: _namespaced(base, _feeds_listed(base)))
        self.localizations.add_index(BY_NAMESPACE_AND_FEED, lambda one: _namespaced(one, _feeds_overridden(one)))
        for informer in (self.descriptions, self.releases, self.description_values):
            informer.add_index(BY_OWNER, _owners)
        self.manifest_values.add_index(BY_MANIFEST, _manifests_kept)
        self.localizations.add_index(BY_SUBSCRIPTION, _subscriptions_divided)
        self.manifests.add_index(BY_FEED, manifest_references)
        self.bases.add_index(BY_LOGIN, lambda base: {login.secret for login in logins_of(base).values()})
        self.logins.add_index(BY_LOGIN, lambda copy: filter(None, (original_of(copy),)))
        self.charts.add_index(BY_FEED, lambda chart: (feed_reference(chart_feed(chart)),))
        self._running: Mapping[str, Informer] = {
            "clusterregistrationrequests": self.requests,
            "managedclusters": self.clusters,
            "namespaces": self.namespaces,
            "serviceaccounts": self.accounts,
            "secrets": self.tokens,
            "logins for charts": self.logins,
            "credentials of children": self.child_credentials,
            "clusterroles": self.cluster_roles,
            "clusterrolebindings": self.cluster_role_bindings,
            "roles": self.roles,
            "rolebindings": self.role_bindings,
            "subscriptions": self.subscriptions,
            "manifests": self.stored_manifests,
            "values of manifests": self.manifest_values,
            "values of descriptions": self.description_values,
            "helmcharts": self.charts,
            "globalizations": self.globalizations,
            "localizations": self.localizations,
            "feedinventories": self.inventories,
            "bases": self.bases,
            "descriptions": self.descriptions,
            "helmreleases": self.releases,
        }

    async def run(self) -> None:
        """Keep all caches fresh until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name, informer in self._running.items():
                tasks.create_task(informer.run(), name=f"informer {name}")

    async def wait_synced(self) -> None:
        """Wait until everything has been listed once; API servers may take their time to start, so without a limit."""
        while waiting := self.missing():
            await asyncio.gather(*(self._running[name].wait_synced(3600.0) for name in waiting))

    @contextmanager
    def faults_told(self, listener: Listener) -> Iterator[None]:
        """Tell of every object that something is wrong with, those known already included, as long as this is open."""
        ends = [informer.faults.listen(listener) for informer in self._running.values()]
        try:
            yield
        finally:
            for end in ends:
                end()

    def missing(self) -> list[str]:
        """Return what hasn't been listed yet."""
        return [name for name, informer in self._running.items() if not informer.synced]

    def check(self) -> None:
        """Readiness check.

        Raises:
            LookupError: something hasn't been listed yet; the text says what and why.
        """
        if missing := self.missing():
            reasons = "; ".join(f"{name}: {self._running[name].last_error or 'no answer yet'}" for name in missing)
            raise LookupError(f"not listed yet: {reasons}")

    def cluster(self, cluster_id: str) -> Object | None:
        """Return the ManagedCluster that a cluster was registered as; None if there is none that is sure to be it.

        What the hub wrote into the status of the registration request decides: no child can write there. A cluster
        whose request tells nothing (it is about to be approved, or gone before its ManagedCluster) is known by a
        ManagedCluster that nothing contradicts.
        """
        if not self.requests.synced:
            return None
        status = (self.requests.get(cluster_object_name(cluster_id)) or {}).get("status") or {}
        if status.get("result") == names.DENIED:
            return None
        if namespace := status.get("dedicatedNamespace"):
            found = [one for one in self.clusters.by_index(BY_CLUSTER, cluster_id) if _namespace(one) == namespace]
            if name := status.get("managedClusterName"):
                found = [one for one in found if one["metadata"]["name"] == name]
        else:
            found = [one for one in self.clusters.by_index(BY_CLUSTER, cluster_id) if not self._contradicts(one)]
        return found[0] if len(found) == 1 else None

    def _contradicts(self, cluster: Object) -> bool:
        """Return whether the namespace of a ManagedCluster is known to be another cluster's."""
        namespace = _namespace(cluster)
        if self.requests.by_index(BY_NAMESPACE, namespace):
            return True
        owners = [*cluster_ids(self.namespaces.get(namespace) or {"metadata": {}})]
        return owners not in ([], [cluster["spec"]["clusterId"]])

    def is_member(self, cluster_id: str) -> bool:
        """Return whether a cluster has a registration request that is approved."""
        request = self.requests.get(cluster_object_name(cluster_id)) or {}
        return (request.get("status") or {}).get("result") == names.APPROVED

    def is_registered(self, cluster: Object) -> bool:
        """Return whether a ManagedCluster is the one of the cluster that it says to be."""
        metadata, cluster_id = cluster["metadata"], cluster["spec"]["clusterId"]
        status = (self.requests.get(cluster_object_name(cluster_id)) or {}).get("status") or {}
        if name := status.get("managedClusterName"):
            # The usual case, without a look at indexes: it is asked of all clusters for every Subscription.
            where = status.get("dedicatedNamespace"), name
            return status.get("result") != names.DENIED and where == (metadata["namespace"], metadata["name"])
        registered = self.cluster(cluster_id)
        return registered is not None and object_key(registered) == object_key(cluster)

    def registered_clusters(self) -> list[Object]:
        """Return all ManagedClusters that are what they say to be."""
        return [cluster for cluster in self.clusters.items() if self.is_registered(cluster)]

    def cluster_in(self, namespace: str) -> Object | None:
        """Return the registered ManagedCluster in a dedicated namespace, if there is one."""
        found = self.clusters.by_index(BY_NAMESPACE, namespace)
        return next((cluster for cluster in found if self.is_registered(cluster)), None)

    def is_dedicated(self, namespace: str) -> bool:
        """Return whether a namespace is a cluster's own, so that what lies there is nobody's wish.

        The requests say so, which no child can write. The labels of the namespace, which the hub writes, say so for
        longer: until a cluster that is being removed has gone, with all that was left in its namespace.
        """
        if self.requests.by_index(BY_NAMESPACE, namespace):
            return True
        found = self.namespaces.get(namespace)
        if found is None:
            return False
        labels = found["metadata"].get("labels") or {}
        return labels.get(names.CREATED_BY_LABEL) == names.CREATED_BY_AGENT and names.CLUSTER_ID_LABEL in labels

    def dedicated_to_another(self, namespace: str, request: Object) -> str | None:
        """Return the name of another registration request that a namespace belongs to, if there is one."""
        found = (other["metadata"]["name"] for other in self.requests.by_index(BY_NAMESPACE, namespace))
        return next((name for name in found if name != request["metadata"]["name"]), None)

    def add_registration_handler(self, handler: Callable[[str], None]) -> None:
        """Have a handler called with each namespace that becomes a cluster's, stops being one, or is another's now."""

        def on_request(change: Change) -> None:
            if _registration(change.old) != _registration(change.new):
                for request in (change.old, change.new):
                    for namespace in _dedicated_namespaces(request) if request else ():
                        handler(namespace)

        def on_namespace(change: Change) -> None:
            old, new = (_owner(obj) if obj else None for obj in (change.old, change.new))
            if old != new:
                handler(change.object["metadata"]["name"])

        self.requests.add_handler(on_request)
        self.namespaces.add_handler(on_namespace)

    def feed_objects(self, feed: Object) -> list[Object]:
        """Return the HelmChart, or the Manifests, that a feed means; a chart in a dedicated namespace is none."""
        reference = feed_reference(feed)
        charts = [
            chart for chart in self.charts.by_index(BY_FEED, reference) if not self.is_dedicated(_namespace(chart))
        ]
        return charts or self.manifests.by_index(BY_FEED, reference)


def namespaced_reference(namespace: str, reference: str) -> str:
    """Return the key of a feed in one namespace."""
    return f"{namespace} {reference}"


def cluster_ids(obj: Object) -> Iterable[str]:
    """Return the cluster ID an object is labelled with, if it is."""
    identity = (obj["metadata"].get("labels") or {}).get(names.CLUSTER_ID_LABEL)
    return (identity,) if identity else ()


def _identities(cluster: Object) -> Iterable[str]:
    return (cluster["spec"]["clusterId"],)


def _namespace(obj: Object) -> str:
    return str(obj["metadata"]["namespace"])


def _namespaces(obj: Object) -> Iterable[str]:
    return (obj["metadata"]["namespace"],)


def _dedicated_namespaces(request: Object) -> Iterable[str]:
    namespace = (request.get("status") or {}).get("dedicatedNamespace")
    return (namespace,) if namespace else ()


def _registration(request: Object | None) -> tuple[Any, ...]:
    """Return what a request says of its cluster, leaving the credential out."""
    status = (request or {}).get("status") or {}
    return tuple(status.get(field) for field in ("result", "dedicatedNamespace", "managedClusterName"))


def _owner(namespace: Object) -> tuple[Any, ...]:
    labels = namespace["metadata"].get("labels") or {}
    return labels.get(names.CREATED_BY_LABEL), labels.get(names.CLUSTER_ID_LABEL)


def _subscription_uids(obj: Object) -> Iterable[str]:
    uid = (obj["metadata"].get("labels") or {}).get(names.SUBSCRIPTION_UID_LABEL)
    return (uid,) if uid else ()


def _manifests_kept(secret: Object) -> Iterable[str]:
    name = (secret["metadata"].get("annotations") or {}).get(names.VALUES_OF_ANNOTATION)
    return (name,) if name else ()


def _owners(obj: Object) -> Iterable[str]:
    return (owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ())


def _subscriptions_divided(localization: Object) -> Iterable[str]:
    labels = localization["metadata"].get("labels") or {}
    return (key for key, value in labels.items() if value == names.SUBSCRIPTION_KIND)


def _feeds_listed(obj: Object) -> Iterable[str]:
    return feed_references(obj["spec"]["feeds"])


def _feeds_overridden(obj: Object) -> Iterable[str]:
    feed = obj["spec"].get("feed")
    return (feed_reference(feed),) if feed else ()


def _namespaced(obj: Object, references: Iterable[str]) -> Iterable[str]:
    namespace = obj["metadata"]["namespace"]
    return (namespaced_reference(namespace, reference) for reference in references)
