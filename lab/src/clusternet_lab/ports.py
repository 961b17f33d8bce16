"""Ports that stay one lab's own, also while its processes are down.

Ports are taken below the range the kernel hands out for outgoing connections, so that none of those can sit on the
port of a component that is just being restarted, and are claimed in one file for all labs of the user.
"""

import json
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusternet_lab.errors import LabError
from clusternet_lab.files import locked
from clusternet_lab.folders import cache_home

LOWEST = 20_000
HIGHEST = 32_767


@contextmanager
def _claims() -> Iterator[dict[int, str]]:
    """Yield the claims (port → lab folder) for changing; those of vanished labs are dropped."""
    path = cache_home() / "ports.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with locked(path, timeout=30, busy=f"another process holds {path} for longer than 30 s"):
        text = path.read_text()
        claims = {int(port): lab for port, lab in json.loads(text or "{}").items() if Path(lab).is_dir()}
        yield claims
        path.write_text(json.dumps(claims))


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def reserve(lab: Path, count: int) -> list[int]:
    """Claim ``count`` loopback ports for the lab in the existing folder ``lab``.

    Raises:
        LabError: so many free ports don't exist.
    """
    with _claims() as claims:
        candidates = random.sample(range(LOWEST, HIGHEST + 1), HIGHEST + 1 - LOWEST)
        free = (port for port in candidates if port not in claims and _is_free(port))
        ports = [port for port, _ in zip(free, range(count), strict=False)]
        if len(ports) < count:
            raise LabError(f"no {count} free ports between {LOWEST} and {HIGHEST} on 127.0.0.1")
        claims.update(dict.fromkeys(ports, str(lab)))
        return ports


def release(lab: Path) -> None:
    """Give back every port of the lab in ``lab``."""
    with _claims() as claims:
        for port in [port for port, owner in claims.items() if owner == str(lab)]:
            del claims[port]
