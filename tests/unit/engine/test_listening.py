"""Strangers at a port, over real sockets: how long they may stay, and who gets in beside them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from clusternet_engine.certificates import make_authority
from clusternet_engine.kube.tls import load_key_pair, unverified_context
from clusternet_engine.listening import recognize
from clusternet_engine.model.connection_limits import ConnectionLimits
from clusternet_engine.serving import HealthServer, ServingTLS

SHORT = ConnectionLimits(handshake=1.0, head=1.0, idle=1.0, request=1.0, grace=0.0, head_bytes=4096)
LONG = ConnectionLimits(grace=0.0, strangers=20, per_address=10)
AUTHORITY = make_authority("front proxy")


class Api:
    """What is served beside health."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/body":
                try:
                    return web.Response(body=await request.read())
                except asyncio.CancelledError:
                    self.cancelled.set()
                    raise
            case "/large":
                return web.Response(body=bytes(2**26))
            case "/token":
                recognize(request)
            case "/websocket":
                websocket = web.WebSocketResponse()
                await websocket.prepare(request)
                async for message in websocket:
                    await websocket.send_str(message.data)
                return websocket
        return web.Response(text="ok")


@contextlib.asynccontextmanager
async def serving(limits: ConnectionLimits, api: Api | None = None) -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tls = ServingTLS()
        tls.trust(AUTHORITY.certificate)
        handle = (api or Api()).handle
        async with HealthServer("", 1, {}, tls=tls, handler=handle, listener=listener, limits=limits):
            yield listener.getsockname()[1]


def client_context(*, known: bool) -> ssl.SSLContext:
    context = unverified_context()
    if known:
        load_key_pair(context, AUTHORITY.certificate, AUTHORITY.key)
    return context


async def connect(port: int, *, known: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, ssl=client_context(known=known))


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Wait until the server closes a connection and return what it has said."""
    async with asyncio.timeout(10):
        try:
            return await reader.read()
        except (ConnectionError, ssl.SSLError):
            return b""


async def answered(port: int, path: str = "/livez", *, known: bool = False) -> bool:
    connector = aiohttp.TCPConnector(ssl=client_context(known=known), force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        try:
            async with session.get(f"https://127.0.0.1:{port}{path}", timeout=aiohttp.ClientTimeout(5)) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, OSError):
            return False


async def test_no_handshake() -> None:
    async with serving(SHORT) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await ended(reader) == b""
        writer.close()


@pytest.mark.parametrize("head", [b"", b"GET /livez HTTP/1.1\r\n", b"GET /livez HTTP/1.1\r\nHost: x\r\nX: "])
async def test_a_request_that_does_not_come(head: bytes) -> None:
    async with serving(SHORT) as port:
        reader, writer = await connect(port)
        writer.write(head)
        assert await ended(reader) == b""
        writer.close()


async def test_a_head_byte_by_byte() -> None:
    async with serving(SHORT) as port:
        reader, writer = await connect(port)
        began = time.monotonic()
        writer.write(b"GET /livez HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while not reader.at_eof() and time.monotonic() - began < 10:
                writer.write(b"X")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.05)
        assert time.monotonic() - began < 8
        writer.close()


async def test_a_head_without_an_end() -> None:
    async with serving(ConnectionLimits(head_bytes=4096)) as port:
        for start in (b"GET / HTTP/1.1\r\n", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"):
            reader, writer = await connect(port)
            writer.write(start)
            if start.endswith(b"\r\n\r\n"):
                await reader.readuntil(b"ok")
            for _ in range(60):
                writer.write(b"X-%d: %s\r\n" % (0, b"x" * 100))
            await ended(reader)
            writer.close()
        assert await answered(port)


async def test_a_connection_that_is_kept_open_for_nothing() -> None:
    async with serving(SHORT) as port:
        reader, writer = await connect(port)
        for _ in range(3):
            writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"ok")
            await asyncio.sleep(0.1)
        assert await ended(reader) == b""
        writer.close()


async def test_a_body_that_does_not_come() -> None:
    api = Api()
    async with serving(SHORT, api) as port:
        reader, writer = await connect(port)
        writer.write(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        assert await ended(reader) == b""
        async with asyncio.timeout(10):
            await api.cancelled.wait()
        writer.close()


async def test_an_answer_that_nobody_takes() -> None:
    async with serving(SHORT) as port:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", port))
        sock.setblocking(False)
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=client_context(known=False), server_hostname="x", limit=2**10
        )
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(3)
        assert len(await ended(reader)) < 2**26
        writer.close()


async def test_who_is_known_may_stay() -> None:
    async with serving(SHORT) as port:
        by_certificate = await connect(port, known=True)
        by_token = await connect(port)
        by_token[1].write(b"GET /token HTTP/1.1\r\nHost: x\r\n\r\n")
        await by_token[0].readuntil(b"ok")
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client_context(known=True))) as session,
            session.ws_connect(f"https://127.0.0.1:{port}/websocket") as websocket,
        ):
            await asyncio.sleep(3)
            await websocket.send_str("still here")
            assert await websocket.receive_str() == "still here"
            for reader, writer in (by_certificate, by_token):
                writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                assert b"200 OK" in await reader.readuntil(b"ok")
                writer.close()


async def test_a_websocket_of_a_stranger_is_a_request_without_an_end() -> None:
    async with (
        serving(SHORT) as port,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client_context(known=False))) as session,
        session.ws_connect(f"https://127.0.0.1:{port}/websocket") as websocket,
        asyncio.timeout(10),
    ):
        assert (await websocket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


async def test_what_a_stranger_costs() -> None:
    """A silent connection with TLS, both of its ends counted, takes a small part of a MiB."""
    count, most = 50, 2**18
    async with serving(ConnectionLimits(per_address=count)) as port:
        await answered(port)
        tracemalloc.start()
        try:
            held = [await connect(port) for _ in range(count)]
            taken, _peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert taken / count < most
        for _reader, writer in held:
            writer.close()


async def test_a_crowd_keeps_nobody_out() -> None:
    async with serving(LONG) as port, contextlib.AsyncExitStack() as stack:
        known = await connect(port, known=True)
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
        for _, writer in crowd:
            stack.callback(writer.close)
        assert await answered(port)
        assert await answered(port, known=True)
        known[1].write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await known[0].readuntil(b"ok")
        known[1].close()
        gone = sum([reader.at_eof() for reader, _ in crowd])
        assert gone >= 40 - LONG.per_address - LONG.acquainted


SERVER = """
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
from clusternet_engine import logs
from clusternet_engine.model.connection_limits import ConnectionLimits
from clusternet_engine.serving import HealthServer

async def main():
    limits = {limits}
    async with HealthServer("127.0.0.1", int(sys.argv[1]), {{}}, limits=limits):
        print("serving", flush=True)
        await asyncio.Event().wait()

logs.setup(2)
asyncio.run(main())
"""


@pytest.fixture
def starved(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, Path, Any]]:
    """A server that may open 60 files and connections."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER.format(limits=request.param), str(port)],
            stdout=subprocess.PIPE,
            stderr=file,
        )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"serving\n"
        yield port, log, process
        process.kill()


@pytest.mark.parametrize(
    "starved",
    ["ConnectionLimits.within(60)", "ConnectionLimits(strangers=5000, per_address=5000, grace=0.5)"],
    indirect=True,
    ids=["limited", "descriptors-used-up"],
)
async def test_300_connections_at_60_descriptors(starved: tuple[int, Path, Any]) -> None:
    port, log, process = starved
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(300):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(("127.0.0.1", port))
        began = time.monotonic()
        served = 0
        while served < 5 and time.monotonic() - began < 30:
            served += await answered(port)
        assert served == 5
    assert process.poll() is None
    assert log.read_text().count("\n") < 20, log.read_text()
    assert "Traceback" not in log.read_text()
