"""Child clusters that are pushed to without an agent, and Descriptions made by hand."""

import base64
import json
import random
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import AlreadyExists, NotFound
from clusternet_engine.kube.resources import (
    BASES,
    CLUSTER_ROLE_BINDINGS,
    DESCRIPTIONS,
    EVENTS,
    HELM_RELEASES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Object,
    Resource,
)
from clusternet_engine.model import constants as names
from hub_site import eventually
from publishing import FakeCluster, fake_cluster, feed_of

_ACCOUNT = "test-deployer"


async def deployer_token(child: Client) -> str:
    """Return a token of an account of the child that may do everything, as `clusternet-app-deployer` may."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _ACCOUNT, "namespace": "kube-system"}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": _ACCOUNT},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": _ACCOUNT, "namespace": "kube-system"}],
    }
    for resource, body in ((SERVICE_ACCOUNTS, account), (CLUSTER_ROLE_BINDINGS, binding)):
        with suppress(AlreadyExists):
            await child.create(resource, body)
    request = {"metadata": {"name": _ACCOUNT, "namespace": "kube-system"}, "spec": {"expirationSeconds": 7200}}
    answer = await child.create(SERVICE_ACCOUNTS, request, subresource="token")
    return str(answer["status"]["token"])


async def pushed_cluster(parent: Client, child: Client, **status: Any) -> FakeCluster:
    """Register a child as one that the hub pushes to."""
    url = child.config.server
    cluster = await fake_cluster(
        parent, sync_mode="Push", status={"appPusher": True, "useSocket": False, "apiserverURL": url, **status}
    )
    await hand_over(parent, child, cluster)
    return cluster


async def hand_over(parent: Client, child: Client, cluster: FakeCluster) -> None:
    """Give the parent the credential of the child."""
    data = {
        names.ADVERTISE_URL_KEY: child.config.server.encode(),
        names.CA_CERTIFICATE_KEY: child.config.ca_data or b"",
        names.TOKEN_KEY: (await deployer_token(child)).encode(),
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": names.CHILD_DEPLOYER_SECRET, "namespace": cluster.namespace},
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }
    await parent.create(SECRETS, secret)


def encode(obj: Any) -> str:
    """Return an object as Descriptions hold it."""
    return base64.b64encode(json.dumps(obj).encode()).decode()


class Deployed:
    """A Base and its Description of native objects, as the hub would make them.

    Args:
        parent: client of the parent.
        cluster: where to deploy.
        name: of the Base.
    """

    def __init__(self, parent: Client, cluster: FakeCluster, name: str | None = None) -> None:
        self.parent = parent
        self.cluster = cluster
        self.base = name or f"b-{random.randbytes(4).hex()}"
        self.name = f"{self.base}-generic"

    async def create_base(self, objects: Iterable[Object]) -> Object:
        body = {
            "apiVersion": BASES.api_version,
            "kind": BASES.kind,
            "metadata": {"name": self.base, "namespace": self.cluster.namespace},
            "spec": {"feeds": [feed_of(obj) for obj in objects]},
        }
        return await self.parent.create(BASES, body)

    async def create(self, *objects: Object) -> Object:
        """Make the Base and the Description."""
        return await self.describe(await self.create_base(objects), *objects)

    async def describe(self, base: Object, *objects: Object) -> Object:
        return await self._describe(base, {"deployer": "Generic", "raw": [encode(obj) for obj in objects]})

    async def describe_charts(self, base: Object, *charts: Object) -> Object:
        """Make a Description of charts instead of one of native objects."""
        self.name = f"{self.base}-helm"
        spec = {
            "deployer": "Helm",
            "charts": [{key: chart["metadata"][key] for key in ("name", "namespace")} for chart in charts],
            "chartRaw": [encode(chart) for chart in charts],
            "raw": ["IA==" for _ in charts],
        }
        return await self._describe(base, spec)

    async def _describe(self, base: Object, spec: Object) -> Object:
        body = {
            "apiVersion": DESCRIPTIONS.api_version,
            "kind": DESCRIPTIONS.kind,
            "metadata": {
                "name": self.name,
                "namespace": self.cluster.namespace,
                "finalizers": [names.FINALIZER],
                "labels": {names.CLUSTER_ID_LABEL: self.cluster.id},
                "ownerReferences": [
                    {
                        "apiVersion": BASES.api_version,
                        "kind": BASES.kind,
                        "name": self.base,
                        "uid": base["metadata"]["uid"],
                        "controller": True,
                    }
                ],
            },
            "spec": spec,
        }
        return await self.parent.create(DESCRIPTIONS, body)

    async def change(self, *objects: Object) -> Object:
        """Put other objects into the Description."""
        patch = {"spec": {"raw": [encode(obj) for obj in objects]}}
        return await self.parent.patch(DESCRIPTIONS, self.name, patch, self.cluster.namespace)

    async def get(self) -> Object:
        return await self.parent.get(DESCRIPTIONS, self.name, self.cluster.namespace)

    async def reaches(self, phase: str, timeout: float = 30.0) -> Object:
        """Wait for a phase that belongs to the newest generation; return the status."""

        async def reached() -> Object | None:
            found = await self.get()
            status = found.get("status") or {}
            current = status.get("observedGeneration") == found["metadata"]["generation"]
            return status if current and status.get("phase") == phase else None

        status = await eventually(reached, timeout, f"{self.name} is {phase}")
        assert status is not None
        return status

    async def delete(self) -> None:
        """Delete the Base and the Description, as the hub and the garbage collector do."""
        with suppress(NotFound):
            await self.parent.delete(BASES, self.base, self.cluster.namespace)
        with suppress(NotFound):
            await self.parent.delete(DESCRIPTIONS, self.name, self.cluster.namespace)

    async def gone(self, timeout: float = 30.0) -> None:
        await is_gone(self.parent, DESCRIPTIONS, self.name, self.cluster.namespace, timeout)

    async def events(self) -> set[str]:
        return await events_of(self.parent, self.name, self.cluster.namespace)


async def events_of(parent: Client, name: str, namespace: str) -> set[str]:
    """Return the reasons of the events on an object."""
    found = await parent.list(EVENTS, namespace, field_selector=f"involvedObject.name={name}")
    return {event["reason"] for event in found.items}


async def is_gone(
    client: Client, resource: Resource, name: str, namespace: str | None = None, timeout: float = 30.0
) -> None:
    """Wait until an object doesn't exist."""

    async def gone() -> bool:
        try:
            await client.get(resource, name, namespace)
        except NotFound:
            return True
        return False

    await eventually(gone, timeout, f"{resource.kind} {name} is gone")


async def exists(
    client: Client, resource: Resource, name: str, namespace: str | None = None, timeout: float = 30.0
) -> Object:
    """Wait until an object exists and return it."""
    return await eventually(lambda: client.get(resource, name, namespace), timeout, f"{resource.kind} {name} exists")


class Release:
    """A HelmRelease as the hub would make it."""

    def __init__(self, parent: Client, cluster: FakeCluster, name: str = "") -> None:
        self.parent = parent
        self.namespace = cluster.namespace
        self.release = f"r-{random.randbytes(3).hex()}"
        self.name = name or f"b-helm-default-{self.release}"

    async def create(self, values: Object | None = None, **spec: Any) -> Object:
        body = {
            "apiVersion": HELM_RELEASES.api_version,
            "kind": HELM_RELEASES.kind,
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "finalizers": [names.FINALIZER],
                "labels": {"apps.clusternet.io/config.name": "b-helm"},
            },
            "spec": {"releaseName": self.release, "overrides": encode(values) if values else "IA==", **spec},
        }
        return await self.parent.create(HELM_RELEASES, body)

    async def change(self, **spec: Any) -> None:
        await self.parent.patch(HELM_RELEASES, self.name, {"spec": spec}, self.namespace)

    async def get(self) -> Object:
        return await self.parent.get(HELM_RELEASES, self.name, self.namespace)

    async def reaches(self, phase: str, timeout: float = 60.0) -> Object:
        async def reached() -> Object | None:
            found = await self.get()
            status = found.get("status") or {}
            current = status.get("observedGeneration") == found["metadata"]["generation"]
            return status if current and status.get("phase") == phase else None

        status = await eventually(reached, timeout, f"{self.name} is {phase}")
        assert status is not None
        return status

    async def delete(self) -> None:
        await self.parent.delete(HELM_RELEASES, self.name, self.namespace)
        await is_gone(self.parent, HELM_RELEASES, self.name, self.namespace)
