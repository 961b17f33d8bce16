"""Finalizers and labels of Localizations and Globalizations (spec/01 §6, 03 §7)."""

from __future__ import annotations

from collections.abc import Iterable

from clusternet_engine.hub.caches import BY_FEED, Caches
from clusternet_engine.hub.marks import lacks, mark, release
from clusternet_engine.hub.settings import Settings
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.resources import GLOBALIZATIONS, LOCALIZATIONS, Object, make_key, split_key
from clusternet_engine.model import constants as names
from clusternet_engine.model import features
from clusternet_engine.model.overrides import is_live
from clusternet_engine.model.rendering import source_references
from clusternet_engine.model.uid_labels import labels_patch, uid_label, uid_labels

NAME = "override"

_LABELS_DELAY = 1.0
"""Seconds after which labels follow, so that what matters comes first."""


class Overrides:
    """The controller of Localizations and Globalizations; what they do is up to the rendering of Bases.

    Args:
        client: of the parent cluster.
        caches: of the parent cluster.
        settings: the hub's flags.
    """

    def __init__(self, client: Client, caches: Caches, settings: Settings) -> None:
        self._client = client
        self._caches = caches
        self._enabled = settings.enabled(features.DEPLOYER)
        self._controller = Controller(NAME, self._reconcile, workers=settings.workers, keys=self._keys)
        caches.localizations.add_handler(self._on_override)
        caches.globalizations.add_handler(self._on_override)
        caches.manifests.add_handler(self._on_source)
        caches.charts.add_handler(self._on_source)

    async def run(self) -> None:
        """Work until cancelled, with feature gate Deployer; begins with all overrides there are."""
        if self._enabled:
            await self._controller.run()

    def _keys(self) -> Iterable[str]:
        return map(_key, [*self._caches.localizations.items(), *self._caches.globalizations.items()])

    def _on_override(self, change: Change) -> None:
        if change.new is None:
            return
        if not is_live(change.new) or lacks(change.new, (names.FINALIZER,), {}):
            self._controller.enqueue(_key(change.new))
        elif change.old is None or change.old["spec"].get("feed") != change.new["spec"].get("feed"):
            self._controller.enqueue_after(_key(change.new), _LABELS_DELAY)

    def _on_source(self, change: Change) -> None:
        """A feed has come or gone, maybe as another object of the same name."""
        if change.old is not None and change.new is not None:
            return
        for reference in source_references(change.object):
            for informer in (self._caches.localizations, self._caches.globalizations):
                for override in informer.by_index(BY_FEED, reference):
                    self._controller.enqueue_after(_key(override), _LABELS_DELAY)

    async def _reconcile(self, key: str) -> None:
        namespace, name = split_key(key)
        local = namespace is not None
        informer, resource = (
            (self._caches.localizations, LOCALIZATIONS) if local else (self._caches.globalizations, GLOBALIZATIONS)
        )
        override = informer.get(name, namespace)
        if override is None:
            return
        if not is_live(override):
            await release(self._client, resource, override, (names.FINALIZER,))
            return
        if lacks(override, (names.FINALIZER,), {}):
            await mark(self._client, resource, override, (names.FINALIZER,), {}, names.HUB)
        feed = override["spec"].get("feed")
        if feed and (patch := self._labels_patch(override, feed)):
            await self._client.patch(resource, name, {"metadata": {"labels": patch}}, namespace)

    def _labels_patch(self, override: Object, feed: Object) -> dict[str, str | None]:
        wanted: dict[str, str] = {}
        for source in self._caches.feed_objects(feed):
            wanted |= uid_label(source, feed["kind"])
        return labels_patch(uid_labels(override, (feed["kind"],)), wanted)


def _key(override: Object) -> str:
    metadata = override["metadata"]
    return make_key(metadata["name"], metadata.get("namespace"))
