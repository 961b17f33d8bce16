#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: subscription_info
short_description: Show where published applications stand, cluster by cluster
version_added: 0.2.0
description:
  - Lists Subscriptions with what has become of them on every cluster - whether it is bound, what is deployed there,
    each object and each release, and what is wrong.
  - All of that is read from the parent, with two or three requests for any number of Subscriptions.
options:
  names:
    description: Only Subscriptions with these names. A name of which there is none is no error.
    type: list
    elements: str
  label_selector:
    description: Only Subscriptions whose labels match, in the form of C(kubectl -l).
    type: str
  namespace:
    description: Only Subscriptions in this namespace.
    type: str
attributes:
  check_mode:
    description: Only reads, in check mode too.
    support: full
  diff_mode:
    description: There is nothing to show, because nothing changes.
    support: none
seealso:
  - module: clusternet.core.subscription
  - module: clusternet.core.description_info
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
author:
  - The clusternet.core authors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Where does the application stand
  clusternet.core.subscription_info:
    names: [app-demo]
    namespace: default
  register: application

- name: Show what is wrong with anything that is published
  clusternet.core.subscription_info:
"""

RETURN = r"""
subscriptions:
  description: The Subscriptions, ordered by namespace and name. Every key is always there.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: app-demo
    namespace:
      description: Namespace.
      type: str
      sample: default
    uid:
      description: Identity; Bases, Descriptions and HelmReleases bear it in the label C(apps.clusternet.io/subs.uid).
      type: str
      sample: 5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21
    generation:
      description: Counts the changes of its spec.
      type: int
      sample: 1
    created_at:
      description: When it was created.
      type: str
      sample: "2026-11-23T10:00:00Z"
    deleting:
      description: Whether it is being removed.
      type: bool
      sample: false
    scheduling_strategy:
      description: V(Replication) or V(Dividing).
      type: str
      sample: Replication
    feeds:
      description: What it publishes.
      type: list
      elements: str
      sample: [Namespace foo, Deployment foo/my-nginx]
    conditions:
      description: Conditions of type V(Scheduled), V(Rendered) and V(Deployed); Clusternet's own hub has none.
      type: list
      elements: dict
      sample: [{type: Deployed, status: "True", reason: Deployed}]
    desired_releases:
      description: Number of clusters that were chosen.
      type: int
      sample: 2
    completed_releases:
      description: Number of clusters on which everything is in place; Clusternet's own hub doesn't count them.
      type: int
      sample: 2
    replicas:
      description: Replicas of each feed on each bound cluster, with the strategy V(Dividing).
      type: dict
      sample: {apps/v1/Deployment/bar/my-nginx: [2, 4]}
    aggregated_statuses:
      description: State of each feed over all clusters, as the hub reports it.
      type: list
      elements: dict
      sample: []
    scheduled:
      description: Whether clusters were chosen for what the Subscription is now.
      type: bool
      sample: true
    deployed:
      description: Whether everything is deployed on every chosen cluster.
      type: bool
      sample: true
    healthy:
      description: Whether everything is deployed and the workloads are available on every chosen cluster.
      type: bool
      sample: false
    problems:
      description: What is missing until it is healthy; what concerns one cluster begins with the cluster's name.
      type: list
      elements: str
      sample: ["edge-2: Deployment foo/my-nginx: 1 of 3 replicas are available"]
    clusters:
      description: The clusters that were chosen, and those from which something is still being removed, by name.
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
          description: Its identity; null before anything was made for it.
          type: str
          sample: 5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21
        bound:
          description: Whether it is chosen.
          type: bool
          sample: true
        phase:
          description: V(Pending), V(Success), V(Failure), or V(Removing) where it is no longer chosen.
          type: str
          sample: Success
        reason:
          description: What is missing or wrong; null if nothing is.
          type: str
          sample: null
        replicas:
          description: Replicas of each feed on this cluster, with the strategy V(Dividing).
          type: dict
          sample: {apps/v1/Deployment/bar/my-nginx: 2}
        objects:
          description: The native objects on this cluster, as they were rendered for it.
          type: list
          elements: dict
          contains:
            api_version:
              description: API group and version.
              type: str
              sample: apps/v1
            kind:
              description: Kind.
              type: str
              sample: Deployment
            namespace:
              description: Namespace; null for kinds that have none.
              type: str
              sample: foo
            name:
              description: Name.
              type: str
              sample: my-nginx
            available:
              description: Whether it is available; null as long as it isn't deployed.
              type: bool
              sample: true
            reason:
              description: Why it isn't available.
              type: str
              sample: null
            status:
              description: Its status, as the cluster's agent has observed it.
              type: dict
              sample: {availableReplicas: 3}
        releases:
          description: The Helm releases on this cluster.
          type: list
          elements: dict
          contains:
            name:
              description: Name of the release.
              type: str
              sample: mysql
            target_namespace:
              description: Namespace of the release.
              type: str
              sample: abc
            chart:
              description: Name of the chart.
              type: str
              sample: mysql
            version:
              description: Version of the chart.
              type: str
              sample: 9.2.0
            repo:
              description: Repository of the chart.
              type: str
              sample: https://charts.example.com/stable
            phase:
              description: State of the release as Helm calls it, such as V(deployed) or V(failed).
              type: str
              sample: deployed
            revision:
              description: Counts the installations and upgrades.
              type: int
              sample: 1
            reason:
              description: What is wrong; null when it is deployed.
              type: str
              sample: null
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "NoParent", "message": "This cluster doesn't serve Subscriptions", "details": {}}
"""

from ansible_collections.clusternet.core.plugins.module_utils import publication, publications
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS, connection_settings
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.hidden_statuses import HiddenStatuses
from ansible_collections.clusternet.core.plugins.module_utils.report import report


def main():
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            "names": {"type": "list", "elements": "str"},
            "label_selector": {"type": "str"},
            "namespace": {"type": "str"},
        },
        supports_check_mode=True,
    )
    with report(module) as doing:
        chosen = publications.selection(module.params)
        found = publications.publications(doing.connect(), chosen)
        hidden = HiddenStatuses(doing.connect(), connection_settings(module.params))
        doing.result["subscriptions"] = [publication.view(hidden.completed(item)) for item in found]


if __name__ == "__main__":
    main()
