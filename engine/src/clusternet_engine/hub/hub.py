"""The hub: caches and health in every replica, the controllers in the one that leads."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from clusternet_engine import metrics
from clusternet_engine.hub import approver, lifecycle
from clusternet_engine.hub.approver import Approver
from clusternet_engine.hub.caches import Caches
from clusternet_engine.hub.lifecycle import Lifecycle
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.conditions import find_condition

CONTROLLERS = (approver.NAME, lifecycle.NAME)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the hub is told by its flags.

    `controllers` are the names of those to run, `workers` the keys each works on at the same time, `initialization` the
    feature gate ClusterInit.
    """

    controllers: frozenset[str]
    workers: int
    reserved_namespaces: frozenset[str]
    initialization: bool


class Hub:
    """Serves one parent cluster.

    Args:
        client: of the parent cluster.
        settings: the hub's flags.
    """

    def __init__(self, client: Client, settings: Settings) -> None:
        self.caches = Caches(client, initialization=settings.initialization)
        recorder = EventRecorder(client, names.HUB)
        controllers: dict[str, Approver | Lifecycle] = {
            approver.NAME: Approver(
                client,
                self.caches,
                recorder,
                workers=settings.workers,
                reserved_namespaces=settings.reserved_namespaces,
                initialization=settings.initialization,
            ),
            lifecycle.NAME: Lifecycle(
                client, self.caches, recorder, workers=settings.workers, initialization=settings.initialization
            ),
        }
        self._controllers = {name: controllers[name] for name in settings.controllers}
        metrics.CLUSTERS_REGISTERED.set_function(lambda: len(self.caches.clusters.items()))
        metrics.CLUSTERS_READY.set_function(lambda: sum(map(_is_ready, self.caches.clusters.items())))

    async def lead(self, lease: Object | None = None) -> None:
        """Run the controllers until cancelled, as soon as everything has been listed."""
        await self.caches.wait_synced()
        log.info("leading; running %s", ", ".join(sorted(self._controllers)))
        async with asyncio.TaskGroup() as tasks:
            for name, controller in self._controllers.items():
                tasks.create_task(controller.run(), name=name)


def _is_ready(cluster: Object) -> bool:
    ready = find_condition((cluster.get("status") or {}).get("conditions"), names.READY)
    return ready is not None and ready["status"] == names.TRUE
