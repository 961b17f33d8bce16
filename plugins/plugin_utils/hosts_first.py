# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Groups by expressions don't take the names of hosts.

A pattern such as ``hosts: berlin`` means the group where there is a group and a host of that name. Labels are written
by clusters, so one of them could draw plays to itself that are meant for another.
"""

from __future__ import annotations

from typing import Any

from ansible.inventory.data import InventoryData


class HostsFirst:
    """An inventory that makes no group with the name of a host; everything else goes through.

    Members of a group that isn't made go to its parent group, if it has one.
    """

    def __init__(self, inventory: InventoryData) -> None:
        self._inventory = inventory
        self._host = ""
        self.left_out: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inventory, name)

    def add_group(self, group: str) -> str:
        """Make a group, unless a host has its name; return the name."""
        if group not in self._inventory.hosts:
            return str(self._inventory.add_group(group))
        self.left_out.add(group)
        return group

    def add_host(self, host: str, group: str | None = None, port: int | str | None = None) -> str:
        """Put a host into a group, unless that was left out; return the host's name."""
        self._host = host
        return str(self._inventory.add_host(host, None if group in self.left_out else group, port))

    def add_child(self, group: str, child: str) -> None:
        """Put a group below another one; in the place of a group that was left out, the host that it was for."""
        if group in self.left_out:
            return
        self._inventory.add_child(group, self._host if child in self.left_out else child)
