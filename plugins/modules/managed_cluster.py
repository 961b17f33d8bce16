#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: managed_cluster
short_description: Change or unregister clusters at a Clusternet parent
version_added: 0.1.0
description:
  - Sets labels, taints and the sync mode of registered clusters, of many in one task over one connection.
  - Unregisters clusters, with everything that the registration has made on the parent and, through the tunnel of its
    agent, in the cluster. Clusternet itself has no way to do that.
  - Clusters are registered by their agents; this module doesn't create them.
options:
  state:
    description:
      - With V(present), the chosen clusters are as described. A name of which there is no cluster is an error.
      - With V(absent), the chosen clusters are unregistered. What the registration has made in a cluster goes first, as
        O(clean_child) says; then request, ManagedCluster, credentials, RBAC and namespace on the parent. Clusters
        chosen by name or identity are found also when their ManagedCluster is gone already.
      - An agent that isn't cleaned up posts a new request as long as it runs, or when it starts again.
    type: str
    choices: [present, absent]
    default: present
  names:
    description:
      - Names of the clusters. One of O(names), O(label_selector) and O(cluster_ids) is required, with several a
        cluster has to match all.
      - A name that is in use in several namespaces is an error without O(namespace).
    type: list
    elements: str
  label_selector:
    description: Clusters whose labels match, in the form of C(kubectl -l). None matching is fine.
    type: str
  cluster_ids:
    description: Clusters with these identities, as P(clusternet.core.agent_info#module) tells them. None matching is
      fine.
    type: list
    elements: str
    version_added: 0.3.0
  namespace:
    description: Only clusters in this namespace of the parent.
    type: str
  labels:
    description:
      - Labels that the clusters have. A label with the value null is removed.
      - Labels that identify the cluster and those of the prefix C(node.clusternet.io/) belong to Clusternet and are
        refused.
    type: dict
  purge_labels:
    description: Remove all other labels, but those that belong to Clusternet.
    type: bool
    default: false
  taints:
    description: Taints that the clusters have. They keep away Subscriptions that don't tolerate them.
    type: list
    elements: dict
    suboptions:
      key:
        description: Key of the taint.
        type: str
        required: true
      value:
        description: Value of the taint.
        type: str
      effect:
        description: What the taint does. Taints with the same key and another effect are different ones.
        type: str
        choices: [NoSchedule, PreferNoSchedule, NoExecute]
        required: true
  purge_taints:
    description: Remove all other taints, but those that the parent sets itself.
    type: bool
    default: false
  sync_mode:
    description:
      - How objects reach the clusters. With V(Push) the parent deploys, with V(Pull) the agent, with V(Dual) both
        can.
      - The agents have an option of their own that must agree.
    type: str
    choices: [Push, Pull, Dual]
  clean_child:
    description:
      - With O(state=absent), whether to remove what the registration has made in the cluster - the agent's
        registration, credential, Lease, permissions and accounts, its Deployment if it runs as one, the namespace if
        nobody else lives in it, at last the permissions of the account by which all this is done.
      - With V(auto), it is done in clusters that can be reached through the parent. That needs a running agent and the
        feature gate C(SocketConnection) on both sides. RV(clusters[].left) says what stays in the others.
      - With V(required), a cluster that can't be reached or wholly be cleaned up fails, and nothing of it is removed
        from the parent.
      - With V(never), clusters are left alone. Use it where the role P(clusternet.core.agent#role) has removed the
        agent before.
      - An agent that is a process on a host, as the role makes it, loses its accounts and can't register again, but
        runs until the role stops it, with C(clusternet_agent_state=absent).
    type: str
    choices: [auto, required, never]
    default: auto
    version_added: 0.3.0
  force:
    description:
      - With O(state=absent), unregister a cluster also while objects are deployed to it. They are given up and stay
        in the cluster; RV(clusters[].left) names them.
      - Meant for clusters that are dead.
    type: bool
    default: false
  wait:
    description: Wait until the clusters are ready; with O(state=absent), until their namespaces are gone.
    type: bool
    default: false
  wait_timeout:
    description: How long to wait at most for all clusters together, in seconds.
    type: int
    default: 300
attributes:
  check_mode:
    description: Can run in check mode and say what would change.
    support: full
  diff_mode:
    description: Shows what changed. Contents of Secrets are replaced by digests.
    support: full
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
author:
  - The clusternet.core authors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Label two clusters and wait until they are ready
  clusternet.core.managed_cluster:
    names: [edge-1, edge-2]
    labels:
      tier: test
    wait: true

- name: Keep new applications away from a region during maintenance
  clusternet.core.managed_cluster:
    label_selector: site=north
    taints:
      - key: maintenance
        effect: NoSchedule

- name: Let the parent deploy to a cluster
  clusternet.core.managed_cluster:
    names: [edge-1]
    sync_mode: Dual

- name: Unregister a cluster, and clean it up if it can be reached
  clusternet.core.managed_cluster:
    names: [edge-1]
    state: absent
    wait: true
  register: unregistered

- name: Show what has to be removed by other means
  ansible.builtin.debug:
    var: unregistered.clusters[0].left

- name: Unregister a cluster that is dead
  clusternet.core.managed_cluster:
    names: [edge-2]
    state: absent
    force: true
    wait: true
"""

RETURN = r"""
clusters:
  description: What became of each chosen cluster, ordered by namespace and name; with O(state=absent) by name.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the cluster.
      type: str
      sample: edge-1
    namespace:
      description: Its namespace on the parent; null if there is none.
      type: str
      sample: clusternet-x7k2p
    cluster_id:
      description: Its identity.
      type: str
      sample: 5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21
    changed:
      description: Whether it was changed.
      type: bool
      sample: true
    failed:
      description: Whether something went wrong with it.
      type: bool
      sample: false
    msg:
      description: What went wrong; null if nothing did.
      type: str
      sample: null
    cluster:
      description: The cluster as RV(clusternet.core.managed_cluster_info#module:clusters) describes it; null with
        O(state=absent).
      type: dict
      sample: {"name": "edge-1", "ready": "True", "sync_mode": "Dual"}
    removed:
      description: Objects that were removed, in this order. Kubernetes ends the removal of what is in a namespace.
      type: list
      elements: dict
      contains:
        where:
          description: From the V(parent) or in the V(child).
          type: str
          sample: child
        what:
          description: The object.
          type: str
          sample: Lease clusternet-system/clusternet-agent
    left:
      description: What is left and somebody else has to remove.
      type: list
      elements: dict
      contains:
        where:
          description: On the V(parent), in the V(child), or on the agent's V(host).
          type: str
          sample: child
        what:
          description: The object, or the agent's process.
          type: str
          sample: Secret clusternet-system/parent-cluster
        why:
          description: Why it is left, and who removes it.
          type: str
          sample: "clean_child says so. The role clusternet.core.agent removes it (clusternet_agent_state: absent)."
msg:
  description: A note, when there is nothing to remove; what went wrong, when the module fails.
  returned: when there is something to say
  type: str
  sample: There is no such cluster.
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "SomeFailed", "message": "1 of 2 clusters failed", "details": {}}
"""

from ansible_collections.clusternet.core.plugins.module_utils import fleet, unregister, validate
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS, connection_settings
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.fleet_work import FleetWork
from ansible_collections.clusternet.core.plugins.module_utils.report import report


def main():
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "names": {"type": "list", "elements": "str"},
            "label_selector": {"type": "str"},
            "cluster_ids": {"type": "list", "elements": "str"},
            "namespace": {"type": "str"},
            "labels": {"type": "dict"},
            "purge_labels": {"type": "bool", "default": False},
            "taints": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "key": {"type": "str", "required": True, "no_log": False},
                    "value": {"type": "str"},
                    "effect": {
                        "type": "str",
                        "choices": ["NoSchedule", "PreferNoSchedule", "NoExecute"],
                        "required": True,
                    },
                },
            },
            "purge_taints": {"type": "bool", "default": False},
            "sync_mode": {"type": "str", "choices": ["Push", "Pull", "Dual"]},
            "clean_child": {
                "type": "str",
                "choices": [unregister.AUTO, unregister.REQUIRED, unregister.NEVER],
                "default": unregister.AUTO,
            },
            "force": {"type": "bool", "default": False},
            "wait": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 300},
        },
        required_one_of=[("names", "label_selector", "cluster_ids")],
        supports_check_mode=True,
    )
    with report(module) as doing:
        chosen = fleet.selection(module.params)
        wanted = fleet.wanted(module.params)
        timeout = validate.wait_timeout("wait_timeout", module.params["wait_timeout"])
        work = FleetWork(doing.reconciler(), chosen, doing.result, timeout if module.params["wait"] else None)
        if module.params["state"] == "present":
            work.change(wanted)
        else:
            work.unregister(module.params["force"], connection_settings(module.params), module.params["clean_child"])


if __name__ == "__main__":
    main()
