"""Which connections a server keeps while their peers haven't said who they are: rules without sockets and clocks.

Everybody who reaches a port can open connections. Until a peer has proven who it is, its connection is a stranger's: it
has a time limit in each phase, there is room for a certain number of them, and for less of one address. Who comes when
there is no room takes the place of the stranger that has been waiting longest, or is refused if all have just come.
Addresses from which somebody has proven who it is have room of their own, so that others can't keep them out.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

LEAST = 4
"""Strangers for whom there is room even when file descriptors are short."""
REMEMBERED = 256
"""Addresses from which somebody has proven who it is that are remembered."""


class Phase(StrEnum):
    """What a connection is waiting for."""

    HANDSHAKE = "handshake"
    HEAD = "head"
    """The head of its first request."""
    REQUEST = "request"
    """The answer to a request, its body included."""
    IDLE = "idle"
    """Another request, its head included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What strangers may take; times in seconds.

    Attributes:
        handshake: for the TLS handshake.
        head: for the head of the first request.
        request: for everything from there to the answer.
        idle: for another request to come.
        grace: in which a connection isn't closed for the sake of a newer one.
        head_bytes: of the longest head.
        strangers: at the same time, all together.
        per_address: at the same time, from one address.
        acquainted: at the same time, from all addresses from which somebody has proven who it is.
    """

    handshake: float = 10.0
    head: float = 10.0
    request: float = 60.0
    idle: float = 60.0
    grace: float = 2.0
    head_bytes: int = 2**16
    strangers: int = 128
    per_address: int = 32
    acquainted: int = 1024

    def of(self, phase: Phase) -> float:
        """Return the seconds that a phase may take."""
        return float(getattr(self, phase.value))

    @classmethod
    def within(cls, descriptors: int) -> ConnectionLimits:
        """Return limits that leave at least half of a process's file descriptors to others."""
        most, room = cls(), max(descriptors // 4, 8)
        return replace(
            most,
            strangers=min(most.strangers, room),
            per_address=min(most.per_address, max(room // 2, 4)),
            acquainted=min(most.acquainted, room),
        )


@dataclass(slots=True, eq=False)
class Stranger:
    """A connection whose peer hasn't proven who it is.

    Attributes:
        network: of the peer's address.
        acquainted: whether somebody has proven who it is from there.
        phase: what it is waiting for.
        since: when that has begun.
    """

    network: str
    acquainted: bool
    phase: Phase
    since: float


class Strangers:
    """All connections of strangers at one port.

    Args:
        limits: that are kept.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._usual = limits
        self._all: dict[Stranger, None] = {}
        self._of_network: Counter[str] = Counter()
        self._acquainted: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._all)

    def admit(self, address: str, phase: Phase, now: float) -> tuple[Stranger | None, Stranger | None]:
        """Take up a connection; return it, or None if there is no room, and another one that has to be closed for it.

        Args:
            address: of the peer.
            phase: that it begins with.
            now: the time.
        """
        network = network_of(address)
        acquainted = network in self._acquainted
        crowd = self._crowd(network, acquainted)
        victim = None
        if crowd is not None:
            victim = self._oldest(crowd, now)
            if victim is None:
                return None, None
            self.forget(victim)
        stranger = Stranger(network, acquainted, phase, now)
        self._all[stranger] = None
        self._of_network[network] += 1
        return stranger, victim

    def _crowd(self, network: str, acquainted: bool) -> list[Stranger] | None:
        """Return those one of whom must go before another one has room; None if there is room."""
        if not acquainted and self._of_network[network] >= self.limits.per_address:
            return [one for one in self._all if one.network == network]
        most = self.limits.acquainted if acquainted else self.limits.strangers
        if len(self._all) < most:
            return None
        crowd = [one for one in self._all if one.acquainted == acquainted]
        return crowd if len(crowd) >= most else None

    def move(self, stranger: Stranger, phase: Phase, now: float) -> None:
        """Note that a connection waits for something else now."""
        stranger.phase, stranger.since = phase, now

    def forget(self, stranger: Stranger) -> None:
        """Take a connection off the list: it is closed, or no stranger's any more."""
        if stranger in self._all:
            del self._all[stranger]
            self._of_network[stranger.network] -= 1
            if not self._of_network[stranger.network]:
                del self._of_network[stranger.network]

    def recognize(self, stranger: Stranger) -> None:
        """Note that a peer has proven who it is: its connection has no limits any more, and its address room."""
        self.forget(stranger)
        self._acquainted[stranger.network] = None
        self._acquainted.move_to_end(stranger.network)
        while len(self._acquainted) > REMEMBERED:
            self._acquainted.popitem(last=False)

    def shrink(self) -> None:
        """Halve the room of strangers: file descriptors have run short, and others need some too."""
        acquainted = sum(one.acquainted for one in self._all)
        strangers = max(LEAST, (len(self._all) - acquainted) // 2)
        self.limits = replace(
            self._usual,
            strangers=min(self._usual.strangers, strangers),
            per_address=min(self._usual.per_address, strangers),
            acquainted=min(self._usual.acquainted, max(LEAST, acquainted // 2)),
        )

    def restore(self) -> None:
        """Give strangers their usual room again."""
        self.limits = self._usual

    def overdue(self, now: float) -> list[Stranger]:
        """Return the connections that have been waiting for too long."""
        return [one for one in self._all if now - one.since > self.limits.of(one.phase)]

    def excess(self, now: float) -> list[Stranger]:
        """Return connections to close where there are more than room for them, those that have been waiting longest."""
        excess: list[Stranger] = []
        for acquainted, room in ((False, self.limits.strangers), (True, self.limits.acquainted)):
            crowd = [one for one in self._all if one.acquainted == acquainted]
            waiting = sorted(self._idle(crowd, now), key=lambda one: one.since)
            excess += waiting[: max(0, len(crowd) - room)]
        return excess

    def _oldest(self, crowd: list[Stranger], now: float) -> Stranger | None:
        return min(self._idle(crowd, now), key=lambda one: one.since, default=None)

    def _idle(self, crowd: list[Stranger], now: float) -> Iterator[Stranger]:
        grace = self.limits.grace
        return (one for one in crowd if one.phase is not Phase.REQUEST and now - one.since >= grace)


def network_of(address: str) -> str:
    """Return what counts as one peer: an IPv4 address, or the /64 of an IPv6 address, since hosts have all of that."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
