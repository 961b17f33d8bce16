"""Logs as text on standard error, one line an entry, in klog's form; secrets masked, control characters escaped."""

from __future__ import annotations

import encodings.unicode_escape  # noqa: F401 - Python would open its file at the first use, when none may be left
import logging
import re
import sys
import time
from collections.abc import Callable
from datetime import datetime

from aiohttp.http_exceptions import HttpProcessingError

_LETTERS = {logging.DEBUG: "D", logging.INFO: "I", logging.WARNING: "W", logging.ERROR: "E", logging.CRITICAL: "F"}
_SECRETS = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # JSON web tokens: ServiceAccounts
    r"|(?<![\w.-])([a-z0-9]{6})\.[a-z0-9]{16}(?![\w.-])"  # bootstrap tokens; the id before the dot is public
    r"|(?i:(?<=bearer ))[\w.~+/=-]+"
)
MAX_KINDS = 64
"""Kinds of messages that are told apart."""
REFUSALS_LOGGED = 10.0
"""Seconds between two messages on refused requests from one address: who fills the log hides in it."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What would begin another line, or make a terminal show something else."""


class KlogFormatter(logging.Formatter):
    """``I1123 10:18:17.123456 clusternet_engine.hub.approver] message``, with tokens masked wherever they occur."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, followed by its traceback if it has one."""
        moment = datetime.fromtimestamp(record.created).strftime("%m%d %H:%M:%S.%f")
        message = _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), record.getMessage())
        text = f"{_LETTERS.get(record.levelno, 'I')}{moment} {record.name}] {message}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return mask(text)


class Sparingly:
    """Says which of many messages alike are logged: of each kind one in a while.

    :param seconds: between two of a kind.
    :param clock: monotonic seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._next: dict[str, float] = {}

    def allows(self, kind: str) -> bool:
        """Whether a message of this kind may be logged now; if there are too many kinds, they count as one."""
        now = self._clock()
        if len(self._next) >= MAX_KINDS:
            self._next = {known: time for known, time in self._next.items() if time > now}
            if len(self._next) >= MAX_KINDS and kind not in self._next:
                kind = ""
        if self._next.get(kind, now) > now:
            return False
        self._next[kind] = now + self._seconds
        return True


class MalformedRequests(logging.Filter):
    """Makes one short line, now and then, of what aiohttp logs with a traceback: requests that aren't HTTP.

    Strangers can send as many as they like, and would fill the log with them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sparingly = Sparingly(REFUSALS_LOGGED)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged; its error is named, without what was sent."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            return True
        record.exc_info, record.exc_text = None, None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = f"refused a malformed request: {type(error).__name__}", ()
        return self._sparingly.allows(type(error).__name__)


def mask(text: str) -> str:
    """The text with bearer, ServiceAccount and bootstrap tokens replaced by ``***``; a bootstrap token keeps its id."""
    return _SECRETS.sub(lambda match: f"{match[1]}.***" if match[1] else "***", text)


def setup(verbosity: int) -> None:
    """Log to standard error.

    :param verbosity: ``-v``: 0 = warnings and errors, 1–3 = information too, 4–5 = debugging too, 6 and more = that
        of the libraries too.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(KlogFormatter())
    logging.basicConfig(level=logging.DEBUG if verbosity >= 6 else logging.WARNING, handlers=[handler], force=True)
    server = logging.getLogger("aiohttp.server")
    for former in [one for one in server.filters if isinstance(one, MalformedRequests)]:
        server.removeFilter(former)
    server.addFilter(MalformedRequests())
    level = logging.DEBUG if verbosity >= 4 else logging.INFO if verbosity >= 1 else logging.WARNING
    logging.getLogger("clusternet_engine").setLevel(level)
