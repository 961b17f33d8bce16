#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: manifest
short_description: Keep native objects at the parent to be published
version_added: 0.2.0
description:
  - Puts native objects into the shadow API of a Clusternet parent, changes and removes them there, many in one task
    over one connection. They are kept as Manifests; nothing of them runs on the parent.
  - M(clusternet.core.subscription) publishes them to clusters.
  - Fields that somebody else has changed are taken back, fields that are no longer given are removed, and fields that
    are not in the definition are left alone, as C(kubectl apply) does.
options:
  definitions:
    description:
      - The objects, each with C(apiVersion), C(kind) and C(metadata.name), and with C(metadata.namespace) if its
        kind has namespaces and O(namespace) isn't to be its own.
      - A text is YAML or JSON with any number of objects, such as a lookup of a template or of a kustomization returns.
      - An object of kind C(List) stands for its items.
      - The parent has to know the kind.
      - The data of Secrets is shown neither in the output nor in diffs.
    type: list
    elements: raw
    default: []
  src:
    description:
      - Paths of YAML or JSON files with further objects, on the host on which the module runs. A file may hold
        several documents.
      - Needs PyYAML on that host for anything but JSON, as texts in O(definitions) do.
    type: list
    elements: path
    default: []
  namespace:
    description:
      - The namespace of objects that name none, of O(definitions) and O(src) alike, as C(kubectl -n) gives it.
      - An object that names a namespace keeps it, even another one - where C(kubectl -n) refuses it and kustomize
        replaces it. Kinds that have no namespaces get none; the parent says which those are.
      - Only the objects themselves are put there. What refers to a namespace inside of them stays as it is, and the
        namespace isn't made; give it as an object of its own where it may be missing.
      - It is the namespace by which feeds of M(clusternet.core.subscription) name these objects.
    type: str
    version_added: 0.6.0
  state:
    description:
      - With V(present), the objects are kept as they are given.
      - With V(absent), they are removed. Only what names an object is read. An object that a Subscription still
        publishes goes when the Subscription no longer does.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description:
      - With O(state=absent), wait until the objects are gone.
      - One that a Subscription still publishes fails before the time is over, with the Subscription's name.
    type: bool
    default: false
  wait_timeout:
    description: How long to wait at most for all objects together, in seconds.
    type: int
    default: 120
attributes:
  check_mode:
    description:
      - Can run in check mode and say what would change.
      - The parent isn't asked to judge the objects, because Clusternet's own hub writes in dry runs, too.
    support: full
  diff_mode:
    description:
      - Shows what changed; also on the clusters, where the package C(clusternet-engine) is installed. Contents of
        Secrets are replaced by digests.
    support: full
seealso:
  - module: clusternet.core.subscription
  - module: clusternet.core.helm_chart
  - module: clusternet.core.render
extends_documentation_fragment:
  - clusternet.core.publishing.show_values
  - kubernetes.core.k8s_auth_options
author:
  - The clusternet.core authors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Keep a namespace and a Deployment to be published
  clusternet.core.manifest:
    definitions:
      - apiVersion: v1
        kind: Namespace
        metadata:
          name: foo
      - apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: my-nginx
          namespace: foo
        spec:
          replicas: 3
          selector:
            matchLabels: {app: nginx}
          template:
            metadata:
              labels: {app: nginx}
            spec:
              containers:
                - name: nginx
                  image: nginx:1.14.2

- name: Keep what a template makes, and what is in a file
  clusternet.core.manifest:
    definitions:
      - "{{ lookup('ansible.builtin.template', 'application.yml.j2') }}"
    src:
      - /srv/application/service.yml

- name: Keep what kustomize makes
  clusternet.core.manifest:
    definitions:
      - "{{ lookup('kubernetes.core.kustomize', dir='/srv/application/overlays/edge') }}"

- name: Keep what a file holds whose objects name no namespace, as kubectl -n foo would apply it
  clusternet.core.manifest:
    src:
      - /srv/application/guestbook.yml
    namespace: foo

- name: Remove a Deployment and wait until it is gone
  clusternet.core.manifest:
    definitions:
      - apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: my-nginx
          namespace: foo
    state: absent
    wait: true
"""

RETURN = r"""
objects:
  description: What became of each object, in the order given.
  returned: always
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
    action:
      description: One of V(created), V(updated), V(deleted), V(unchanged).
      type: str
      sample: created
    predicted:
      description: Whether this is a prediction that the server didn't check.
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
msg:
  description: What went wrong.
  returned: failure
  type: str
  sample: "1 of 2 objects failed: foo/my-nginx: it is invalid"
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "SomeFailed", "message": "1 of 2 objects failed", "details": {"names": ["my-nginx"]}}
"""

from ansible_collections.clusternet.core.plugins.module_utils import definitions, manifests, validate
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.custom_objects import Items
from ansible_collections.clusternet.core.plugins.module_utils.foresight import foresight
from ansible_collections.clusternet.core.plugins.module_utils.object_namespaces import default_namespace
from ansible_collections.clusternet.core.plugins.module_utils.private_module import SHOW_VALUES, PrivateModule
from ansible_collections.clusternet.core.plugins.module_utils.report import report
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline


def main():
    module = PrivateModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            **SHOW_VALUES,
            "definitions": {"type": "list", "elements": "raw", "default": []},
            "src": {"type": "list", "elements": "path", "default": []},
            "namespace": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "wait": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 120},
        },
        required_one_of=[("definitions", "src")],
        supports_check_mode=True,
    )
    with report(module) as doing:
        deadline = Deadline(validate.wait_timeout("wait_timeout", module.params["wait_timeout"]))
        namespace = default_namespace("namespace", module.params["namespace"])
        wanted = definitions.all_of(module.params["definitions"], module.params["src"])
        module.conceal(wanted)
        manifests.check("definitions", wanted, namespace)
        items = Items(doing.result, "objects", "objects")
        work = manifests.Work(doing.reconciler(), items, foresight(module, "definitions"), namespace)
        if module.params["state"] == "present":
            work.present(wanted)
        else:
            work.absent(wanted, deadline if module.params["wait"] else None)
        items.finish()


if __name__ == "__main__":
    main()
