# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: registration_table
short_description: Show which clusters wait for approval
version_added: 0.6.0
author:
  - The clusternet.core authors (@clusternet)
description:
  - Makes a table of what M(clusternet.core.registration_info) returns, those that wait longest first.
  - Text written by clusters is cut to one line.
options:
  _input:
    description: The registration requests.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Ask the parent which clusters wait for approval
  clusternet.core.registration_info:
    waiting: true
  register: waiting

- name: Show them
  ansible.builtin.debug:
    msg: "{{ waiting.requests | clusternet.core.registration_table }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.clusternet.core.plugins.plugin_utils.tables import registration_table


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"registration_table": registration_table}
