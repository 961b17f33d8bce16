"""What replicas of a hub tell of themselves (spec/04 §4, spec/06 B7.3)."""

import json

import pytest
from clusternet_engine.model.peers import (
    Peer,
    is_abandoned,
    lease_name,
    network_through,
    parse_network,
    read_peer,
)
from clusternet_engine.tunnel.frames import connect_payload, parse_connect
from hypothesis import given
from hypothesis import strategies as st

ID = "7ff1a5c6-0000-0000-0000-000000000001"
FULL = {"identity": "host_1", "id": "x7kq2", "host": "10.0.0.1", "port": 8123, "token": "secret"}


def lease(holder: str | None, name: str = "clusternet-hub-peer-x7kq2") -> dict:
    spec = {} if holder is None else {"holderIdentity": holder}
    return {"metadata": {"name": name}, "spec": {**spec, "leaseDurationSeconds": 15}}


def test_b7_3_a_holder_in_clusternets_words() -> None:
    assert read_peer(lease(json.dumps(FULL))) == Peer(
        id="x7kq2", identity="host_1", host="10.0.0.1", port=8123, token="secret"
    )


def test_b7_3_a_lease_without_a_holder() -> None:
    for one in (lease(None), lease(""), {"metadata": {"name": "clusternet-hub-peer-x7kq2"}}):
        peer = read_peer(one)
        assert peer == Peer(id="x7kq2")
        assert not peer.reachable


@pytest.mark.parametrize("name", ["clusternet-hub", "clusternet-hub-x7kq2", "other-clusternet-hub-peer-x7kq2"])
def test_b7_3_a_lease_of_another_name(name: str) -> None:
    assert read_peer(lease(json.dumps(FULL), name)) is None


@pytest.mark.parametrize(
    "holder",
    [
        "host_1",
        "[]",
        json.dumps({**FULL, "id": "other"}),
        json.dumps({**FULL, "port": "8123"}),
        json.dumps({**FULL, "port": True}),
        json.dumps({**FULL, "port": 0}),
        json.dumps({**FULL, "port": 65536}),
        json.dumps({**FULL, "host": None}),
        json.dumps({**FULL, "token": 1}),
        json.dumps({**FULL, "certificate": "schön"}),
    ],
)
def test_a_holder_that_cannot_be_used(holder: str) -> None:
    assert read_peer(lease(holder)) == Peer(id="x7kq2")


def test_a_peer_without_a_token_is_never_connected_with() -> None:
    peer = read_peer(lease(json.dumps({**FULL, "token": ""})))
    assert peer is not None
    assert not peer.reachable


@given(
    st.builds(
        Peer,
        id=st.text("abc1", min_size=1),
        identity=st.text(),
        host=st.text(min_size=1),
        port=st.integers(1, 65535),
        token=st.text(min_size=1),
        certificate=st.text(st.characters(max_codepoint=127)),
    )
)
def test_what_a_replica_tells_is_what_others_read(peer: Peer) -> None:
    assert read_peer(lease(peer.holder, lease_name(peer.id))) == peer
    assert peer.reachable
    assert set(FULL) | {"certificate"} == set(json.loads(peer.holder))


def test_where_it_is_and_how_it_is_called() -> None:
    peer = Peer(id="x7kq2", identity="host_1", host="10.0.0.1", port=8123, token="secret", certificate="PEM")
    assert peer.url == "wss://10.0.0.1:8123/connect"
    assert Peer(id="a", host="fd00::1", port=1, token="t").url == "wss://[fd00::1]:1/connect"
    assert str(peer) == "x7kq2 at 10.0.0.1:8123"
    assert str(Peer(id="x7kq2")) == "x7kq2"
    assert "secret" not in repr(peer)


@pytest.mark.parametrize(
    ("spec", "unchanged", "abandoned"),
    [
        ({"holderIdentity": "x", "leaseDurationSeconds": 15}, 0.0, False),
        ({"holderIdentity": "x", "leaseDurationSeconds": 15}, 15.0, False),
        ({"holderIdentity": "x", "leaseDurationSeconds": 15}, 15.1, True),
        ({"holderIdentity": "", "leaseDurationSeconds": 15}, 0.0, True),
        ({"leaseDurationSeconds": 15}, 0.0, True),
        ({"holderIdentity": "x"}, 0.1, True),
        (None, 0.0, True),
    ],
)
def test_leases_that_nobody_holds(spec: dict | None, unchanged: float, abandoned: bool) -> None:
    assert is_abandoned({"spec": spec}, unchanged) is abandoned


def test_how_a_child_is_asked_for() -> None:
    assert network_through(ID) == f"{ID}::tcp"
    assert parse_network(f"{ID}::tcp") == (ID, "tcp")


def test_c5_8_58_bytes_are_left_for_the_address() -> None:
    longest = "h" * 53 + ":6443"
    assert len(longest) == 58
    assert parse_connect(connect_payload(network_through(ID), longest)) == (f"{ID}::tcp", longest)
    with pytest.raises(ValueError, match="takes 58 bytes"):
        connect_payload(network_through(ID), "h" + longest)


@given(st.text(min_size=1))
def test_any_id_may_be_asked_for(cluster_id: str) -> None:
    assert parse_network(network_through(cluster_id)) == (cluster_id, "tcp")


@pytest.mark.parametrize("network", ["", "tcp", "::tcp", "id::", "id:tcp", "::"])
def test_networks_that_name_no_cluster(network: str) -> None:
    with pytest.raises(ValueError, match="names no cluster"):
        parse_network(network)
