"""Watches over ManagedClusters: lost ones, their conditions and taints, initialisation (spec/02 §9)."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

from clusternet_engine.hub.caches import BY_NAMESPACE, Caches
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.errors import ApiError, Conflict, ConnectionFailed, NotFound
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.resources import MANAGED_CLUSTERS, Object, object_key, split_key
from clusternet_engine.model import constants as names
from clusternet_engine.model.conditions import find_condition, merge_conditions
from clusternet_engine.model.heartbeats import Heartbeats, lost_status
from clusternet_engine.model.initialization import init_base_name, init_condition, init_disabled, init_skipped
from clusternet_engine.model.taints import wanted_taints

NAME = "clusterlifecycle"

_INIT_RECHECK = 30.0
"""Seconds between looks at a cluster that is still being initialised (spec/02 §9)."""

log = logging.getLogger(__name__)


class Lifecycle:
    """The controller of ManagedClusters.

    Args:
        client: of the parent cluster.
        caches: of the parent cluster.
        recorder: of events.
        workers: clusters worked on at the same time.
        initialization: feature gate ClusterInit.
    """

    def __init__(
        self, client: Client, caches: Caches, recorder: EventRecorder, *, workers: int, initialization: bool
    ) -> None:
        self._client = client
        self._caches = caches
        self._recorder = recorder
        self._initialization = initialization
        self._controller = Controller(
            NAME, self._reconcile, workers=workers, keys=lambda: map(object_key, caches.clusters.items())
        )
        self._heartbeats = Heartbeats(time.monotonic())
        self._strangers: set[str] = set()
        """ManagedClusters that nobody is registered as, and of which that has been told."""
        caches.clusters.add_handler(self._on_cluster)
        caches.bases.add_handler(self._on_deployment)
        caches.descriptions.add_handler(self._on_deployment)
        caches.add_registration_handler(self._on_registration)

    async def run(self) -> None:
        """Work until cancelled; begins with all clusters there are."""
        self._heartbeats = Heartbeats(time.monotonic())
        await self._controller.run()

    def _on_cluster(self, change: Change) -> None:
        self._controller.enqueue(object_key(change.object))

    def _on_deployment(self, change: Change) -> None:
        """A Base or Description has changed; it may be the one that its namespace's clusters wait for."""
        for cluster in self._caches.clusters.by_index(BY_NAMESPACE, change.object["metadata"]["namespace"]):
            self._controller.enqueue(object_key(cluster))

    def _on_registration(self, namespace: str) -> None:
        for cluster in self._caches.clusters.by_index(BY_NAMESPACE, namespace):
            self._controller.enqueue(object_key(cluster))

    async def _reconcile(self, key: str) -> float | None:
        namespace, name = split_key(key)
        cluster = self._caches.clusters.get(name, namespace)
        if cluster is None or cluster["metadata"].get("deletionTimestamp"):
            self._heartbeats.forget(key)
            self._strangers.discard(key)
            return None
        if not self._caches.is_registered(cluster):
            self._heartbeats.forget(key)
            if key not in self._strangers:
                self._strangers.add(key)
                message = "no cluster is registered as this ManagedCluster, so it counts for nothing"
                log.warning("%s: %s", key, message)
                self._recorder.note(cluster, "Warning", "NotRegistered", message)
            return None
        self._strangers.discard(key)
        try:
            return await self._watch_over(key, cluster)
        except NotFound:
            return None
        except Conflict:
            raise
        except (ApiError, ConnectionFailed) as error:
            await self._recorder.event(cluster, "Warning", "FailedUpdatingClusterStatus", str(error))
            raise

    async def _watch_over(self, key: str, cluster: Object) -> float | None:
        now = datetime.now(UTC)
        remaining = self._heartbeats.remaining(key, cluster, time.monotonic(), now)
        base, init = self._initialised(cluster, now)
        cluster = await self._update_status(cluster, lost=remaining <= 0, init=init, now=now)
        await self._update_spec(cluster, base, now)
        waits = [remaining] if remaining > 0 else []
        if init["status"] != names.TRUE:
            waits.append(_INIT_RECHECK)
        return min(waits, default=None)

    async def _update_status(self, cluster: Object, *, lost: bool, init: Object, now: datetime) -> Object:
        status = cluster.get("status") or {}
        flags: dict[str, bool] = {}
        conditions = [init]
        if lost:
            flags, ready = lost_status(status, now)
            conditions.append(ready)
        before = status.get("conditions") or []
        changed = [condition for condition in conditions if not _says(before, condition)]
        if not changed and all(status.get(flag) == value for flag, value in flags.items()):
            return cluster
        if lost:
            log.warning("%s is lost: %s", object_key(cluster), conditions[-1]["message"])
        updated = {**status, **flags, "conditions": merge_conditions(before, changed)}
        return await self._client.update(MANAGED_CLUSTERS, {**cluster, "status": updated}, subresource="status")

    async def _update_spec(self, cluster: Object, base: Object | None, now: datetime) -> None:
        """Write taints, and the name of the Base that initialises the cluster, if they differ."""
        metadata, spec = cluster["metadata"], cluster["spec"]
        before = spec.get("taints") or []
        changes: Object = {}
        wanted = wanted_taints(before, (cluster.get("status") or {}).get("conditions") or [], now)
        if wanted != before:
            changes["taints"] = wanted
            shown = ", ".join(f"{taint['key']}={taint.get('value', '')}" for taint in wanted) or "none"
            log.info("%s: taints are now %s", object_key(cluster), shown)
        if base and not spec.get("clusterInitBaseName"):
            changes["clusterInitBaseName"] = base["metadata"]["name"]
        if changes:
            patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "spec": changes}
            await self._client.patch(MANAGED_CLUSTERS, metadata["name"], patch, metadata["namespace"])

    def _initialised(self, cluster: Object, now: datetime) -> tuple[Object | None, Object]:
        """Return the Base that initialises a cluster, if there is one, and the condition ClusterInit."""
        if not self._initialization or init_skipped(cluster):
            return None, init_disabled(now)
        namespace = cluster["metadata"]["namespace"]
        name = init_base_name(cluster, self._caches.bases.by_index(BY_NAMESPACE, namespace))
        base = self._caches.bases.get(name, namespace) if name else None
        descriptions = [
            description
            for description in self._caches.descriptions.by_index(BY_NAMESPACE, namespace)
            if base and _made_from(description, base)
        ]
        return base, init_condition(name, base, descriptions, now)


def _says(conditions: list[Object], wanted: Object) -> bool:
    """Whether the conditions say the same as the wanted one, whenever they came to."""
    there = find_condition(conditions, wanted["type"])
    return there is not None and all(there.get(field) == wanted[field] for field in ("status", "reason", "message"))


def _made_from(description: Object, base: Object) -> bool:
    labels = description["metadata"].get("labels") or {}
    return (
        labels.get(names.CONFIG_KIND_LABEL) == names.BASE_KIND
        and labels.get(names.CONFIG_NAMESPACE_LABEL) == base["metadata"]["namespace"]
        and labels.get(names.CONFIG_UID_LABEL) == base["metadata"]["uid"]
    )
