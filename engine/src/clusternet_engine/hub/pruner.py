"""Removes from clusters what their Descriptions no longer list, where their agents don't.

Clusternet's agent applies what a Description lists and never looks back: its hub removes what has left a Description,
whoever deploys to the cluster. This engine's agent does that by itself, and tells which generation of a Description it
has worked on; the hub leaves the rest to it. What is still to be removed stands in the Description's annotation
`apps.clusternet.io/applied-objects`, which is written together with the change, so that a hub that starts anew goes on.
An object is only removed as long as it says that it belongs to the Description.
"""

from __future__ import annotations

import logging
import time

from clusternet_engine.deploy.errors import Unreachable
from clusternet_engine.deploy.neighbours import Neighbours
from clusternet_engine.hub.caches import BY_NAMESPACE, Caches
from clusternet_engine.hub.children import Children
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.resources import DESCRIPTIONS, Object, object_key, split_key
from clusternet_engine.model import constants as names
from clusternet_engine.model.applied import owner_text, remembered, remembering, unlisted, without
from clusternet_engine.model.sync_modes import cluster_deployer

_WORKERS = 10
_PATIENCE = 10.0
"""Seconds that an agent has which has told a generation before: it removes things by itself."""
_LOOK = 5.0
"""Seconds until the next look at what was just removed: an agent that lags behind may have brought it back."""
_LATER = 30.0
"""Seconds until the next look at what can't be removed now."""

log = logging.getLogger(__name__)


class Pruner:
    """The controller of what has left the Descriptions of clusters that deploy by themselves.

    Args:
        client: of the parent cluster.
        caches: of the parent cluster.
        recorder: of events.
        children: gives access to the clusters.
    """

    def __init__(self, client: Client, caches: Caches, recorder: EventRecorder, children: Children) -> None:
        self._client = client
        self._caches = caches
        self._recorder = recorder
        self._children = children
        self._since: dict[str, float] = {}
        self._gone: dict[str, Object] = {}
        """Descriptions that went before what had left them could be removed."""
        self._controller = Controller(
            "pruner", self._reconcile, workers=_WORKERS, keys=lambda: map(object_key, caches.descriptions.items())
        )
        self._neighbours = Neighbours(caches.descriptions, BY_NAMESPACE, _is_generic, self._controller.enqueue)
        caches.descriptions.add_handler(self._on_description)

    async def run(self) -> None:
        """Work until cancelled; begins with all Descriptions there are."""
        self._since.clear()
        await self._controller.run()

    def retry(self, namespace: str) -> None:
        """Try at once again what is left on a cluster: the way to it has changed."""
        for description in self._caches.descriptions.by_index(BY_NAMESPACE, namespace):
            if self._deploying_agent(description) and unlisted(description):
                self._controller.enqueue(object_key(description))

    def _on_description(self, change: Change) -> None:
        key = object_key(change.object)
        if change.new is None:
            self._since.pop(key, None)
            self._neighbours.forget(change.object)
        if change.old is not None and change.new is not None and _content(change.old) == _content(change.new):
            return
        if self._deploying_agent(change.object) and unlisted(change.object):
            if change.new is None:
                self._gone[key] = change.object
            self._controller.enqueue(key)

    def _deploying_agent(self, description: Object) -> Object | None:
        """Return the cluster of a Description if its agent deploys the Description."""
        cluster = self._caches.cluster_in(description["metadata"]["namespace"])
        return cluster if cluster and cluster_deployer(cluster) == "agent" and _is_generic(description) else None

    async def _reconcile(self, key: str) -> float | None:
        namespace, name = split_key(key)
        current = self._caches.descriptions.get(name, namespace)
        description = current or self._gone.get(key)
        cluster = self._deploying_agent(description) if description is not None else None
        left = unlisted(description) if description is not None and cluster is not None else []
        if description is None or cluster is None or not left:
            self._since.pop(key, None)
            self._gone.pop(key, None)
            return None
        if current is not None and (wait := self._agent_has(key, description)) is not None:
            return wait or None
        try:
            objects = await self._children.objects(cluster)
        except Unreachable as error:
            log.info("%s: what has left it can't be removed now: %s", key, error)
            return _LATER
        shared = self._neighbours.sharing(description, left)
        heirs = {which: object_key(other) for which, other in shared.items()}
        outcomes = await objects.delete(left, owner_text(namespace or "", name), heirs)
        if removed := [outcome.text for outcome in outcomes if outcome.changed]:
            self._recorder.note(description, "Normal", "SuccessfullyPruningFeed", f"removed {', '.join(removed)}")
        if failed := [f"{one.text}: {one.error}" for one in outcomes if one.error and not one.waits]:
            self._recorder.note(description, "Warning", "UnsuccessfullyPruningFeed", "; ".join(failed))
        staying = [outcome.reference for outcome in outcomes if outcome.error or outcome.changed]
        if current is not None and (gone := without(left, staying)):
            await self._forget(current, gone)
        if not staying:
            self._since.pop(key, None)
            self._gone.pop(key, None)
            return None
        return _LOOK if removed else _LATER

    def _agent_has(self, key: str, description: Object) -> float | None:
        """Return the seconds that the agent has to remove things by itself, 0 for any time; None if it won't."""
        observed = (description.get("status") or {}).get("observedGeneration")
        if observed is None:
            return None
        if observed == description["metadata"]["generation"]:
            self._since.pop(key, None)
            return 0.0
        rest = self._since.setdefault(key, time.monotonic()) + _PATIENCE - time.monotonic()
        return rest if rest > 0 else None

    async def _forget(self, description: Object, gone: list[Object]) -> None:
        """Note what was removed; what else is noted of the other objects stays.

        Raises:
            Conflict: the Description has changed meanwhile.
        """
        metadata = description["metadata"]
        annotations = remembering(without(remembered(description), gone))
        patch = {"metadata": {"annotations": annotations, "resourceVersion": metadata["resourceVersion"]}}
        try:
            await self._client.patch(DESCRIPTIONS, metadata["name"], patch, metadata["namespace"])
        except NotFound:
            log.debug("%s has gone", object_key(description))


def _content(description: Object) -> tuple[object, ...]:
    return description["spec"], description["metadata"].get("annotations")


def _is_generic(description: Object) -> bool:
    return bool(description["spec"]["deployer"] == names.DEPLOYER_GENERIC)
