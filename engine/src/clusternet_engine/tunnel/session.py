"""A session: many streams over one websocket (spec/04 §3).

All streams share the websocket's queue. Whoever writes while it is congested waits; so that many who write at the same
moment don't fill it all the same, everybody waits once it is flooded, and only a few at a time write on afterwards.
Where the protocol leaves freedom: both sides ping, and whatever arrives shows that the peer lives. A peer that goes on
sending although it was asked to pause loses that stream, so that no stream holds more than `RECEIVE_LIMIT` bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import socket
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import aiohttp
from aiohttp import web

from clusternet_engine.tunnel import frames
from clusternet_engine.tunnel.frames import Frame, FrameType, MalformedFrame
from clusternet_engine.tunnel.stream import Stream, StreamError

PING_INTERVAL = 4.0
"""Seconds between the pings of either side; Clusternet's own agents send one every 5 s."""
SILENCE = 9.0
"""Seconds without a message after which the peer counts as gone, so that no request waits for longer."""
MAX_MESSAGE = 4 * 2**20
"""Bytes of the longest message that is accepted."""
MAX_STREAMS = 10_000
"""Streams a peer may have opened at the same time."""
CHUNK = 2**16
"""Bytes of data in one frame, so that the streams take turns."""
CONGESTED = 2**18
"""Bytes waiting for the websocket from which on writers are asked to wait."""
RELIEVED = CONGESTED // 4
RELIEVED_AT_ONCE = 4
"""Streams that write on at the same time; the others follow if that doesn't congest the websocket again."""
FLOODED = 2**21
"""Bytes waiting for the websocket from which on every stream is asked to wait, even one that hasn't written."""
SEND_LIMIT = 2**26
"""Bytes waiting for the websocket with which the session is given up: the peer makes us answer and does not read."""
CLOSE_TIMEOUT = 1.0
"""Seconds for the closing handshake of the websocket."""

DISCONNECTED = "tunnel disconnect"
"""What streams are told when their session ends."""
END = "EOF"
"""Text of an Error frame that says a stream has ended well."""

WebSocket: TypeAlias = aiohttp.ClientWebSocketResponse | web.WebSocketResponse
Accept: TypeAlias = Callable[[Stream, str, str], Coroutine[None, None, None]]
"""Serves a stream that the peer has opened: stream, network, address."""

Heed: TypeAlias = Callable[[Frame], None]
"""Acts on the peer's word about its clients, an AddClient or RemoveClient frame; may raise `MalformedFrame`."""

_CLIENT_FRAMES = (FrameType.ADD_CLIENT, FrameType.REMOVE_CLIENT)
_END_MESSAGES = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED)

log = logging.getLogger(__name__)


class Session:
    """One end of a websocket between hub and agent, or two hubs; `run` must run for anything to move.

    The websocket must be opened with `autoping=False`, without compression, and with `max_msg_size=MAX_MESSAGE`.

    Args:
        socket: the open websocket.
        key: how the session is called in messages and logs, `<client>/<session>`.
        accept: serves streams that the peer opens; None ends the session when it tries (spec/06 C5.7).
        heed: acts on what the peer says of its clients; None ignores it, as agents do.
        ping_interval: seconds between pings.
        silence: seconds without a message after which the session ends.
    """

    def __init__(
        self,
        socket: WebSocket,
        key: str,
        *,
        accept: Accept | None = None,
        heed: Heed | None = None,
        ping_interval: float = PING_INTERVAL,
        silence: float = SILENCE,
    ) -> None:
        self.key = key
        self.congested = False
        self._socket = socket
        self._accept = accept
        self._heed = heed
        self._ping_interval = ping_interval
        self._silence = silence
        self._streams: dict[int, Stream] = {}
        self._last_stream = 1
        self._frame_id = random.getrandbits(62)
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._flooded = False
        self._relief = asyncio.Event()
        self._throttled: dict[Stream, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard = time.monotonic()
        self._closed = False
        self._over = asyncio.Event()
        self._verdict = ""

    @property
    def closed(self) -> bool:
        """Whether the session has ended."""
        return self._closed

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def open(self, network: str, address: str) -> Stream:
        """Open a stream to an address that the peer dials; there is no answer, a failed dial ends the stream.

        Raises:
            ValueError: the address is too long for a Connect frame (spec/06 C5.8).
            StreamError: the session has ended.
        """
        payload = frames.connect_payload(network, address)
        if self._closed:
            raise StreamError(DISCONNECTED)
        self._last_stream += 1
        stream = self._streams[self._last_stream] = Stream(self, self._last_stream, address)
        self.send(stream.number, FrameType.CONNECT, payload)
        return stream

    def end(self, reason: str) -> None:
        """End the session; what it carries fails at once, and `run` returns the reason."""
        self._verdict = reason
        self._over.set()

    async def _judged(self) -> str:
        await self._over.wait()
        return self._verdict

    async def run(self) -> str:
        """Serve until the session ends and return why; every stream is told. Cancelling ends it, too."""
        reason = "cancelled"
        work = self._read(), self._write(), self._relieve(), self._ping(), self._listen(), self._judged()
        workers = [asyncio.create_task(one) for one in work]
        try:
            done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
            reason = done.pop().result()
        finally:
            self._closed = True
            for stream in list(self._streams.values()):
                stream.ended(StreamError(DISCONNECTED))
            self._streams.clear()
            self._throttled.clear()
            self._queue.clear()
            for task in (*workers, *self._tasks):
                task.cancel()
            await asyncio.gather(*workers, *self._tasks, return_exceptions=True)
            await self._close()
        return reason

    async def _close(self) -> None:
        """Close the websocket in order; cut a peer off that leaves no room for that.

        The handshake is a task of its own, since aiohttp lets whoever closes a congested connection be cancelled with
        those that were waiting for it.
        """
        connection = self._connection()
        closing = asyncio.create_task(self._socket.close())
        try:
            await asyncio.wait((closing,), timeout=CLOSE_TIMEOUT)
            if not closing.done() or closing.cancelled() or closing.exception() is not None:
                log.debug("the websocket of %s was not closed in order", self.key)
                if connection is not None:
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
        finally:
            closing.cancel()

    def _connection(self) -> Any:
        """Return the socket below the websocket; None if the peer has vanished, since TLS transports forget it then."""
        try:
            return self._socket.get_extra_info("socket")
        except AttributeError:
            return None

    def send(self, stream: int, kind: FrameType, payload: bytes | memoryview = b"") -> None:
        """Queue a frame; data are cut into frames of `CHUNK` bytes."""
        if self._closed:
            return
        if len(payload) > CHUNK:
            view = memoryview(payload)
            for start in range(0, len(view), CHUNK):
                self._enqueue(stream, kind, view[start : start + CHUNK])
        else:
            self._enqueue(stream, kind, payload)
        self._wake.set()

    def _enqueue(self, stream: int, kind: FrameType, payload: bytes | memoryview) -> None:
        message = frames.encode(self._frame_id, stream, kind, payload)
        self._frame_id = (self._frame_id + 1) & 0x7FFF_FFFF_FFFF_FFFF
        self._queue.append(message)
        self._queued += len(message)
        self.congested = self.congested or self._queued > CONGESTED
        if self._queued > FLOODED and not self._flooded:
            self._flooded = True
            for one in list(self._streams.values()):
                one.throttle()

    def throttled(self, stream: Stream) -> None:
        """A stream waits for the session to be relieved; it is told by `relieved`."""
        self._throttled[stream] = None

    def forget(self, stream: Stream) -> None:
        """A stream has ended."""
        self._streams.pop(stream.number, None)
        self._throttled.pop(stream, None)

    async def _write(self) -> str:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                message = self._queue.popleft()
                try:
                    await self._socket.send_bytes(message)
                except (ConnectionError, aiohttp.ClientError) as error:
                    return f"cannot send: {error}"
                self._queued -= len(message)
                if self.congested and self._queued <= RELIEVED:
                    self.congested = self._flooded = False
                    self._relief.set()

    async def _relieve(self) -> str:
        """Let those write on who have waited longest, as long as what they write doesn't congest the websocket."""
        while True:
            await self._relief.wait()
            self._relief.clear()
            while self._throttled and not self.congested:
                for stream in list(itertools.islice(self._throttled, RELIEVED_AT_ONCE)):
                    self._throttled.pop(stream, None)
                    stream.relieved()
                await asyncio.sleep(0)

    async def _ping(self) -> str:
        while True:
            await asyncio.sleep(self._ping_interval)
            try:
                await self._socket.ping()
            except (ConnectionError, aiohttp.ClientError) as error:
                return f"cannot send: {error}"

    async def _listen(self) -> str:
        """Wait until the peer has fallen silent; a task of its own, as sending waits for a peer that doesn't read."""
        while True:
            rest = self._heard + self._silence - time.monotonic()
            if rest <= 0:
                return f"nothing heard for {self._silence:g} s"
            await asyncio.sleep(rest)

    async def _read(self) -> str:
        while True:
            message = await self._socket.receive()
            self._heard = time.monotonic()
            match message.type:
                case aiohttp.WSMsgType.BINARY:
                    try:
                        problem = self._received(frames.decode(message.data))
                    except MalformedFrame as error:
                        return f"malformed frame: {error}"
                    if problem is not None:
                        return problem
                    if self._queued > SEND_LIMIT:
                        return "the peer does not read"
                case aiohttp.WSMsgType.PING:
                    try:
                        await self._socket.pong(message.data)
                    except (ConnectionError, aiohttp.ClientError) as error:
                        return f"cannot send: {error}"
                case aiohttp.WSMsgType.PONG:
                    pass
                case aiohttp.WSMsgType.TEXT:
                    return "the peer has sent a text message"
                case kind if kind in _END_MESSAGES:
                    return "closed by the peer"
                case _:
                    return f"the websocket failed: {message.data}"

    def _received(self, frame: Frame) -> str | None:
        """Act on a frame; return why the session must end, if it must."""
        if frame.type == FrameType.CONNECT:
            return self._connect(frame)
        if frame.type in _CLIENT_FRAMES:
            if self._heed is not None:
                self._heed(frame)
            return None
        stream = self._streams.get(frame.connection)
        if stream is None:
            if frame.type == FrameType.DATA:
                text = f"connection not found {self.key}/{frame.connection}"
                self.send(frame.connection, FrameType.ERROR, frames.shorten(text))
            return None
        match frame.type:
            case FrameType.DATA:
                stream.feed(frame.payload)
            case FrameType.ERROR:
                stream.ended(None if frame.text == END else StreamError(frame.text))
            case FrameType.PAUSE:
                stream.blocked()
            case FrameType.RESUME:
                stream.unblocked()
        return None

    def _connect(self, frame: Frame) -> str | None:
        if self._accept is None:
            return "connect not allowed"
        if frame.connection in self._streams:
            return f"stream {frame.connection} was opened twice"
        stream = self._streams[frame.connection] = Stream(self, frame.connection)
        try:
            network, address = frames.parse_connect(frame.payload)
        except ValueError as error:
            stream.fail(str(error))
            return None
        if len(self._streams) > MAX_STREAMS:
            stream.fail(f"more than {MAX_STREAMS} connections")
            return None
        stream.address = address
        task = asyncio.create_task(_serve(self._accept, stream, network, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return None


async def _serve(accept: Accept, stream: Stream, network: str, address: str) -> None:
    try:
        await accept(stream, network, address)
    except Exception:
        log.exception("serving a stream to %s failed", address)
        stream.fail("internal error")
