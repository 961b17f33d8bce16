"""Durations as Go writes them on command lines: `20s`, `3m`, `1m30s`, `1.5h`, `250ms`."""

from __future__ import annotations

import re
from decimal import Decimal

_SECONDS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "μs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_NUMBER_AND_UNIT = r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"([-+]?)((?:{_NUMBER_AND_UNIT})+)", re.ASCII)
_PART = re.compile(_NUMBER_AND_UNIT, re.ASCII)


def parse_duration(text: str) -> float:
    """Return the seconds of a duration.

    Raises:
        ValueError: the text is not a duration; a number without a unit is none, except 0.
    """
    if text in ("0", "+0", "-0"):
        return 0.0
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a duration such as 20s, 3m or 1h30m")
    total = sum((Decimal(number) * _SECONDS[unit] for number, unit in _PART.findall(match[2])), Decimal(0))
    return float(-total if match[1] == "-" else total)
