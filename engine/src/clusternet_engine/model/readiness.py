"""Whether a cluster is there, as far as its parent knows (spec/03 §9)."""

from __future__ import annotations

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.conditions import find_condition


def is_ready(cluster: Object) -> bool:
    """Return whether the condition Ready of a ManagedCluster is True."""
    ready = find_condition((cluster.get("status") or {}).get("conditions"), names.READY)
    return ready is not None and ready["status"] == names.TRUE


def is_lost(cluster: Object) -> bool:
    """Return whether a ManagedCluster has reported once and isn't Ready now."""
    return bool((cluster.get("status") or {}).get("conditions")) and not is_ready(cluster)
