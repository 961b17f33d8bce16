# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a list of clusters to hosts, variables and groups; no I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ansible.inventory.data import InventoryData
from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError
from ansible_collections.clusternet.core.plugins.module_utils.gateway_environment import environment
from ansible_collections.clusternet.core.plugins.plugin_utils.managed_cluster import ManagedCluster
from ansible_collections.clusternet.core.plugins.plugin_utils.naming import ALWAYS, group_names, host_names
from ansible_collections.clusternet.core.plugins.plugin_utils.trust import trust_as_template

PREFIX = "clusternet_"
LOCAL_CONNECTION = {
    "ansible_connection": trust_as_template("local"),
    "ansible_python_interpreter": trust_as_template("{{ ansible_playbook_python }}"),
}
_SIMPLE_KEY = re.compile(r"""[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[(?:'[^'\\]*'|"[^"\\]*")\])*""")
_KEY_PARTS = re.compile(r"""([A-Za-z_]\w*)|\[(?:'([^']*)'|"([^"]*)")\]""")


def host_variables(
    cluster: ManagedCluster, mark: Callable[[Any], Any], gateway_kubeconfig: str | None = None
) -> dict[str, Any]:
    """The variables of a cluster, each field with the prefix.

    :param mark: see :func:`~.trust.guard`
    :param gateway_kubeconfig: what a gateway writes, if it is to be used
    """
    fields: dict[str, Any] = dict(cluster)
    if gateway_kubeconfig:
        fields["environment"] = environment(gateway_kubeconfig, cluster["namespace"], cluster["name"])
    return {PREFIX + name: mark(value) for name, value in fields.items()}


def populate(
    inventory: InventoryData,
    clusters: Sequence[ManagedCluster],
    variables: Sequence[dict[str, Any]],
    kinds: Sequence[str],
    wanted_name: Callable[[ManagedCluster, dict[str, Any]], str],
    warn: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """Add the hosts, their variables and the ready-made groups.

    :param variables: of each cluster, see :func:`host_variables`
    :param kinds: ready-made groups, see :data:`~.naming.ALWAYS`
    :param wanted_name: host name of a cluster from its variables
    :param warn: told about names that had to be changed
    :returns: the variables by host name
    :raises ConfigError: a host of another source has the name of one of these clusters
    """
    wanted = [wanted_name(cluster, values) for cluster, values in zip(clusters, variables, strict=True)]
    groups = [group_names(cluster, kinds) for cluster in clusters]
    known = [name for kind in kinds for name in ALWAYS[kind]] + sorted({name for names in groups for name in names})
    for group in known:
        inventory.add_group(group)
    hosts = host_names(wanted, clusters, inventory.groups)
    for host, cluster in zip(hosts, clusters, strict=True):
        _refuse_other(inventory, host, cluster)
    _warn_of_renamed(wanted, hosts, warn)
    for host, values, names in zip(hosts, variables, groups, strict=True):
        inventory.add_host(host)
        entity = inventory.hosts[host]
        for name, value in values.items():
            entity.set_variable(name, value)
        for group in names:
            inventory.groups[group].add_host(entity)
    return dict(zip(hosts, variables, strict=True))


def _refuse_other(inventory: InventoryData, host: str, cluster: ManagedCluster) -> None:
    """Raise ConfigError when a host of this name is another cluster; hosts of other plugins are taken for the same."""
    known = inventory.hosts.get(host)
    there = known.vars if known else {}
    if PREFIX + "id" not in there:
        return
    if all(there.get(PREFIX + name) == cluster[name] for name in ("id", "namespace")):
        return
    raise ConfigError(
        "hostname",
        f"The host name {host} is wanted by the cluster {cluster['namespace']}/{cluster['name']}, but it is the "
        f"cluster {there.get(PREFIX + 'namespace')}/{there.get(PREFIX + 'name')} of another source. Give the clusters "
        "of one source other names by the option hostname, such as: clusternet_name ~ '.north'",
    )


def _warn_of_renamed(wanted: list[str], hosts: list[str], warn: Callable[[str], None]) -> None:
    renamed = sorted({name for name, host in zip(wanted, hosts, strict=True) if name != host})
    if renamed:
        warn(
            "These host names are not unique or belong to a group, so the namespace is added to each "
            f"(name.namespace): {', '.join(renamed)}"
        )


def lookup(expression: str, variables: dict[str, Any]) -> Any:
    """Evaluate an expression of names and plain keys only, such as ``clusternet_labels.region``, without Jinja.

    :returns: the value, or :data:`NOT_SIMPLE` if the expression needs Jinja
    :raises KeyError: there is no such key
    """
    if not _SIMPLE_KEY.fullmatch(expression):
        return NOT_SIMPLE
    value: Any = variables
    for parts in _KEY_PARTS.findall(expression):
        if not isinstance(value, dict):
            return NOT_SIMPLE
        value = value["".join(parts)]
    return value


NOT_SIMPLE = object()
