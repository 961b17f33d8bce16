#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: subscription
short_description: Publish applications to many clusters
version_added: 0.2.0
description:
  - Creates, changes and removes Subscriptions at a Clusternet parent, many in one task over one connection.
  - A Subscription says what is published (feeds) and to which clusters (subscribers), and how replicas are shared out.
    Feeds are made by M(clusternet.core.manifest) and M(clusternet.core.helm_chart); differences between clusters by
    M(clusternet.core.localization) and M(clusternet.core.globalization).
  - Can wait until the Subscriptions are scheduled, deployed or healthy, and says which cluster keeps them from it.
  - What is not given has its default. Fields that somebody else has changed are taken back.
options:
  subscriptions:
    required: true
  state:
    description:
      - With V(present), the Subscriptions are as described.
      - With V(absent), they are removed, and what they have published with them. Only C(name) and C(namespace) are
        read.
    type: str
    choices: [present, absent]
    default: present
  wait_for:
    description:
      - What to wait for, if for anything.
      - V(scheduled) - clusters were chosen.
      - V(deployed) - everything is deployed on every chosen cluster.
      - V(healthy) - also, workloads are available there. The feature gate C(Recovery) of the agents reports that.
        Helm releases count when they are deployed; with C(wait) in the HelmChart that means available, too.
      - V(absent) - with O(state=absent), nothing is left on any cluster, as far as it can be reached,
        but what other Subscriptions bring there, too.
      - What stays wrong for some seconds fails before the time is over, with the list of clusters and reasons.
    type: str
    choices: [scheduled, deployed, healthy, absent]
  wait_timeout:
    description: How long to wait at most for all of them together, in seconds.
    type: int
    default: 300
notes:
  - What O(wait_for) judges is what the hub has rendered. A change of the Subscription itself is always waited for, but
    one of a feed or an override, by a task just before, is rendered a moment after that task has ended, so the wait may
    be content with what was deployed before. The change is deployed nevertheless.
attributes:
  check_mode:
    description: Can run in check mode and say what would change.
    support: full
  diff_mode:
    description: Shows what changed; also on the clusters, where the package C(clusternet-engine) is installed.
    support: full
seealso:
  - module: clusternet.core.subscription_info
  - module: clusternet.core.render
extends_documentation_fragment:
  - clusternet.core.publishing.subscriptions
  - clusternet.core.publishing.show_values
  - kubernetes.core.k8s_auth_options
author:
  - The clusternet.core authors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Publish an application to all clusters of a site
  clusternet.core.subscription:
    subscriptions:
      - name: app-demo
        subscribers:
          - cluster_affinity:
              match_labels:
                site: north
        feeds:
          - kind: HelmChart
            namespace: default
            name: mysql
          - api_version: v1
            kind: Namespace
            name: foo
          - api_version: apps/v1
            kind: Deployment
            namespace: foo
            name: my-nginx

- name: Share the replicas of a Deployment out, twice as many for the second site
  clusternet.core.subscription:
    subscriptions:
      - name: static-dividing
        scheduling_strategy: Dividing
        subscribers:
          - cluster_affinity:
              match_labels:
                site: north
            weight: 1
          - cluster_affinity:
              match_expressions:
                - key: site
                  operator: In
                  values: [south]
            weight: 2
        feeds:
          - api_version: apps/v1
            kind: Deployment
            namespace: bar
            name: my-nginx

- name: Remove an application and wait until it is gone everywhere
  clusternet.core.subscription:
    subscriptions:
      - name: app-demo
    state: absent
    wait_for: absent
"""

RETURN = r"""
subscriptions:
  description: What became of each Subscription, in the order given.
  returned: always
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
    action:
      description: One of V(created), V(updated), V(deleted), V(unchanged).
      type: str
      sample: created
    predicted:
      description: Whether this is a prediction that the server couldn't check, because the namespace doesn't exist yet.
      type: bool
      sample: false
    failed:
      description: Whether something went wrong with it.
      type: bool
      sample: false
    msg:
      description: What went wrong; null if nothing did.
      type: str
      sample: null
    clusters:
      description: Names of the clusters that were chosen, when it was waited for.
      type: list
      elements: str
      sample: [edge-1, edge-2]
    problems:
      description: What is missing or wrong, when it was waited for.
      type: list
      elements: dict
      contains:
        cluster:
          description: The cluster; null when it is a matter of the parent.
          type: str
          sample: edge-2
        reason:
          description: What is missing or wrong.
          type: str
          sample: 'namespaces "foo" not found'
        failed:
          description: Whether it has failed, and isn't only under way.
          type: bool
          sample: true
msg:
  description: What went wrong.
  returned: failure
  type: str
  sample: '1 of 1 subscriptions failed: default/app-demo: edge-2: namespaces "foo" not found'
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "SomeFailed", "message": "1 of 1 subscriptions failed", "details": {"names": ["app-demo"]}}
"""

from ansible_collections.clusternet.core.plugins.module_utils import custom_objects, subscription, validate
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS, connection_settings
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.foresight import foresight
from ansible_collections.clusternet.core.plugins.module_utils.private_module import SHOW_VALUES
from ansible_collections.clusternet.core.plugins.module_utils.report import report
from ansible_collections.clusternet.core.plugins.module_utils.resources import SUBSCRIPTIONS
from ansible_collections.clusternet.core.plugins.module_utils.subscription_wait import SubscriptionWait
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline


def main():
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            **SHOW_VALUES,
            "subscriptions": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": subscription.SUBSCRIPTION_ARGUMENTS,
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "wait_for": {"type": "str", "choices": ["scheduled", "deployed", "healthy", "absent"]},
            "wait_timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    params = module.params
    absent, wait_for = params["state"] == "absent", params["wait_for"]
    with report(module) as doing:
        if wait_for and (wait_for == "absent") != absent:
            raise validate.invalid("wait_for", f"{wait_for} doesn't go with the state {params['state']}")
        places = custom_objects.places(SUBSCRIPTIONS, "subscriptions", params["subscriptions"])
        deadline = Deadline(validate.wait_timeout("wait_timeout", params["wait_timeout"]))
        items = custom_objects.Items(doing.result, "subscriptions", "subscriptions", clusters=[], problems=[])
        work = custom_objects.Work(doing.reconciler(), SUBSCRIPTIONS, items, foresight(module, "subscriptions"))
        if absent:
            done = work.absent(places)
        else:
            wanted = [subscription.subscription("subscriptions", given) for given in params["subscriptions"]]
            done = work.present(wanted)
        if wait_for and not module.check_mode:
            waiting = SubscriptionWait(doing.connect(), connection_settings(params), items, done, deadline)
            if absent:
                waiting.until_gone()
            else:
                waiting.until(wait_for)
        items.finish()


if __name__ == "__main__":
    main()
