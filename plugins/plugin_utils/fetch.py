# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the parent's API server to a list of clusters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.clusternet.core.plugins.module_utils import genuine
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.constants import (
    CLUSTERS_API,
    CLUSTERS_API_VERSION,
    MANAGED_CLUSTER_KIND,
    MANAGED_CLUSTERS,
)
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, ClusternetError
from ansible_collections.clusternet.core.plugins.plugin_utils.inventory_options import InventoryOptions
from ansible_collections.clusternet.core.plugins.plugin_utils.managed_cluster import ManagedCluster, normalise


def fetch(options: InventoryOptions, warn: Callable[[str], None]) -> list[ManagedCluster]:
    """List the ManagedClusters, 500 a request, sorted by name and namespace.

    Those that nobody was registered as are left out.

    :param warn: told what the API server warned of, which namespaces were skipped and which ManagedClusters left out
    :raises ClusternetError: one sentence that says what to do
    """
    client = Client(options.connection)
    found: list[tuple[genuine.Claim, ManagedCluster]] = []

    def transform(item: dict[str, Any]) -> tuple[genuine.Claim, ManagedCluster]:
        return genuine.claim(item), normalise(item, full_object=options.full_object)

    for path in _paths(options.namespaces):
        try:
            found += client.list(path, options.label_selector, transform=transform)
        except ApiError as error:
            if error.status == 403 and not options.strict_permissions:
                warn(f"Skipped, since it is forbidden: {error.message}")
                continue
            raise _explained(error, client.server) from error
    clusters = [pair[1] for pair in genuine.leave_out(client, found, lambda one: one[0])]
    for text in client.warnings:
        warn(text)
    return sorted(clusters, key=lambda cluster: (cluster["name"], cluster["namespace"]))


def _paths(namespaces: tuple[str, ...]) -> list[str]:
    if not namespaces:
        return [f"{CLUSTERS_API}/{MANAGED_CLUSTERS}"]
    return [f"{CLUSTERS_API}/namespaces/{namespace}/{MANAGED_CLUSTERS}" for namespace in sorted(set(namespaces))]


def _explained(error: ApiError, server: str) -> ClusternetError:
    if error.status == 404:
        return ClusternetError(
            f"{server} does not know {MANAGED_CLUSTER_KIND} ({CLUSTERS_API_VERSION}): "
            "it is not the parent, or Clusternet's CRDs are not installed there.",
            "MissingKind",
        )
    if error.status == 403:
        return ClusternetError(
            f"{error.message.rstrip('.')}. Grant list on {MANAGED_CLUSTERS}, name namespaces the user may list, "
            "or set strict_permissions to false to skip what is forbidden.",
            "Forbidden",
        )
    return error
