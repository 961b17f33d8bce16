"""Processes that outlive the command that started them, and are recognised again later."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

_SAME_START = 2.0  # seconds; the kernel's boot time, from which start times are computed, may be corrected a little


@dataclass(frozen=True)
class Identity:
    """A process by its number and its start time (seconds since the epoch), as numbers alone are used again."""

    pid: int
    started: float

    @classmethod
    def of(cls, process: psutil.Process) -> Self:
        """Return the identity of a process of this moment."""
        return cls(process.pid, process.create_time())

    def find(self) -> psutil.Process | None:
        """Return the process, or None when it has ended (a zombie has) or its number belongs to another one now."""
        try:
            process = psutil.Process(self.pid)
            alive = process.status() != psutil.STATUS_ZOMBIE
            return process if alive and abs(process.create_time() - self.started) < _SAME_START else None
        except psutil.NoSuchProcess:
            return None


def spawn(program: Path, arguments: Sequence[str], log: Path, environment: dict[str, str]) -> Identity:
    """Start ``program`` in a session of its own, output appended to ``log``.

    Args:
        program: the file to run.
        arguments: the command line, its first item the name the program shall see.
        log: file (mode 0600) for standard output and error.
        environment: its environment.
    """
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        program,
        tuple(arguments),
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
    )
    return Identity.of(psutil.Process(pid))


def by_command(name: str, part: str) -> list[psutil.Process]:
    """Return this user's processes that were started as ``name`` and have ``part`` in one of their arguments."""
    found = []
    for candidate in psutil.process_iter():
        with suppress(psutil.Error):
            command = candidate.cmdline()
            if command[:1] == [name] and any(part in argument for argument in command[1:]):
                found.append(candidate)
    return found


def _signal(send: Callable[[], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        send()


def end(processes: Sequence[psutil.Process], grace: float) -> None:
    """Ask processes to end (SIGTERM), kill those still there after ``grace`` seconds, and return when all are gone."""
    for process in processes:
        _signal(process.terminate)
    _, stubborn = psutil.wait_procs(processes, timeout=grace)
    kill(stubborn)


def kill(processes: Sequence[psutil.Process]) -> None:
    """Kill processes (SIGKILL) and return when all are gone."""
    for process in processes:
        _signal(process.kill)
    psutil.wait_procs(processes, timeout=10)
