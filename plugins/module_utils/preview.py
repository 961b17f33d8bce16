# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What would land on which cluster: the state of a parent with wanted objects laid over it, rendered.

The rules are those of the hub, from the package C(clusternet-engine); nothing of them is repeated here.
"""

from __future__ import annotations

import traceback
import uuid
from typing import Any, Iterable, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants, last_applied
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.custom_objects import change
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.preview_values import PublishedValues, evened
from ansible_collections.clusternet.core.plugins.module_utils.publication import decoded, natives
from ansible_collections.clusternet.core.plugins.module_utils.resources import (
    DESCRIPTIONS,
    GLOBALIZATIONS,
    HELM_CHARTS,
    KNOWN,
    LOCALIZATIONS,
    MANAGED_CLUSTERS,
    MANIFESTS,
    SUBSCRIPTIONS,
    Resource,
)

try:
    from clusternet_engine.kube.resources import Resource as EngineResource
    from clusternet_engine.model import bases, descriptions, feeds, inventory, rendering, scheduling, shadow

    ENGINE_ERROR = None
except ImportError:
    ENGINE_ERROR = traceback.format_exc()

ENGINE = "clusternet-engine"
"""The package that has the rules."""

Sources = dict[str, list[dict[str, Any]]]
"""Charts and Manifests, by the reference of a feed that means them."""

_LATER = "9999-12-31T23:59:59Z"  # creation of what doesn't exist yet, which comes last among equals
_KINDS = (MANAGED_CLUSTERS, HELM_CHARTS, LOCALIZATIONS, GLOBALIZATIONS, DESCRIPTIONS, SUBSCRIPTIONS)


class Wanted(NamedTuple):
    """What would be applied: objects of Clusternet's kinds, and native ones for the shadow API.

    Those of Clusternet's kinds that are being deleted would be removed.
    """

    subscriptions: list
    charts: list
    localizations: list
    globalizations: list
    definitions: list


class ClusterPreview(NamedTuple):
    """What one cluster would get, and has now, of one Subscription: objects, and charts with their values.

    What is C(plain) are the same objects and charts as they are before users' overrides change them.
    """

    namespace: str
    name: str
    objects: list
    objects_now: list
    charts: list
    charts_now: list
    plain: list
    plain_now: list
    problems: list


class SubscriptionPreview(NamedTuple):
    """Where one Subscription would go; clusters that it leaves are there, too, with nothing to get."""

    namespace: str
    name: str
    reason: str
    message: str
    replicas: dict
    clusters: list


class Preview:
    """The parent as it would be with everything that is I(wanted)."""

    def __init__(self, client: Client, wanted: Wanted, reserved_namespace: str = constants.RESERVED_NAMESPACE):
        self._client = client
        self._reserved = reserved_namespace
        self._values = PublishedValues(client, reserved_namespace)
        there = {resource.kind: self._list(resource, resource.path()) for resource in _KINDS}
        self._clusters = list(there[MANAGED_CLUSTERS.kind].values())
        self._descriptions = list(there[DESCRIPTIONS.kind].values())
        self.subscriptions = _laid(SUBSCRIPTIONS, there[SUBSCRIPTIONS.kind], wanted.subscriptions)
        self.subscriptions.update((_key(obj), obj) for obj in wanted.subscriptions if _is_going(obj))
        self._localizations = _laid(LOCALIZATIONS, there[LOCALIZATIONS.kind], wanted.localizations)
        self._globalizations = _laid(GLOBALIZATIONS, there[GLOBALIZATIONS.kind], wanted.globalizations)
        charts = _laid(HELM_CHARTS, there[HELM_CHARTS.kind], wanted.charts)
        for key, chart in charts.items():
            if chart["spec"] != there[HELM_CHARTS.kind].get(key, {}).get("spec"):
                charts[key] = {**chart, "status": {"phase": constants.PHASE_FOUND}}  # supposed, until the hub looks
        listed = self._list(MANIFESTS, MANIFESTS.path(namespace=self._reserved))
        manifests = {key: self._values.manifest(manifest) for key, manifest in listed.items()}
        self._sources_now = _by_reference(there[HELM_CHARTS.kind].values(), manifests.values())
        self._sources = _by_reference(charts.values(), self._with(wanted.definitions, manifests))

    def _list(self, resource: Resource, path: str) -> dict[tuple, dict[str, Any]]:
        try:
            listed = self._client.list(path)
        except ApiError as error:
            if error.status != 404:
                raise
            raise ClusternetError(
                f"This cluster doesn't serve {resource.kind}s, so it is no Clusternet parent. "
                "The role clusternet.core.hub makes it one.",
                "NoParent",
            ) from error
        return {_key(item): {"apiVersion": resource.api_version, "kind": resource.kind, **item} for item in listed}

    def _with(
        self, definitions: Iterable[dict[str, Any]], manifests: Mapping[tuple, dict[str, Any]]
    ) -> Iterable[dict[str, Any]]:
        """The I(manifests) with I(definitions) laid over them."""
        found = dict(manifests)
        by_reference = {}
        for key, manifest in found.items():
            feed = feeds.manifest_feed(manifest)
            if feed:
                by_reference[feeds.feed_reference(feed)] = key
        for definition in definitions:
            resource = _engine_resource(definition)
            wanted = shadow.published_object(shadow.template_of(definition), {})
            key = by_reference.get(feeds.feed_reference(_feed_of(wanted)))
            if key is None:
                manifest = shadow.make_manifest(wanted, resource, self._reserved, str(uuid.uuid4()))
                found[_key(manifest)] = manifest
            else:
                merged = last_applied.merged(found[key]["template"], wanted)
                found[key] = shadow.updated_manifest(found[key], shadow.template_of(merged), resource)
        return found.values()

    def publishing(self, references: Iterable[str]) -> list[tuple]:
        """The Subscriptions, by namespace and name, that publish any of these feeds."""
        wanted = set(references)
        return [
            key
            for key, subscription in self.subscriptions.items()
            if wanted & {feeds.feed_reference(feed) for feed in subscription["spec"]["feeds"]}
        ]

    def of(self, key: tuple) -> SubscriptionPreview:
        """What would become of the Subscription with this namespace and name; raises ClusternetError without one."""
        subscription = self.subscriptions.get(key)
        if subscription is None:
            raise ClusternetError(f"There is no Subscription {key[0]}/{key[1]}.", "NotFound")
        if _is_going(subscription):
            placement, entries = scheduling.Placement([], {}), None
        else:
            placement, entries = self._placement(subscription)
        subscription = {
            **subscription,
            "status": {"bindingClusters": placement.bindings, "replicas": placement.replicas},
        }
        uid = subscription["metadata"]["uid"]
        now = [
            item
            for item in self._descriptions
            if (item["metadata"].get("labels") or {}).get(constants.LABEL_SUBSCRIPTION_UID) == uid
            and not item["metadata"].get("deletionTimestamp")
        ]
        bound = dict(binding.split("/", 1) for binding in placement.bindings)
        leaving = {
            item["metadata"]["namespace"]: item["metadata"]["labels"].get(constants.LABEL_CLUSTER_NAME, "")
            for item in now
            if item["metadata"]["namespace"] not in bound
        }
        plain = (self._plain(subscription, self._sources, []), self._plain(subscription, self._sources_now, []))
        clusters = [
            self._cluster(subscription, entries, namespace, name, now, plain) for namespace, name in bound.items()
        ]
        for namespace, name in leaving.items():
            objects, charts = self._content(now, namespace)
            clusters.append(ClusterPreview(namespace, name, [], objects, [], charts, [], plain[1], []))
        return SubscriptionPreview(
            key[0],
            key[1],
            str(placement.reason),
            placement.message,
            placement.replicas,
            sorted(clusters, key=lambda cluster: (cluster.name, cluster.namespace)),
        )

    def _find(self, feed: dict[str, Any]) -> list[dict[str, Any]]:
        return self._sources.get(feeds.feed_reference(feed), [])

    def _placement(self, subscription: dict[str, Any]) -> tuple[Any, Optional[list]]:
        """Where it goes; when that can't be told, where it is."""
        entries = None
        try:
            if bases.is_divided(subscription):
                entries = inventory.inventory_feeds(subscription["spec"]["feeds"], self._find)
            # How much room clusters have is only known to their predictors: suppose that each has enough.
            enough = {
                feeds.feed_key(entry): entry["desiredReplicas"] for entry in entries or () if scheduling.divides(entry)
            }
            rooms = {
                f"{cluster['metadata']['namespace']}/{cluster['metadata']['name']}": enough
                for cluster in self._clusters
            }
            return scheduling.schedule(subscription, self._clusters, entries, rooms), entries
        except scheduling.Unschedulable as error:
            reason, message = error.reason, error.message
        except inventory.Unparseable as error:
            reason, message = scheduling.Reason.WAITING_FOR_INVENTORY, str(error)
        stays = scheduling.current_placement(subscription)
        return scheduling.Placement(stays.bindings, stays.replicas, reason, message), entries

    def _cluster(
        self,
        subscription: dict[str, Any],
        entries: Optional[list],
        namespace: str,
        name: str,
        now: list,
        plain: tuple[list, list],
    ) -> ClusterPreview:
        """What one cluster gets; I(plain) is what all get without overrides, as it would be and as it is now."""
        labels = [
            cluster["metadata"].get("labels") or {}
            for cluster in self._clusters
            if cluster["metadata"]["namespace"] == namespace
        ]
        base = bases.build_base(subscription, next(bases.base_names(subscription, namespace)), namespace, {})
        base["metadata"]["uid"] = "preview"
        uid = subscription["metadata"]["uid"]
        found = [item for item in self._localizations.values() if item["metadata"]["namespace"] == namespace]
        shares_now = [item for item in found if bases.is_replica_localization(item, uid)]
        own = [item for item in found if item not in shares_now]
        shares = []
        if bases.is_divided(subscription):
            made = bases.replica_localizations(subscription, base, {"spec": {"feeds": entries or []}}, [])
            shares = [_created(item) for item in made]
        rendered = rendering.render(
            subscription["spec"]["feeds"], self._find, [*own, *shares], list(self._globalizations.values()), labels
        )
        before = {item["spec"]["deployer"]: item for item in now if item["metadata"]["namespace"] == namespace}
        generic = descriptions.build_generic(base, rendered, before.get("Generic"))
        helm = descriptions.build_helm(base, rendered, before.get("Helm"))
        objects, charts = self._content([generic.description, helm.description], namespace)
        objects_now, charts_now = self._content(now, namespace)
        return ClusterPreview(
            namespace,
            name,
            evened(objects, objects_now),
            evened(objects_now, objects),
            charts,
            charts_now,
            self._plain(subscription, self._sources, shares) if shares else plain[0],
            self._plain(subscription, self._sources_now, shares_now) if shares_now else plain[1],
            [(problem.reason, problem.message) for problem in (*rendered.problems, *generic.problems, *helm.problems)],
        )

    @staticmethod
    def _plain(subscription: dict[str, Any], sources: Sources, shares: list) -> list[dict[str, Any]]:
        """What a Subscription's feeds are without overrides, but for the I(shares) of its replicas."""
        feeds_of = subscription["spec"]["feeds"]
        rendered = rendering.render(feeds_of, lambda feed: sources.get(feeds.feed_reference(feed), []), shares, [], [])
        return [*(part.object for part in rendered.generic), *(part.chart for part in rendered.charts)]

    def _content(self, found: Iterable[Mapping[str, Any]], namespace: str) -> tuple[list, list]:
        """The native objects with their values, and the charts with theirs, of the Descriptions of a namespace."""
        objects, charts = _content(found, namespace)
        return [self._values.entry(obj, namespace) for obj in objects], charts


def _by_reference(charts: Iterable[dict[str, Any]], manifests: Iterable[dict[str, Any]]) -> Sources:
    """The charts and Manifests, by the texts by which the hub matches feeds."""
    sources: Sources = {}
    for chart in charts:
        sources.setdefault(feeds.feed_reference(feeds.chart_feed(chart)), []).append(chart)
    for manifest in manifests:
        for reference in feeds.manifest_references(manifest):
            sources.setdefault(reference, []).append(manifest)
    return sources


def references(wanted: Wanted) -> list[str]:
    """By which text the hub matches the feeds that are wanted, or that a wanted override is for."""
    named = [override["spec"]["feed"] for override in (*wanted.localizations, *wanted.globalizations)]
    named += [feeds.chart_feed(chart) for chart in wanted.charts]
    named += map(_feed_of, wanted.definitions)
    return [feeds.feed_reference(feed) for feed in named]


def _feed_of(definition: Mapping[str, Any]) -> dict[str, Any]:
    metadata = definition["metadata"]
    feed = {"apiVersion": definition["apiVersion"], "kind": definition["kind"], "name": metadata["name"]}
    return {**feed, "namespace": metadata["namespace"]} if metadata.get("namespace") else feed


def _content(found: Iterable[Mapping[str, Any]], namespace: str) -> tuple[list, list]:
    """The native objects, and the charts with their values, of the Descriptions of a namespace."""
    objects: list[dict[str, Any]] = []
    charts: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for description in found:
        if description["metadata"]["namespace"] != namespace:
            continue
        if description["spec"]["deployer"] == "Helm":
            raw = decoded(description["spec"].get("raw"))
            charts += [
                (chart, raw[number] if number < len(raw) else {})
                for number, chart in enumerate(decoded(description["spec"].get("chartRaw")))
            ]
        else:
            objects += natives(description["spec"].get("raw"))
    return objects, charts


def _laid(
    resource: Resource, there: Mapping[tuple, dict[str, Any]], wanted: Iterable[dict[str, Any]]
) -> dict[tuple, dict[str, Any]]:
    """What is there with what is wanted laid over it, as the modules would do; all without what is being deleted."""
    result = {key: obj for key, obj in there.items() if not _is_going(obj)}
    for obj in wanted:
        key = _key(obj)
        if _is_going(obj):
            result.pop(key, None)
            continue
        before = result.get(key)
        if before is None:
            result[key] = _created(obj)
            continue
        patch = change(before, obj).get("metadata", {})
        metadata = dict(before["metadata"])
        for field, changes in patch.items():
            merged = {**(metadata.get(field) or {}), **changes}
            metadata[field] = {name: value for name, value in merged.items() if value is not None}
        result[key] = {**before, "metadata": metadata, "spec": obj["spec"]}
    return result


def _is_going(obj: Mapping[str, Any]) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def _created(obj: Mapping[str, Any]) -> dict[str, Any]:
    """I(obj) as if it had been created."""
    metadata = {"uid": f"preview-of-{obj['metadata']['name']}", "creationTimestamp": _LATER, **obj["metadata"]}
    for field in ("labels", "annotations"):
        if metadata.get(field):
            metadata[field] = {key: value for key, value in metadata[field].items() if value is not None}
    return {**obj, "metadata": metadata}


def _engine_resource(definition: Mapping[str, Any]) -> Any:
    """The kind of a definition; of one that isn't known, a supposed one, of which only the plural may be wrong."""
    api_version, kind = definition["apiVersion"], definition["kind"]
    known = KNOWN.get((api_version, kind))
    group, _slash, version = api_version.rpartition("/")
    plural = known.plural if known else f"{kind.lower()}s"
    return EngineResource(group, version, plural, kind, namespaced=bool(definition["metadata"].get("namespace")))


def _key(obj: Mapping[str, Any]) -> tuple:
    return obj["metadata"].get("namespace"), obj["metadata"]["name"]
