#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: child_object
short_description: Apply, create, patch or remove objects on one or many children
version_added: 0.3.0
description:
  - Does the same with a list of native objects on each of the chosen clusters, in one task, through the parent.
  - The clusters are handled several at a time; on each, objects are written in the order in which they depend on each
    other - namespaces, custom resource definitions, RBAC, and so on - and removed in the reverse order.
  - What fails on one cluster keeps neither the others nor what was done before from being reported.
  - To keep objects on clusters for ever, and on those that register later, publish them instead
    (M(clusternet.core.manifest), M(clusternet.core.subscription)).
options:
  definitions:
    description:
      - The objects, each with C(apiVersion), C(kind) and C(metadata.name), and with C(metadata.namespace) if its
        kind has namespaces and O(default_namespace) isn't to be its own.
      - A text is YAML or JSON with any number of objects, such as a lookup of a template returns.
      - An object of kind C(List) stands for its items.
      - The data of Secrets is shown neither in the output nor in diffs.
    type: list
    elements: raw
    default: []
  src:
    description:
      - Paths of YAML or JSON files with further objects, on the host on which the module runs. A file may hold
        several documents.
      - Needs PyYAML on that host for anything but JSON.
    type: list
    elements: path
    default: []
  default_namespace:
    description:
      - The namespace of objects that name none, of O(definitions) and O(src) alike, as C(kubectl -n) gives it.
      - An object that names a namespace keeps it, even another one - where C(kubectl -n) refuses it and kustomize
        replaces it. Kinds that have no namespaces get none; the cluster says which those are, or a custom
        resource definition that is given, too.
      - Only the objects themselves are put there. What refers to a namespace inside of them stays as it is, and the
        namespace isn't made; give it as an object of its own where it may be missing.
      - O(namespace) is something else, a choice of clusters.
    type: str
    version_added: 0.6.0
  state:
    description:
      - With V(present), apply the objects server-side with the field manager C(clusternet.core), so that they have the
        fields given here. Fields that somebody else has changed are taken back; others are left alone.
      - With V(created), create those that don't exist and leave the others as they are.
      - With V(patched), merge what is given into objects that exist; null removes a field. An object that doesn't exist
        is an error.
      - With V(absent), remove them. An object or a kind that isn't there is fine. Only what names an object is read.
    type: str
    choices: [present, created, patched, absent]
    default: present
  wait:
    description:
      - Wait until namespaces are active, and APIServices and workloads available; with O(state=absent), until the
        objects are gone.
      - It is always waited for custom resource definitions to be served, because objects of their kind may follow.
    type: bool
    default: false
  wait_timeout:
    description: How long to wait at most on a cluster, in seconds.
    type: int
    default: 120
notes:
  - In check mode each cluster judges the objects by a dry run. Objects whose namespace or kind doesn't exist yet are
    predicted to be created, without asking.
attributes:
  check_mode:
    description: Can run in check mode and say what would change.
    support: full
  diff_mode:
    description: Shows what changed on which cluster. Contents of Secrets are replaced by digests.
    support: full
seealso:
  - module: clusternet.core.child_object_info
  - module: clusternet.core.objects
extends_documentation_fragment:
  - clusternet.core.children
  - kubernetes.core.k8s_auth_options
author:
  - The clusternet.core authors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Put a namespace and a ConfigMap onto every cluster of a region
  clusternet.core.child_object:
    label_selector: region=north
    definitions:
      - apiVersion: v1
        kind: Namespace
        metadata: {name: team-blue}
      - apiVersion: v1
        kind: ConfigMap
        metadata: {name: settings, namespace: team-blue}
        data: {colour: blue}
    wait: true

- name: Scale a Deployment on two clusters
  clusternet.core.child_object:
    names: [edge-1, edge-2]
    state: patched
    definitions:
      - apiVersion: apps/v1
        kind: Deployment
        metadata: {name: my-nginx, namespace: foo}
        spec: {replicas: 2}

- name: Remove the namespace again, as a ServiceAccount that may do so
  clusternet.core.child_object:
    label_selector: region=north
    service_account: {name: cleaner, namespace: kube-system}
    definitions:
      - {apiVersion: v1, kind: Namespace, metadata: {name: team-blue}}
    state: absent
    wait: true
"""

RETURN = r"""
clusters:
  description: What became of the objects on each cluster, by namespace and name of the clusters.
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
    changed:
      description: Whether anything changed there.
      type: bool
      sample: true
    failed:
      description: Whether something went wrong there; what was done before stands in V(objects).
      type: bool
      sample: false
    msg:
      description: What went wrong, or a note when kinds to remove objects of don't exist there; else null.
      type: str
      sample: null
    objects:
      description: What became of each object, in the order in which they were handled.
      type: list
      elements: dict
      contains:
        api_version:
          description: API group and version.
          type: str
          sample: v1
        kind:
          description: Kind.
          type: str
          sample: ConfigMap
        namespace:
          description: Namespace; null for kinds that have none.
          type: str
          sample: team-blue
        name:
          description: Name.
          type: str
          sample: settings
        action:
          description: One of V(created), V(updated), V(deleted), V(unchanged).
          type: str
          sample: created
        predicted:
          description: Whether this is a prediction that the cluster couldn't check, because the namespace or the kind
            doesn't exist yet.
          type: bool
          sample: false
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

from ansible_collections.clusternet.core.plugins.module_utils import definitions, objects, validate
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.children import CHILDREN_ARGUMENTS, WHICH, Children
from ansible_collections.clusternet.core.plugins.module_utils.object_namespaces import default_namespace
from ansible_collections.clusternet.core.plugins.module_utils.private_module import PrivateModule
from ansible_collections.clusternet.core.plugins.module_utils.report import report
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline


def main():
    module = PrivateModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            **CHILDREN_ARGUMENTS,
            "definitions": {"type": "list", "elements": "raw", "default": []},
            "src": {"type": "list", "elements": "path", "default": []},
            "default_namespace": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "created", "patched", "absent"], "default": "present"},
            "wait": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 120},
        },
        required_one_of=[("definitions", "src"), WHICH],
        supports_check_mode=True,
    )
    params = module.params
    with report(module) as doing:
        timeout = validate.wait_timeout("wait_timeout", params["wait_timeout"])
        namespace = default_namespace("default_namespace", params["default_namespace"])
        wanted = definitions.ordered(definitions.all_of(params["definitions"], params["src"]), namespace)
        module.conceal(wanted)

        def bring(reconciler, item):
            work = objects.Work(reconciler, wanted, item, Deadline(timeout), namespace)
            write = {"present": work.apply, "created": work.create, "patched": work.patch, "absent": work.remove}
            write[params["state"]](params["wait"])

        Children(doing, params, module.check_mode).each(bring, changed=False, objects=[])


if __name__ == "__main__":
    main()
