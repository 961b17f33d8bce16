"""A loop that stands still ends its program; one that is merely slow, suspended or stopped doesn't."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clusternet_engine.watchdog import EXIT_CODE, notify, whereabouts

PROGRAM = """
import asyncio, re, sys, time
from clusternet_engine import logs
from clusternet_engine.watchdog import watched_loop

def stand_still(secret):
    {still}

async def main():
    async with watched_loop(limit={limit}, beat=0.05):
        print("running", flush=True)
        {work}

logs.setup(2)
asyncio.run(main())
"""
BLOCKED = 'await asyncio.sleep(0.2); stand_still("hunter2")'


def start(still: str, work: str, limit: float = 0.5, **environment: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(still=still, work=work, limit=limit)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    return process


def test_a_loop_that_stands_still_says_where_and_ends() -> None:
    with start("time.sleep(60)", BLOCKED) as process:
        _, log = process.communicate(timeout=30)
    assert process.returncode == EXIT_CODE
    assert "the event loop has stood still for 0.5 s" in log
    assert "<string>:7 in stand_still ← <string>:12 in main" in log
    assert "hunter2" not in log


def test_the_same_while_nothing_else_can_run() -> None:
    """A regular expression keeps the interpreter's lock, so no thread of Python could say anything."""
    with start('re.match("(a+)+$", "a" * 100 + "b")', BLOCKED) as process:
        _, log = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGPROF
    assert 'File "<string>", line 7 in stand_still' in log
    assert "hunter2" not in log


def test_the_same_while_nobody_reads_the_log() -> None:
    still = "sys.stderr.write('x' * 10_000_000)"
    with start(still, BLOCKED) as process:
        assert process.wait(30) == EXIT_CODE


@pytest.mark.parametrize(
    "work",
    [
        "await asyncio.sleep(2)",
        "[(time.sleep(0.05), await asyncio.sleep(0)) for _ in range(40)]",
        "await asyncio.to_thread(lambda: [sum(range(10**5)) for _ in range(600)])",
    ],
    ids=["idle", "slow", "busy in a thread"],
)
def test_a_loop_that_goes_on_is_left_alone(work: str) -> None:
    with start("pass", work, limit=1.0) as process:
        _, log = process.communicate(timeout=60)
    assert (process.returncode, log) == (0, "")


def test_a_process_that_was_stopped_as_a_whole_goes_on() -> None:
    with start("pass", "await asyncio.sleep(2.5)", limit=1.0) as process:
        process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        process.send_signal(signal.SIGCONT)
        _, log = process.communicate(timeout=30)
    assert (process.returncode, log) == (0, "")


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"clusternet-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(10)
        systemd.bind(f"\0{name}" if abstract else str(tmp_path / "notify"))
        address = f"@{name}" if abstract else str(tmp_path / "notify")
        with start("pass", "await asyncio.sleep(0.3)", NOTIFY_SOCKET=address) as process:
            process.communicate(timeout=30)
        told = []
        systemd.setblocking(False)
        while True:
            try:
                told.append(systemd.recv(100).decode())
            except BlockingIOError:
                break
    assert told[0] in ("READY=1", "WATCHDOG=1")
    assert "READY=1" in told
    assert told.count("WATCHDOG=1") > 2
    assert told[-1] == "STOPPING=1"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")


def test_a_stack_is_told_by_its_lines() -> None:
    frame = sys._getframe()
    assert whereabouts(frame).startswith(f"{__file__}:{frame.f_lineno} in test_a_stack_is_told_by_its_lines ← ")
    assert whereabouts(None) == "an unknown place"
