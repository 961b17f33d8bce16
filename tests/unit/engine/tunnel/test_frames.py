"""Frames on the wire: worked examples, round trips, and whatever else may arrive."""

import pytest
from clusternet_engine.tunnel import frames
from clusternet_engine.tunnel.frames import Frame, FrameType, MalformedFrame
from hypothesis import example, given, settings
from hypothesis import strategies as st

numbers = st.integers(-(2**63), 2**63 - 1)


def test_c5_1_connect_frame() -> None:
    message = bytes.fromhex("020404b0ea01") + b"tcp/a:1"
    assert frames.encode(1, 2, FrameType.CONNECT, b"tcp/a:1") == message
    frame = frames.decode(message)
    assert frame == Frame(1, 2, FrameType.CONNECT, b"tcp/a:1")
    assert frames.parse_connect(frame.payload) == ("tcp", "a:1")


@pytest.mark.parametrize(
    ("kind", "payload", "message"),
    [
        (FrameType.DATA, b"x", "020402b0ea0178"),
        (FrameType.ERROR, b"EOF", "020406454f46"),
        (FrameType.ADD_CLIENT, b"c/s", "020408632f73"),
        (FrameType.REMOVE_CLIENT, b"c/s", "02040a632f73"),
        (FrameType.PAUSE, b"", "02040c"),
        (FrameType.RESUME, b"", "02040e"),
    ],
)
def test_every_type(kind: FrameType, payload: bytes, message: str) -> None:
    assert frames.encode(1, 2, kind, payload).hex() == message
    assert frames.decode(bytes.fromhex(message)) == Frame(1, 2, kind, payload)


@pytest.mark.parametrize(
    ("number", "encoded"),
    [
        (0, "00"),
        (-1, "01"),
        (1, "02"),
        (63, "7e"),
        (-64, "7f"),
        (64, "8001"),
        (15000, "b0ea01"),
        (2**63 - 1, "feffffffffffffffff01"),
        (-(2**63), "ffffffffffffffffff01"),
    ],
)
def test_numbers(number: int, encoded: str) -> None:
    assert frames.encode_varint(number).hex() == encoded
    assert frames.decode_varint(bytes.fromhex(encoded), 0) == (number, len(encoded) // 2)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_numbers_that_do_not_fit(number: int) -> None:
    with pytest.raises(ValueError, match="more than 64 bits"):
        frames.encode_varint(number)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("", "cut off"),
        ("80", "cut off"),
        ("02", "cut off"),
        ("0204", "cut off"),
        ("020402", "cut off"),  # Data without its deadline
        ("020404", "cut off"),
        ("02040480", "cut off"),
        ("ffffffffffffffffff02", "more than 64 bits"),
        ("ffffffffffffffffffff01", "more than 64 bits"),
    ],
)
def test_what_is_no_frame(message: str, why: str) -> None:
    with pytest.raises(MalformedFrame, match=why):
        frames.decode(bytes.fromhex(message))


@given(numbers, numbers, numbers, st.binary(max_size=200))
def test_round_trip(number: int, connection: int, kind: int, payload: bytes) -> None:
    assert frames.decode(frames.encode(number, connection, kind, payload)) == Frame(number, connection, kind, payload)


@settings(max_examples=2000)
@given(st.binary(max_size=64))
@example(b"\xff" * 64)
@example(b"\x80" * 64)
def test_any_message_is_a_frame_or_malformed(message: bytes) -> None:
    try:
        frame = frames.decode(message)
    except MalformedFrame:
        return
    assert len(frame.payload) < len(message)
    assert len(frame.text) <= 100
    assert frames.decode(frames.encode(*frame)) == frame
    try:
        network, address = frames.parse_connect(frame.payload)
    except ValueError:
        return
    assert network
    assert address


def test_c5_8_addresses_that_peers_would_cut_off() -> None:
    longest = "h" * 91 + ":6443"
    assert len(frames.connect_payload("tcp", longest)) == 100
    assert frames.parse_connect(frames.connect_payload("tcp", longest)) == ("tcp", longest)
    with pytest.raises(ValueError, match="too long for the tunnel"):
        frames.connect_payload("tcp", "h" + longest)
    with pytest.raises(ValueError, match="longer than 100 bytes"):
        frames.parse_connect(b"tcp/h" + longest.encode())


@pytest.mark.parametrize("payload", [b"", b"tcp", b"tcp/", b"/a:1"])
def test_what_is_no_address(payload: bytes) -> None:
    with pytest.raises(ValueError, match="network/address"):
        frames.parse_connect(payload)


def test_clients_that_hubs_tell_each_other_of() -> None:
    key = "7ff1a5c6-0000-0000-0000-000000000001/9223372036854775807"
    payload = frames.client_payload(key)
    assert payload == key.encode()
    assert frames.parse_client(payload) == ("7ff1a5c6-0000-0000-0000-000000000001", key)
    assert len(frames.client_payload("c" * 98 + "/1")) == 100
    with pytest.raises(ValueError, match="more than 100 bytes"):
        frames.client_payload("c" * 99 + "/1")


@pytest.mark.parametrize("payload", [b"", b"c", b"c/", b"/1", b"c/x", b"c/1/2", b"c/\xd9\xa1", b"c" * 99 + b"/1"])
def test_what_is_no_client(payload: bytes) -> None:
    with pytest.raises(MalformedFrame, match="client/number"):
        frames.parse_client(payload)


def test_error_texts_are_cut_between_characters() -> None:
    assert frames.shorten("EOF") == b"EOF"
    assert frames.shorten("x" + "ä" * 60) == ("x" + "ä" * 49).encode()
    assert Frame(1, 2, FrameType.ERROR, b"y" * 300).text == "y" * 100
