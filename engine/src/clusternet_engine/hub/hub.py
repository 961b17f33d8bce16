"""The hub: caches and health in every replica, the controllers in the one that leads."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from clusternet_engine import metrics
from clusternet_engine.hub import (
    aggregator,
    approver,
    bases,
    chart_logins,
    charts,
    feeds,
    inventory,
    lifecycle,
    overrides,
    pusher,
    releases,
    scheduler,
    subscriptions,
    values,
)
from clusternet_engine.hub.aggregator import Aggregator
from clusternet_engine.hub.approver import Approver
from clusternet_engine.hub.bases import Bases
from clusternet_engine.hub.caches import Caches
from clusternet_engine.hub.chart_logins import ChartLogins
from clusternet_engine.hub.charts import Charts
from clusternet_engine.hub.feeds import Feeds
from clusternet_engine.hub.inventory import Inventory
from clusternet_engine.hub.lifecycle import Lifecycle
from clusternet_engine.hub.overrides import Overrides
from clusternet_engine.hub.pusher import Pusher
from clusternet_engine.hub.releases import Releases
from clusternet_engine.hub.scheduler import Scheduler
from clusternet_engine.hub.settings import Settings
from clusternet_engine.hub.subscriptions import Subscriptions
from clusternet_engine.hub.tunnels import Tunnels
from clusternet_engine.hub.values import Values
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model import features
from clusternet_engine.model.conditions import find_condition
from clusternet_engine.model.registration import is_denied, is_waiting

log = logging.getLogger(__name__)


class Runs(Protocol):
    """What the hub's controllers have in common."""

    async def run(self) -> None:
        """Work until cancelled; may be called again afterwards."""


class Hub:
    """Serves one parent cluster.

    Args:
        client: of the parent cluster.
        settings: the hub's flags.
    """

    def __init__(self, client: Client, settings: Settings) -> None:
        self.caches = Caches(client, reserved_namespace=settings.reserved_namespace)
        self.tunnels = Tunnels()
        self._recorder = EventRecorder(client, names.HUB)
        self.caches.requests.add_handler(self._on_request)
        controllers = _controllers(client, self.caches, self._recorder, settings, self.tunnels)
        self._controllers = {name: controllers[name] for name in settings.controllers}
        metrics.CLUSTERS_REGISTERED.set_function(lambda: len(self.caches.registered_clusters()))
        metrics.CLUSTERS_READY.set_function(lambda: sum(map(_is_ready, self.caches.registered_clusters())))
        metrics.REGISTRATIONS_WAITING.set_function(lambda: sum(map(is_waiting, self.caches.requests.items())))

    def _on_request(self, change: Change) -> None:
        """Close the tunnel of a cluster that is not, or no longer, registered; every replica does so with its own."""
        request = change.object
        if change.new is None or is_denied(request):
            # What its specification says to be another cluster's request isn't.
            cluster_id = request["metadata"]["name"].removeprefix(names.PREFIX)
            self.tunnels.end(cluster_id, "the cluster is not registered")

    async def lead(self, lease: Object | None = None) -> None:
        """Run the controllers until cancelled, as soon as everything has been listed.

        Meanwhile events tell of objects that something is wrong with.
        """
        await self.caches.wait_synced()
        log.info("leading; running %s", ", ".join(sorted(self._controllers)))
        with self.caches.faults_told(self._tell_of_fault):
            await self._run_controllers()

    async def _run_controllers(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for name, controller in self._controllers.items():
                tasks.create_task(controller.run(), name=name)

    def _tell_of_fault(self, obj: Object, message: str) -> None:
        self._recorder.note(obj, "Warning", names.MALFORMED_OBJECT, f"Not all of this object can be used: {message}")


def _controllers(
    client: Client, caches: Caches, recorder: EventRecorder, settings: Settings, tunnels: Tunnels
) -> dict[str, Runs]:
    initialization = settings.enabled(features.CLUSTER_INIT)
    return {
        approver.NAME: Approver(
            client,
            caches,
            recorder,
            workers=settings.workers,
            reserved_namespaces=frozenset({settings.system_namespace, settings.reserved_namespace}),
            initialization=initialization,
            child_rights=settings.child_rights,
            system_namespace=settings.system_namespace,
            settings=settings.registration,
        ),
        lifecycle.NAME: Lifecycle(client, caches, recorder, workers=settings.workers, initialization=initialization),
        inventory.NAME: Inventory(client, caches, recorder, settings),
        scheduler.NAME: Scheduler(client, caches, recorder, settings, tunnels),
        subscriptions.NAME: Subscriptions(client, caches, recorder, settings),
        bases.NAME: Bases(client, caches, recorder, settings),
        releases.NAME: Releases(client, caches, recorder, settings),
        feeds.NAME: Feeds(client, caches, settings),
        overrides.NAME: Overrides(client, caches, settings),
        aggregator.NAME: Aggregator(client, caches, recorder, settings),
        pusher.NAME: Pusher(client, caches, recorder, settings, tunnels),
        charts.NAME: Charts(client, caches, recorder, settings),
        values.NAME: Values(client, caches, settings),
        chart_logins.NAME: ChartLogins(client, caches, settings),
    }


def _is_ready(cluster: Object) -> bool:
    ready = find_condition((cluster.get("status") or {}).get("conditions"), names.READY)
    return ready is not None and ready["status"] == names.TRUE
