#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: unpublish
short_description: Remove everything that a Clusternet parent publishes
version_added: 0.3.0
description:
  - Removes all Subscriptions of all namespaces and waits until the clusters have removed what they got by them; then
    all Localizations and Globalizations, then all HelmCharts and native objects of the shadow API.
  - Meant for taking a parent down. For single applications there are P(clusternet.core.subscription#module) and the
    modules for feeds and overrides, with O(clusternet.core.subscription#module:state=absent).
options:
  force:
    description:
      - Don't wait for the hub. Everything is removed at once, also what the hub keeps until the clusters are clean,
        and stays in the clusters; RV(left) names it.
      - Meant for a parent whose hub doesn't run any more. A hub that runs might make some of it anew.
    type: bool
    default: false
  wait_timeout:
    description: Without O(force), how long to wait at most for all of it together, in seconds.
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
- name: Take all applications off all clusters
  clusternet.core.unpublish:
    kubeconfig: ~/.kube/parent.yaml

- name: Remove what a hub has left that doesn't run any more
  clusternet.core.unpublish:
    kubeconfig: ~/.kube/parent.yaml
    force: true
  register: unpublished

- name: Show what stays in the clusters
  ansible.builtin.debug:
    var: unpublished.left
"""

RETURN = r"""
removed:
  description: Objects that were removed, in this order, without those that the hub removes after them.
  returned: always
  type: list
  elements: dict
  contains:
    where:
      description: Always V(parent).
      type: str
      sample: parent
    what:
      description: The object.
      type: str
      sample: Subscription default/web
left:
  description: With O(force), what nobody removes from the clusters any more.
  returned: always
  type: list
  elements: dict
  contains:
    where:
      description: Always V(child).
      type: str
      sample: child
    what:
      description: The object or the Helm release, and the namespace of its cluster on the parent.
      type: str
      sample: Deployment web/web through namespace clusternet-x7k2p
msg:
  description: What went wrong, when the module fails.
  returned: failure
  type: str
  sample: "Waiting for every Base to be gone did not happen within 300 seconds: …"
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "Timeout", "message": "…", "details": {"missing": "…"}}
"""

from ansible_collections.clusternet.core.plugins.module_utils import validate
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.report import report
from ansible_collections.clusternet.core.plugins.module_utils.unpublish import Unpublishing
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline


def main():
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            "force": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    with report(module) as doing:
        deadline = Deadline(validate.wait_timeout("wait_timeout", module.params["wait_timeout"]))
        work = Unpublishing(doing.reconciler())
        doing.result.update(removed=work.removed, left=work.left)
        try:
            if module.params["force"]:
                work.give_up()
            else:
                work.run(deadline)
        finally:
            doing.result["changed"] = bool(work.removed)


if __name__ == "__main__":
    main()
