"""Sessions and streams over real websockets (spec/04 §3, spec/06 C5)."""

import asyncio
import hashlib
import os
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from clusternet_engine.certificates import self_signed
from clusternet_engine.kube.tls import client_context, load_key_pair
from clusternet_engine.tunnel import relay
from clusternet_engine.tunnel import session as rules
from clusternet_engine.tunnel import stream as stream_rules
from clusternet_engine.tunnel.frames import FrameType
from clusternet_engine.tunnel.stream import StreamError


@pytest.fixture
async def echo() -> AsyncIterator[str]:
    """The address of a server that answers with what it hears."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_connect_is_the_worked_example(ends: Any) -> None:
    session, peer, _ = await ends.hub()
    stream = session.open("tcp", "a:1")
    frame = await peer.frame()
    assert (frame.connection, frame.type, bytes(frame.payload)) == (2, FrameType.CONNECT, b"tcp/a:1")
    stream.write(b"at once")
    frame = await peer.frame()
    assert (frame.connection, frame.type, bytes(frame.payload)) == (2, FrameType.DATA, b"at once")
    assert session.open("tcp", "a:1").number == 3


async def test_c5_2_a_text_message_ends_the_session(ends: Any, recorder: Any) -> None:
    session, peer, end = await ends.hub()
    heard = recorder()
    session.open("tcp", "a:1").start(heard)
    await peer.socket.send_str("hello")
    assert await end == "the peer has sent a text message"
    error = await heard.end
    assert isinstance(error, StreamError)
    assert str(error) == "tunnel disconnect"
    assert session.closed
    with pytest.raises(StreamError, match="tunnel disconnect"):
        session.open("tcp", "a:1")
    await peer.is_closed()


async def test_a_malformed_frame_ends_the_session(ends: Any) -> None:
    _, peer, end = await ends.hub()
    await peer.socket.send_bytes(b"\x80")
    assert await end == "malformed frame: a number is cut off"


async def test_a_peer_that_has_vanished_ends_the_session_quietly(ends: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asyncio's TLS transports forget what is below them once the connection is gone, and fail when they are asked."""

    def gone(*_: Any) -> None:
        raise AttributeError("'NoneType' object has no attribute '_get_extra_info'")

    session, _, end = await ends.hub()
    monkeypatch.setattr(type(session._socket), "get_extra_info", gone)
    session.end("the peer has vanished")
    async with asyncio.timeout(30):
        assert await end == "the peer has vanished"


async def test_c5_3_data_for_an_unknown_stream(ends: Any) -> None:
    _, peer, _ = await ends.hub()
    for kind in (FrameType.ERROR, FrameType.PAUSE, FrameType.RESUME, FrameType.ADD_CLIENT, 99):
        await peer.send(7, kind, b"ignored")
    await peer.send(7, FrameType.DATA, b"x")
    frame = await peer.frame()
    assert (frame.connection, frame.type, frame.text) == (7, FrameType.ERROR, "connection not found cluster/1/7")


async def test_c5_4_a_silent_peer(ends: Any) -> None:
    assert rules.SILENCE < 10, "so that no request waits for longer"
    _, peer, end = await ends.hub(silence=0.3)
    began = asyncio.get_running_loop().time()
    await peer.socket.ping()
    assert (await peer.socket.receive()).type.name == "PONG"
    assert await end == "nothing heard for 0.3 s"
    assert asyncio.get_running_loop().time() - began < 1
    await peer.is_closed()


async def test_pings_keep_a_session(ends: Any) -> None:
    assert rules.PING_INTERVAL * 2 < rules.SILENCE
    _, peer, end = await ends.hub(silence=0.3)
    for _ in range(6):
        await peer.socket.ping()
        await asyncio.sleep(0.1)
    assert not end.done()


async def test_both_sides_ping(ends: Any) -> None:
    _, peer, _ = await ends.hub(ping_interval=0.05)
    message = await peer.socket.receive()
    assert (message.type.name, bytes(message.data)) == ("PING", b"")


async def test_a_peer_that_does_not_read_is_noticed(ends: Any, recorder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sending waits for such a peer, even sending a ping; waiting for it to be heard must not."""
    session, peer, end = await ends.hub(ping_interval=0.05, silence=0.5)
    monkeypatch.setattr(session._socket, "ping", asyncio.Event().wait)
    stream = session.open("tcp", "a:1")
    stream.start(heard := recorder())
    stream.write(bytes(2**24))
    assert await end == "nothing heard for 0.5 s"
    assert str(await heard.end) == "tunnel disconnect"
    await peer.is_cut_off()


async def test_c5_5_a_slow_reader_pauses_the_peer(ends: Any, recorder: Any) -> None:
    session, peer, _ = await ends.hub()
    heard = recorder()
    stream = session.open("tcp", "a:1")
    stream.start(heard)
    stream.pause_reading()
    await peer.frame()
    chunk = os.urandom(2**15)
    for _ in range(2**21 // len(chunk) + 1):
        await peer.send(2, FrameType.DATA, chunk)
    assert (await peer.frame()).type == FrameType.PAUSE
    await peer.send(2, FrameType.DATA, chunk)
    assert not heard.data
    stream.resume_reading()
    assert (await peer.frame()).type == FrameType.RESUME
    assert await heard.hears(2**21 + 2 * len(chunk)) == chunk * (2**21 // len(chunk) + 2)


async def test_a_peer_that_does_not_pause_loses_the_stream_only(
    ends: Any, recorder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_rules, "RECEIVE_LIMIT", 2**22)
    session, peer, end = await ends.hub()
    heard = recorder()
    stream = session.open("tcp", "a:1")
    stream.start(heard)
    stream.pause_reading()
    for _ in range(2**7 + 1):
        await peer.send(2, FrameType.DATA, bytes(2**15))
    assert "although it was asked to pause" in str(await heard.end)
    kinds = [(await peer.frame()).type for _ in range(3)]
    assert kinds == [FrameType.CONNECT, FrameType.PAUSE, FrameType.ERROR]
    assert not end.done()
    assert session.streams == 0


async def test_pause_stops_the_writer_until_resume(ends: Any, recorder: Any, until: Any) -> None:
    session, peer, _ = await ends.hub()
    heard = recorder()
    stream = session.open("tcp", "a:1")
    stream.start(heard)
    await peer.frame()
    await peer.send(2, FrameType.PAUSE)
    await until(lambda: not heard.writable.is_set())
    stream.write(b"one")
    stream.write(b"two")
    stream.close()
    await peer.send(9, FrameType.DATA, b"?")
    assert (await peer.frame()).connection == 9, "nothing of stream 2 may come while it is paused"
    await peer.send(2, FrameType.RESUME)
    assert bytes((await peer.frame()).payload) == b"onetwo"
    frame = await peer.frame()
    assert (frame.type, frame.text) == (FrameType.ERROR, "EOF")
    assert await heard.end is None


async def test_a_congested_websocket_holds_writers_back(ends: Any, recorder: Any) -> None:
    session, peer, _ = await ends.hub()
    writers = []
    for _ in range(3):
        heard = recorder()
        stream = session.open("tcp", "a:1")
        stream.start(heard)
        stream.write(os.urandom(2**20))
        assert not heard.writable.is_set()
        writers.append(heard)
    total = 0
    while total < 3 * 2**20:
        frame = await peer.frame()
        if frame.type == FrameType.DATA:
            assert len(frame.payload) <= rules.CHUNK
            total += len(frame.payload)
    for heard in writers:
        async with asyncio.timeout(5):
            await heard.writable.wait()


async def test_c5_6_a_refused_dial_tells_why(ends: Any, recorder: Any) -> None:
    hub, agent = await ends.pair()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    heard = recorder()
    hub.open("tcp", f"127.0.0.1:{port}").start(heard)
    assert str(await heard.end) == f"dial tcp 127.0.0.1:{port}: Connection refused"
    assert agent.streams == 0


async def test_a_dial_without_an_answer_is_given_up(ends: Any, recorder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dial(network: str, address: str, factory: Any) -> asyncio.Transport:
        await asyncio.Event().wait()
        raise AssertionError

    assert relay.DIAL_TIMEOUT < 10, "so that no request waits for longer"
    monkeypatch.setattr(relay, "DIAL_TIMEOUT", 0.1)
    session, _ = await ends.pair(dial)
    session.open("tcp", "10.255.255.1:80").start(heard := recorder())
    assert str(await heard.end) == "dial tcp 10.255.255.1:80: no connection within 0.1 s"


async def test_c5_7_connect_is_not_for_hubs(ends: Any) -> None:
    _, peer, end = await ends.hub()
    await peer.send(2, FrameType.CONNECT, b"tcp/a:1")
    assert await end == "connect not allowed"
    await peer.is_closed()


async def test_c5_8_a_truncated_address_is_not_dialled(ends: Any) -> None:
    async def accept(*_: object) -> None:
        raise AssertionError

    session, peer, end = await ends.hub(accept=accept)
    await peer.send(2, FrameType.CONNECT, b"tcp/" + b"h" * 97)
    frame = await peer.frame()
    assert (frame.connection, frame.text) == (2, "the address is longer than 100 bytes")
    assert not end.done()
    with pytest.raises(ValueError, match="too long"):
        session.open("tcp", "h" * 97)


async def test_a_stream_that_cannot_be_served_fails(ends: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def accept(*_: object) -> None:
        raise RuntimeError("on purpose")

    session, peer, end = await ends.hub(accept=accept)
    await peer.send(2, FrameType.CONNECT, b"tcp/a:1")
    frame = await peer.frame()
    assert (frame.connection, frame.type, frame.text) == (2, FrameType.ERROR, "internal error")
    assert session.streams == 0
    assert "on purpose" in caplog.text
    assert not end.done()


async def test_opening_a_stream_twice_ends_the_session(ends: Any) -> None:
    async def accept(*_: object) -> None:
        await asyncio.Event().wait()

    _, peer, end = await ends.hub(accept=accept)
    await peer.send(2, FrameType.CONNECT, b"tcp/a:1")
    await peer.send(2, FrameType.CONNECT, b"tcp/b:1")
    assert await end == "stream 2 was opened twice"


async def test_too_many_streams_are_refused(ends: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_STREAMS", 2)

    async def accept(*_: object) -> None:
        await asyncio.Event().wait()

    _, peer, _ = await ends.hub(accept=accept)
    for number in (2, 3, 4):
        await peer.send(number, FrameType.CONNECT, b"tcp/a:1")
    frame = await peer.frame()
    assert (frame.connection, frame.text) == (4, "more than 2 connections")


async def test_an_end_twice_and_data_after_it(ends: Any, recorder: Any) -> None:
    session, peer, end = await ends.hub()
    heard = recorder()
    stream = session.open("tcp", "a:1")
    stream.start(heard)
    await peer.send(2, FrameType.DATA, b"last words")
    for _ in range(2):
        await peer.send(2, FrameType.ERROR, b"EOF")
    assert await heard.end is None
    assert heard.data == b"last words"
    stream.write(b"too late")
    stream.close()
    stream.abort()
    assert not end.done()


async def test_the_end_of_a_peer_that_had_paused(ends: Any, recorder: Any, until: Any) -> None:
    class KeepsOpen(recorder):  # type: ignore[misc]
        ended = False

        def eof_received(self) -> bool:
            self.ended = True
            return True

    session, peer, _ = await ends.hub()
    stream = session.open("tcp", "a:1")
    stream.start(heard := KeepsOpen())
    await peer.send(2, FrameType.PAUSE)
    await until(lambda: not heard.writable.is_set())
    stream.write(b"never read")
    await peer.send(2, FrameType.ERROR, b"EOF")
    await until(lambda: heard.ended)
    assert heard.writable.is_set(), "nobody would ever resume it"
    stream.close()
    async with asyncio.timeout(5):
        assert await heard.end is None
    assert session.streams == 0


async def test_what_was_kept_is_read_before_the_end(ends: Any, recorder: Any) -> None:
    session, peer, _ = await ends.hub()
    heard = recorder()
    stream = session.open("tcp", "a:1")
    stream.start(heard)
    stream.pause_reading()
    await peer.send(2, FrameType.DATA, b"first")
    await peer.send(2, FrameType.ERROR, b"EOF")
    await peer.send(9, FrameType.DATA, b"?")
    await peer.frame()
    await peer.frame()
    assert not heard.end.done()
    stream.resume_reading()
    assert await heard.end is None
    assert heard.data == b"first"


async def test_a_protocol_that_fails_loses_its_stream(
    ends: Any, recorder: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Fails(recorder):  # type: ignore[misc]
        def data_received(self, data: bytes) -> None:
            raise RuntimeError("on purpose")

    session, peer, end = await ends.hub()
    heard = Fails()
    session.open("tcp", "a:1").start(heard)
    await peer.send(2, FrameType.DATA, b"x")
    assert str(await heard.end) == "on purpose"
    assert [(await peer.frame()).type for _ in range(2)] == [FrameType.CONNECT, FrameType.ERROR]
    assert not end.done()
    assert "the protocol failed" in caplog.text


async def test_streams_do_not_mix(ends: Any, recorder: Any, until: Any, echo: str) -> None:
    hub, _ = await ends.pair()

    async def talk(size: int) -> None:
        heard, sent = recorder(), os.urandom(size)
        stream = hub.open("tcp", echo)
        stream.start(heard)
        for start in range(0, size, 50_000):
            await heard.writable.wait()
            stream.write(sent[start : start + 50_000])
        assert hashlib.sha256(await heard.hears(size)).digest() == hashlib.sha256(sent).digest()
        stream.close()
        assert await heard.end is None

    await asyncio.gather(*(talk(1 + number * 10_007) for number in range(100)), talk(5_000_000))
    await until(lambda: not hub.streams)


async def test_a_stalled_stream_does_not_stall_others_and_memory_is_bounded(ends: Any, recorder: Any) -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(1024):
            writer.write(bytes(2**16))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        hub, agent = await ends.pair()
        stalled, flows = recorder(), recorder()
        slow = hub.open("tcp", address)
        slow.start(stalled)
        slow.pause_reading()
        await asyncio.sleep(0.5)
        kept = len(slow._received)
        assert 2**21 < kept < 2**23
        hub.open("tcp", address).start(flows)
        assert len(await flows.hears(2**26)) == 2**26
        assert len(slow._received) == kept
        assert all(len(stream._pending) < 2**20 for stream in agent._streams.values())
        slow.resume_reading()
        assert len(await stalled.hears(2**26)) == 2**26


async def test_tls_inside_a_stream(ends: Any, recorder: Any) -> None:
    pair = self_signed()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_key_pair(context, pair.certificate, pair.key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        hub, _ = await ends.pair()
        loop = asyncio.get_running_loop()
        stream = hub.open("tcp", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        heard, sent = recorder(), os.urandom(3_000_000)
        stream.set_protocol(heard)
        transport = await loop.start_tls(
            stream, heard, client_context(pair.certificate), server_hostname="localhost", ssl_handshake_timeout=5
        )
        assert transport is not None
        for start in range(0, len(sent), 100_000):
            await heard.writable.wait()
            transport.write(sent[start : start + 100_000])
        assert await heard.hears(len(sent)) == sent
        transport.close()
        assert await heard.end is None


async def test_the_end_of_a_session_ends_sockets_at_once(ends: Any, recorder: Any, until: Any, echo: str) -> None:
    hub, agent = await ends.pair()
    heard = recorder()
    hub.open("tcp", echo).start(heard)
    await until(lambda: agent.streams)
    await agent._socket.close()
    async with asyncio.timeout(2):
        assert str(await heard.end) == "tunnel disconnect"
    assert hub.closed
