#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hub_info
short_description: Show which hubs, controller managers and schedulers of a Clusternet parent run
version_added: 0.3.0
description:
  - Looks at the Leases by which hubs agree who leads and find each other, and at those of Clusternet's own controller
    manager and scheduler, until each of them was renewed or has run out. That takes a few seconds, and after one was
    killed as long as its Lease lasts.
  - Several hubs that don't find each other, because they run without the feature gate C(SocketConnection), show only
    their leader.
  - The hub of this collection does what Clusternet's own hub, controller manager and scheduler do together. Where
    Clusternet's own run, its hub never leads, and RV(controller_managers) and RV(schedulers) say who works.
options:
  namespace:
    description: Namespace of the Leases.
    type: str
    default: clusternet-system
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
seealso:
  - module: clusternet.core.agent_info
    description: The same for the agent of a child.
"""

EXAMPLES = r"""
- name: Look whether a hub runs
  clusternet.core.hub_info:
    kubeconfig: ~/.kube/parent.yaml
  register: found

- name: Say who leads
  ansible.builtin.debug:
    msg: "{{ found.hubs | selectattr('leads') | map(attribute='identity') | first | default('nobody') }}"

- name: Refuse a parent on which Clusternet's own controller manager works already
  ansible.builtin.assert:
    that: found.controller_managers | length == 0
    fail_msg: "{{ found.controller_managers | map(attribute='identity') | join }} would work on the same objects"
"""

RETURN = r"""
hubs:
  description: The hubs that run.
  returned: success
  type: list
  elements: dict
  contains:
    identity:
      description: Host and process.
      type: str
      sample: hub-1_5e8b6bc8
    leads:
      description: Whether it is the one that works on the parent's objects.
      type: bool
      sample: true
controller_managers:
  description:
    - The controller manager of Clusternet that leads, or the hub that was told to use its Lease
      (C(clusternet-controller-manager)); such a hub stands among RV(hubs), too, if hubs find each other.
    - Others stand by without a Lease, and can't be seen.
  returned: success
  type: list
  elements: dict
  contains:
    identity:
      description: Host and process.
      type: str
      sample: clusternet-controller-manager-6c9d_0b1f4c0e
    leads:
      description: Always true.
      type: bool
      sample: true
  sample: []
schedulers:
  description:
    - The scheduler of Clusternet that leads.
    - Others stand by without a Lease, and can't be seen.
  returned: success
  type: list
  elements: dict
  contains:
    identity:
      description: Host and process.
      type: str
      sample: clusternet-scheduler-7d5f_52a6a4be
    leads:
      description: Always true.
      type: bool
      sample: true
  sample: []
"""

from ansible_collections.clusternet.core.plugins.module_utils import constants, hubs
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.report import report


def main():
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            "namespace": {"type": "str", "default": constants.SYSTEM_NAMESPACE},
        },
        supports_check_mode=True,
    )
    with report(module) as doing:
        doing.result.update(hubs.running(doing.connect(), module.params["namespace"]))


if __name__ == "__main__":
    main()
