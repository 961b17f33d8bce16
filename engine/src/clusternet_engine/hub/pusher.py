"""Deploys to the clusters that are pushed to: native objects, and charts through Helm (spec/03 §8)."""

from __future__ import annotations

import asyncio

from clusternet_engine.deploy.descriptions import Descriptions
from clusternet_engine.deploy.publisher import Publisher, Reporter, Sources
from clusternet_engine.hub.caches import BY_NAMESPACE, Caches
from clusternet_engine.hub.children import Children
from clusternet_engine.hub.settings import Settings
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.resources import DESCRIPTIONS
from clusternet_engine.model import constants as names
from clusternet_engine.model import features

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
    """

    def __init__(self, client: Client, caches: Caches, recorder: EventRecorder, settings: Settings) -> None:
        self._enabled = settings.enabled(features.DEPLOYER)
        self._children = Children(caches)
        report = Reporter(recorder)
        sources = Sources(caches.clusters, caches.bases, caches.descriptions, caches.releases, BY_NAMESPACE)
        self._descriptions = Publisher(
            NAME,
            side="hub",
            resource=DESCRIPTIONS,
            informer=caches.descriptions,
            wanted=lambda description: description["spec"]["deployer"] == names.DEPLOYER_GENERIC,
            deployment=Descriptions(client, report),
            parent=client,
            sources=sources,
            reach=self._children.objects,
            report=report,
            workers=_WORKERS,
        )
        caches.child_credentials.add_handler(self._on_credential)

    async def run(self) -> None:
        """Work until cancelled; may be called again afterwards."""
        if not self._enabled:
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._descriptions.run(), name="descriptions")
        finally:
            await self._children.close()

    def _on_credential(self, change: Change) -> None:
        self._descriptions.retry(change.object["metadata"]["namespace"])
