# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: run_table
short_description: Show how tasks went on clusters
version_added: 0.6.0
author:
  - The clusternet.core authors (@clusternet)
description:
  - Makes lines of text of what M(clusternet.core.managed_cluster_info) returns and of how tasks went there. Counts
    come first, then a table of the clusters on which they failed or weren't run; the others are only counted.
  - Text written by clusters is cut to one line.
positional: results, show_all
options:
  _input:
    description: The clusters.
    type: list
    elements: dict
    required: true
  results:
    description: Those clusters on which the tasks were run.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the cluster.
        type: str
      namespace:
        description: Its namespace on the parent.
        type: str
      problem:
        description: What went wrong, empty if nothing did.
        type: str
  show_all:
    description: List clusters on which they succeeded, too, after the others.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show how it went
  ansible.builtin.debug:
    msg: "{{ found.clusters | clusternet.core.run_table(results) }}"
  vars:
    results:
      - {name: edge-1, namespace: clusternet-x7k2p, problem: ""}
      - {name: edge-2, namespace: clusternet-q4m9z, problem: "Put the objects there: namespaces \"web\" not found"}
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.clusternet.core.plugins.plugin_utils.tables import run_table


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"run_table": run_table}
