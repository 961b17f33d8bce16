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
    description: The Localizations.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name.
        type: str
        required: true
      cluster:
        description:
          - Name of the cluster. Either this or C(namespace) is required.
          - With O(state=absent), a cluster that is no longer registered is fine.
        type: str
      namespace:
        description: The cluster's namespace on the parent.
        type: str
      labels:
        description: Labels that it has. A label with the value null is removed.
        type: dict
      annotations:
        description: Annotations that it has. An annotation with the value null is removed.
        type: dict
      override_policy:
        description:
          - With V(ApplyNow), the clusters are changed at once.
          - With V(ApplyLater), when what is published changes for another reason. That is the default of the API.
        type: str
        choices: [ApplyNow, ApplyLater]
        default: ApplyNow
      priority:
        description: From 0 to 1000; of two that set the same field, the one with the higher number wins.
        type: int
        default: 500
      feed:
        description: What is overridden. Needed with O(state=present).
        type: dict
        suboptions:
          api_version:
            description: API group and version; not needed for HelmCharts.
            type: str
          kind:
            description: Kind.
            type: str
            required: true
          namespace:
            description: Namespace; not for kinds that have none.
            type: str
          name:
            description: Name.
            type: str
            required: true
      overrides:
        description: The differences, applied in this order.
        type: list
        elements: dict
        suboptions:
          name:
            description: A name for people.
            type: str
          type:
            description:
              - V(Helm) - for charts, values. For native objects, merged as Helm merges values.
              - V(MergePatch) - a merge patch; null removes a field.
              - V(JSONPatch) - a list of operations of a JSON patch.
              - V(FieldMergePatch), V(FieldJSONPatch) - the same inside of a text field, such as a file in a ConfigMap.
            type: str
            choices: [Helm, JSONPatch, MergePatch, FieldJSONPatch, FieldMergePatch]
            required: true
          value:
            description:
              - The values or the patch - a mapping, for JSON patches a list, or YAML or JSON text.
              - Data is better than text, because it is sent as JSON, which has no surprises such as C(y) for true.
            type: raw
            required: true
          override_chart:
            description: Change the HelmChart, such as its version, not the values. Its type is V(Helm) then.
            type: bool
            default: false
          field_path:
            description: Path to the text field, such as C(/data/server.conf), for the Field types.
            type: str
          field_format:
            description: What the text is, for the Field types.
            type: str
            choices: [YAML, JSON]
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
    description: Shows what changed.
    support: full
seealso:
  - module: clusternet.core.subscription
  - module: clusternet.core.globalization
  - module: clusternet.core.render
extends_documentation_fragment:
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.clusternet.core.plugins.module_utils import custom_objects, overrides
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.cluster_namespaces import located
from ansible_collections.clusternet.core.plugins.module_utils.report import report
from ansible_collections.clusternet.core.plugins.module_utils.resources import LOCALIZATIONS


def main():
    module = AnsibleModule(
        argument_spec={
            **AUTH_ARGUMENTS,
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
        work = custom_objects.Work(doing.reconciler(), LOCALIZATIONS, items)
        if present:
            work.present(overrides.localization("localizations", item) for item in found)
        else:
            work.absent(places)
        for number, item in enumerate(found, start=len(lost)):
            items.items[number]["cluster"] = item["cluster"]
        items.finish()


if __name__ == "__main__":
    main()
