"""Texts that others wrote, made fit for statuses, events and logs.

A child, or a server that the hub asks, can put anything into its answers: line breaks, control characters, megabytes.
What of it is shown to others is one line of printable characters, of limited length.
"""

from __future__ import annotations

TEXT_LIMIT = 500
"""Characters of a foreign text that are shown among other things, e.g. one cluster's reason in a Subscription."""


def printable(text: object, limit: int = TEXT_LIMIT) -> str:
    """Return a foreign text as one line of printable characters.

    Args:
        text: what was read; anything that is no string counts as empty.
        limit: characters of the result, above zero; a longer text ends with "…".
    """
    if not isinstance(text, str):
        return ""
    # Enough for the limit however much of it is blank; a text of megabytes is not walked through.
    head = text[: 4 * limit]
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in head).split())
    if len(line) > limit or len(head) < len(text):
        return line[: limit - 1] + "…"
    return line
