"""Exponential backoff with jitter."""

from __future__ import annotations

import random


class Backoff:
    """Growing delays between attempts; each is drawn from the upper half of its step, so that clients spread out.

    :param first: seconds of the first step.
    :param limit: seconds no step exceeds.
    """

    def __init__(self, first: float, limit: float) -> None:
        self._first = first
        self._limit = limit
        self._step = first

    def next(self) -> float:
        """Seconds to wait before the next attempt; the step after doubles."""
        delay = self._step * random.uniform(0.5, 1.0)  # noqa: S311
        self._step = min(self._step * 2, self._limit)
        return delay

    def reset(self) -> None:
        """An attempt succeeded: start again at the first step."""
        self._step = self._first
