# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hubs of a parent run, judged by their Leases: a holder lives if it renews, whatever its clock says.

Clusternet's own controller manager and scheduler, which do a part of what this collection's hub does, have a Lease
each.
"""

from __future__ import annotations

import time
from typing import Any, Mapping, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants, nesting
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.resources import LEASES

_PAUSE = 0.25  # seconds between two looks
_LEADERS = (constants.LEASE_HUB, constants.LEASE_CONTROLLER_MANAGER, constants.LEASE_SCHEDULER)


def running(client: Client, namespace: str) -> dict[str, list[dict[str, Any]]]:
    """Return who renews a Lease; takes as long as it takes to see them renew, or let it run out."""
    begin = time.monotonic()
    first = _held(client, namespace)
    alive: dict[str, dict[str, Any]] = {}
    waiting = first
    while waiting:
        time.sleep(_PAUSE)
        now, passed = _held(client, namespace), time.monotonic() - begin
        alive.update({name: spec for name, spec in now.items() if spec != first.get(name)})
        waiting = {
            name: spec
            for name, spec in now.items()
            if name not in alive and passed <= float(spec.get("leaseDurationSeconds") or 0)
        }
    return view(alive)


def _held(client: Client, namespace: str) -> dict[str, dict[str, Any]]:
    """Return the Leases of such programs that somebody holds or has held until the end."""
    leases = {
        lease["metadata"]["name"]: lease.get("spec") or {} for lease in client.list(LEASES.path(namespace=namespace))
    }
    return {
        name: spec
        for name, spec in leases.items()
        if (name in _LEADERS or _is_of_hub(name)) and spec.get("holderIdentity")
    }


def view(leases: Mapping[str, Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return what the module does of Leases that are renewed: one item for each program, however many it holds."""
    holders = {name: leases[name]["holderIdentity"] for name in _LEADERS if name in leases}
    manager, scheduler = constants.LEASE_CONTROLLER_MANAGER, constants.LEASE_SCHEDULER
    identities = {_identity(name, spec["holderIdentity"]) for name, spec in leases.items() if _is_of_hub(name)}
    # A hub may be told to use the Lease of Clusternet's controller manager, so that only one of them works.
    leaders = {holders.get(constants.LEASE_HUB), holders.get(manager)}
    return {
        "hubs": [{"identity": identity, "leads": identity in leaders} for identity in sorted(identities)],
        "controller_managers": _leader(holders.get(manager)),
        "schedulers": _leader(holders.get(scheduler)),
    }


def _leader(holder: Optional[str]) -> list[dict[str, Any]]:
    return [{"identity": holder, "leads": True}] if holder else []


def _is_of_hub(name: str) -> bool:
    return name == constants.LEASE_HUB or name.startswith(constants.LEASE_PREFIX_PEER)


def _identity(name: str, holder: str) -> str:
    """Return host and process; the holder of a peer's Lease tells them beside its address."""
    if name == constants.LEASE_HUB:
        return holder
    try:
        told = nesting.loads(holder)
        return str(told.get("identity") or name)
    except (AttributeError, ValueError):
        return name
