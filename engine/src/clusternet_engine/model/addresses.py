"""Which addresses the hub, or an agent that fetches charts, connects to because of what others wrote.

A child says where its API server is, a chart where its repository is. Whoever may write that could have the hub knock
at services that only the hub's host reaches: its loopback interface, the metadata service of its cloud. So special
addresses are refused unless the operator named them, and whatever a name resolves to is judged, not the name alone.

An entry opens special addresses only if it is an IP address or a network of nothing but such ones: neither a name nor
`0.0.0.0/0` does. So an operator who allows a name needn't trust whoever answers for it in the DNS.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from clusternet_engine.model.dialling import Destination, Network, parse_destination
from clusternet_engine.model.names import is_dns_subdomain
from clusternet_engine.model.sync_modes import Side

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

PUSH_FLAG = "--push-addresses"
REPOSITORY_FLAG = "--repository-addresses"

_BEARER_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,16384}=*", re.ASCII)
_SPECIAL: tuple[Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",  # "this host": leads to loopback
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local, with the metadata services of most clouds
            "224.0.0.0/4",
            "240.0.0.0/4",
            "100.100.100.200/32",  # metadata services elsewhere
            "168.63.129.16/32",
            "192.0.0.192/32",
            "::/128",
            "::1/128",
            "fe80::/10",
            "fec0::/10",
            "ff00::/8",
            "fd00:ec2::254/128",
            "fd20:ce::254/128",
        ),
    )
)
_EMBEDDING = tuple(map(ipaddress.IPv6Network, ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "::/96")))
"""Networks of IPv6 whose last four bytes are an address of IPv4 that a packet may be passed on to."""


@dataclass(frozen=True, slots=True)
class AddressRule:
    """What may be connected to for one purpose.

    Attributes:
        option: how the operator allows more, for messages: flag and role variable.
        allowed: the operator's entries.
        ordinary: whether every address that isn't special is allowed anyway.
    """

    option: str
    allowed: tuple[Destination, ...] = ()
    ordinary: bool = False

    def allows(self, host: str, address: str, port: int) -> bool:
        """Return whether to connect to an IP address.

        Args:
            host: as it is spelled in the URL.
            address: that it resolves to, or the same.
            port: of the connection.
        """
        found = parse_ip(address)
        if found is None:
            return False
        if special := [meaning for meaning in _meanings(found) if _in_special(meaning)]:
            return all(any(_opens(entry, meaning, port) for entry in self.allowed) for meaning in special)
        return self.ordinary or any(
            entry.has_name(host, port) or entry.has_address(str(found), port) for entry in self.allowed
        )

    def may_allow(self, host: str, port: int) -> bool:
        """Return whether a host is allowed, or that depends on what it resolves to; else the DNS needn't be asked."""
        if looks_like_ip(host):
            return self.allows(host, host, port)
        return self.ordinary or any(entry.network or entry.has_name(host, port) for entry in self.allowed)

    def allows_name(self, host: str, port: int) -> bool:
        """Return whether to connect to a host whose address isn't known here, as a proxy resolves it."""
        if looks_like_ip(host):
            return self.allows(host, host, port)
        return self.ordinary or any(entry.has_name(host, port) for entry in self.allowed)


def push_rule(allowed: Iterable[Destination] = ()) -> AddressRule:
    """Return where the hub reaches children without a tunnel: nowhere but where its operator says."""
    return AddressRule(f"{PUSH_FLAG} (clusternet_hub_push_addresses)", tuple(allowed))


def repository_rule(side: Side, allowed: Iterable[Destination] = ()) -> AddressRule:
    """Return where charts are fetched from: everywhere but at special addresses, unless the operator says so.

    Args:
        side: who fetches them.
        allowed: the operator's entries.
    """
    option = f"{REPOSITORY_FLAG} of the {side} (clusternet_{side}_repository_addresses)"
    return AddressRule(option, tuple(allowed), ordinary=True)


def parse_destinations(text: str) -> tuple[Destination, ...]:
    """Return the entries of a list `HOST,*.DOMAIN,IP,CIDR,…`, each with an optional `:PORT`.

    Raises:
        ValueError: an entry is none of these.
    """
    return tuple(parse_destination(item.strip()) for item in text.split(",") if item.strip())


def parse_networks(text: str) -> tuple[Destination, ...]:
    """Return the entries of a list `IP,CIDR,…`, each with an optional `:PORT`.

    Raises:
        ValueError: an entry is something else.
    """
    entries = parse_destinations(text)
    if named := next((entry.host for entry in entries if entry.network is None), None):
        raise ValueError(f"{named!r} is not an IP address or CIDR; names don't open addresses like these")
    return entries


def looks_like_ip(host: str) -> bool:
    """Return whether a host is used as an address without asking the DNS, in whatever form."""
    return ":" in host or host.replace(".", "").isdigit()


def parse_ip(text: str) -> Address | None:
    """Return an IP address; None stands for what isn't spelled out as one, e.g. `127.1`."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def is_special(address: Address) -> bool:
    """Return whether an address leads to this host or link, or to many hosts, however it is wrapped."""
    return any(map(_in_special, _meanings(address)))


def api_server_url(url: str) -> str:
    """Return the URL of a child's API server that the child told, without a trailing slash.

    Raises:
        ValueError: it is anything but https://host[:port][/path] in plain letters.
    """
    wrong = ValueError("the URL of its API server is not of the form https://host[:port][/path]")
    if len(url) > 2048 or not (url.isascii() and url.isprintable()) or any(letter in url for letter in " ?#@\\%"):
        raise wrong
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise wrong from None
    named = parse_ip(host) is not None if looks_like_ip(host) else is_dns_subdomain(host)
    if parts.scheme != "https" or port == 0 or not named or ".." in parts.path.split("/"):
        raise wrong
    return url.rstrip("/")


def is_bearer_token(text: str) -> bool:
    """Return whether a text can stand in a request as a token, and nothing else with it."""
    return _BEARER_TOKEN.fullmatch(text) is not None


def _in_special(address: Address) -> bool:
    return any(address in network for network in _SPECIAL)


def _opens(entry: Destination, address: Address, port: int) -> bool:
    """Return whether an entry allows a special address: it must be a network of special addresses alone."""
    if entry.network is None or not entry.has_address(str(address), port):
        return False
    return any(
        network.version == entry.network.version and entry.network.subnet_of(network)  # type: ignore[arg-type]
        for network in _SPECIAL
    )


def _meanings(address: Address) -> Iterator[Address]:
    """Yield an address and the ones of IPv4 that it contains."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        if int(address) > 1 and any(address in network for network in _EMBEDDING):
            yield ipaddress.IPv4Address(address.packed[-4:])
        if address.sixtofour is not None:
            yield address.sixtofour
        if address.teredo is not None:
            yield from address.teredo
