# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: publication_table
short_description: Show where applications stand
version_added: 0.6.0
author:
  - The clusternet.core authors (@clusternet)
description:
  - Makes lines of text of what M(clusternet.core.subscription_info) returns. Counts for each application come first,
    then a table of the clusters on which something is missing or wrong; the others are only counted.
  - Text written by clusters is cut to one line.
positional: show_all
options:
  _input:
    description: The Subscriptions.
    type: list
    elements: dict
    required: true
  show_all:
    description: List clusters on which nothing is missing, too, after the others.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Ask the parent
  clusternet.core.subscription_info:
    names: [app-demo]
  register: found

- name: Show where the application stands on each cluster
  ansible.builtin.debug:
    msg: "{{ found.subscriptions | clusternet.core.publication_table(show_all=true) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.clusternet.core.plugins.plugin_utils.tables import publication_table


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"publication_table": publication_table}
