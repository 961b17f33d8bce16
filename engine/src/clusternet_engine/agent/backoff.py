"""Growing pauses between attempts."""

from __future__ import annotations

import asyncio
import random

_FACTOR = 2.0
_JITTER = 0.3


class Backoff:
    """Pauses that double from `first` to `longest` seconds, each up to 30 % longer by chance.

    The chance keeps many agents that lost the same parent from coming back at the same moment.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def reset(self) -> None:
        """Begin again with the first pause."""
        self._next = self._first

    def delay(self) -> float:
        """Return the next pause in seconds."""
        pause = self._next
        self._next = min(self._longest, pause * _FACTOR)
        return pause * (1 + random.random() * _JITTER)  # noqa: S311 - spreads load, guards nothing

    async def sleep(self) -> None:
        """Wait for the next pause."""
        await asyncio.sleep(self.delay())
