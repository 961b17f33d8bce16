# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Choosing, changing and waiting for many ManagedClusters over one connection."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils import genuine, managed_cluster, validate
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import Outcome, Reconciler
from ansible_collections.clusternet.core.plugins.module_utils.resources import MANAGED_CLUSTERS
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline, wait_until

_CONFLICTS = 5  # attempts when others change the cluster at the same time


class Selection(NamedTuple):
    """Which ManagedClusters are meant: by names, label selector, namespace and identities; None means any."""

    names: Optional[list]
    label_selector: Optional[str]
    namespace: Optional[str]
    cluster_ids: Optional[list] = None

    def matches(self, cluster: Mapping[str, Any]) -> bool:
        """Whether a cluster that the server listed for the label selector and namespace is meant."""
        return self.means(managed_cluster.cluster_id(cluster), cluster["metadata"]["name"])

    def means(self, cluster_id: str, name: Optional[str]) -> bool:
        """Whether the identity and the name are among those that are meant."""
        return (self.names is None or name in self.names) and (
            self.cluster_ids is None or cluster_id in self.cluster_ids
        )

    def path(self) -> str:
        """Path of the collection to list."""
        return MANAGED_CLUSTERS.path(namespace=self.namespace)

    def missing_names(self, clusters: Iterable[Mapping[str, Any]]) -> list[str]:
        """The names of which there is no cluster."""
        found = {cluster["metadata"]["name"] for cluster in clusters}
        return [name for name in self.names or () if name not in found]


def selection(params: Mapping[str, Any]) -> Selection:
    """The module's options of these names, as far as it has them, checked; raises ConfigError."""
    names, selector, namespace = params["names"], params["label_selector"], params["namespace"]
    return Selection(
        None if names is None else [validate.dns_label("names", name) for name in names],
        validate.label_selector("label_selector", selector) if selector else None,
        validate.dns_label("namespace", namespace) if namespace else None,
        params.get("cluster_ids"),
    )


def read(client: Client, chosen: Selection) -> list[dict[str, Any]]:
    """The chosen clusters, by namespace and name; one GET for one name in a namespace, else a paged list.

    Of a list, those are left out that nobody was registered as (see C(genuine)).
    Raises ApiError, ClusternetError when the cluster doesn't know the kind.
    """
    if chosen.namespace and chosen.names is not None and len(chosen.names) == 1 and not chosen.label_selector:
        cluster = client.get(MANAGED_CLUSTERS.path(chosen.names[0], chosen.namespace))
        return [cluster] if cluster else []
    try:
        clusters = client.list(chosen.path(), chosen.label_selector)
    except ApiError as error:
        if error.status != 404:
            raise
        raise ClusternetError(
            "This cluster doesn't serve ManagedClusters, so it is no Clusternet parent. "
            "The role clusternet.core.hub makes it one.",
            "NoParent",
        ) from error
    return [item for item in genuine.leave_out(client, clusters) if chosen.matches(item)]


def existing(client: Client, chosen: Selection) -> list[dict[str, Any]]:
    """The chosen clusters, as :func:`read` has them; raises ClusternetError when a name has none or several."""
    clusters = read(client, chosen)
    missing = chosen.missing_names(clusters)
    if missing:
        place = f" in namespace {chosen.namespace}" if chosen.namespace else ""
        raise ClusternetError(
            f"No cluster is registered{place} under the name {', '.join(missing)}"
            f"{' with these labels' if chosen.label_selector else ''}. "
            "clusternet.core.registration_info tells where a registration stands.",
            "NotFound",
            names=missing,
        )
    refuse_ambiguous(chosen, ((item["metadata"]["name"], item["metadata"]["namespace"]) for item in clusters))
    return clusters


def refuse_ambiguous(chosen: Selection, places: Iterable[tuple]) -> None:
    """Raise ClusternetError when a name that was asked for belongs to clusters in several namespaces."""
    namespaces: dict[str, list[str]] = {}
    for name, namespace in places if chosen.names is not None else ():
        namespaces.setdefault(name, []).append(str(namespace))
    for name, found in namespaces.items():
        if len(found) > 1:
            raise ClusternetError(
                f"{name} is the name of clusters in the namespaces {', '.join(found)}. Say which by namespace.",
                "Ambiguous",
                name=name,
                namespaces=found,
            )


class Wanted(NamedTuple):
    """What clusters should be like; None leaves a thing as it is."""

    labels: Optional[dict]
    purge_labels: bool
    taints: Optional[list]
    purge_taints: bool
    sync_mode: Optional[str]


def wanted(params: Mapping[str, Any]) -> Wanted:
    """The module's options for the state present, checked; raises ConfigError."""
    return Wanted(
        managed_cluster.wanted_labels("labels", params["labels"]),
        params["purge_labels"],
        managed_cluster.wanted_taints("taints", params["taints"]),
        params["purge_taints"],
        params["sync_mode"],
    )


def change(reconciler: Reconciler, cluster: dict[str, Any], wanted: Wanted) -> Outcome:
    """Bring one cluster to what is wanted by one PATCH, if it isn't; read it again when others came between."""
    for attempt in range(_CONFLICTS):
        try:
            return reconciler.patch(MANAGED_CLUSTERS, cluster, managed_cluster.change(cluster, *wanted))
        except ApiError as error:
            if error.status != 409 or attempt == _CONFLICTS - 1:
                raise
        newer = reconciler.client.get(MANAGED_CLUSTERS.path_of(cluster))
        if newer is None:
            raise ClusternetError(f"{managed_cluster.place(cluster)} was removed meanwhile.", "NotFound")
        cluster = newer
    raise AssertionError("unreachable")


def wait_ready(client: Client, chosen: Selection, minimum: int, timeout: int) -> list[dict[str, Any]]:
    """The chosen clusters once all are ready and I(minimum) are there; raises WaitTimeout after I(timeout) seconds."""
    return _wait(client, chosen.path(), chosen.matches, minimum, timeout, chosen.names, chosen.label_selector)


def wait_these_ready(
    client: Client, chosen: Selection, clusters: Iterable[dict[str, Any]], timeout: int
) -> list[dict[str, Any]]:
    """Just these of the chosen clusters once all are ready, whatever their labels are now; raises WaitTimeout."""
    places = {managed_cluster.place(cluster) for cluster in clusters}
    names = [place.partition("/")[2] for place in places]
    return _wait(
        client,
        chosen.path(),
        lambda cluster: managed_cluster.place(cluster) in places,
        len(places),
        timeout,
        names,
        None,
    )


def _wait(
    client: Client,
    path: str,
    matches: Callable[[dict], bool],
    minimum: int,
    timeout: int,
    names: Optional[list],
    label_selector: Optional[str],
) -> list[dict[str, Any]]:
    def missing(clusters: Iterable[dict[str, Any]]) -> list[str]:
        return managed_cluster.not_all_ready(filter(matches, clusters), minimum)

    clusters = wait_until(
        client,
        path,
        missing,
        Deadline(timeout),
        "Waiting for clusters to be ready",
        field_selector=f"metadata.name={names[0]}" if names is not None and len(names) == 1 else None,
        label_selector=label_selector,
    )
    return sorted(filter(matches, genuine.leave_out(client, clusters)), key=managed_cluster.place)
