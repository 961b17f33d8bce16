"""How publishing goes, summed up for the status of a Subscription (spec/03 §10).

Clusternet writes none of it. The conditions Rendered and Deployed are ours alone; what they say is judged by the
present generation of the Subscription, so that nobody takes the state of a former spec for that of the new one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.bases import is_scheduled
from clusternet_engine.model.conditions import find_condition, make_condition
from clusternet_engine.model.descriptions import decode, rendered_feeds
from clusternet_engine.model.feeds import feed_reference, feed_text, is_chart
from clusternet_engine.model.releases import release_name
from clusternet_engine.model.rendering import Find, Problem, feed_problem
from clusternet_engine.model.rendering_problems import noted_problems
from clusternet_engine.model.texts import printable

MAX_DETAILS = 2000
"""Entries of `feedStatusDetails` over all feeds; a Subscription with all of them must fit into the store."""
_MAX_TOLD = 5
"""Clusters that the message of a condition names."""
_MAX_MESSAGE = 4096
_MAX_REPLICAS = 2**31 - 1
"""The largest number that the status of a Subscription takes; larger ones, or sums of them, can only be lies."""
_MAX_GENERATION = 2**63 - 1

_REPLICA_FIELDS = {
    ("apps/v1", "Deployment"): (
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
    ),
    ("apps/v1", "StatefulSet"): (
        "replicas",
        "updatedReplicas",
        "currentReplicas",
        "readyReplicas",
        "availableReplicas",
    ),
    ("batch/v1", "Job"): ("active", "succeeded", "failed"),
}
"""Numbers that Clusternet's API has room for, of the kinds that have them."""
_FEED_FIELDS = ("apiVersion", "kind", "namespace", "name")


@dataclass(frozen=True, slots=True)
class Part:
    """One native object of a Description.

    Attributes:
        reference: of the feed it comes from.
        key: apiVersion, kind, namespace and name.
        wanted: replicas asked for; None for what has none.
    """

    reference: str
    key: tuple[str, str, str, str]
    wanted: int | None


@dataclass(slots=True)
class ClusterState:
    """What is known of one bound cluster.

    Attributes:
        name: of the ManagedCluster.
        identity: its cluster ID.
        cluster: the ManagedCluster; None if it is gone.
        base: the Base for it; None while there is none.
        descriptions: of the Base.
        releases: of these Descriptions, by name.
    """

    name: str
    identity: str
    cluster: Object | None
    base: Object | None
    descriptions: Sequence[Object]
    releases: Mapping[str, Object]


@dataclass(slots=True)
class _Judgement:
    """How far one cluster has come."""

    rendered: bool = False
    deployed: bool = False
    lost: bool = False
    failures: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    contested: list[str] = field(default_factory=list)


def parts_of(description: Object) -> list[Part]:
    """Return the native objects of a Description."""
    parts = []
    for reference, text in zip(rendered_feeds(description), description["spec"].get("raw") or (), strict=True):
        obj = decode(text)
        if isinstance(obj, dict):
            metadata = obj["metadata"] if isinstance(obj.get("metadata"), dict) else {}
            texts = (obj.get("apiVersion"), obj.get("kind"), metadata.get("namespace"), metadata.get("name"))
            version, kind, namespace, name = (text if isinstance(text, str) else "" for text in texts)
            parts.append(Part(reference, (version, kind, namespace, name), _wanted_replicas(obj)))
    return parts


def aggregate(
    subscription: Object,
    states: Sequence[ClusterState],
    find: Find,
    now: datetime,
    parts: Callable[[Object], Sequence[Part]] = parts_of,
) -> Object:
    """Return the part of a Subscription's status that tells how publishing goes.

    Args:
        subscription: the Subscription.
        states: of its bound clusters.
        find: gives the objects that a feed means.
        now: when conditions that change have changed.
        parts: gives the native objects of a Description; a way to remember them.
    """
    feeds = subscription["spec"]["feeds"]
    problems = [problem for feed in feeds if (problem := feed_problem(feed, find))]
    faulty = {feed_reference(problem.feed) for problem in problems}
    judgements = [_judge(state, feeds, faulty) for state in states]
    complete = sum(judgement.rendered and judgement.deployed for judgement in judgements) if not problems else 0
    scheduled = is_scheduled(subscription)
    return {
        "aggregatedStatuses": _feed_statuses(feeds, states, parts),
        "completedReleases": complete,
        "conditions": [
            _condition(subscription, names.RENDERED, *_rendered(scheduled, problems, states, judgements), now),
            _condition(subscription, names.DEPLOYED, *_deployed(scheduled, problems, states, judgements), now),
        ],
    }


def _judge(state: ClusterState, feeds: Sequence[Object], faulty: set[str]) -> _Judgement:
    judgement = _Judgement(lost=not _is_ready(state.cluster))
    if state.base is None:
        return judgement
    judgement.problems = noted_problems(state.base)
    wanted = set(map(feed_reference, feeds))
    there: set[str] = set()
    judgement.deployed = True
    for description in state.descriptions:
        there |= set(rendered_feeds(description))
        status = description.get("status") or {}
        current = status.get("observedGeneration") in (None, description["metadata"].get("generation"))
        if not current or status.get("phase") != names.DESCRIPTION_SUCCESS:
            judgement.deployed = False
        if current and status.get("phase") == names.DESCRIPTION_FAILURE:
            judgement.failures.append(printable(status.get("reason")) or "no reason was given")
        contested = find_condition(status.get("conditions"), names.CONTESTED)
        if contested is not None and contested.get("status") == names.TRUE:
            judgement.contested.append(printable(contested.get("message")))
        judgement.failures += (f"the status it reports of {text} is malformed" for text in _malformed(description))
    judgement.rendered = (
        state.base["spec"]["feeds"] == feeds and not judgement.problems and wanted - faulty <= there <= wanted
    )
    return judgement


def _malformed(description: Object) -> Iterator[str]:
    """Yield the objects of a Description whose reported status isn't what any object has."""
    for entry in (description.get("status") or {}).get("manifestStatuses") or ():
        if not _is_readable(entry.get("observedStatus", {})):
            yield feed_text(entry)


def _is_readable(observed: Any) -> bool:
    """Return whether what is reported as the status of an object can be one."""
    conditions = observed.get("conditions") or [] if isinstance(observed, dict) else None
    return isinstance(conditions, list) and all(isinstance(one, dict) for one in conditions)


def _rendered(
    scheduled: bool, problems: Sequence[Problem], states: Sequence[ClusterState], judgements: Sequence[_Judgement]
) -> tuple[bool, str, str]:
    if problems:
        return False, problems[0].reason, " ".join(problem.message for problem in problems)
    if early := _too_early(scheduled, states):
        return False, *early
    noted = dict.fromkeys(problem for judgement in judgements for problem in judgement.problems)
    if noted:
        return False, next(iter(noted))[0], " ".join(message for _, message in noted)
    missing = [state.name for state, judgement in zip(states, judgements, strict=True) if not judgement.rendered]
    if missing:
        return False, "Rendering", f"Not yet rendered for {_some(missing)}."
    return True, "Rendered", f"All feeds are rendered for {_count(states)}."


def _deployed(
    scheduled: bool, problems: Sequence[Problem], states: Sequence[ClusterState], judgements: Sequence[_Judgement]
) -> tuple[bool, str, str]:
    if early := _too_early(scheduled, states):
        return False, *early
    pairs = list(zip(states, judgements, strict=True))
    failed = [f"{state.name}: {reason}" for state, judgement in pairs for reason in judgement.failures]
    if failed:
        return False, "DeployFailed", _some(failed, "; ")
    open_ends = [
        (state.name, judgement) for state, judgement in pairs if not (judgement.rendered and judgement.deployed)
    ]
    lost = [name for name, judgement in open_ends if judgement.lost]
    if lost:
        return False, "ClusterLost", f"Not Ready, so what they have isn't known: {_some(lost)}."
    if problems or any(judgement.problems for judgement in judgements):
        return False, "NotRendered", "Some feeds can't be rendered; condition Rendered says which, and why."
    if open_ends:
        return False, "Deploying", f"Not yet deployed to {_some([name for name, _ in open_ends])}."
    contested = [f"{state.name}: {text}" for state, judgement in pairs for text in judgement.contested]
    told = f" Others undo it: {_some(contested, ' ')}" if contested else ""
    return True, "Deployed", f"All feeds are deployed to {_count(states)}.{told}"


def _too_early(scheduled: bool, states: Sequence[ClusterState]) -> tuple[str, str] | None:
    if not scheduled:
        return "NotScheduled", "No clusters have been chosen yet for the present spec."
    return None if states else ("NoClusters", "No cluster is bound.")


def _condition(subscription: Object, kind: str, holds: bool, reason: str, message: str, now: datetime) -> Object:
    status = names.TRUE if holds else names.FALSE
    condition = make_condition(kind, status, reason, printable(message, _MAX_MESSAGE), now)
    before = find_condition((subscription.get("status") or {}).get("conditions"), kind)
    if before is not None and before["status"] == condition["status"]:
        condition["lastTransitionTime"] = before["lastTransitionTime"]
    return {**condition, "observedGeneration": subscription["metadata"]["generation"]}


# Feeds


def _feed_statuses(
    feeds: Sequence[Object], states: Sequence[ClusterState], parts: Callable[[Object], Sequence[Part]]
) -> list[Object]:
    observed = [(state, _observed(state, parts)) for state in states if state.base is not None]
    room = MAX_DETAILS // max(1, len(feeds))
    statuses = []
    for feed in feeds:
        details = [_detail(feed, state, seen) for state, seen in observed]
        summary: Object = {"available": bool(details) and all(detail["available"] for detail in details)}
        totals: Counter[str] = Counter()
        for detail in details:
            totals.update({key: n for key, n in detail.get("replicaStatus", {}).items() if key != "observedGeneration"})
        totals = Counter({key: min(total, _MAX_REPLICAS) for key, total in totals.items()})
        if totals or any("replicaStatus" in detail for detail in details):
            summary["replicaStatus"] = dict(totals)
        shown = sorted(details, key=lambda detail: bool(detail["available"]))[:room] if len(details) > room else details
        statuses.append(
            {
                **{key: feed[key] for key in _FEED_FIELDS if feed.get(key)},
                "feedStatusSummary": summary,
                "feedStatusDetails": shown,
            }
        )
    return statuses


def _observed(
    state: ClusterState, parts: Callable[[Object], Sequence[Part]]
) -> dict[str, list[tuple[Part, Any, bool]]]:
    """Return what is known of each native object of a cluster, by the feed it comes from."""
    seen: dict[str, list[tuple[Part, Any, bool]]] = {}
    for description in state.descriptions:
        if description["spec"]["deployer"] != names.DEPLOYER_GENERIC:
            continue
        status = description.get("status") or {}
        entries = {
            tuple(entry.get(key) or "" for key in _FEED_FIELDS): entry.get("observedStatus")
            for entry in status.get("manifestStatuses") or ()
        }
        deployed = status.get("phase") == names.DESCRIPTION_SUCCESS
        for part in parts(description):
            seen.setdefault(part.reference, []).append((part, entries.get(part.key), deployed))
    return seen


def _detail(feed: Object, state: ClusterState, seen: Mapping[str, list[tuple[Part, Any, bool]]]) -> Object:
    """Return the state of a feed on one cluster."""
    detail: Object = {"clusterName": state.name}
    if state.identity:
        detail["clusterId"] = state.identity
    if is_chart(feed):
        return {**detail, "available": _chart_available(feed, state)}
    objects = seen.get(feed_reference(feed), [])
    numbers: Counter[str] = Counter()
    counted = False
    for part, observed, _ in objects:
        fields = _REPLICA_FIELDS.get(part.key[:2])
        if fields and isinstance(observed, dict):
            counted = True
            numbers.update({key: observed[key] for key in fields if _is_count(observed.get(key), _MAX_REPLICAS)})
            if len(objects) == 1 and _is_count(observed.get("observedGeneration"), _MAX_GENERATION):
                numbers["observedGeneration"] = observed["observedGeneration"]
    numbers = Counter({key: n if key == "observedGeneration" else min(n, _MAX_REPLICAS) for key, n in numbers.items()})
    detail["available"] = bool(objects) and all(_available(*entry) for entry in objects)
    return {**detail, "replicaStatus": dict(numbers)} if counted else detail


def _is_count(value: Any, most: int) -> bool:
    """Return whether a child reports a number that can be one."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _available(part: Part, observed: Any, deployed: bool) -> bool:
    """Return whether an object does what it is for.

    Workloads must have been seen with all their replicas by the agent (feature gate Recovery), others only be there.
    """
    kind = part.key[1]
    if kind not in _AVAILABLE:
        return deployed
    return _is_readable(observed) and _AVAILABLE[kind](observed, part.wanted)


def _all_replicas(status: Object, wanted: int | None) -> bool:
    if wanted is None:
        wanted = _chosen_replicas(status)
    ready = status.get("availableReplicas", status.get("readyReplicas")) or 0
    updated = status.get("updatedReplicas", ready) or 0
    return "observedGeneration" in status and (status.get("replicas") or 0) == wanted == ready == updated


def _chosen_replicas(status: Object) -> int:
    """Return the replicas of a workload that asks for no number, and so has as many as its cluster chooses.

    An autoscaler may choose none: then a Deployment says that it is available. One that is just being made doesn't.
    """
    available = find_condition(status.get("conditions"), names.AVAILABLE)
    idle = available is not None and available.get("status") == names.TRUE and not status.get("unavailableReplicas")
    replicas = status.get("replicas") or 0
    return replicas if idle or not _is_count(replicas, _MAX_REPLICAS) else max(1, replicas)


def _all_nodes(status: Object, wanted: int | None) -> bool:
    nodes = status.get("desiredNumberScheduled")
    return nodes is not None and nodes == (status.get("numberAvailable") or 0) == (
        status.get("updatedNumberScheduled") or 0
    )


def _not_failed(status: Object, wanted: int | None) -> bool:
    failed = find_condition(status.get("conditions"), "Failed")
    return failed is None or failed.get("status") != names.TRUE


_AVAILABLE: Mapping[str, Callable[[Object, int | None], bool]] = {
    "Deployment": _all_replicas,
    "StatefulSet": _all_replicas,
    "ReplicaSet": _all_replicas,
    "DaemonSet": _all_nodes,
    "Job": _not_failed,
}


def _chart_available(feed: Object, state: ClusterState) -> bool:
    for description in state.descriptions:
        if description["spec"]["deployer"] == names.DEPLOYER_HELM:
            release = state.releases.get(release_name(description, feed)) or {}
            status = release.get("status") or {}
            current = status.get("observedGeneration") in (None, release.get("metadata", {}).get("generation"))
            return bool(current and status.get("phase") == "deployed")
    return False


def _wanted_replicas(obj: Object) -> int | None:
    spec = obj.get("spec")
    replicas = spec.get("replicas") if isinstance(spec, dict) else None
    return replicas if _is_count(replicas, _MAX_REPLICAS) else None


def _is_ready(cluster: Object | None) -> bool:
    ready = find_condition(((cluster or {}).get("status") or {}).get("conditions"), names.READY)
    return ready is not None and ready["status"] == names.TRUE


def _some(texts: Sequence[str], between: str = ", ") -> str:
    more = f" and {len(texts) - _MAX_TOLD} more" if len(texts) > _MAX_TOLD else ""
    return between.join(texts[:_MAX_TOLD]) + more


def _count(states: Sequence[ClusterState]) -> str:
    return "1 cluster" if len(states) == 1 else f"{len(states)} clusters"
