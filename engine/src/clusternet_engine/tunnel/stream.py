"""A stream: one connection inside a session, as an asyncio transport.

So everything that speaks asyncio's protocols works over the tunnel: TLS, HTTP clients, another socket.
There is no half-close: the end of one direction ends both (spec/04 §3).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

from clusternet_engine.tunnel import frames
from clusternet_engine.tunnel.frames import FrameType

if TYPE_CHECKING:
    from clusternet_engine.tunnel.session import Session

PAUSE_ABOVE = 2**21
"""Bytes received and not yet taken from which on the peer is asked to pause."""
RESUME_BELOW = PAUSE_ABOVE // 8
RECEIVE_LIMIT = 2**25
"""Bytes received and not yet taken with which a stream is given up: the peer does not heed Pause."""
DELIVERY = 2**18
"""Bytes given to a protocol at once, of those that were kept for it."""

log = logging.getLogger(__name__)


class StreamError(ConnectionError):
    """A stream or its session has ended otherwise than well."""


class Stream(asyncio.Transport):
    """One connection of a session; data that arrive before there is a protocol are kept for it.

    Attributes:
        number: its number in frames.
        address: what is at the other end.
    """

    _start_tls_compatible = True  # asyncio: may be given to `loop.start_tls`

    def __init__(self, session: Session, number: int, address: str = "") -> None:
        super().__init__()
        self.number = number
        self.address = address
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._protocol: asyncio.BaseProtocol | None = None
        self._reading = False
        self._received = bytearray()
        self._peer_paused = False
        self._draining = False
        self._pending = bytearray()
        self._blocked = False
        self._writing_paused = False
        self._closing = False
        self._peer_ended = False
        self._lost = False

    # What asyncio and protocols call

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the address as `peername`; there is no socket."""
        return self.address if name == "peername" else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the stream to a protocol; a new one begins to read by `resume_reading`."""
        self._protocol = protocol
        if self._writing_paused:
            protocol.pause_writing()

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol."""
        assert self._protocol is not None
        return self._protocol

    def start(self, protocol: asyncio.BaseProtocol) -> None:
        """Give a stream its first protocol: `connection_made`, then what has arrived so far."""
        self.set_protocol(protocol)
        protocol.connection_made(self)
        self.throttle()
        self.resume_reading()

    def is_closing(self) -> bool:
        """Return whether the stream ends or has ended."""
        return self._closing or self._lost

    def is_reading(self) -> bool:
        """Return whether the protocol takes data."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Keep what arrives; the peer is asked to pause when that becomes much."""
        self._reading = False

    def resume_reading(self) -> None:
        """Give the protocol what was kept, then what arrives."""
        if self._reading or self._closing or self._lost:
            return
        self._reading = True
        self._drain_soon()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send data, or keep them while the peer has asked to pause."""
        if self._closing or self._lost or self._peer_ended or not data:
            return
        if self._blocked or self._pending:
            self._pending += data
        else:
            self._session.send(self.number, FrameType.DATA, cast("bytes", data))
        self.throttle()

    def can_write_eof(self) -> bool:
        """Return False: there is no half-close."""
        return False

    def get_write_buffer_size(self) -> int:
        """Return the bytes that wait for the peer to resume."""
        return len(self._pending)

    def close(self) -> None:
        """Send what is kept, then end the stream."""
        if self._closing or self._lost:
            return
        self._closing = True
        self._drop_received()
        if not self._pending:
            self._end("EOF")

    def abort(self) -> None:
        """End the stream at once."""
        self._pending.clear()
        self._closing = True
        self._end("connection aborted")

    def _force_close(self, error: Exception | None) -> None:
        """What asyncio's TLS calls when a handshake fails."""
        if not self._lost and not self._peer_ended:
            self._session.send(self.number, FrameType.ERROR, b"connection aborted")
        self._closing = True
        self._lose(error)

    def fail(self, reason: str) -> None:
        """End the stream at once and tell the peer why."""
        self._closing = True
        self._end(reason)

    def _end(self, text: str) -> None:
        if self._lost:
            return
        if not self._peer_ended:
            self._session.send(self.number, FrameType.ERROR, frames.shorten(text))
        self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        self._drop_received()
        self._pending.clear()
        self._session.forget(self)
        if self._protocol is not None:
            self._loop.call_soon(self._protocol.connection_lost, error)

    # What the session calls

    def feed(self, data: bytes | memoryview) -> None:
        """Data have arrived."""
        if self._closing or self._lost or self._peer_ended:
            return
        if self._reading and not self._received:
            self._deliver(data)
            return
        self._received += data
        if len(self._received) > RECEIVE_LIMIT:
            error = StreamError("the peer sends on although it was asked to pause")
            self._session.send(self.number, FrameType.ERROR, frames.shorten(str(error)))
            self._lose(error)
        elif len(self._received) > PAUSE_ABOVE and not self._peer_paused:
            self._peer_paused = True
            self._session.send(self.number, FrameType.PAUSE)

    def ended(self, error: Exception | None) -> None:
        """The peer, or the session, has ended the stream; None means that all went well."""
        if self._lost or self._peer_ended:
            return
        self._peer_ended = True
        if error is not None or self._closing:
            self._lose(error)
        else:
            self._pending.clear()
            self.unblocked()
            self._drain_soon()

    def blocked(self) -> None:
        """The peer asks to pause."""
        self._blocked = True
        self.throttle()

    def unblocked(self) -> None:
        """The peer takes data again."""
        self._blocked = False
        self.relieved()

    def relieved(self) -> None:
        """The session may take data again: send what is kept, then let the protocol write on."""
        if self._lost or self._blocked:
            return
        if self._pending and not self._session.congested:
            self._session.send(self.number, FrameType.DATA, bytes(self._pending))
            self._pending.clear()
        if self._closing and not self._pending:
            self._end("EOF")
        elif self._session.congested:
            self._session.throttled(self)
        elif self._writing_paused and self._protocol is not None:
            self._writing_paused = False
            self._protocol.resume_writing()

    def throttle(self) -> None:
        """Ask the protocol to wait while the session is congested or the peer has asked to pause."""
        congested = self._session.congested
        if congested:
            self._session.throttled(self)
        if (congested or self._blocked) and not self._writing_paused and self._protocol is not None:
            self._writing_paused = True
            self._protocol.pause_writing()

    def _drain_soon(self) -> None:
        if not self._draining:
            self._draining = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._draining = False
        while self._reading and self._received and not self._closing:
            data = bytes(self._received[:DELIVERY])
            del self._received[:DELIVERY]
            self._deliver(data)
        if self._peer_paused and len(self._received) < RESUME_BELOW and not self._closing:
            self._peer_paused = False
            if not self._peer_ended:
                self._session.send(self.number, FrameType.RESUME)
        if self._peer_ended and self._reading and not self._received and not self._lost and not self._closing:
            self._deliver_end()

    def _drop_received(self) -> None:
        self._reading = False
        self._received.clear()

    def _deliver(self, data: bytes | memoryview) -> None:
        try:
            if isinstance(self._protocol, asyncio.BufferedProtocol):
                _fill(self._protocol, memoryview(data))
            else:
                cast("asyncio.Protocol", self._protocol).data_received(bytes(data))
        except Exception as error:
            log.exception("stream to %s: the protocol failed", self.address)
            self._session.send(self.number, FrameType.ERROR, b"internal error")
            self._lose(error)

    def _deliver_end(self) -> None:
        keep_open = cast("asyncio.Protocol", self._protocol).eof_received()
        if not keep_open:
            self._lose(None)


def _fill(protocol: asyncio.BufferedProtocol, data: memoryview) -> None:
    while data:
        buffer = memoryview(cast("bytearray", protocol.get_buffer(len(data))))
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]
