"""What a program costs: wall time, CPU time and peak memory of its whole process tree."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 600
"""Seconds one program may run."""
LAUNCH = [sys.executable, "-I", "-S", Path(__file__).with_name("launch.py")]


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
    with tempfile.TemporaryDirectory() as folder:
        report, output = Path(folder, "report.json"), stdout or Path(folder, "output")
        with output.open("wb") as opened, Path(folder, "errors").open("wb") as errors:
            start = time.monotonic()
            code = subprocess.call(
                [*LAUNCH, report, "timeout", str(TIMEOUT), *command],
                env={**os.environ, **(env or {})},
                stdout=opened,
                stderr=errors,
            )
            wall = time.monotonic() - start
        if code:
            said = output.read_text(errors="replace") + Path(folder, "errors").read_text(errors="replace")
            raise RuntimeError(f"{command[0]} ended with {code} after {wall:.1f} s: {said[-2000:]}")
        used = json.loads(report.read_text())
    return Usage(wall, used["cpu"], used["peak"])


def cheapest(rounds: Sequence[Usage]) -> Usage:
    """Return the round with the least CPU time: the one that the rest of the machine disturbed least."""
    return min(rounds, key=lambda usage: usage.cpu)
