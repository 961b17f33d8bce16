"""Lets the parent's API server notice at once that the hub is back.

An API server looks again at an aggregated one that was away after as long as that was, up to 30 s, or as soon as its
APIService changes. So a hub whose APIServices are unavailable although it serves writes into them when it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import ApiError, ConnectionFailed
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.lease import micro_time
from clusternet_engine.kube.resources import API_SERVICES
from clusternet_engine.model import constants as names
from clusternet_engine.model.conditions import find_condition

FIRST_DELAY, MAX_DELAY = 0.2, 10.0

log = logging.getLogger(__name__)


class Availability:
    """Watches over the APIServices of the hub.

    Args:
        client: of the parent cluster.
        api_services: the parent's APIServices.
        group_versions: names of the hub's own among them.
    """

    def __init__(self, client: Client, api_services: Informer, group_versions: Sequence[str]) -> None:
        self._client = client
        self._api_services = api_services
        self._group_versions = group_versions
        self._changed = asyncio.Event()
        api_services.add_handler(lambda change: self._changed.set())

    async def run(self) -> None:
        """Call for a look whenever one is needed, until cancelled."""
        backoff = Backoff(FIRST_DELAY, MAX_DELAY)
        while True:
            self._changed.clear()
            if not self._unavailable():
                backoff.reset()
                await self._changed.wait()
                continue
            await asyncio.sleep(backoff.next())
            for name in self._unavailable():
                await self._call_for_a_look(name)

    def _unavailable(self) -> list[str]:
        return [name for name in self._group_versions if self._is_unavailable(name)]

    def _is_unavailable(self, name: str) -> bool:
        service = self._api_services.get(name)
        if service is None or not service["spec"].get("service"):
            return False
        available = find_condition((service.get("status") or {}).get("conditions"), names.AVAILABLE)
        return available is not None and available["status"] != names.TRUE

    async def _call_for_a_look(self, name: str) -> None:
        patch = {"metadata": {"annotations": {names.SERVING_ANNOTATION: micro_time(datetime.now(UTC))}}}
        try:
            await self._client.patch(API_SERVICES, name, patch)
        except (ApiError, ConnectionFailed) as error:
            log.warning("APIService %s: %s", name, error)
