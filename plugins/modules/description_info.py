#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: description_info
short_description: Show what was rendered for each cluster
version_added: 0.2.0
description:
  - Lists Descriptions, in which the hub writes for each cluster just what is to be deployed there - the objects after
    all overrides, and charts with their values - and what came of deploying it.
options:
  names:
    description: Only Descriptions with these names. A name of which there is none is no error.
    type: list
    elements: str
  label_selector:
    description: Only Descriptions whose labels match, in the form of C(kubectl -l).
    type: str
  namespace:
    description: Only Descriptions in this namespace, which is that of one cluster.
    type: str
  subscription_uid:
    description:
      - Only Descriptions of the Subscription with this identity, which M(clusternet.core.subscription_info) returns.
    type: str
  content:
    description:
      - Return also what is deployed.
      - The contents of Secrets are replaced by digests, and unless O(show_values) also the values of charts, and in
        objects what overrides have set. Who may not read Localizations and Globalizations gets digests everywhere.
    type: bool
    default: true
attributes:
  check_mode:
    description: Only reads, in check mode too.
    support: full
  diff_mode:
    description: There is nothing to show, because nothing changes.
    support: none
seealso:
  - module: clusternet.core.subscription_info
extends_documentation_fragment:
  - clusternet.core.publishing.show_values
  - kubernetes.core.k8s_auth_options
author:
  - The clusternet.core authors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: What is deployed to a cluster
  clusternet.core.description_info:
    namespace: clusternet-x7k2p

- name: Which Descriptions have failed, without what is in them
  clusternet.core.description_info:
    content: false
"""

RETURN = r"""
descriptions:
  description: The Descriptions, ordered by namespace and name. Every key is always there.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: app-demo-x7k2p-generic
    namespace:
      description: Namespace, which is that of the cluster on the parent.
      type: str
      sample: clusternet-x7k2p
    cluster:
      description: Name of the cluster.
      type: str
      sample: edge-1
    cluster_id:
      description: Identity of the cluster.
      type: str
      sample: 5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21
    subscription_uid:
      description: Identity of the Subscription.
      type: str
      sample: 0c4a9f0e-9d1c-4f0b-8f5e-b7f2f7f7a001
    deployer:
      description: V(Generic) for native objects, V(Helm) for charts.
      type: str
      sample: Generic
    phase:
      description: What came of deploying it, such as V(Success) or V(Failure); null before.
      type: str
      sample: Success
    reason:
      description: Why it has failed.
      type: str
      sample: null
    conditions:
      description:
        - What else is noteworthy about it. The type in use is V(Contested); its message says which fields of what is
          published others undo, and who.
      type: list
      elements: dict
      sample: []
    generation:
      description: Counts the changes of what is deployed.
      type: int
      sample: 1
    deleting:
      description: Whether it is being removed.
      type: bool
      sample: false
    objects:
      description: The native objects as they are deployed.
      type: list
      elements: dict
      sample: [{apiVersion: v1, kind: Namespace, metadata: {name: foo}}]
    charts:
      description: The charts as they are installed.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the HelmChart.
          type: str
          sample: mysql
        namespace:
          description: Namespace of the HelmChart on the parent.
          type: str
          sample: default
        spec:
          description: Spec of the HelmChart after all overrides.
          type: dict
          sample: {chart: mysql, version: 9.2.0}
        values:
          description: The values, with digests for what isn't a mapping or a list, unless O(show_values). Null if none.
          type: dict
          sample: {auth: {database: "hidden, digest 0123456789abcdef"}}
    malformed:
      description: What of it isn't what it should be, and is left out of C(objects) and C(charts) therefore.
      type: list
      elements: str
      sample: []
    observed:
      description: Status of each object on the cluster, as its agent has observed it.
      type: list
      elements: dict
      sample: [{apiVersion: v1, kind: Namespace, name: foo, observedStatus: {phase: Active}}]
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "NoParent", "message": "This cluster doesn't serve Descriptions", "details": {}}
"""

from ansible_collections.clusternet.core.plugins.module_utils import constants, description, publications
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.private_module import SHOW_VALUES
from ansible_collections.clusternet.core.plugins.module_utils.redact import Redactor
from ansible_collections.clusternet.core.plugins.module_utils.report import report
from ansible_collections.clusternet.core.plugins.module_utils.resources import DESCRIPTIONS


def main():
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            **SHOW_VALUES,
            "names": {"type": "list", "elements": "str"},
            "label_selector": {"type": "str"},
            "namespace": {"type": "str"},
            "subscription_uid": {"type": "str"},
            "content": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    with report(module) as doing:
        chosen = publications.selection(module.params)
        uid = module.params["subscription_uid"]
        if uid:
            selector = ",".join(filter(None, (chosen.label_selector, f"{constants.LABEL_SUBSCRIPTION_UID}={uid}")))
            chosen = chosen._replace(label_selector=selector)
        found = publications.read(doing.connect(), DESCRIPTIONS, chosen)
        content, redactor = module.params["content"], Redactor(show_values=module.params["show_values"])
        hidden = found and content and not redactor.show_values
        shown = description.Shown(redactor, publications.overrides(doing.connect()) if hidden else ())
        doing.result["descriptions"] = [description.view(item, content, shown) for item in found]


if __name__ == "__main__":
    main()
