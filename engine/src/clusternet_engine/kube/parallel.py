"""Many small pieces of work at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


async def run_all(works: Iterable[Callable[[], Awaitable[object]]], *, at_once: int) -> None:
    """Do all the work; a failure doesn't stop the rest, the first one is raised at the end.

    :param works: each is called once and awaited.
    :param at_once: how many are under way at any time.
    """
    errors: list[Exception] = []
    queue = iter(works)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(_work_off(queue, errors))
    if errors:
        raise errors[0]


async def _work_off(queue: Iterator[Callable[[], Awaitable[object]]], errors: list[Exception]) -> None:
    for work in queue:
        try:
            await work()
        except Exception as error:
            errors.append(error)


async def all_of(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all the work at once and return what it gives; the first failure ends the rest.

    Unlike `asyncio.gather`, it leaves nothing running behind when it raises.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work) for work in works]
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    return [task.result() for task in running]
