"""Joins a stream to a socket: what the agent does with every connection the hub asks for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

from clusternet_engine.tunnel.stream import Stream

DIAL_TIMEOUT = 8.0
"""Seconds a dial may take; the hub waits 10 for the TLS handshake that follows."""

Dial: TypeAlias = Callable[[str, str, Callable[[], asyncio.Protocol]], Awaitable[asyncio.Transport]]
"""Connects a protocol to an address: network, address, factory of the protocol.

It raises PermissionError where the address may not be dialled and OSError where it can't be.
"""


class _End(asyncio.Protocol):
    """Protocol of one side: what it receives is written to the other side, at the pace of that one."""

    def __init__(self, other: asyncio.Transport) -> None:
        self._other: asyncio.Transport = other

    def data_received(self, data: bytes) -> None:
        self._other.write(data)

    def pause_writing(self) -> None:
        self._other.pause_reading()

    def resume_writing(self) -> None:
        self._other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            self._other.close()
        elif isinstance(self._other, Stream):
            self._other.fail(str(exc))
        else:
            self._other.abort()


class Entrance(_End):
    """Protocol of a connection that was accepted and goes on through a session.

    Args:
        open_stream: opens the stream to go on by; may fail with OSError or ValueError.
    """

    def __init__(self, open_stream: Callable[[], Stream]) -> None:
        self._open = open_stream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        accepted = cast("asyncio.Transport", transport)
        self._other = accepted
        try:
            stream = self._other = self._open()
        except (OSError, ValueError):
            accepted.abort()
        else:
            stream.start(_End(accepted))


async def relay(stream: Stream, network: str, address: str, dial: Dial) -> None:
    """Connect a stream that the peer has opened to the address it asks for; a failed dial ends the stream."""
    try:
        async with asyncio.timeout(DIAL_TIMEOUT):
            transport = await dial(network, address, lambda: _End(stream))
    except TimeoutError:
        stream.fail(f"dial {network} {address}: no connection within {DIAL_TIMEOUT:g} s")
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error)
        stream.fail(f"dial {network} {address}: {reason}")
    else:
        if stream.is_closing():
            transport.abort()
        else:
            stream.start(_End(transport))
