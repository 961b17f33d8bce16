"""Health and metrics over HTTPS: ``/healthz``, ``/livez``, ``/readyz``, ``/metrics`` (spec/05 §5, §7.1)."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

from clusternet_engine.kube.tls import load_key_pair

log = logging.getLogger(__name__)

CHECK_TIMEOUT = 5.0
"""Seconds a check may take before it counts as failed."""
STOP_TIMEOUT = 1.0
"""Seconds open requests get when the server stops."""
CERTIFICATE_LIFETIME = timedelta(days=365)

Check = Callable[[], Awaitable[None] | None]


class HealthServer:
    """Serves health and metrics; use as ``async with HealthServer(...)``.

    ``/livez`` answers as long as the process does; ``/readyz`` and ``/healthz`` run the checks. ``?verbose`` lists
    them. Why one failed is logged, not shown, since nobody has to log in to ask.

    :param port: 0 = don't serve.
    :param checks: by name; a check fails by raising.
    :param tls_cert_file: PEM certificate chain; with ``tls_key_file`` instead of a self-signed one made in memory.
    """

    def __init__(
        self,
        bind_address: str,
        port: int,
        checks: Mapping[str, Check],
        registry: CollectorRegistry = REGISTRY,
        *,
        tls_cert_file: Path | None = None,
        tls_key_file: Path | None = None,
    ) -> None:
        self._bind_address = bind_address
        self._port = port
        self._checks = checks
        self._registry = registry
        self._cert_file = tls_cert_file
        self._key_file = tls_key_file
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen.

        :raises OSError: the address is taken or not ours, or a certificate file can't be read.
        :raises ssl.SSLError: the certificate files are not PEM, or do not belong together.
        """
        if self._port == 0:
            return
        app = web.Application()
        app.add_routes(
            [
                web.get("/livez", self._livez),
                web.get("/readyz", self._readyz),
                web.get("/healthz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_TIMEOUT)
        await self._runner.setup()
        context = self._ssl_context()
        try:
            await web.TCPSite(self._runner, self._bind_address, self._port, ssl_context=context).start()
        except OSError:
            await self.stop()
            raise
        log.info("serving health and metrics on https://%s:%d", self._bind_address, self._port)

    async def stop(self) -> None:
        """Stop listening; open requests get :data:`STOP_TIMEOUT`."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _ssl_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        if self._cert_file is not None:
            context.load_cert_chain(self._cert_file, self._key_file)
        else:
            load_key_pair(context, *self_signed_certificate())
        return context

    async def _livez(self, request: web.Request) -> web.Response:
        return _report(request, {"ping": None})

    async def _readyz(self, request: web.Request) -> web.Response:
        names = list(self._checks)
        results = await asyncio.gather(*(_run(self._checks[name]) for name in names))
        failures = dict(zip(names, results, strict=True))
        for name, error in failures.items():
            if error is not None:
                log.warning("check %s failed: %s", name, error or type(error).__name__)
        return _report(request, {"ping": None, **failures})

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


def self_signed_certificate() -> tuple[bytes, bytes]:
    """A certificate for this host's name and loopback, and its key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    host = socket.gethostname()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [
        x509.DNSName(host),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + CERTIFICATE_LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
