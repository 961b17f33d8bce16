"""Ends a program whose event loop stands still, so that it is started anew, after it has said where it stands.

The loop beats once a second. A thread counts its own seconds since the last beat, so that a machine or process that
was suspended as a whole doesn't count as standing still, nor does one that is merely slow. After `LIMIT` it logs where
the main thread is (files and lines, no values) and ends the process. Where that thread can't run, because the main
thread holds the interpreter's lock, a timer of the processor time used does the same from outside of Python. Systemd,
where it runs the program, is told of each beat and ends what doesn't beat at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from types import FrameType

LIMIT = 30.0
"""Seconds without a beat after which the loop counts as standing still."""
BEAT = 1.0
"""Seconds between two beats."""
EXIT_CODE = 70
"""How the process ends then; as `sysexits.h` calls an internal error."""
_STDERR = 2
_FRAMES = 30
_LOG_TIMEOUT = 2.0
"""Seconds that writing the log may take: the main thread may stand still because nobody reads it."""

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def watched_loop(
    limit: float = LIMIT, beat: float = BEAT, end: Callable[[int], None] = os._exit
) -> AsyncIterator[None]:
    """Watch over the running event loop for as long as the context is open.

    Args:
        limit: seconds without a beat after which the process ends.
        beat: seconds between two beats.
        end: ends the process with an exit code.
    """
    watchdog = _Watchdog(limit, beat, end)
    beating = asyncio.create_task(watchdog.beat(), name="watchdog")
    watchdog.start()
    notify("READY=1")
    try:
        yield
    finally:
        notify("STOPPING=1")
        beating.cancel()
        watchdog.stop()


class _Watchdog:
    def __init__(self, limit: float, beat: float, end: Callable[[int], None]) -> None:
        self._limit = limit
        self._beat = beat
        self._end = end
        self._main = threading.get_ident()
        self._beats = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._timer = threading.current_thread() is threading.main_thread()

    def start(self) -> None:
        if self._timer:
            # Its handler is written in C and needs no lock; the chained default action ends the process.
            faulthandler.register(signal.SIGPROF, file=_STDERR, all_threads=False, chain=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._timer:
            signal.setitimer(signal.ITIMER_PROF, 0)
            faulthandler.unregister(signal.SIGPROF)

    async def beat(self) -> None:
        """Show that the loop goes on, until cancelled."""
        while True:
            self._beats += 1
            if self._timer:
                signal.setitimer(signal.ITIMER_PROF, 2 * self._limit)
            notify("WATCHDOG=1")
            await asyncio.sleep(self._beat)

    def _watch(self) -> None:
        seen, silent = -1, 0.0
        while not self._stopped.wait(self._beat):
            silent = silent + self._beat if self._beats == seen else 0.0
            seen = self._beats
            if silent >= self._limit:
                self._stopped.set()
                self._tell()
                self._end(EXIT_CODE)

    def _tell(self) -> None:
        place = whereabouts(sys._current_frames().get(self._main))
        message = "the event loop has stood still for %g s, so the process ends; the main thread is at %s"
        telling = threading.Thread(target=log.critical, args=(message, self._limit, place), daemon=True)
        telling.start()
        telling.join(_LOG_TIMEOUT)


def whereabouts(frame: FrameType | None) -> str:
    """Return the files and lines of a stack, innermost first, without any value."""
    places: list[str] = []
    while frame is not None and len(places) < _FRAMES:
        places.append(f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}")
        frame = frame.f_back
    return " ← ".join(places) or "an unknown place"


def notify(state: str) -> None:
    """Tell systemd how the program is, if that has started it; see sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
