"""Keeps deployed objects as they were deployed, and tells the parent how they are (spec/03 §10, §11).

Works in all sync modes. An object is restored only if what was applied last is what its Description says now: where
the two differ, whoever deploys is about to apply the newer one. The watched copies don't say who owns which field; so
an object that differs is looked at once more before it is restored, and one that is as wanted nevertheless is left
alone as long as it stays as it is. Where another controller undoes what is restored, restorations become rarer, and the
Description says whom it fights with. What goes by itself once it has done its work isn't restored when it has.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from clusternet_engine.agent.ends import Ends
from clusternet_engine.deploy.discovery import KindUnknown
from clusternet_engine.deploy.objects import Objects, Outcome
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
    Identity,
    MalformedObject,
    identity,
    owner_of,
    owner_text,
    parse_objects,
    prepare,
    reference,
)
from clusternet_engine.model.conditions import find_condition, make_condition, merge_conditions
from clusternet_engine.model.contention import Contests, contest_message
from clusternet_engine.model.drift import drifted, fingerprint, outdated
from clusternet_engine.model.expiring import expires
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
        self._fine: dict[str, dict[Identity, bytes]] = {}
        """Of objects that differ and are as wanted nevertheless, by Description: what they were like."""
        self._contests: dict[str, Contests] = {}
        self._ends = Ends()
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
            self._forget(key)
        elif change.old is None or change.old["spec"] != change.new["spec"]:
            self._kinds[key] = frozenset((obj["apiVersion"], obj["kind"]) for obj in _objects(description))
            self._forget(key)
        self._watch_kinds()
        self._controller.enqueue(key)

    def _forget(self, key: str) -> None:
        """Forget what was found out of the objects of a Description that is another one now."""
        self._fine.pop(key, None)
        self._contests.pop(key, None)
        self._ends.forget(key)

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
        informer.add_handler(lambda change: self._on_object(kind, change))
        await informer.run()

    def _on_object(self, kind: Kind, change: Change) -> None:
        if (owner := owner_of(change.object)) and change.object["metadata"].get("name"):
            whole = {**change.object, "apiVersion": kind[0], "kind": kind[1]}
            self._ends.saw("/".join(owner), whole, gone=change.new is None)
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
        lost = [obj for obj in wanted if self._is_lost(key, obj)]
        now, contests = time.monotonic(), self._contests.get(key) or Contests()
        waits = {id(obj): contests.wait(identity(reference(obj)), now) for obj in lost}
        if due := [obj for obj in lost if not waits[id(obj)]]:
            return await self._restore(key, description, due)
        waiting = [*waits.values(), await self._tell(key, description, wanted), contests.next_end(now)]
        return min((seconds for seconds in waiting if seconds is not None), default=None)

    def _live(self, obj: Object) -> tuple[bool, Object | None]:
        """Return whether an object's kind is known by now, and the object."""
        informer = self._watched.get((obj["apiVersion"], obj["kind"]))
        if informer is None or not informer.synced:
            return False, None
        metadata = obj["metadata"]
        live = informer.get(metadata["name"], metadata.get("namespace"))
        return True, live or informer.get(metadata["name"], metadata.get("namespace") or "default")

    def _is_lost(self, key: str, wanted: Object) -> bool:
        known, live = self._live(wanted)
        if not known:
            return False
        if live is None:
            return not expires(wanted) or self._ends.was_cut_short(key, wanted)
        if owner_of(live) != owner_of(wanted) or not (outdated(live, wanted) or drifted(live, wanted)):
            return False
        return self._fine.get(key, {}).get(identity(reference(wanted))) != fingerprint(live)

    async def _restore(self, key: str, description: Object, lost: Sequence[Object]) -> float | None:
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
        seen = {identity(reference(obj)): self._live(obj)[1] for obj in lost}
        outcomes = await self._objects.apply(lost)
        restored = [outcome for outcome in outcomes if outcome.changed]
        for outcome in outcomes:
            live = seen[identity(outcome.reference)]
            if live is not None and not outcome.changed and live["metadata"]["resourceVersion"] == outcome.version:
                self._fine.setdefault(key, {})[identity(outcome.reference)] = fingerprint(live)
        self._note_contests(key, description, restored)
        if restored:
            text = ", ".join(feed_text(outcome.reference) for outcome in restored)
            log.info("%s: restored %s", object_key(description), text)
            self._recorder.note(description, "Normal", "Recovered", f"was changed on the cluster and restored: {text}")
        if problems := [outcome for outcome in outcomes if outcome.error and not outcome.waits]:
            raise RuntimeError("; ".join(f"{outcome.text}: {outcome.error}" for outcome in problems))
        return _STATUS_INTERVAL if any(outcome.waits for outcome in outcomes) else None

    def _note_contests(self, key: str, description: Object, restored: Sequence[Outcome]) -> None:
        """Remember what was restored, and tell of what has become a fight."""
        if not restored:
            return
        contests, now = self._contests.setdefault(key, Contests()), time.monotonic()
        before = {contest.text for contest in contests.fights(now)}
        for outcome in restored:
            contests.restored(identity(outcome.reference), outcome.text, now, outcome.rivals)
        if fresh := [contest for contest in contests.fights(now) if contest.text not in before]:
            log.warning("%s: %s", key, contest_message(fresh))
            self._recorder.note(description, "Warning", names.CONTESTED, contest_message(fresh))

    async def _tell(self, key: str, description: Object, wanted: Sequence[Object]) -> float | None:
        """Write `manifestStatuses` if they differ, not too often."""
        metadata, entries = description["metadata"], []
        for obj in wanted:
            known, live = self._live(obj)
            if not known:
                return _STATUS_INTERVAL
            if live is not None:
                entries.append({**reference(obj), **observed(live)})
            elif expires(obj):
                end = self._ends.status(key, obj, description)
                entries.append({**reference(obj), **({"observedStatus": end} if end else {})})
        told: Object = {"manifestStatuses": fitting(description, entries)}
        status = description.get("status") or {}
        if (conditions := self._conditions(key, status)) is not None:
            told["conditions"] = conditions
        if self._statuses.says(description, told) or not (entries or status.get("manifestStatuses") or conditions):
            return self._ends.next_look(key)
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
        return self._ends.next_look(key)

    def _conditions(self, key: str, status: Object) -> list[Object] | None:
        """Return the conditions of a Description; None if nothing was or is to be told by one."""
        contests = self._contests.get(key)
        message = contest_message(contests.fights(time.monotonic())) if contests else ""
        before = status.get("conditions")
        former = find_condition(before, names.CONTESTED)
        if not message and former is None:
            return None
        state, reason = (names.TRUE, "OtherManagers") if message else (names.FALSE, "Undisputed")
        text = message or "Nobody undoes what is published."
        fresh = make_condition(names.CONTESTED, state, reason, text, datetime.now(UTC))
        kept = [one for one in before if isinstance(one, dict) and "type" in one] if isinstance(before, list) else []
        return merge_conditions(kept, [fresh])


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
