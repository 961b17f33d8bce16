"""Quantities of resources (`100m`, `16Gi`, `1e3`): reading, adding and writing them as Kubernetes does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from math import ceil, floor


class Format(Enum):
    """How a quantity is written."""

    DECIMAL = "DecimalSI"
    BINARY = "BinarySI"
    EXPONENT = "DecimalExponent"


_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:(?P<suffix>[KMGTPE]i|[numkMGTPE])|[eE](?P<exponent>[+-]?[0-9]{1,3}))?",
    re.ASCII,
)
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_DECIMAL_EXPONENT = {suffix: exponent for exponent, suffix in _DECIMAL.items()}
_SMALLEST = Fraction(1, 10**9)


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact amount and the way it is written."""

    value: Fraction
    format: Format = Format.DECIMAL

    def __str__(self) -> str:
        value = self.value
        if self.format is Format.BINARY and abs(value) >= 1024:
            return _written_binary(_away_from_zero(value))
        scaled = _away_from_zero(value / _SMALLEST)
        if scaled == 0:
            return "0"
        exponent = -9
        while scaled % 1000 == 0 and exponent < 18:
            scaled //= 1000
            exponent += 3
        if self.format is Format.EXPONENT:
            return f"{scaled}e{exponent}" if exponent else str(scaled)
        return f"{scaled}{_DECIMAL[exponent]}"


def parse_quantity(text: str | int | float) -> Quantity:
    """Return the quantity of a field.

    Raises:
        ValueError: the text is not a quantity.
    """
    match = _QUANTITY.fullmatch(str(text))
    if not match:
        raise ValueError(f"{text!r} is not a quantity")
    number, suffix, exponent = Fraction(match["number"]), match["suffix"], match["exponent"]
    if exponent is not None:
        return Quantity(number * Fraction(10) ** int(exponent), Format.EXPONENT)
    if suffix is not None and suffix.endswith("i"):
        return Quantity(number * 1024 ** _BINARY.index(suffix), Format.BINARY)
    return Quantity(number * Fraction(10) ** _DECIMAL_EXPONENT[suffix or ""])


def sum_quantities(quantities: Iterable[Quantity]) -> Quantity:
    """Return the sum, written like the first quantity that is not zero."""
    total, form = Fraction(0), None
    for quantity in quantities:
        total += quantity.value
        if form is None and quantity.value:
            form = quantity.format
    return Quantity(total, form or Format.DECIMAL)


def _written_binary(value: int) -> str:
    power = 0
    while value % 1024 == 0 and power < len(_BINARY) - 1:
        value //= 1024
        power += 1
    return f"{value}{_BINARY[power]}"


def _away_from_zero(value: Fraction) -> int:
    return ceil(value) if value > 0 else floor(value)
