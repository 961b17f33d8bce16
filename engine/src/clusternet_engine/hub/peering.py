"""Sessions between replicas of the hub (spec/04 §4): who dials lends its tunnels, who is dialled uses them.

Both ends show the certificates that their Leases tell of. A hub whose Lease tells of none, as Clusternet's own, is
recognized by its token alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hmac
import logging
import random
import ssl
from collections.abc import AsyncIterator, Callable, Mapping

import aiohttp
from aiohttp import web

from clusternet_engine import metrics
from clusternet_engine.certificates import make_authority
from clusternet_engine.hub.tunnels import Disconnected, Tunnels
from clusternet_engine.kube.tls import load_key_pair, unverified_context
from clusternet_engine.listening import LimitedSite, note_requests, recognize
from clusternet_engine.logs import REFUSALS_LOGGED, Sparingly
from clusternet_engine.model import constants as names
from clusternet_engine.model.peers import Peer, parse_network
from clusternet_engine.serving import ServingTLS
from clusternet_engine.tunnel.frames import FrameType, client_payload
from clusternet_engine.tunnel.relay import relay
from clusternet_engine.tunnel.session import MAX_MESSAGE, Session
from clusternet_engine.tunnel.stream import Stream

DIAL_TIMEOUT = 10.0
"""Seconds until the websocket to a peer must be open."""
STOP_TIMEOUT = 0.1
"""Seconds for the closing handshakes of peers that have dialled; their sessions don't end by themselves."""

log = logging.getLogger(__name__)


class PeerUnreachable(Exception):
    """A peer can't be dialled, or doesn't accept this hub; the text says why."""


class Peering:
    """One replica's sessions with the others.

    Args:
        tunnels: of the agents.
        peer_id: of this replica.
        token: by which the others recognize this replica.
        known: the others, by ID; may change at any time, `trust` must be called then.
    """

    def __init__(self, tunnels: Tunnels, peer_id: str, token: str, known: Mapping[str, Peer]) -> None:
        self.port = 0
        self._tunnels = tunnels
        self._headers = {names.PEER_ID_HEADER: peer_id, names.PEER_TOKEN_HEADER: token}
        self._known = known
        self._pair = make_authority(names.HUB)
        self._tls = ServingTLS(self._pair)
        self._refusals = Sparingly(REFUSALS_LOGGED)

    @property
    def certificate(self) -> str:
        """PEM of the certificate that this replica shows at either end."""
        return self._pair.certificate.decode()

    def trust(self) -> None:
        """Accept the certificates of all known peers, and no others."""
        readable = []
        for peer in filter(lambda peer: peer.certificate, self._known.values()):
            try:
                unverified_context().load_verify_locations(cadata=peer.certificate)
            except ssl.SSLError as error:
                log.error("hub %s: its Lease tells of an unreadable certificate: %s", peer, error)
            else:
                readable.append(peer.certificate)
        self._tls.trust("\n".join(readable).encode())

    @contextlib.asynccontextmanager
    async def listening(self, address: str, port: int) -> AsyncIterator[None]:
        """Let others connect; `port` becomes the one that is listened on.

        Args:
            address: to listen on.
            port: to listen on; 0 is any that is free.

        Raises:
            OSError: the address is taken or not ours.
        """
        app = web.Application(middlewares=[note_requests])
        app.router.add_get(names.PEER_PATH, self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_TIMEOUT, handler_cancellation=True)
        await runner.setup()
        try:
            try:
                site = LimitedSite(runner, address, port, ssl_context=self._tls.context)
                await site.start()
            except OSError as error:
                raise OSError(f"cannot listen for other hubs (--peer-port): {error.strerror}") from None
            self.port = site.address[1]
            log.info("listening for other hubs on %s:%d", address, self.port)
            yield
        finally:
            await runner.cleanup()

    async def lend(self, peer: Peer) -> str:
        """Connect with a peer, let it use the tunnels that agents hold here until the session ends; return why it has.

        Raises:
            PeerUnreachable: it can't be dialled, or doesn't accept us.
        """
        async with aiohttp.ClientSession() as client:
            try:
                context = self._context(peer)
                async with asyncio.timeout(DIAL_TIMEOUT):
                    websocket = await client.ws_connect(
                        peer.url,
                        headers=self._headers,
                        ssl=context,
                        autoping=False,
                        max_msg_size=MAX_MESSAGE,
                    )
            except TimeoutError:
                raise PeerUnreachable(f"no answer within {DIAL_TIMEOUT:g} s") from None
            except aiohttp.WSServerHandshakeError as error:
                raise PeerUnreachable(f"it answers {error.status} instead of opening a websocket") from None
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise PeerUnreachable(str(error) or type(error).__name__) from None
            session = Session(websocket, f"{peer.id}/{random.getrandbits(63)}", accept=self._accept)
            log.info("hub %s: connected, it may use the tunnels of this hub", peer)
            with (
                self._tunnels.announced(functools.partial(_announce, session)),
                metrics.PEERS.labels("self").track_inprogress(),
            ):
                return await session.run()

    def _context(self, peer: Peer) -> ssl.SSLContext:
        """Return TLS settings for a peer: its Lease vouches for its certificate, whatever its name or address."""
        if not peer.certificate:
            return unverified_context()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(cadata=peer.certificate)
        load_key_pair(context, self._pair.certificate, self._pair.key)
        return context

    async def _accept(self, stream: Stream, network: str, address: str) -> None:
        """Join a stream that a peer has opened to the agent it means; that one must be connected to this very hub."""
        try:
            cluster_id, inner = parse_network(network)
        except ValueError as error:
            stream.fail(str(error))
            return

        async def dial(network: str, address: str, factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
            session = self._tunnels.session(cluster_id)
            if session is None:
                raise Disconnected("the agent is disconnected")
            onward = session.open(network, address)
            onward.start(factory())
            return onward

        await relay(stream, inner, address, dial)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """Serve a peer that has dialled: its tunnels are used until the session ends."""
        peer = self._authenticated(request)
        if peer is None:
            claimed = request.headers.get(names.PEER_ID_HEADER, "")
            if self._refusals.allows(f"{request.remote} {claimed:.20}"):
                log.warning(
                    "refused %s, who says to be hub %.20r: no such hub, or not its token", request.remote, claimed
                )
            return web.Response(status=401, text="failed authentication")
        recognize(request)
        websocket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=MAX_MESSAGE)
        if not websocket.can_prepare(request):
            return web.Response(status=400, text="hubs connect by websockets")
        await websocket.prepare(request)
        session = Session(
            websocket,
            f"{peer.id}/{random.getrandbits(63)}",
            heed=lambda frame: self._tunnels.heed(session, frame),
        )
        log.info("hub %s: connected, this hub may use its tunnels", peer)
        with self._tunnels.lent(session), metrics.PEERS.labels("peer").track_inprogress():
            reason = await session.run()
        log.info("hub %s: its tunnels are lost: %s", peer, reason)
        return websocket

    def _authenticated(self, request: web.Request) -> Peer | None:
        """Return the peer that has its own token and shows its own certificate."""
        peer = self._known.get(request.headers.get(names.PEER_ID_HEADER, ""))
        token = request.headers.get(names.PEER_TOKEN_HEADER, "").encode(errors="surrogateescape")
        if peer is None or not hmac.compare_digest(token, peer.token.encode()):
            return None
        assert request.transport is not None
        shown = request.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        pem = ssl.DER_cert_to_PEM_cert(shown) if shown else ""
        return peer if not peer.certificate or pem.split() == peer.certificate.split() else None


def _announce(session: Session, kind: FrameType, key: str) -> None:
    try:
        session.send(0, kind, client_payload(key))
    except ValueError as error:
        log.warning("other hubs aren't told of a tunnel: %s", error)
