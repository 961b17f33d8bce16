"""Hub and agent processes that the roles of clusternet.core started in a lab's folder (see `inventory`).

The engine stands in ``<lab>/engine/venv``; each process has its folder below ``<lab>/hosts`` and its own
supervisord.
"""

from pathlib import Path

import psutil

from clusternet_lab import process

_GRACE = 12.0  # seconds; supervisord gives what it supervises 10


def processes(folder: Path) -> list[psutil.Process]:
    """Return the processes of hubs and agents in the lab's folder, with their supervisors."""
    own = {ancestor.pid for ancestor in (psutil.Process(), *psutil.Process().parents())}
    return [found for found in psutil.process_iter() if found.pid not in own and _belongs(found, folder)]


def end(folder: Path) -> None:
    """End the hubs and agents in the lab's folder, gracefully if they let themselves."""
    process.end(processes(folder), _GRACE)


def _belongs(candidate: psutil.Process, folder: Path) -> bool:
    try:
        command = candidate.cmdline()
        return (
            any(_inside(argument, folder / "engine" / "venv" / "bin") for argument in command[:2])
            or (command[-2:-1] == ["-c"] and _inside(command[-1], folder / "hosts"))
            or (_inside(candidate.cwd(), folder / "hosts") and "SUPERVISOR_SERVER_URL" in candidate.environ())
        )
    except (psutil.Error, OSError):
        return False


def _inside(path: str, folder: Path) -> bool:
    return Path(path).is_relative_to(folder)
