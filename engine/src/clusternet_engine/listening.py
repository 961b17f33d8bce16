"""Listens for an aiohttp application and keeps what strangers may take within limits.

It accepts connections itself, so that nothing which goes wrong there ends the program: without file descriptors it
waits a moment, closes strangers that do nothing, and lets fewer of them in for a while. Once a second it closes
connections whose peers let their time pass: in the TLS handshake, in the head of a request, between two requests, or
while they don't take their answer. A peer that shows a trusted client certificate, or that a handler recognizes by its
token, is no stranger any more; its websockets and watches live for as long as both ends like. What is closed is counted
in `clusternet_connections_refused_total`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
import ssl
from asyncio import sslproto
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from clusternet_engine import metrics
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.logs import Sparingly
from clusternet_engine.model.connection_limits import ConnectionLimits, Phase, Stranger, Strangers

BACKLOG = 1024
"""Connections that the kernel keeps until they are accepted."""
SWEEP = 1.0
"""Seconds between two looks for connections whose time is up."""
CLOSE_TIMEOUT = 2.0
"""Seconds a peer gets to end TLS properly."""
FIRST_DELAY, MAX_DELAY = 0.05, 1.0
RECOVERY = 30.0
"""Seconds after which strangers have their usual room again when file descriptors had run short."""
TLS_BUFFER = 2**15
"""Bytes that each TLS connection has to read into, for as long as it lives."""
_END_OF_HEAD = b"\r\n\r\n"
_GONE = (errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EHOSTDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH)
"""What accepting fails with because the peer has left already."""

Recognizes = Callable[[Mapping[str, Any]], bool]
"""Judges a client certificate, as `ssl.SSLSocket.getpeercert` gives it, whose issuer is trusted."""

log = logging.getLogger(__name__)

# asyncio takes 256 KiB for it and has no parameter: several hundred silent strangers would double a hub's memory.
sslproto.SSLProtocol.max_size = TLS_BUFFER


def descriptor_limits() -> ConnectionLimits:
    """Return limits that fit the file descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ConnectionLimits() if soft == resource.RLIM_INFINITY else ConnectionLimits.within(soft)


def recognize(request: web.Request) -> None:
    """Note that whoever sent a request has proven who it is."""
    if isinstance(request.protocol, _Connection):
        request.protocol.recognize()


@web.middleware
async def note_requests(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Note when requests begin and end; every application behind a :class:`LimitedSite` has this middleware."""
    if not isinstance(request.protocol, _Connection):
        return await handler(request)
    connection = request.protocol
    connection.move(Phase.REQUEST)
    try:
        return await handler(request)
    finally:
        connection.move(Phase.IDLE)


class LimitedSite(web.BaseSite):
    """Where an application listens.

    Args:
        runner: of the application, which has the middleware :func:`note_requests`.
        host: address or name to listen on.
        port: 0 is any that is free.
        ssl_context: to serve with; None means without TLS.
        listener: a socket that listens already, instead of host and port.
        limits: of connections; None means those that fit this process.
        recognizes: judges trusted client certificates; None means that each of them is somebody's.
        max_line: bytes of the longest request line or header.
    """

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        *,
        ssl_context: ssl.SSLContext | None = None,
        listener: socket.socket | None = None,
        limits: ConnectionLimits | None = None,
        recognizes: Recognizes | None = None,
        max_line: int = 8190,
    ) -> None:
        super().__init__(runner, ssl_context=ssl_context, backlog=BACKLOG)
        self._host = host
        self._port = port
        self._sockets = [listener] if listener is not None else []
        self._recognizes = recognizes
        self._max_line = max_line
        self._strangers = Strangers(limits or descriptor_limits())
        self._closers: dict[Stranger, Callable[[], object]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusals = Sparingly(60.0)
        self._short_since: float | None = None

    @property
    def name(self) -> str:
        """The URL, with the port that is listened on."""
        scheme = "https" if self._ssl_context else "http"
        host, port = self.address
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    @property
    def address(self) -> tuple[str, int]:
        """Address and port that are listened on."""
        if not self._sockets:
            return self._host, self._port
        host, port, *_ = self._sockets[0].getsockname()
        return host, port

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is taken or not ours.
        """
        await super().start()
        if not self._sockets:
            self._sockets = await _listen(self._host, self._port)
        for listener in self._sockets:
            listener.setblocking(False)
            self._run(self._accept(listener))
        self._run(self._sweep())

    async def stop(self) -> None:
        """Stop listening; connections that are open belong to the runner."""
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for listener in self._sockets:
            listener.close()
        await super().stop()

    def _run(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff(FIRST_DELAY, MAX_DELAY)
        while True:
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno in _GONE:
                    await asyncio.sleep(0)
                    continue
                self._make_room(error)
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            self._welcome(connection, str(address[0]))
            # However many connections come at once, whoever is here goes on.
            await asyncio.sleep(0)

    def _welcome(self, connection: socket.socket, address: str) -> None:
        phase = Phase.HEAD if self._ssl_context is None else Phase.HANDSHAKE
        stranger, victim = self._strangers.admit(address, phase, _now())
        if victim is not None:
            self._close(victim, "crowd")
        if stranger is None:
            connection.close()
            self._refused("crowd", 1)
            return
        self._closers[stranger] = self._run(self._serve(connection, stranger)).cancel

    async def _serve(self, connection: socket.socket, stranger: Stranger) -> None:
        server = self._runner.server
        assert server is not None
        loop = asyncio.get_running_loop()
        established = False
        try:
            await loop.connect_accepted_socket(
                lambda: _Connection(self, stranger, server, loop, self._max_line),
                connection,
                ssl=self._ssl_context,
                ssl_handshake_timeout=self._strangers.limits.handshake if self._ssl_context else None,
                ssl_shutdown_timeout=CLOSE_TIMEOUT if self._ssl_context else None,
            )
            established = True
        except OSError as error:
            log.debug("no connection with %s: %s", stranger.network, error)
        finally:
            if not established:
                self.lost(stranger)
                connection.close()

    def made(self, stranger: Stranger, transport: asyncio.BaseTransport) -> None:
        """Note that a connection has got so far that requests may come."""
        assert isinstance(transport, asyncio.Transport)
        self._closers[stranger] = transport.abort
        self.move(stranger, Phase.HEAD)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert() if tls else None
        if certificate and (self._recognizes is None or self._recognizes(certificate)):
            self.recognize(stranger)

    def move(self, stranger: Stranger, phase: Phase) -> None:
        """Note what a connection waits for."""
        self._strangers.move(stranger, phase, _now())

    def lost(self, stranger: Stranger) -> None:
        """Note that a connection is closed."""
        self._closers.pop(stranger, None)
        self._strangers.forget(stranger)

    def recognize(self, stranger: Stranger) -> None:
        """Note that a connection is no stranger's any more."""
        if self._closers.pop(stranger, None) is not None:
            self._strangers.recognize(stranger)

    def too_long(self, stranger: Stranger) -> bool:
        """Close a connection whose head has become too long; return whether it was a stranger's."""
        return self._close(stranger, "size")

    @property
    def head_bytes(self) -> int:
        """Bytes of the longest head of a stranger's request."""
        return self._strangers.limits.head_bytes

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(SWEEP, self._strangers.limits.handshake / 2))
            if self._short_since is not None and _now() - self._short_since > RECOVERY:
                self._short_since = None
                self._strangers.restore()
            for stranger in self._strangers.overdue(_now()):
                self._close(stranger, stranger.phase.value)

    def _make_room(self, error: OSError) -> None:
        self._short_since = _now()
        self._strangers.shrink()
        for stranger in self._strangers.excess(_now()):
            self._close(stranger, "descriptors")
        if self._refusals.allows("descriptors"):
            log.error("no connection can be accepted: %s; idle ones are closed", error.strerror)

    def _close(self, stranger: Stranger, reason: str) -> bool:
        close = self._closers.pop(stranger, None)
        self._strangers.forget(stranger)
        if close is None:
            return False
        close()
        self._refused(reason, 1)
        return True

    def _refused(self, reason: str, number: int) -> None:
        metrics.CONNECTIONS_REFUSED.labels(reason).inc(number)
        if reason == "crowd" and self._refusals.allows(reason):
            log.warning("%s: too many connections of clients that haven't authenticated; some are closed", self.name)


class _Connection(web.RequestHandler):
    """One connection; tells its site what happens with it."""

    __slots__ = ("_head", "_site", "_stranger", "_tail")

    def __init__(
        self,
        site: LimitedSite,
        stranger: Stranger,
        server: web.Server,
        loop: asyncio.AbstractEventLoop,
        max_line: int,
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type] # as web.AppRunner passes it
            max_line_size=max_line,
            max_field_size=max_line,
        )
        self._site = site
        self._stranger: Stranger | None = stranger
        self._head: int | None = 0
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._stranger is not None:
            self._site.made(self._stranger, transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self._stranger is not None:
            self._site.lost(self._stranger)

    def data_received(self, data: bytes) -> None:
        if self._head is not None and self._stranger is not None:
            seen = self._tail + data
            if _END_OF_HEAD in seen:
                self._head, self._tail = None, b""
            else:
                self._head, self._tail = self._head + len(data), seen[1 - len(_END_OF_HEAD) :]
                if self._head > self._site.head_bytes and self._site.too_long(self._stranger):
                    return
        super().data_received(data)

    def move(self, phase: Phase) -> None:
        if self._stranger is not None:
            self._head = None if phase is Phase.REQUEST else 0
            self._site.move(self._stranger, phase)

    def recognize(self) -> None:
        if self._stranger is not None:
            self._site.recognize(self._stranger)
            self._stranger = None


async def _listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen at all addresses of a host.

    Raises:
        OSError: an address is taken or not ours.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family is socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if len(sockets) > 1 and port == 0:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            listener.bind(address)
            listener.listen(BACKLOG)
    except OSError as error:
        for listener in sockets:
            listener.close()
        reason = (error.strerror or str(error)).lower()
        raise OSError(error.errno, f"{host} port {port}: {reason}") from None
    return sockets


def _now() -> float:
    return asyncio.get_running_loop().time()
