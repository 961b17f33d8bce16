# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Quote from the log of a process why it isn't ready: the last error, one short printable line without secrets."""

from __future__ import annotations

import os
import re

LONGEST_QUOTE = 500
"""Characters of a line that is quoted."""
_READ_BYTES = 65536
_HIDDEN = "***"
_ERRORS = re.compile(
    r"[EF]\d{4} "  # klog
    r"|(?![DIW]\d{4} ).*?(?:\b(?:error|fatal|panic)\b\W*?[:=]|\b(?:ERROR|FATAL|CRITICAL)\b)"
    r"|[\w.]*(?:Error|Exception|Exit|Interrupt)(?:: |$)"  # end of a traceback
)
_WARNINGS = re.compile(r"W\d{4} |.*\b(?:WARNING|warning:)")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")
_SECRETS = re.compile(
    r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}"  # JSON Web Tokens
    r"|(?<![\w.-])(?P<id>[a-z0-9]{6})\.[a-z0-9]{16}(?![\w.-])"  # bootstrap tokens; the id before the dot is public
    r"|(?i:(?<=bearer )|(?<=basic ))[\w.~+/=-]{8,}"
    r"|(?<=://)[^\s/@]+(?=@)"  # logins in URLs
    r"|(?P<name>(?i:token|password|passwd|secret|api[_-]?key|(?<![\w-])[\w-]+-data)[\"']?"
    r"\s*(?:=\s*[\"']?|:\s*[\"']|:\s*(?=\S{16}))|(?i:--(?:token|password)) )[^\s\"',;}&]+"
    r"|(?<!\S)[A-Za-z0-9+][A-Za-z0-9+/]{59,}={0,2}(?!\S)"  # Base64, such as lines of private keys
)


def last_error(text: str) -> tuple[str, str]:
    """Return the last line of a log that tells of an error, else of a warning, else the last one, and which it is.

    Args:
        text: the log's end.

    Returns:
        tuple: the line, ready to be shown, and C(error), C(warning) or C(line); both are empty for an empty log.
    """
    lines = [line for line in map(shown, text.splitlines()) if line]
    for kind, pattern in (("error", _ERRORS), ("warning", _WARNINGS), ("line", re.compile(""))):
        for line in reversed(lines):
            if pattern.match(line):
                return line, kind
    return "", ""


def shown(line: str) -> str:
    """Return a line of a log without escape sequences, secrets and what can't be printed, cut to a length to read."""
    line = _ESCAPES.sub("", line)
    line = "".join(character if character.isprintable() else " " for character in line).strip()
    line = _SECRETS.sub(_without_secret, line)
    return line if len(line) <= LONGEST_QUOTE else line[: LONGEST_QUOTE - 1] + "…"


def shown_lines(text: str, count: int = 20) -> list[str]:
    """Return the last lines of a log, each as it may be shown."""
    return [shown(line) for line in text.splitlines()[-count:]]


def _without_secret(found: re.Match[str]) -> str:
    if found["id"]:
        return f"{found['id']}.{_HIDDEN}"
    return (found["name"] or "") + _HIDDEN


def quote(text: str, place: str) -> str:
    """Return sentences that quote the last error of a log and say where the whole log is.

    Args:
        text: the log's end.
        place: the path of the log, or the command that shows it.
    """
    line, kind = last_error(text)
    if not line:
        return f"Its log is empty: {place}"
    what = {"error": "last error in", "warning": "last warning in", "line": "last line of"}[kind]
    return f'The {what} its log is "{line}". The whole log: {place}'


def read_end(path: str, start: int = 0) -> str:
    """Return the end of a log file, empty if it can't be read.

    Args:
        path: of the file.
        start: byte from which on it is read; a file that is shorter was begun anew, and is read from its beginning.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            first = start if start <= size else 0
            offset = max(first, size - _READ_BYTES)
            file.seek(offset)
            text = file.read(_READ_BYTES).decode(errors="replace")
    except OSError:
        return ""
    # A token whose beginning is missing couldn't be recognized.
    return text.partition("\n")[2] if offset > first else text


def size_of(path: str) -> int:
    """Return how long a file is, 0 if there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
