"""A work queue of keys: deduplicated, one worker a key, retried with backoff."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Hashable
from math import inf
from typing import Generic, TypeVar

BASE_DELAY = 0.005
"""Seconds before the first rate-limited retry; doubles with each failure."""
MAX_DELAY = 60.0
"""Seconds a rate-limited retry waits at most."""

K = TypeVar("K", bound=Hashable)


class ShutDown(Exception):
    """The queue is shut down and empty."""


class WorkQueue(Generic[K]):
    """Keys to be worked on.

    A key that waits is not added twice. A key being worked on is never given to a second worker: added meanwhile,
    it waits until :meth:`done` and is then given out once more. Keys of the highest priority come out first, those of
    the same in the order they became ready. All methods belong to one event loop.

    :param priority: of a key, asked whenever the key is added.
    """

    def __init__(self, priority: Callable[[K], int] = lambda key: 0) -> None:
        self._priority = priority
        self._numbers = itertools.count()
        self._ready: asyncio.PriorityQueue[tuple[float, int, list[K]]] = asyncio.PriorityQueue()
        self._waiting: dict[K, tuple[float, int]] = {}
        self._dirty: set[K] = set()
        self._processing: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._shut_down = False

    def __len__(self) -> int:
        """Keys that wait for a worker now; neither delayed ones nor those being worked on."""
        return len(self._dirty - self._processing)

    @property
    def is_shut_down(self) -> bool:
        """Whether :meth:`shut_down` was called."""
        return self._shut_down

    def add(self, key: K) -> None:
        """Make a key ready; if it is already, only its priority may change. Ignored after :meth:`shut_down`."""
        if self._shut_down:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._put(key)

    def _put(self, key: K) -> None:
        before = self._waiting.get(key)
        place = (-float(self._priority(key)), before[1] if before else next(self._numbers))
        if place != before:
            self._waiting[key] = place
            self._ready.put_nowait((*place, [key]))

    def add_after(self, key: K, seconds: float) -> None:
        """Make a key ready after a delay; of several delays of one key the one that ends first counts."""
        if self._shut_down:
            return
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._delay_over, key)

    def _delay_over(self, key: K) -> None:
        del self._timers[key]
        self.add(key)

    def add_rate_limited(self, key: K, *, at_least: float = 0.0) -> None:
        """Count a failure and make the key ready after ``BASE_DELAY`` × 2^(failures - 1), ``MAX_DELAY`` at most.

        :param at_least: seconds a server asked to wait.
        """
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        self.add_after(key, max(retry_delay(failures), at_least))

    def forget(self, key: K) -> None:
        """The key succeeded: its next failure counts as the first."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """Rate-limited adds since the last :meth:`forget`."""
        return self._failures.get(key, 0)

    async def get(self) -> K:
        """The next ready key, now being worked on until :meth:`done`; waits for one.

        :raises ShutDown: the queue is shut down and nothing is ready any more.
        """
        while True:
            rank, number, keys = item = await self._ready.get()
            if not keys:
                self._ready.put_nowait(item)
                raise ShutDown
            [key] = keys
            if self._waiting.get(key) == (rank, number):
                break
        del self._waiting[key]
        self._dirty.discard(key)
        self._processing.add(key)
        return key

    def done(self, key: K) -> None:
        """Work on a key has ended; it becomes ready again if it was added meanwhile."""
        if key not in self._processing:
            return
        self._processing.remove(key)
        if key in self._dirty:
            if self._shut_down:
                self._dirty.remove(key)
            else:
                self._put(key)

    def shut_down(self) -> None:
        """Accept no more keys and drop the delayed ones; ready ones can still be got, then :meth:`get` raises."""
        if self._shut_down:
            return
        self._shut_down = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._ready.put_nowait((inf, next(self._numbers), []))


def retry_delay(failures: int) -> float:
    """Seconds to wait after this many failures in a row (1 or more)."""
    return float(min(BASE_DELAY * 2 ** min(failures - 1, 32), MAX_DELAY))
