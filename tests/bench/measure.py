"""What a program costs: wall time, CPU time and peak memory of its whole process tree."""

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 600.0
"""Seconds one program may run."""


@dataclass(frozen=True)
class Usage:
    """Seconds of wall and CPU time (user and system), and the largest process of the tree in MiB."""

    wall: float
    cpu: float
    peak: float


def run(command: Sequence[str | Path], env: Mapping[str, str] | None = None, stdout: Path | None = None) -> Usage:
    """Run a program to its end and return what it and the processes below it used.

    Raises:
        RuntimeError: it failed or took longer than `TIMEOUT`; the message ends with its last output.
    """
    with tempfile.TemporaryFile() as errors, open(stdout or os.devnull, "wb") as output:
        start = time.monotonic()
        process = subprocess.Popen(
            ["timeout", str(TIMEOUT), *command], env={**os.environ, **(env or {})}, stdout=output, stderr=errors
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            tail = errors.read()[-2000:].decode(errors="replace")
            raise RuntimeError(f"{command[0]} ended with {process.returncode} after {wall:.1f} s: {tail}")
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def cheapest(rounds: Sequence[Usage]) -> Usage:
    """Return the round with the least CPU time: the one that the rest of the machine disturbed least."""
    return min(rounds, key=lambda usage: usage.cpu)
