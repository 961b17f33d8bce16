"""The controller: outcomes, retries, exclusivity, metrics."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from clusternet_engine.kube import controller as controller_module
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.errors import Conflict, TooManyRequests
from prometheus_client import REGISTRY

Until = Callable[[Callable[[], object]], Awaitable[None]]


@asynccontextmanager
async def running(controller: Controller) -> AsyncIterator[None]:
    task = asyncio.create_task(controller.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def count(controller: str, result: str) -> float:
    labels = {"controller": controller, "result": result}
    return REGISTRY.get_sample_value("clusternet_reconcile_total", labels) or 0.0


async def test_failures_are_retried_until_success(until: Until, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []

    async def reconcile(key: str) -> None:
        calls.append(key)
        if len(calls) == 1:
            raise Conflict(409, "Conflict", "changed", method="PUT", path="/x")
        if len(calls) == 2:
            raise RuntimeError("broken")

    controller = Controller("retried", reconcile)
    controller.enqueue("ns/a")
    assert REGISTRY.get_sample_value("clusternet_queue_depth", {"controller": "retried"}) == 1
    with caplog.at_level(logging.INFO, "clusternet_engine"):
        async with running(controller):
            await until(lambda: count("retried", "success") == 1)
    assert calls == ["ns/a"] * 3
    assert count("retried", "error") == 2
    levels = {record.levelname: record for record in caplog.records}
    assert "changed meanwhile" in levels["INFO"].getMessage()
    assert levels["ERROR"].exc_info is not None
    assert REGISTRY.get_sample_value("clusternet_reconcile_seconds_count", {"controller": "retried"}) == 3


async def test_comes_back_when_asked_to(until: Until) -> None:
    times: list[float] = []

    async def reconcile(key: str) -> float | None:
        times.append(asyncio.get_running_loop().time())
        return 0.1 if len(times) < 3 else None

    controller = Controller("again", reconcile)
    async with running(controller):
        controller.enqueue("a")
        await until(lambda: count("again", "success") == 1)
    assert len(times) == 3
    assert all(later - earlier >= 0.1 for earlier, later in itertools.pairwise(times))
    assert count("again", "requeue") == 2


async def test_waits_as_long_as_the_server_asked(until: Until) -> None:
    times: list[float] = []

    async def reconcile(key: str) -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) == 1:
            raise TooManyRequests(429, "TooManyRequests", "slow down", retry_after=0.3)

    controller = Controller("asked", reconcile)
    async with running(controller):
        controller.enqueue("a")
        await until(lambda: len(times) == 2)
    assert times[1] - times[0] >= 0.3


async def test_one_key_at_a_time_others_in_parallel(until: Until) -> None:
    active: set[str] = set()
    most = 0
    finished: list[str] = []

    async def reconcile(key: str) -> None:
        nonlocal most
        assert key not in active
        active.add(key)
        most = max(most, len(active))
        await asyncio.sleep(0.02)
        active.remove(key)
        finished.append(key)

    controller = Controller("parallel", reconcile, workers=4)
    async with running(controller):
        for _ in range(5):
            for key in "abcdefgh":
                controller.enqueue(key)
            await asyncio.sleep(0.01)
        await until(lambda: set(finished) == set("abcdefgh") and not active)
    assert most == 4


async def test_a_hanging_reconcile_is_cut_off(until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller_module, "RECONCILE_TIMEOUT", 0.05)
    calls = 0

    async def reconcile(key: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.Event().wait()

    controller = Controller("hanging", reconcile)
    async with running(controller):
        controller.enqueue("a")
        await until(lambda: count("hanging", "success") == 1)
    assert count("hanging", "error") == 1


async def test_can_be_cancelled_in_the_middle() -> None:
    started = asyncio.Event()

    async def reconcile(key: str) -> None:
        started.set()
        await asyncio.Event().wait()

    controller = Controller("cancelled", reconcile)
    async with running(controller):
        controller.enqueue("a")
        await asyncio.wait_for(started.wait(), 10)


async def test_what_one_namespace_waits_for_holds_up_no_other(until: Until) -> None:
    """A cluster whose API is slow, or a repository that is silent, keeps a part of the workers busy, never all."""
    worked: list[str] = []
    waiting: list[str] = []

    async def reconcile(key: str) -> None:
        if key.startswith("slow"):
            waiting.append(key)
            await asyncio.Event().wait()
        worked.append(key)

    controller = Controller("shared", reconcile, workers=6, shared=True)
    async with running(controller):
        for number in range(50):
            controller.enqueue(f"slow/{number}")
        await until(lambda: len(waiting) == 2)
        for number in range(20):
            controller.enqueue(f"quick-{number % 4}/{number}")
        await until(lambda: len(worked) == 20)
        assert len(waiting) == 2


async def test_the_mass_of_one_namespace_holds_up_no_other(until: Until) -> None:
    worked: list[str] = []

    async def reconcile(key: str) -> None:
        worked.append(key)
        await asyncio.sleep(0)

    controller = Controller("turns", reconcile, workers=1)
    for number in range(500):
        controller.enqueue(f"mass/{number}")
    controller.enqueue("small/1")
    controller.enqueue("cluster-scoped")
    async with running(controller):
        await until(lambda: len(worked) == 502)
    assert {"small/1", "cluster-scoped"} <= set(worked[:3])
