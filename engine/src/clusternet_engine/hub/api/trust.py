"""The hub's own authority: issues its serving certificates; the parent's API server knows it from the APIServices."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from clusternet_engine.certificates import AUTHORITY_LIFETIME, CERTIFICATE_LIFETIME, KeyPair, issue, make_authority
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import AlreadyExists, ApiError, ConnectionFailed, NotFound
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import API_SERVICES, SECRETS, Object
from clusternet_engine.kube.tls import load_key_pair, unverified_context
from clusternet_engine.model import constants as names
from clusternet_engine.serving import ServingTLS

SECRET = "clusternet-hub-serving"  # noqa: S105 - the name of a Secret
RECHECK = timedelta(hours=1)
FIRST_DELAY, MAX_DELAY = 0.1, 30.0

_CERTIFICATE, _KEY, _BUNDLE = "tls.crt", "tls.key", "ca.crt"

log = logging.getLogger(__name__)


class Trust:
    """Keeps the serving certificate valid and the APIServices informed.

    The Secret holds the authority, so that all replicas are trusted alike; each issues its own certificate. An
    authority that is about to end is replaced, and both are trusted for the rest of its time.

    Args:
        client: of the parent cluster.
        tls: what is served with.
        api_services: the parent's APIServices.
        group_versions: names of the hub's own among them.
        namespace: of the Secret and of the hub's Service.
        own_certificate: whether the certificate is the hub's own; else files name it, and the APIServices are the
            business of whoever made them.
    """

    def __init__(
        self,
        client: Client,
        tls: ServingTLS,
        api_services: Informer,
        group_versions: Sequence[str],
        namespace: str,
        *,
        own_certificate: bool,
    ) -> None:
        self._client = client
        self._tls = tls
        self._api_services = api_services
        self._group_versions = frozenset(group_versions)
        self._namespace = namespace
        self._own = own_certificate
        self._ready = not own_certificate
        self._last_error: Exception | None = None
        self._changed = asyncio.Event()
        api_services.add_handler(lambda change: self._changed.set())

    def check(self) -> None:
        """Readiness check.

        Raises:
            LookupError: the certificate isn't there yet; the text says why.
        """
        if not self._ready:
            raise LookupError(f"serving certificate: {self._last_error or 'no answer yet'}")

    async def run(self) -> None:
        """Keep everything up to date until cancelled."""
        if not self._own:
            return
        backoff = Backoff(FIRST_DELAY, MAX_DELAY)
        issued_by: KeyPair | None = None
        issued_at = datetime.min.replace(tzinfo=UTC)
        while True:
            self._changed.clear()
            try:
                now = datetime.now(UTC)
                authority, bundle = await self._authority(now)
                if authority != issued_by or now - issued_at > CERTIFICATE_LIFETIME / 2:
                    self._tls.serve_with(issue(authority, names.HUB, self._names()))
                    issued_by, issued_at = authority, now
                    self._ready = True
                await self._tell(bundle)
            except (ApiError, ConnectionFailed, OSError) as error:
                self._last_error = error
                log.warning("serving certificate: %s", error)
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            try:
                async with asyncio.timeout(RECHECK.total_seconds()):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _names(self) -> tuple[str, ...]:
        service = f"{names.HUB}.{self._namespace}"
        return f"{service}.svc", f"{service}.svc.cluster.local", service, names.HUB

    async def _authority(self, now: datetime) -> tuple[KeyPair, bytes]:
        """Return the authority, and all certificates to trust; make the Secret that holds them if need be."""
        try:
            secret = await self._client.get(SECRETS, SECRET, self._namespace)
        except NotFound:
            return await self._make(now)
        pair, bundle = _read(secret)
        remaining = _remaining(pair, now)
        if remaining > CERTIFICATE_LIFETIME:
            return pair, bundle
        return await self._replace(secret, b"" if remaining <= timedelta(0) else pair.certificate)

    async def _make(self, now: datetime) -> tuple[KeyPair, bytes]:
        pair = make_authority(f"{names.HUB}@{self._namespace}")
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET, "namespace": self._namespace},
            "type": "kubernetes.io/tls",
            "data": _data(pair, pair.certificate),
        }
        try:
            await self._client.create(SECRETS, body)
        except AlreadyExists:
            return await self._authority(now)
        log.info("made the authority of serving certificates, valid for %d days", AUTHORITY_LIFETIME.days)
        return pair, pair.certificate

    async def _replace(self, secret: Object, still_trusted: bytes) -> tuple[KeyPair, bytes]:
        pair = make_authority(f"{names.HUB}@{self._namespace}")
        bundle = pair.certificate + still_trusted
        patch = {
            "metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]},
            "data": _data(pair, bundle),
        }
        await self._client.patch(SECRETS, SECRET, patch, self._namespace)
        log.info("replaced the authority of serving certificates, which was unreadable or about to end")
        return pair, bundle

    async def _tell(self, bundle: bytes) -> None:
        """Write the authority into the APIServices that lack it."""
        wanted = base64.b64encode(bundle).decode()
        for name in self._group_versions:
            service = self._api_services.get(name)
            if service is None or not service["spec"].get("service") or service["spec"].get("caBundle") == wanted:
                continue
            patch = {"spec": {"caBundle": wanted, "insecureSkipTLSVerify": None}}
            await self._client.patch(API_SERVICES, name, patch)
            log.info("APIService %s now trusts the hub's certificate", name)


def _read(secret: Object) -> tuple[KeyPair, bytes]:
    data = secret.get("data") or {}
    try:
        certificate, key, bundle = (base64.b64decode(data.get(name) or "") for name in (_CERTIFICATE, _KEY, _BUNDLE))
    except binascii.Error:
        return KeyPair(b"", b""), b""
    return KeyPair(certificate, key), bundle or certificate


def _remaining(pair: KeyPair, now: datetime) -> timedelta:
    """Return how long an authority can still be used; nothing if it is unreadable.

    Raises:
        OSError: no file descriptor is left to find out with.
    """
    try:
        load_key_pair(unverified_context(), pair.certificate, pair.key)
        return pair.remaining(now)
    except (ValueError, ssl.SSLError):
        return timedelta(0)


def _data(pair: KeyPair, bundle: bytes) -> dict[str, str]:
    values = {_CERTIFICATE: pair.certificate, _KEY: pair.key, _BUNDLE: bundle}
    return {name: base64.b64encode(value).decode() for name, value in values.items()}
