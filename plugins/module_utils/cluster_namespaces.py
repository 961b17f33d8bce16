# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding the namespaces of clusters by the clusters' names."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping

from ansible_collections.clusternet.core.plugins.module_utils import fleet, validate
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ClusternetError


def located(
    connect: Callable[[], Client], option: str, given: Iterable[Mapping[str, Any]], all_needed: bool
) -> tuple[list[dict[str, Any]], list[Mapping[str, Any]]]:
    """The suboptions I(given) with C(namespace) found out where they name a C(cluster), and those without a cluster.

    Asks the parent only when a cluster is named. A cluster that is not registered is an error if I(all_needed). Raises
    ConfigError, ApiError, ClusternetError.
    """
    given = list(given)
    names = sorted({validate.cluster_name(option, item["cluster"]) for item in given if item["cluster"]})
    namespaces: dict[str, list[str]] = {name: [] for name in names}
    for cluster in fleet.read(connect(), fleet.Selection(names, None, None)) if names else ():
        namespaces[cluster["metadata"]["name"]].append(cluster["metadata"]["namespace"])
    for name, found in namespaces.items():
        if len(found) > 1:
            raise ClusternetError(
                f"{name} is the name of clusters in the namespaces {', '.join(found)}. Say which by namespace.",
                "Ambiguous",
                name=name,
                namespaces=found,
            )
        if not found and all_needed:
            raise ClusternetError(f"No cluster is registered under the name {name}.", "NotFound", name=name)
    places = [
        (item, (namespaces[item["cluster"]] or [None])[0] if item["cluster"] else item["namespace"]) for item in given
    ]
    return (
        [{**item, "namespace": namespace} for item, namespace in places if namespace],
        [item for item, namespace in places if not namespace],
    )
