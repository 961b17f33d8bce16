"""Keeps the FeedInventory of each Subscription that divides replicas (spec/03 §1.3)."""

from __future__ import annotations

import logging

from clusternet_engine.hub.caches import BY_FEED, Caches
from clusternet_engine.hub.settings import Settings
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.errors import AlreadyExists, ApiError, Conflict, ConnectionFailed
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.resources import FEED_INVENTORIES, Object, object_key, split_key
from clusternet_engine.model import constants as names
from clusternet_engine.model import features
from clusternet_engine.model.feeds import manifest_references
from clusternet_engine.model.inventory import Unparseable, inventory_feeds, make_inventory
from clusternet_engine.model.scheduling import strategy_of

NAME = "feedinventory"

log = logging.getLogger(__name__)


class Inventory:
    """The controller of FeedInventories; without the gate FeedInventory it leaves them to others.

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
        self._enabled = settings.enabled(features.FEED_INVENTORY)
        self._controller = Controller(
            NAME,
            self._reconcile,
            workers=settings.workers,
            keys=lambda: map(object_key, filter(_divides, caches.subscriptions.items())),
        )
        self._told: dict[str, str] = {}
        if self._enabled:
            caches.subscriptions.add_handler(self._on_subscription)
            caches.manifests.add_handler(self._on_manifest)
            caches.inventories.add_handler(self._on_inventory)

    async def run(self) -> None:
        """Work until cancelled; begins with all Subscriptions that divide."""
        if self._enabled:
            self._told.clear()
            await self._controller.run()

    def _on_subscription(self, change: Change) -> None:
        if change.new and change.old and change.new["metadata"]["generation"] == change.old["metadata"]["generation"]:
            return
        if _divides(change.object):
            self._controller.enqueue(object_key(change.object))

    def _on_manifest(self, change: Change) -> None:
        if change.new and change.old and change.new.get("template") == change.old.get("template"):
            return
        for reference in manifest_references(change.object):
            for subscription in filter(_divides, self._caches.subscriptions.by_index(BY_FEED, reference)):
                self._controller.enqueue(object_key(subscription))

    def _on_inventory(self, change: Change) -> None:
        """One that is gone is made anew; a change may be an old one of ours that the cache shows late."""
        if change.new is None or (change.old is not None and change.old["spec"] != change.new["spec"]):
            self._controller.enqueue(object_key(change.object))

    async def _reconcile(self, key: str) -> None:
        namespace, name = split_key(key)
        subscription = self._caches.subscriptions.get(name, namespace)
        if (
            subscription is None
            or subscription["metadata"].get("deletionTimestamp")
            or not _divides(subscription)
            or self._caches.is_dedicated(str(namespace))
        ):
            self._told.pop(key, None)
            return
        try:
            feeds = inventory_feeds(subscription["spec"]["feeds"], self._caches.feed_objects)
        except Unparseable as problem:
            if self._told.get(key) != str(problem):
                self._told[key] = str(problem)
                self._recorder.note(subscription, "Warning", "UnParseableFeeds", str(problem))
            return
        self._told.pop(key, None)
        try:
            written = await self._write(make_inventory(subscription, feeds))
        except (Conflict, AlreadyExists):
            raise
        except (ApiError, ConnectionFailed) as error:
            self._recorder.note(subscription, "Warning", "FeedInventoryNotSynced", str(error))
            raise
        if written:
            log.info("FeedInventory %s written", key)
            self._recorder.note(subscription, "Normal", "FeedInventorySynced", "the FeedInventory is up to date")

    async def _write(self, wanted: Object) -> bool:
        """Create the FeedInventory, or bring it up to date if it differs."""
        metadata = wanted["metadata"]
        existing = self._caches.inventories.get(metadata["name"], metadata["namespace"])
        if existing is None:
            await self._client.create(FEED_INVENTORIES, wanted)
            return True
        if existing["spec"] == wanted["spec"] and all(
            existing["metadata"].get(field) == metadata[field] for field in ("labels", "ownerReferences")
        ):
            return False
        version = existing["metadata"]["resourceVersion"]
        await self._client.update(FEED_INVENTORIES, {**wanted, "metadata": {**metadata, "resourceVersion": version}})
        return True


def _divides(subscription: Object) -> bool:
    return strategy_of(subscription["spec"]) == names.DIVIDING
