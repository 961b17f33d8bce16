"""Client-side rate limit of requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class TokenBucket:
    """Lets ``burst`` requests through at once and ``qps`` a second after that, in the order they asked.

    :param qps: tokens added a second; 0 or less = no limit.
    :param burst: tokens the bucket holds, at least 1.
    :param clock: monotonic seconds.
    """

    def __init__(self, qps: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._qps = qps
        self._burst = float(max(burst, 1))
        self._tokens = self._burst
        self._clock = clock
        self._updated = clock()

    def reserve(self) -> float:
        """Take a token, perhaps one of the future; the seconds until it is there."""
        if self._qps <= 0:
            return 0.0
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._qps)
        self._updated = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self._qps)

    def take(self) -> bool:
        """Take a token if there is one; whether there was."""
        if self.reserve() == 0.0:
            return True
        self._tokens += 1
        return False

    async def acquire(self) -> None:
        """Wait for a token; a cancelled wait gives its token back."""
        if delay := self.reserve():
            try:
                await asyncio.sleep(delay)
            except asyncio.CancelledError:
                self._tokens += 1
                raise
