"""What honest users and clusters notice of a hub that is attacked by everybody at once.

Both halves of the measurement run one after the other on the same ground: first nobody attacks, then all attackers do,
each kind in a thread of its own that tries its attacks over and over. All of it stays on the loopback interface. In
real life attackers bring their own machines: here their threads give way to everybody else, and whoever looks at the
clock does so in a process without them.
"""

import asyncio
import contextlib
import multiprocessing
import os
import statistics
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from attacks import child, registrant, stranger, user  # noqa: F401 - they list their attacks
from attacks.caller import Caller
from attacks.ground import Ground, administrator, ground
from attacks.honest import OBSERVED, Honest, Notes
from attacks.listing import ATTACKS, Attack
from clusternet_lab import Lab

SECONDS = 300.0
"""Seconds of attack; quiet is measured for a third of that."""
_NICE = 19
"""By how much attackers give way."""
_PAUSE = 3.0
"""Seconds between two attacks of the same attacker.

Without such a pause everybody waits for the API servers, which share two processors with all the rest here, hub or not.
"""


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
    os.nice(_NICE)
    listed = list(attacks)
    while not end.is_set():
        for attack in listed:
            tried[0] += 1
            with contextlib.suppress(AssertionError, OSError, ValueError, KeyError):
                attack.run(made)
            if end.wait(_PAUSE):
                return


def _observe(made: Ground, seconds: float) -> Period:
    """Measure with an honest user of its own in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        noting = processes.submit(
            _note,
            made.lab.name,
            made.agent.cluster,
            made.registrant.token,
            made.proxy,
            made.headers,
            seconds,
        )
        memory = 0.0
        while not noting.done():
            memory = max(memory, made.memory())
            time.sleep(0.5)
    notes = noting.result()
    return Period(_median(notes.published), _median(notes.reached), _median(notes.registered), memory, notes.failures)


def _note(lab_name: str, child_name: str, token: str, proxy: str, headers: dict[str, str], seconds: float) -> Notes:
    """Be an honest user for some time, and return what was noticed."""
    lab = Lab.open(lab_name)
    parent = lab.cluster("parent")
    registering = Caller(parent.server, parent.ca, token)
    reaching = administrator(lab.cluster(child_name))
    honest = Honest(administrator(parent), reaching, registering, proxy, headers, name=OBSERVED)
    honest.start()
    time.sleep(seconds)
    honest.stop()
    return honest.notes


def _median(times: list[float]) -> float:
    return statistics.median(times) if times else float("inf")
