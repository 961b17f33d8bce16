"""The agent's end of the tunnel against a server that the test speaks for."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from clusternet_engine.agent import arguments, tunnel
from clusternet_engine.agent.agent import static_status
from clusternet_engine.agent.readiness import Need, NotReady, Readiness
from clusternet_engine.agent.tunnel import Dialler, Tunnel
from clusternet_engine.certificates import issue, make_authority
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.tls import load_key_pair
from clusternet_engine.model.dialling import Destinations, parse_destination
from clusternet_engine.tunnel import frames
from clusternet_engine.tunnel.frames import FrameType
from clusternet_engine.tunnel.session import Session

ID = "7ff1a5c6-0000-0000-0000-000000000001"


class Hub:
    """What the hub serves: sessions, or a status for the next attempts."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.answers: list[int] = []
        self.sessions: asyncio.Queue[Session] = asyncio.Queue()
        self.sockets: list[web.WebSocketResponse] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.answers:
            return web.Response(status=self.answers.pop(0))
        websocket = web.WebSocketResponse(autoping=False, compress=False)
        await websocket.prepare(request)
        self.sockets.append(websocket)
        session = Session(websocket, ID)
        self.sessions.put_nowait(session)
        await session.run()
        return websocket

    async def session(self) -> Session:
        async with asyncio.timeout(10):
            return await self.sessions.get()


class Heard(asyncio.Protocol):
    def __init__(self) -> None:
        self.data: asyncio.Queue[bytes] = asyncio.Queue()
        self.end: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.data.put_nowait(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.end.set_result(exc)


@pytest.fixture
async def api_server() -> AsyncIterator[int]:
    """The port of what stands for the child's API server: greets and echoes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def readiness() -> Readiness:
    return Readiness(tunnel=True)


@pytest.fixture
async def hub(api_server: int, readiness: Readiness, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hub]:
    """A hub and an agent that connects to it."""
    monkeypatch.setattr(tunnel, "FIRST_DELAY", 0.01)
    hub = Hub()
    app = web.Application()
    app.router.add_get("/prefix/apis/proxies.clusternet.io/v1alpha1/sockets/{id}", hub.handle)
    async with TestServer(app) as server:
        config = ClusterConfig(server=f"http://127.0.0.1:{server.port}/prefix", token="dedicated")
        async with Client(config) as parent:
            destinations = Destinations([f"https://127.0.0.1:{api_server}"], [])
            running = asyncio.create_task(Tunnel(parent, ID, destinations, readiness).run())
            yield hub
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_connects_with_its_credential_and_relays(hub: Hub, api_server: int) -> None:
    session = await hub.session()
    assert hub.requests[0].match_info["id"] == ID
    assert hub.requests[0].headers["Authorization"] == "Bearer dedicated"
    assert "Sec-WebSocket-Extensions" not in hub.requests[0].headers
    heard = Heard()
    stream = session.open("tcp", f"127.0.0.1:{api_server}")
    stream.write(b"at once")
    stream.start(heard)
    assert await heard.data.get() == b"at once"
    stream.close()
    assert await heard.end is None


async def test_only_the_api_server_is_dialled(hub: Hub, api_server: int, caplog: pytest.LogCaptureFixture) -> None:
    session = await hub.session()
    for network, address, reason in (
        ("tcp", "169.254.169.254:80", "not allowed by this agent"),
        ("tcp", f"127.0.0.2:{api_server}", "not allowed by this agent"),
        ("tcp", "127.0.0.1:1", "not allowed by this agent"),
        ("unix", "/var/run/x.sock:1", "network unix is not allowed"),
        ("tcp", "nothing", "'nothing' is not of the form host:port"),
        ("tcp", "a..b:80", "no host can be called 'a..b'"),
    ):
        heard = Heard()
        session.open(network, address).start(heard)
        assert str(await heard.end) == f"dial {network} {address}: {reason}"
    assert not session.closed
    assert "the hub asked for 169.254.169.254:80" in caplog.text


async def test_the_operator_may_allow_more(api_server: int) -> None:
    for entry in ("127.0.0.0/8", f"127.0.0.1:{api_server}", "*", f"*:{api_server}"):
        dialler = Dialler(Destinations(["https://10.96.0.1"], [parse_destination(entry)]))
        transport = await dialler.dial("tcp", f"127.0.0.1:{api_server}", asyncio.Protocol)
        transport.close()
        transport = await dialler.dial("tcp", f"localhost:{api_server}", asyncio.Protocol)
        transport.close()
    dialler = Dialler(Destinations([], [parse_destination("localhost")]))
    (await dialler.dial("tcp", f"localhost:{api_server}", asyncio.Protocol)).close()
    with pytest.raises(PermissionError):
        await dialler.dial("tcp", f"127.0.0.1:{api_server}", asyncio.Protocol)


async def test_a_destination_that_refuses(api_server: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ConnectionRefusedError):
            await Dialler(Destinations([], [parse_destination("*")])).dial("tcp", address, asyncio.Protocol)


async def test_connects_again(hub: Hub, api_server: int, caplog: pytest.LogCaptureFixture) -> None:
    await hub.session()
    hub.answers += [503, 503, 403, 401]
    began = time.monotonic()
    await hub.sockets[0].close()
    session = await hub.session()
    assert time.monotonic() - began < 6
    assert len(hub.requests) == 6
    assert caplog.text.count("503") == 1, "the same problem is told once"
    heard = Heard()
    session.open("tcp", f"127.0.0.1:{api_server}").start(heard)
    hub.sockets[1]._req.transport.abort()  # type: ignore[union-attr]
    assert str(await heard.end) == "tunnel disconnect"
    await hub.session()


async def test_the_agent_is_ready_while_its_tunnel_is_open(hub: Hub, readiness: Readiness) -> None:
    check = readiness.checks(lambda: True, lambda: False)[Need.TUNNEL]

    async def becomes(ready: bool) -> None:
        async with asyncio.timeout(10):
            while True:
                try:
                    check()
                except NotReady:
                    if not ready:
                        return
                else:
                    if ready:
                        return
                await asyncio.sleep(0.001)

    await becomes(False)
    for _ in range(2):
        session = await hub.session()
        await becomes(True)
        hub.answers += [503] * 3
        session.end("test")
        await becomes(False)


async def test_a_hub_that_talks_nonsense_is_left(hub: Hub) -> None:
    await hub.session()
    await hub.sockets[0].send_str("hello")
    await hub.session()
    await hub.sockets[1].send_bytes(b"\x80")
    await hub.session()
    await hub.sockets[2].send_bytes(frames.encode(1, 0, FrameType.ADD_CLIENT, b"a/b"))
    await asyncio.sleep(0.05)
    assert hub.sessions.empty()


async def test_a_hub_that_falls_silent_is_left(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    await hub.session()
    monkeypatch.setattr(tunnel, "Session", partial(Session, ping_interval=0.05, silence=0.1))
    hub.sockets[0]._req.transport.abort()  # type: ignore[union-attr]
    await hub.session()
    monkeypatch.setattr(aiohttp.web.WebSocketResponse, "pong", _nothing)
    await hub.session()


async def _nothing(*_: Any) -> None:
    """Stands for a pong that is lost."""


def test_the_gate_decides_on_use_socket() -> None:
    for flags, expected in (((), False), (("--feature-gates=SocketConnection=true",), True)):
        parser = arguments.make_agent_parser()
        settings = arguments.check(parser, parser.parse_args(flags))
        assert static_status(settings, "https://child", "1")["useSocket"] is expected


def test_destinations_as_flags(capsys: pytest.CaptureFixture[str]) -> None:
    parser = arguments.make_agent_parser()
    settings = arguments.check(parser, parser.parse_args(["--socket-destinations=10.0.0.0/8, prometheus:9090"]))
    assert settings.socket_destinations == (parse_destination("10.0.0.0/8"), parse_destination("prometheus:9090"))
    with pytest.raises(SystemExit):
        parser.parse_args(["--socket-destinations=a b"])
    assert "--socket-destinations: 'a b' is neither a host" in capsys.readouterr().err


@pytest.mark.parametrize("trusted", ["another", "nobody", "another name"])
async def test_the_websocket_verifies_the_parent(trusted: str, caplog: pytest.LogCaptureFixture) -> None:
    """A server in the parent's place gets neither the token nor the tunnel; the right one gets both."""
    authority = make_authority("parent")
    pair = issue(authority, "parent", ())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_key_pair(context, pair.certificate, pair.key)
    hub = Hub()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hub.handle)
    server = TestServer(app)
    await server.start_server(ssl=context)
    url = f"https://127.0.0.1:{server.port}"
    right = ClusterConfig(server=url, token="of-the-agent", ca_data=authority.certificate)
    wrong = {
        "another": replace(right, ca_data=make_authority("parent").certificate),
        "nobody": replace(right, ca_data=None),
        "another name": replace(right, tls_server_name="elsewhere"),
    }[trusted]

    async def run(config: ClusterConfig) -> None:
        async with Client(config) as parent:
            await Tunnel(parent, ID, Destinations((), ()), Readiness(tunnel=True)).run()

    task = asyncio.create_task(run(wrong))
    for _ in range(500):
        await asyncio.sleep(0.01)
        if "certificate can't be verified" in caplog.text:
            break
    assert "no tunnel to the parent, trying again" in caplog.text
    assert not task.done()
    assert hub.requests == []
    task.cancel()
    await asyncio.wait([task])
    task = asyncio.create_task(run(right))
    await hub.session()
    assert hub.requests[0].headers["Authorization"] == "Bearer of-the-agent"
    task.cancel()
    await asyncio.wait([task])
    await server.close()
