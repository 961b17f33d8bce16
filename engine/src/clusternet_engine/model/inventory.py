"""FeedInventories: how many replicas each feed has, and what one of them needs (spec/03 §1.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusternet_engine.kube.resources import FEED_INVENTORIES, Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.feeds import feed_text
from clusternet_engine.model.labels import label_form
from clusternet_engine.model.quantities import Quantity, parse_quantity, sum_quantities

REPLICAS_PATH = "/spec/replicas"
"""Where all workloads that are known here keep their replicas, as a JSON pointer."""

_WORKLOADS = {
    "Deployment": {"apps/v1", "apps/v1beta2", "apps/v1beta1", "extensions/v1beta1"},
    "ReplicaSet": {"apps/v1", "apps/v1beta2", "extensions/v1beta1"},
    "StatefulSet": {"apps/v1", "apps/v1beta2", "apps/v1beta1"},
}
_FEED_FIELDS = ("kind", "apiVersion", "namespace", "name")

Find = Callable[[Object], Sequence[Object]]
"""Returns the Manifests that a feed means."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Resources, summed up over the containers of a pod."""

    requests: dict[str, Quantity]
    limits: dict[str, Quantity]


class Unparseable(Exception):
    """Feeds whose replicas can't be told; the text names them and says why."""


def has_replicas(feed: Object) -> bool:
    """Return whether a feed is a workload whose replicas are divided; everything else replicates, charts too."""
    return feed["apiVersion"] in _WORKLOADS.get(feed["kind"], ())


def inventory_feeds(feeds: Iterable[Object], find: Find) -> list[Object]:
    """Return `spec.feeds` of the FeedInventory for the feeds of a Subscription.

    Only a workload needs its Manifest: what other feeds are, and whether they are there, has no part in dividing. Of
    several Manifests that a feed without namespace means the first by name counts.

    Raises:
        Unparseable: a workload has no Manifest, or one that isn't a workload.
    """
    entries, problems = [], []
    for feed in feeds:
        entry = {field: feed[field] for field in _FEED_FIELDS if feed.get(field)}
        try:
            if has_replicas(feed):
                entry |= _workload(feed, find(feed))
        except ValueError as error:
            problems.append(f"{feed_text(feed)}: {error}")
        entries.append(entry)
    if problems:
        raise Unparseable("; ".join(problems))
    return entries


def make_inventory(subscription: Object, feeds: list[Object]) -> Object:
    """Return the FeedInventory of a Subscription."""
    metadata = subscription["metadata"]
    labels = {
        names.CREATED_BY_LABEL: names.CREATED_BY_CONTROLLER_MANAGER,
        names.SUBSCRIPTION_NAMESPACE_LABEL: metadata["namespace"],
        names.SUBSCRIPTION_UID_LABEL: metadata["uid"],
        names.SUBSCRIPTION_NAME_LABEL: label_form(metadata["name"]),
    }
    owner = {
        "apiVersion": subscription["apiVersion"],
        "kind": subscription["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": FEED_INVENTORIES.api_version,
        "kind": FEED_INVENTORIES.kind,
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {"feeds": feeds},
    }


def pod_needs(pod_spec: Mapping[str, Any]) -> Needs:
    """Return what a pod needs: the sum of its containers, or what one of its init containers needs if that is more.

    A limit without a request counts as request too.

    Raises:
        ValueError: an amount is not a quantity.
    """
    requests, limits = _summed(map(_container_needs, pod_spec.get("containers") or ()))
    for container in pod_spec.get("initContainers") or ():
        for total, needs in zip((requests, limits), _container_needs(container), strict=True):
            for name, quantity in needs.items():
                if name not in total or quantity.value > total[name].value:
                    total[name] = quantity
    return Needs(requests, limits)


def _workload(feed: Object, manifests: Sequence[Object]) -> Object:
    if not manifests:
        raise ValueError("it doesn't exist; create it, or take it out of the feeds")
    manifest = min(manifests, key=lambda found: str(found["metadata"]["name"]))
    try:
        spec = manifest["template"]["spec"]
        replicas = spec.get("replicas", 1)
        if isinstance(replicas, bool) or not isinstance(replicas, int):
            raise ValueError(f"{replicas!r} is not a number of replicas")
        return {
            "desiredReplicas": replicas,
            "replicaJsonPath": REPLICAS_PATH,
            "replicaRequirements": _requirements(spec["template"]["spec"]),
        }
    except (KeyError, TypeError, AttributeError):
        raise ValueError(f"what is stored for it is not a {feed['kind']}") from None


def _requirements(pod_spec: Mapping[str, Any]) -> Object:
    needs = pod_needs(pod_spec)
    resources = {
        field: {name: str(quantity) for name, quantity in sorted(amounts.items())}
        for field, amounts in (("limits", needs.limits), ("requests", needs.requests))
        if amounts
    }
    kept = {field: pod_spec[field] for field in ("nodeSelector", "tolerations", "affinity") if pod_spec.get(field)}
    return {**kept, "resources": resources}


def _container_needs(container: Mapping[str, Any]) -> tuple[dict[str, Quantity], dict[str, Quantity]]:
    resources = container.get("resources") or {}
    limits = {name: parse_quantity(amount) for name, amount in (resources.get("limits") or {}).items()}
    requests = {name: parse_quantity(amount) for name, amount in (resources.get("requests") or {}).items()}
    return limits | requests, limits


def _summed(
    needs: Iterable[tuple[dict[str, Quantity], dict[str, Quantity]]],
) -> tuple[dict[str, Quantity], dict[str, Quantity]]:
    totals: tuple[dict[str, Quantity], dict[str, Quantity]] = ({}, {})
    for amounts in needs:
        for total, amount in zip(totals, amounts, strict=True):
            for name, quantity in amount.items():
                total[name] = sum_quantities([total[name], quantity]) if name in total else quantity
    return totals
