"""Tells what `/readyz` of the agent says: whether its cluster is registered, and its tunnel open if there is to be one.

An agent is ready when it has done what it leads for, or when another agent leads: standbys have nothing to wait for.
One that can't read its Lease is neither. The checks are named after what is missing; the log says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from functools import partial

from clusternet_engine.agent.progress import STATUS_ANNOTATION


class Need(StrEnum):
    """Lists what the agent that leads must have; the values are the names of the checks."""

    CREDENTIAL = "credential"
    MANAGED_CLUSTER = "managed-cluster"
    TUNNEL = "tunnel"


_WHY = f"annotation {STATUS_ANNOTATION} of the Lease says why"
_MISSING = {
    Need.CREDENTIAL: f"the parent has not approved the registration; {_WHY}",
    Need.MANAGED_CLUSTER: f"the status has not been posted to the ManagedCluster on the parent; {_WHY}",
    Need.TUNNEL: "there is no tunnel to the parent",
}


class NotReady(Exception):
    """Something is missing; the text says what."""


class Readiness:
    """Knows what the agent has of what it needs.

    Args:
        tunnel: whether a tunnel is wanted.
    """

    def __init__(self, *, tunnel: bool) -> None:
        self._needs = [need for need in Need if tunnel or need is not Need.TUNNEL]
        self._has: set[Need] = set()

    def gained(self, need: Need) -> None:
        """Say that the agent has something."""
        self._has.add(need)

    @contextmanager
    def has(self, need: Need) -> Iterator[None]:
        """Say that the agent has something for as long as the context is open."""
        self._has.add(need)
        try:
            yield
        finally:
            self._has.discard(need)

    @contextmanager
    def membership(self) -> Iterator[None]:
        """Say that the parent has approved the cluster for as long as the context is open; nothing outlives that."""
        self._has.add(Need.CREDENTIAL)
        try:
            yield
        finally:
            self._has.clear()

    def checks(self, leading: Callable[[], bool], standing_by: Callable[[], bool]) -> Mapping[str, Callable[[], None]]:
        """Return the checks by name; each raises `NotReady` if something is missing.

        Args:
            leading: tells whether this agent leads.
            standing_by: tells whether another one does.
        """

        def elected() -> None:
            if not (leading() or standing_by()):
                raise NotReady("this agent has not yet seen who leads")

        def met(need: Need) -> None:
            if need not in self._has and not standing_by():
                raise NotReady(_MISSING[need])

        return {"leader-election": elected, **{need.value: partial(met, need) for need in self._needs}}
