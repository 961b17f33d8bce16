#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: objects
short_description: Apply or remove many Kubernetes objects of one cluster
version_added: 0.1.0
description:
  - Brings a whole list of objects into a cluster, or removes it, in one task over one connection.
  - Objects are applied server-side with the field manager C(clusternet.core), in the order in which they depend on
    each other -
    namespaces, custom resource definitions, RBAC, and so on - and removed in the reverse order.
  - An object that already is as wanted costs one request and no write. Fields that somebody else has changed are
    taken back;
    fields that are not in the definition are left alone.
  - Unknown or misspelt fields are an error.
options:
  definitions:
    description:
      - The objects, each with C(apiVersion), C(kind) and C(metadata.name), and with C(metadata.namespace) if its
        kind has namespaces and O(namespace) isn't to be its own.
      - An object of kind C(List) stands for its items.
      - The data of Secrets is shown neither in the output nor in diffs.
    type: list
    elements: dict
    default: []
  src:
    description:
      - Paths of YAML or JSON files with further objects, on the host on which the module runs. A file may hold
        several documents.
      - Needs PyYAML on that host for anything but JSON.
    type: list
    elements: path
    default: []
  namespace:
    description:
      - The namespace of objects that name none, of O(definitions) and O(src) alike, as C(kubectl -n) gives it.
      - An object that names a namespace keeps it, even another one - where C(kubectl -n) refuses it and kustomize
        replaces it. Kinds that have no namespaces get none; the cluster says which those are, or a custom
        resource definition that is given, too.
      - Only the objects themselves are put there. What refers to a namespace inside of them stays as it is, and the
        namespace isn't made; give it as an object of its own where it may be missing.
    type: str
    version_added: 0.6.0
  state:
    description:
      - With V(present), create and change the objects so that they have the fields given here.
      - With V(absent), remove them. An object or a kind that isn't there is fine. Only what names an object is read.
    type: str
    choices: [present, absent]
    default: present
  keep_used_namespaces:
    description:
      - With O(state=absent), leave a namespace alone in which somebody else lives, that is, where there are other
        Secrets, ServiceAccounts, ConfigMaps, Services, workloads or PersistentVolumeClaims than those given here.
        RV(msg) says so.
    type: bool
    default: false
    version_added: 0.3.0
  wait:
    description:
      - With O(state=present), wait until namespaces are active, and APIServices and workloads available.
      - With O(state=absent), wait until the objects are gone.
      - It is always waited for custom resource definitions to be served, because objects of their kind may follow.
    type: bool
    default: false
  wait_timeout:
    description: How long to wait at most for all objects together, in seconds.
    type: int
    default: 120
notes:
  - In check mode the server judges each object by a dry run. Objects whose namespace or kind doesn't exist yet are
    predicted to be
    created, without asking the server.
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
- name: Put a namespace and a ConfigMap into the cluster
  clusternet.core.objects:
    definitions:
      - apiVersion: v1
        kind: Namespace
        metadata:
          name: team-blue
      - apiVersion: v1
        kind: ConfigMap
        metadata:
          name: settings
          namespace: team-blue
        data:
          colour: blue
    wait: true

- name: Remove them again and wait until they are gone
  clusternet.core.objects:
    definitions:
      - apiVersion: v1
        kind: Namespace
        metadata:
          name: team-blue
    state: absent
    wait: true
"""

RETURN = r"""
objects:
  description: What became of each object, in the order in which they were handled.
  returned: always
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
      description: Whether this is a prediction that the server couldn't check, because the namespace or the kind
        doesn't exist yet.
      type: bool
      sample: false
msg:
  description: A note, when kinds to remove objects of don't exist in the cluster or a namespace stays; what went
    wrong, when the module fails.
  returned: when there is something to say
  type: str
  sample: The cluster doesn't serve clusters.clusternet.io/v1beta1 ManagedCluster; there is nothing to remove.
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "InvalidOption", "message": "definitions is wrong", "details": {"option": "definitions"}}
"""

from ansible_collections.clusternet.core.plugins.module_utils import definitions, objects, validate
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.object_namespaces import default_namespace
from ansible_collections.clusternet.core.plugins.module_utils.private_module import PrivateModule
from ansible_collections.clusternet.core.plugins.module_utils.report import report
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline


def main():
    module = PrivateModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            "definitions": {"type": "list", "elements": "dict", "default": []},
            "src": {"type": "list", "elements": "path", "default": []},
            "namespace": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "keep_used_namespaces": {"type": "bool", "default": False},
            "wait": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 120},
        },
        required_one_of=[("definitions", "src")],
        supports_check_mode=True,
    )
    with report(module) as doing:
        deadline = Deadline(validate.wait_timeout("wait_timeout", module.params["wait_timeout"]))
        namespace = default_namespace("namespace", module.params["namespace"])
        wanted = definitions.prepare("definitions", module.params["definitions"])
        wanted += definitions.prepare("src", definitions.from_files("src", module.params["src"]))
        module.conceal(wanted)
        wanted = definitions.ordered(wanted, namespace)
        work = objects.Work(doing.reconciler(), wanted, doing.result, deadline, namespace)
        if module.params["state"] == "present":
            work.apply(module.params["wait"])
        else:
            work.remove(module.params["wait"], module.params["keep_used_namespaces"])


if __name__ == "__main__":
    main()
