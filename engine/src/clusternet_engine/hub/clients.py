"""HTTP clients of the children, one for each cluster, so that connections are used again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from clusternet_engine.hub.caches import BY_CLUSTER, Caches
from clusternet_engine.kube.cache import Change


class Clients:
    """Clients by cluster ID; one is closed when its ManagedCluster is gone.

    Args:
        caches: of the parent cluster.
        make: makes the client of a cluster.
    """

    def __init__(self, caches: Caches, make: Callable[[str], aiohttp.ClientSession]) -> None:
        self._clusters = caches.clusters
        self._make = make
        self._clients: dict[str, aiohttp.ClientSession] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._clusters.add_handler(self._on_cluster)

    def of(self, cluster_id: str) -> aiohttp.ClientSession:
        """Return the client of a cluster."""
        client = self._clients.get(cluster_id)
        if client is None:
            client = self._clients[cluster_id] = self._make(cluster_id)
        return client

    async def close(self) -> None:
        """Close all connections; whoever asks again opens new ones."""
        clients, self._clients = self._clients, {}
        await asyncio.gather(*self._closing, *(client.close() for client in clients.values()))

    def _on_cluster(self, change: Change) -> None:
        cluster_id = change.object["spec"]["clusterId"]
        if change.new is None and not self._clusters.by_index(BY_CLUSTER, cluster_id):
            client = self._clients.pop(cluster_id, None)
            if client is not None:
                task = asyncio.create_task(client.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
