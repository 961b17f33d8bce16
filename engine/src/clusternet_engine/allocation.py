"""Lets memory that was needed for a moment go back to the system.

Foreign text is read in threads, and a single document may need many times its own size for a moment. The C library
keeps what is freed: for each thread in a pool of its own, and large blocks, too, once one of their size was freed. So
one large document in each thread would stay a part of the process for good. Two pools are enough for programs that run
Python, large blocks come from the system each time, and every few seconds free pages within the pools are given back.
Other C libraries than glibc have no such settings.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
from collections.abc import AsyncIterator, Callable

LARGE = 2**17
"""Bytes from which on a block comes from the system and goes back to it; also what is kept at the end of a pool."""
POOLS = 2
TRIM_PERIOD = 0.5
"""Seconds between two times at which free pages are given back."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # names in malloc.h

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def memory_given_back(period: float = TRIM_PERIOD) -> AsyncIterator[None]:
    """Give memory back for as long as the context is open; the settings stay for the rest of the process.

    Args:
        period: seconds between two times.
    """
    trim = _settle()
    if trim is None:
        yield
        return
    trimming = asyncio.create_task(_keep_trimming(trim, period), name="allocation")
    try:
        yield
    finally:
        trimming.cancel()


def _settle() -> Callable[[int], int] | None:
    """Set how memory is kept; return the function that gives free pages back, None where there are no settings."""
    try:
        library = ctypes.CDLL(None)
        mallopt, trim = library.mallopt, library.malloc_trim
    except (OSError, AttributeError):
        log.debug("the C library decides how memory is kept")
        return None
    for name, value in ((_ARENA_MAX, POOLS), (_MMAP_THRESHOLD, LARGE), (_TRIM_THRESHOLD, LARGE)):
        mallopt(name, value)
    return trim


async def _keep_trimming(trim: Callable[[int], int], period: float) -> None:
    while True:
        await asyncio.sleep(period)
        await asyncio.to_thread(trim, 0)
