"""Requests counted where they arrive: in the audit log of the API server."""

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path

ADMINISTRATOR = "kubernetes-admin"


class RequestCounter:
    """Counts the administrator's requests in an audit log.

    Args:
        log: the log, one JSON object a line.
        get: sends a GET of a path to the same API server as the administrator; marks the end of what is counted.
    """

    def __init__(self, log: Path, get: Callable[[str], object]) -> None:
        self._log = log
        self._get = get
        self._position = 0

    def restart(self) -> None:
        """Begin counting now."""
        self._read_to_mark()

    def count(self) -> int:
        """Return how many requests came since the last `restart` or `count`."""
        return sum(event["user"].get("username") == ADMINISTRATOR for event in self._read_to_mark())

    def _read_to_mark(self) -> list[dict]:
        mark = f"/version?mark={uuid.uuid4().hex}"
        self._get(mark)
        events, last = [], time.monotonic()
        with self._log.open() as log:
            log.seek(self._position)
            while time.monotonic() < last + 10:
                line = log.readline()
                if not line.endswith("\n"):
                    log.seek(self._position)
                    time.sleep(0.02)
                    continue
                self._position, last = log.tell(), time.monotonic()
                event = json.loads(line)
                if event["requestURI"] == mark:
                    return events
                events.append(event)
        raise TimeoutError(f"{self._log} doesn't show the request for {mark}, nor anything else for 10 s")
