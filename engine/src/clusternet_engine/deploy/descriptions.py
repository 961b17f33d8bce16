"""Brings a Description of native objects to its cluster and takes it away again (spec/03 §8.2, §9)."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from clusternet_engine.deploy.errors import DeployFailed
from clusternet_engine.deploy.neighbours import Neighbours
from clusternet_engine.deploy.objects import Objects, Outcome
from clusternet_engine.deploy.statuses import Statuses
from clusternet_engine.deploy.values import ValuesMissing, ValuesReader
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import Forbidden, Invalid, NotFound
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.resources import DESCRIPTIONS, Object, object_key
from clusternet_engine.model import constants as names
from clusternet_engine.model.applied import (
    MalformedObject,
    identity,
    owner_text,
    parse_objects,
    prepare,
    reference,
    references_of,
    remembered,
    remembering,
    union,
    without,
)
from clusternet_engine.model.descriptions import rendered_feeds
from clusternet_engine.model.expiring import DIGEST, expires, has_started, started_reference
from clusternet_engine.model.feeds import feed_reference, feed_references, feed_text
from clusternet_engine.model.secret_values import MalformedValues

MAX_REASON = 4096
"""Characters of `status.reason`."""
_LOOK_FIRST, _LOOK_LIMIT = 0.05, 3.0
"""Seconds between looks for what has to happen before: that something is gone, or taken over by another Description."""
_TELL_FROM = 1.0
"""Seconds between looks from which on users are told."""

log = logging.getLogger(__name__)


class Descriptions:
    """Deploys Descriptions; whoever calls decides whether, and to which cluster.

    Args:
        parent: client of the parent cluster.
        recorder: of events.
    """

    def __init__(self, parent: Client, recorder: EventRecorder) -> None:
        self._parent = parent
        self._recorder = recorder
        self._values = ValuesReader(parent)
        self._statuses = Statuses()
        self._remembered: dict[str, list[Object]] = {}
        self._looks: dict[str, Backoff] = {}

    def forget(self, description: Object) -> None:
        """The Description is gone."""
        self._remembered.pop(description["metadata"]["uid"], None)
        self._looks.pop(description["metadata"]["uid"], None)
        self._statuses.forget(description)

    async def deploy(self, description: Object, objects: Objects, neighbours: Neighbours) -> None:
        """Apply everything, remove what isn't wanted any more, and write the status.

        Raises:
            DeployFailed: some of it can't be done now.
        """
        metadata = description["metadata"]
        owner = owner_text(metadata["namespace"], metadata["name"])
        try:
            objects_of_it = parse_objects(description["spec"].get("raw") or ())
            wanted = [prepare(obj, owner) for obj in await self._values.whole(objects_of_it, metadata["namespace"])]
        except (Forbidden, MalformedObject, MalformedValues) as error:
            await self._failed(description, str(error))
            raise DeployFailed(str(error)) from None
        except ValuesMissing as error:
            await self._write(description, names.DESCRIPTION_PENDING, str(error))
            raise self._waits(description, str(error)) from None
        before = self._known(description)
        started = {identity(reference(obj)) for obj in wanted if expires(obj) and has_started(obj, before)}
        references = [
            started_reference(obj) if identity(reference(obj)) in started else reference(obj) for obj in wanted
        ]
        everything = union(before, references)
        remember = self._remember(description, everything) if len(everything) > len(union(before)) else None
        try:
            outcomes = await objects.apply(wanted, first=remember, ended=started)
        except Invalid as error:
            text = (
                f"{len(everything)} objects, those to be removed included, are too many for one Description: "
                f"{error.message} Publish some of them by a Subscription of their own."
            )
            await self._failed(description, text)
            raise DeployFailed(text) from None
        references = await self._note_started(description, everything, wanted, outcomes)
        gone = without(everything, references)
        outcomes += await self._prune(description, objects, neighbours, gone, references)
        for outcome in outcomes:
            if outcome.adopted:
                text = f"{outcome.text} was there and belonged to {outcome.adopted}; it is managed from here now"
                self._recorder.note(description, "Normal", "Adopted", text)
        await self._conclude(description, outcomes)

    async def withdraw(
        self, description: Object, objects: Objects, base: Object | None, neighbours: Neighbours
    ) -> None:
        """Remove the objects of a Description that goes.

        Args:
            description: the terminating Description.
            objects: of its cluster.
            base: made anew, since the cluster has been bound again; what its feeds mean stays.
            neighbours: what they have, too, stays.

        Raises:
            DeployFailed: some can't be removed now.
        """
        outcomes = await self._delete(description, objects, neighbours, self._going(description, base))
        problems = [outcome for outcome in outcomes if outcome.error]
        if not problems:
            return
        reason = _problems(problems)
        if all(outcome.waits for outcome in problems):
            raise self._waits(description, reason)
        self._recorder.note(description, "Warning", "FailedDeletingDescription", reason)
        raise DeployFailed(reason)

    async def pending(self, description: Object, base: Object | None, neighbours: Neighbours) -> bool:
        """Return whether a Description that goes leaves anything to remove on its cluster; see `withdraw`."""
        return bool(self._going(description, base))

    async def unreachable(self, description: Object, reason: str) -> None:
        """Write into the status that the cluster couldn't be reached."""
        await self._failed(description, reason)

    def _going(self, description: Object, base: Object | None) -> list[Object]:
        going = union(self._known(description), references_of(description).values())
        return going if base is None else without(going, _kept(description, base, going))

    def _known(self, description: Object) -> list[Object]:
        """Return what may be on the cluster; a cached annotation may be older than what this process has written."""
        written = self._remembered.get(description["metadata"]["uid"])
        return remembered(description) if written is None else written

    async def _remember(self, description: Object, references: list[Object]) -> None:
        metadata = description["metadata"]
        patch = {"metadata": {"annotations": remembering(references)}}
        await self._parent.patch(DESCRIPTIONS, metadata["name"], patch, metadata["namespace"])
        self._remembered[metadata["uid"]] = references

    async def _note_started(
        self, description: Object, everything: list[Object], wanted: Iterable[Object], outcomes: Iterable[Outcome]
    ) -> list[Object]:
        """Remember in which form objects that go by themselves have been applied; return the references to all wanted.

        It is done afterwards: a deployer that is killed in between rather has their work done twice than never.
        """
        references = [
            started_reference(obj) if expires(obj) and not outcome.error else reference(obj)
            for obj, outcome in zip(wanted, outcomes, strict=True)
        ]
        noted = {identity(entry): entry.get(DIGEST) for entry in everything}
        if any(DIGEST in entry and noted.get(identity(entry)) != entry[DIGEST] for entry in references):
            await self._remember(description, union(everything, references))
        return references

    async def _delete(
        self, description: Object, objects: Objects, neighbours: Neighbours, going: list[Object]
    ) -> list[Outcome]:
        """Remove objects of a Description, save what another one has, too.

        It isn't enough that another one has it: if that went before it has taken the object over, nobody would
        remove it any more. So the Description waits until the object bears the other's name.
        """
        metadata = description["metadata"]
        shared = neighbours.sharing(description, going)
        heirs = {which: object_key(other) for which, other in shared.items()}
        outcomes = await objects.delete(going, owner_text(metadata["namespace"], metadata["name"]), heirs)
        for outcome in outcomes:
            if outcome.waits and (heir := shared.get(identity(outcome.reference))):
                neighbours.wake(heir)
        return outcomes

    async def _prune(
        self,
        description: Object,
        objects: Objects,
        neighbours: Neighbours,
        gone: list[Object],
        kept: list[Object],
    ) -> list[Outcome]:
        if not gone:
            return []
        outcomes = await self._delete(description, objects, neighbours, gone)
        left = [outcome for outcome in outcomes if outcome.error]
        if len(left) < len(gone):
            await self._remember(description, union(kept, (outcome.reference for outcome in left)))
        if failed := [outcome for outcome in left if not outcome.waits]:
            self._recorder.note(description, "Warning", "UnsuccessfullyPruningFeed", _problems(failed))
        if removed := [outcome.text for outcome in outcomes if outcome.changed]:
            self._recorder.note(description, "Normal", "SuccessfullyPruningFeed", f"removed {', '.join(removed)}")
        return outcomes

    async def _conclude(self, description: Object, outcomes: Iterable[Outcome]) -> None:
        problems = [outcome for outcome in outcomes if outcome.error]
        if problems:
            reason = _problems(problems)
            if all(outcome.waits for outcome in problems):
                await self._write(description, names.DESCRIPTION_PENDING, _cut(reason))
                raise self._waits(description, reason)
            await self._failed(description, reason)
            raise DeployFailed(reason)
        self._looks.pop(description["metadata"]["uid"], None)
        if await self._write(description, names.DESCRIPTION_SUCCESS, ""):
            self._recorder.note(description, "Normal", "SuccessfullyDeployed", "everything is on the cluster as wanted")

    def _waits(self, description: Object, reason: str) -> DeployFailed:
        """Return why a Description isn't done yet, with the time of the next look."""
        seconds = self._looks.setdefault(description["metadata"]["uid"], Backoff(_LOOK_FIRST, _LOOK_LIMIT)).next()
        if seconds >= _TELL_FROM:
            self._recorder.note(description, "Normal", "Waiting", reason)
        return DeployFailed(reason, seconds)

    async def _failed(self, description: Object, reason: str) -> None:
        reason = _cut(reason)
        if await self._write(description, names.DESCRIPTION_FAILURE, reason):
            self._recorder.note(description, "Warning", "UnSuccessfullyDeployed", reason)

    async def _write(self, description: Object, phase: str, reason: str) -> bool:
        """Write the status if it says something else; return whether it did."""
        metadata = description["metadata"]
        wanted = {"phase": phase, "reason": reason, "observedGeneration": metadata["generation"]}
        if self._statuses.says(description, wanted):
            return False
        try:
            await self._parent.patch(
                DESCRIPTIONS, metadata["name"], {"status": wanted}, metadata["namespace"], subresource="status"
            )
        except NotFound:
            log.info("%s/%s has gone while being deployed", metadata["namespace"], metadata["name"])
        self._statuses.wrote(description, wanted)
        return True


def _kept(description: Object, base: Object, references: Iterable[Object]) -> list[Object]:
    """Return the references to objects that come from feeds of a Base."""
    feeds = set(feed_references(base["spec"]["feeds"]))
    rendered = rendered_feeds(description)
    present = references_of(description)
    kept = [entry for place, entry in present.items() if place < len(rendered) and rendered[place] in feeds]
    return kept + [entry for entry in references if feed_reference(entry) in feeds]


def _cut(reason: str) -> str:
    return reason if len(reason) <= MAX_REASON else reason[: MAX_REASON - 1] + "…"


def _problems(outcomes: Iterable[Outcome]) -> str:
    return "; ".join(f"{feed_text(outcome.reference)}: {outcome.error}" for outcome in outcomes)
