"""A work queue of keys: deduplicated, one worker a key, retried with backoff, shared out fairly among groups.

A group is whatever one party can fill: a namespace, a repository. Groups take turns, so that nobody waits for the mass
of another's keys; and where work waits for something outside, a group gets at most half of the workers that are free,
so that one which is slow never holds all of them.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable
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
    it waits until :meth:`done` and is then given out once more. Groups that have keys waiting take turns. Within a
    group, keys of the highest priority come out first, those of the same in the order they became ready. All methods
    belong to one event loop.

    :param priority: of a key, asked whenever the key is added.
    :param groups: of a key, asked whenever the key is added; the first one takes turns with others.
    :param workers: those who take keys, if no group may hold more than half of what the others leave free; ``None``
        sets no limit.
    """

    def __init__(
        self,
        priority: Callable[[K], int] = lambda key: 0,
        groups: Callable[[K], tuple[str, ...]] = lambda key: ("",),
        workers: int | None = None,
    ) -> None:
        self._priority = priority
        self._groups = groups
        self._workers = workers
        self._numbers = itertools.count()
        self._ready: OrderedDict[str, list[tuple[float, int, K]]] = OrderedDict()
        """Heaps of waiting keys by group; the group whose turn it is comes first. Entries of former places stay in."""
        self._waiting: dict[K, tuple[float, int, tuple[str, ...]]] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._dirty: set[K] = set()
        self._processing: dict[K, tuple[str, ...]] = {}
        self._held: Counter[str] = Counter()
        """Keys of each group that are being worked on."""
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._shut_down = False

    def __len__(self) -> int:
        """Keys that wait for a worker now; neither delayed ones nor those being worked on."""
        return len(self._dirty - self._processing.keys())

    @property
    def working(self) -> int:
        """Keys that are being worked on."""
        return len(self._processing)

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
        groups = self._groups(key)
        place = (-float(self._priority(key)), before[1] if before else next(self._numbers), groups)
        if place != before:
            self._waiting[key] = place
            heapq.heappush(self._ready.setdefault(groups[0], []), (*place[:2], key))
        self._wake()

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
        while (key := self.take()) is None:
            if self._shut_down and not self._waiting:
                self._wake()
                raise ShutDown
            getter = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter in self._getters:
                    self._getters.remove(getter)
                else:
                    self._wake()
                raise
        self._wake()
        return key

    def take(self) -> K | None:
        """The next ready key, as :meth:`get` gives it; ``None`` if there is none that may have a worker now."""
        for _ in range(len(self._ready)):
            group, heap = next(iter(self._ready.items()))
            while heap and not self._is_current(group, heap[0]):
                heapq.heappop(heap)
            if not heap:
                del self._ready[group]
                continue
            self._ready.move_to_end(group)
            key = heap[0][2]
            groups = self._waiting[key][2]
            if all(map(self._may_take, groups)):
                heapq.heappop(heap)
                del self._waiting[key]
                self._dirty.discard(key)
                self._processing[key] = groups
                self._held.update(groups)
                return key
        return None

    def _is_current(self, group: str, entry: tuple[float, int, K]) -> bool:
        place = self._waiting.get(entry[2])
        return place is not None and (place[0], place[1], place[2][0]) == (entry[0], entry[1], group)

    def _may_take(self, group: str) -> bool:
        if self._workers is None or not self._held[group]:
            return True
        return self._held[group] < (self._workers - len(self._processing)) // 2

    def _wake(self) -> None:
        """Let one who waits look again; who finds a key wakes the next."""
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def done(self, key: K) -> None:
        """Work on a key has ended; it becomes ready again if it was added meanwhile."""
        if key not in self._processing:
            return
        for group in self._processing.pop(key):
            self._held[group] -= 1
            if not self._held[group]:
                del self._held[group]
        if key in self._dirty:
            if self._shut_down:
                self._dirty.remove(key)
            else:
                self._put(key)
        self._wake()

    def shut_down(self) -> None:
        """Accept no more keys and drop the delayed ones; ready ones can still be got, then :meth:`get` raises."""
        if self._shut_down:
            return
        self._shut_down = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._wake()


def retry_delay(failures: int) -> float:
    """Seconds to wait after this many failures in a row (1 or more)."""
    return float(min(BASE_DELAY * 2 ** min(failures - 1, 32), MAX_DELAY))
