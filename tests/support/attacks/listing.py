"""The list of attacks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attacks.ground import Ground


@dataclass(frozen=True)
class Attack:
    """One thing that somebody tries.

    Attributes:
        who: the attacker: `child`, `user`, `registrant` or `stranger`.
        name: of the attack.
        sentence: what is tried.
        run: tries it; raises AssertionError if it succeeds.
    """

    who: str
    name: str
    sentence: str
    run: Callable[["Ground"], None]


ATTACKS: list[Attack] = []


def attack(who: str, sentence: str) -> Callable[[Callable[["Ground"], None]], Callable[["Ground"], None]]:
    """Put a function onto the list."""

    def listed(run: Callable[["Ground"], None]) -> Callable[["Ground"], None]:
        ATTACKS.append(Attack(who, run.__name__, sentence, run))
        return run

    return listed
