"""The tunnels that agents hold open to this hub, and HTTP connections through them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from clusternet_engine import metrics
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.model.dialling import join_address
from clusternet_engine.model.proxying import direct_target
from clusternet_engine.tunnel.relay import Entrance
from clusternet_engine.tunnel.session import Session
from clusternet_engine.tunnel.stream import StreamError

if TYPE_CHECKING:
    from aiohttp import ClientRequest
    from aiohttp.tracing import Trace

HANDSHAKE_TIMEOUT = 10.0
"""Seconds for the TLS handshake with a child, its dial included."""
IDLE_TIMEOUT = 60.0
"""Seconds a connection to a child is kept for the next request; API servers close theirs after 90."""


class Disconnected(ConnectionError):
    """The agent of a cluster holds no tunnel to this hub."""


class Tunnels:
    """The open sessions, by cluster ID."""

    def __init__(self) -> None:
        self._sessions: dict[str, list[Session]] = {}
        self._handlers: list[Callable[[str], None]] = []

    def add_handler(self, handler: Callable[[str], None]) -> None:
        """Call a function with the cluster ID whenever a tunnel has opened."""
        self._handlers.append(handler)

    @contextlib.contextmanager
    def registered(self, cluster_id: str, session: Session) -> Iterator[None]:
        """Make a session known for as long as it runs."""
        sessions = self._sessions.setdefault(cluster_id, [])
        sessions.append(session)
        metrics.TUNNELS.inc()
        for handler in self._handlers:
            handler(cluster_id)
        try:
            yield
        finally:
            metrics.TUNNELS.dec()
            sessions.remove(session)
            if not sessions:
                del self._sessions[cluster_id]

    def session(self, cluster_id: str) -> Session | None:
        """Return the newest open session of a cluster; an older one may lead to an agent that is gone (spec/04 §2)."""
        return next((one for one in reversed(self._sessions.get(cluster_id, ())) if not one.closed), None)

    def open_session(self, cluster_id: str) -> Session:
        """Return the session to use for a cluster.

        Raises:
            Disconnected: there is none.
        """
        if (session := self.session(cluster_id)) is None:
            raise Disconnected(f"the agent of cluster {cluster_id} is disconnected")
        return session

    def route(self, cluster_id: str) -> TunnelRoute:
        """Return the way to what a cluster's agent reaches."""
        return TunnelRoute(lambda: self.open_session(cluster_id))


class TunnelRoute:
    """The way to a child through its tunnel; goes on with the next session when one has ended.

    Args:
        session: returns the session to use, or raises `Disconnected`.
    """

    def __init__(self, session: Callable[[], Session]) -> None:
        self._session = session

    def connector(self) -> TunnelConnector:
        """Return connections for an `aiohttp.ClientSession`."""
        return TunnelConnector(self._session)

    @contextlib.asynccontextmanager
    async def forwarded(self, config: ClusterConfig) -> AsyncIterator[ClusterConfig]:
        """Listen on loopback for programs that can't use the tunnel by themselves."""
        target = direct_target(config.server)

        def entrance() -> Entrance:
            return Entrance(lambda: self._session().open("tcp", target.address))

        server = await asyncio.get_running_loop().create_server(entrance, "127.0.0.1", 0)
        try:
            port = server.sockets[0].getsockname()[1]
            yield replace(
                config,
                server=f"{target.scheme}://127.0.0.1:{port}{target.path}",
                tls_server_name=config.tls_server_name or target.host,
            )
        finally:
            server.close()


class TunnelConnector(aiohttp.BaseConnector):
    """Connections of an HTTP client that are streams of a session.

    Args:
        session: returns the session to use, or raises `Disconnected`.
    """

    def __init__(self, session: Callable[[], Session]) -> None:
        super().__init__(keepalive_timeout=IDLE_TIMEOUT, limit=0)
        self._session = session

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        host, port = req.url.host or "", req.url.port or 0
        protocol: ResponseHandler = self._factory()
        try:
            stream = self._session().open("tcp", join_address(host, port))
        except (Disconnected, StreamError) as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
        except ValueError as error:
            raise aiohttp.InvalidURL(req.url, str(error)) from None
        if not req.is_ssl():
            stream.start(protocol)
            return protocol
        stream.set_protocol(protocol)
        try:
            transport = await self._loop.start_tls(
                stream,
                protocol,
                _context(req.ssl),
                server_hostname=req.server_hostname or host,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
            )
        except ssl.CertificateError as error:
            raise aiohttp.ClientConnectorCertificateError(req.connection_key, error) from error
        except ssl.SSLError as error:
            raise aiohttp.ClientConnectorSSLError(req.connection_key, error) from error
        except OSError as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
        if transport is None:
            raise aiohttp.ClientConnectorError(req.connection_key, StreamError("closed during the TLS handshake"))
        protocol.connection_made(transport)
        return protocol


def _context(choice: Any) -> ssl.SSLContext:
    return choice if isinstance(choice, ssl.SSLContext) else ssl.create_default_context()
