#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: child_object_info
short_description: Read objects of one or many children
version_added: 0.3.0
description:
  - Reads native objects, by name or as lists, from each of the chosen clusters, in one task, through the parent.
  - The clusters are asked several at a time. What fails on one of them doesn't keep the others from being reported.
options:
  objects:
    description: What is to be read.
    type: list
    elements: dict
    required: true
    suboptions:
      api_version:
        description: API group and version.
        type: str
        default: v1
      kind:
        description: Kind.
        type: str
        required: true
      name:
        description: Only the object with this name. If there is none, that is no error.
        type: str
      namespace:
        description: Only objects in this namespace; needed with C(name) if the kind has namespaces.
        type: str
      label_selector:
        description: Only objects whose labels match, in the form of C(kubectl -l).
        type: str
      field_selector:
        description: Only objects whose fields match, in the form of C(kubectl --field-selector).
        type: str
  show_values:
    description:
      - Show the contents of Secrets. By default only their keys are shown, and digests in the place of the values.
        Equal values have equal digests, in one run.
      - What is shown stands in logs, too, unless the task has C(no_log).
    type: bool
    default: false
attributes:
  check_mode:
    description: Only reads, in check mode too.
    support: full
  diff_mode:
    description: There is nothing to show, because nothing changes.
    support: none
seealso:
  - module: clusternet.core.child_object
  - plugin: clusternet.core.child
    plugin_type: lookup
extends_documentation_fragment:
  - clusternet.core.children
  - kubernetes.core.k8s_auth_options
author:
  - The clusternet.core authors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Look at an application on every cluster of a region
  clusternet.core.child_object_info:
    label_selector: region=north
    objects:
      - {api_version: apps/v1, kind: Deployment, namespace: foo, name: my-nginx}
      - {kind: Pod, namespace: foo, label_selector: app=nginx}
  register: application

- name: Which nodes do two clusters have
  clusternet.core.child_object_info:
    names: [edge-1, edge-2]
    objects:
      - kind: Node
"""

RETURN = r"""
clusters:
  description: What was found on each cluster, by namespace and name of the clusters.
  returned: when the clusters could be read
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
    failed:
      description: Whether something went wrong there.
      type: bool
      sample: false
    msg:
      description: What went wrong; else null.
      type: str
      sample: null
    objects:
      description: The objects, in the order of what was asked for, without C(managedFields).
      type: list
      elements: dict
      sample: [{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: default}}]
    unknown_kinds:
      description: The kinds asked for that the cluster doesn't serve.
      type: list
      elements: str
      sample: [example.com/v1 Widget]
msg:
  description: A note when no cluster was chosen; what went wrong, when the module fails.
  returned: when there is something to say
  type: str
  sample: There is no such cluster.
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "SomeFailed", "message": "1 of 2 clusters failed", "details": {"names": ["edge-2"]}}
"""

from ansible_collections.clusternet.core.plugins.module_utils import child_queries
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.children import CHILDREN_ARGUMENTS, WHICH, Children
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.private_module import SHOW_VALUES
from ansible_collections.clusternet.core.plugins.module_utils.redact import Redactor
from ansible_collections.clusternet.core.plugins.module_utils.report import report


def main():
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            **SHOW_VALUES,
            **CHILDREN_ARGUMENTS,
            "objects": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "api_version": {"type": "str", "default": "v1"},
                    "kind": {"type": "str", "required": True},
                    "name": {"type": "str"},
                    "namespace": {"type": "str"},
                    "label_selector": {"type": "str"},
                    "field_selector": {"type": "str"},
                },
            },
        },
        required_one_of=[WHICH],
        supports_check_mode=True,
    )
    with report(module) as doing:
        queries = [child_queries.query("objects", item) for item in module.params["objects"]]

        redactor = Redactor()

        def read(reconciler, item):
            objects, item["unknown_kinds"] = child_queries.read(reconciler.client, queries)
            item["objects"] = objects if module.params["show_values"] else redactor.hide(objects)

        Children(doing, module.params, module.check_mode).each(read, objects=[], unknown_kinds=[])


if __name__ == "__main__":
    main()
