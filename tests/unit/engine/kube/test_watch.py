"""The decoder of watch streams, against any bytes."""

from __future__ import annotations

import itertools
import json

import pytest
from clusternet_engine.kube import watch
from clusternet_engine.kube.errors import ApiError, Expired
from clusternet_engine.kube.watch import MalformedEvent, WatchDecoder
from hypothesis import given
from hypothesis import strategies as st


def line(type_: str, version: str, name: str = "x") -> bytes:
    return json.dumps({"type": type_, "object": {"metadata": {"name": name, "resourceVersion": version}}}).encode()


events = st.lists(
    st.tuples(
        st.sampled_from(["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]),
        st.integers(0, 10**9).map(str),
        st.text(min_size=1, max_size=40),
    ),
    max_size=20,
)


@given(events, st.lists(st.integers(0, 4000)), st.sampled_from([b"\n", b"\r\n", b"\n\n"]))
def test_chunks_may_end_anywhere(wanted: list[tuple[str, str, str]], cuts: list[int], newline: bytes) -> None:
    stream = b"".join(
        json.dumps({"type": t, "object": {"metadata": {"name": n, "resourceVersion": v}}}, ensure_ascii=False).encode()
        + newline
        for t, v, n in wanted
    )
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    decoder = WatchDecoder("/p")
    got = [event for a, b in itertools.pairwise(edges) for event in decoder.feed(stream[a:b])]
    assert [(e.type, e.resource_version, e.object["metadata"]["name"]) for e in got] == wanted
    assert not decoder.partial


@given(st.lists(st.binary()))
def test_any_bytes_are_events_or_refused(chunks: list[bytes]) -> None:
    decoder = WatchDecoder("/p")
    try:
        for chunk in chunks:
            for event in decoder.feed(chunk):
                assert event.type in watch.EVENT_TYPES
    except (MalformedEvent, ApiError):
        return
    assert decoder.partial == bool(b"".join(chunks).rpartition(b"\n")[2])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "object",
                    "metadata",
                    "name",
                    "resourceVersion",
                    "code",
                    "reason",
                    "details",
                    "message",
                    "retryAfterSeconds",
                ]
            )
            | st.text(),
            inner,
        )
    ),
    max_leaves=15,
)
envelopes = json_values | st.fixed_dictionaries(
    {"type": st.sampled_from([*sorted(watch.EVENT_TYPES), "OTHER"]) | json_values, "object": json_values}
)


@given(envelopes)
def test_any_json_is_an_event_or_refused(value: object) -> None:
    decoder = WatchDecoder("/p")
    try:
        got = list(decoder.feed(json.dumps(value).encode() + b"\n"))
    except (MalformedEvent, ApiError):
        return
    assert len(got) == 1
    assert got[0].resource_version
    assert got[0].type == "BOOKMARK" or got[0].object["metadata"]["name"] is not None


def test_error_event_is_raised_typed_after_the_events_before_it() -> None:
    decoder = WatchDecoder("/api/v1/pods")
    status = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'
    stream = decoder.feed(line("ADDED", "1") + b"\n" + status)
    assert next(stream).resource_version == "1"
    with pytest.raises(Expired, match="WATCH /api/v1/pods: 410 Expired: too old"):
        next(stream)


def test_error_event_of_another_kind() -> None:
    with pytest.raises(ApiError) as raised:
        list(WatchDecoder("/p").feed(b'{"type":"ERROR","object":{"code":500,"message":"etcd"}}\n'))
    assert raised.value.status == 500


def test_huge_event_in_small_chunks() -> None:
    body = line("ADDED", "7", "n" * 3_000_000) + b"\n"
    decoder = WatchDecoder("/p")
    got = [event for i in range(0, len(body), 1400) for event in decoder.feed(body[i : i + 1400])]
    assert [len(event.object["metadata"]["name"]) for event in got] == [3_000_000]


def test_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MAX_LINE", 1000)
    decoder = WatchDecoder("/p")
    with pytest.raises(MalformedEvent, match="longer than 1000"):  # noqa: PT012
        for _ in range(20):
            list(decoder.feed(b"x" * 100))


def test_refusals_do_not_show_the_content() -> None:
    for content in (b"token-abc\n", b'{"type":"ADDED","object":{"data":"token-abc"}}\n', b'["token-abc"]\n'):
        with pytest.raises(MalformedEvent) as raised:
            list(WatchDecoder("/p").feed(content))
        assert "token-abc" not in str(raised.value)
