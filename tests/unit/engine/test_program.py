"""What all programs have in common, in processes of their own."""

from __future__ import annotations

import subprocess
import sys


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)


def test_the_limit_of_descriptors_is_raised_as_far_as_allowed() -> None:
    done = run(
        """
import resource
from clusternet_engine import logs, program
logs.setup(2)
hard = min(4000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
assert program.raise_descriptor_limit() == hard
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
"""
    )
    assert done.returncode == 0, done.stderr
    assert "files and connections may be open" in done.stderr


def test_logs_are_written_without_a_free_descriptor() -> None:
    done = run(
        """
import logging, resource
from clusternet_engine import logs
logs.setup(2)
resource.setrlimit(resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    open("/dev/null")
except OSError as error:
    logging.getLogger("clusternet_engine").error("no descriptor\\n: %s", error, exc_info=error)
"""
    )
    assert done.returncode == 0
    assert "no descriptor\\n: [Errno 24] Too many open files" in done.stderr
    assert "Logging error" not in done.stderr
