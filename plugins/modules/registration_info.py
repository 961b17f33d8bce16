#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registration_info
short_description: List registration requests at a Clusternet parent and say which are stuck and why
version_added: 0.1.0
description:
  - Lists ClusterRegistrationRequests. For each it says at which step the registration stands still, and why, as far
    as the parent knows.
  - Credentials in the requests are never returned.
options:
  cluster_ids:
    description: Only requests of clusters with these identities.
    type: list
    elements: str
  cluster_names:
    description: Only requests of clusters with these names.
    type: list
    elements: str
  label_selector:
    description: Only requests whose labels match, in the form of C(kubectl -l).
    type: str
  waiting:
    description: With V(true) only requests that wait for an administrator, with V(false) only others.
    type: bool
    version_added: 0.4.0
  stuck:
    description: With V(true) only requests that are stuck, with V(false) only those of ready clusters.
    type: bool
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
- name: List all requests
  clusternet.core.registration_info:
  register: all_requests

- name: See what holds up the registration of a cluster
  clusternet.core.registration_info:
    cluster_names: [edge-7]
    stuck: true
  register: held_up

- name: Show it
  ansible.builtin.debug:
    msg: "{{ held_up.requests | map(attribute='explanation') }}"
"""

RETURN = r"""
requests:
  description: The requests, ordered by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the request.
      type: str
      sample: clusternet-5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21
    cluster_id:
      description: Identity of the cluster.
      type: str
      sample: 5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21
    cluster_name:
      description: Name wanted for the ManagedCluster.
      type: str
      sample: edge-7
    cluster_namespace:
      description: Namespace wanted for the cluster; null when the parent may choose.
      type: str
      sample: null
    cluster_type:
      description: Sort of the cluster.
      type: str
      sample: StandardCluster
    cluster_labels:
      description: Labels wanted for the ManagedCluster.
      type: dict
      sample: {region: north}
    sync_mode:
      description: How objects reach the cluster.
      type: str
      sample: Dual
    created_at:
      description: When the request was created; null in check mode.
      type: str
      sample: "2026-11-23T10:00:00Z"
    result:
      description: The parent's answer, V(Approved) or V(Denied); null before it has answered.
      type: str
      sample: Approved
    error_message:
      description: Why the request isn't approved.
      type: str
      sample: null
    dedicated_namespace:
      description: Namespace of the cluster on the parent, once approved.
      type: str
      sample: clusternet-x7k2p
    managed_cluster_name:
      description: Name of the ManagedCluster, once approved.
      type: str
      sample: edge-7
    registrant:
      description: The parent's user who posted the request, if it says so.
      type: str
      sample: system:bootstrap:k7d2fq
    waiting_for_approval:
      description: Whether it waits for an administrator, who decides with M(clusternet.core.registration).
      type: bool
      sample: false
    stuck_step:
      description:
        - The step at which the registration stands still. V(identity), the name doesn't fit the cluster's identity;
          V(approval), the
          parent hasn't approved it; V(managed_cluster), the ManagedCluster is gone; V(heartbeat), the agent doesn't
          report;
          V(health), the cluster's API server isn't healthy.
        - Null when the cluster is registered and ready.
      type: str
      sample: heartbeat
    explanation:
      description: Why it stands still and what to do; null when the cluster is registered and ready.
      type: str
      sample: The agent of clusternet-x7k2p/edge-7 has never reported.
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "Forbidden", "message": "not allowed", "details": {"status": 403}}
"""

from ansible_collections.clusternet.core.plugins.module_utils import registration, validate
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.report import report


def main():
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            "cluster_ids": {"type": "list", "elements": "str"},
            "cluster_names": {"type": "list", "elements": "str"},
            "label_selector": {"type": "str"},
            "stuck": {"type": "bool"},
            "waiting": {"type": "bool"},
        },
        supports_check_mode=True,
    )
    params = module.params
    with report(module) as doing:
        ids = [validate.cluster_id("cluster_ids", value) for value in params["cluster_ids"] or ()]
        names = [validate.cluster_name("cluster_names", value) for value in params["cluster_names"] or ()]
        if params["label_selector"]:
            validate.label_selector("label_selector", params["label_selector"])
        client = doing.connect()
        requests = [
            request
            for request in registration.read(client, params["label_selector"])
            if registration.matches(request, ids, names)
            and params["waiting"] in (None, registration.is_waiting(request))
        ]
        views = registration.explained(client, requests)
        stuck = params["stuck"]
        doing.result["requests"] = [
            view for view in views if stuck is None or (view["stuck_step"] is not None) == stuck
        ]


if __name__ == "__main__":
    main()
