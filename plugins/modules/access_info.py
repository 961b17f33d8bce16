#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: access_info
short_description: Say which rights to apply objects are missing
version_added: 0.6.0
author:
  - The clusternet.core authors (!UNKNOWN)
description:
  - Asks the cluster whether the user of the connection may apply the objects that are named, and wait for them, as
    M(clusternet.core.objects) does. Nothing is written.
options:
  definitions:
    description: The objects; of kinds that the cluster doesn't serve yet nothing is said.
    type: list
    elements: dict
    required: true
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    description: Can run in check mode; it changes nothing.
    support: full
  diff_mode:
    description: Returns what was and what will be.
    support: none
seealso:
  - module: clusternet.core.objects
  - module: clusternet.core.host_info
"""

EXAMPLES = r"""
- name: See whether a namespace may be made
  clusternet.core.access_info:
    kubeconfig: ~/.kube/parent
    definitions:
      - {apiVersion: v1, kind: Namespace, metadata: {name: web}}
  register: access

- name: Refuse a user who may not
  ansible.builtin.assert:
    that: access.missing == []
    fail_msg: "{{ access.user }} may not {{ access.missing | join('; ') }}"
"""

RETURN = r"""
missing:
  description: What the user may not do, a phrase each.
  returned: success
  type: list
  elements: str
  sample: ["create, patch namespaces"]
user:
  description: The user, as the cluster knows it; empty if the cluster doesn't tell, or nothing is missing.
  returned: success
  type: str
  sample: jane
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "ConnectionFailed", "message": "Cannot reach the API server", "details": {}}
"""

from ansible_collections.clusternet.core.plugins.module_utils import access_review, definitions
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.private_module import PrivateModule
from ansible_collections.clusternet.core.plugins.module_utils.report import report


def main() -> None:
    module = PrivateModule(
        argument_spec={**AUTH_ARGUMENTS, "definitions": {"type": "list", "elements": "dict", "required": True}},
        supports_check_mode=True,
    )
    with report(module) as doing:
        wanted = definitions.prepare("definitions", module.params["definitions"])
        module.conceal(wanted)
        client = doing.connect()
        doing.result["missing"] = access_review.missing(client, wanted)
        doing.result["user"] = access_review.user(client) if doing.result["missing"] else ""


if __name__ == "__main__":
    main()
