#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: managed_cluster_info
short_description: List the clusters of a Clusternet parent
version_added: 0.1.0
description:
  - Lists ManagedClusters with what their agents report, page by page over one connection.
  - Can wait until the clusters are ready.
  - Where several ManagedClusters share a namespace or an identity, only the one that the hub has registered is
    listed, and a warning names the others. The registration requests say which it is; a user who may not list those
    gets the oldest one.
options:
  names:
    description: Only clusters with these names. A name of which there is no cluster is no error.
    type: list
    elements: str
  label_selector:
    description: Only clusters whose labels match, in the form of C(kubectl -l).
    type: str
  namespace:
    description: Only the cluster in this namespace of the parent.
    type: str
  ready:
    description: With V(true) only clusters that are ready, with V(false) only those that are not, or not known to be.
    type: bool
  wait:
    description:
      - Wait until all chosen clusters are ready and there are at least O(wait_min_count).
      - Without O(wait_min_count) it returns at once when no cluster is chosen.
      - O(ready) chooses afterwards.
    type: bool
    default: false
  wait_min_count:
    description: How many clusters must be there and ready.
    type: int
    default: 0
  wait_timeout:
    description: How long to wait at most, in seconds.
    type: int
    default: 300
attributes:
  check_mode:
    description: Only reads, in check mode too.
    support: full
  diff_mode:
    description: There is nothing to show, because nothing changes.
    support: none
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
author:
  - The clusternet.core authors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: List all clusters
  clusternet.core.managed_cluster_info:
  register: all_clusters

- name: List the clusters of a region that are not ready
  clusternet.core.managed_cluster_info:
    label_selector: site=north
    ready: false

- name: Wait until two clusters are registered and ready
  clusternet.core.managed_cluster_info:
    names: [edge-1, edge-2]
    wait: true
    wait_min_count: 2
"""

RETURN = r"""
clusters:
  description: The clusters, ordered by namespace and name. Every key is always there; what the agent hasn't
    reported is null or empty.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the cluster.
      type: str
      sample: edge-1
    namespace:
      description: Its namespace on the parent.
      type: str
      sample: clusternet-x7k2p
    cluster_id:
      description: Its identity.
      type: str
      sample: 5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21
    cluster_type:
      description: Sort of the cluster.
      type: str
      sample: StandardCluster
    sync_mode:
      description: How objects reach the cluster.
      type: str
      sample: Dual
    labels:
      description: Labels.
      type: dict
      sample: {region: north}
    annotations:
      description: Annotations.
      type: dict
      sample: {}
    taints:
      description: Taints, each with V(key), V(effect), and V(value) and V(timeAdded) if set.
      type: list
      elements: dict
      sample: [{key: maintenance, effect: NoSchedule}]
    created_at:
      description: When it was registered.
      type: str
      sample: "2026-11-23T10:00:00Z"
    ready:
      description: Status of the condition Ready - V(True), V(False) or V(Unknown), as text.
      type: str
      sample: "True"
    conditions:
      description: All conditions, each with V(type), V(status), V(reason), V(message) and V(lastTransitionTime).
      type: list
      elements: dict
      sample: [{type: Ready, status: "True", reason: ManagedClusterReady}]
    last_observed_time:
      description: When the agent last collected the status.
      type: str
      sample: "2026-11-23T10:05:00Z"
    heartbeat_frequency_seconds:
      description: Seconds between two reports of the agent.
      type: int
      sample: 180
    kubernetes_version:
      description: Version of the cluster's API server.
      type: str
      sample: v1.34.4
    agent_version:
      description: Version of the agent.
      type: str
      sample: v0.18.1
    platform:
      description: Operating system and architecture of the cluster's API server.
      type: str
      sample: linux/amd64
    apiserver_url:
      description: Address of the cluster's API server as the agent reaches it.
      type: str
      sample: https://10.96.0.1:443
    healthz:
      description: Whether the API server answers /healthz with success.
      type: bool
      sample: true
    livez:
      description: Whether the API server answers /livez with success.
      type: bool
      sample: true
    readyz:
      description: Whether the API server answers /readyz with success.
      type: bool
      sample: true
    app_pusher:
      description: Whether the agent lets the parent deploy objects.
      type: bool
      sample: true
    use_socket:
      description: Whether the agent keeps a tunnel to the parent.
      type: bool
      sample: true
    cluster_cidr:
      description: Address range of the pods.
      type: str
      sample: 10.244.0.0/16
    service_cidr:
      description: Address range of the services.
      type: str
      sample: 10.96.0.0/12
    nodes:
      description: Numbers of nodes by readiness.
      type: dict
      contains:
        ready:
          description: Nodes that are ready.
          type: int
          sample: 3
        not_ready:
          description: Nodes that are not ready.
          type: int
          sample: 0
        unknown:
          description: Nodes whose readiness is unknown.
          type: int
          sample: 0
        lost:
          description: Nodes that no longer report.
          type: int
          sample: 0
    capacity:
      description: Resources of all nodes together.
      type: dict
      sample: {cpu: "12", memory: 48Gi}
    allocatable:
      description: Resources of all nodes that pods can use.
      type: dict
      sample: {cpu: "11", memory: 44Gi}
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "Timeout", "message": "Waiting for clusters to be ready", "details": {"missing": "1 of 2
  clusters"}}
"""

from ansible_collections.clusternet.core.plugins.module_utils import fleet, managed_cluster, validate
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.report import report


def main():
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            "names": {"type": "list", "elements": "str"},
            "label_selector": {"type": "str"},
            "namespace": {"type": "str"},
            "ready": {"type": "bool"},
            "wait": {"type": "bool", "default": False},
            "wait_min_count": {"type": "int", "default": 0},
            "wait_timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    params = module.params
    with report(module) as doing:
        chosen = fleet.selection(params)
        timeout = validate.wait_timeout("wait_timeout", params["wait_timeout"])
        minimum = validate.count("wait_min_count", params["wait_min_count"])
        if params["wait"]:
            clusters = fleet.wait_ready(doing.connect(), chosen, minimum, timeout)
        else:
            clusters = fleet.read(doing.connect(), chosen)
        views = [managed_cluster.view(cluster) for cluster in clusters]
        ready = params["ready"]
        doing.result["clusters"] = [view for view in views if ready is None or (view["ready"] == "True") == ready]


if __name__ == "__main__":
    main()
