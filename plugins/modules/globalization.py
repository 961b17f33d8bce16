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
  - module: clusternet.core.localization
  - module: clusternet.core.render
extends_documentation_fragment:
  - clusternet.core.publishing.globalizations
  - clusternet.core.publishing.show_values
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

from ansible_collections.clusternet.core.plugins.module_utils import custom_objects, overrides
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.foresight import foresight
from ansible_collections.clusternet.core.plugins.module_utils.private_module import SHOW_VALUES, PrivateModule
from ansible_collections.clusternet.core.plugins.module_utils.report import report
from ansible_collections.clusternet.core.plugins.module_utils.resources import GLOBALIZATIONS


def main():
    module = PrivateModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            **SHOW_VALUES,
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
        work = custom_objects.Work(doing.reconciler(), GLOBALIZATIONS, items, foresight(module, "globalizations"))
        if module.params["state"] == "present":
            wanted = [overrides.globalization("globalizations", item) for item in given]
            work.present(wanted)
        else:
            work.absent(places)
        items.finish()


if __name__ == "__main__":
    main()
