"""The other replicas of the hub (spec/04 §4): each makes itself known by a Lease and connects with all others."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import secrets
import socket
import time
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

from clusternet_engine.flags import LeaderElectionFlags
from clusternet_engine.hub.peering import Peering, PeerUnreachable
from clusternet_engine.hub.settings import PeerSettings
from clusternet_engine.hub.tunnels import Tunnels
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import ApiError, Conflict, ConnectionFailed, NotFound
from clusternet_engine.kube.holders import own_identity
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.lease import LeaderElector
from clusternet_engine.kube.resources import LEASES, Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.peers import Peer, is_abandoned, lease_name, read_peer

FIRST_DELAY, MAX_DELAY = 0.1, 5.0
_STEADY = 2.0
"""Seconds of a session after which its end is a new story."""
_ANYWHERE = "192.0.2.1"
"""An address that stands for all that aren't near (RFC 5737); nothing is sent there."""

log = logging.getLogger(__name__)


class Peers:
    """Keeps one replica of the hub connected with the others.

    Args:
        client: of the parent cluster.
        tunnels: of the agents.
        settings: how others reach this replica.
        election: namespace and times of the Lease.
    """

    def __init__(self, client: Client, tunnels: Tunnels, settings: PeerSettings, election: LeaderElectionFlags) -> None:
        self._client = client
        self._settings = settings
        self._election = election
        self._id = "".join(secrets.choice(names.RANDOM_ALPHABET) for _ in range(names.RANDOM_LENGTH))
        self._token = settings.token or secrets.token_urlsafe(32)
        self._known: dict[str, Peer] = {}
        self._heard: dict[str, float] = {}
        self._followed: set[str] = set()
        self._advertised = asyncio.Event()
        self._peering = Peering(tunnels, self._id, self._token, self._known)
        self._leases = Informer(
            client, LEASES, namespace=election.namespace, keep=lambda lease: read_peer(lease) is not None
        )
        self._leases.add_handler(self._on_lease)
        self._tasks: asyncio.TaskGroup

    def listening(self) -> AbstractAsyncContextManager[None]:
        """Let others connect.

        Raises:
            OSError: when it is entered: the address is taken or not ours.
        """
        return self._peering.listening(self._settings.bind_address, self._settings.port)

    async def run(self) -> None:
        """Make this replica known and stay connected with the others until cancelled; needs `listening`."""
        async with asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(self._leases.run(), name="informer leases")
            self._tasks.create_task(self._advertise(), name="peer lease")
            self._tasks.create_task(self._collect(), name="abandoned leases")

    async def _advertise(self) -> None:
        """Hold the Lease that tells of this replica, once it knows whom it may hear from."""
        await self._leases.wait_synced(math.inf)
        own = Peer(
            id=self._id,
            identity=own_identity(),
            host=await self._address(),
            port=self._peering.port,
            token=self._token,
            certificate=self._peering.certificate,
        )
        elector = LeaderElector(
            self._client,
            self._election.namespace,
            lease_name(own.id),
            own.holder,
            lease_duration=self._election.lease_duration,
            renew_deadline=self._election.renew_deadline,
            retry_period=self._election.retry_period,
            title=str(own),
        )
        await elector.run(self._hold)

    async def _hold(self, lease: Object) -> None:
        self._advertised.set()
        await asyncio.Event().wait()

    async def _address(self) -> str:
        """Return where others reach this replica: as its flags say, else by the way it reaches others itself."""
        settings = self._settings
        if settings.advertise_address or not _is_wildcard(settings.bind_address):
            return settings.advertise_address or settings.bind_address
        found = ""
        for host in (urlsplit(self._client.config.server).hostname or _ANYWHERE, _ANYWHERE):
            try:
                found = await _own_address(host)
            except OSError as error:
                log.debug("no way to %s: %s", host, error)
            if found and not ipaddress.ip_address(found).is_loopback:
                return found
        return found or socket.gethostname()

    def _on_lease(self, change: Change) -> None:
        peer = read_peer(change.object)
        if peer is None or peer.id == self._id:
            return
        before = self._known.pop(peer.id, None)
        if change.new is None:
            self._heard.pop(peer.id, None)
        else:
            self._heard[peer.id] = time.monotonic()
            if peer.reachable:
                self._known[peer.id] = peer
        if self._known.get(peer.id) == before:
            return
        self._peering.trust()
        if peer.id not in self._known:
            log.info("hub %s has left", before)
        elif peer.id not in self._followed:
            self._followed.add(peer.id)
            self._tasks.create_task(self._follow(peer.id), name=f"peer {peer.id}")

    async def _follow(self, peer_id: str) -> None:
        """Stay connected with a peer for as long as its Lease stands; a session outlives it."""
        await self._advertised.wait()
        backoff = Backoff(FIRST_DELAY, MAX_DELAY)
        problem = ""
        while True:
            # Others get to know this replica in a moment.
            await asyncio.sleep(backoff.next())
            peer = self._known.get(peer_id)
            if peer is None:
                break
            began = time.monotonic()
            last, problem = problem, ""
            try:
                log.info("hub %s: connection lost, dialling again: %s", peer, await self._peering.lend(peer))
            except PeerUnreachable as error:
                problem = str(error)
                if problem != last:
                    log.warning("hub %s can't be reached, trying again: %s", peer, error)
            if time.monotonic() - began > _STEADY:
                backoff.reset()
        self._followed.discard(peer_id)

    async def _collect(self) -> None:
        """Remove the Leases of replicas that are gone."""
        while True:
            await asyncio.sleep(self._election.lease_duration)
            now = time.monotonic()
            if self._leases.last_error is not None:
                self._heard = dict.fromkeys(self._heard, now)
            for lease in self._leases.items():
                peer = read_peer(lease)
                if peer is not None and peer.id in self._heard and is_abandoned(lease, now - self._heard[peer.id]):
                    await self._remove(lease)

    async def _remove(self, lease: Object) -> None:
        metadata = lease["metadata"]
        try:
            await self._client.delete(LEASES, metadata["name"], metadata["namespace"], uid=metadata["uid"])
            log.info("removed Lease %s, which nobody holds any more", metadata["name"])
        except (NotFound, Conflict):
            pass
        except (ApiError, ConnectionFailed) as error:
            log.warning("Lease %s, which nobody holds any more, can't be removed: %s", metadata["name"], error)


def _is_wildcard(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_unspecified
    except ValueError:
        return False


async def _own_address(host: str) -> str:
    """Return this host's address on the way to another; nothing is sent.

    Raises:
        OSError: there is no way.
    """
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=(host, 443)
    )
    try:
        return str(transport.get_extra_info("sockname")[0])
    finally:
        transport.close()
