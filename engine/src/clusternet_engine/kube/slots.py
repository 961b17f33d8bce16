"""Slots for work that waits for something outside, shared out among groups as the work queue shares its workers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from clusternet_engine.kube.queue import WorkQueue


class Slots:
    """Lets only so many works go on at the same time; groups take turns.

    :param count: works at the same time.
    :param shared: whether a group may hold no more than half of the slots that others leave free.
    """

    def __init__(self, count: int, *, shared: bool) -> None:
        self._count = count
        self._numbers = itertools.count()
        self._queue: WorkQueue[tuple[str, int]] = WorkQueue(
            groups=lambda key: (key[0],), workers=count if shared else None
        )
        self._turns: dict[tuple[str, int], asyncio.Future[None]] = {}

    @asynccontextmanager
    async def of(self, group: str) -> AsyncIterator[None]:
        """Wait for a slot and hold it."""
        key = group, next(self._numbers)
        turn = self._turns[key] = asyncio.get_running_loop().create_future()
        self._queue.add(key)
        self._give_out()
        try:
            await turn
            yield
        finally:
            if self._turns.pop(key, None) is None:
                self._queue.done(key)
                self._give_out()

    def _give_out(self) -> None:
        while self._queue.working < self._count and (key := self._queue.take()) is not None:
            turn = self._turns.pop(key, None)
            if turn is None or turn.done():
                self._queue.done(key)  # it was cancelled while it waited
            else:
                turn.set_result(None)
