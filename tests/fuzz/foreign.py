"""Fuzzes the places where foreign text comes in: what a child, a user or a foreign server writes is read or refused.

``python tests/fuzz/foreign.py --seconds 300`` gives every target of `TARGETS` the same share of the time, and stops at
the first surprise: an exception that isn't the reader's own, an input that takes longer than `PATIENCE`, or memory
beyond `GROWTH`. The surprise names target and seed; ``--target NAME --seed N --count 1`` runs that input again.

Inputs are made from examples of what belongs there, some of whose values are replaced by others of every type, size and
depth, or from texts that are cut, doubled and mixed; a part of them are the bombs that readers of JSON, YAML, gzip
and JSON patches are known to fall for.
"""

from __future__ import annotations

import argparse
import random
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))

from places import TARGETS, Target

PATIENCE = 20.0
"""Seconds that one input may take, on a machine that others use too."""
GROWTH = 384 * 2**20
"""Bytes by which the process may grow after the first inputs of a target."""


WARM = 50
"""Inputs after which a process has what it always needs."""


class Surprise(Exception):
    """Something happened that must not."""


@dataclass
class Count:
    """What was done."""

    inputs: int = 0
    refused: int = 0


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the midst of work that takes longer."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"takes longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run_input(target: Target, seed: int, count: Count) -> None:
    """Give a target the input of a seed.

    Raises:
        Surprise: anything but a result or a refusal came of it.
    """
    count.inputs += 1
    made = target.make(random.Random(seed))
    try:
        with patience(PATIENCE):
            target.read(made)
    except target.refusals:
        count.refused += 1
    except Exception as error:
        again = f"python tests/fuzz/foreign.py --target {shlex.quote(target.name)} --seed {seed} --count 1"
        raise Surprise(f"{target.name}: {error!r:.500}; again: {again}") from error


def fuzz(target: Target, seconds: float, seed: int, limit: int | None = None) -> Count:
    """Give a target inputs for some time, or that many, and return what was done.

    Raises:
        Surprise: something happened that must not; its text names the seed.
    """
    process, count, grown = psutil.Process(), Count(), 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and count.inputs != limit:
        run_input(target, seed, count)
        memory = process.memory_info().rss
        if count.inputs == WARM:
            grown = memory + GROWTH
        if grown and memory > grown:
            raise Surprise(f"{target.name}: seed {seed}: the process has grown to {memory // 2**20} MiB")
        seed += 1
    return count


def main() -> None:
    """Fuzz for as long as the command line says."""
    parser = argparse.ArgumentParser(description="Fuzz the places where foreign text comes in.")
    parser.add_argument(
        "--seconds", type=float, default=300.0, help="how long, all targets together; default: %(default)g"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="where to begin; default: anywhere")
    parser.add_argument("--count", type=int, help="inputs for each target; default: as many as the time allows")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="only this one; default: all")
    arguments = parser.parse_args()
    chosen = arguments.target or list(TARGETS)
    print(f"fuzzing {len(chosen)} places for {arguments.seconds:g} s from seed {arguments.seed}")
    total = Count()
    for name in chosen:
        count = fuzz(TARGETS[name], arguments.seconds / len(chosen), arguments.seed, arguments.count)
        total.inputs += count.inputs
        total.refused += count.refused
        print(f"  {name}: {count.inputs} inputs, {count.refused} refused", flush=True)
    print(f"{total.inputs} inputs ({total.refused} refused) in {len(chosen)} places, no surprise")


if __name__ == "__main__":
    main()
