"""Replicas of a hub that use each other's tunnels, over real websockets (spec/04 §4)."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from clusternet_engine.hub.peering import Peering, PeerUnreachable
from clusternet_engine.hub.tunnels import Tunnels, Way
from clusternet_engine.kube.tls import unverified_context
from clusternet_engine.model.peers import Peer
from clusternet_engine.tunnel import frames
from clusternet_engine.tunnel.relay import relay
from clusternet_engine.tunnel.session import MAX_MESSAGE, Session
from clusternet_engine.tunnel.stream import Stream

CHILD = "7ff1a5c6-0000-0000-0000-000000000001"
OTHER = "7ff1a5c6-0000-0000-0000-000000000002"


class Listener(asyncio.Protocol):
    """Keeps what a stream brings."""

    def __init__(self) -> None:
        self.data = b""
        self.end: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.end.set_result(exc)

    async def hears(self, wanted: bytes) -> None:
        await until(lambda: self.data == wanted)


class Replica:
    """One hub."""

    def __init__(self, name: str) -> None:
        self.tunnels = Tunnels()
        self.known: dict[str, Peer] = {}
        self.token = f"token of {name}"
        self.peering = Peering(self.tunnels, name, self.token, self.known)
        self.opened: list[str] = []
        self.tunnels.add_handler(self.opened.append)
        self.name = name

    def peer(self, **changes: Any) -> Peer:
        """Return what its Lease tells."""
        told = {"host": "127.0.0.1", "port": self.peering.port, "token": self.token}
        return Peer(id=self.name, **(told | {"certificate": self.peering.certificate} | changes))

    def knows(self, peer: Peer) -> None:
        self.known[peer.id] = peer
        self.peering.trust()


class Mesh:
    """Makes hubs and agents; all end with the test."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def hub(self, name: str) -> Replica:
        replica = Replica(name)
        await self._stack.enter_async_context(replica.peering.listening("127.0.0.1", 0))
        return replica

    async def hubs(self, *names: str) -> list[Replica]:
        """Return hubs of which each is connected with all others."""
        made = [await self.hub(name) for name in names]
        pairs = [(one, other) for one in made for other in made if one is not other]
        for one, other in pairs:
            one.knows(other.peer())
        for one, other in pairs:
            self.lend(one, other.peer())
        return made

    def lend(self, replica: Replica, peer: Peer) -> asyncio.Task[str]:
        """Connect a hub with another."""
        task = asyncio.create_task(replica.peering.lend(peer))
        self._stack.push_async_callback(stopped, task)
        return task

    async def agent(self, replica: Replica, cluster_id: str = CHILD) -> asyncio.Task[str]:
        """Connect an agent with a hub; what it is asked for comes back in capitals."""

        async def serve(request: web.Request) -> web.StreamResponse:
            websocket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=MAX_MESSAGE)
            await websocket.prepare(request)
            session = Session(websocket, f"{cluster_id}/{random.getrandbits(63)}")
            with replica.tunnels.registered(cluster_id, session):
                await session.run()
            return websocket

        async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(100):
                writer.write(data.upper())
            writer.close()

        async def dial(network: str, address: str, factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
            if (network, address) != ("tcp", "child:6443"):
                raise PermissionError(f"not {network} {address}")
            transport, _ = await asyncio.get_running_loop().create_connection(factory, "127.0.0.1", port)
            return transport

        async def accept(stream: Stream, network: str, address: str) -> None:
            await relay(stream, network, address, dial)

        shouter = await asyncio.start_server(shout, "127.0.0.1", 0)
        await self._stack.enter_async_context(shouter)
        port = shouter.sockets[0].getsockname()[1]
        app = web.Application()
        app.router.add_get("/", serve)
        server = await self._stack.enter_async_context(TestServer(app))
        client = await self._stack.enter_async_context(aiohttp.ClientSession())
        websocket = await client.ws_connect(server.make_url("/"), autoping=False, max_msg_size=MAX_MESSAGE)
        task = asyncio.create_task(Session(websocket, "agent/1", accept=accept).run())
        self._stack.push_async_callback(stopped, task)
        await until(lambda: replica.tunnels.session(cluster_id))
        return task

    async def clusternet(self, replica: Replica, headers: dict[str, str]) -> aiohttp.ClientWebSocketResponse:
        """Dial a hub as Clusternet's own do: without a certificate, without verifying."""
        client = await self._stack.enter_async_context(aiohttp.ClientSession())
        return await client.ws_connect(
            f"wss://127.0.0.1:{replica.peering.port}/connect", headers=headers, ssl=unverified_context(), autoping=False
        )

    async def acceptor(self) -> tuple[int, asyncio.Queue[tuple[web.Request, web.WebSocketResponse]]]:
        """Return the port of a hub that the test speaks for, and those who connect with it."""
        accepted: asyncio.Queue[tuple[web.Request, web.WebSocketResponse]] = asyncio.Queue()

        async def serve(request: web.Request) -> web.StreamResponse:
            websocket = web.WebSocketResponse(autoping=False)
            await websocket.prepare(request)
            accepted.put_nowait((request, websocket))
            await asyncio.Event().wait()
            return websocket

        app = web.Application()
        app.router.add_get("/connect", serve)
        server = TestServer(app, scheme="https")
        await server.start_server(ssl=Peering(Tunnels(), "x", "x", {})._tls.context)
        self._stack.push_async_callback(server.close)
        return server.port or 0, accepted


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that nothing tells of."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def stopped(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def frame(socket: aiohttp.ClientWebSocketResponse | web.WebSocketResponse) -> frames.Frame:
    """Return the next frame."""
    async with asyncio.timeout(5):
        while True:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.BINARY:
                return frames.decode(message.data)
            assert message.type in (aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG), message


def way(replica: Replica, cluster_id: str = CHILD) -> Way:
    found = replica.tunnels.way(cluster_id)
    assert found is not None
    return found


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    async with AsyncExitStack() as stack:
        yield Mesh(stack)


async def test_c4_8_a_child_is_reached_through_the_hub_that_its_agent_is_connected_to(mesh: Mesh) -> None:
    a, b, c = await mesh.hubs("a", "b", "c")
    await mesh.agent(a)
    for hub in (a, b, c):
        await until(lambda hub=hub: hub.tunnels.way(CHILD))
        listener = Listener()
        stream = way(hub).open("child:6443")
        stream.start(listener)
        stream.write(b"hello")
        await listener.hears(b"HELLO")
        stream.close()
        assert await listener.end is None
        assert hub.opened == [CHILD], "deployments that wait for it are told"
        assert hub.tunnels.way(OTHER) is None
    await until(lambda: not way(a).session.streams)
    assert way(a).network == "tcp", "its own session goes first"


async def test_what_the_agent_says_reaches_the_hub_that_asked(mesh: Mesh) -> None:
    a, b = await mesh.hubs("a", "b")
    await mesh.agent(a)
    await until(lambda: b.tunnels.way(CHILD))
    listener = Listener()
    way(b).open("elsewhere:1").start(listener)
    assert "not tcp elsewhere:1" in str(await listener.end)


async def test_the_clients_of_a_peer_are_followed(mesh: Mesh) -> None:
    a, b = await mesh.hubs("a", "b")
    first = await mesh.agent(a)
    await until(lambda: b.tunnels.way(CHILD))
    second = await mesh.agent(a)
    await until(lambda: len(b.tunnels._lent[CHILD]) == 2)
    await stopped(first)
    await until(lambda: len(b.tunnels._lent[CHILD]) == 1)
    assert b.tunnels.way(CHILD), "the other session is there"
    await stopped(second)
    await until(lambda: b.tunnels.way(CHILD) is None)
    assert b.tunnels._lent == {}


async def test_an_agent_that_moves_to_the_other_hub(mesh: Mesh) -> None:
    a, b, c = await mesh.hubs("a", "b", "c")
    old = await mesh.agent(a)
    await until(lambda: c.tunnels.way(CHILD))
    through_a = way(c)
    await mesh.agent(b)
    await until(lambda: way(c) != through_a)
    assert way(b).network == "tcp"
    through_b = way(c)
    await stopped(old)
    await until(lambda: len(c.tunnels._lent[CHILD]) == 1)
    assert way(c) == through_b
    await until(lambda: way(a).network == f"{CHILD}::tcp")


async def test_a_lost_peer_ends_its_streams_at_once(mesh: Mesh) -> None:
    a, b = await mesh.hub("a"), await mesh.hub("b")
    b.knows(a.peer())
    a.knows(b.peer())
    lending = mesh.lend(a, b.peer())
    await mesh.agent(a)
    await until(lambda: b.tunnels.way(CHILD))
    listener = Listener()
    way(b).open("child:6443").start(listener)
    await stopped(lending)
    async with asyncio.timeout(2):
        assert isinstance(await listener.end, ConnectionError)
    await until(lambda: b.tunnels.way(CHILD) is None)
    mesh.lend(a, b.peer())
    await until(lambda: b.tunnels.way(CHILD))


async def test_sessions_of_peers_are_not_passed_on(mesh: Mesh) -> None:
    """A knows B and B knows C, but what C lends to B is no business of A: so nothing can go in circles."""
    a, b, c = await mesh.hub("a"), await mesh.hub("b"), await mesh.hub("c")
    a.knows(b.peer())
    b.knows(c.peer())
    b.knows(a.peer())
    c.knows(b.peer())
    mesh.lend(c, b.peer())
    mesh.lend(b, a.peer())
    await mesh.agent(b, OTHER)
    await mesh.agent(c)
    await until(lambda: b.tunnels.way(CHILD))
    await until(lambda: a.tunnels.way(OTHER))
    assert a.tunnels.way(CHILD) is None
    listener = Listener()
    Way(way(a, OTHER).session, f"{CHILD}::tcp").open("child:6443").start(listener)
    assert "the agent is disconnected" in str(await listener.end)
    listener = Listener()
    Way(way(a, OTHER).session).open("child:6443").start(listener)
    assert "names no cluster" in str(await listener.end)


async def test_many_streams_of_many_bytes(mesh: Mesh) -> None:
    a, b = await mesh.hubs("a", "b")
    await mesh.agent(a)
    await until(lambda: b.tunnels.way(CHILD))
    listeners = []
    for number in range(50):
        listener = Listener()
        stream = way(b).open("child:6443")
        stream.start(listener)
        text = f"{number:03}x".encode() * 50_000
        stream.write(text)
        listeners.append((listener, text.upper()))
    for listener, text in listeners:
        await listener.hears(text)


@pytest.mark.parametrize(
    ("claimed", "token"), [("a", "wrong"), ("a", ""), ("z", "token of a"), ("", ""), ("b", "token of b")]
)
async def test_a_wrong_token_is_refused(mesh: Mesh, claimed: str, token: str, caplog: pytest.LogCaptureFixture) -> None:
    b = await mesh.hub("b")
    b.knows(Peer(id="a", host="h", port=1, token="token of a"))
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await mesh.clusternet(b, {"X-API-Tunnel-ID": claimed, "X-API-Tunnel-Token": token})
    assert refused.value.status == 401
    assert f"refused 127.0.0.1, who says to be hub {claimed!r}" in caplog.text
    assert "token of" not in caplog.text


async def test_a_stolen_token_does_not_do_without_the_certificate(mesh: Mesh) -> None:
    a, b, thief = await mesh.hub("a"), await mesh.hub("b"), await mesh.hub("thief")
    b.knows(a.peer())
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await mesh.clusternet(b, {"X-API-Tunnel-ID": "a", "X-API-Tunnel-Token": a.token})
    assert refused.value.status == 401
    b.knows(thief.peer())
    impostor = Peering(Tunnels(), "a", a.token, {})
    impostor._pair = thief.peering._pair
    with pytest.raises(PeerUnreachable, match="it answers 401"):
        await impostor.lend(b.peer())
    impostor._pair = Peering(Tunnels(), "a", a.token, {})._pair
    with pytest.raises(PeerUnreachable):
        await impostor.lend(b.peer())
    assert b.tunnels._lent == {}


async def test_a_hub_that_shows_another_certificate_gets_no_token(mesh: Mesh) -> None:
    a, b = await mesh.hub("a"), await mesh.hub("b")
    port, accepted = await mesh.acceptor()
    b.knows(a.peer())
    with pytest.raises(PeerUnreachable, match="certificate"):
        await a.peering.lend(b.peer(port=port))
    assert accepted.empty()


@pytest.mark.parametrize("changes", [{"port": 1}, {"host": "no such host"}, {"certificate": "not PEM"}])
async def test_a_hub_that_cannot_be_reached(mesh: Mesh, changes: dict[str, Any]) -> None:
    a, b = await mesh.hub("a"), await mesh.hub("b")
    b.knows(a.peer())
    with pytest.raises(PeerUnreachable):
        await a.peering.lend(b.peer(**changes))


@pytest.mark.parametrize("pem", ["not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
async def test_an_unreadable_certificate_keeps_the_others_trusted(
    mesh: Mesh, caplog: pytest.LogCaptureFixture, pem: str
) -> None:
    a, b = await mesh.hub("a"), await mesh.hub("b")
    b.knows(Peer(id="c", host="h", port=1, token="t", certificate=pem))
    assert "hub c at h:1: its Lease tells of an unreadable certificate" in caplog.text
    b.knows(a.peer())
    mesh.lend(a, b.peer())
    await mesh.agent(a)
    await until(lambda: b.tunnels.way(CHILD))


async def test_other_requests_to_the_port_of_peers(mesh: Mesh) -> None:
    b = await mesh.hub("b")
    b.knows(Peer(id="a", host="h", port=1, token="token of a"))
    headers = {"X-API-Tunnel-ID": "a", "X-API-Tunnel-Token": "token of a"}
    async with aiohttp.ClientSession(f"https://127.0.0.1:{b.peering.port}", headers=headers) as client:
        for path, status in (("/connect", 400), ("/", 404), ("/metrics", 404)):
            async with client.get(path, ssl=unverified_context()) as answer:
                assert answer.status == status


async def test_a_taken_port_names_the_flag(mesh: Mesh) -> None:
    a, b = await mesh.hub("a"), Replica("b")
    with pytest.raises(OSError, match=r"--peer-port.*in use"):
        async with b.peering.listening("127.0.0.1", a.peering.port):
            pass


# A hub of Clusternet's own, spoken for byte by byte


async def test_clusternets_hub_lends_its_tunnels(mesh: Mesh) -> None:
    """It announces a client and answers Connect on the session that it has dialled."""
    b = await mesh.hub("b")
    b.knows(Peer(id="a", host="h", port=1, token="Cheugy"))
    peer = await mesh.clusternet(b, {"X-API-Tunnel-ID": "a", "X-API-Tunnel-Token": "Cheugy"})
    await peer.send_bytes(bytes.fromhex("020008") + f"{CHILD}/42".encode())
    await until(lambda: b.tunnels.way(CHILD))
    listener = Listener()
    stream = way(b).open("10.96.0.1:443")
    stream.start(listener)
    stream.write(b"ping")
    connect = await frame(peer)
    assert (connect.connection, connect.type) == (2, 2)
    assert bytes(connect.payload) == f"{CHILD}::tcp/10.96.0.1:443".encode()
    data = await frame(peer)
    assert (data.connection, data.type, bytes(data.payload)) == (2, 1, b"ping")
    await peer.send_bytes(bytes.fromhex("040402b0ea01") + b"pong")
    await listener.hears(b"pong")
    await peer.send_bytes(bytes.fromhex("060406") + b"EOF")
    await peer.send_bytes(bytes.fromhex("060406") + b"EOF")
    assert await listener.end is None
    await peer.send_bytes(bytes.fromhex("08000a") + f"{CHILD}/42".encode())
    await until(lambda: b.tunnels.way(CHILD) is None)
    assert not peer.closed


async def test_c5_7_a_hub_that_has_dialled_may_not_connect(mesh: Mesh) -> None:
    b = await mesh.hub("b")
    await mesh.agent(b)
    b.knows(Peer(id="a", host="h", port=1, token="Cheugy"))
    peer = await mesh.clusternet(b, {"X-API-Tunnel-ID": "a", "X-API-Tunnel-Token": "Cheugy"})
    await peer.send_bytes(bytes.fromhex("020404b0ea01") + f"{CHILD}::tcp/child:6443".encode())
    async with asyncio.timeout(5):
        while (await peer.receive()).type is not aiohttp.WSMsgType.CLOSED:
            pass


@pytest.mark.parametrize("payload", [b"", b"no number/x", b"x" * 101 + b"/1"])
async def test_a_malformed_announcement_ends_the_session(mesh: Mesh, payload: bytes) -> None:
    b = await mesh.hub("b")
    b.knows(Peer(id="a", host="h", port=1, token="Cheugy"))
    peer = await mesh.clusternet(b, {"X-API-Tunnel-ID": "a", "X-API-Tunnel-Token": "Cheugy"})
    await peer.send_bytes(bytes.fromhex("020008") + payload)
    async with asyncio.timeout(5):
        while (await peer.receive()).type is not aiohttp.WSMsgType.CLOSED:
            pass


async def test_tunnels_are_lent_to_clusternets_hub(mesh: Mesh) -> None:
    """It reads headers and announcements, and asks for a child."""
    a = await mesh.hub("a")
    await mesh.agent(a)
    await mesh.agent(a, "c" * 90)
    port, accepted = await mesh.acceptor()
    mesh.lend(a, Peer(id="b", host="127.0.0.1", port=port, token="Cheugy"))
    request, peer = await accepted.get()
    assert request.headers["X-API-Tunnel-ID"] == "a"
    assert request.headers["X-API-Tunnel-Token"] == "token of a"
    key = way(a).session.key
    added = await frame(peer)
    assert (added.connection, added.type, added.text) == (0, 4, key)
    await peer.send_bytes(bytes.fromhex("020404b0ea01") + f"{CHILD}::tcp/child:6443".encode())
    await peer.send_bytes(bytes.fromhex("040402b0ea01") + b"ping")
    data = await frame(peer)
    assert (data.connection, data.type, bytes(data.payload)) == (2, 1, b"PING")
    late = await mesh.agent(a, OTHER)
    added = await frame(peer)
    assert (added.type, added.text.split("/")[0]) == (4, OTHER)
    await stopped(late)
    removed = await frame(peer)
    assert (removed.connection, removed.type, removed.text) == (0, 5, added.text)


def test_its_certificate_is_its_own_authority() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=Replica("a").peer().certificate)
    assert len(context.get_ca_certs()) == 1
