"""Counts how often objects had to be restored, and tells when that is a fight with another controller.

An object that somebody changes by hand is restored at once. Where a controller of the cluster wants something else,
both would undo each other's work as fast as they can. So from the third time on each restoration waits longer than the
one before, up to five minutes, and the fight is told: which field, and who sets it. An object that has been left alone
for a while after it was restored is at peace, and begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clusternet_engine.model.applied import Identity

AT_ONCE = 2
"""Restorations of an object that wait for nothing."""
FIRST_WAIT = 1.0
LONGEST_WAIT = 300.0
"""Seconds before a restoration."""
PEACE = 60.0
"""Seconds that an object must be left alone, after the wait that it was in, to be at peace."""
MAX_TOLD = 10
"""Objects that a message names."""


@dataclass(frozen=True, slots=True)
class Contest:
    """An object that was restored lately.

    Attributes:
        text: how messages name it.
        restorations: how many there were.
        last: time of the last one.
        rivals: the fields that had changed, and who has them; empty where nobody does.
    """

    text: str
    restorations: int
    last: float
    rivals: tuple[tuple[str, str], ...]

    @property
    def wait(self) -> float:
        """Seconds that must pass from the last restoration to the next one."""
        if self.restorations < AT_ONCE:
            return 0.0
        return float(min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self.restorations - AT_ONCE, 32)))

    @property
    def over(self) -> float:
        """Time at which it is at peace if nothing happens."""
        return self.last + self.wait + PEACE


class Contests:
    """The objects of one Description that were restored lately; times are those of one clock that never goes back."""

    def __init__(self) -> None:
        self._contests: dict[Identity, Contest] = {}

    def wait(self, which: Identity, now: float) -> float:
        """Return the seconds until an object may be restored; 0 if it may be now."""
        self._end(now)
        contest = self._contests.get(which)
        return max(0.0, contest.last + contest.wait - now) if contest else 0.0

    def restored(self, which: Identity, text: str, now: float, rivals: Sequence[tuple[str, str]]) -> None:
        """Note that an object was restored."""
        self._end(now)
        before = self._contests.get(which)
        count = before.restorations + 1 if before else 1
        self._contests[which] = Contest(text, count, now, tuple(rivals))

    def fights(self, now: float) -> list[Contest]:
        """Return the contests in which restorations wait."""
        self._end(now)
        return [contest for contest in self._contests.values() if contest.restorations >= AT_ONCE]

    def next_end(self, now: float) -> float | None:
        """Return the seconds until the next fight is over if nothing happens; None if there is none."""
        ends = [contest.over - now for contest in self.fights(now)]
        return max(0.0, min(ends)) if ends else None

    def _end(self, now: float) -> None:
        for which in [which for which, contest in self._contests.items() if contest.over <= now]:
            del self._contests[which]


def contest_message(contests: Sequence[Contest]) -> str:
    """Return which fields are fought over, with whom, and what to do; empty if there are none."""
    if not contests:
        return ""
    told = "; ".join(f"{contest.text}: {_rivals(contest)}" for contest in contests[:MAX_TOLD])
    more = f"; and {len(contests) - MAX_TOLD} more objects" if len(contests) > MAX_TOLD else ""
    return (
        f"{told}{more}. What is published is restored again and again, at longer and longer intervals. Leave such "
        "fields out of what is published, or keep the others from setting them."
    )


def _rivals(contest: Contest) -> str:
    return ", ".join(_told(contest.rivals)) or "somebody removes it"


def _told(rivals: Sequence[tuple[str, str]]) -> Iterator[str]:
    for field, manager in rivals:
        yield f"{field} is set by {manager}" if manager else f"{field} is changed by somebody who doesn't own it"
