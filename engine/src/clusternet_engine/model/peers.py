"""How the replicas of a hub make themselves known to each other, and how one asks another for a child (spec/04 §4)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.dialling import join_address
from clusternet_engine.model.documents import DocumentError, read_json

TCP = "tcp"
_THROUGH = "::"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A replica as its Lease tells of it.

    Attributes:
        id: a few characters, made anew by each process.
        identity: host and process, for people.
        host: name or address it listens at; empty if it has left.
        port: port it listens at.
        token: by which others recognize it.
        certificate: PEM, that it shows to others and that is its own authority. Clusternet's own hubs tell of none and
            ignore ours.
    """

    id: str
    identity: str = ""
    host: str = ""
    port: int = 0
    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)

    @property
    def reachable(self) -> bool:
        """Whether it tells all that is needed to connect with it."""
        return bool(self.host and self.token)

    @property
    def url(self) -> str:
        """Where it is connected to."""
        return f"wss://{join_address(self.host, self.port)}{names.PEER_PATH}"

    @property
    def holder(self) -> str:
        """What stands in its Lease as the holder."""
        fields = ("identity", "id", "host", "port", "token", "certificate")
        return json.dumps({name: getattr(self, name) for name in fields})

    def __str__(self) -> str:
        return f"{self.id} at {join_address(self.host, self.port)}" if self.host else self.id


def lease_name(peer_id: str) -> str:
    """Return the name of a replica's Lease."""
    return names.PEER_LEASE_PREFIX + peer_id


def read_peer(lease: Object) -> Peer | None:
    """Return the replica a Lease tells of; None if it is no such Lease, only an ID if there is no more to use in it."""
    name = lease["metadata"]["name"]
    if not name.startswith(names.PEER_LEASE_PREFIX):
        return None
    bare = Peer(id=name.removeprefix(names.PEER_LEASE_PREFIX))
    try:
        told = read_json((lease.get("spec") or {}).get("holderIdentity") or "{}")
    except DocumentError:
        return bare
    if not isinstance(told, dict) or told.get("id") != bare.id:
        return bare
    texts = {name: told.get(name, "") for name in ("identity", "host", "token", "certificate")}
    port = told.get("port")
    if not all(isinstance(text, str) for text in texts.values()) or type(port) is not int or not 0 < port < 65536:
        return bare
    if not texts["certificate"].isascii():
        return bare
    return Peer(id=bare.id, port=port, **texts)


def is_abandoned(lease: Object, unchanged: float) -> bool:
    """Return whether nobody holds a Lease any more.

    Args:
        lease: of a replica.
        unchanged: seconds for which it has been seen as it is.
    """
    spec = lease.get("spec") or {}
    return not spec.get("holderIdentity") or unchanged > float(spec.get("leaseDurationSeconds") or 0)


def network_through(cluster_id: str) -> str:
    """Return the network by which a replica is asked to connect through the tunnel of a cluster that it holds."""
    return f"{cluster_id}{_THROUGH}{TCP}"


def parse_network(network: str) -> tuple[str, str]:
    """Return the cluster ID, and the network that its agent is to be asked for.

    Raises:
        ValueError: it names no cluster.
    """
    cluster_id, separator, inner = network.rpartition(_THROUGH)
    if not (cluster_id and separator and inner):
        raise ValueError(f"network {network!r} names no cluster")
    return cluster_id, inner
