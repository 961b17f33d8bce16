"""The informer against a server that forgets, cuts and lies."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from clusternet_engine import metrics
from clusternet_engine.kube import informer as informer_module
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.nesting import is_incomplete
from clusternet_engine.kube.resources import CONFIG_MAPS, object_key

Until = Callable[[Callable[[], object]], Awaitable[None]]


@asynccontextmanager
async def running(informer: Informer) -> AsyncIterator[Informer]:
    task = asyncio.create_task(informer.run())
    try:
        yield informer
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Replay:
    """What a handler that only sees changes believes."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.objects: dict[str, Any] = {}

    def __call__(self, change: Change) -> None:
        self.changes.append(change)
        key = object_key(change.object)
        if change.type == "DELETED":
            del self.objects[key]
        else:
            assert (key in self.objects) == (change.type == "MODIFIED")
            self.objects[key] = change.new


def data_of(objects: list[Any]) -> dict[str, Any]:
    return {obj["metadata"]["name"]: obj["data"] for obj in objects}


async def test_lists_then_follows(server: Any, client: Client, until: Until) -> None:
    for n in range(1203):
        server.put(f"m-{n:04}", n=str(n))
    informer = Informer(client, CONFIG_MAPS)
    replay = Replay()
    informer.add_handler(replay)
    informer.add_index("n", lambda obj: [obj["data"].get("n", "")])
    async with running(informer):
        await informer.wait_synced(20)
        assert len(informer.items()) == 1203
        assert sum(query.get("limit") == "500" for _, _, query, _ in server.requests) == 3
        server.put("m-0001", n="changed")
        server.delete("m-0002")
        server.put("new", n="new")
        await until(lambda: informer.get("new", "default"))
        assert [obj["metadata"]["name"] for obj in informer.by_index("n", "changed")] == ["m-0001"]
        assert informer.by_index("n", "1") == []
        assert informer.get("m-0002", "default") is None
        assert [change.type for change in replay.changes[1203:]] == ["MODIFIED", "DELETED", "ADDED"]
        assert all("managedFields" not in obj["metadata"] for obj in informer.items())
        assert all(obj["kind"] == "ConfigMap" and obj["apiVersion"] == "v1" for obj in informer.items())
        late = Replay()
        informer.add_handler(late)
        assert late.objects == replay.objects


async def test_resumes_after_a_cut_without_listing_again(server: Any, client: Client, until: Until) -> None:
    server.put("a", v="1")
    informer = Informer(client, CONFIG_MAPS)
    async with running(informer):
        await informer.wait_synced(10)
        for round_ in range(5):
            await until(lambda: server.watchers)
            server.cut_watches()
            server.put("a", v=f"round {round_}")
            await until(lambda v=f"round {round_}": informer.get("a", "default")["data"]["v"] == v)
    assert sum("watch" not in query for _, _, query, _ in server.requests) == 1


async def test_a_cut_after_events_is_not_one_failure_more(
    server: Any, client: Client, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted together, the cuts of a long life would end in waiting for hours here."""
    monkeypatch.setattr(informer_module, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(informer_module, "MAX_DELAY", 3600.0)
    server.put("a", v="1")
    informer = Informer(client, CONFIG_MAPS)
    async with running(informer):
        await informer.wait_synced(10)
        for cut in range(20):
            await until(lambda: server.watchers)
            server.put("a", v=f"cut {cut}")
            await until(lambda v=f"cut {cut}": informer.get("a", "default")["data"]["v"] == v)
            server.cut_watches()
            await until(lambda: not server.watchers)


async def test_lists_again_when_the_server_forgot(server: Any, client: Client, until: Until) -> None:
    for name in ("same", "changed", "gone", "recreated"):
        server.put(name, v="old")
    informer = Informer(client, CONFIG_MAPS)
    replay = Replay()
    informer.add_handler(replay)
    async with running(informer):
        await informer.wait_synced(10)
        await until(lambda: server.watchers)
        await server.stop()
        server.put("changed", v="new")
        server.delete("gone")
        server.delete("recreated")
        server.put("recreated", v="new")
        server.put("added", v="new")
        server.forget_history()
        await server.start()
        await until(lambda: informer.get("added", "default"))
        told = [(change.type, change.object["metadata"]["name"]) for change in replay.changes[4:]]
        assert sorted(told) == [
            ("ADDED", "added"),
            ("ADDED", "recreated"),
            ("DELETED", "gone"),
            ("DELETED", "recreated"),
            ("MODIFIED", "changed"),
        ]
        assert told[0] == ("DELETED", "gone")
        server.put("same", v="followed")
        await until(lambda: informer.get("same", "default")["data"]["v"] == "followed")


async def test_410_as_http_status(server: Any, client: Client, until: Until, answers: Any) -> None:
    server.put("a")
    informer = Informer(client, CONFIG_MAPS)
    async with running(informer):
        await informer.wait_synced(10)
        await until(lambda: server.watchers)
        server.answers.append(answers.status(410, "Gone"))
        server.cut_watches()
        server.put("b")
        await until(lambda: informer.get("b", "default"))
    assert sum("watch" not in query for _, _, query, _ in server.requests) == 2


async def test_survives_garbage_half_lines_and_errors(
    server: Any, client: Client, until: Until, answers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(informer_module, "MAX_DELAY", 0.2)
    server.put("a", v="1")
    half = b'{"type":"ADDED","object":{"metadata":{"name":"half","names'
    server.answers += [
        answers.status(503, "ServiceUnavailable"),
        answers.status(403, "Forbidden"),
    ]
    informer = Informer(client, CONFIG_MAPS)
    replay = Replay()
    informer.add_handler(replay)
    async with running(informer):
        await informer.wait_synced(10)
        for answer in (
            answers.raw_watch(half),
            answers.raw_watch(half, abort=True),
            answers.raw_watch(b"<html>\n"),
            answers.raw_watch(b""),
            answers.status(500, "InternalError"),
            answers.status(429, "TooManyRequests", headers={"Retry-After": "1"}),
        ):
            await until(lambda: server.watchers)
            server.answers.append(answer)
            server.cut_watches()
            await until(lambda: not server.answers)
        server.put("b", v="2")
        await until(lambda: informer.get("b", "default"))
        assert data_of(informer.items()) == {"a": {"v": "1"}, "b": {"v": "2"}}
        assert informer.last_error is None
        assert informer.get("half", "default") is None


async def test_bookmarks_move_the_version_to_resume_from(
    server: Any, client: Client, until: Until, answers: Any
) -> None:
    server.put("a")
    bookmark = b'{"type":"BOOKMARK","object":{"kind":"ConfigMap","metadata":{"resourceVersion":"4711"}}}\n'
    informer = Informer(client, CONFIG_MAPS)
    async with running(informer):
        await informer.wait_synced(10)
        await until(lambda: server.watchers)
        server.answers.append(answers.raw_watch(bookmark))
        server.cut_watches()
        await until(lambda: any(query.get("resourceVersion") == "4711" for _, _, query, _ in server.requests))
    assert all(query.get("allowWatchBookmarks") == "true" for _, _, query, _ in server.requests if "watch" in query)


async def test_a_watch_that_always_ends_at_once_does_not_spin(server: Any, client: Client, answers: Any) -> None:
    server.put("a")
    informer = Informer(client, CONFIG_MAPS)
    async with running(informer):
        await informer.wait_synced(10)
        server.answers += [answers.raw_watch() for _ in range(500)]
        server.cut_watches()
        await asyncio.sleep(1)
    assert len(server.requests) < 15


async def test_wait_synced_says_why_not(server: Any, client: Client, answers: Any) -> None:
    server.answers += [answers.status(403, "Forbidden", "user x cannot list") for _ in range(100)]
    informer = Informer(client, CONFIG_MAPS)
    async with running(informer):
        with pytest.raises(TimeoutError, match=r"configmaps not listed within 0\.3 s: .*user x cannot list"):
            await informer.wait_synced(0.3)
        assert not informer.synced


async def test_a_failing_handler_harms_nobody(server: Any, client: Client, until: Until) -> None:
    informer = Informer(client, CONFIG_MAPS)
    replay = Replay()

    def broken(change: Change) -> None:
        raise RuntimeError("broken")

    informer.add_handler(broken)
    informer.add_handler(replay)
    async with running(informer):
        await informer.wait_synced(10)
        server.put("a")
        await until(lambda: "default/a" in replay.objects)


async def test_server_absent_at_start(fake_api_server: Any, until: Until) -> None:
    fake = fake_api_server()
    await fake.start()
    await fake.stop()
    fake.put("a")
    async with Client(ClusterConfig(server=fake.url)) as client, running(Informer(client, CONFIG_MAPS)) as informer:
        await until(lambda: informer.last_error)
        assert "refused" in str(informer.last_error)
        await fake.start()
        await informer.wait_synced(10)
    await fake.stop()


@pytest.mark.parametrize("seed", range(12))
async def test_random_weather(
    server: Any, client: Client, until: Until, answers: Any, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any mix of changes, cuts, restarts and forgotten history, cache and handler know what the server has."""
    monkeypatch.setattr(informer_module, "MAX_DELAY", 0.2)
    chance = random.Random(seed)
    names = [f"m{n}" for n in range(6)]
    informer = Informer(client, CONFIG_MAPS)
    replay = Replay()
    informer.add_handler(replay)
    informer.add_index("v", lambda obj: [obj["data"]["v"]])
    async with running(informer):
        for step in range(60):
            match chance.choice(["put", "put", "put", "delete", "cut", "forget", "restart", "410", "half", "wait"]):
                case "put":
                    server.put(chance.choice(names), v=str(chance.randrange(3)))
                case "delete":
                    server.delete(chance.choice(names))
                case "cut":
                    server.cut_watches()
                case "forget":
                    server.forget_history()
                case "restart":
                    await server.stop()
                    if chance.random() < 0.5:
                        server.put(chance.choice(names), v=str(step % 3))
                    await server.start()
                case "410":
                    server.answers.append(answers.status(410, "Expired"))
                    server.cut_watches()
                case "half":
                    server.answers.append(answers.raw_watch(b'{"type":"ADD', abort=chance.random() < 0.5))
                    server.cut_watches()
                case _:
                    await asyncio.sleep(chance.random() * 0.05)
        server.answers.clear()

        def agrees() -> bool:
            stripped = {
                f"default/{name}": (obj["metadata"]["resourceVersion"], obj["data"])
                for name, obj in server.objects.items()
            }
            cached = {object_key(o): (o["metadata"]["resourceVersion"], o["data"]) for o in informer.items()}
            told = {key: (o["metadata"]["resourceVersion"], o["data"]) for key, o in replay.objects.items()}
            return cached == stripped == told

        await until(lambda: informer.synced and agrees())
        for value in ("0", "1", "2"):
            wanted = sorted(name for name, obj in server.objects.items() if obj["data"]["v"] == value)
            assert sorted(obj["metadata"]["name"] for obj in informer.by_index("v", value)) == wanted


def deep_line(type_: str, name: str, version: int, levels: int) -> bytes:
    status = '{"a":' * levels + "1" + "}" * levels
    metadata = f'{{"name":"{name}","namespace":"default","uid":"u-{name}","resourceVersion":"{version}"}}'
    return f'{{"type":"{type_}","object":{{"metadata":{metadata},"data":{{}},"status":{status}}}}}\n'.encode()


@pytest.mark.parametrize("levels", [1_100, 9_000])
async def test_an_object_nested_too_deeply_is_named_and_ends_no_watch(
    server: Any, client: Client, until: Until, answers: Any, levels: int, caplog: pytest.LogCaptureFixture
) -> None:
    server.put("a", v="1")
    informer = Informer(client, CONFIG_MAPS)
    told: list[tuple[str, str]] = []
    replay = Replay()
    informer.add_handler(replay)
    informer.faults.listen(lambda obj, message: told.append((object_key(obj), message)))
    async with running(informer):
        await informer.wait_synced(10)
        await until(lambda: server.watchers)
        server.answers.append(
            answers.raw_watch(
                deep_line("ADDED", "deep", 5, levels),
                deep_line("MODIFIED", "deep", 6, levels),
                b'{"type":"ADDED","object":{"metadata":{"name":"after","namespace":"default","resourceVersion":"7"}}}\n',
                deep_line("MODIFIED", "deep", 8, 10),
                deep_line("MODIFIED", "deep", 9, levels),
                deep_line("DELETED", "deep", 10, levels),
                b'{"type":"ADDED","object":{"metadata":{"name":"last","namespace":"default","resourceVersion":"11"}}}\n',
            )
        )
        server.cut_watches()
        await until(lambda: informer.get("last", "default"))
        assert informer.get("after", "default")
        assert informer.get("deep", "default") is None
        assert [change.type for change in replay.changes] == [
            "ADDED", "ADDED", "MODIFIED", "ADDED", "MODIFIED", "MODIFIED", "DELETED", "ADDED",
        ]  # fmt: skip
    assert told == [("default/deep", "it is nested deeper than 200 levels; what is deeper is left out")] * 2
    assert len(informer.faults) == 0
    assert "not JSON" not in caplog.text


@pytest.mark.parametrize("levels", [1_100, 9_000])
async def test_an_object_nested_too_deeply_does_not_keep_the_rest_from_being_listed(
    server: Any, client: Client, until: Until, answers: Any, levels: int
) -> None:
    item = deep_line("ADDED", "deep", 5, levels)[len('{"type":"ADDED","object":') : -2]
    whole = b'{"metadata":{"name":"a","namespace":"default","resourceVersion":"4"}}'
    page = b'{"metadata":{"resourceVersion":"6"},"items":[' + whole + b"," + item + b"]}"
    server.answers.append(answers.raw_watch(page))
    informer = Informer(client, CONFIG_MAPS)
    async with running(informer):
        await informer.wait_synced(10)
        assert [obj["metadata"]["name"] for obj in informer.items()] == ["a", "deep"]
        assert [is_incomplete(obj) for obj in informer.items()] == [False, True]
        assert informer.get("deep", "default")["kind"] == "ConfigMap"
        late: list[str] = []
        end = informer.faults.listen(lambda obj, message: late.append(object_key(obj)))
        assert late == ["default/deep"]
        end()


async def test_what_fails_on_one_object_stops_no_other(
    server: Any, client: Client, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    def n_of(obj: Any) -> list[str]:
        return [obj["data"]["n"]]

    def bad_handler(change: Change) -> None:
        if "n" not in change.object["data"]:
            raise KeyError("the secret content")

    server.put("bad")
    server.put("good", n="1")
    informer = Informer(client, CONFIG_MAPS)
    informer.add_index("n", n_of)
    informer.add_handler(bad_handler)
    replay = Replay()
    informer.add_handler(replay)
    told: list[str] = []
    informer.faults.listen(lambda obj, message: told.append(f"{object_key(obj)}: {message}"))
    failures = metrics.HANDLER_FAILURES.labels("configmaps")._value.get()
    malformed = metrics.MALFORMED_OBJECTS.labels("configmaps")._value.get()
    async with running(informer):
        await informer.wait_synced(10)
        assert set(replay.objects) == {"default/bad", "default/good"}
        assert [obj["metadata"]["name"] for obj in informer.by_index("n", "1")] == ["good"]
        assert told == [
            "default/bad: index 'n' can't make use of it (KeyError)",
            f"default/bad: handler {bad_handler.__qualname__} can't make use of it (KeyError)",
        ]
        assert metrics.HANDLER_FAILURES.labels("configmaps")._value.get() == failures + 2
        assert metrics.MALFORMED_OBJECTS.labels("configmaps")._value.get() == malformed + 1
        server.forget_history()
        server.cut_watches()
        server.put("new", n="2")
        await until(lambda: informer.get("new", "default"))
        assert len(told) == 2, "the same version is told of once, listed again or not"
        server.put("bad", other="still")
        await until(lambda: (informer.get("bad", "default") or {})["data"] == {"other": "still"})
        assert len(told) == 2, "what is wrong with the next version, too, is told of once"
        assert len(informer.faults) == 1
        server.put("bad", n="3")
        await until(lambda: informer.by_index("n", "3"))
        assert len(informer.faults) == 0
        server.put("bad")
        await until(lambda: len(told) == 4)
        assert len(informer.faults) == 1
        server.delete("bad")
        await until(lambda: not informer.get("bad", "default"))
        assert len(informer.faults) == 0
        assert metrics.MALFORMED_OBJECTS.labels("configmaps")._value.get() == malformed
    assert "failed on its removal" in caplog.text


async def test_an_object_whose_keeping_cannot_be_told_stops_no_other(server: Any, client: Client, until: Until) -> None:
    server.put("bad")
    server.put("good", n="1")
    informer = Informer(client, CONFIG_MAPS, keep=lambda obj: obj["data"]["n"] == "1")
    async with running(informer):
        await informer.wait_synced(10)
        server.put("worse")
        server.put("better", n="1")
        await until(lambda: informer.get("better", "default"))
        assert sorted(obj["metadata"]["name"] for obj in informer.items()) == ["better", "good"]
