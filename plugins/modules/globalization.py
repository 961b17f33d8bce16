#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: globalization
short_description: Set what is different on many clusters
version_added: 0.2.0
description:
  - Creates, changes and removes Globalizations at a Clusternet parent, many in one task over one connection.
  - A Globalization changes a published object, or the values of a published chart, on all clusters or on those with
    certain labels. M(clusternet.core.localization) does that for one cluster, and wins.
  - What is not given has its default. Fields that somebody else has changed are taken back.
options:
  globalizations:
    description: The Globalizations.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name.
        type: str
        required: true
      cluster_affinity:
        description: The labels of the clusters; all clusters if not given.
        type: dict
        suboptions:
          match_labels:
            description: Labels that a cluster has.
            type: dict
          match_expressions:
            description: Conditions that all hold.
            type: list
            elements: dict
            suboptions:
              key:
                description: Key of the label.
                type: str
                required: true
              operator:
                description: What is compared.
                type: str
                choices: [In, NotIn, Exists, DoesNotExist]
                required: true
              values:
                description: Values, for V(In) and V(NotIn).
                type: list
                elements: str
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
  - module: clusternet.core.localization
  - module: clusternet.core.render
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
author:
  - The clusternet.core authors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Label a Deployment on the clusters of a site, and change a file in a ConfigMap there
  clusternet.core.globalization:
    globalizations:
      - name: nginx-north
        cluster_affinity:
          match_labels:
            site: north
        feed:
          api_version: apps/v1
          kind: Deployment
          namespace: foo
          name: my-nginx
        overrides:
          - name: a label
            type: MergePatch
            value:
              metadata:
                labels:
                  site: north
      - name: settings-north
        priority: 600
        cluster_affinity:
          match_expressions:
            - key: site
              operator: In
              values: [north]
        feed:
          api_version: v1
          kind: ConfigMap
          namespace: foo
          name: settings
        overrides:
          - type: FieldMergePatch
            field_path: /data/server.conf
            field_format: JSON
            value:
              region_id: north-1

- name: Remove one of them
  clusternet.core.globalization:
    globalizations:
      - name: settings-north
    state: absent
"""

RETURN = r"""
globalizations:
  description: What became of each Globalization.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: nginx-north
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
  sample: 1 of 2 globalizations failed
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "SomeFailed", "message": "1 of 2 globalizations failed", "details": {}}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.clusternet.core.plugins.module_utils import custom_objects, overrides
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.report import report
from ansible_collections.clusternet.core.plugins.module_utils.resources import GLOBALIZATIONS


def main():
    module = AnsibleModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            "globalizations": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": overrides.GLOBALIZATION_ARGUMENTS,
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    given = module.params["globalizations"]
    with report(module) as doing:
        places = custom_objects.places(GLOBALIZATIONS, "globalizations", given)
        items = custom_objects.Items(doing.result, "globalizations", "globalizations")
        if module.params["state"] == "present":
            wanted = [overrides.globalization("globalizations", item) for item in given]
            custom_objects.Work(doing.reconciler(), GLOBALIZATIONS, items).present(wanted)
        else:
            custom_objects.Work(doing.reconciler(), GLOBALIZATIONS, items).absent(places)
        items.finish()


if __name__ == "__main__":
    main()
