"""Decides which Descriptions and HelmReleases this side deploys, removes, or leaves for a cluster to come back.

The hub runs it for the clusters it pushes to, the agent for its own; both read the same objects of the parent.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from clusternet_engine.deploy.errors import DeployFailed, Unreachable
from clusternet_engine.deploy.neighbours import Neighbours
from clusternet_engine.deploy.objects import Objects
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.errors import ConnectionFailed, NotFound
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import BASES, Object, Resource, object_key, split_key
from clusternet_engine.model import constants as names
from clusternet_engine.model.readiness import is_lost, is_ready
from clusternet_engine.model.releases import description_name
from clusternet_engine.model.sync_modes import Side, cluster_deployer

SETTLE = 5.0
"""Seconds after a cluster has come back in which it may be bound again, so that nothing is removed in vain."""
_RETRY_FIRST, _RETRY_LIMIT = 0.5, 30.0
"""Seconds between attempts to reach a cluster that doesn't answer."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sources:
    """What is known of the parent.

    Attributes:
        namespace_index: the name of the index by namespace that clusters, descriptions and releases have.
        cluster_in: gives the ManagedCluster that a namespace is dedicated to.
    """

    clusters: Informer
    bases: Informer
    descriptions: Informer
    releases: Informer
    namespace_index: str
    cluster_in: Callable[[str], Object | None]


class Deployment(Protocol):
    """How one kind of object is brought to a cluster and taken away."""

    async def deploy(self, obj: Object, objects: Objects, neighbours: Neighbours) -> None:
        """Bring it there; DeployFailed if that can't be done now."""

    async def pending(self, obj: Object, base: Object | None, neighbours: Neighbours) -> bool:
        """Return whether it leaves anything to remove."""

    async def withdraw(self, obj: Object, objects: Objects, base: Object | None, neighbours: Neighbours) -> None:
        """Take it away, save what the Base or others ask for; DeployFailed if that can't be done now."""

    async def unreachable(self, obj: Object, reason: str) -> None:
        """Note that the cluster couldn't be reached."""

    def forget(self, obj: Object) -> None:
        """It is gone."""


class Publisher:
    """The controller of one kind of object on the side that deploys it.

    Args:
        name: of logs and metrics.
        side: which one this is.
        resource, informer: of the kind.
        wanted: whether an object of the kind is this controller's business.
        deployment: does the work.
        parent: client of the parent cluster.
        sources: what is known of the parent.
        reach: gives access to a ManagedCluster's child; raises Unreachable.
        recorder: of events.
        workers: objects worked on at the same time.
        timeout: seconds that one of them may take; None is the usual.
    """

    def __init__(
        self,
        name: str,
        *,
        side: Side,
        resource: Resource,
        informer: Informer,
        wanted: Callable[[Object], bool],
        deployment: Deployment,
        parent: Client,
        sources: Sources,
        reach: Callable[[Object], Awaitable[Objects]],
        recorder: EventRecorder,
        workers: int,
        timeout: float | None = None,
    ) -> None:
        self._side = side
        self._resource = resource
        self._informer = informer
        self._wanted = wanted
        self._deployment = deployment
        self._parent = parent
        self._sources = sources
        self._reach = reach
        self._recorder = recorder
        self._began = time.monotonic()
        self._returned: dict[str, float] = {}
        self._deleted: dict[str, float] = {}
        self._silent: dict[str, tuple[float, Backoff]] = {}
        self._told: set[tuple[str, str]] = set()
        self._controller = Controller(
            name,
            self._reconcile,
            workers=workers,
            keys=lambda: map(object_key, filter(wanted, informer.items())),
            timeout=timeout,
            # The hub works for many clusters, of which none may hold all workers; an agent only for one.
            shared=side == "hub",
        )
        self._neighbours = Neighbours(informer, sources.namespace_index, wanted, self._controller.enqueue)
        informer.add_handler(self._on_object)
        sources.clusters.add_handler(self._on_cluster)
        sources.bases.add_handler(self._on_base)

    async def run(self) -> None:
        """Work until cancelled; begins with all objects there are."""
        self._began = time.monotonic()
        await self._controller.run()

    def retry(self, namespace: str) -> None:
        """Try at once again what a cluster lacks: the way to it has changed."""
        self._silent.pop(namespace, None)
        for obj in self._in(namespace):
            if not self._done(obj):
                self._controller.enqueue(object_key(obj))

    def _on_object(self, change: Change) -> None:
        if not self._wanted(change.object):
            return
        key = object_key(change.object)
        if change.new is None:
            self._deleted.pop(key, None)
            self._told = {told for told in self._told if told[0] != key}
            self._deployment.forget(change.object)
            self._neighbours.forget(change.object)
        elif change.old is None or _task(change.old) != _task(change.new):
            if change.new["metadata"].get("deletionTimestamp"):
                self._deleted.setdefault(key, time.monotonic())
            self._controller.enqueue(key)

    def _on_cluster(self, change: Change) -> None:
        namespace = change.object["metadata"]["namespace"]
        if change.old is None or change.new is None:
            self._all_again(namespace)
            return
        if not is_ready(change.old) and is_ready(change.new):
            self._returned[namespace] = time.monotonic()
            self.retry(namespace)
        if cluster_deployer(change.old) != cluster_deployer(change.new):
            self._all_again(namespace)

    def _on_base(self, change: Change) -> None:
        """A new Base may ask for what an old one's Descriptions are about to remove."""
        namespace = change.object["metadata"]["namespace"]
        if change.old is None or change.new is None:
            for obj in self._in(namespace):
                if obj["metadata"].get("deletionTimestamp"):
                    self._controller.enqueue(object_key(obj))

    def _all_again(self, namespace: str) -> None:
        self._silent.pop(namespace, None)
        for obj in self._in(namespace):
            self._controller.enqueue(object_key(obj))

    def _in(self, namespace: str) -> Iterator[Object]:
        return filter(self._wanted, self._informer.by_index(self._sources.namespace_index, namespace))

    def _done(self, obj: Object) -> bool:
        metadata, status = obj["metadata"], obj.get("status") or {}
        return (
            not metadata.get("deletionTimestamp")
            and status.get("observedGeneration") == metadata["generation"]
            and status.get("phase") in (names.DESCRIPTION_SUCCESS, names.RELEASE_DEPLOYED)
        )

    async def _reconcile(self, key: str) -> float | None:
        namespace, name = split_key(key)
        obj = self._informer.get(name, namespace)
        if obj is None or not self._wanted(obj):
            return None
        cluster = self._sources.cluster_in(namespace or "")
        if obj["metadata"].get("deletionTimestamp"):
            return await self._remove(obj, cluster)
        return await self._bring(obj, cluster)

    async def _bring(self, obj: Object, cluster: Object | None) -> float | None:
        if cluster is None:
            self._tell_once(obj, "ManagedClusterNotFound", "its namespace has no ManagedCluster")
            return None
        if cluster_deployer(cluster) != self._side:
            return None
        await self._secure(obj)
        return await self._on_child(
            obj, cluster, lambda objects: self._deployment.deploy(obj, objects, self._neighbours)
        )

    async def _remove(self, obj: Object, cluster: Object | None) -> float | None:
        if names.FINALIZER not in (obj["metadata"].get("finalizers") or ()):
            return None
        if cluster is None:
            if self._side == "hub":
                self._recorder.note(obj, "Warning", "ManagedClusterNotFound", "no cluster to remove anything from")
                await self._release(obj)
            return None
        if (cluster_deployer(cluster) or "hub") != self._side:
            return None
        base = await self._base(obj)
        if not await self._deployment.pending(obj, base, self._neighbours):
            await self._release(obj)
            return None
        if is_lost(cluster):
            name = cluster["metadata"]["name"]
            self._tell_once(obj, "WaitingForCluster", f"what it left on {name} is removed when the cluster is back")
            return None
        if base is None and (wait := self._settling(obj)) > 0:
            return wait

        async def withdraw(objects: Objects) -> None:
            await self._deployment.withdraw(obj, objects, base, self._neighbours)
            await self._release(obj)

        return await self._on_child(obj, cluster, withdraw)

    async def _on_child(self, obj: Object, cluster: Object, work: Callable[[Objects], Awaitable[None]]) -> float | None:
        """Do some work on a child; the first to find that it doesn't answer spares the others the wait."""
        namespace = cluster["metadata"]["namespace"]
        until, backoff = self._silent.get(namespace) or (0.0, Backoff(_RETRY_FIRST, _RETRY_LIMIT))
        if (wait := until - time.monotonic()) > 0:
            return wait
        try:
            objects = await self._reach(cluster)
        except Unreachable as error:
            wait = backoff.next()
            self._silent[namespace] = time.monotonic() + wait, backoff
            await self._note(obj, f"the cluster can't be reached: {error}")
            return wait
        try:
            await work(objects)
        except DeployFailed as error:
            if error.retry_after is None:
                raise
            log.warning("%s %s: %s", self._resource.kind, object_key(obj), error)
            return error.retry_after
        except ConnectionFailed as error:
            if error.url.startswith(objects.client.config.server):
                self._silent[namespace] = time.monotonic() + backoff.next(), backoff
                await self._note(obj, f"the cluster can't be reached: {error}")
            raise
        self._silent.pop(namespace, None)
        return None

    async def _note(self, obj: Object, reason: str) -> None:
        if not obj["metadata"].get("deletionTimestamp"):
            await self._deployment.unreachable(obj, reason)

    async def _base(self, obj: Object) -> Object | None:
        """Return the Base that an object was made for, or one made anew under the same name; None if it goes.

        What it asks for stays on the cluster. The cache of Bases may be older than what is known of the object, and
        nobody would remove any more what stays by mistake; so the parent is asked.
        """
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        if obj["kind"] == names.HELM_RELEASE_KIND:
            name = description_name(obj)
        stem = name.removesuffix("-generic").removesuffix("-helm")
        base = self._sources.bases.get(stem, namespace)
        if base is None or base["metadata"].get("deletionTimestamp"):
            return None
        try:
            base = await self._parent.get(BASES, stem, namespace)
        except NotFound:
            return None
        return None if base["metadata"].get("deletionTimestamp") else base

    def _settling(self, obj: Object) -> float:
        """Return the seconds in which a cluster that has been away may still be bound again."""
        since = max(self._began, self._returned.get(obj["metadata"]["namespace"], 0.0))
        if self._deleted.get(object_key(obj), 0.0) >= since:
            return 0.0
        return since + SETTLE - time.monotonic()

    async def _secure(self, obj: Object) -> None:
        """See that an object can't vanish before it has been taken from its cluster."""
        metadata = obj["metadata"]
        finalizers = metadata.get("finalizers") or []
        if names.FINALIZER in finalizers:
            return
        await self._patch_finalizers(obj, [*finalizers, names.FINALIZER])
        self._recorder.note(obj, "Normal", "FinalizerInjected", "it stays until its objects are removed")

    async def _release(self, obj: Object) -> None:
        finalizers = obj["metadata"].get("finalizers") or []
        await self._patch_finalizers(obj, [name for name in finalizers if name != names.FINALIZER])

    async def _patch_finalizers(self, obj: Object, finalizers: list[str]) -> None:
        metadata = obj["metadata"]
        patch = {"metadata": {"finalizers": finalizers or None, "resourceVersion": metadata["resourceVersion"]}}
        try:
            await self._parent.patch(self._resource, metadata["name"], patch, metadata["namespace"])
        except NotFound:
            log.debug("%s %s has gone", self._resource.kind, object_key(obj))

    def _tell_once(self, obj: Object, reason: str, message: str) -> None:
        told = (object_key(obj), reason)
        if told not in self._told:
            self._told.add(told)
            self._recorder.note(obj, "Warning", reason, message)


def _task(obj: Object) -> tuple[object, ...]:
    """Return what makes an object worth another look: everything but its status and what others note on it."""
    metadata = obj["metadata"]
    return metadata["uid"], metadata["generation"], metadata.get("deletionTimestamp"), metadata.get("finalizers")
