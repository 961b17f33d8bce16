"""Posts the status of the child to its ManagedCluster on the parent (spec/02 §8, "Posting" and "Label aggregation")."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from clusternet_engine.agent.progress import Progress, Reason, Track
from clusternet_engine.agent.readiness import Need, Readiness
from clusternet_engine.agent.registration import Approval, Membership, verdict
from clusternet_engine.agent.status import Collector, Observation
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.client import Client, PatchType
from clusternet_engine.kube.errors import ApiError, Conflict, ConnectionFailed, Forbidden, NotFound, Unauthorized
from clusternet_engine.kube.resources import CLUSTER_REGISTRATION_REQUESTS, MANAGED_CLUSTERS, Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.conditions import merge_conditions
from clusternet_engine.model.labels import aggregated_labels_patch
from clusternet_engine.model.names import cluster_object_name

_GRACE = 5.0
"""Seconds a fresh credential may be refused: its roles need a moment to reach every apiserver of the parent."""
_CONFLICTS = 5

log = logging.getLogger(__name__)


class MembershipLost(Exception):
    """The parent no longer knows this cluster as it was registered; the registration must be gone through again."""


class Heartbeat:
    """Posts at once what was collected first, then every `update_frequency` seconds and when readiness changes.

    Before each later post the registration request is read, so that a rotated credential or a parent that has forgotten
    the cluster is noticed.

    Args:
        parent: client of the parent, acting as the approved cluster.
        membership: the approved registration.
        cluster_id: identity of the child.
        collector: holds what is to be posted.
        update_frequency: seconds between posts.
        aggregate_prefixes: label keys that belong to the aggregation of node labels.
        progress: hears of failures.
        readiness: hears that the ManagedCluster is there.
    """

    def __init__(
        self,
        parent: Client,
        membership: Membership,
        *,
        cluster_id: str,
        collector: Collector,
        update_frequency: float,
        aggregate_prefixes: Sequence[str],
        progress: Progress,
        readiness: Readiness,
    ) -> None:
        self._parent = parent
        self._membership = membership
        self._namespace = membership.credential.namespace
        self._cluster_id = cluster_id
        self._collector = collector
        self._update_frequency = update_frequency
        self._aggregate_prefixes = aggregate_prefixes
        self._progress = progress
        self._readiness = readiness
        self._cluster: Object | None = None
        self._refused: dict[str, str | None] = {}
        self._says_what_it_reads = True

    async def run(self) -> None:
        """Post until cancelled.

        Raises:
            MembershipLost: the credential is refused, or the request or the ManagedCluster is gone or has changed.
        """
        started = time.monotonic()
        backoff = Backoff(0.05, 10)
        posted: Observation | None = None
        while True:
            observation = await self._collector.latest()
            try:
                if posted:
                    await self._check_registration()
                await self._post(observation)
            except (Unauthorized, Forbidden) as error:
                if time.monotonic() - started > _GRACE:
                    raise MembershipLost(f"the parent refuses the credential of the cluster: {error}") from None
                await asyncio.sleep(backoff.next())
                continue
            except (ApiError, ConnectionFailed) as error:
                self._progress.failed(Track.HEARTBEAT, Reason.HEARTBEAT_FAILED, f"the status was not posted: {error}")
                await asyncio.sleep(backoff.next())
                continue
            self._progress.passed(Track.HEARTBEAT)
            self._readiness.gained(Need.MANAGED_CLUSTER)
            backoff.reset()
            posted = observation
            await self._collector.readiness_other_than(posted.ready, self._update_frequency)

    async def _check_registration(self) -> None:
        try:
            request = await self._parent.get(CLUSTER_REGISTRATION_REQUESTS, cluster_object_name(self._cluster_id))
        except NotFound:
            raise MembershipLost("the registration request is gone") from None
        decision = verdict(request, self._membership.credential.parent_url)
        if isinstance(decision, Approval) and decision.credential != self._membership.credential:
            raise MembershipLost("the parent has issued a new credential")

    async def _post(self, observation: Observation) -> None:
        for attempt in range(1, _CONFLICTS + 1):
            cluster = await self._say_what_it_reads(self._cluster or await self._find())
            self._cluster = None
            conditions = merge_conditions(
                (cluster.get("status") or {}).get("conditions") or [], [observation.condition]
            )
            body = {**cluster, "status": {**observation.status, "conditions": conditions}}
            try:
                cluster = await self._parent.update(MANAGED_CLUSTERS, body, subresource="status")
            except Conflict:
                if attempt == _CONFLICTS:
                    raise
                continue
            except NotFound:
                raise MembershipLost("the ManagedCluster is gone") from None
            self._cluster = await self._aggregate(cluster, observation)
            return

    async def _say_what_it_reads(self, cluster: Object) -> Object:
        """Tell the hub that this agent reads values of Secrets where the hub keeps them; Clusternet's own don't."""
        metadata = cluster["metadata"]
        known = (metadata.get("annotations") or {}).get(names.READS_VALUES_ANNOTATION) == "true"
        if known or not self._says_what_it_reads:
            return cluster
        patch = {"metadata": {"annotations": {names.READS_VALUES_ANNOTATION: "true"}}}
        try:
            return await self._parent.patch(MANAGED_CLUSTERS, metadata["name"], patch, metadata["namespace"])
        except NotFound:
            raise MembershipLost("the ManagedCluster is gone") from None
        except Forbidden as error:
            self._says_what_it_reads = False
            log.warning("the hub doesn't hear that this agent can read Secrets: %s", error)
            return cluster

    async def _find(self) -> Object:
        found = await self._parent.list(
            MANAGED_CLUSTERS, self._namespace, label_selector=f"{names.CLUSTER_ID_LABEL}={self._cluster_id}"
        )
        if not found.items:
            complaint = self._membership.complaint
            hint = f"; the hub says: {complaint}" if complaint else ""
            raise MembershipLost(f"namespace {self._namespace} has no ManagedCluster of this cluster{hint}")
        return found.items[0]

    async def _aggregate(self, cluster: Object, observation: Observation) -> Object:
        current = cluster["metadata"].get("labels") or {}
        changes = aggregated_labels_patch(current, observation.node_labels, self._aggregate_prefixes)
        if not changes:
            return cluster
        metadata = cluster["metadata"]
        patch = {"metadata": {"labels": changes}}
        try:
            return await self._parent.patch(
                MANAGED_CLUSTERS, metadata["name"], patch, metadata["namespace"], kind=PatchType.MERGE
            )
        except Forbidden as error:
            # The status counts, and is there. Which labels a cluster may write is the parent's to say.
            if self._refused != changes:
                log.warning("the parent doesn't take the labels that sum up those of the nodes: %s", error)
            self._refused = changes
            return cluster
