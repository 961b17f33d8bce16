"""Frames of the tunnel (spec/04 §3): one binary websocket message is one frame.

A frame is `varint(id) varint(connection) varint(type) [varint(15000)] payload`. The number 15000 is a deadline of
former times; it must be there in Data and Connect frames and is read by nobody.
"""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import NamedTuple

TEXT_LIMIT = 100
"""Bytes of an address or an error text that peers read."""

_VARINT_LIMIT = 10
_BITS = 64


class FrameType(IntEnum):
    """What a frame is for; peers ignore types they don't know."""

    DATA = 1
    CONNECT = 2
    ERROR = 3
    ADD_CLIENT = 4
    REMOVE_CLIENT = 5
    PAUSE = 6
    RESUME = 7


class Frame(NamedTuple):
    """One frame.

    Attributes:
        id: number for logs, never checked.
        connection: the stream it belongs to.
        type: a `FrameType`, or a number nobody knows yet.
        payload: the rest of the message, not copied.
    """

    id: int
    connection: int
    type: int
    payload: bytes | memoryview

    @property
    def text(self) -> str:
        """The payload as text, as much of it as peers read."""
        return bytes(self.payload[:TEXT_LIMIT]).decode(errors="replace")


class MalformedFrame(Exception):
    """A message is not a frame."""


def encode_varint(number: int) -> bytes:
    """Return a signed 64-bit number in Go's varint form: zig-zag, then groups of 7 bits, the lowest first.

    Raises:
        ValueError: the number has more than 64 bits.
    """
    if not -(1 << (_BITS - 1)) <= number < 1 << (_BITS - 1):
        raise ValueError(f"{number} has more than {_BITS} bits")
    rest = number << 1 if number >= 0 else (~number << 1) | 1
    groups = bytearray()
    while rest > 0x7F:
        groups.append(rest & 0x7F | 0x80)
        rest >>= 7
    groups.append(rest)
    return bytes(groups)


def decode_varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """Return the number that starts at a position, and the position after it.

    Raises:
        MalformedFrame: it is cut off, or has more than 64 bits.
    """
    rest = shift = 0
    for byte in data[position : position + _VARINT_LIMIT]:
        position += 1
        rest |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 and rest < 1 << _BITS:
            return (~(rest >> 1) if rest & 1 else rest >> 1), position
        if shift == 7 * _VARINT_LIMIT:
            raise MalformedFrame(f"a number has more than {_BITS} bits")
    raise MalformedFrame("a number is cut off")


_DEADLINE = encode_varint(15000)
_WITH_DEADLINE = (FrameType.DATA, FrameType.CONNECT)


def encode(number: int, connection: int, kind: int, payload: bytes | bytearray | memoryview = b"") -> bytes:
    """Return the message that carries a frame with this id, connection, type and payload."""
    deadline = _DEADLINE if kind in _WITH_DEADLINE else b""
    return b"".join((encode_varint(number), encode_varint(connection), encode_varint(kind), deadline, payload))


def decode(message: bytes) -> Frame:
    """Return the frame a message carries.

    Raises:
        MalformedFrame: it carries none.
    """
    number, position = decode_varint(message, 0)
    connection, position = decode_varint(message, position)
    kind, position = decode_varint(message, position)
    if kind in _WITH_DEADLINE:
        _, position = decode_varint(message, position)
    return Frame(number, connection, kind, memoryview(message)[position:])


def shorten(text: str) -> bytes:
    """Return an error text cut to what peers read, without half a character at its end."""
    return text.encode(errors="replace")[:TEXT_LIMIT].decode(errors="ignore").encode()


def connect_payload(network: str, address: str) -> bytes:
    """Return the payload of a Connect frame.

    Raises:
        ValueError: it is longer than peers read; they would dial another address.
    """
    payload = f"{network}/{address}".encode()
    if len(payload) > TEXT_LIMIT:
        room = TEXT_LIMIT - len(payload) + len(address.encode())
        raise ValueError(f"address {address!r} is too long for the tunnel, which takes {room} bytes")
    return payload


def parse_connect(payload: bytes | memoryview) -> tuple[str, str]:
    """Return network and address of a Connect frame.

    Raises:
        ValueError: it is longer than peers read, so it can't be told whether it is whole; or it is not of that form.
    """
    if len(payload) > TEXT_LIMIT:
        raise ValueError(f"the address is longer than {TEXT_LIMIT} bytes")
    network, slash, address = bytes(payload).decode(errors="replace").partition("/")
    if not slash or not network or not address:
        raise ValueError("the address is not of the form network/address")
    return sys.intern(network), address


def client_payload(key: str) -> bytes:
    """Return the payload of an AddClient or RemoveClient frame.

    Args:
        key: of the client's session, `<client>/<session>`.

    Raises:
        ValueError: it is longer than peers read.
    """
    payload = key.encode()
    if len(payload) > TEXT_LIMIT:
        raise ValueError(f"session {key!r} has more than {TEXT_LIMIT} bytes")
    return payload


def parse_client(payload: bytes | memoryview) -> tuple[str, str]:
    """Return the client of an AddClient or RemoveClient frame, and the key of its session.

    Raises:
        MalformedFrame: it is longer than peers read, or not of the form client/number.
    """
    key = bytes(payload).decode(errors="replace")
    client, _, session = key.partition("/")
    if len(payload) > TEXT_LIMIT or not client or not (session.isascii() and session.isdigit()):
        raise MalformedFrame(f"{key[:TEXT_LIMIT]!r} is not of the form client/number")
    return client, key
