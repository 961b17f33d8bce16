"""Deploys to the clusters that are pushed to: native objects, and charts through Helm (spec/03 §8).

To the other clusters it only goes for what their agents leave there.
"""

from __future__ import annotations

import asyncio

from clusternet_engine.deploy.assembly import Publishing
from clusternet_engine.deploy.publisher import Sources
from clusternet_engine.deploy.repositories import Repositories
from clusternet_engine.hub.caches import BY_NAMESPACE, Caches
from clusternet_engine.hub.children import Children
from clusternet_engine.hub.pruner import Pruner
from clusternet_engine.hub.pull_secrets import HubPullSecrets
from clusternet_engine.hub.settings import Settings
from clusternet_engine.hub.tunnels import Tunnels
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.model import features
from clusternet_engine.model.addresses import push_rule, repository_rule

NAME = "description"

_WORKERS = 50
"""Descriptions worked on at the same time, of all clusters: most of the time goes into waiting for them."""


class Pusher:
    """The controller that deploys to child clusters.

    Args:
        client: of the parent cluster.
        caches: of the parent cluster.
        recorder: of events.
        settings: the hub's flags.
        tunnels: of the agents.
    """

    def __init__(
        self, client: Client, caches: Caches, recorder: EventRecorder, settings: Settings, tunnels: Tunnels
    ) -> None:
        self._enabled = settings.enabled(features.DEPLOYER)
        self._children = Children(
            caches,
            tunnels if settings.enabled(features.SOCKET_CONNECTION) else None,
            push_rule(settings.push_addresses),
        )
        self._publishing = Publishing(
            "hub",
            parent=client,
            sources=Sources(
                caches.clusters, caches.bases, caches.descriptions, caches.releases, BY_NAMESPACE, caches.cluster_in
            ),
            reach=self._children.objects,
            recorder=recorder,
            helm_binary=settings.helm_binary,
            repositories=Repositories(repository_rule("hub", settings.repository_addresses)),
            secrets=HubPullSecrets(client),
            workers=_WORKERS,
        )
        self._pruner = Pruner(client, caches, recorder, self._children)
        self._caches = caches
        caches.child_credentials.add_handler(self._on_credential)
        tunnels.add_handler(self._on_tunnel)

    async def run(self) -> None:
        """Work until cancelled; may be called again afterwards."""
        if not self._enabled:
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._publishing.run(), name="publishing")
                tasks.create_task(self._pruner.run(), name="pruning")
        finally:
            await self._children.close()

    def _on_credential(self, change: Change) -> None:
        self._retry(change.object["metadata"]["namespace"])

    def _on_tunnel(self, cluster_id: str) -> None:
        cluster = self._caches.cluster(cluster_id)
        if cluster is not None:
            self._retry(cluster["metadata"]["namespace"])

    def _retry(self, namespace: str) -> None:
        self._publishing.retry(namespace)
        self._pruner.retry(namespace)
