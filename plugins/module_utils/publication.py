# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a Subscription stands: its status joined with its Descriptions and HelmReleases (spec/03 §10).

The join is what makes it work with every hub: Clusternet's own writes neither conditions nor aggregated statuses.
"""

from __future__ import annotations

import base64
from typing import Any, Iterable, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants, health, nesting
from ansible_collections.clusternet.core.plugins.module_utils.feeds import feed_text

STAGES = ("scheduled", "deployed", "healthy")

_CONDITIONS_OF = {
    "scheduled": (constants.CONDITION_SCHEDULED,),
    "deployed": (constants.CONDITION_SCHEDULED, constants.CONDITION_RENDERED, constants.CONDITION_DEPLOYED),
}
_CONDITIONS_OF["healthy"] = _CONDITIONS_OF["deployed"]
# Reasons of conditions that aren't true yet: the hub expects that they come right by themselves, or another condition
# says what is wrong.
_GOING_ON = ("Deploying", "VerifyingHelmChart", "WaitingForInventory", "Rendering", "Pending")
_TOLD_ELSEWHERE = ("NotRendered", "NotScheduled")
_HELM = "Helm"
_HIDDEN = "its status isn't known, because its cluster's agent reports one status for each namespace and name"


class Problem(NamedTuple):
    """What isn't as it should be, on which cluster (None: at the parent), and whether it has failed."""

    cluster: Optional[str]
    text: str
    failed: bool

    def __str__(self) -> str:
        return f"{self.cluster}: {self.text}" if self.cluster else self.text


class Publication(NamedTuple):
    """A Subscription and all that the hub has made of it."""

    subscription: Mapping[str, Any]
    descriptions: list
    releases: list


def join(
    subscriptions: Iterable[Mapping[str, Any]],
    descriptions: Iterable[Mapping[str, Any]],
    releases: Iterable[Mapping[str, Any]],
) -> list[Publication]:
    """Every Subscription with the Descriptions and HelmReleases that bear its UID."""
    made: dict[str, tuple[list, list]] = {}
    for place, objects in enumerate((descriptions, releases)):
        for obj in objects:
            uid = (obj["metadata"].get("labels") or {}).get(constants.LABEL_SUBSCRIPTION_UID, "")
            made.setdefault(uid, ([], []))[place].append(obj)
    return [
        Publication(subscription, *made.get(subscription["metadata"]["uid"], ([], [])))
        for subscription in subscriptions
    ]


def problems(publication: Publication, stage: str) -> list[Problem]:
    """What is missing until the Subscription has reached the I(stage); nothing when it has."""
    found = _condition_problems(publication.subscription, stage)
    bound = bound_clusters(publication.subscription)
    if not bound and not found:
        found.append(Problem(None, "no cluster is bound yet", False))
    if stage == "scheduled":
        return found
    on_clusters = []
    for namespace, name in bound:
        on_clusters += _cluster_problems(publication, namespace, name, stage == "healthy")
    # What is wrong on a cluster says more than a condition that sums it up.
    if on_clusters:
        found = [problem for problem in found if not _sums_up(problem, on_clusters)]
    return on_clusters + found


def has_conditions(subscription: Mapping[str, Any]) -> bool:
    """Whether the hub tells by conditions which generation its status is about."""
    return bool((subscription.get("status") or {}).get("conditions"))


def bound_clusters(subscription: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Namespaces and names of the clusters that the scheduler has chosen."""
    bound = (subscription.get("status") or {}).get("bindingClusters") or ()
    return [(namespace, name) for namespace, _slash, name in (text.partition("/") for text in bound)]


def _condition_problems(subscription: Mapping[str, Any], stage: str) -> list[Problem]:
    generation = subscription["metadata"].get("generation", 0)
    found = []
    conditions = {item.get("type"): item for item in (subscription.get("status") or {}).get("conditions") or ()}
    for condition in (conditions[kind] for kind in _CONDITIONS_OF[stage] if kind in conditions):
        if condition.get("observedGeneration", generation) < generation:
            text = f"the hub has not judged yet what has changed (condition {condition['type']})"
            found.append(Problem(None, text, False))
        elif condition.get("status") != "True":
            text = f"{condition['type']} is {condition.get('status')} ({condition.get('reason')}): "
            failed = condition.get("status") == "False" and condition.get("reason") not in _GOING_ON + _TOLD_ELSEWHERE
            found.append(Problem(None, text + str(condition.get("message")), failed))
    return found


def _sums_up(problem: Problem, on_clusters: list[Problem]) -> bool:
    return problem.text.startswith(constants.CONDITION_DEPLOYED) and (
        not problem.failed or any(other.failed for other in on_clusters)
    )


def _cluster_problems(publication: Publication, namespace: str, name: str, healthy: bool) -> list[Problem]:
    found = []
    descriptions = [item for item in publication.descriptions if item["metadata"]["namespace"] == namespace]
    releases = [item for item in publication.releases if item["metadata"]["namespace"] == namespace]
    present = [feed for description in descriptions for feed in _rendered(description)]
    for feed in publication.subscription["spec"]["feeds"]:
        if not any(_means(feed, other) for other in present):
            found.append(Problem(name, f"{feed_text(feed)} is not rendered yet", False))
    for description in descriptions:
        phase = _phase(description)
        if phase != constants.PHASE_SUCCESS:
            reason = (description.get("status") or {}).get("reason") if phase else None
            text = reason or f"{description['metadata']['name']} is {phase or 'not deployed yet'}"
            if description["spec"]["deployer"] != _HELM or not any(map(release_problem, releases)):
                found.append(Problem(name, text, phase == constants.PHASE_FAILURE))
        elif healthy:
            found += [
                Problem(name, f"{feed_text(view_feed(item))}: {item['reason']}", False)
                for item in objects_of(description)
                if item["available"] is False
            ]
    return found + [
        Problem(name, text, _phase(release) == constants.PHASE_FAILED)
        for release, text in ((release, release_problem(release)) for release in releases)
        if text
    ]


def _phase(obj: Mapping[str, Any]) -> Optional[str]:
    """The phase of a Description or HelmRelease; None when it is about an older generation, if the hub says so."""
    status, generation = obj.get("status") or {}, obj["metadata"].get("generation", 0)
    return status.get("phase") if status.get("observedGeneration", generation) >= generation else None


def release_problem(release: Mapping[str, Any]) -> Optional[str]:
    """What is wrong with a HelmRelease; None when it is deployed."""
    status, phase = release.get("status") or {}, _phase(release)
    if phase == constants.PHASE_DEPLOYED:
        return None
    name = release["spec"].get("releaseName") or release["metadata"]["name"]
    if phase is None:
        return f"release {name} is not {'changed' if status.get('phase') else 'installed'} yet"
    why = status.get("description") or status.get("notes")
    return f"release {name} is {phase}{f' ({why})' if why else ''}"


def _rendered(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a Description deploys, as feeds."""
    spec = description["spec"]
    if spec["deployer"] == _HELM:
        return [{"kind": constants.HELM_CHART_KIND, **chart} for chart in spec.get("charts") or ()]
    return [
        {"kind": obj["kind"], "name": obj["metadata"]["name"], "namespace": obj["metadata"].get("namespace")}
        for obj in natives(spec.get("raw"))
    ]


def _means(feed: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a feed means what was rendered; without a namespace it means that name in all of them (spec/03 §1.1)."""
    return (feed["kind"], feed["name"]) == (other["kind"], other["name"]) and (
        not feed.get("namespace") or feed["namespace"] == other.get("namespace")
    )


def decoded(raw: Optional[Iterable[str]]) -> list[dict[str, Any]]:
    """The JSON documents of a field such as C(spec.raw); those that are blank, or no mapping, are empty mappings."""
    return [_document(item) or {} for item in raw or ()]


def natives(raw: Optional[Iterable[str]]) -> list[dict[str, Any]]:
    """The native objects of C(spec.raw), without what is none."""
    return [obj for obj in decoded(raw) if _is_native(obj)]


def malformed(spec: Mapping[str, Any]) -> list[str]:
    """Entries of the spec of a Description that aren't what they should be, as texts."""
    found = []
    for field in ("raw", "chartRaw"):
        for number, item in enumerate(spec.get(field) or ()):
            document = _document(item)
            if document is None:
                found.append(f"entry {number} of spec.{field} is not the base64 of a JSON object")
            elif field == "raw" and spec.get("deployer") != _HELM and not _is_native(document):
                found.append(f"entry {number} of spec.raw has no kind or no name")
    return found


def _document(item: str) -> Optional[dict[str, Any]]:
    """The mapping that an entry holds, empty when it is blank; None when it holds something else."""
    try:
        text = base64.b64decode(item)
        document = nesting.loads(text) if text.strip() else {}
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _is_native(obj: Mapping[str, Any]) -> bool:
    metadata = obj.get("metadata")
    names = (obj.get("kind"), metadata.get("name")) if isinstance(metadata, dict) else ()
    return bool(names) and all(isinstance(name, str) and name for name in names)


def hidden_objects(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the workloads of a deployed Description whose status another kind's of the same name has replaced."""
    if description["spec"]["deployer"] == _HELM or _phase(description) != constants.PHASE_SUCCESS:
        return []
    observed = _observed(description)
    return [obj for obj in natives(description["spec"].get("raw")) if _is_hidden(obj, observed)]


def objects_of(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The native objects of a Description, each with whether it is available and why not.

    C(available) is None as long as they aren't deployed.
    """
    observed = _observed(description)
    deployed = _phase(description) == constants.PHASE_SUCCESS
    found = []
    for obj in natives(description["spec"].get("raw")) if description["spec"]["deployer"] != _HELM else ():
        metadata = obj["metadata"]
        seen = observed.get(_place(obj)) or {}
        status = seen.get("observedStatus")
        if not deployed:
            reason = None
        elif _is_hidden(obj, observed) or "unread" in seen:
            reason = _HIDDEN + (f", and can't be read there: {seen['unread']}" if "unread" in seen else "")
        else:
            reason = health.unavailable(obj, status)
        found.append(
            {
                "api_version": obj.get("apiVersion"),
                "kind": obj["kind"],
                "namespace": metadata.get("namespace"),
                "name": metadata["name"],
                "available": reason is None if deployed else None,
                "reason": reason,
                "status": status or {},
            }
        )
    return found


def _is_hidden(obj: Mapping[str, Any], observed: Mapping[tuple, Any]) -> bool:
    """Return whether an object's kind has a rule, and only another kind of the same namespace and name is observed."""
    place = _place(obj)
    return (
        place not in observed
        and any(other[1:] == place[1:] for other in observed)
        and health.judged(str(obj.get("apiVersion")), obj["kind"])
    )


def _observed(description: Mapping[str, Any]) -> dict[tuple, dict[str, Any]]:
    """Return what the agent has reported of objects, by kind, namespace and name."""
    statuses = (description.get("status") or {}).get("manifestStatuses") or ()
    return {(item["kind"], item.get("namespace") or "", item["name"]): item for item in statuses}


def _place(obj: Mapping[str, Any]) -> tuple[str, str, str]:
    return obj["kind"], str(obj["metadata"].get("namespace") or ""), obj["metadata"]["name"]


def view_feed(item: Mapping[str, Any]) -> dict[str, Any]:
    """What names an object in results, as a feed of the API."""
    return {"kind": item["kind"], "namespace": item["namespace"], "name": item["name"]}


def release_view(release: Mapping[str, Any]) -> dict[str, Any]:
    """What modules return of a HelmRelease."""
    spec, status = release["spec"], release.get("status") or {}
    return {
        "name": spec.get("releaseName") or release["metadata"]["name"],
        "target_namespace": spec.get("targetNamespace"),
        "chart": spec.get("chart"),
        "version": spec.get("version"),
        "repo": spec.get("repo"),
        "phase": status.get("phase"),
        "revision": status.get("version"),
        "reason": release_problem(release),
    }


def cluster_views(publication: Publication) -> list[dict[str, Any]]:
    """What modules return of each cluster: those that are bound, and those from which something is being removed."""
    bound = dict(bound_clusters(publication.subscription))
    names = dict(bound)
    ids: dict[str, Optional[str]] = {}
    for obj in (*publication.descriptions, *publication.releases):
        labels = obj["metadata"].get("labels") or {}
        namespace = obj["metadata"]["namespace"]
        names.setdefault(namespace, labels.get(constants.LABEL_CLUSTER_NAME) or namespace)
        ids.setdefault(namespace, labels.get(constants.LABEL_CLUSTER_ID))
    return [
        _cluster_view(publication, namespace, name, ids.get(namespace), namespace in bound)
        for namespace, name in sorted(names.items(), key=lambda item: (item[1], item[0]))
    ]


def _cluster_view(
    publication: Publication, namespace: str, name: str, cluster_id: Optional[str], bound: bool
) -> dict[str, Any]:
    descriptions = [item for item in publication.descriptions if item["metadata"]["namespace"] == namespace]
    releases = [item for item in publication.releases if item["metadata"]["namespace"] == namespace]
    wrong = _cluster_problems(publication, namespace, name, healthy=False) if bound else []
    if not bound:
        phase = "Removing"
    elif any(problem.failed for problem in wrong):
        phase = constants.PHASE_FAILURE
    else:
        phase = "Pending" if wrong else constants.PHASE_SUCCESS
    replicas = (publication.subscription.get("status") or {}).get("replicas") or {}
    order = [item for item, _name in bound_clusters(publication.subscription)]
    return {
        "name": name,
        "namespace": namespace,
        "cluster_id": cluster_id,
        "bound": bound,
        "phase": phase,
        "reason": "; ".join(problem.text for problem in wrong) or None,
        "replicas": {
            feed: counts[order.index(namespace)]
            for feed, counts in replicas.items()
            if bound and len(counts) == len(order)
        },
        "objects": [item for description in descriptions for item in objects_of(description)],
        "releases": [release_view(release) for release in releases],
    }


def view(publication: Publication) -> dict[str, Any]:
    """What modules return of a Subscription; every key is always there."""
    subscription = publication.subscription
    metadata, spec, status = subscription["metadata"], subscription["spec"], subscription.get("status") or {}
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "uid": metadata["uid"],
        "generation": metadata.get("generation"),
        "created_at": metadata.get("creationTimestamp"),
        "deleting": bool(metadata.get("deletionTimestamp")),
        "scheduling_strategy": spec.get("schedulingStrategy"),
        "feeds": [feed_text(feed) for feed in spec.get("feeds") or ()],
        "conditions": status.get("conditions") or [],
        "desired_releases": status.get("desiredReleases"),
        "completed_releases": status.get("completedReleases"),
        "replicas": status.get("replicas") or {},
        "aggregated_statuses": status.get("aggregatedStatuses") or [],
        **{stage: not problems(publication, stage) for stage in STAGES},
        "problems": [str(problem) for problem in problems(publication, "healthy")],
        "clusters": cluster_views(publication),
    }
