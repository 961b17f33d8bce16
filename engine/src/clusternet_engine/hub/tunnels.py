"""The tunnels that agents hold open to this hub and to its peers, and HTTP connections through them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import aiohttp
from aiohttp.client_proto import ResponseHandler

from clusternet_engine import metrics
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.tls import verifying_context
from clusternet_engine.model.dialling import join_address
from clusternet_engine.model.peers import TCP, network_through
from clusternet_engine.model.proxying import direct_target
from clusternet_engine.tunnel.frames import Frame, FrameType, parse_client
from clusternet_engine.tunnel.relay import Entrance
from clusternet_engine.tunnel.session import Session
from clusternet_engine.tunnel.stream import Stream, StreamError

if TYPE_CHECKING:
    from aiohttp import ClientRequest
    from aiohttp.tracing import Trace

HANDSHAKE_TIMEOUT = 10.0
"""Seconds for the TLS handshake with a child, its dial included."""
IDLE_TIMEOUT = 60.0
"""Seconds a connection to a child is kept for the next request; API servers close theirs after 90."""

Announce: TypeAlias = Callable[[FrameType, str], None]
"""Tells a peer of a session, by its key, that has begun (AddClient) or ended (RemoveClient)."""


class Disconnected(ConnectionError):
    """The agent of a cluster holds no tunnel to any hub."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a cluster is reached: by its agent's own session, or by that of a peer which holds it.

    Attributes:
        session: where to ask for connections.
        network: what to ask for.
    """

    session: Session
    network: str = TCP

    def open(self, address: str) -> Stream:
        """Open a stream to an address that the agent dials.

        Raises:
            ValueError: the address is too long for this way.
            StreamError: the session has ended.
        """
        return self.session.open(self.network, address)


class Tunnels:
    """The open sessions of agents, by cluster ID, and the sessions of peers that hold others."""

    def __init__(self) -> None:
        self._sessions: dict[str, list[Session]] = {}
        self._lent: dict[str, dict[tuple[str, Session], None]] = {}
        self._handlers: list[Callable[[str], None]] = []
        self._announcers: list[Announce] = []

    def add_handler(self, handler: Callable[[str], None]) -> None:
        """Call a function with the cluster ID whenever a tunnel has opened, here or at a peer."""
        self._handlers.append(handler)

    @contextlib.contextmanager
    def registered(self, cluster_id: str, session: Session) -> Iterator[None]:
        """Make a session known for as long as it runs."""
        sessions = self._sessions.setdefault(cluster_id, [])
        sessions.append(session)
        self._announce(FrameType.ADD_CLIENT, session.key)
        self._opened(cluster_id)
        try:
            with metrics.TUNNELS.track_inprogress(), metrics.TUNNEL_SECONDS.time():
                yield
        finally:
            sessions.remove(session)
            if not sessions:
                del self._sessions[cluster_id]
            self._announce(FrameType.REMOVE_CLIENT, session.key)

    @contextlib.contextmanager
    def announced(self, announce: Announce) -> Iterator[None]:
        """Tell a peer of the sessions that agents hold here, and of changes for as long as this lasts.

        Sessions that peers have announced are not passed on, so that requests can't go in circles.
        """
        for sessions in self._sessions.values():
            for session in sessions:
                announce(FrameType.ADD_CLIENT, session.key)
        self._announcers.append(announce)
        try:
            yield
        finally:
            self._announcers.remove(announce)

    @contextlib.contextmanager
    def lent(self, peer: Session) -> Iterator[None]:
        """Use what a peer announces by `heed` for as long as its session runs."""
        try:
            yield
        finally:
            for cluster_id, key in [(id, key) for id, keys in self._lent.items() for key, one in keys if one is peer]:
                self._withdraw(cluster_id, key, peer)

    def heed(self, peer: Session, frame: Frame) -> None:
        """Heed a peer's AddClient or RemoveClient frame.

        Raises:
            MalformedFrame: it isn't one.
        """
        cluster_id, key = parse_client(frame.payload)
        if frame.type == FrameType.REMOVE_CLIENT:
            self._withdraw(cluster_id, key, peer)
        else:
            self._lent.setdefault(cluster_id, {})[key, peer] = None
            self._opened(cluster_id)

    def end(self, cluster_id: str, reason: str) -> None:
        """End the sessions that the agents of a cluster hold open here."""
        for session in self._sessions.get(cluster_id, ()):
            session.end(reason)

    def session(self, cluster_id: str) -> Session | None:
        """Return the newest open session of a cluster; an older one may lead to an agent that is gone (spec/04 §2)."""
        return next((one for one in reversed(self._sessions.get(cluster_id, ())) if not one.closed), None)

    def way(self, cluster_id: str) -> Way | None:
        """Return the way to a cluster: the session of its agent, else that of the peer that announced it last."""
        if (session := self.session(cluster_id)) is not None:
            return Way(session)
        peers = (peer for _, peer in reversed(self._lent.get(cluster_id, {})))
        return next((Way(peer, network_through(cluster_id)) for peer in peers if not peer.closed), None)

    def route(self, cluster_id: str) -> TunnelRoute:
        """Return connections to what a cluster's agent reaches, each by the way that there is by then."""

        def way() -> Way:
            if (found := self.way(cluster_id)) is None:
                raise Disconnected(f"the agent of cluster {cluster_id} is disconnected")
            return found

        return TunnelRoute(way)

    def _announce(self, kind: FrameType, key: str) -> None:
        for announce in self._announcers:
            announce(kind, key)

    def _opened(self, cluster_id: str) -> None:
        for handler in self._handlers:
            handler(cluster_id)

    def _withdraw(self, cluster_id: str, key: str, peer: Session) -> None:
        keys = self._lent.get(cluster_id, {})
        keys.pop((key, peer), None)
        if not keys:
            self._lent.pop(cluster_id, None)


class TunnelRoute:
    """The way to a child through its tunnel; goes on with the next session when one has ended.

    Args:
        way: returns the way to take, or raises `Disconnected`.
    """

    def __init__(self, way: Callable[[], Way]) -> None:
        self._way = way

    def connector(self) -> TunnelConnector:
        """Return connections for an `aiohttp.ClientSession`."""
        return TunnelConnector(self._way)

    def proxy(self, config: ClusterConfig) -> None:
        """Return that no HTTP proxy is on this way."""

    @contextlib.asynccontextmanager
    async def forwarded(self, config: ClusterConfig) -> AsyncIterator[ClusterConfig]:
        """Listen on loopback for programs that can't use the tunnel by themselves."""
        target = direct_target(config.server)

        def entrance() -> Entrance:
            return Entrance(lambda: self._way().open(target.address))

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
        way: returns the way to take, or raises `Disconnected`.
    """

    def __init__(self, way: Callable[[], Way]) -> None:
        super().__init__(keepalive_timeout=IDLE_TIMEOUT, limit=0)
        self._way = way

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        host, port = req.url.host or "", req.url.port or 0
        protocol: ResponseHandler = self._factory()
        try:
            stream = self._way().open(join_address(host, port))
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
        except UnicodeError as error:
            raise aiohttp.InvalidURL(req.url, str(error)) from None
        if transport is None:
            raise aiohttp.ClientConnectorError(req.connection_key, StreamError("closed during the TLS handshake"))
        protocol.connection_made(transport)
        return protocol


def _context(choice: Any) -> ssl.SSLContext:
    return choice if isinstance(choice, ssl.SSLContext) else verifying_context(None)
