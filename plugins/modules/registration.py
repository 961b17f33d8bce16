#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registration
short_description: Create, approve, deny or remove the registration request of a cluster at a Clusternet parent
version_added: 0.1.0
description:
  - Creates the ClusterRegistrationRequest that an agent would send, before the agent runs. The parent makes the
    cluster's namespace,
    its ManagedCluster and its credentials then, and an agent with the same identity takes them over.
  - Approves or denies a request that waits for an administrator, or that was decided otherwise before.
  - Removing the request doesn't unregister a cluster. Use M(clusternet.core.managed_cluster) for that. A cluster that
    has lost its credential registers again when its request is removed.
options:
  state:
    description: Whether the request is there.
    type: str
    choices: [present, absent]
    default: present
  cluster_id:
    description: Identity of the cluster, the UID of the agent's Lease. The request is named after it.
    type: str
    required: true
  cluster_name:
    description:
      - Name of the ManagedCluster, at most 30 lower-case letters, digits and dashes.
      - Required with O(state=present), unless O(result) is given; then only an existing request is decided about.
    type: str
  cluster_namespace:
    description: Namespace that the cluster gets on the parent; the parent generates one when it is not given.
    type: str
  cluster_type:
    description: Sort of the cluster.
    type: str
    choices: [StandardCluster, EdgeCluster]
    default: StandardCluster
  cluster_labels:
    description: Labels that the ManagedCluster gets when it is created.
    type: dict
    default: {}
  sync_mode:
    description: How objects reach the cluster. With V(Push) the parent deploys, with V(Pull) the agent, with
      V(Dual) both can.
    type: str
    choices: [Push, Pull, Dual]
    default: Pull
  result:
    description:
      - What an administrator decides about the request. Without it, the hub decides, as its role's variable
        C(clusternet_hub_approval) says.
      - V(approved), the cluster is registered.
      - V(denied), it isn't. If it was, the hub takes its account and rights on the parent away at once; its
        ManagedCluster and namespace stay.
    type: str
    choices: [approved, denied]
    version_added: 0.4.0
  reason:
    description: Why the request is denied; the cluster's agent shows it.
    type: str
    version_added: 0.4.0
  wait:
    description: With O(state=present), wait until the parent has approved the request. A refusal fails at once.
    type: bool
    default: false
  wait_timeout:
    description: How long to wait at most, in seconds.
    type: int
    default: 60
attributes:
  check_mode:
    description: Can run in check mode and say what would change.
    support: full
  diff_mode:
    description: Shows what changed.
    support: full
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
author:
  - The clusternet.core authors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Register a cluster before its agent runs
  clusternet.core.registration:
    cluster_id: 5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21
    cluster_name: edge-7
    cluster_labels:
      region: north
    sync_mode: Dual

- name: Approve a cluster whose request waits
  clusternet.core.registration:
    cluster_id: 5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21
    result: approved

- name: Deny a cluster, or take away what it has on the parent
  clusternet.core.registration:
    cluster_id: 5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21
    result: denied
    reason: the device was stolen

- name: Take the request back
  clusternet.core.registration:
    cluster_id: 5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21
    state: absent
"""

RETURN = r"""
request:
  description: The request as it is now, without the credentials in its status; as it was, with O(state=absent).
    Null if there was none.
  returned: success
  type: dict
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
      description: Whether it waits for an administrator.
      type: bool
      sample: false
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "InvalidOption", "message": "cluster_name is too long", "details": {"option": "cluster_name"}}
"""

from ansible_collections.clusternet.core.plugins.module_utils import registration, validate
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.report import report


def main():
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "cluster_id": {"type": "str", "required": True},
            "cluster_name": {"type": "str"},
            "cluster_namespace": {"type": "str"},
            "cluster_type": {
                "type": "str",
                "choices": ["StandardCluster", "EdgeCluster"],
                "default": "StandardCluster",
            },
            "cluster_labels": {"type": "dict", "default": {}},
            "sync_mode": {"type": "str", "choices": ["Push", "Pull", "Dual"], "default": "Pull"},
            "result": {"type": "str", "choices": ["approved", "denied"]},
            "reason": {"type": "str"},
            "wait": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 60},
        },
        required_if=[("state", "present", ["cluster_name", "result"], True)],
        required_by={"reason": "result"},
        supports_check_mode=True,
    )
    with report(module) as doing:
        params = module.params
        wanted = registration.wanted(params)
        timeout = validate.wait_timeout("wait_timeout", params["wait_timeout"])
        reconciler = doing.reconciler()
        if params["state"] == "absent":
            request, doing.result["changed"] = registration.remove(reconciler, wanted)
        else:
            request, changed = registration.ensure(reconciler, wanted)
            if params["result"]:
                name = wanted["metadata"]["name"]
                request, decided = registration.decide(reconciler, request, name, params["result"], params["reason"])
                changed = changed or decided
            doing.result["changed"] = changed
            if params["wait"] and not module.check_mode:
                request = registration.wait_approved(doing.connect(), request, timeout)
        doing.result["request"] = registration.view(request) if request else None


if __name__ == "__main__":
    main()
