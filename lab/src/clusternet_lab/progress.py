"""Telling the user what takes time."""

import sys
import time
from threading import Lock
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar


class Progress(Protocol):
    """What is told about building and starting."""

    def say(self, message: str) -> None:
        """A step began or ended."""

    def count(self, what: str, done: int, total: int, item: str) -> None:
        """Of ``total`` items of ``what``, ``done`` are done; ``item`` is the one at hand."""


class Silent:
    """Tells nothing."""

    def say(self, message: str) -> None:
        """Say nothing."""

    def count(self, what: str, done: int, total: int, item: str) -> None:
        """Say nothing."""


class Lines:
    """Writes lines to standard error, of counts one every few seconds: for logs.

    Args:
        interval: seconds between two lines about a count.
    """

    def __init__(self, interval: float = 10.0) -> None:
        self._interval = interval
        self._next = 0.0
        self._lock = Lock()

    def say(self, message: str) -> None:
        """Write the message."""
        with self._lock:
            print(message, file=sys.stderr, flush=True)

    def count(self, what: str, done: int, total: int, item: str) -> None:
        """Write how far it is, if the last such line is long enough ago."""
        if (now := time.monotonic()) >= self._next:
            self._next = now + self._interval
            self.say(f"{done}/{total} {what}: {item}")


class Bars:
    """Draws a bar for each count on the terminal behind standard error; use it as a context manager."""

    def __init__(self) -> None:
        self._bar = Bar(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[item]}", style="dim", markup=False), console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "Bars":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, message: str) -> None:
        """Write the message above the bars."""
        self._bar.console.print(message, markup=False, highlight=False)

    def count(self, what: str, done: int, total: int, item: str) -> None:
        """Move the bar of ``what``."""
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, item="")
        self._bar.update(self._tasks[what], completed=done, total=total, item=item)
