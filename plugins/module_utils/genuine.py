# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Telling ManagedClusters that clusters were registered as from others that only say to be clusters.

One cluster has one ManagedCluster, alone in its namespace. Where several share a namespace or an identity, at most one
of them is genuine. The registration requests say which, since no cluster can write there; only then are they read. A
user who may not read them gets the oldest: the hub makes it before the cluster has any rights, and nobody can choose
the time at which an object was made. A warning names what is left out, so that nobody looks for it in vain.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError
from ansible_collections.clusternet.core.plugins.module_utils.resources import CLUSTER_REGISTRATION_REQUESTS

# By cluster ID: where the hub has registered the cluster, as namespace and name.
Registered = Mapping[str, tuple]


class Claim(NamedTuple):
    """What a ManagedCluster says of itself, and what nobody can say otherwise: when it was made."""

    cluster_id: str
    namespace: str
    name: str
    created: str


def claim(cluster: Mapping[str, Any]) -> Claim:
    """What a ManagedCluster claims to be."""
    metadata = cluster["metadata"]
    identity = (cluster.get("spec") or {}).get("clusterId") or ""
    return Claim(identity, metadata["namespace"], metadata["name"], metadata.get("creationTimestamp") or "")


def contested(claims: Iterable[Claim]) -> list[Claim]:
    """Those that share their namespace or their identity with another one."""
    claims = list(claims)
    namespaces, identities = Counter(one.namespace for one in claims), Counter(one.cluster_id for one in claims)
    return [one for one in claims if namespaces[one.namespace] > 1 or identities[one.cluster_id] > 1]


def strangers(claims: Iterable[Claim], registered: Optional[Registered]) -> list[Claim]:
    """Those of I(claims) that aren't the genuine ones.

    I(registered) is None where the requests can't be read. A cluster without a request, because it is being removed, is
    judged by its age, too.
    """
    places = registered or {}
    namespaces, identities = {place[0] for place in places.values()}, set(places)
    found = []
    for one in sorted(contested(claims), key=lambda one: (one.created, one.namespace, one.name)):
        if one.cluster_id in places:
            genuine = places[one.cluster_id] == (one.namespace, one.name)
        else:
            genuine = one.namespace not in namespaces and one.cluster_id not in identities
            if genuine:
                namespaces.add(one.namespace)
                identities.add(one.cluster_id)
        if not genuine:
            found.append(one)
    return found


def leave_out(client: Client, clusters: list, claim_of: Callable[[Any], Claim] = claim) -> list:
    """I(clusters) without those that nobody was registered as; each of these is a warning of I(client)."""
    pairs = [(claim_of(cluster), cluster) for cluster in clusters]
    claims = [pair[0] for pair in pairs]
    if not contested(claims):
        return clusters
    registered = _registered(client)
    how = "it is younger" if registered is None else "the registration requests say so"
    out = set(strangers(claims, registered))
    for one in sorted(out):
        text = (
            f"ManagedCluster {one.namespace}/{one.name} is left out: another one has its namespace or its identity "
            f"{one.cluster_id}, and is the one that was registered ({how})."
        )
        if text not in client.warnings:
            client.warnings.append(text)
    return [cluster for one, cluster in pairs if one not in out]


def _registered(client: Client) -> Optional[dict[str, tuple]]:
    """Where the hub has registered each cluster; None where the user may not read that."""
    try:
        requests = client.list(CLUSTER_REGISTRATION_REQUESTS.path(), None)
    except ApiError as error:
        if error.status not in (403, 404):
            raise
        return None
    registered = {}
    for request in requests:
        status = request.get("status") or {}
        place = status.get("dedicatedNamespace"), status.get("managedClusterName")
        if all(place):
            registered[(request.get("spec") or {}).get("clusterId") or ""] = place
    return registered
