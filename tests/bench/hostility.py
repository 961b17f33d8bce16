"""What honest users and clusters notice of a hub that is attacked by everybody at once.

Both halves of the measurement run one after the other on the same ground: first nobody attacks, then all attackers do,
each kind in a thread of its own that tries its attacks over and over. All of it stays on the loopback interface.
"""

import asyncio
import contextlib
import statistics
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from attacks import child, registrant, stranger, user  # noqa: F401 - they list their attacks
from attacks.ground import Ground, ground
from attacks.honest import Notes
from attacks.listing import ATTACKS, Attack
from clusternet_lab import Lab

SECONDS = 300.0
"""Seconds of attack; quiet is measured for a third of that."""
_PAUSE = 0.2
"""Seconds between two attacks of the same attacker."""


@dataclass(frozen=True)
class Period:
    """What was noticed during some time.

    Attributes:
        published: median seconds from a changed object to the child.
        reached: median seconds of a request to the child.
        registered: median seconds from a request to its approval.
        memory: MiB of the hub at most.
        failures: what didn't work.
    """

    published: float
    reached: float
    registered: float
    memory: float
    failures: list[str]


@dataclass(frozen=True)
class Hostility:
    """Both periods, and how many attacks were tried."""

    quiet: Period
    attacked: Period
    attacks: int


def hostility(lab: Lab, folder: Path, seconds: float = SECONDS) -> Hostility:
    """Measure a hub of its own in a lab; no other hub may run there."""
    return asyncio.run(_measure(lab, folder, seconds))


async def _measure(lab: Lab, folder: Path, seconds: float) -> Hostility:
    async with ground(lab, folder) as made:
        quiet = await asyncio.to_thread(_observe, made, seconds / 3)
        end, tried = threading.Event(), [0]
        attackers = [
            threading.Thread(target=_attack, args=(made, [one for one in ATTACKS if one.who == who], end, tried))
            for who in dict.fromkeys(one.who for one in ATTACKS)
        ]
        for attacker in attackers:
            attacker.start()
        attacked = await asyncio.to_thread(_observe, made, seconds)
        end.set()
        for attacker in attackers:
            await asyncio.to_thread(attacker.join)
        return Hostility(quiet, attacked, tried[0])


def _attack(made: Ground, attacks: Iterable[Attack], end: threading.Event, tried: list[int]) -> None:
    """Try attacks until the end; whether one succeeds is the tests' business, here others interfere with it."""
    listed = list(attacks)
    while not end.is_set():
        for attack in listed:
            tried[0] += 1
            with contextlib.suppress(AssertionError, OSError, ValueError, KeyError):
                attack.run(made)
            if end.wait(_PAUSE):
                return


def _observe(made: Ground, seconds: float) -> Period:
    notes = made.honest.notes = Notes()
    deadline, memory = time.monotonic() + seconds, 0.0
    while time.monotonic() < deadline:
        memory = max(memory, made.memory())
        time.sleep(0.5)
    return Period(
        _median(notes.published), _median(notes.reached), _median(notes.registered), memory, list(notes.failures)
    )


def _median(times: list[float]) -> float:
    return statistics.median(times) if times else float("inf")
