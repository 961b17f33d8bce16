"""When the credential in a registration request has done its duty.

The hub puts a cluster's credential into the status of its registration request, where the agent fetches it. From the
cluster's first heartbeat on, the agent has it, and it needn't lie there any more. These rules tell from what the hub
sees of requests and ManagedClusters when that is so; they keep in memory what they have seen since the credential was
put there. A hub that has just begun to lead waits for one more heartbeat than necessary.
"""

from __future__ import annotations

from dataclasses import dataclass

REISSUE_GRACE = 15.0
"""Seconds for which API servers may still accept a credential that was replaced: they remember tokens for 10 s."""


@dataclass(slots=True)
class _Offer:
    """A credential that waits for its cluster: which one, since when, and the heartbeat seen last."""

    credential: str
    since: float
    heartbeat: str
    first: bool


class Handovers:
    """What the hub knows of credentials that lie in registration requests."""

    def __init__(self) -> None:
        self._offers: dict[str, _Offer] = {}

    def __contains__(self, request: object) -> bool:
        """Return whether a credential lies in the request of this name."""
        return request in self._offers

    def offer(self, request: str, credential: str, heartbeat: str, now: float) -> None:
        """Take note that a credential is put into a request.

        Args:
            request: name of the request.
            credential: which one, by any text that differs for each.
            heartbeat: time of the cluster's last heartbeat, as it told it; empty if it had none.
            now: monotonic time in seconds.
        """
        self._offers[request] = _Offer(credential, now, heartbeat, first=not heartbeat)

    def used(self, request: str, credential: str, heartbeat: str, now: float) -> bool:
        """Return whether the cluster has used the credential that lies in its request: a heartbeat came after it.

        A cluster that had a credential before may send one more heartbeat by that one; `REISSUE_GRACE` covers it. The
        arguments are those of `offer`, which is implied when this credential wasn't known of.
        """
        offer = self._offers.get(request)
        if offer is None or offer.credential != credential:
            self.offer(request, credential, heartbeat, now)
            return False
        if heartbeat == offer.heartbeat:
            return False
        offer.heartbeat = heartbeat
        return offer.first or now - offer.since > REISSUE_GRACE

    def forget(self, request: str) -> None:
        """Forget a request: its credential isn't there any more."""
        self._offers.pop(request, None)
