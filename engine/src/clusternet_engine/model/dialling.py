"""Where an agent lets the hub connect to (spec/04 §2, §11): its API server, and what its operator lists beside it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from clusternet_engine.model.names import is_dns_subdomain

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

EVERYTHING = "*"
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Destination:
    """One entry of the list.

    Attributes:
        host: a name in lower case; `*.` before it stands for its sub-domains, `*` for every host; "" if it is a
            network.
        network: a range of addresses; a single one is a range, too.
        port: None stands for every port.
    """

    host: str = ""
    network: Network | None = None
    port: int | None = None

    def has_name(self, host: str, port: int) -> bool:
        """Return whether it means this host, as it is spelled."""
        if self.port not in (None, port) or not self.host:
            return False
        host = host.lower()
        return self.host in (EVERYTHING, host) or (self.host.startswith("*.") and host.endswith(self.host[1:]))

    def has_address(self, address: str, port: int) -> bool:
        """Return whether it means this IP address."""
        if self.port not in (None, port):
            return False
        if self.network is None:
            return self.has_name(address, port)
        return ipaddress.ip_address(address) in self.network


class Destinations:
    """All that may be dialled.

    Args:
        urls: always allowed, each with the port it names or implies.
        allowed: the operator's entries.
    """

    def __init__(self, urls: Iterable[str], allowed: Iterable[Destination]) -> None:
        self._all = (*map(_of_url, urls), *allowed)

    def has_name(self, host: str, port: int) -> bool:
        """Return whether a host may be dialled as it is spelled, whatever it resolves to."""
        return any(one.has_name(host, port) for one in self._all)

    def has_address(self, address: str, port: int) -> bool:
        """Return whether an IP address may be dialled."""
        return any(one.has_address(address, port) for one in self._all)


def parse_destination(text: str) -> Destination:
    """Return the meaning of `HOST`, `*.DOMAIN`, `IP`, `CIDR` or `*`, each with an optional `:PORT`.

    IPv6 stands in brackets before a port.

    Raises:
        ValueError: it is none of these.
    """
    try:
        return Destination(network=ipaddress.ip_network(text, strict=False))
    except ValueError:
        pass
    host, port = split_address(text) if _has_port(text) else (_bare(text), None)
    try:
        return Destination(network=ipaddress.ip_network(host, strict=False), port=port)
    except ValueError:
        pass
    host = host.lower()
    if host != EVERYTHING and not is_dns_subdomain(host.removeprefix("*.")):
        raise ValueError(f"{text!r} is neither a host, *.domain, an IP address or CIDR, nor *, with an optional :port")
    return Destination(host=host, port=port)


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of `host:port` or `[IPv6]:port`.

    Raises:
        ValueError: it is not of that form.
    """
    spelled, colon, port = address.rpartition(":")
    host = _bare(spelled)
    if ":" in spelled and host == spelled:
        raise ValueError(f"{address!r}: an IPv6 address before a port stands in brackets")
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{address!r} is not of the form host:port")
    return host, int(port)


def join_address(host: str, port: int) -> str:
    """Return `host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bare(host: str) -> str:
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _has_port(text: str) -> bool:
    return text.rpartition(":")[2].isdigit() and (text.count(":") == 1 or text.startswith("["))


def _of_url(url: str) -> Destination:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)
    try:
        return Destination(network=ipaddress.ip_network(host), port=port)
    except ValueError:
        return Destination(host=host, port=port)
