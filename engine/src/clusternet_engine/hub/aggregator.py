"""Sums up in the status of each Subscription how publishing goes (spec/03 §10)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from clusternet_engine.hub.caches import BY_FEED, BY_NAMESPACE, BY_OWNER, BY_SUBSCRIPTION, BY_UID, Caches
from clusternet_engine.hub.settings import Settings
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client, PatchType
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.errors import ApiError, NotFound
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import SUBSCRIPTIONS, Object, object_key, split_key
from clusternet_engine.model import constants as names
from clusternet_engine.model import features
from clusternet_engine.model.aggregation import ClusterState, Part, aggregate, parts_of
from clusternet_engine.model.conditions import find_condition
from clusternet_engine.model.rendering import source_references

NAME = "aggregator"

_FIELD_MANAGER = "clusternet-aggregator"
_DELAY = 0.02
"""Seconds to wait for further changes, so that many of them become one write."""
_DELAY_A_CLUSTER = 0.001
"""Seconds added to it for each bound cluster: summing up takes the longer the more there are."""

log = logging.getLogger(__name__)


class Aggregator:
    """The controller of Subscriptions' status, but for what the scheduler writes.

    Args:
        client: of the parent cluster.
        caches: of the parent cluster.
        recorder: of events.
        settings: the hub's flags.
    """

    def __init__(self, client: Client, caches: Caches, recorder: EventRecorder, settings: Settings) -> None:
        self._client = client
        self._caches = caches
        self._recorder = recorder
        self._enabled = settings.enabled(features.DEPLOYER)
        self._controller = Controller(
            NAME, self._reconcile, workers=settings.workers, keys=lambda: map(object_key, caches.subscriptions.items())
        )
        self._parts: dict[str, tuple[int, list[Part]]] = {}
        """Objects of Descriptions by UID, with the generation they were read from."""
        caches.subscriptions.add_handler(self._on_subscription)
        caches.bases.add_handler(self._on_made)
        caches.descriptions.add_handler(self._on_made)
        caches.releases.add_handler(self._on_made)
        caches.manifests.add_handler(self._on_source)
        caches.charts.add_handler(self._on_source)
        caches.clusters.add_handler(self._on_cluster)

    async def run(self) -> None:
        """Work until cancelled, with feature gate Deployer; begins with all Subscriptions there are."""
        if self._enabled:
            await self._controller.run()

    def _on_subscription(self, change: Change) -> None:
        if change.new is not None:
            self._enqueue((change.new,))

    def _on_made(self, change: Change) -> None:
        """A Base, Description or HelmRelease has changed."""
        if change.new is None:
            self._parts.pop(change.object["metadata"]["uid"], None)
        uid = (change.object["metadata"].get("labels") or {}).get(names.SUBSCRIPTION_UID_LABEL)
        if uid:
            self._enqueue(self._caches.subscriptions.by_index(BY_UID, uid))

    def _on_source(self, change: Change) -> None:
        """A feed has come or gone, or a chart has been looked up."""
        if change.old is None or change.new is None or change.old.get("status") != change.new.get("status"):
            for reference in source_references(change.object):
                self._enqueue(self._caches.subscriptions.by_index(BY_FEED, reference))

    def _on_cluster(self, change: Change) -> None:
        """A cluster is lost, or back."""
        if change.old is not None and change.new is not None and _ready(change.old) == _ready(change.new):
            return
        for base in self._caches.bases.by_index(BY_NAMESPACE, change.object["metadata"]["namespace"]):
            uid = (base["metadata"].get("labels") or {}).get(names.SUBSCRIPTION_UID_LABEL)
            if uid:
                self._enqueue(self._caches.subscriptions.by_index(BY_UID, uid))

    def _enqueue(self, subscriptions: Iterable[Object]) -> None:
        for subscription in subscriptions:
            bound = len((subscription.get("status") or {}).get("bindingClusters") or ())
            self._controller.enqueue_after(object_key(subscription), _DELAY + _DELAY_A_CLUSTER * bound)

    async def _reconcile(self, key: str) -> None:
        namespace, name = split_key(key)
        subscription = self._caches.subscriptions.get(name, namespace)
        if subscription is None or subscription["metadata"].get("deletionTimestamp"):
            return
        now = datetime.now(UTC)
        wanted = aggregate(subscription, self._states(subscription), self._caches.feed_objects, now, self._parts_of)
        if _says(subscription.get("status") or {}, wanted):
            return
        body = {
            "apiVersion": SUBSCRIPTIONS.api_version,
            "kind": SUBSCRIPTIONS.kind,
            "metadata": {"name": name, "namespace": namespace, "uid": subscription["metadata"]["uid"]},
            "status": wanted,
        }
        try:
            await self._client.patch(
                SUBSCRIPTIONS,
                name,
                body,
                namespace,
                kind=PatchType.APPLY,
                subresource="status",
                field_manager=_FIELD_MANAGER,
                force=True,
            )
        except NotFound:
            return
        except ApiError as error:
            self._recorder.note(subscription, "Warning", "FailedAggregateStatus", str(error))
            raise

    def _states(self, subscription: Object) -> list[ClusterState]:
        """Return what is known of the bound clusters, in the order of the bindings."""
        bases = {
            base["metadata"]["namespace"]: base
            for base in self._caches.bases.by_index(BY_SUBSCRIPTION, subscription["metadata"]["uid"])
            if not base["metadata"].get("deletionTimestamp")
        }
        states = []
        for binding in (subscription.get("status") or {}).get("bindingClusters") or ():
            namespace, _, name = binding.partition("/")
            cluster, base = self._caches.clusters.get(name, namespace), bases.get(namespace)
            if cluster is not None and not self._caches.is_registered(cluster):
                cluster = None
            descriptions = _owned(self._caches.descriptions, base) if base else ()
            live = [one for one in descriptions if not one["metadata"].get("deletionTimestamp")]
            states.append(
                ClusterState(
                    name=name,
                    identity=_identity(cluster, base),
                    cluster=cluster,
                    base=base,
                    descriptions=live,
                    releases={one["metadata"]["name"]: one for one in self._releases(live)},
                )
            )
        return states

    def _releases(self, descriptions: Iterable[Object]) -> Iterable[Object]:
        for description in descriptions:
            yield from _owned(self._caches.releases, description)

    def _parts_of(self, description: Object) -> Sequence[Part]:
        uid, generation = description["metadata"]["uid"], description["metadata"]["generation"]
        known = self._parts.get(uid)
        if known is None or known[0] != generation:
            known = self._parts[uid] = (generation, parts_of(description))
        return known[1]


def _owned(informer: Informer, owner: Object) -> Iterable[Object]:
    """Yield the objects of an owner in its namespace; those elsewhere only say that they are its."""
    for one in informer.by_index(BY_OWNER, owner["metadata"]["uid"]):
        if one["metadata"]["namespace"] == owner["metadata"]["namespace"]:
            yield one


def _says(status: Object, wanted: Object) -> bool:
    """Return whether the status says what is wanted already."""
    conditions = status.get("conditions")
    return all(find_condition(conditions, one["type"]) == one for one in wanted["conditions"]) and all(
        status.get(field) == wanted[field] for field in ("aggregatedStatuses", "completedReleases")
    )


def _ready(cluster: Object) -> object:
    ready = find_condition((cluster.get("status") or {}).get("conditions"), names.READY)
    return ready["status"] if ready else None


def _identity(cluster: Object | None, base: Object | None) -> str:
    if cluster is not None:
        return str(cluster["spec"]["clusterId"])
    return str(((base or {}).get("metadata", {}).get("labels") or {}).get(names.CLUSTER_ID_LABEL, ""))
