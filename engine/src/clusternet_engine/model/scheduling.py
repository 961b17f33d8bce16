"""Where a Subscription goes, and with how many replicas of each feed (spec/03 §2–§4).

The way of Clusternet's scheduler, except that charts take part in Dividing, that the annotation
`apps.clusternet.io/rebalance: "true"` lets replicas move when clusters come, go or are lost, that entries of feeds that
are gone leave `status.replicas`, and that the result depends on nothing but its input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from clusternet_engine.kube.resources import Object, object_key
from clusternet_engine.model import constants as names
from clusternet_engine.model.candidates import (
    Candidates,
    Subscriber,
    by_name,
    find_candidates,
    subscribers_of,
    take_groups,
)
from clusternet_engine.model.dividing import divide_by_weight, rebalance, spread
from clusternet_engine.model.feeds import feed_key, feed_text
from clusternet_engine.model.spec_hash import spec_hash

TOLERATED_PERCENTAGE = 10
"""Clusters of a hundred whose predictor may fail (gate FeasibleClustersToleration)."""

Rooms: TypeAlias = Mapping[str, Mapping[str, int]]
"""How many more replicas fit: by cluster as `bindingClusters` names it, then by feed key; what is missing is 0."""

_FEED_FIELDS = ("apiVersion", "kind", "namespace", "name")


class Reason(StrEnum):
    """How scheduling went: reasons of the condition Scheduled."""

    SCHEDULED = "Scheduled"
    NO_FEASIBLE_CLUSTER = "NoFeasibleCluster"
    INSUFFICIENT_CAPACITY = "InsufficientCapacity"
    NO_CLUSTERS = "NoClusters"
    WAITING_FOR_INVENTORY = "WaitingForInventory"
    INVALID_SPEC = "InvalidSpec"
    EMPTY_SUB_GROUPS = "EmptySubGroups"
    PREDICTION_FAILED = "PredictionFailed"
    UNKNOWN_SCHEDULER = "UnknownScheduler"
    DEDICATED_NAMESPACE = "DedicatedNamespace"
    NOT_A_PUBLISHER = "NotAPublisher"


class Unschedulable(Exception):
    """A Subscription can't be scheduled now; what was bound before stays bound.

    Attributes:
        reason: one word.
        message: what is wrong and what to do.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a Subscription goes.

    Attributes:
        bindings: `<namespace>/<name>` of ManagedClusters, sorted.
        replicas: by feed key, in the order of the bindings; empty for feeds that have no replicas.
        reason: `Scheduled`, or what isn't as wanted.
        message: a sentence about it.
    """

    bindings: list[str]
    replicas: dict[str, list[int]]
    reason: Reason = Reason.SCHEDULED
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A Subscription's way to its placement, as far as it goes without predictions.

    Attributes:
        subscription: the Subscription.
        subscribers: its groups.
        candidates: the clusters that may take the feeds.
        chosen: those that shall, by name.
        inventory: `spec.feeds` of the FeedInventory; empty unless replicas are divided.
        anew: whether replicas are divided anew instead of only their difference.
        to_predict: the entries of the inventory for which predictions of the chosen clusters are needed.
        settled: whether nothing needs to be scheduled.
    """

    subscription: Object
    subscribers: Sequence[Subscriber] = ()
    candidates: Candidates
    chosen: Sequence[Object] = ()
    inventory: Sequence[Object] = ()
    anew: bool = False
    to_predict: Sequence[Object] = ()
    settled: bool = False

    def place(self, rooms: Rooms) -> Placement:
        """Return the placement.

        Args:
            rooms: predictions of the chosen clusters for the feeds in `to_predict`.
        """
        if self.settled:
            return current_placement(self.subscription)
        if not self.chosen:
            total = sum(map(len, self.candidates.rejected.values()))
            message = (
                f"0/{total} clusters are available: {self.candidates.reasons() or 'all of them are being removed'}"
            )
            return Placement([], {}, Reason.NO_FEASIBLE_CLUSTER, message)
        spec = self.subscription["spec"]
        if strategy_of(spec) == names.REPLICATION:
            return _placement(self, {}, [object_key(cluster) for cluster in self.chosen])
        if dividing_type(spec) == names.STATIC:
            return self._static()
        return self._dynamic(rooms)

    def _static(self) -> Placement:
        weights = [
            sum(subscriber.weight for subscriber in self.subscribers if subscriber.selects(cluster))
            for cluster in self.chosen
        ]
        clusters = [object_key(cluster) for cluster in self.chosen]
        if not any(weights):
            return _placement(self, {}, clusters)
        shares = {
            feed_key(entry): dict(zip(clusters, divide_by_weight(entry["desiredReplicas"], weights), strict=True))
            for entry in self.inventory
            if divides(entry)
        }
        return _placement(self, shares, clusters)

    def _dynamic(self, rooms: Rooms) -> Placement:
        before = current_placement(self.subscription)
        chosen = [object_key(cluster) for cluster in self.chosen]
        shares = {}
        for entry in filter(divides, self.inventory):
            key = feed_key(entry)
            current = _current(before, key) or {}
            feasible = {cluster: rooms.get(cluster, {}).get(key, 0) for cluster in chosen}
            shares[key] = (rebalance if self.anew else spread)(entry["desiredReplicas"], current, feasible)
        grown = self.anew or bool(self.to_predict) or not before.bindings
        kept = [] if self.anew else before.bindings
        return _placement(self, shares, list(dict.fromkeys([*kept, *chosen] if grown else kept)))


def schedule(
    subscription: Object,
    clusters: Iterable[Object],
    inventory: Sequence[Object] | None = None,
    predictions: Rooms | None = None,
    *,
    fail_over: bool = False,
) -> Placement:
    """Return where a Subscription goes; see `make_plan` for the arguments.

    Raises:
        Unschedulable: it can't be scheduled; what was bound before stays bound.
    """
    return make_plan(subscription, clusters, inventory, fail_over=fail_over).place(predictions or {})


def make_plan(
    subscription: Object,
    clusters: Iterable[Object],
    inventory: Sequence[Object] | None = None,
    *,
    fail_over: bool,
    permits: Callable[[Object], bool] = lambda cluster: True,
) -> Plan:
    """Judge a Subscription and choose its clusters.

    Args:
        subscription: the Subscription with its status.
        clusters: all ManagedClusters.
        inventory: `spec.feeds` of its FeedInventory, only needed for Dividing; None = there is none.
        fail_over: gate FailOver.
        permits: whether the Subscription's namespace may publish to a ManagedCluster.

    Raises:
        Unschedulable: it can't be scheduled; what was bound before stays bound.
    """
    spec = subscription["spec"]
    dividing = strategy_of(spec) == names.DIVIDING
    inventory = _checked_inventory(spec, inventory) if dividing else []
    rebalancing = dividing and wants_rebalancing(subscription)
    due = not dividing or is_due(subscription, inventory)
    if not due and not rebalancing:
        return Plan(subscription=subscription, candidates=Candidates(), settled=True)
    clusters = list(clusters)
    if not clusters:
        raise Unschedulable(Reason.NO_CLUSTERS, "no cluster has been registered yet")
    try:
        subscribers = subscribers_of(spec)
        candidates = find_candidates(
            subscribers, spec.get("clusterTolerations") or [], clusters, fail_over=fail_over, permits=permits
        )
        chosen = candidates.feasible
        if chosen and spec.get("schedulingBySubGroup"):
            chosen = take_groups(subscribers, chosen)
            if not chosen:
                message = "no group asks for a cluster: set subGroupStrategy.minClusters of spec.subscribers above 0"
                raise Unschedulable(Reason.EMPTY_SUB_GROUPS, message)
    except ValueError as error:
        raise Unschedulable(Reason.INVALID_SPEC, str(error)) from None
    chosen = sorted(chosen, key=by_name)
    dynamic = dividing and dividing_type(spec) == names.DYNAMIC
    moved = {object_key(cluster) for cluster in chosen} != set(current_placement(subscription).bindings)
    anew = dynamic and rebalancing and moved
    return Plan(
        subscription=subscription,
        subscribers=subscribers,
        candidates=candidates,
        chosen=chosen,
        inventory=inventory,
        anew=anew,
        to_predict=_to_predict(subscription, inventory, anew) if dynamic and chosen else (),
        settled=dynamic and not due and not moved,
    )


def strategy_of(spec: Object) -> str:
    """Return the strategy of a Subscription."""
    return str(spec.get("schedulingStrategy") or names.REPLICATION)


def dividing_type(spec: Object) -> str:
    """Return how a Subscription of the strategy Dividing divides.

    Raises:
        Unschedulable: it doesn't say how, or in a way that doesn't exist.
    """
    dividing = spec.get("dividingScheduling") or {}
    match dividing.get("type"), (dividing.get("dynamicDividing") or {}).get("strategy"):
        case names.STATIC, _:
            return names.STATIC
        case names.DYNAMIC, names.SPREAD:
            return names.DYNAMIC
        case names.DYNAMIC, None:
            message = "spec.dividingScheduling.dynamicDividing is missing; type Dynamic needs its strategy"
        case names.DYNAMIC, strategy:
            message = f"the strategy {strategy} of dynamic dividing doesn't exist yet; use {names.SPREAD}"
        case _:
            message = "spec.dividingScheduling is missing; the strategy Dividing needs its type"
    raise Unschedulable(Reason.INVALID_SPEC, message)


def wants_rebalancing(subscription: Object) -> bool:
    """Return whether replicas may move when clusters come, go or are lost."""
    return (subscription["metadata"].get("annotations") or {}).get(names.REBALANCE_ANNOTATION) == "true"


def is_due(subscription: Object, inventory: Sequence[Object]) -> bool:
    """Return whether a Subscription of the strategy Dividing has to be scheduled (spec/03 §2.1, admission).

    It has when its spec has changed, or the replicas of a feed aren't those that the feed asks for.
    """
    status = subscription.get("status") or {}
    if status.get("specHash") != spec_hash(subscription["spec"]):
        return True
    replicas = status.get("replicas") or {}
    return any(
        feed_key(entry) not in replicas or sum(replicas[feed_key(entry)]) != entry.get("desiredReplicas", 0)
        for entry in inventory
    )


def divides(entry: Object) -> bool:
    """Return whether an entry of a FeedInventory has replicas to divide."""
    return entry.get("desiredReplicas") is not None


def current_placement(subscription: Object) -> Placement:
    """Return what the status of a Subscription says."""
    status = subscription.get("status") or {}
    return _bound(list(status.get("bindingClusters") or []), dict(status.get("replicas") or {}))


def within_tolerance(failed: int, asked: int) -> bool:
    """Return whether so few predictors failed that the others suffice (gate FeasibleClustersToleration)."""
    return failed * 100 <= asked * TOLERATED_PERCENTAGE


def _checked_inventory(spec: Object, inventory: Sequence[Object] | None) -> Sequence[Object]:
    dividing_type(spec)
    if inventory is None:
        raise Unschedulable(Reason.WAITING_FOR_INVENTORY, "there is no FeedInventory of this namespace and name yet")
    if list(map(_identity, inventory)) != list(map(_identity, spec["feeds"])):
        message = "the FeedInventory of this namespace and name doesn't list the same feeds in the same order yet"
        raise Unschedulable(Reason.WAITING_FOR_INVENTORY, message)
    return inventory


def _identity(feed: Object) -> tuple[str | None, ...]:
    return tuple(feed.get(field) or None for field in _FEED_FIELDS)


def _current(before: Placement, key: str) -> dict[str, int] | None:
    """The replicas of a feed by cluster; None for a feed that isn't in the status, or not as a divided one."""
    replicas = before.replicas.get(key)
    if not replicas or len(replicas) != len(before.bindings):
        return None
    return dict(zip(before.bindings, replicas, strict=True))


def _to_predict(subscription: Object, inventory: Sequence[Object], anew: bool) -> list[Object]:
    before = current_placement(subscription)
    return [
        entry
        for entry in inventory
        if divides(entry)
        and (
            anew
            or (current := _current(before, feed_key(entry))) is None
            or sum(current.values()) < entry["desiredReplicas"]
        )
    ]


def _placement(plan: Plan, shares: Mapping[str, Mapping[str, int]], clusters: Iterable[str]) -> Placement:
    """Bring shares into the form of the status, and tell what is missing."""
    bindings = sorted(clusters)
    replicas = {feed: [share.get(cluster, 0) for cluster in bindings] for feed, share in shares.items()}
    if shares or not any(map(divides, plan.inventory)):
        replicas |= {feed_key(entry): [] for entry in plan.inventory if not divides(entry)}
    short = [
        f"{sum(replicas[feed_key(entry)])} of {entry['desiredReplicas']} replicas of {feed_text(entry)}"
        for entry in plan.inventory
        if feed_key(entry) in shares and sum(replicas[feed_key(entry)]) < entry["desiredReplicas"]
    ]
    if short:
        return Placement(bindings, replicas, Reason.INSUFFICIENT_CAPACITY, f"there is only room for {'; '.join(short)}")
    left_out = plan.candidates.reasons(selected_only=True)
    return _bound(bindings, replicas, f"; {left_out}" if left_out else "")


def _bound(bindings: list[str], replicas: dict[str, list[int]], remark: str = "") -> Placement:
    count = "1 cluster" if len(bindings) == 1 else f"{len(bindings)} clusters"
    return Placement(bindings, replicas, message=f"bound to {count}{remark}")
