"""Slots that groups share."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from clusternet_engine.kube.slots import Slots


class Work:
    """Holds slots until it is told to end."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.running: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, *names: str) -> None:
        """Ask for a slot for each; the first letter is the group."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self._hold(name))
        await asyncio.sleep(0.001)

    async def end(self, name: str) -> None:
        self.tasks[name].cancel()
        with suppress(asyncio.CancelledError):
            await self.tasks[name]
        await asyncio.sleep(0.001)

    async def _hold(self, name: str) -> None:
        async with self.slots.of(name[0]):
            self.running.append(name)
            try:
                await asyncio.Event().wait()
            finally:
                self.running.remove(name)


async def test_a_slow_group_leaves_slots_to_others_and_groups_take_turns() -> None:
    work = Work(Slots(4, shared=True))
    await work.start("a1", "a2", "a3", "a4", "b1", "b2", "c1", "d1")
    assert work.running == ["a1", "b1", "c1", "d1"]
    await work.end("c1")
    assert work.running == ["a1", "b1", "d1"], "one that is free may be needed by the next group"
    await work.start("e1")
    assert work.running == ["a1", "b1", "d1", "e1"]
    await work.start("f1", "g1")
    for ended in ("a1", "b1"):
        await work.end(ended)
    assert work.running == ["d1", "e1", "a2", "b2"], "they have waited longer than f and g, and hold none now"
    for ended in ("a2", "b2"):
        await work.end(ended)
    assert work.running == ["d1", "e1", "f1", "g1"]


async def test_without_sharing_one_group_may_hold_all() -> None:
    work = Work(Slots(2, shared=False))
    await work.start("a1", "a2", "a3", "b1")
    assert work.running == ["a1", "a2"]
    await work.end("a1")
    await work.end("a2")
    assert set(work.running) == {"a3", "b1"}


async def test_who_no_longer_waits_takes_no_slot() -> None:
    work = Work(Slots(1, shared=True))
    await work.start("a1", "b1", "c1")
    await work.end("b1")
    await work.end("a1")
    assert work.running == ["c1"]
    await work.end("c1")
    await work.start("d1")
    assert work.running == ["d1"]


async def test_a_failure_gives_the_slot_back() -> None:
    slots = Slots(1, shared=True)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            async with asyncio.timeout(5), slots.of("a"):
                raise ValueError("broken")
