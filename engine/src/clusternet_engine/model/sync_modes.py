"""Who deploys to a cluster (spec/03 §8.1)."""

from __future__ import annotations

from typing import Literal

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names

Side = Literal["hub", "agent"]


def deployer(sync_mode: str, app_pusher: bool | None) -> Side | None:
    """Return who deploys to a cluster; None is nobody.

    Args:
        sync_mode: `spec.syncMode` of the ManagedCluster.
        app_pusher: `status.appPusher`, whether the agent lets the hub deploy; None as long as it hasn't said so.
    """
    if sync_mode == names.PULL:
        return "agent"
    if app_pusher:
        return "hub"
    if app_pusher is False and sync_mode == names.DUAL:
        return "agent"
    return None


def cluster_deployer(cluster: Object) -> Side | None:
    """Return who deploys to a ManagedCluster.

    Hub and agent both judge by the ManagedCluster, never by the agent's own flag: so one of them acts, not both and not
    none, when the flag and the ManagedCluster differ.
    """
    return deployer(cluster["spec"].get("syncMode") or names.PULL, (cluster.get("status") or {}).get("appPusher"))
