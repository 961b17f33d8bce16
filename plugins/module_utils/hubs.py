# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hubs of a parent run, judged by their Leases: a holder lives if it renews, whatever its clock says."""

from __future__ import annotations

import time
from typing import Any, Mapping

from ansible_collections.clusternet.core.plugins.module_utils import constants, nesting
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.resources import LEASES

_PAUSE = 0.25  # seconds between two looks


def running(client: Client, namespace: str) -> list[dict[str, Any]]:
    """The hubs that renew a Lease, by identity; takes as long as it takes to see them renew, or let it run out."""
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
    """Leases of hubs that somebody holds or has held until the end."""
    leases = {
        lease["metadata"]["name"]: lease.get("spec") or {} for lease in client.list(LEASES.path(namespace=namespace))
    }
    return {
        name: spec
        for name, spec in leases.items()
        if (name == constants.LEASE_HUB or name.startswith(constants.LEASE_PREFIX_PEER)) and spec.get("holderIdentity")
    }


def view(leases: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the module returns of the Leases of living hubs: one item for each hub, however many it holds."""
    leader = leases.get(constants.LEASE_HUB, {}).get("holderIdentity")
    identities = {_identity(name, spec["holderIdentity"]) for name, spec in leases.items()}
    return [{"identity": identity, "leads": identity == leader} for identity in sorted(identities)]


def _identity(name: str, holder: str) -> str:
    """Host and process; the holder of a peer's Lease tells them beside its address."""
    if name == constants.LEASE_HUB:
        return holder
    try:
        told = nesting.loads(holder)
        return str(told.get("identity") or name)
    except (AttributeError, ValueError):
        return name
