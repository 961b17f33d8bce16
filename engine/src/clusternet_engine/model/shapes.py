"""What the rules expect of Clusternet's objects although their definitions leave it out.

The spec of a Base, FeedInventory, ManagedCluster or ClusterRegistrationRequest is optional in Clusternet's API. An
object without it means nothing, but somebody can make one: as it is read, it gets an empty one, so that no rule has to
ask for it.
"""

from __future__ import annotations

from clusternet_engine.kube.resources import (
    BASES,
    CLUSTER_REGISTRATION_REQUESTS,
    FEED_INVENTORIES,
    MANAGED_CLUSTERS,
    Object,
)

_REQUIRED_LISTS = {BASES.kind: ("feeds",), FEED_INVENTORIES.kind: ("feeds",)}
_REQUIRED_TEXTS = {MANAGED_CLUSTERS.kind: ("clusterId", "syncMode"), CLUSTER_REGISTRATION_REQUESTS.kind: ("clusterId",)}


def complete(obj: Object) -> None:
    """Give an object what the rules expect in its spec, empty, where it has nothing."""
    lists, texts = _REQUIRED_LISTS.get(obj.get("kind", ""), ()), _REQUIRED_TEXTS.get(obj.get("kind", ""), ())
    if not (lists or texts):
        return
    spec = obj.setdefault("spec", {})
    for field in lists:
        spec.setdefault(field, [])
    for field in texts:
        spec.setdefault(field, "")
