"""Bases: one for each cluster of a Subscription, and the Localizations that divide replicas (spec/03 §4.4, §5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import orjson

from clusternet_engine.kube.resources import BASES, LOCALIZATIONS, Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.feeds import feed_key, feed_references
from clusternet_engine.model.inventory import has_replicas
from clusternet_engine.model.names import derived_suffix
from clusternet_engine.model.spec_hash import spec_hash

SUBSCRIPTION_NAME_IN_LABELS = 57
"""Characters up to which the name of a Subscription is put into the labels of its Bases (spec/03 §5)."""

_NAME_BUDGET = 52
"""Characters of a Subscription's name that are kept, so that `<base>-helm` can be the value of a label."""


def base_names(subscription: Object, namespace: str) -> Iterator[str]:
    """Yield the names that the Base of a Subscription in a namespace may have; the first that nobody else has counts.

    They look like those of Clusternet, but are made from the Subscription's UID, so that a hub that is killed finds
    what it has made. Dots become dashes: an agent of Clusternet doesn't recover objects of names with dots (spec/03
    §11). Never ends.
    """
    metadata = subscription["metadata"]
    stem = metadata["name"].replace(".", "-")[:_NAME_BUDGET].rstrip("-")
    attempt = 0
    while True:
        yield stem + "-" + derived_suffix(f"{metadata['uid']}/{namespace}/{attempt}")
        attempt += 1


def build_base(subscription: Object, name: str, namespace: str, cluster_labels: Mapping[str, str]) -> Object:
    """Return the Base of a Subscription.

    Args:
        subscription: the Subscription.
        name: of the Base.
        namespace: the dedicated namespace.
        cluster_labels: labels of that namespace.
    """
    annotation = names.DEFAULT_CLUSTER_INIT_ANNOTATION
    annotations = subscription["metadata"].get("annotations") or {}
    return {
        "apiVersion": BASES.api_version,
        "kind": BASES.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": base_labels(subscription, cluster_labels),
            **({"annotations": {annotation: annotations[annotation]}} if annotation in annotations else {}),
            "finalizers": [names.FINALIZER],
        },
        "spec": {"feeds": subscription["spec"]["feeds"]},
    }


def base_labels(subscription: Object, cluster_labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of a Base but the one with its own UID."""
    metadata = subscription["metadata"]
    labels = {
        names.CREATED_BY_LABEL: names.CREATED_BY_CONTROLLER_MANAGER,
        names.CONFIG_KIND_LABEL: names.SUBSCRIPTION_KIND,
        names.CONFIG_NAMESPACE_LABEL: metadata["namespace"],
        names.CONFIG_UID_LABEL: metadata["uid"],
        names.SUBSCRIPTION_NAMESPACE_LABEL: metadata["namespace"],
        names.SUBSCRIPTION_UID_LABEL: metadata["uid"],
    }
    if len(metadata["name"]) <= SUBSCRIPTION_NAME_IN_LABELS:
        labels[names.CONFIG_NAME_LABEL] = labels[names.SUBSCRIPTION_NAME_LABEL] = metadata["name"]
    return labels | identity_labels(cluster_labels)


def identity_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return those of the labels that say which cluster something belongs to."""
    return {key: labels[key] for key in (names.CLUSTER_ID_LABEL, names.CLUSTER_NAME_LABEL) if key in labels}


def owner_reference(owner: Object) -> Object:
    """Return the reference by which an object belongs to its maker."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }


def is_bound(base: Object, subscription: Object) -> bool:
    """Return whether a Subscription is bound to the cluster that a Base is for."""
    bindings = (subscription.get("status") or {}).get("bindingClusters") or ()
    return any(binding.partition("/")[0] == base["metadata"]["namespace"] for binding in bindings)


def lists_all_feeds(subscription: Object, base: Object) -> bool:
    """Return whether a Subscription lists all feeds of a Base."""
    listed = set(feed_references(subscription["spec"]["feeds"]))
    return listed.issuperset(feed_references(base["spec"]["feeds"]))


def divided_replicas(subscription: Object, namespace: str) -> dict[str, int]:
    """Return the replicas that a cluster runs of each feed that is divided, by feed key."""
    status = subscription.get("status") or {}
    bindings = status.get("bindingClusters") or []
    here = [index for index, binding in enumerate(bindings) if binding.partition("/")[0] == namespace]
    replicas = status.get("replicas") or {}
    return {
        key: counts[here[0]] for key, counts in replicas.items() if here and counts and len(counts) == len(bindings)
    }


def is_divided(subscription: Object) -> bool:
    """Return whether the replicas of a Subscription are divided among its clusters."""
    return bool(subscription["spec"].get("schedulingStrategy") == names.DIVIDING)


def is_scheduled(subscription: Object) -> bool:
    """Return whether what the status says was chosen for the present spec.

    Until then its feeds stay where they are: new feeds may be meant for other clusters. A scheduler that writes no hash
    is taken at its word.
    """
    recorded = (subscription.get("status") or {}).get("specHash")
    return recorded is None or recorded == spec_hash(subscription["spec"])


def awaits_replicas(subscription: Object, base: Object, inventory: Object | None) -> bool:
    """Return whether a Base can't be rendered yet, since its cluster's share of some workload isn't known.

    Without its share a cluster would get all the replicas for a while (spec/08 item 18). Where all weights are zero
    there are no shares: each cluster runs everything (spec/03 §4.1).
    """
    status = subscription.get("status") or {}
    replicas = status.get("replicas") or {}
    if not is_divided(subscription) or (not replicas and status.get("specHash") == spec_hash(subscription["spec"])):
        return False
    shares = divided_replicas(subscription, base["metadata"]["namespace"])
    paths = _replica_paths(inventory)
    for feed in base["spec"]["feeds"]:
        key = feed_key(feed)
        if key not in replicas:
            if has_replicas(feed):
                return True
        elif replicas[key] and not (key in shares and paths.get(key)):
            return True
    return False


def replica_localizations(
    subscription: Object, base: Object, inventory: Object | None, there: Iterable[Object]
) -> list[Object]:
    """Return the Localizations that divide the replicas of a Subscription, for one of its clusters.

    Args:
        subscription: the Subscription, scheduled.
        base: its Base for the cluster.
        inventory: its FeedInventory, which knows where each feed keeps its replicas.
        there: Localizations of this sort in the namespace; that of the same feed keeps its name.
    """
    paths = _replica_paths(inventory)
    named = {feed_key(one["spec"]["feed"]): one["metadata"]["name"] for one in there}
    shares = divided_replicas(subscription, base["metadata"]["namespace"])
    feeds = {feed_key(feed): feed for feed in subscription["spec"]["feeds"]}
    return [
        _replica_localization(subscription, base, feed, shares[key], path, named.get(key))
        for key, feed in feeds.items()
        if key in shares and (path := paths.get(key))
    ]


def _replica_paths(inventory: Object | None) -> dict[str, str | None]:
    entries = inventory["spec"]["feeds"] if inventory else ()
    return {feed_key(entry): entry.get("replicaJsonPath") for entry in entries}


def _replica_localization(
    subscription: Object, base: Object, feed: Object, replicas: int, path: str, name: str | None
) -> Object:
    """Return the Localization that gives a cluster its share of a workload's replicas."""
    metadata = base["metadata"]
    # "add" also replaces, and works where the object asks for no number.
    patch = [{"op": "add", "path": path, "value": replicas}]
    return {
        "apiVersion": LOCALIZATIONS.api_version,
        "kind": LOCALIZATIONS.kind,
        "metadata": {
            "name": name or f"{metadata['name']}-{derived_suffix(feed_key(feed))}",
            "namespace": metadata["namespace"],
            "labels": {
                names.CREATED_BY_LABEL: names.CREATED_BY_CONTROLLER_MANAGER,
                subscription["metadata"]["uid"]: names.SUBSCRIPTION_KIND,
            },
            "finalizers": [names.FINALIZER],
            "ownerReferences": [owner_reference(base)],
        },
        "spec": {
            "overridePolicy": names.APPLY_NOW,
            "priority": names.REPLICA_PRIORITY,
            "feed": feed,
            "overrides": [
                {"name": "dividing scheduling replicas", "type": "JSONPatch", "value": orjson.dumps(patch).decode()}
            ],
        },
    }


def is_replica_localization(localization: Object, subscription_uid: str) -> bool:
    """Return whether a Localization was made to divide the replicas of a Subscription."""
    labels = localization["metadata"].get("labels") or {}
    return bool(
        labels.get(names.CREATED_BY_LABEL) == names.CREATED_BY_CONTROLLER_MANAGER
        and labels.get(subscription_uid) == names.SUBSCRIPTION_KIND
    )
