"""Keeps deployed objects as they were deployed, and tells the parent how they are (spec/03 §10, §11).

Works in all sync modes. An object is restored only if what was applied last is what its Description says now: where
the two differ, whoever deploys is about to apply the newer one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from clusternet_engine.deploy.discovery import KindUnknown
from clusternet_engine.deploy.objects import Objects
from clusternet_engine.deploy.statuses import Statuses
from clusternet_engine.deploy.values import ValuesMissing, ValuesReader
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.errors import ApiError, ConnectionFailed, NotFound
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import DESCRIPTIONS, Object, object_key, split_key
from clusternet_engine.model import constants as names
from clusternet_engine.model.applied import (
    MalformedObject,
    owner_of,
    owner_text,
    parse_objects,
    prepare,
    reference,
)
from clusternet_engine.model.drift import drifted, outdated
from clusternet_engine.model.feeds import feed_text
from clusternet_engine.model.manifest_statuses import fitting, observed
from clusternet_engine.model.secret_values import MalformedValues

_WORKERS = 10
_STATUS_INTERVAL = 1.0
"""Seconds between two writes of one Description's `manifestStatuses`."""

Kind = tuple[str, str]
"""apiVersion and kind."""

log = logging.getLogger(__name__)


class Recovery:
    """The controller of objects on the child that belong to Descriptions.

    Args:
        parent: client of the parent.
        objects: of the child, as its deployer.
        descriptions: those of this cluster.
        recorder: of events on the parent.
    """

    def __init__(self, parent: Client, objects: Objects, descriptions: Informer, recorder: EventRecorder) -> None:
        self._parent = parent
        self._objects = objects
        self._descriptions = descriptions
        self._recorder = recorder
        self._kinds: dict[str, frozenset[Kind]] = {}
        self._watched: dict[Kind, Informer] = {}
        self._watching: dict[Kind, asyncio.Task[None]] = {}
        self._statuses = Statuses()
        self._values = ValuesReader(parent)
        self._written: dict[str, float] = {}
        self._controller = Controller(
            "recovery", self._reconcile, workers=_WORKERS, keys=lambda: map(object_key, descriptions.items())
        )

    async def run(self) -> None:
        """Work until cancelled."""
        self._descriptions.add_handler(self._on_description)
        try:
            await self._controller.run()
        finally:
            watching, self._watching = self._watching, {}
            for task in watching.values():
                task.cancel()
            await asyncio.gather(*watching.values(), return_exceptions=True)

    def _on_description(self, change: Change) -> None:
        description = change.object
        if description["spec"]["deployer"] != names.DEPLOYER_GENERIC:
            return
        key = object_key(description)
        if change.new is None:
            self._kinds.pop(key, None)
            self._written.pop(key, None)
            self._statuses.forget(description)
        elif change.old is None or change.old["spec"] != change.new["spec"]:
            self._kinds[key] = frozenset((obj["apiVersion"], obj["kind"]) for obj in _objects(description))
        self._watch_kinds()
        self._controller.enqueue(key)

    def _watch_kinds(self) -> None:
        """Watch the kinds that Descriptions have, and no others."""
        wanted = {kind for kinds in self._kinds.values() for kind in kinds}
        for kind in self._watching.keys() - wanted:
            self._watching.pop(kind).cancel()
            self._watched.pop(kind, None)
        for kind in wanted - self._watching.keys():
            self._watching[kind] = asyncio.create_task(self._watch(kind), name=f"recovery of {kind[1]}")

    async def _watch(self, kind: Kind) -> None:
        backoff = Backoff(0.1, 30)
        while True:
            with suppress(KindUnknown, ApiError, ConnectionFailed):
                resource = await self._objects.discovery.resource(*kind)
                break
            await asyncio.sleep(backoff.next())
        informer = Informer(self._objects.client, resource, keep=lambda obj: owner_of(obj) is not None)
        self._watched[kind] = informer
        informer.add_handler(self._on_object)
        await informer.run()

    def _on_object(self, change: Change) -> None:
        for obj in (change.old, change.new):
            if obj is not None and (owner := owner_of(obj)):
                self._controller.enqueue("/".join(owner))

    async def _reconcile(self, key: str) -> float | None:
        namespace, name = split_key(key)
        description = self._descriptions.get(name, namespace)
        if description is None or not _is_deployed(description):
            return None
        owner = owner_text(namespace or "", name)
        try:
            objects = await self._values.whole(_objects(description), namespace or "")
        except (MalformedValues, ValuesMissing) as error:
            log.info("%s: %s", key, error)
            return None  # whoever deploys it tells
        wanted = [prepare(obj, owner) for obj in objects]
        if lost := [obj for obj in wanted if self._is_lost(obj)]:
            return await self._restore(description, lost)
        return await self._tell(key, description, wanted)

    def _live(self, obj: Object) -> tuple[bool, Object | None]:
        """Return whether an object's kind is known by now, and the object."""
        informer = self._watched.get((obj["apiVersion"], obj["kind"]))
        if informer is None or not informer.synced:
            return False, None
        metadata = obj["metadata"]
        live = informer.get(metadata["name"], metadata.get("namespace"))
        return True, live or informer.get(metadata["name"], metadata.get("namespace") or "default")

    def _is_lost(self, wanted: Object) -> bool:
        known, live = self._live(wanted)
        if not known:
            return False
        if live is None:
            return True
        return owner_of(live) == owner_of(wanted) and (outdated(live, wanted) or drifted(live, wanted))

    async def _restore(self, description: Object, lost: Sequence[Object]) -> float | None:
        """Apply objects again, unless the Description has changed or goes, which its cached state may not show yet."""
        metadata = description["metadata"]
        try:
            fresh = await self._parent.get(DESCRIPTIONS, metadata["name"], metadata["namespace"])
        except NotFound:
            return None
        if fresh["metadata"]["uid"] != metadata["uid"] or fresh["spec"] != description["spec"]:
            return None
        if not _is_deployed(fresh):
            return None
        outcomes = await self._objects.apply(lost)
        restored = [outcome for outcome in outcomes if outcome.changed]
        if restored:
            text = ", ".join(feed_text(outcome.reference) for outcome in restored)
            log.info("%s: restored %s", object_key(description), text)
            self._recorder.note(description, "Normal", "Recovered", f"was changed on the cluster and restored: {text}")
        if problems := [outcome for outcome in outcomes if outcome.error and not outcome.waits]:
            raise RuntimeError("; ".join(f"{outcome.text}: {outcome.error}" for outcome in problems))
        return _STATUS_INTERVAL if any(outcome.waits for outcome in outcomes) else None

    async def _tell(self, key: str, description: Object, wanted: Sequence[Object]) -> float | None:
        """Write `manifestStatuses` if they differ, not too often."""
        metadata, entries = description["metadata"], []
        for obj in wanted:
            known, live = self._live(obj)
            if not known:
                return _STATUS_INTERVAL
            if live is not None:
                entries.append({**reference(obj), **observed(live)})
        told = {"manifestStatuses": fitting(description, entries)}
        before = (description.get("status") or {}).get("manifestStatuses")
        if self._statuses.says(description, told) or not (entries or before):
            return None
        if (wait := self._written.get(key, 0.0) + _STATUS_INTERVAL - time.monotonic()) > 0:
            return wait
        self._written[key] = time.monotonic()
        try:
            await self._parent.patch(
                DESCRIPTIONS, metadata["name"], {"status": told}, metadata["namespace"], subresource="status"
            )
        except NotFound:
            return None
        self._statuses.wrote(description, told)
        return None


def _objects(description: Object) -> list[Object]:
    try:
        return parse_objects(description["spec"].get("raw") or ())
    except MalformedObject:
        return []


def _is_deployed(description: Object) -> bool:
    """Return whether what a Description says now has been applied; Clusternet's hub doesn't tell the generation."""
    metadata, status = description["metadata"], description.get("status") or {}
    generation = status.get("observedGeneration", metadata["generation"])
    return (
        not metadata.get("deletionTimestamp")
        and status.get("phase") == names.DESCRIPTION_SUCCESS
        and generation == metadata["generation"]
    )
