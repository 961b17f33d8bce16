"""Which clusters a Subscription may go to: selected, not kept away by taints, best first, by sub group (spec/03 §2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from clusternet_engine.kube.resources import Object
from clusternet_engine.model.selectors import Selector, selector_of
from clusternet_engine.model.taints import wanted_taints
from clusternet_engine.model.tolerations import aversions, normalise, taint_text, untolerated_taint

NOT_SELECTED = "no subscriber selects"
NOT_PERMITTED = "the Subscription's namespace may not publish to"
_ANY_TIME = datetime.fromtimestamp(0, UTC)
_NAMED = 10
"""Clusters that a message names for each reason."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One of `spec.subscribers`, its selector ready for use.

    Attributes:
        selector: of ManagedClusters.
        weight: share of the replicas under static dividing.
        wanted: clusters to take from this group; None where it has no `subGroupStrategy`.
    """

    selector: Selector
    weight: int
    wanted: int | None

    def selects(self, cluster: Object) -> bool:
        """Return whether a ManagedCluster belongs to this group."""
        return self.selector.matches(cluster["metadata"].get("labels"))


@dataclass(slots=True)
class Candidates:
    """The clusters that may take the feeds, and why the others may not.

    Attributes:
        feasible: best first; equally good ones by name.
        rejected: names of clusters, by the reason that stands before them in messages.
    """

    feasible: list[Object] = field(default_factory=list)
    rejected: dict[str, list[str]] = field(default_factory=dict)

    def reasons(self, *, selected_only: bool = False) -> str:
        """Return why clusters were rejected, for people; on request only of those that a subscriber selects."""
        return "; ".join(
            f"{reason} {listed(clusters)}"
            for reason, clusters in self.rejected.items()
            if not (selected_only and reason == NOT_SELECTED)
        )


def subscribers_of(spec: Object) -> list[Subscriber]:
    """Return the groups of a Subscription.

    Raises:
        ValueError: a selector is none.
    """
    return [
        Subscriber(
            selector_of(subscriber["clusterAffinity"]),
            subscriber.get("weight") or 0,
            None
            if subscriber.get("subGroupStrategy") is None
            else subscriber["subGroupStrategy"].get("minClusters", 0),
        )
        for subscriber in spec["subscribers"]
    ]


def find_candidates(
    subscribers: Sequence[Subscriber],
    tolerations: Sequence[Object],
    clusters: Iterable[Object],
    *,
    fail_over: bool,
    permits: Callable[[Object], bool] = lambda cluster: True,
) -> Candidates:
    """Return the clusters that any subscriber selects and no taint keeps away (spec/03 §2.1).

    All clusters are looked at: a sample of many, as Clusternet takes, would make the result a matter of luck.

    Args:
        subscribers: the groups of the Subscription.
        tolerations: `spec.clusterTolerations`.
        clusters: the ManagedClusters.
        fail_over: gate FailOver: a cluster that isn't Ready counts as tainted before the taint is there.
        permits: whether the Subscription's namespace may publish to a ManagedCluster.
    """
    candidates = Candidates()
    counts = []
    for cluster in sorted(clusters, key=by_name):
        if cluster["metadata"].get("deletionTimestamp"):
            continue
        if not any(subscriber.selects(cluster) for subscriber in subscribers):
            _reject(candidates, cluster, NOT_SELECTED)
            continue
        if not permits(cluster):
            _reject(candidates, cluster, NOT_PERMITTED)
            continue
        taints = taints_of(cluster, fail_over=fail_over)
        if taint := untolerated_taint(taints, tolerations):
            _reject(candidates, cluster, f"taint {taint_text(taint)} keeps away")
            continue
        candidates.feasible.append(cluster)
        counts.append(aversions(taints, tolerations))
    scores = normalise(counts, reverse=True)
    ranking = sorted(range(len(scores)), key=lambda index: -scores[index])
    candidates.feasible = [candidates.feasible[index] for index in ranking]
    return candidates


def by_name(cluster: Object) -> tuple[str, str]:
    """Sort key of ManagedClusters: the name, which people know, before the namespace, which is random."""
    metadata = cluster["metadata"]
    return metadata["name"], metadata["namespace"]


def taints_of(cluster: Object, *, fail_over: bool) -> list[Object]:
    """Return the taints that count; with the gate FailOver those that follow from the conditions already do."""
    taints: list[Object] = cluster["spec"].get("taints") or []
    if not fail_over:
        return taints
    conditions = (cluster.get("status") or {}).get("conditions") or []
    return wanted_taints(taints, conditions, _ANY_TIME)


def take_groups(subscribers: Sequence[Subscriber], feasible: Sequence[Object]) -> list[Object]:
    """Return from each group the number of clusters that it asks for, the best first (spec/03 §2.2).

    A cluster of several groups counts for each of them and is taken once; Clusternet lists it once for each.

    Raises:
        ValueError: a group doesn't say how many.
    """
    taken: dict[tuple[str, str], Object] = {}
    for number, subscriber in enumerate(subscribers):
        if subscriber.wanted is None:
            raise ValueError(
                f"spec.subscribers[{number}] needs subGroupStrategy.minClusters, because of schedulingBySubGroup"
            )
        group = (cluster for cluster in feasible if subscriber.selects(cluster))
        for cluster, _ in zip(group, range(subscriber.wanted), strict=False):
            taken[by_name(cluster)] = cluster
    return list(taken.values())


def listed(texts: Sequence[str]) -> str:
    """Return names for a message; of many only the first."""
    shown = ", ".join(texts[:_NAMED])
    return f"{shown} and {len(texts) - _NAMED} more" if len(texts) > _NAMED else shown


def _reject(candidates: Candidates, cluster: Object, reason: str) -> None:
    candidates.rejected.setdefault(reason, []).append(cluster["metadata"]["name"])
