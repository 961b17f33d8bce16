"""Work that keeps a processor busy, in threads beside the event loop: a few at a time, shared out, with a deadline.

Foreign text is read, patched and rendered here. Each kind of work has threads of its own, so that none waits for
another; within one kind, everybody (a user, a namespace, a repository) has one thread at a time, and those who wait
take turns. A thread can't be stopped: whoever asked gets `Overdue`, the thread stays taken until it is done, and the
limits of documents (`clusternet_engine.model.limits`) are what keeps that short. A thread also holds up the event loop
a little, by some milliseconds now and then, since Python runs one of them at a time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

SIZE = 2
"""Threads of one kind of work."""

P = ParamSpec("P")
T = TypeVar("T")


class Overdue(Exception):
    """Work was not done when its deadline had come; the text says how long that was."""


class Busy(Exception):
    """Somebody has more work waiting than one may have; the text says how much that is."""


class Threads:
    """The threads of one kind of work.

    Args:
        name: of the work, for those who look at the process.
        waiting: works that may wait for one subject; None sets no limit.
    """

    def __init__(self, name: str, *, waiting: int | None = None) -> None:
        self._executor = ThreadPoolExecutor(SIZE, thread_name_prefix=name)
        self._limit = waiting
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._running: set[str] = set()

    async def run(self, subject: str, seconds: float, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what some work returns.

        Args:
            subject: for whom it is done.
            seconds: how long it may take, the wait for its turn included.
            work: touches nothing that the event loop changes.

        Raises:
            Overdue: it has taken longer.
            Busy: the subject has too much work waiting.
        """
        try:
            async with asyncio.timeout(seconds) as deadline:
                await self._turn(subject)
                loop = asyncio.get_running_loop()
                try:
                    done = loop.run_in_executor(self._executor, partial(work, *args, **kwargs))
                except BaseException:
                    self._free(subject)
                    raise
                done.add_done_callback(lambda future: self._end(subject, future))
                return await asyncio.shield(done)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise Overdue(f"it is not done after {seconds:g} s; make it smaller, or try again later") from None

    async def _turn(self, subject: str) -> None:
        """Wait until a thread is free for the subject, and take it."""
        if len(self._running) < SIZE and subject not in self._running and not self._waiting:
            self._running.add(subject)
            return
        queue = self._waiting.setdefault(subject, deque())
        if self._limit is not None and len(queue) >= self._limit:
            raise Busy(f"{self._limit} other requests wait for the same work; try again later")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        self._next()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free(subject)
            elif subject in self._waiting and turn in self._waiting[subject]:
                self._waiting[subject].remove(turn)
                if not self._waiting[subject]:
                    del self._waiting[subject]
            raise

    def _end(self, subject: str, done: asyncio.Future[T]) -> None:
        if not done.cancelled():
            done.exception()  # whoever asked may be gone, and then nobody else takes it
        self._free(subject)

    def _free(self, subject: str) -> None:
        self._running.discard(subject)
        self._next()

    def _next(self) -> None:
        """Give free threads to those who wait, to each subject in its turn."""
        for subject in list(self._waiting):
            if len(self._running) >= SIZE:
                return
            if subject in self._running:
                continue
            queue = self._waiting[subject]
            turn = queue.popleft()
            while turn.done() and queue:  # cancelled, and its task hasn't taken it away yet
                turn = queue.popleft()
            if queue:
                self._waiting.move_to_end(subject)
            else:
                del self._waiting[subject]
            if not turn.done():
                self._running.add(subject)
                turn.set_result(None)
