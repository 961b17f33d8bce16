"""Whether a cluster is initialised: its first applications are deployed (spec/02 §9, feature gate ClusterInit)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.conditions import make_condition


def init_skipped(cluster: Object) -> bool:
    """Return whether the ManagedCluster is excepted from initialisation."""
    return (cluster["metadata"].get("annotations") or {}).get(names.SKIP_CLUSTER_INIT_ANNOTATION) == "true"


def init_base_name(cluster: Object, bases: Iterable[Object]) -> str | None:
    """Return the name of the Base that initialises a cluster; None while there is none.

    What `spec.clusterInitBaseName` says is final, since the field can't be changed. Otherwise the annotation of the
    cluster counts, else the default Base of its namespace; of several defaults the oldest.

    Args:
        cluster: the ManagedCluster.
        bases: the Bases of its namespace.
    """
    annotations = cluster["metadata"].get("annotations") or {}
    chosen = cluster["spec"].get("clusterInitBaseName") or annotations.get(names.CLUSTER_INIT_BASE_ANNOTATION)
    if chosen:
        return str(chosen)
    defaults = [
        base["metadata"]
        for base in bases
        if (base["metadata"].get("annotations") or {}).get(names.DEFAULT_CLUSTER_INIT_ANNOTATION) == "true"
    ]
    oldest = min(defaults, key=lambda metadata: (metadata["creationTimestamp"], metadata["name"]), default=None)
    return str(oldest["name"]) if oldest else None


def init_disabled(now: datetime) -> Object:
    """Return the condition ClusterInit of a cluster that isn't to be initialised."""
    return make_condition(
        names.CLUSTER_INIT, names.TRUE, names.CLUSTER_INIT_DISABLED, "The cluster needs no initialisation.", now
    )


def init_condition(base_name: str | None, base: Object | None, descriptions: Iterable[Object], now: datetime) -> Object:
    """Return the condition ClusterInit.

    Args:
        base_name: see `init_base_name`.
        base: that Base, None if it doesn't exist.
        descriptions: the Descriptions made from it.
        now: the current time.
    """
    phases = {
        description["metadata"]["name"]: (description.get("status") or {}).get("phase") for description in descriptions
    }
    behind = sorted(name for name, phase in phases.items() if phase != names.DESCRIPTION_SUCCESS)
    if base_name is None:
        message = "No Base is chosen to initialise the cluster, and its namespace has no default one."
    elif base is None:
        message = f"Base {base_name} does not exist."
    elif not phases:
        message = f"Base {base_name} has no Description yet."
    elif behind:
        message = f"Not deployed successfully yet: {', '.join(behind)}."
    else:
        message = f"Base {base_name} is deployed."
        return make_condition(names.CLUSTER_INIT, names.TRUE, names.CLUSTER_INIT_DONE, message, now)
    return make_condition(names.CLUSTER_INIT, names.FALSE, names.CLUSTER_INIT_WAITING, message, now)
