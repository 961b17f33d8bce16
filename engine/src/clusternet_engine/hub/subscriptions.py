"""Turns scheduled Subscriptions into Bases, and takes them away again (spec/03 §4.4, §5, §9)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

from clusternet_engine.hub.caches import BY_NAMESPACE, BY_SUBSCRIPTION, BY_UID, Caches
from clusternet_engine.hub.marks import lacks, mark, release
from clusternet_engine.hub.settings import Settings
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.errors import AlreadyExists, ApiError, Conflict, ConnectionFailed, NotFound
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.parallel import run_all
from clusternet_engine.kube.resources import BASES, LOCALIZATIONS, SUBSCRIPTIONS, Object, object_key, split_key
from clusternet_engine.model import constants as names
from clusternet_engine.model import features
from clusternet_engine.model.bases import (
    base_names,
    build_base,
    divided_replicas,
    is_divided,
    is_replica_localization,
    is_scheduled,
    replica_localizations,
)
from clusternet_engine.model.merging import merge_difference
from clusternet_engine.model.uid_labels import uid_label

NAME = "subscription"

_AT_ONCE = 20
"""Clusters of one Subscription worked on at the same time."""
_BLOCKED_RECHECK = 10.0
"""Seconds until the next attempt where a Base couldn't be made; mostly an event comes first."""
_UNSEEN_RECHECK = 0.2
"""Seconds until the next look for Bases that the cache doesn't know."""
_EVENTS_ONE_BY_ONE = 10
"""More new Bases than that share one event."""

log = logging.getLogger(__name__)


class Subscriptions:
    """The controller that makes Bases.

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
        self._publishers = settings.publishers
        self._controller = Controller(
            NAME, self._reconcile, workers=settings.workers, keys=lambda: map(object_key, caches.subscriptions.items())
        )
        self._unseen: dict[str, dict[str, Object]] = {}
        """Bases that this process has made and the cache doesn't know yet: by UID of the Subscription, by key."""
        caches.subscriptions.add_handler(self._on_subscription)
        caches.bases.add_handler(self._on_base)
        caches.localizations.add_handler(self._on_localization)
        caches.inventories.add_handler(lambda change: self._controller.enqueue(object_key(change.object)))
        caches.clusters.add_handler(self._on_cluster)
        caches.add_registration_handler(self._on_registration)

    async def run(self) -> None:
        """Work until cancelled, with feature gate Deployer; begins with all Subscriptions there are."""
        self._unseen.clear()
        if self._enabled:
            await self._controller.run()

    def _on_subscription(self, change: Change) -> None:
        if change.old is None or change.new is None or _concern(change.old) != _concern(change.new):
            self._controller.enqueue(object_key(change.object))

    def _on_base(self, change: Change) -> None:
        uid = _subscription_uid(change.object)
        unseen = self._unseen.get(uid)
        if unseen and unseen.pop(object_key(change.object), None) and not unseen:
            del self._unseen[uid]
        if change.old is None or (change.new is not None and change.old["spec"] == change.new["spec"]):
            return
        for subscription in self._caches.subscriptions.by_index(BY_UID, uid):
            self._controller.enqueue(object_key(subscription))

    def _on_localization(self, change: Change) -> None:
        """Somebody else has changed or removed a Localization that divides replicas."""
        if change.old is None or (change.new is not None and change.old["spec"] == change.new["spec"]):
            return
        for key, value in (change.object["metadata"].get("labels") or {}).items():
            if value == names.SUBSCRIPTION_KIND:
                for subscription in self._caches.subscriptions.by_index(BY_UID, key):
                    self._controller.enqueue(object_key(subscription))

    def _on_cluster(self, change: Change) -> None:
        """Other labels may take away the leave to publish to a cluster."""
        if not self._publishers.selectors or change.old is None or change.new is None:
            return
        if change.old["metadata"].get("labels") != change.new["metadata"].get("labels"):
            self._look_at(change.new["metadata"]["namespace"])

    def _on_registration(self, namespace: str) -> None:
        for subscription in self._caches.subscriptions.by_index(BY_NAMESPACE, namespace):
            self._controller.enqueue(object_key(subscription))
        self._look_at(namespace)

    def _look_at(self, namespace: str) -> None:
        """Look at all Subscriptions that have a Base in a dedicated namespace."""
        for base in self._caches.bases.by_index(BY_NAMESPACE, namespace):
            for subscription in self._caches.subscriptions.by_index(BY_UID, _subscription_uid(base)):
                self._controller.enqueue(object_key(subscription))

    async def _reconcile(self, key: str) -> float | None:
        namespace, name = split_key(key)
        subscription = self._caches.subscriptions.get(name, namespace)
        if subscription is None:
            return None
        if subscription["metadata"].get("deletionTimestamp"):
            return await self._finish(subscription)
        label = uid_label(subscription)
        if lacks(subscription, (names.FINALIZER,), label):
            await mark(self._client, SUBSCRIPTIONS, subscription, (names.FINALIZER,), label, names.HUB)
        if not is_scheduled(subscription):
            return None
        try:
            return await self._place(subscription)
        except (Conflict, NotFound):
            raise  # something has changed meanwhile
        except (ApiError, ConnectionFailed) as error:
            self._recorder.note(subscription, "Warning", "FailedSyncingBase", str(error))
            raise

    async def _finish(self, subscription: Object) -> float | None:
        """Remove the Bases of a Subscription that is being deleted; the last one gone, let it go.

        Nobody would remove a Base any more that the cache doesn't know, so the parent is asked before.
        """
        known = self._bases(subscription)
        bases = known or await self._unknown_bases(subscription)
        if not bases:
            await release(self._client, SUBSCRIPTIONS, subscription, (names.FINALIZER,))
            return None
        await run_all((partial(self._remove, base) for base in bases if _is_live(base)), at_once=_AT_ONCE)
        return None if known else _UNSEEN_RECHECK

    async def _place(self, subscription: Object) -> float | None:
        """Bring the Bases in line with the bindings."""
        bound = dict.fromkeys(self._bound_namespaces(subscription))
        by_namespace: dict[str, list[Object]] = {namespace: [] for namespace in bound}
        stale = []
        for base in filter(_is_live, self._bases(subscription)):
            there = by_namespace.get(base["metadata"]["namespace"])
            stale.append(base) if there is None else there.append(base)
        placing = _Placing(subscription, self._caches)
        works = [partial(self._place_in, placing, *pair) for pair in by_namespace.items()]
        await run_all([*works, *(partial(self._remove, base) for base in stale)], at_once=_AT_ONCE)
        self._report(placing)
        return _BLOCKED_RECHECK if placing.blocked else None

    def _bound_namespaces(self, subscription: Object) -> Iterator[str]:
        """Yield the dedicated namespaces that a Subscription is bound to, and may publish to.

        The bindings may be another scheduler's, or anybody's who may write the status.
        """
        own = subscription["metadata"]["namespace"]
        if self._caches.is_dedicated(own):
            return
        for binding in (subscription.get("status") or {}).get("bindingClusters") or ():
            namespace, _, name = binding.partition("/")
            cluster = self._caches.clusters.get(name, namespace)
            if cluster is None:
                # The cache may lag, or the cluster has gone and the scheduler is about to notice.
                if self._caches.is_dedicated(namespace) and not self._publishers.selectors:
                    yield namespace
            elif self._caches.is_registered(cluster) and self._publishers.may_publish_to(
                own, cluster["metadata"].get("labels")
            ):
                yield namespace

    async def _place_in(self, placing: _Placing, namespace: str, bases: list[Object]) -> None:
        """Make or update the Base in one dedicated namespace, and the Localizations there."""
        if len(bases) > 1:
            text = f"{len(bases)} Bases in namespace {namespace}: {', '.join(map(_name, bases))}"
            self._recorder.note(placing.subscription, "Warning", "MultipleBases", text)
        if not bases:
            made = await self._create(placing, namespace)
            bases = [made] if made else []
        else:
            for base in bases:
                await self._update(placing, base)
        if bases:
            await self._divide(placing, min(bases, key=_age))

    async def _create(self, placing: _Placing, namespace: str) -> Object | None:
        """Make the Base of a namespace, unless an old one of its name still has to go."""
        subscription = placing.subscription
        uid = subscription["metadata"]["uid"]
        there = None
        for name in base_names(subscription, namespace):
            there = self._caches.bases.get(name, namespace)
            if there is None or _subscription_uid(there) == uid:
                break
        if there is not None:
            return None
        dedicated = self._caches.namespaces.get(namespace)
        labels = (dedicated or {}).get("metadata", {}).get("labels") or placing.labels(namespace)
        base = build_base(subscription, name, namespace, labels)
        try:
            made = await self._client.create(BASES, base)
        except NotFound:
            placing.blocked.append(namespace)
            return None
        except AlreadyExists:
            # The cache doesn't know it yet: made a moment ago, deleted and not yet gone, or somebody else's.
            placing.blocked.append(namespace)
            return None
        made = {"apiVersion": BASES.api_version, "kind": BASES.kind} | made
        if self._caches.bases.get(name, namespace) is None:
            self._unseen.setdefault(uid, {})[object_key(made)] = made
        placing.created.append(made)
        return made

    async def _update(self, placing: _Placing, base: Object) -> None:
        metadata = base["metadata"]
        wanted = build_base(placing.subscription, metadata["name"], metadata["namespace"], metadata.get("labels") or {})
        there, after = metadata.get("labels") or {}, wanted["metadata"]["labels"]
        patch: dict[str, Any] = merge_difference({"labels": there}, {"labels": {**there, **after}})
        patch = {"metadata": patch} if patch else {}
        if base["spec"]["feeds"] != wanted["spec"]["feeds"]:
            patch["spec"] = {"feeds": wanted["spec"]["feeds"]}
        if patch:
            await self._client.patch(BASES, metadata["name"], patch, metadata["namespace"])
            placing.updated.append(base)

    async def _remove(self, base: Object) -> None:
        metadata = base["metadata"]
        try:
            await self._client.delete(BASES, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except NotFound:
            return

    async def _divide(self, placing: _Placing, base: Object) -> None:
        """Bring the Localizations that divide replicas in line with what was scheduled."""
        subscription = placing.subscription
        namespace = base["metadata"]["namespace"]
        there = placing.localizations.get(namespace, [])
        if not (placing.divided or there):
            return
        if placing.inventory is None and placing.divided and divided_replicas(subscription, namespace):
            return  # its event brings us back
        wanted = replica_localizations(subscription, base, placing.inventory, there) if placing.divided else []
        existing = {_name(one): one for one in there}
        for localization in wanted:
            before = existing.pop(_name(localization), None)
            if before is None:
                await self._create_localization(localization)
            elif changed := merge_difference({"spec": before["spec"]}, {"spec": localization["spec"]}):
                await self._client.patch(LOCALIZATIONS, _name(before), changed, namespace)
        for localization in filter(_is_live, existing.values()):
            try:
                await self._client.delete(LOCALIZATIONS, _name(localization), namespace)
            except NotFound:
                continue

    async def _create_localization(self, localization: Object) -> None:
        try:
            await self._client.create(LOCALIZATIONS, localization)
        except AlreadyExists:
            # Not in the cache yet, or the one of a former Base that Kubernetes is about to remove: make it this Base's.
            metadata = localization["metadata"]
            patch = {"metadata": {"ownerReferences": metadata["ownerReferences"]}, "spec": localization["spec"]}
            await self._client.patch(LOCALIZATIONS, metadata["name"], patch, metadata["namespace"])

    def _bases(self, subscription: Object) -> list[Object]:
        """Return all Bases of a Subscription, those included that the cache doesn't know yet."""
        uid = subscription["metadata"]["uid"]
        known = self._caches.bases.by_index(BY_SUBSCRIPTION, uid)
        unseen = self._unseen.get(uid)
        if not unseen:
            return known
        return list({**unseen, **{object_key(base): base for base in known}}.values())

    async def _unknown_bases(self, subscription: Object) -> list[Object]:
        selector = f"{names.SUBSCRIPTION_UID_LABEL}={subscription['metadata']['uid']}"
        return list((await self._client.list(BASES, label_selector=selector)).items)

    def _report(self, placing: _Placing) -> None:
        for reason, bases in (("BaseCreated", placing.created), ("BaseUpdated", placing.updated)):
            verb = reason.removeprefix("Base").lower()
            if len(bases) > _EVENTS_ONE_BY_ONE:
                self._recorder.note(placing.subscription, "Normal", reason, f"{len(bases)} Bases {verb}")
                continue
            for base in bases:
                self._recorder.note(placing.subscription, "Normal", reason, f"Base {object_key(base)} {verb}")


class _Placing:
    """One round of work on one Subscription."""

    def __init__(self, subscription: Object, caches: Caches) -> None:
        metadata = subscription["metadata"]
        self.subscription = subscription
        self.divided = is_divided(subscription)
        self.inventory = caches.inventories.get(metadata["name"], metadata["namespace"])
        self.localizations: dict[str, list[Object]] = {}
        """Those that divide its replicas, by namespace."""
        for one in caches.localizations.by_index(BY_SUBSCRIPTION, metadata["uid"]):
            if is_replica_localization(one, metadata["uid"]):
                self.localizations.setdefault(one["metadata"]["namespace"], []).append(one)
        self.created: list[Object] = []
        self.updated: list[Object] = []
        self.blocked: list[str] = []
        """Namespaces that don't exist, or have something in the way of the Base."""
        self._caches = caches

    def labels(self, namespace: str) -> dict[str, str]:
        """Return the labels of a cluster whose namespace the cache doesn't know yet."""
        for binding in self.subscription["status"]["bindingClusters"]:
            there, _, name = binding.partition("/")
            cluster = self._caches.clusters.get(name, namespace) if there == namespace else None
            if cluster is not None:
                return cluster["metadata"].get("labels") or {}
        return {}


def _concern(subscription: Object) -> tuple[Any, ...]:
    """Return what matters of a Subscription."""
    metadata, status = subscription["metadata"], subscription.get("status") or {}
    return (
        subscription["spec"],
        [metadata.get(field) for field in ("deletionTimestamp", "finalizers", "labels", "annotations")],
        [status.get(field) for field in ("bindingClusters", "replicas", "specHash")],
    )


def _subscription_uid(base: Object) -> str:
    return (base["metadata"].get("labels") or {}).get(names.SUBSCRIPTION_UID_LABEL) or ""


def _is_live(obj: Object) -> bool:
    return not obj["metadata"].get("deletionTimestamp")


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _age(base: Object) -> tuple[str, str]:
    return base["metadata"].get("creationTimestamp") or "", _name(base)
