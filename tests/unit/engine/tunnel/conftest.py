"""Two ends of a tunnel, and an end that the test speaks for itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from clusternet_engine.tunnel import frames, session
from clusternet_engine.tunnel.frames import Frame, FrameType
from clusternet_engine.tunnel.relay import Dial, relay
from clusternet_engine.tunnel.session import MAX_MESSAGE, Session
from clusternet_engine.tunnel.stream import Stream


class Peer:
    """A websocket of which the test sends and reads every frame."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, connection: int, kind: FrameType, payload: bytes = b"") -> None:
        await self.socket.send_bytes(frames.encode(1, connection, kind, payload))

    async def frame(self) -> Frame:
        """Return the next frame; pings in between are left out."""
        async with asyncio.timeout(5):
            while True:
                message = await self.socket.receive()
                if message.type in (aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG):
                    continue
                assert message.type is aiohttp.WSMsgType.BINARY, message
                return frames.decode(message.data)

    async def is_closed(self) -> None:
        async with asyncio.timeout(5):
            while (await self.socket.receive()).type is not aiohttp.WSMsgType.CLOSED:
                pass

    async def is_cut_off(self) -> None:
        async with asyncio.timeout(5):
            while (await self.socket.receive()).type is aiohttp.WSMsgType.BINARY:
                pass
        assert self.socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


class Ends:
    """Makes sessions over real websockets."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def _connect(self, serve: Callable[[web.WebSocketResponse], Any]) -> aiohttp.ClientWebSocketResponse:
        async def handle(request: web.Request) -> web.StreamResponse:
            socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=MAX_MESSAGE)
            await socket.prepare(request)
            await serve(socket)
            return socket

        app = web.Application()
        app.router.add_get("/", handle)
        server = await self._stack.enter_async_context(TestServer(app))
        client = await self._stack.enter_async_context(aiohttp.ClientSession())
        return await client.ws_connect(server.make_url("/"), autoping=False, max_msg_size=MAX_MESSAGE)

    async def hub(self, **options: Any) -> tuple[Session, Peer, asyncio.Future[str]]:
        """Return the session of a hub, the peer that dialled it, and the reason of its end."""
        started: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def serve(socket: web.WebSocketResponse) -> None:
            session = Session(socket, "cluster/1", **options)
            started.set_result(session)
            end.set_result(await session.run())

        peer = Peer(await self._connect(serve))
        return await started, peer, end

    async def pair(self, dial: Dial | None = None) -> tuple[Session, Session]:
        """Return the sessions of a hub and of an agent that are connected with each other."""
        started: asyncio.Future[Session] = asyncio.get_running_loop().create_future()

        async def serve(socket: web.WebSocketResponse) -> None:
            session = Session(socket, "cluster/1")
            started.set_result(session)
            await session.run()

        async def accept(stream: Stream, network: str, address: str) -> None:
            await relay(stream, network, address, dial or connect)

        agent = Session(await self._connect(serve), "agent/1", accept=accept)
        running = asyncio.create_task(agent.run())
        self._stack.push_async_callback(_cancelled, running)
        return await started, agent


async def connect(network: str, address: str, factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
    """Dial any address."""
    host, _, port = address.rpartition(":")
    transport, _ = await asyncio.get_running_loop().create_connection(factory, host, int(port))
    return transport


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class Recorder(asyncio.Protocol):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.writable = asyncio.Event()
        self.writable.set()
        self.end: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def pause_writing(self) -> None:
        assert self.writable.is_set()
        self.writable.clear()

    def resume_writing(self) -> None:
        assert not self.writable.is_set()
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.end.set_result(exc)

    async def hears(self, size: int) -> bytes:
        await until(lambda: len(self.data) >= size)
        return bytes(self.data)


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that nothing tells of."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def quick_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers of these tests that don't read don't answer the closing handshake either."""
    monkeypatch.setattr(session, "CLOSE_TIMEOUT", 0.05)


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    async with AsyncExitStack() as stack:
        yield Ends(stack)


@pytest.fixture(name="until")
def until_fixture() -> Callable[[Callable[[], object]], Awaitable[None]]:
    return until


@pytest.fixture
def recorder() -> type[Recorder]:
    return Recorder
