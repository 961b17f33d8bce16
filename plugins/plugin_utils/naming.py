# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names: of hosts, unique for every cluster, and of the ready-made groups."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

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
    so does one that wants the name of a group. Where that is what another one wants, both get longer names, too.

    :param wanted: names, one for each cluster
    :param clusters: of the same length
    :param groups: names that only groups may have
    """
    names = list(wanted)
    longer = [_longer(name, cluster) for name, cluster in zip(wanted, clusters, strict=True)]
    while taken := _taken(names, groups):
        names = [next(more) if name in taken else name for name, more in zip(names, longer, strict=True)]
    return names


def _taken(names: Sequence[str], groups: Collection[str]) -> set[str]:
    """The names that aren't for one host alone."""
    return {name for name, times in Counter(names).items() if times > 1 or name in groups}


def _longer(name: str, cluster: ManagedCluster) -> Iterator[str]:
    """Yield longer and longer names, in which the cluster's name and namespace come again and again."""
    if name == cluster["name"]:
        name = f"{name}.{cluster['namespace']}"
        yield name
    while True:
        name = f"{name}.{cluster['name']}.{cluster['namespace']}"
        yield name


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
