# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: managed_clusters
short_description: The clusters of a Clusternet parent as hosts
version_added: 0.1.0
author:
  - The clusternet.core authors (@clusternet)
description:
  - Lists the ManagedClusters of a parent cluster. Every cluster becomes a host with variables and groups. Clusters
    are listed, never pods or nodes.
  - The name of the source must end in C(clusternet.yml) or C(clusternet.yaml).
  - 500 clusters are read with one request. What is read is stable, so a refresh of an unchanged fleet prints the same
    bytes.
  - Every option can be set by an environment variable, so that an AWX inventory source needs a credential and one
    line of file.
  - "The variables of a host:"
  - "C(clusternet_id): UUID of the cluster."
  - "C(clusternet_name), C(clusternet_namespace): name and namespace of the ManagedCluster."
  - "C(clusternet_labels): dictionary of its labels."
  - "C(clusternet_taints): list of dictionaries with C(key), C(value), C(effect)."
  - "C(clusternet_sync_mode): V(Push), V(Pull) or V(Dual)."
  - "C(clusternet_cluster_type): V(StandardCluster), V(EdgeCluster) or what the agent says, V(null) if it says nothing."
  - "C(clusternet_ready): boolean. C(clusternet_readiness): V(ready), V(not_ready) or V(unknown) (no heartbeat).
    C(clusternet_ready_reason): reason of the condition, V(null) before the first heartbeat."
  - "C(clusternet_status): dictionary with C(version) (of Kubernetes), C(platform), C(agent_version),
    C(apiserver_url), C(healthz), C(livez), C(readyz), C(nodes) (numbers C(ready), C(not_ready), C(unknown), C(lost)),
    C(capacity) and C(allocatable) (sums over the nodes as Kubernetes quantities), C(cluster_cidr), C(service_cidr),
    C(app_pusher), C(use_socket). What the agent did not report is V(null), V(0) or empty."
  - "C(clusternet_object): the whole ManagedCluster, only with O(full_object)."
  - "C(clusternet_environment): environment variables by which Kubernetes programs reach the cluster, only with
    O(gateway_kubeconfig). They name files and hold no secrets."
  - Text written by clusters is never evaluated as a template.
  - Where several ManagedClusters share a namespace or an identity, only the one that the hub has registered is
    listed, and a warning names the others. The registration requests say which it is; a user who may not list those
    gets the oldest one.
  - The name of a host is the name of its cluster. Where clusters in different namespaces want the same name, or a
    name belongs to a group, each of them is called C(name.namespace) and a warning says so.
  - Groups of O(keyed_groups) and O(groups), and parent groups, don't take the name of a host, because a pattern of that
    name would mean the group then. Such a group is left out and a warning says so, or with O(strict) that is an error.
    Its members are in its parent group, if it has one.
  - Where clusters of several sources, such as those of two parents, want the same name, the source that is read later
    fails and says which cluster it is, so that no play meets another cluster than it means. Tell them apart by
    O(hostname). The same cluster in two sources is one host, and so is a host that another inventory has for it.
  - An option that is an empty text, also in the environment, counts as not given.
extends_documentation_fragment:
  - clusternet.core.inventory_auth_options
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: Marks the file as a source of this plugin.
    type: str
    required: true
    choices:
      - clusternet.core.managed_clusters
  label_selector:
    description: Label selector of Kubernetes, applied by the API server, for example V(region=eu).
    type: str
    env:
      - name: CLUSTERNET_INVENTORY_LABEL_SELECTOR
  namespaces:
    description: Namespaces to list, one by one, for users who may not list the whole parent. If empty, all are listed
      with one query.
    type: list
    elements: str
    default: []
    env:
      - name: CLUSTERNET_INVENTORY_NAMESPACES
  strict_permissions:
    description: Whether a forbidden list (403) is an error, a boolean. If V(false), it is skipped with a warning.
    type: raw
    default: true
    env:
      - name: CLUSTERNET_INVENTORY_STRICT_PERMISSIONS
  hostname:
    description:
      - Jinja2 expression for the name of a host, without braces, made from the variables above. If not set, the name
        of the cluster.
      - If it fails or is empty for a cluster, its name is taken, or with O(strict) that is an error.
    type: str
    env:
      - name: CLUSTERNET_INVENTORY_HOSTNAME
  default_groups:
    description:
      - Ready-made groups. V(all) is C(clusternet) with every cluster.
      - V(readiness) is C(clusternet_ready), C(clusternet_not_ready), C(clusternet_unknown).
      - V(cluster_type) is C(clusternet_type_) and the type in lower case, for example
        C(clusternet_type_standardcluster).
      - V(sync_mode) is C(clusternet_sync_push), C(clusternet_sync_pull), C(clusternet_sync_dual).
    type: list
    elements: str
    choices: [all, readiness, cluster_type, sync_mode]
    default: [all, readiness, cluster_type, sync_mode]
    env:
      - name: CLUSTERNET_INVENTORY_DEFAULT_GROUPS
  full_object:
    description: Whether to add the whole object as C(clusternet_object), a boolean. It changes with every heartbeat.
    type: raw
    default: false
    env:
      - name: CLUSTERNET_INVENTORY_FULL_OBJECT
  set_local_connection:
    description:
      - Whether to set C(ansible_connection) to V(local) and C(ansible_python_interpreter) to the one that runs
        Ansible, a boolean, so that tasks for a cluster run on the control node.
    type: raw
    default: false
    env:
      - name: CLUSTERNET_INVENTORY_SET_LOCAL_CONNECTION
  gateway_kubeconfig:
    description:
      - The kubeconfig that M(clusternet.core.gateway) writes, O(clusternet.core.gateway#module:path) there. Every host
        gets the variable C(clusternet_environment) then, by which modules of C(kubernetes.core), C(kubectl), C(helm)
        and C(oc) reach its cluster through the gateway, and a local connection as by O(set_local_connection).
      - "Use it as C(environment) of a play: C(environment: \"{{ clusternet_environment }}\")."
      - A play without that line doesn't fail. Its tasks run on the control node, once for each host, and act on
        whatever cluster the default kubeconfig there names.
      - The gateway needn't run yet when the inventory is read.
      - The modules of C(kubernetes.core) prefer E(K8S_AUTH_HOST) and credentials in the environment to every
        kubeconfig, so give the parent by O(kubeconfig) or E(K8S_AUTH_KUBECONFIG), not by those.
    type: str
    env:
      - name: CLUSTERNET_INVENTORY_GATEWAY_KUBECONFIG
  keyed_groups:
    description:
      - Groups made from the values of variables. In the environment as YAML.
      - Keys of names only, such as V(clusternet_labels.region) or
        V(clusternet_labels['topology.kubernetes.io/zone']), are quick; others cost a third of a millisecond for each
        cluster, as do all entries of O(groups) and O(compose).
      - Each entry is a dictionary with C(key) and optionally C(prefix), C(separator) (default V(_)), C(parent_group),
        C(default_value), C(trailing_separator), as in P(ansible.builtin.constructed#inventory).
    type: raw
    default: []
    env:
      - name: CLUSTERNET_INVENTORY_KEYED_GROUPS
  groups:
    description: Groups by Jinja2 conditions, a dictionary. In the environment as YAML.
    type: raw
    default: {}
    env:
      - name: CLUSTERNET_INVENTORY_GROUPS
  compose:
    description: Variables by Jinja2 expressions, a dictionary. In the environment as YAML.
    type: raw
    default: {}
    env:
      - name: CLUSTERNET_INVENTORY_COMPOSE
  strict:
    description: Whether a failing expression is an error, a boolean. If V(false), it is skipped.
    type: raw
    default: false
    env:
      - name: CLUSTERNET_INVENTORY_STRICT
  leading_separator:
    description: Whether groups of O(keyed_groups) without a prefix begin with the separator.
    type: bool
    default: true
    env:
      - name: CLUSTERNET_INVENTORY_LEADING_SEPARATOR
  use_extra_vars:
    description: Whether expressions see extra variables.
    type: bool
    default: false
    ini:
      - section: inventory_plugins
        key: use_extra_vars
    env:
      - name: ANSIBLE_INVENTORY_USE_EXTRA_VARS
notes:
  - With O(cache) the clusters are read from the cache without any request to the parent; C(--flush-cache) reads them
    anew.
  - Tokens are never written to the cache, and host variables never hold any.
seealso:
  - module: clusternet.core.managed_cluster_info
  - module: clusternet.core.gateway
"""

EXAMPLES = r"""
# clusternet.yml: all clusters of the parent that the current kubeconfig points to
plugin: clusternet.core.managed_clusters

---
# eu.clusternet.yml: ready-made groups for readiness only, one group for each region and each tier
plugin: clusternet.core.managed_clusters
kubeconfig: ~/.kube/parent
label_selector: continent=eu
default_groups: [all, readiness]
keyed_groups:
  - key: clusternet_labels.region
    prefix: region
  - key: clusternet_labels['example.com/tier']
    prefix: tier
    default_value: none

---
# compute.clusternet.yml: other names, own groups and variables, read from a cache for ten minutes
plugin: clusternet.core.managed_clusters
hostname: clusternet_namespace ~ '.' ~ clusternet_name
groups:
  gpu: "'nvidia.com/gpu' in clusternet_status.capacity"
compose:
  nodes: clusternet_status.nodes.values() | sum
  cordoned: clusternet_taints | selectattr('effect', 'eq', 'NoSchedule') | list | length > 0
set_local_connection: true
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/clusternet-inventory
cache_timeout: 600

---
# children.clusternet.yml: tasks of other collections on the clusters, through the gateway that a play before has
# started by the module clusternet.core.gateway with path: ~/.kube/children
#
#   - hosts: clusternet_ready
#     gather_facts: false
#     environment: "{{ clusternet_environment }}"
#     tasks:
#       - kubernetes.core.k8s:
#           src: files/web.yml
plugin: clusternet.core.managed_clusters
kubeconfig: ~/.kube/parent
gateway_kubeconfig: ~/.kube/children

---
# south.clusternet.yml: a second parent, beside another source; its hosts are berlin.south, munich.south, ...
plugin: clusternet.core.managed_clusters
kubeconfig: ~/.kube/south
hostname: clusternet_name ~ '.south'

---
# team.clusternet.yml: a user who may list two namespaces only
plugin: clusternet.core.managed_clusters
host: https://parent.example.com:6443
ca_cert: ~/parent-ca.pem
namespaces:
  - clusternet-team-a
  - clusternet-team-b
strict_permissions: false
"""

import os
from typing import Any

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.clusternet.core.plugins.module_utils.access import server
from ansible_collections.clusternet.core.plugins.module_utils.errors import ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.gateway_environment import preferred_to_kubeconfigs
from ansible_collections.clusternet.core.plugins.plugin_utils.empty_options import EmptyIsUnset
from ansible_collections.clusternet.core.plugins.plugin_utils.fetch import fetch
from ansible_collections.clusternet.core.plugins.plugin_utils.hosts_first import HostsFirst
from ansible_collections.clusternet.core.plugins.plugin_utils.inventory_options import (
    InventoryOptions,
    inventory_options,
)
from ansible_collections.clusternet.core.plugins.plugin_utils.managed_cluster import ManagedCluster
from ansible_collections.clusternet.core.plugins.plugin_utils.populate import (
    LOCAL_CONNECTION,
    NOT_SIMPLE,
    host_variables,
    lookup,
    populate,
)
from ansible_collections.clusternet.core.plugins.plugin_utils.trust import guard


class InventoryModule(EmptyIsUnset, BaseInventoryPlugin, Constructable, Cacheable):
    """The clusters of a Clusternet parent as hosts."""

    NAME = "clusternet.core.managed_clusters"

    def verify_file(self, path: str) -> bool:
        """Accept files whose name ends in ``clusternet.yml`` or ``clusternet.yaml``."""
        return super().verify_file(path) and path.endswith(("clusternet.yml", "clusternet.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Read the source, fetch or take from the cache, populate.

        :param cache: false when the cache is to be refreshed
        """
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        try:
            options = inventory_options(self.get_option)
            self._populate(options, self._clusters(options, path, cache))
        except ClusternetError as error:
            raise AnsibleParserError(error.msg) from None

    def _clusters(self, options: InventoryOptions, path: str, read_cache: bool) -> list[ManagedCluster]:
        if not options.cache:
            return fetch(options, self.display.warning)
        self.load_cache_plugin()
        key = f"{self.get_cache_key(path)}_{options.digest(server(options.connection))}"
        if read_cache:
            try:
                return self._cache[key]["clusters"]
            except KeyError:
                pass
        clusters = fetch(options, self.display.warning)
        self._cache[key] = {"clusters": clusters}
        return clusters

    def _populate(self, options: InventoryOptions, clusters: list[ManagedCluster]) -> None:
        self._mark = guard()

        def wanted_name(cluster: ManagedCluster, variables: dict[str, Any]) -> str:
            if not options.hostname:
                return cluster["name"]
            try:
                return str(self._compose(options.hostname, variables) or "") or self._no_hostname(
                    options, cluster, "it is empty"
                )
            except AnsibleError as error:
                return self._no_hostname(options, cluster, str(error))
            except KeyError as error:
                return self._no_hostname(options, cluster, f"there is no {error}")

        variables = [host_variables(cluster, self._mark, options.gateway_kubeconfig) for cluster in clusters]
        hosts = populate(self.inventory, clusters, variables, options.default_groups, wanted_name, self.display.warning)
        if options.gateway_kubeconfig and (found := preferred_to_kubeconfigs(os.environ)):
            self.display.warning(
                f"kubernetes.core heeds {' and '.join(found)} in the environment more than any kubeconfig, so its "
                "modules wouldn't reach the clusters. Give the parent by kubeconfig instead."
            )
        if options.set_local_connection or options.gateway_kubeconfig:
            for host in hosts:
                for name, value in LOCAL_CONNECTION.items():
                    self.inventory.hosts[host].set_variable(name, value)
        if options.compose or options.groups or options.keyed_groups:
            self._construct_all(options, hosts)

    def _construct_all(self, options: InventoryOptions, hosts: dict[str, dict[str, Any]]) -> None:
        inventory = self.inventory
        self.inventory = guarded = HostsFirst(inventory)
        try:
            for host, variables in hosts.items():
                self._construct(options, host, variables)
        finally:
            self.inventory = inventory
        if not guarded.left_out:
            return
        text = (
            f"These groups of keyed_groups or groups have the names of hosts: {', '.join(sorted(guarded.left_out))}. "
            "Give them other names, such as by a prefix"
        )
        if options.strict:
            raise AnsibleParserError(f"{text}.")
        self.display.warning(f"{text}; they are left out, so that each name still means its host.")

    def _construct(self, options: InventoryOptions, host: str, variables: dict[str, Any]) -> None:
        if options.compose:
            self._set_composite_vars(options.compose, variables, host, options.strict)
            variables = self.inventory.hosts[host].get_vars()
        self._add_host_to_composed_groups(options.groups, variables, host, options.strict, fetch_hostvars=False)
        self._add_host_to_keyed_groups(options.keyed_groups, variables, host, options.strict, fetch_hostvars=False)

    def _no_hostname(self, options: InventoryOptions, cluster: ManagedCluster, why: str) -> str:
        if options.strict:
            raise AnsibleParserError(f"hostname fails for cluster {cluster['namespace']}/{cluster['name']}: {why}")
        return cluster["name"]

    def _compose(self, template: Any, variables: Any, *args: Any, **kwargs: Any) -> Any:
        """Evaluate an expression; simple ones without the templar, which takes a third of a millisecond each."""
        value = NOT_SIMPLE if self.get_option("use_extra_vars") else lookup(str(template), variables)
        return self._mark(super()._compose(template, variables, *args, **kwargs)) if value is NOT_SIMPLE else value
