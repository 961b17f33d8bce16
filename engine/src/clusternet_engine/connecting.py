"""Connections to addresses that others wrote, each judged at the moment it is made.

`JudgedConnector` is aiohttp's connector with a rule. It judges the host of every request, redirects included, and then
every address that the DNS gives for it; the connection goes to exactly an address that was judged, so a name that
resolves to something else a moment later is of no use. Where an HTTP proxy of the operator resolves names, addresses
are judged as they are spelled, and the proxy's own rules decide on the rest.

What is refused raises `AddressRefused`, whose text names the host as it was spelled and how the operator allows it. The
address it resolves to stands only in the log of this program: whoever wrote the name may not be meant to know.
"""

from __future__ import annotations

import logging
import socket
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from clusternet_engine.model.addresses import AddressRule, looks_like_ip
from clusternet_engine.model.dialling import join_address
from clusternet_engine.model.texts import printable

if TYPE_CHECKING:
    from aiohttp import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

log = logging.getLogger(__name__)


class AddressRefused(aiohttp.ClientConnectionError):
    """An address isn't among those that may be connected to.

    Args:
        host: as it is spelled.
        port: of the connection.
        rule: that refuses it.
    """

    def __init__(self, host: str, port: int, rule: AddressRule) -> None:
        address = printable(join_address(host, port), 300)
        super().__init__(f"{address} is or leads to an address that isn't allowed; {rule.option} allows it")


class JudgedResolver(AbstractResolver):
    """The system's resolver without the addresses that a rule refuses.

    Args:
        rule: judges.
    """

    def __init__(self, rule: AddressRule) -> None:
        self._rule = rule
        self._resolver = aiohttp.ThreadedResolver()
        self._proxies = {_spelled(url) for scheme, url in urllib.request.getproxies().items() if scheme != "no"}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host that may be connected to.

        Raises:
            AddressRefused: there are only others.
        """
        found = await self._resolver.resolve(host, port, family)
        if (host, port) in self._proxies:
            return found
        allowed = [one for one in found if self._rule.allows(host, one["host"], port)]
        if not allowed:
            log.warning("%s: refused to connect to %s", host, ", ".join(one["host"] for one in found))
            raise AddressRefused(host, port, self._rule)
        return allowed

    async def close(self) -> None:
        """Close the system's resolver."""
        await self._resolver.close()


class JudgedConnector(aiohttp.TCPConnector):
    """Connections by the network to what a rule allows.

    Args:
        rule: judges.
        options: of `aiohttp.TCPConnector`.
    """

    def __init__(self, rule: AddressRule, **options: Any) -> None:
        super().__init__(resolver=JudgedResolver(rule), **options)
        self._rule = rule

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:
        """Return a connection for a request.

        Raises:
            AddressRefused: the rule doesn't allow where it leads to.
        """
        host, port = req.url.host or "", req.url.port or 0
        # The resolver judges names, but it isn't asked for addresses, nor for what a proxy resolves.
        if (req.proxy or looks_like_ip(host)) and not self._rule.allows_name(host, port):
            raise AddressRefused(host, port, self._rule)
        return await super().connect(req, traces, timeout)


def environment_proxy(url: str) -> str | None:
    """Return the HTTP proxy that the environment says to take for a URL; None is none."""
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _spelled(url: str) -> tuple[str, int]:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", 0
