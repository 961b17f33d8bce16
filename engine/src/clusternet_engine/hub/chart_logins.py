"""Copies the logins that children need to pull charts into their namespaces, and takes them away again.

A child reads Secrets of its own namespace only, while the login of a chart lies where the chart is. This controller
works on originals: what a Base notes of its charts' logins wakes it, a copy that has changed, a cluster that pulls
from now on or no longer. It writes one Secret for each original and namespace of charts, with username, password and
CA alone. Originals have no watch, since that would keep all Secrets of the parent in memory; those in use are read
every few seconds. A copy goes when no Base needs it any more, the cluster is pushed to, the original is gone, or the
chart's namespace may no longer use it. What a child does to its copies is undone.
"""

from __future__ import annotations

import logging

from clusternet_engine.hub.caches import BY_LOGIN, BY_NAMESPACE, Caches
from clusternet_engine.hub.settings import Settings
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.errors import AlreadyExists, Invalid, NotFound
from clusternet_engine.kube.resources import SECRETS, Object, make_key, object_key, split_key
from clusternet_engine.model import features
from clusternet_engine.model.logins import (
    Login,
    copy_of,
    copy_patch,
    is_copy_name,
    logins_of,
    may_use,
    original_of,
)
from clusternet_engine.model.sync_modes import cluster_deployer

NAME = "chartlogin"

_RECHECK = 10.0
"""Seconds between looks at an original that is in use."""
_AGAIN = 0.5
"""Seconds until a copy is made anew that stood in the way of itself."""

log = logging.getLogger(__name__)


class ChartLogins:
    """The controller of copied logins.

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
        caches.bases.add_handler(self._on_base)
        caches.logins.add_handler(self._on_copy)
        caches.clusters.add_handler(self._on_cluster)

    async def run(self) -> None:
        """Work until cancelled, with feature gate Deployer; begins with all originals that are used or were copied."""
        if self._enabled:
            await self._controller.run()

    def _keys(self) -> set[str]:
        used = {login.secret for base in self._caches.bases.items() for login in logins_of(base).values()}
        return used | {original for copy in self._caches.logins.items() if (original := original_of(copy))}

    def _on_base(self, change: Change) -> None:
        for base in (change.old, change.new):
            self._enqueue(base)

    def _on_copy(self, change: Change) -> None:
        for copy in (change.old, change.new):
            if copy is not None and (original := original_of(copy)):
                self._controller.enqueue(original)

    def _on_cluster(self, change: Change) -> None:
        sides = [cluster_deployer(cluster) if cluster else None for cluster in (change.old, change.new)]
        if sides[0] != sides[1]:
            for base in self._caches.bases.by_index(BY_NAMESPACE, change.object["metadata"]["namespace"]):
                self._enqueue(base)

    def _enqueue(self, base: Object | None) -> None:
        for login in logins_of(base).values() if base is not None else ():
            self._controller.enqueue(login.secret)

    async def _reconcile(self, key: str) -> float | None:
        logins = self._logins(key)
        secret = await self._original(key) if logins else None
        wanted = {
            make_key(login.copy_name, namespace): copy_of(login, secret, namespace)
            for namespace, login in logins
            if secret is not None and may_use(secret, login.chart_namespace)
        }
        again = [await self._write(copy) for copy in wanted.values()]
        for copy in self._caches.logins.by_index(BY_LOGIN, key):
            if object_key(copy) not in wanted and self._is_ours(copy):
                await self._delete(copy)
        return min(filter(None, again), default=_RECHECK) if logins else None

    def _logins(self, key: str) -> set[tuple[str, Login]]:
        """Return who needs a copy of an original: dedicated namespaces, each with the login of a chart."""
        return {
            (base["metadata"]["namespace"], login)
            for base in self._caches.bases.by_index(BY_LOGIN, key)
            if not base["metadata"].get("deletionTimestamp") and self._pulls(base["metadata"]["namespace"])
            for login in logins_of(base).values()
            if login.secret == key
        }

    def _pulls(self, namespace: str) -> bool:
        cluster = self._caches.cluster_in(namespace)
        return cluster is not None and cluster_deployer(cluster) == "agent"

    def _is_ours(self, copy: Object) -> bool:
        """Return whether a Secret can be a copy, so that nobody has others removed by labels."""
        metadata = copy["metadata"]
        return is_copy_name(metadata["name"]) and self._caches.is_dedicated(metadata["namespace"])

    async def _original(self, key: str) -> Object | None:
        namespace, name = split_key(key)
        try:
            return await self._client.get(SECRETS, name, namespace)
        except NotFound:
            return None

    async def _write(self, wanted: Object) -> float | None:
        metadata = wanted["metadata"]
        name, namespace = metadata["name"], metadata["namespace"]
        before = self._caches.logins.get(name, namespace)
        try:
            if before is None:
                try:
                    await self._client.create(SECRETS, wanted)
                except AlreadyExists:  # the cache doesn't know it yet, or the child has made it
                    await self._client.patch(SECRETS, name, wanted, namespace)
            elif patch := copy_patch(before, wanted):
                await self._client.patch(SECRETS, name, patch, namespace)
        except Invalid:
            log.warning("Secret %s/%s can't be changed and is made anew", namespace, name)
            await self._delete(wanted)
            return _AGAIN
        except NotFound:  # the copy, or the namespace of the cluster, is gone
            return _AGAIN
        return None

    async def _delete(self, copy: Object) -> None:
        metadata = copy["metadata"]
        try:
            await self._client.delete(SECRETS, metadata["name"], metadata["namespace"])
        except NotFound:
            return
