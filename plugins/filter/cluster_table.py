# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_table
short_description: Show how the clusters of a parent are
version_added: 0.6.0
author:
  - The clusternet.core authors (@clusternet)
description:
  - Makes lines of text of what M(clusternet.core.managed_cluster_info) returns. Counts come first, then a table of
    the clusters that are not ready, not known to be, or have nodes that aren't; the others are summed up.
  - Text written by clusters is cut to one line.
positional: show_all
options:
  _input:
    description: The clusters.
    type: list
    elements: dict
    required: true
  show_all:
    description: List clusters that are well, too, after the others.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Ask the parent for its clusters
  clusternet.core.managed_cluster_info:
  register: found

- name: Show how they are
  ansible.builtin.debug:
    msg: "{{ found.clusters | clusternet.core.cluster_table }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ansible_collections.clusternet.core.plugins.plugin_utils import tables


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"cluster_table": table}


def table(clusters: Iterable[Mapping[str, Any]], show_all: bool = False) -> list[str]:
    """Return the lines as of now."""
    return tables.cluster_table(clusters, show_all, datetime.now(UTC))
