#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bootstrap_token
short_description: Manage tokens with which clusters register at a Clusternet parent
version_added: 0.1.0
description:
  - Creates, uses again, rotates and removes bootstrap tokens of the group that may register clusters.
  - A token lives in a Secret in the namespace C(kube-system) of the parent cluster, whose API server must accept
    bootstrap tokens
    (C(--enable-bootstrap-token-auth)).
  - Without O(token), a token that already serves the same purpose - it has the right group and the same
    O(description) - is
    used again while it stays valid for O(minimum_validity); otherwise a random one is made.
options:
  state:
    description:
      - With V(present), there is a valid token afterwards.
      - With V(absent), the token named by O(token) or O(token_id), else every registration token with
        O(description), is removed.
    type: str
    choices: [present, absent]
    default: present
  description:
    description: What the token is for. Tokens are told apart by it.
    type: str
    default: Registration of clusters with Clusternet
  token:
    description:
      - A token to store as it is, in the form C(abcdef.0123456789abcdef), instead of a random one.
      - It is not returned.
    type: str
  token_id:
    description: The first six characters of the token to remove.
    type: str
  ttl:
    description:
      - How long a new token is valid, such as V(24h), V(90m) or V(7d); V(0) means for ever.
      - A token that is used again keeps its expiry.
    type: str
    default: 24h
  expires_at:
    description:
      - When the token expires, such as V(2030-12-31T23:59:59Z), instead of O(ttl).
      - A token that is used again gets this expiry.
    type: str
  minimum_validity:
    description:
      - How long a token must still be valid to be used again.
      - Never more than half of O(ttl) is asked for, so that short-lived tokens are used again too.
    type: str
    default: 10m
  rotate:
    description: Make a new token in any case, and remove those of the same purpose.
    type: bool
    default: false
notes:
  - The result holds the token. Set C(no_log) to V(true) for the task that registers it.
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
- name: Have a token for the clusters of this week
  clusternet.core.bootstrap_token:
    description: Week 48
    ttl: 7d
  register: week
  no_log: true

- name: Store a token that was agreed on elsewhere
  clusternet.core.bootstrap_token:
    token: 07401b.f395accd246ae52d
    expires_at: "2035-12-31T23:59:59Z"

- name: Replace the token because somebody has seen it
  clusternet.core.bootstrap_token:
    description: Week 48
    rotate: true
  no_log: true

- name: Remove all tokens of that week
  clusternet.core.bootstrap_token:
    description: Week 48
    state: absent

- name: Remove a token by its id
  clusternet.core.bootstrap_token:
    token_id: 07401b
    state: absent
"""

RETURN = r"""
token:
  description:
    - The token, a secret.
    - Null in check mode when a new one would be made, and when the token was given by O(token).
  returned: when O(state=present)
  type: str
  sample: abcdef.0123456789abcdef
token_id:
  description: The public part of the token; null in check mode when a new one would be made.
  returned: when O(state=present)
  type: str
  sample: abcdef
secret_name:
  description: Name of the Secret in C(kube-system); null in check mode when a new one would be made.
  returned: when O(state=present)
  type: str
  sample: bootstrap-token-abcdef
expires_at:
  description: When the token expires; null if it never does.
  returned: when O(state=present)
  type: str
  sample: "2026-12-31T23:59:59Z"
removed:
  description: Ids of the tokens that were removed.
  returned: always
  type: list
  elements: str
  sample: [abcdef]
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "InvalidOption", "message": "ttl is wrong", "details": {"option": "ttl"}}
"""

from ansible_collections.clusternet.core.plugins.module_utils import bootstrap_token
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.report import report


def main():
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "description": {"type": "str", "default": "Registration of clusters with Clusternet"},
            "token": {"type": "str", "no_log": True},
            "token_id": {"type": "str", "no_log": False},
            "ttl": {"type": "str", "default": "24h"},
            "expires_at": {"type": "str"},
            "minimum_validity": {"type": "str", "default": "10m"},
            "rotate": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("token", "token_id"), ("token", "rotate")],
        supports_check_mode=True,
    )
    with report(module) as doing:
        wanted = bootstrap_token.wanted(module.params)
        tokens = bootstrap_token.Tokens(doing.reconciler(), doing.result)
        if module.params["state"] == "present":
            tokens.ensure(wanted)
        else:
            tokens.remove(wanted)


if __name__ == "__main__":
    main()
