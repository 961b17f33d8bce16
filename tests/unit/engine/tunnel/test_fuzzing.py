"""The fuzzer of `make fuzz` runs, and two seconds of it find nothing."""

import re
import subprocess
import sys
from pathlib import Path

FUZZER = Path(__file__).parents[3] / "fuzz" / "tunnel.py"


def test_two_seconds() -> None:
    command = [sys.executable, FUZZER, "--seconds=2", "--seed=1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d+ messages \(\d+ malformed\) in \d+ sessions, no surprise", done.stdout)
