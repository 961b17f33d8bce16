"""The agent's end of the tunnel (spec/04 §2): a websocket to the parent through which the hub reaches this cluster.

Unlike Clusternet's own agent it verifies the parent's certificate, heeds the proxy settings of the environment, and
connects only to where its operator allows.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections.abc import Callable

from clusternet_engine import metrics
from clusternet_engine.agent.readiness import Need, Readiness
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ConfigError
from clusternet_engine.kube.errors import ApiError, ConnectionFailed
from clusternet_engine.kube.resources import SOCKETS
from clusternet_engine.model.dialling import Destinations, split_address
from clusternet_engine.tunnel.relay import relay
from clusternet_engine.tunnel.session import MAX_MESSAGE, Session
from clusternet_engine.tunnel.stream import Stream

FIRST_DELAY, MAX_DELAY = 0.1, 3.0
_STEADY = 2.0
"""Seconds of a session after which its end is a new story."""

log = logging.getLogger(__name__)


class Tunnel:
    """Keeps one session with the hub.

    Args:
        parent: client of the parent, acting as the approved cluster.
        cluster_id: identity of the child.
        destinations: where the hub may connect to.
        readiness: hears whether the tunnel is open.
    """

    def __init__(self, parent: Client, cluster_id: str, destinations: Destinations, readiness: Readiness) -> None:
        self._parent = parent
        self._cluster_id = cluster_id
        self._dialler = Dialler(destinations)
        self._readiness = readiness
        self._last_problem = ""

    async def run(self) -> None:
        """Stay connected until cancelled."""
        backoff = Backoff(FIRST_DELAY, MAX_DELAY)
        while True:
            began = time.monotonic()
            try:
                self._tell(await self._serve())
            except (ApiError, ConnectionFailed, ConfigError) as error:
                self._tell(str(error))
            if time.monotonic() - began > _STEADY:
                backoff.reset()
            await asyncio.sleep(backoff.next())

    async def _serve(self) -> str:
        path = SOCKETS.path(name=self._cluster_id)
        websocket = await self._parent.websocket(path, max_message=MAX_MESSAGE)
        key = f"{self._cluster_id}/{random.getrandbits(63)}"
        session = Session(websocket, key, accept=self._accept)
        log.info("the tunnel to the parent is open")
        self._last_problem = ""
        with metrics.TUNNELS.track_inprogress(), metrics.TUNNEL_SECONDS.time(), self._readiness.has(Need.TUNNEL):
            return await session.run()

    async def _accept(self, stream: Stream, network: str, address: str) -> None:
        await relay(stream, network, address, self._dialler.dial)

    def _tell(self, problem: str) -> None:
        if problem != self._last_problem:
            log.warning("no tunnel to the parent, trying again: %s", problem)
            self._last_problem = problem


class Dialler:
    """Connects to what is allowed.

    Args:
        destinations: what is.
    """

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations

    async def dial(self, network: str, address: str, factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        """Connect a protocol.

        Raises:
            PermissionError: the address may not be dialled.
            OSError: it can't be reached.
        """
        if network != "tcp":
            raise PermissionError(f"network {network} is not allowed")
        try:
            host, port = split_address(address)
        except ValueError as error:
            raise PermissionError(str(error)) from None
        loop = asyncio.get_running_loop()
        try:
            found = [str(one[4][0]) for one in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except UnicodeError:
            raise OSError(f"no host can be called {host!r}") from None
        if not self._destinations.has_name(host, port):
            found = [one for one in found if self._destinations.has_address(one, port)]
        problem: OSError = PermissionError("not allowed by this agent")
        for ip_address in found:
            try:
                transport, _ = await loop.create_connection(factory, ip_address, port)
            except OSError as error:
                problem = error
            else:
                return transport
        if not found:
            log.warning("the hub asked for %s, which is not among the allowed destinations", address)
        raise problem
