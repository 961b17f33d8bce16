"""Fuzzes the tunnel: its decoder, and whole sessions of hubs and agents that get whatever a peer may send.

``python tests/fuzz/tunnel.py --seconds 600`` stops at the first surprise and names the seed that leads to it again:
anything raised but `MalformedFrame`, a session that doesn't end, and memory beyond the bounds that streams, queues and
the process have.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import psutil
from clusternet_engine.tunnel import frames
from clusternet_engine.tunnel.frames import FrameType, MalformedFrame
from clusternet_engine.tunnel.session import MAX_MESSAGE, SEND_LIMIT, Session
from clusternet_engine.tunnel.stream import RECEIVE_LIMIT, Stream

MESSAGES = 60
"""Messages a session gets at most."""
SESSION_TIMEOUT = 30.0
GROWTH = 128 * 2**20
"""Bytes by which the process may grow after its first sessions."""
_EDGES = (0, 1, -1, 2, 63, 64, -64, 2**31, 2**62, 2**63 - 1, -(2**63))
_ADDRESSES = (b"tcp/a:1", b"tcp/" + b"h" * 96, b"tcp/" + b"h" * 97, b"tcp", b"/a:1", b"udp/\xff:1", b"")


class Surprise(Exception):
    """Something happened that must not."""


@dataclass
class Count:
    """What was done."""

    sessions: int = 0
    messages: int = 0
    malformed: int = 0


class Peer:
    """A websocket whose other end sends what a generator of random numbers says.

    Args:
        chance: decides everything.
        check: called before each message.
    """

    def __init__(self, chance: random.Random, count: Count, check: Callable[[], None]) -> None:
        self._chance = chance
        self._count = count
        self._check = check
        self._left = chance.randint(1, MESSAGES)

    async def receive(self) -> aiohttp.WSMessage:
        self._check()
        if self._chance.random() < 0.3:
            await asyncio.sleep(0)
        self._left -= 1
        if self._left < 0:
            return aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None)
        if self._chance.random() < 0.05:
            kind = self._chance.choice((aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG))
            return aiohttp.WSMessage(kind, b"", None)
        message = make_message(self._chance)
        check_decoder(message, self._count)
        return aiohttp.WSMessage(aiohttp.WSMsgType.BINARY, message, None)

    async def send_bytes(self, message: bytes) -> None:
        frames.decode(message)
        if self._chance.random() < 0.1:
            await asyncio.sleep(0)

    async def ping(self) -> None:
        """Nobody counts."""

    async def pong(self, message: bytes) -> None:
        """Nobody counts."""

    async def close(self) -> None:
        """Nothing to do."""

    def get_extra_info(self, name: str) -> None:
        """There is no socket."""


class Sink(asyncio.Protocol):
    """Takes data, sends them back, pauses, closes or fails, as chance has it."""

    def __init__(self, chance: random.Random, stream: Stream) -> None:
        self._chance = chance
        self._stream = stream

    def data_received(self, data: bytes) -> None:
        match self._chance.randrange(12):
            case 0:
                self._stream.pause_reading()
            case 1:
                self._stream.close()
            case 2:
                self._stream.abort()
            case 3 | 4:
                self._stream.write(data)
            case 5:
                asyncio.get_running_loop().call_soon(self._stream.resume_reading)


def make_message(chance: random.Random) -> bytes:
    """Return a message: a frame, one that was damaged, or noise."""
    if chance.random() < 0.1:
        return chance.randbytes(chance.randrange(40))
    message = make_frame(chance)
    for _ in range(chance.choice((0, 0, 0, 1, 1, 3))):
        message = damage(chance, message)
    return message[:MAX_MESSAGE]


def make_frame(chance: random.Random) -> bytes:
    """Return a frame of any kind, most often for one of few streams."""
    connection = chance.choice(_EDGES) if chance.random() < 0.1 else chance.randint(1, 6)
    kind = chance.choice((*FrameType, FrameType.DATA, FrameType.CONNECT, chance.choice(_EDGES), 8, 99))
    if kind == FrameType.CONNECT:
        payload = chance.choice(_ADDRESSES)
    elif kind == FrameType.DATA and chance.random() < 0.02:
        payload = bytes(chance.choice((2**16, 2**20, 2**22 - 20)))
    else:
        payload = chance.randbytes(chance.randrange(200))
    return frames.encode(chance.choice(_EDGES), connection, kind, payload)


def damage(chance: random.Random, message: bytes) -> bytes:
    """Return a message with a bit flipped, a piece lost, doubled or put in."""
    position = chance.randrange(min(len(message), 40) + 1)
    match chance.randrange(5):
        case 0 if position < len(message):
            return message[:position] + bytes((message[position] ^ 1 << chance.randrange(8),)) + message[position + 1 :]
        case 1:
            return message[:position]
        case 2:
            return message[:position] + message
        case 3:
            return message[:position] + b"\xff" * chance.randrange(12) + message[position:]
        case _:
            return message[:position] + chance.randbytes(3) + message[position:]


def check_decoder(message: bytes, count: Count) -> None:
    """Decode a message and what it holds."""
    count.messages += 1
    try:
        frame = frames.decode(message)
    except MalformedFrame:
        count.malformed += 1
        return
    if len(frame.text) > frames.TEXT_LIMIT or frames.decode(frames.encode(*frame)) != frame:
        raise Surprise(f"{message[:80].hex()} is read as {frame}")
    with contextlib.suppress(ValueError):
        frames.parse_connect(frame.payload)


async def run_session(chance: random.Random, count: Count) -> None:
    """Let a session of a hub or of an agent meet such a peer."""
    streams: list[Stream] = []

    def check() -> None:
        if session._queued > SEND_LIMIT + 2 * RECEIVE_LIMIT:
            raise Surprise(f"{session._queued} bytes wait to be sent")
        for stream in streams:
            if len(stream._received) > RECEIVE_LIMIT + MAX_MESSAGE:
                raise Surprise(f"a stream holds {len(stream._received)} bytes")

    async def accept(stream: Stream, network: str, address: str) -> None:
        streams.append(stream)
        if chance.random() < 0.3:
            await asyncio.sleep(0)
        if not stream.is_closing():
            stream.start(Sink(chance, stream))

    session = Session(Peer(chance, count, check), "fuzz/1", accept=accept if chance.random() < 0.5 else None)  # type: ignore[arg-type]
    for _ in range(chance.randrange(5)):
        stream = session.open("tcp", "a:1")
        streams.append(stream)
        if chance.random() < 0.8:
            stream.start(Sink(chance, stream))
    async with asyncio.timeout(SESSION_TIMEOUT):
        await session.run()
    count.sessions += 1
    if session.streams or not session.closed:
        raise Surprise("something is left of a session")


def fuzz(seconds: float, seed: int) -> Count:
    """Fuzz for some time and return what was done.

    Raises:
        Surprise: something happened that must not; its text names the seed.
    """
    process, count = psutil.Process(), Count()
    deadline = time.monotonic() + seconds
    grown = 0
    while time.monotonic() < deadline:
        try:
            asyncio.run(_round(random.Random(seed), count, deadline))
        except Exception as error:
            raise Surprise(f"seed {seed}: {error!r}") from error
        memory = process.memory_info().rss
        grown = grown or memory + GROWTH
        if memory > grown:
            raise Surprise(f"seed {seed}: the process has grown to {memory} bytes")
        seed += 1
    return count


async def _round(chance: random.Random, count: Count, deadline: float) -> None:
    def failed(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        problems.append(context)

    problems: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(failed)
    for _ in range(200):
        if time.monotonic() > deadline:
            break
        await run_session(chance, count)
        if problems:
            raise Surprise(str(problems[0]))


def main() -> None:
    """Fuzz for as long as the command line says."""
    parser = argparse.ArgumentParser(description="Fuzz the tunnel's decoder and sessions.")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long; default: %(default)g")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="where to begin; default: anywhere")
    arguments = parser.parse_args()
    print(f"fuzzing the tunnel for {arguments.seconds:g} s from seed {arguments.seed}")
    count = fuzz(arguments.seconds, arguments.seed)
    print(f"{count.messages} messages ({count.malformed} malformed) in {count.sessions} sessions, no surprise")


if __name__ == "__main__":
    main()
