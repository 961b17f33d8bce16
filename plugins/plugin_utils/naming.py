# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names: of hosts, unique for every cluster, and of the ready-made groups."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from ansible_collections.clusternet.core.plugins.plugin_utils.managed_cluster import READINESS, ManagedCluster

GROUP_OF_ALL = "clusternet"
ALWAYS = {
    "all": [GROUP_OF_ALL],
    "readiness": [f"clusternet_{readiness}" for readiness in READINESS.values()],
    "cluster_type": [],
    "sync_mode": [],
}
"""The choices of O(default_groups), and the groups of each that exist even without hosts."""


def host_names(wanted: Sequence[str], clusters: Sequence[ManagedCluster], groups: Collection[str]) -> list[str]:
    """Give every cluster a host name of its own.

    Clusters that want the same name all get their namespace as suffix (``name.namespace``), whatever their order, and
    so does one that wants the name of a group.

    :param wanted: names, one for each cluster
    :param clusters: of the same length
    :param groups: names that only groups may have
    """
    count = Counter(wanted)
    return [
        name if count[name] == 1 and name not in groups else _with_suffix(name, cluster)
        for name, cluster in zip(wanted, clusters, strict=True)
    ]


def _with_suffix(name: str, cluster: ManagedCluster) -> str:
    if name == cluster["name"]:
        return f"{name}.{cluster['namespace']}"
    return f"{name}.{cluster['name']}.{cluster['namespace']}"


def group_names(cluster: ManagedCluster, kinds: Collection[str]) -> list[str]:
    """Name the ready-made groups of a cluster.

    :param kinds: which of :data:`ALWAYS` are wanted
    """
    names = {
        "all": GROUP_OF_ALL,
        "readiness": f"clusternet_{cluster['readiness']}",
        "cluster_type": _joined("clusternet_type", cluster["cluster_type"]),
        "sync_mode": _joined("clusternet_sync", cluster["sync_mode"]),
    }
    return [name for kind, name in names.items() if name and kind in kinds]


def _joined(prefix: str, value: str | None) -> str | None:
    return f"{prefix}_{re.sub(r'[^a-z0-9]+', '_', value.lower())}" if value else None
