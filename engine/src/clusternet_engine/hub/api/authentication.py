"""Who asks: the parent's API server vouches for users, by its own certificate and by headers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import CONFIG_MAPS, Object
from clusternet_engine.model.documents import read_json

NAMESPACE = "kube-system"
CONFIG_MAP = "extension-apiserver-authentication"
ANONYMOUS = "system:anonymous"
AUTHENTICATED = "system:authenticated"
"""Group of everybody who isn't anonymous; API servers add it themselves."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody whom the parent has authenticated.

    Attributes:
        headers: names of the request's headers that told so, in lower case.
    """

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    headers: frozenset[str] = field(default=frozenset(), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class RequestHeaders:
    """How the parent's API server identifies itself and its users.

    Attributes:
        ca: PEM bundle of its client certificate; empty when request headers are not set up.
        allowed_names: common names it may have; empty allows all.
    """

    ca: bytes = b""
    allowed_names: frozenset[str] = frozenset()
    username: tuple[str, ...] = ()
    uid: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    extra_prefix: tuple[str, ...] = ()

    @classmethod
    def of(cls, config_map: Object) -> RequestHeaders:
        """Read the ConfigMap in which the API server tells it.

        Raises:
            ValueError: a list in it is not JSON.
        """
        data = config_map.get("data") or {}

        def names(key: str) -> tuple[str, ...]:
            return tuple(read_json(data.get(f"requestheader-{key}") or "[]"))

        return cls(
            str(data.get("requestheader-client-ca-file") or "").encode(),
            frozenset(names("allowed-names")),
            names("username-headers"),
            names("uid-headers"),
            names("group-headers"),
            names("extra-headers-prefix"),
        )

    def user(self, headers: CIMultiDict[str] | CIMultiDictProxy[str]) -> User | None:
        """Return the user that headers tell of; None if they name nobody.

        Keys of extras come in any case and percent-encoded; values of several prefixes are joined (spec/06 B7.2).
        """
        name = _first(self.username, headers)
        if not name:
            return None
        extra: dict[str, tuple[str, ...]] = {}
        for prefix in self.extra_prefix:
            for header in dict.fromkeys(header.lower() for header in headers):
                if header.startswith(prefix.lower()):
                    key = unquote(header[len(prefix) :]).lower()
                    extra[key] = (*extra.get(key, ()), *headers.getall(header))
        groups = tuple(group for header in self.group for group in headers.getall(header, []))
        return User(name, _first(self.uid, headers), groups, extra, self._telling(headers))

    def _telling(self, headers: Iterable[str]) -> frozenset[str]:
        names = {name.lower() for name in (*self.username, *self.uid, *self.group)}
        prefixes = tuple(prefix.lower() for prefix in self.extra_prefix)
        return frozenset(name for name in map(str.lower, headers) if name in names or name.startswith(prefixes))


class Authenticator:
    """Follows the parent's ConfigMap and tells who asks.

    Args:
        client: of the parent cluster.
    """

    def __init__(self, client: Client) -> None:
        self._informer = Informer(
            client, CONFIG_MAPS, namespace=NAMESPACE, field_selector=f"metadata.name={CONFIG_MAP}"
        )
        self.changed = asyncio.Event()
        self.headers = RequestHeaders()
        self._informer.add_handler(lambda change: self._read(change.new))

    async def run(self) -> None:
        """Follow the ConfigMap until cancelled."""
        await self._informer.run()

    def check(self) -> None:
        """Readiness check.

        Raises:
            LookupError: it isn't known how the parent's API server identifies itself; the text says why.
        """
        if not self.headers.ca:
            reason = self._informer.last_error or "it has no requestheader-client-ca-file"
            raise LookupError(f"ConfigMap {NAMESPACE}/{CONFIG_MAP}: {reason}")

    def user(self, request: web.Request) -> User | None:
        """Return who asks; None if nobody vouches for them."""
        transport = request.transport
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object") if transport else None
        certificate = tls.getpeercert() if tls else None
        if not certificate or not self.vouches(certificate):
            return None
        user = self.headers.user(request.headers)
        if user is None or user.name == ANONYMOUS or AUTHENTICATED in user.groups:
            return user
        return replace(user, groups=(*user.groups, AUTHENTICATED))

    def vouches(self, certificate: Mapping[str, object]) -> bool:
        """Return whether a verified client certificate is that of the parent's API server."""
        if not self.headers.ca:
            return False
        return not self.headers.allowed_names or _common_name(certificate) in self.headers.allowed_names

    def _read(self, config_map: Object | None) -> None:
        self.headers = RequestHeaders.of(config_map) if config_map else RequestHeaders()
        self.changed.set()


def _first(names: tuple[str, ...], headers: CIMultiDict[str] | CIMultiDictProxy[str]) -> str:
    return next((value for name in names if (value := headers.get(name))), "")


def _common_name(certificate: Mapping[str, object]) -> str:
    subject = certificate.get("subject")
    for part in subject if isinstance(subject, tuple) else ():
        for key, value in part:
            if key == "commonName":
                return str(value)
    return ""
