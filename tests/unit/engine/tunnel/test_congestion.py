"""Many streams that all have much to say at once; what waits for the websocket stays little (docs/architecture.md)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from clusternet_engine.tunnel import session as rules
from clusternet_engine.tunnel.frames import FrameType

MIB = 2**20
ANSWER = MIB


class Most:
    """The most bytes that ever waited for a session's websocket."""

    def __init__(self, session: rules.Session) -> None:
        self.bytes = 0
        self._session, self._enqueue = session, session._enqueue
        session._enqueue = self._observed  # type: ignore[method-assign]

    def _observed(self, *arguments: Any) -> None:
        self._enqueue(*arguments)
        self.bytes = max(self.bytes, self._session._queued)


@pytest.fixture
async def talker() -> AsyncIterator[str]:
    """The address of a server that says much to everybody."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(ANSWER))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_hundreds_of_big_answers_at_once(ends: Any, recorder: Any, talker: str) -> None:
    hub, agent = await ends.pair()
    most = Most(agent)

    async def ask() -> None:
        heard = recorder()
        hub.open("tcp", talker).start(heard)
        assert await heard.end is None
        assert len(heard.data) == ANSWER

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for _ in range(350):
            tasks.create_task(ask())
        for _ in range(50):
            await asyncio.sleep(0.02)
            tasks.create_task(ask())
    assert most.bytes < 8 * MIB


async def test_a_flooded_websocket_holds_everybody_back(ends: Any, recorder: Any) -> None:
    session, peer, _ = await ends.hub()
    silent = [recorder() for _ in range(3 * rules.RELIEVED_AT_ONCE)]
    for heard in silent:
        session.open("tcp", "a:1").start(heard)
    session.open("tcp", "a:1").write(bytes(rules.FLOODED))
    assert not any(heard.writable.is_set() for heard in silent)
    session.open("tcp", "a:1").start(late := recorder())
    assert not late.writable.is_set()
    total = 0
    while total < rules.FLOODED:
        frame = await peer.frame()
        total += len(frame.payload) if frame.type == FrameType.DATA else 0
    async with asyncio.timeout(5):
        await asyncio.gather(*(heard.writable.wait() for heard in [*silent, late]))


async def test_what_a_peer_has_paused_waits_for_a_congested_websocket(ends: Any, recorder: Any, until: Any) -> None:
    session, peer, _ = await ends.hub()
    paused = session.open("tcp", "a:1")
    paused.start(heard := recorder())
    await peer.send(2, FrameType.PAUSE)
    await until(lambda: not heard.writable.is_set())
    paused.write(b"kept")
    paused.close()
    size = 16 * MIB
    session.open("tcp", "b:1").write(bytes(size))
    await peer.send(2, FrameType.RESUME)
    await peer.send(2, FrameType.DATA, b"after that")
    await until(lambda: not paused._blocked)
    assert paused.get_write_buffer_size() == len(b"kept")
    others, own = 0, []
    while len(own) < 2:
        frame = await peer.frame()
        if frame.connection == 3:
            others += len(frame.payload) if frame.type == FrameType.DATA else 0
        elif frame.type in (FrameType.DATA, FrameType.ERROR):
            own.append(bytes(frame.payload))
            assert others > size - MIB
    assert own == [b"kept", b"EOF"]
    assert await heard.end is None
