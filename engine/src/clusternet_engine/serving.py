"""Health and metrics over HTTPS: ``/healthz``, ``/livez``, ``/readyz``, ``/metrics`` (spec/05 §5, §7.1).

A program may serve an API at the same port.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Container, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

from clusternet_engine.answers import status_answer
from clusternet_engine.certificates import KeyPair, self_signed
from clusternet_engine.kube.errors import ApiError
from clusternet_engine.kube.tls import load_key_pair, unverified_context
from clusternet_engine.listening import LimitedSite, Recognizes, note_requests
from clusternet_engine.model import constants as names
from clusternet_engine.model.connection_limits import ConnectionLimits

log = logging.getLogger(__name__)

CHECK_TIMEOUT = 5.0
"""Seconds a check may take before it counts as failed."""
STOP_TIMEOUT = 1.0
"""Seconds open requests get when the server stops."""
MAX_BODY = 16 * 2**20
"""Bytes of the largest request accepted; API servers take 3 MiB."""
MAX_LINE = 2**16
"""Bytes of the longest request line or header accepted: certificates travel in headers."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Access = Callable[[web.Request], Awaitable[None]]
"""Returns if somebody may have what they ask for, else raises an ApiError."""
Check = Callable[[], Awaitable[None] | None]


class ServingTLS:
    """The certificate served with and the client certificates accepted; both may change while serving.

    Clients needn't show a certificate; one that is shown must be issued by a trusted authority.

    :param pair: to begin with.
    """

    def __init__(self, pair: KeyPair | None = None) -> None:
        self._pair = pair or self_signed()
        self._trusted = b""
        self._current: ssl.SSLContext | None = self._make(self._pair)
        self.context = self._make(self._pair)
        self.context.sni_callback = self._choose

    @classmethod
    def of_files(cls, cert_file: Path, key_file: Path) -> ServingTLS:
        """From files.

        :raises OSError: they can't be read.
        :raises ssl.SSLError: they are not PEM, or do not belong together.
        """
        return cls(KeyPair(cert_file.read_bytes(), key_file.read_bytes()))

    def serve_with(self, pair: KeyPair) -> None:
        """Use another certificate for connections to come.

        :raises ssl.SSLError: they are not PEM, or do not belong together.
        :raises OSError: no file descriptor is left; the former certificate stays.
        """
        self._current = self._make(pair)
        self._pair = pair

    def trust(self, authorities: bytes) -> None:
        """Accept client certificates of these authorities, PEM, for connections to come.

        :raises ssl.SSLError: they are not PEM.
        """
        if authorities:
            unverified_context().load_verify_locations(cadata=authorities.decode("ascii", "backslashreplace"))
        self._trusted = authorities
        # Made by the next handshake: making it may fail for want of file descriptors, and who isn't trusted any more
        # must not be let in meanwhile.
        self._current = None

    def _make(self, pair: KeyPair) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Clients of the same session may not be judged by authorities that have been replaced meanwhile.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        context.verify_mode = ssl.CERT_OPTIONAL
        if self._trusted:
            context.load_verify_locations(cadata=self._trusted.decode("ascii", "backslashreplace"))
        load_key_pair(context, pair.certificate, pair.key)
        return context

    def _choose(self, connection: Any, name: str | None, context: ssl.SSLContext) -> int | None:
        if self._current is None:
            try:
                self._current = self._make(self._pair)
            except OSError as error:
                log.warning("a TLS handshake fails: %s", error)
                return int(ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR)
        connection.context = self._current
        return None


class HealthServer:
    """Serves health and metrics, and an API if there is one; use as ``async with HealthServer(...)``.

    ``/livez`` answers as long as the process does; ``/healthz`` runs the checks; ``/readyz`` runs them and those of
    readiness, which a new start of the process wouldn't mend. ``?verbose`` lists them. Why one failed is logged, not
    shown, since nobody has to log in to ask. What strangers may take is limited (:mod:`clusternet_engine.listening`).

    :param port: 0 = don't serve.
    :param checks: by name; a check fails by raising.
    :param readiness_checks: by name, for ``/readyz`` alone.
    :param tls: to serve with; ``None`` = a self-signed certificate made in memory.
    :param handler: answers every other path.
    :param listener: a socket to serve on, that listens at this address already.
    :param access: judges requests for health and metrics; ``None`` = everybody may have them.
    :param always_allowed: paths of health and metrics that everybody may have.
    :param recognizes: judges client certificates of trusted authorities; ``None`` = each is somebody's.
    :param limits: of what strangers may take; ``None`` = what fits the process.
    """

    def __init__(
        self,
        bind_address: str,
        port: int,
        checks: Mapping[str, Check],
        registry: CollectorRegistry = REGISTRY,
        *,
        readiness_checks: Mapping[str, Check] | None = None,
        tls: ServingTLS | None = None,
        handler: Handler | None = None,
        listener: socket.socket | None = None,
        access: Access | None = None,
        always_allowed: Container[str] = names.HEALTH_PATHS,
        recognizes: Recognizes | None = None,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self._listener = listener
        self._bind_address = bind_address
        self._port = port
        self._checks = checks
        self._readiness_checks = {**checks, **(readiness_checks or {})}
        self._registry = registry
        self._tls = tls
        self._handler = handler
        self._access = access
        self._always_allowed = always_allowed
        self._recognizes = recognizes
        self._limits = limits
        self._runner: web.AppRunner | None = None
        self._told: dict[str, str | None] = {}

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen.

        :raises OSError: the address is taken or not ours.
        """
        if self._port == 0 and self._listener is None:
            return
        app = web.Application(client_max_size=MAX_BODY, middlewares=[note_requests])
        answers = (self._healthz, self._readyz, self._livez, self._metrics)
        for path, answer in zip((*names.HEALTH_PATHS, names.METRICS_PATH), answers, strict=True):
            app.router.add_get(path, self._guarded(path, answer))
        if self._handler is not None:
            app.router.add_route("*", "/{path:.*}", self._handler)
        # Whoever has left needs no answer any more, least of all from a watch that would go on for ever.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_TIMEOUT, handler_cancellation=True)
        await self._runner.setup()
        site = LimitedSite(
            self._runner,
            self._bind_address,
            self._port,
            ssl_context=(self._tls or ServingTLS()).context,
            listener=self._listener,
            limits=self._limits,
            recognizes=self._recognizes,
            max_line=MAX_LINE,
        )
        try:
            await site.start()
        except OSError:
            await self.stop()
            raise
        log.info("serving on %s", site.name)

    async def stop(self) -> None:
        """Stop listening; open requests get :data:`STOP_TIMEOUT`."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _guarded(self, path: str, answer: Handler) -> Handler:
        access = self._access
        if access is None or path in self._always_allowed:
            return answer

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                await access(request)
            except ApiError as error:
                return status_answer(error)
            return await answer(request)

        return guarded

    async def _livez(self, request: web.Request) -> web.Response:
        return _report(request, {"ping": None})

    async def _healthz(self, request: web.Request) -> web.Response:
        return await self._checked(request, self._checks)

    async def _readyz(self, request: web.Request) -> web.Response:
        return await self._checked(request, self._readiness_checks)

    async def _checked(self, request: web.Request, checks: Mapping[str, Check]) -> web.Response:
        results = await asyncio.gather(*map(_run, checks.values()))
        failures = dict(zip(checks, results, strict=True))
        for name, error in failures.items():
            self._tell(name, error)
        return _report(request, {"ping": None, **failures})

    def _tell(self, name: str, error: Exception | None) -> None:
        """Log why a check fails, once for each reason: probes ask every few seconds, and an approval may take days."""
        reason = None if error is None else str(error) or type(error).__name__
        if reason is not None and reason != self._told.get(name):
            log.warning("check %s failed: %s", name, reason)
        self._told[name] = reason

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _run(check: Check) -> Exception | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            result = check()
            if result is not None:
                await result
    except Exception as error:
        return error
    return None


def _report(request: web.Request, failures: Mapping[str, Exception | None]) -> web.Response:
    """The answer in the words API servers use, so that their probes and people can read it."""
    failed = any(error is not None for error in failures.values())
    if not failed and "verbose" not in request.query:
        return web.Response(text="ok")
    lines = [f"[-]{name} failed: reason withheld" if error else f"[+]{name} ok" for name, error in failures.items()]
    kind = request.path.lstrip("/")
    lines.append(f"{kind} check {'failed' if failed else 'passed'}")
    return web.Response(status=500 if failed else 200, text="\n".join(lines) + "\n")
