"""What a replica of the hub tells the others of itself, without a parent (spec/04 §4)."""

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from clusternet_engine.hub import peers
from clusternet_engine.hub.peers import Peers
from clusternet_engine.hub.settings import PeerSettings
from clusternet_engine.hub.tunnels import Tunnels
from clusternet_engine.kube.cache import Change
from clusternet_engine.model.peers import Peer, lease_name


def replica(server: str = "https://10.0.0.10:6443", **settings: Any) -> Peers:
    client: Any = SimpleNamespace(config=SimpleNamespace(server=server))
    election: Any = SimpleNamespace(namespace="clusternet-system", lease_duration=0.01)
    given = {"advertise_address": "", "bind_address": "0.0.0.0", "port": 0, "token": ""} | settings
    return Peers(client, Tunnels(), PeerSettings(**given), election)


def lease(peer: Peer, holder: str | None = None) -> dict[str, Any]:
    spec = {"holderIdentity": peer.holder if holder is None else holder, "leaseDurationSeconds": 15}
    return {"metadata": {"name": lease_name(peer.id), "namespace": "ns", "uid": "1"}, "spec": spec}


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({"advertise_address": "hub1.example.com"}, "hub1.example.com"),
        ({"advertise_address": "10.1.1.1", "bind_address": "10.2.2.2"}, "10.1.1.1"),
        ({"bind_address": "10.2.2.2"}, "10.2.2.2"),
        ({"bind_address": "hub1.example.com"}, "hub1.example.com"),
        ({"bind_address": "0.0.0.0"}, "192.168.1.2"),
        ({"bind_address": "::"}, "192.168.1.2"),
    ],
)
async def test_where_others_reach_it(settings: dict[str, str], address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def own_address(host: str) -> str:
        assert host == "10.0.0.10"
        return "192.168.1.2"

    monkeypatch.setattr(peers, "_own_address", own_address)
    assert await replica(**settings)._address() == address


@pytest.mark.parametrize(
    ("found", "address"),
    [
        ({"localhost": "127.0.0.1", "192.0.2.1": "192.168.1.2"}, "192.168.1.2"),
        ({"192.0.2.1": "192.168.1.2"}, "192.168.1.2"),
        ({"localhost": "127.0.0.1"}, "127.0.0.1"),
        ({}, socket.gethostname()),
    ],
)
async def test_loopback_is_told_only_if_there_is_nothing_else(
    found: dict[str, str], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def own_address(host: str) -> str:
        if host not in found:
            raise OSError("no way")
        return found[host]

    monkeypatch.setattr(peers, "_own_address", own_address)
    assert await replica("https://localhost:6443")._address() == address


async def test_its_own_address_on_the_way_to_a_host() -> None:
    assert await peers._own_address("127.0.0.1") == "127.0.0.1"


def test_tokens_are_random_unless_given() -> None:
    one, other = replica(), replica()
    assert one._token != other._token
    assert len(one._token) >= 32
    assert replica(token="given")._token == "given"
    assert "given" not in repr(PeerSettings(advertise_address="", bind_address="", port=0, token="given"))


async def test_leases_of_others_are_followed() -> None:
    one = replica()
    other = Peer(id="x7kq2", host="10.0.0.2", port=8123, token="t")
    moved = Peer(id="x7kq2", host="10.0.0.3", port=8123, token="t")
    async with asyncio.timeout(5), asyncio.TaskGroup() as one._tasks:
        one._on_lease(Change("ADDED", None, lease(Peer(id=one._id, host="h", port=1, token="t"))))
        assert one._known == {}, "its own is none of the others"
        one._on_lease(Change("ADDED", None, lease(other)))
        one._on_lease(Change("MODIFIED", lease(other), lease(other)))
        assert one._known == {"x7kq2": other}
        assert one._followed == {"x7kq2"}
        one._on_lease(Change("MODIFIED", lease(other), lease(moved)))
        assert one._known == {"x7kq2": moved}
        one._on_lease(Change("MODIFIED", lease(moved), lease(moved, "")))
        assert one._known == {}
        one._on_lease(Change("ADDED", None, lease(other)))
        one._on_lease(Change("DELETED", lease(other), None))
        assert (one._known, one._heard) == ({}, {})
        one._advertised.set()
    assert one._followed == set()
