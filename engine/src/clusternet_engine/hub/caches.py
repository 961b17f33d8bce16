"""What the hub knows of the parent cluster: one informer for each kind it cares about."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import (
    BASES,
    CLUSTER_REGISTRATION_REQUESTS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    DESCRIPTIONS,
    MANAGED_CLUSTERS,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Object,
)
from clusternet_engine.model import constants as names

BY_CLUSTER = "cluster"
"""Index by cluster ID."""
BY_NAMESPACE = "namespace"

_OF_CLUSTERS = f"{names.CREATED_BY_LABEL}={names.CREATED_BY_AGENT},{names.CLUSTER_ID_LABEL}"
_RBAC_DEFAULTS = f"{names.BOOTSTRAPPING_LABEL}={names.RBAC_DEFAULTS}"
_SERVICE_ACCOUNT_TOKENS = f"type={names.SERVICE_ACCOUNT_TOKEN_TYPE}"


class Caches:
    """The informers of the hub.

    Args:
        client: of the parent cluster.
        initialization: whether Bases and Descriptions are needed too (feature gate ClusterInit).
    """

    def __init__(self, client: Client, *, initialization: bool) -> None:
        self.requests = Informer(client, CLUSTER_REGISTRATION_REQUESTS)
        self.clusters = Informer(client, MANAGED_CLUSTERS)
        self.namespaces = Informer(client, NAMESPACES)
        self.accounts = Informer(client, SERVICE_ACCOUNTS, label_selector=_OF_CLUSTERS)
        self.tokens = Informer(client, SECRETS, label_selector=_OF_CLUSTERS, field_selector=_SERVICE_ACCOUNT_TOKENS)
        self.cluster_roles = Informer(client, CLUSTER_ROLES, label_selector=_RBAC_DEFAULTS)
        self.cluster_role_bindings = Informer(client, CLUSTER_ROLE_BINDINGS, label_selector=_RBAC_DEFAULTS)
        self.roles = Informer(client, ROLES, label_selector=_RBAC_DEFAULTS)
        self.role_bindings = Informer(client, ROLE_BINDINGS, label_selector=_RBAC_DEFAULTS)
        self.bases = Informer(client, BASES)
        self.descriptions = Informer(client, DESCRIPTIONS)
        self.namespaces.add_index(BY_CLUSTER, cluster_ids)
        for informer in (self.clusters, self.accounts, self.bases, self.descriptions):
            informer.add_index(BY_NAMESPACE, _namespaces)
        self._running: Mapping[str, Informer] = {
            "clusterregistrationrequests": self.requests,
            "managedclusters": self.clusters,
            "namespaces": self.namespaces,
            "serviceaccounts": self.accounts,
            "secrets": self.tokens,
            "clusterroles": self.cluster_roles,
            "clusterrolebindings": self.cluster_role_bindings,
            "roles": self.roles,
            "rolebindings": self.role_bindings,
            **({"bases": self.bases, "descriptions": self.descriptions} if initialization else {}),
        }

    async def run(self) -> None:
        """Keep all caches fresh until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name, informer in self._running.items():
                tasks.create_task(informer.run(), name=f"informer {name}")

    async def wait_synced(self) -> None:
        """Wait until everything has been listed once; API servers may take their time to start, so without a limit."""
        while waiting := self.missing():
            await asyncio.gather(*(self._running[name].wait_synced(3600.0) for name in waiting))

    def missing(self) -> list[str]:
        """Return what hasn't been listed yet."""
        return [name for name, informer in self._running.items() if not informer.synced]

    def check(self) -> None:
        """Readiness check.

        Raises:
            LookupError: something hasn't been listed yet; the text says what and why.
        """
        if missing := self.missing():
            reasons = "; ".join(f"{name}: {self._running[name].last_error or 'no answer yet'}" for name in missing)
            raise LookupError(f"not listed yet: {reasons}")


def cluster_ids(obj: Object) -> Iterable[str]:
    """Return the cluster ID an object is labelled with, if it is."""
    identity = (obj["metadata"].get("labels") or {}).get(names.CLUSTER_ID_LABEL)
    return (identity,) if identity else ()


def _namespaces(obj: Object) -> Iterable[str]:
    return (obj["metadata"]["namespace"],)
