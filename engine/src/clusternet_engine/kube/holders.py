"""Identities of lease holders that tell, on the same machine, whether the process that bears them still runs.

A process that was killed leaves a lease behind. Its successor on the same machine needn't wait until that expires: an
identity names the boot, the PID namespace, the number and the start of its process, and none of them comes back.
"""

from __future__ import annotations

import os
import re
import socket
import uuid
from pathlib import Path

_PROC = Path("/proc")
_IDENTITY = re.compile(r"(?P<place>.+)_(?P<pid>\d+)-(?P<start>\d+)")
_ENDED = "ZX"
"""States of processes that run no more and only wait for their parent to take notice."""


def own_identity() -> str:
    """Return the identity of this process, `<host>_<boot>-<PID namespace>_<PID>-<start>`; no other one has it."""
    pid = os.getpid()
    try:
        return f"{_place()}_{pid}-{_state_and_start(pid)[1]}"
    except OSError:
        return f"{socket.gethostname()}_{uuid.uuid4()}"


def has_ended(identity: str) -> bool:
    """Return whether an identity was that of a process of this machine which certainly doesn't run any more."""
    found = _IDENTITY.fullmatch(identity)
    if found is None:
        return False
    pid = int(found["pid"])
    try:
        if found["place"] != _place():
            return False
        os.kill(pid, 0)
        state, start = _state_and_start(pid)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return start != found["start"] or state in _ENDED


def _place() -> str:
    """Return what the processes have in common whose numbers are comparable."""
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{socket.gethostname()}_{boot}-{(_PROC / 'self/ns/pid').stat().st_ino}"


def _state_and_start(pid: int) -> tuple[str, str]:
    """Return state and start (in ticks since boot) of a process: the first and the 20th field after its name."""
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return fields[0], fields[19]
