"""Workers that take keys from a queue and reconcile them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from clusternet_engine import metrics
from clusternet_engine.kube.errors import ApiError, Conflict, ConnectionFailed
from clusternet_engine.kube.queue import ShutDown, WorkQueue

log = logging.getLogger(__name__)

RECONCILE_TIMEOUT = 300.0
"""Seconds after which a reconcile is cancelled and counts as failed."""

Reconcile = Callable[[str], Awaitable[float | None]]


def group_of(key: str) -> str:
    """The group of a key: its namespace, with what stands before it in queues of several kinds."""
    return key.rpartition("/")[0]


class Controller:
    """Calls ``reconcile`` for every key enqueued, never twice at once for one key.

    ``reconcile`` returns the seconds after which it wants to see the key again, or ``None``. If it raises, the key
    is retried with backoff, or after what a 429 or 503 asked for if that is longer.

    :param name: of logs and metrics.
    :param reconcile: takes a key, ``namespace/name`` or ``name``; brings the world nearer; safe to run twice.
    :param workers: keys reconciled at the same time.
    :param keys: gives the keys that every :meth:`run` begins with.
    :param timeout: seconds after which a reconcile is cancelled and counts as failed; ``None`` =
        :data:`RECONCILE_TIMEOUT`.
    :param priority: of a key; those of a group that wait for a worker come out by it, the highest first.
    :param groups: of a key; they take turns, see :class:`~clusternet_engine.kube.queue.WorkQueue`.
    :param shared: whether a group may hold no more than half of what others leave free of the workers, since work on
        it may wait long for something outside.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        *,
        workers: int = 10,
        keys: Callable[[], Iterable[str]] = tuple,
        priority: Callable[[str], int] = lambda key: 0,
        timeout: float | None = None,
        groups: Callable[[str], tuple[str, ...]] = lambda key: (group_of(key),),
        shared: bool = False,
    ) -> None:
        self.name = name
        self._reconcile = reconcile
        self._workers = workers
        self._keys = keys
        self._priority = priority
        self._timeout = timeout
        self._groups = groups
        self._shared = shared
        self._queue = self._new_queue()
        metrics.QUEUE_DEPTH.labels(name).set_function(lambda: len(self._queue))

    def _new_queue(self) -> WorkQueue[str]:
        return WorkQueue(self._priority, self._groups, self._workers if self._shared else None)

    def enqueue(self, key: str) -> None:
        """Reconcile a key soon; keys enqueued before :meth:`run` wait for it, those after its end are dropped."""
        self._queue.add(key)

    def enqueue_after(self, key: str, seconds: float) -> None:
        """Reconcile a key after a delay."""
        self._queue.add_after(key, seconds)

    async def run(self) -> None:
        """Work until cancelled; may be called again afterwards."""
        if self._queue.is_shut_down:
            self._queue = self._new_queue()
        for key in self._keys():
            self._queue.add(key)
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._workers):
                    group.create_task(self._work(), name=f"{self.name}-{number}")
        finally:
            self._queue.shut_down()

    async def _work(self) -> None:
        while True:
            try:
                key = await self._queue.get()
            except ShutDown:
                return
            try:
                await self._process(key)
            finally:
                self._queue.done(key)

    async def _process(self, key: str) -> None:
        started = time.perf_counter()
        result = "success"
        try:
            async with asyncio.timeout(RECONCILE_TIMEOUT if self._timeout is None else self._timeout):
                again = await self._reconcile(key)
        except Exception as error:
            result = "error"
            self._retry(key, error)
        else:
            self._queue.forget(key)
            if again is not None:
                result = "requeue"
                self._queue.add_after(key, again)
        finally:
            metrics.RECONCILE_SECONDS.labels(self.name).observe(time.perf_counter() - started)
            metrics.RECONCILES.labels(self.name, result).inc()

    def _retry(self, key: str, error: Exception) -> None:
        failures = self._queue.failures(key) + 1
        match error:
            case Conflict():
                log.info("%s %s: changed meanwhile, trying again: %s", self.name, key, error)
            case ApiError() | ConnectionFailed() | TimeoutError():
                log.warning("%s %s: failed %d times in a row: %s", self.name, key, failures, error or "out of time")
            case _:
                log.error("%s %s: failed %d times in a row", self.name, key, failures, exc_info=error)
        wait = error.retry_after if isinstance(error, ApiError) else None
        self._queue.add_rate_limited(key, at_least=wait or 0.0)
