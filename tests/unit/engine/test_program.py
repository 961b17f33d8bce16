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


def failing(errors: str) -> subprocess.CompletedProcess[str]:
    """Run a program whose tasks fail with these errors."""
    return run(
        f"""
import asyncio
from clusternet_engine import logs, program
from clusternet_engine.kube.config import ConfigError
logs.setup(0)
async def fail(error):
    raise error
async def work():
    async with asyncio.TaskGroup() as tasks:
        for error in {errors}:
            tasks.create_task(fail(error))
program.run_program(work())
"""
    )


def test_what_its_user_has_to_mend_is_told_in_one_line_also_by_tasks() -> None:
    done = failing("[ConfigError('mend this'), OSError('and that')]")
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first.endswith("mend this")
    assert second.endswith("and that")


def test_other_failures_of_tasks_are_shown_whole() -> None:
    done = failing("[ConfigError('mend this'), ValueError('a fault of ours')]")
    assert done.returncode == 1
    assert "the work has failed" in done.stderr
    assert "Traceback" in done.stderr
