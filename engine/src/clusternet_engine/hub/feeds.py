"""Feeds: finalizers and labels of Manifests and HelmCharts, and what becomes of one that is deleted (spec/03 §9)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from clusternet_engine.hub.caches import BY_FEED, Caches
from clusternet_engine.hub.marks import lacks, mark, release
from clusternet_engine.hub.settings import Settings
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.parallel import run_all
from clusternet_engine.kube.resources import (
    HELM_CHARTS,
    MANIFESTS,
    SUBSCRIPTIONS,
    Object,
    Resource,
    object_key,
    split_key,
)
from clusternet_engine.model import constants as names
from clusternet_engine.model import features
from clusternet_engine.model.feed_use import protection_text, use_labels
from clusternet_engine.model.feeds import feed_reference, feed_references
from clusternet_engine.model.rendering import source_references
from clusternet_engine.model.uid_labels import labels_patch, uid_labels

NAME = "feed"

_LABELS_DELAY = 1.0
"""Seconds after which labels follow what uses a feed, so that many uses become one write."""
_DELAY_A_CLUSTER = 0.001
"""Seconds added to it for each cluster that gets the feed."""

_MAX_WORKERS = 3
"""Feeds worked on at the same time, so that labels don't hold up what matters."""

log = logging.getLogger(__name__)


class Feeds:
    """The controller of Manifests and HelmCharts as feeds.

    Args:
        client: of the parent cluster.
        caches: of the parent cluster.
        settings: the hub's flags.
    """

    def __init__(self, client: Client, caches: Caches, settings: Settings) -> None:
        self._client = client
        self._caches = caches
        self._enabled = settings.enabled(features.DEPLOYER)
        protects = settings.enabled(features.FEED_IN_USE_PROTECTION)
        self._finalizers = (names.FINALIZER, names.FEED_PROTECTION_FINALIZER) if protects else (names.FINALIZER,)
        workers = min(settings.workers, _MAX_WORKERS)
        self._controller = Controller(NAME, self._reconcile, workers=workers, keys=self._keys)
        caches.manifests.add_handler(self._on_source)
        caches.charts.add_handler(self._on_source)
        caches.subscriptions.add_handler(self._on_user)
        caches.bases.add_handler(self._on_user)

    async def run(self) -> None:
        """Work until cancelled, with feature gate Deployer; begins with all feeds there are."""
        if self._enabled:
            await self._controller.run()

    def _keys(self) -> Iterable[str]:
        return map(_key, [*self._caches.manifests.items(), *self._caches.charts.items()])

    def _on_source(self, change: Change) -> None:
        if change.new is not None and (change.old is None or change.old["metadata"] != change.new["metadata"]):
            self._enqueue(change.new)

    def _on_user(self, change: Change) -> None:
        """A Subscription or Base lists a feed, or no longer."""
        before, after = (obj["spec"]["feeds"] if obj else [] for obj in (change.old, change.new))
        if before != after:
            changed = [feed for feed in before if feed not in after] + [feed for feed in after if feed not in before]
            for feed in changed:
                for source in self._caches.feed_objects(feed):
                    self._enqueue(source)

    def _enqueue(self, source: Object) -> None:
        if _is_going(source) or lacks(source, self._finalizers, {}):
            self._controller.enqueue(_key(source))
        else:
            users = self._users(self._caches.subscriptions, source)
            bound = sum(len((user.get("status") or {}).get("bindingClusters") or ()) for user in users)
            self._controller.enqueue_after(_key(source), _LABELS_DELAY + _DELAY_A_CLUSTER * bound)

    async def _reconcile(self, key: str) -> None:
        kind, _, rest = key.partition(" ")
        namespace, name = split_key(rest)
        charts = kind == names.HELM_CHART_KIND
        informer, resource = (self._caches.charts, HELM_CHARTS) if charts else (self._caches.manifests, MANIFESTS)
        source = informer.get(name, namespace)
        if source is None:
            return
        if _is_going(source):
            await self._let_go(resource, source)
            return
        if names.FEED_PROTECTION_FINALIZER not in self._finalizers:
            await release(self._client, resource, source, (names.FEED_PROTECTION_FINALIZER,))
        if lacks(source, self._finalizers, {}):
            await mark(self._client, resource, source, self._finalizers, {}, names.HUB)
        users = [*self._users(self._caches.subscriptions, source), *self._users(self._caches.bases, source)]
        there = uid_labels(source, (names.SUBSCRIPTION_KIND, names.BASE_KIND))
        if patch := labels_patch(there, use_labels(users)):
            await self._client.patch(resource, name, {"metadata": {"labels": patch}}, namespace)

    async def _let_go(self, resource: Resource, source: Object) -> None:
        """Keep a feed that is protected and in use; else let it go, out of all Subscriptions that list it."""
        subscriptions = self._users(self._caches.subscriptions, source)
        metadata = source["metadata"]
        finalizers = set(metadata.get("finalizers") or ())
        if subscriptions and names.FEED_PROTECTION_FINALIZER in finalizers & set(self._finalizers):
            text = protection_text(subscriptions)
            if (metadata.get("annotations") or {}).get(names.FEED_PROTECTION_ANNOTATION) != text:
                patch = {"metadata": {"annotations": {names.FEED_PROTECTION_ANNOTATION: text}}}
                await self._client.patch(resource, metadata["name"], patch, metadata["namespace"])
            return
        # A feed without namespace may mean other objects, too; then it stays.
        only = {reference for reference in source_references(source) if self._means_only(reference, source)}
        listing = [one for one in subscriptions if not only.isdisjoint(feed_references(one["spec"]["feeds"]))]
        if listing:
            await run_all((partial(self._drop, one, only) for one in listing), at_once=10)
            return  # the changed Subscriptions bring us back
        await release(self._client, resource, source, (names.FINALIZER, names.FEED_PROTECTION_FINALIZER))

    async def _drop(self, subscription: Object, references: set[str]) -> None:
        """Take a feed out of a Subscription."""
        metadata = subscription["metadata"]
        feeds = [feed for feed in subscription["spec"]["feeds"] if feed_reference(feed) not in references]
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "spec": {"feeds": feeds}}
        await self._client.patch(SUBSCRIPTIONS, metadata["name"], patch, metadata["namespace"])
        log.info("%s no longer lists %s, which are being deleted", object_key(subscription), sorted(references))

    def _means_only(self, reference: str, source: Object) -> bool:
        others = self._caches.manifests.by_index(BY_FEED, reference)
        return all(_is_going(one) or one["metadata"]["uid"] == source["metadata"]["uid"] for one in others)

    def _users(self, informer: Informer, source: Object) -> list[Object]:
        """Return what lists a feed; Subscriptions in dedicated namespaces publish nothing, so they use nothing."""
        found = (one for reference in source_references(source) for one in informer.by_index(BY_FEED, reference))
        if informer is self._caches.subscriptions:
            found = (one for one in found if not self._caches.is_dedicated(one["metadata"]["namespace"]))
        return list({object_key(one): one for one in found}.values())


def _key(source: Object) -> str:
    return f"{source['kind']} {object_key(source)}"


def _is_going(source: Object) -> bool:
    return bool(source["metadata"].get("deletionTimestamp"))
