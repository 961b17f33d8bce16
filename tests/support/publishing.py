"""What users make to publish, as bodies to create, and clusters without an agent to publish to."""

import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import (
    GLOBALIZATIONS,
    HELM_CHARTS,
    LOCALIZATIONS,
    MANAGED_CLUSTERS,
    MANIFESTS,
    NAMESPACES,
    SUBSCRIPTIONS,
    Object,
    Resource,
)
from clusternet_engine.model import constants as names
from clusternet_engine.model.documents import write_yaml
from clusternet_engine.model.labels import label_form
from clusternet_engine.model.shadow import manifest_name
from clusternet_engine.model.times import format_time

_NEVER_LOST = 365 * 24 * 3600
"""Seconds between the heartbeats of a cluster that has no agent to send any."""


def manifest_of(obj: Object, *, plural: str | None = None) -> Object:
    """Return the Manifest that the shadow API stores for a native object (spec/04 §8.2).

    Args:
        obj: the native object.
        plural: of its kind, where it isn't the kind in small letters with an `s`.
    """
    group, _, version = str(obj["apiVersion"]).rpartition("/")
    metadata = obj["metadata"]
    namespace = metadata.get("namespace", "")
    name = manifest_name(plural or f"{obj['kind'].lower()}s", metadata["name"], namespace)
    labels = {**(metadata.get("labels") or {}), names.CREATED_BY_LABEL: names.CREATED_BY_HUB}
    return {
        **_head(MANIFESTS, name, names.RESERVED_NAMESPACE),
        "metadata": {
            "name": name,
            "namespace": names.RESERVED_NAMESPACE,
            "labels": {
                **labels,
                names.CONFIG_GROUP_LABEL: group,
                names.CONFIG_VERSION_LABEL: version,
                names.CONFIG_KIND_LABEL: obj["kind"],
                names.CONFIG_NAME_LABEL: label_form(metadata["name"]),
                names.CONFIG_NAMESPACE_LABEL: namespace,
            },
        },
        "template": {**obj, "metadata": {**metadata, "labels": labels}},
    }


def feed_of(obj: Object) -> Object:
    """Return the feed that means a native object or a HelmChart."""
    metadata = obj["metadata"]
    feed = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": metadata["name"]}
    return {**feed, "namespace": metadata["namespace"]} if metadata.get("namespace") else feed


def config_map(name: str, namespace: str = "default", **data: str) -> Object:
    """Return a native ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def deployment(name: str, namespace: str = "default", replicas: int = 1, **labels: str) -> Object:
    """Return a native Deployment of one container."""
    selector = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": selector | labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": selector},
                "spec": {"containers": [{"name": "main", "image": "nginx:1.14.2"}]},
            },
        },
    }


def native_namespace(name: str) -> Object:
    """Return a native Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def chart(name: str, namespace: str = "default", **spec: Any) -> Object:
    """Return a HelmChart; `spec` adds to, or replaces, its repository, chart, version and target namespace."""
    return {
        **_head(HELM_CHARTS, name, namespace),
        "spec": {
            "repo": "https://charts.example.org",
            "chart": name,
            "version": "1.0.0",
            "targetNamespace": name,
            **spec,
        },
    }


def subscription(
    name: str,
    feeds: Iterable[Object],
    *,
    namespace: str = "default",
    clusters: Mapping[str, str] | Iterable[Mapping[str, Any]] = (),
    **spec: Any,
) -> Object:
    """Return a Subscription.

    Args:
        name: of the Subscription.
        feeds: feeds, or the objects that they mean.
        namespace: of the Subscription.
        clusters: labels of the clusters to publish to, or whole `subscribers`.
        spec: further fields, as they are called in the API.
    """
    if isinstance(clusters, Mapping):
        clusters = [{"clusterAffinity": {"matchLabels": dict(clusters)}}]
    return {
        **_head(SUBSCRIPTIONS, name, namespace),
        "spec": {
            "subscribers": [dict(one) for one in clusters],
            "feeds": [feed_of(one) if "metadata" in one else one for one in feeds],
            **spec,
        },
    }


def override(kind: str, value: Any, **fields: Any) -> Object:
    """Return one entry of `overrides`; values that aren't text become YAML that Kubernetes reads the same."""
    text = value if isinstance(value, str) else write_yaml(value)
    return {"name": kind.lower(), "type": kind, "value": text, **fields}


def localization(name: str, namespace: str, feed: Object, overrides: Iterable[Object], **spec: Any) -> Object:
    """Return a Localization of a feed, or of the object that it means, with the policy `ApplyNow`."""
    return {**_head(LOCALIZATIONS, name, namespace), "spec": _overriding(feed, overrides, spec)}


def globalization(name: str, feed: Object, overrides: Iterable[Object], **spec: Any) -> Object:
    """Return a Globalization of a feed, or of the object that it means, with the policy `ApplyNow`."""
    return {**_head(GLOBALIZATIONS, name), "spec": _overriding(feed, overrides, spec)}


@dataclass(frozen=True, slots=True)
class FakeCluster:
    """A cluster that the parent takes for Ready although no agent runs.

    Attributes:
        name: of the ManagedCluster.
        namespace: its dedicated namespace.
        id: its cluster ID.
    """

    name: str
    namespace: str
    id: str

    @property
    def binding(self) -> str:
        """How `Subscription.status.bindingClusters` names it."""
        return f"{self.namespace}/{self.name}"


async def fake_cluster(
    admin: Client,
    name: str | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    sync_mode: str = names.PULL,
    status: Object | None = None,
) -> FakeCluster:
    """Make a dedicated namespace and a ManagedCluster that is Ready and never gets lost.

    Args:
        admin: client of the parent.
        name: of the ManagedCluster; one of its own if not given.
        labels: beside those that a registration gives.
        sync_mode: `Pull` means that nobody deploys.
        status: fields beside, or instead of, those of a healthy cluster.
    """
    identity = str(uuid.uuid4())
    name = name or f"fake-{identity[:8]}"
    namespace = f"{names.PREFIX}fake-{identity[:8]}"
    identified = {
        names.CREATED_BY_LABEL: names.CREATED_BY_AGENT,
        names.CLUSTER_ID_LABEL: identity,
        names.CLUSTER_NAME_LABEL: name,
    }
    await admin.create(
        NAMESPACES, {**_head(NAMESPACES, namespace), "metadata": {"name": namespace, "labels": identified}}
    )
    registered = {**identified, names.REGISTERED_BY_LABEL: names.REGISTERED_BY_AGENT, **(labels or {})}
    cluster = await admin.create(
        MANAGED_CLUSTERS,
        {
            **_head(MANAGED_CLUSTERS, name, namespace),
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": registered,
                "annotations": {names.READS_VALUES_ANNOTATION: "true"},
            },
            "spec": {"clusterId": identity, "clusterType": "StandardCluster", "syncMode": sync_mode},
        },
    )
    await set_ready(admin, cluster, status=status)
    return FakeCluster(name, namespace, identity)


async def set_ready(
    admin: Client, cluster: Object | FakeCluster, *, ready: bool = True, status: Object | None = None
) -> None:
    """Report what an agent would report: the cluster is healthy, or not."""
    if isinstance(cluster, FakeCluster):
        name, namespace = cluster.name, cluster.namespace
    else:
        name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    now = format_time(datetime.now(UTC))
    condition = {
        "type": names.READY,
        "status": names.TRUE if ready else names.FALSE,
        "reason": names.MANAGED_CLUSTER_READY if ready else names.MANAGED_CLUSTER_NOT_READY,
        "message": "as the test says",
        "lastTransitionTime": now,
    }
    health = dict.fromkeys(("healthz", "livez", "readyz"), ready)
    body = {
        **health,
        "conditions": [condition],
        "heartbeatFrequencySeconds": _NEVER_LOST,
        "lastObservedTime": now,
        **(status or {}),
    }
    await admin.patch(MANAGED_CLUSTERS, name, {"status": body}, namespace, subresource="status")


async def remove_cluster(admin: Client, cluster: FakeCluster) -> None:
    """Remove a cluster and its namespace from the parent."""
    with suppress(NotFound):
        await admin.delete(MANAGED_CLUSTERS, cluster.name, cluster.namespace)
    with suppress(NotFound):
        await admin.delete(NAMESPACES, cluster.namespace)


async def bind(admin: Client, subscription: Object, clusters: Iterable[FakeCluster], **status: Any) -> None:
    """Write what the scheduler would write; the Subscription needs a `schedulerName` that isn't the hub's."""
    metadata = subscription["metadata"]
    bindings = sorted(cluster.binding for cluster in clusters)
    body = {"bindingClusters": bindings, "desiredReleases": len(bindings), **status}
    await admin.patch(SUBSCRIPTIONS, metadata["name"], {"status": body}, metadata["namespace"], subresource="status")


def _overriding(feed: Object, overrides: Iterable[Object], spec: Mapping[str, Any]) -> Object:
    feed = feed_of(feed) if "metadata" in feed else feed
    return {"overridePolicy": names.APPLY_NOW, "feed": feed, "overrides": list(overrides), **spec}


def _head(resource: Resource, name: str, namespace: str | None = None) -> Object:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
