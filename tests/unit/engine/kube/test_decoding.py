"""JSON of any depth: what is readable is read, what isn't is named, and nothing that lost something is written."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.decoding import EVENT, LIST, OBJECT, NotJSON, decode, decode_aside, encode, marked
from clusternet_engine.kube.errors import Invalid
from clusternet_engine.kube.nesting import MARK, MAX_DEPTH, Incomplete, cut_deep, is_incomplete
from clusternet_engine.kube.resources import CONFIG_MAPS
from hypothesis import given
from hypothesis import strategies as st

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


def nested(levels: int, kind: str = "{") -> str:
    opening, closing = ('{"a":', "}") if kind == "{" else ("[", "]")
    return opening * levels + "1" + closing * levels


def depth_of(value: Any) -> int:
    """Return the levels of a value, without calling itself."""
    deepest, level = 0, [value]
    while level := [part for part in level if isinstance(part, dict | list)]:
        deepest += 1
        level = [part for one in level for part in (one.values() if isinstance(one, dict) else one)]
    return deepest


def without_deep(value: Any, levels: int) -> Any:
    """Return what `cut_deep` shall leave of a value."""
    if isinstance(value, dict | list) and levels == 0:
        return MARK
    if isinstance(value, dict):
        return {key: without_deep(part, levels - 1) for key, part in value.items()}
    return [without_deep(part, levels - 1) for part in value] if isinstance(value, list) else value


@given(json_values, st.integers(1, 6), st.sampled_from([None, 1]), st.booleans())
def test_exactly_what_is_too_deep_is_cut(value: Any, depth: int, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
    assert orjson.loads(cut_deep(text, depth)) == without_deep(orjson.loads(text), depth)


@given(st.binary() | st.text('"\\[]{},:a1').map(str.encode), st.integers(1, 3))
def test_any_bytes_are_cut_or_refused(text: bytes, depth: int) -> None:
    cut_deep(text, depth)
    try:
        decode(text)
    except NotJSON:
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(text)


@pytest.mark.parametrize("around", [OBJECT, EVENT, LIST])
@pytest.mark.parametrize("kind", ["{", "["])
def test_the_limit_is_the_same_wherever_an_object_comes_from(around: int, kind: str) -> None:
    for levels in (1, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 254, 255, 1024, 1025, 10_000):
        value, cut = decode(("[" * around + nested(levels, kind) + "]" * around).encode(), around)
        assert cut == (levels > MAX_DEPTH), levels
        assert depth_of(value) == min(levels, MAX_DEPTH) + around


@pytest.mark.parametrize("part", ['\\"', "[[]],", "[", '{"', "\\", '["'])
def test_a_megabyte_made_to_be_slow_is_read_in_linear_time(part: str) -> None:
    began = time.monotonic()
    with pytest.raises(NotJSON):
        decode(b'["' + part.encode() * (1_300_000 // len(part)))
    assert time.monotonic() - began < 10


async def test_a_long_text_does_not_hold_up_the_event_loop() -> None:
    text = f'{{"deep":{nested(5000)},"many":[{"[[]]," * 300_000}1]}}'.encode()
    decoding = asyncio.create_task(decode_aside(text))
    turns = 0
    while not decoding.done():
        await asyncio.sleep(0)
        turns += 1
    value, cut = decoding.result()
    assert cut
    assert len(value["many"]) == 300_001
    assert turns > 3


def test_only_the_objects_that_lost_something_are_incomplete() -> None:
    items = [{"metadata": {"name": "whole"}}, {"metadata": {"name": "deep"}, "status": json.loads(nested(500))}]
    page, cut = decode(json.dumps({"items": items}).encode(), LIST)
    whole, deep = map(marked, page["items"])
    assert cut
    assert (is_incomplete(whole), is_incomplete(deep)) == (False, True)
    assert isinstance(deep, Incomplete)
    assert deep["metadata"] == {"name": "deep"}


def test_managed_fields_alone_do_not_make_an_object_incomplete() -> None:
    managed = [{"fieldsV1": json.loads(nested(MAX_DEPTH))}]
    value, cut = decode(json.dumps({"metadata": {"name": "a", "managedFields": managed}}).encode())
    assert cut
    assert marked(value) == {"metadata": {"name": "a"}}
    assert not is_incomplete(marked(value))


def test_nothing_that_lost_something_is_written() -> None:
    value, _ = decode(nested(3000).encode())
    with pytest.raises(ValueError, match="nested deeper than 200 levels"):
        encode({"spec": {"copied": [value["a"]]}})
    with pytest.raises(ValueError, match="can't be written as JSON"):
        encode(json.loads(nested(300)))
    assert encode({"a": 1}) == b'{"a":1}'


@pytest.mark.parametrize("levels", [1_100, 9_000])
async def test_the_client_reads_and_does_not_write_back(server: Any, client: Client, answers: Any, levels: int) -> None:
    body = f'{{"metadata":{{"name":"a","namespace":"b","resourceVersion":"1"}},"data":{nested(levels)}}}'.encode()
    server.answers.append(answers.raw_watch(body))
    read = await client.get(CONFIG_MAPS, "a", "b")
    assert is_incomplete(read)
    assert read["metadata"]["name"] == "a"
    write: list[Callable[[], Any]] = [
        lambda: client.update(CONFIG_MAPS, read),
        lambda: client.update(CONFIG_MAPS, {**read, "status": {}}),
        lambda: client.create(CONFIG_MAPS, read),
        lambda: client.patch(CONFIG_MAPS, "a", {"data": read["data"]}, "b"),
    ]
    for attempt in write:
        with pytest.raises(Invalid, match="nested deeper"):
            await attempt()
    assert [method for method, *_ in server.requests] == ["GET"]
