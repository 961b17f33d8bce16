#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: localization
short_description: Set what is different on one cluster
version_added: 0.2.0
description:
  - Creates, changes and removes Localizations at a Clusternet parent, many in one task over one connection.
  - A Localization changes a published object, or the values of a published chart, on one cluster. It wins over every
    M(clusternet.core.globalization).
  - What is not given has its default. Fields that somebody else has changed are taken back.
options:
  localizations:
    required: true
  state:
    description:
      - With V(present), they are as described.
      - With V(absent), they are removed; only what names them is read.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Can run in check mode and say what would change.
    support: full
  diff_mode:
    description: Shows what changed; also on the clusters, where the package C(clusternet-engine) is installed.
    support: full
seealso:
  - module: clusternet.core.subscription
  - module: clusternet.core.globalization
  - module: clusternet.core.render
extends_documentation_fragment:
  - clusternet.core.publishing.localizations
  - clusternet.core.publishing.show_values
  - kubernetes.core.k8s_auth_options
author:
  - The clusternet.core authors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Give the clusters different values and replicas
  clusternet.core.localization:
    localizations:
      - name: mysql
        cluster: edge-1
        feed:
          kind: HelmChart
          namespace: default
          name: mysql
        overrides:
          - type: Helm
            value:
              auth:
                database: north
          - type: Helm
            override_chart: true
            value:
              spec:
                version: 9.1.8
      - name: replicas
        cluster: edge-2
        feed:
          api_version: apps/v1
          kind: Deployment
          namespace: foo
          name: my-nginx
        overrides:
          - type: JSONPatch
            value:
              - op: replace
                path: /spec/replicas
                value: 1

- name: Remove one of them
  clusternet.core.localization:
    localizations:
      - name: replicas
        cluster: edge-2
    state: absent
"""

RETURN = r"""
localizations:
  description: What became of each Localization.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: replicas
    namespace:
      description: Namespace of the cluster on the parent; null if there is no such cluster.
      type: str
      sample: clusternet-x7k2p
    cluster:
      description: Name of the cluster, if it was given.
      type: str
      sample: edge-2
    action:
      description: One of V(created), V(updated), V(deleted), V(unchanged).
      type: str
      sample: created
    predicted:
      description: Whether this is a prediction that the server couldn't check, because the kind doesn't exist yet.
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
  sample: 1 of 2 localizations failed
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "SomeFailed", "message": "1 of 2 localizations failed", "details": {}}
"""

from ansible_collections.clusternet.core.plugins.module_utils import custom_objects, overrides
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.cluster_namespaces import located
from ansible_collections.clusternet.core.plugins.module_utils.foresight import foresight
from ansible_collections.clusternet.core.plugins.module_utils.private_module import SHOW_VALUES, PrivateModule
from ansible_collections.clusternet.core.plugins.module_utils.report import report
from ansible_collections.clusternet.core.plugins.module_utils.resources import LOCALIZATIONS


def main():
    module = PrivateModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            **SHOW_VALUES,
            "localizations": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": overrides.LOCALIZATION_ARGUMENTS,
                "required_one_of": [("cluster", "namespace")],
                "mutually_exclusive": [("cluster", "namespace")],
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    given = module.params["localizations"]
    present = module.params["state"] == "present"
    with report(module) as doing:
        if present:
            overrides.check("localizations", given)
        found, lost = located(doing.connect, "localizations", given, present)
        places = custom_objects.places(LOCALIZATIONS, "localizations", found)
        items = custom_objects.Items(doing.result, "localizations", "localizations", cluster=None)
        for item in lost:
            items.add(name=item["name"], namespace=None)["cluster"] = item["cluster"]
        work = custom_objects.Work(doing.reconciler(), LOCALIZATIONS, items, foresight(module, "localizations"))
        if present:
            work.present(overrides.localization("localizations", item) for item in found)
        else:
            work.absent(places)
        for number, item in enumerate(found, start=len(lost)):
            items.items[number]["cluster"] = item["cluster"]
        items.finish()


if __name__ == "__main__":
    main()
