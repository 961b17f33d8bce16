"""The hub as a process, with the permissions that the role gives it, and clusters that ask it for registration."""

import asyncio
import base64
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
import yaml
from clusternet_engine.kube.client import Client, PatchType
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.errors import ApiError, Forbidden, NotFound, Unauthorized
from clusternet_engine.kube.resources import (
    API_SERVICES,
    CLUSTER_REGISTRATION_REQUESTS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    EVENTS,
    MANAGED_CLUSTERS,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Object,
    Resource,
)
from clusternet_engine.model.constants import SHADOW_GROUP
from clusternet_lab import Lab
from jinja2 import Environment

SYSTEM = "clusternet-system"
ACCOUNT = "clusternet-hub"
ID_LABEL = "clusters.clusternet.io/cluster-id"
QUICK_LEASE = (
    "--leader-elect-lease-duration=2s",
    "--leader-elect-renew-deadline=1500ms",
    "--leader-elect-retry-period=200ms",
)
USUAL_LEASE = (
    "--leader-elect-lease-duration=15s",
    "--leader-elect-renew-deadline=10s",
    "--leader-elect-retry-period=2s",
)
LOOPBACK = ("--push-addresses=127.0.0.1", "--repository-addresses=127.0.0.1")
"""Flags that allow what all tests have on this machine: children, and repositories of charts."""
_ROLE = Path(__file__).parents[2] / "roles" / "hub"
_CRDS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
_KINDS = {
    resource.kind: resource
    for resource in (
        _CRDS,
        NAMESPACES,
        SERVICE_ACCOUNTS,
        SECRETS,
        CLUSTER_ROLES,
        CLUSTER_ROLE_BINDINGS,
        ROLES,
        ROLE_BINDINGS,
        API_SERVICES,
        Resource("", "v1", "services", "Service", namespaced=True),
        Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", namespaced=True),
        *(
            Resource("admissionregistration.k8s.io", "v1", plural, kind, namespaced=False)
            for plural, kind in (
                ("validatingadmissionpolicies", "ValidatingAdmissionPolicy"),
                ("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"),
            )
        ),
    )
}

T = TypeVar("T")


async def eventually(condition: Callable[[], Awaitable[T]], timeout: float = 30.0, why: str = "") -> T:
    """Return the first true result of an asynchronous condition; an object that isn't there counts as not yet."""
    deadline = time.monotonic() + timeout
    result: T | None = None
    while True:
        with suppress(NotFound):
            if result := await condition():
                return result
        if time.monotonic() > deadline:
            pytest.fail(f"{why or condition.__qualname__}: not within {timeout:g} s; last: {result!r}")
        await asyncio.sleep(0.02)


async def install(admin: Client, port: int) -> None:
    """Put onto the parent what the role `hub` puts there: CRDs, namespaces, account, permissions, the way to the hub.

    The APIServices come with `install_api_services`, as in the role: they are unavailable while no hub serves them.
    """
    crds = [yaml.safe_load(file.read_text()) for file in sorted((_ROLE / "files" / "crds").iterdir())]
    await _apply(admin, [*crds, *_render("objects.yaml.j2", port), *_render("policies.yaml.j2", port)])

    async def served() -> bool:
        try:
            await admin.list(CLUSTER_REGISTRATION_REQUESTS)
            await admin.list(MANAGED_CLUSTERS)
        except ApiError:
            return False
        return True

    await eventually(served)


async def install_api_services(admin: Client, port: int, *groups: str) -> None:
    """Let the parent's API server ask the hub at this port for API groups once it is ready; wait until that works."""
    await serves(port)
    rendered = _render("api_services.yaml.j2", port)
    services = [service for service in rendered if service["spec"]["group"] in (groups or (SHADOW_GROUP,))]
    await _apply(admin, services)

    async def available() -> bool:
        """The API server says that an APIService is available a moment before it passes requests on."""
        found = [await admin.get(API_SERVICES, service["metadata"]["name"]) for service in services]
        paths = [f"/apis/{service['spec']['group']}/{service['spec']['version']}" for service in services]
        return all(condition_is_true(service, "Available") for service in found) and all(
            [(await admin.raw("GET", path)).status == 200 for path in paths]
        )

    await eventually(available)


async def serves(port: int) -> None:
    """Wait until the hub at this port is ready."""
    async with aiohttp.ClientSession() as session:

        async def ready() -> bool:
            try:
                async with session.get(f"https://127.0.0.1:{port}/readyz", ssl=False) as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

        await eventually(ready)


async def remove_api_services(admin: Client, port: int) -> None:
    """Take the APIServices away, so that no unavailable ones stand in the way of others."""
    for service in _render("api_services.yaml.j2", port):
        with suppress(NotFound):
            await admin.delete(API_SERVICES, service["metadata"]["name"])


def condition_is_true(obj: Object, kind: str) -> bool:
    """Return whether a condition of an object is true."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return any(one["type"] == kind and one["status"] == "True" for one in conditions)


def policies(**variables: Any) -> list[Object]:
    """Return the admission policies that the role `hub` makes with these variables."""
    return [one for one in _render("policies.yaml.j2", 0, **variables) if one["kind"] == "ValidatingAdmissionPolicy"]


def _render(template: str, port: int, **changes: Any) -> list[Object]:
    variables = {
        "clusternet_hub_system_namespace": SYSTEM,
        "clusternet_hub_reserved_namespace": "clusternet-reserved",
        "clusternet_hub_secure_port": port,
        "clusternet_hub_proxy_subjects": [],
        "clusternet_hub_child_rights": "agent",
        "clusternet_hub_child_token_lifetime": "720h",
        "clusternet_hub_child_label_prefixes": ["node.clusternet.io/"],
        "__clusternet_hub_advertise_address": "localhost",
        **changes,
    }
    environment = Environment(autoescape=False)
    environment.filters["to_json"] = json.dumps
    text = environment.from_string((_ROLE / "templates" / template).read_text()).render(variables)
    return [document for document in yaml.safe_load_all(text) if document]


async def _apply(admin: Client, bodies: list[Object]) -> None:
    for body in bodies:
        metadata = body["metadata"]
        await admin.patch(
            _KINDS[body["kind"]],
            metadata["name"],
            body,
            metadata.get("namespace"),
            kind=PatchType.APPLY,
            field_manager="test",
            force=True,
        )


def acts_as_child(lab: Lab, status: Object) -> Client:
    """Return a client with the credential of an approved cluster.

    Args:
        lab: with the parent.
        status: of the cluster's request.
    """
    return Client(
        ClusterConfig(
            lab.cluster("parent").server,
            ca_data=base64.b64decode(status["caCertificate"]),
            token=base64.b64decode(status["token"]).decode(),
        )
    )


async def account_kubeconfig(admin: Client, lab: Lab) -> str:
    """Return a kubeconfig of the hub's own account."""

    async def token() -> str:
        return str(((await admin.get(SECRETS, ACCOUNT, SYSTEM)).get("data") or {}).get("token") or "")

    parent = lab.cluster("parent")
    config = {
        "clusters": [{"name": "parent", "cluster": {"server": parent.server, "certificate-authority": str(parent.ca)}}],
        "users": [{"name": "hub", "user": {"token": base64.b64decode(await eventually(token)).decode()}}],
        "contexts": [{"name": "hub", "context": {"cluster": "parent", "user": "hub"}}],
        "current-context": "hub",
    }
    return json.dumps(config)


class HubProcess:
    """A `clusternet-hub` process and its log."""

    def __init__(self, kubeconfig: Path, log: Path, *flags: str) -> None:
        self._log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    Path(sys.executable).with_name("clusternet-hub"),
                    f"--kubeconfig={kubeconfig}",
                    "--secure-port=0",
                    "--peer-port=0",
                    *LOOPBACK,
                    *QUICK_LEASE,
                    *flags,
                ],
                stdout=output,
                stderr=output,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def leads(self) -> bool:
        """Whether it runs the controllers, or did until it ended."""
        return "leading; running" in self.log

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> float:
        """End it gracefully and return the seconds that took; its exit code must be 0."""
        began = time.monotonic()
        self.process.terminate()
        assert self.process.wait(timeout=20) == 0, self.log
        return time.monotonic() - began

    def end(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.kill()


class Hubs:
    """Starts hubs; all end with the test.

    Args:
        kubeconfig: of the hub's account.
        folder: for logs.
    """

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.kubeconfig = kubeconfig
        self._log = folder / "hub.log"
        self._started: list[HubProcess] = []

    def start(self, *flags: str) -> HubProcess:
        """Start a hub with a quick lease and without a port; later flags override earlier ones."""
        hub = HubProcess(self.kubeconfig, self._log, *flags)
        self._started.append(hub)
        return hub

    def end(self) -> None:
        """End all of them."""
        for hub in self._started:
            hub.end()


class Applicant:
    """A cluster without an agent: asks the parent for registration and shows what came of it.

    Args:
        parent: client of the parent cluster, as its administrator.
    """

    def __init__(self, parent: Client, **spec: Any) -> None:
        self.parent = parent
        self.id = str(uuid.uuid4())
        self.request_name = f"clusternet-{self.id}"
        self.spec = {
            "clusterId": self.id,
            "clusterName": f"c-{self.id[:8]}",
            "clusterType": "StandardCluster",
            "syncMode": "Dual",
            **spec,
        }

    @property
    def labels(self) -> dict[str, str]:
        """What tells of an object that it is this cluster's."""
        return {"clusternet.io/created-by": "clusternet-agent", ID_LABEL: self.id}

    async def make_namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Make a namespace on the parent, as somebody may before the cluster asks."""
        await self.parent.create(NAMESPACES, {"metadata": {"name": name, "labels": dict(labels or {})}})

    async def ask(self, **spec: Any) -> None:
        """Post the registration request."""
        body = {
            "apiVersion": CLUSTER_REGISTRATION_REQUESTS.api_version,
            "kind": CLUSTER_REGISTRATION_REQUESTS.kind,
            "metadata": {"name": self.request_name},
            "spec": self.spec | spec,
        }
        await self.parent.create(CLUSTER_REGISTRATION_REQUESTS, body)

    async def request(self) -> Object:
        return await self.parent.get(CLUSTER_REGISTRATION_REQUESTS, self.request_name)

    async def status(self) -> Object:
        return (await self.request()).get("status") or {}

    async def approved(self, timeout: float = 30.0) -> Object:
        """Wait for the approval, without a message of an obstacle, and return the status."""

        async def done() -> Object | None:
            status = await self.status()
            return status if status.get("result") == "Approved" and "errorMessage" not in status else None

        status = await eventually(done, timeout, f"{self.request_name} is approved")
        assert status is not None
        return status

    async def obstructed(self, reason: str, timeout: float = 30.0) -> str:
        """Wait until the hub tells of an obstacle, in the status and as an event; return its message."""

        async def told() -> str:
            message = str((await self.status()).get("errorMessage") or "")
            return message if message.startswith(f"{reason}: ") else ""

        message = await eventually(told, timeout, f"{self.request_name} tells {reason}")

        async def event() -> bool:
            return reason in await self.events()

        await eventually(event, timeout, f"an event {reason}")
        return message

    async def events(self) -> set[str]:
        """Return the reasons of the events on the request."""
        found = await self.parent.list(EVENTS, "default", field_selector=f"involvedObject.name={self.request_name}")
        return {event["reason"] for event in found.items}

    async def all_of(self, resource: Resource) -> list[Object]:
        """Return everything of a kind that is labelled with this cluster's ID."""
        return (await self.parent.list(resource, label_selector=f"{ID_LABEL}={self.id}")).items

    async def only(self, resource: Resource) -> Object:
        """Return the one object of a kind that this cluster may have."""
        found = await self.all_of(resource)
        assert len(found) == 1, [obj["metadata"]["name"] for obj in found]
        return found[0]

    async def token(self) -> str:
        """Return the token that the hub has put into the request."""
        return base64.b64decode((await self.status())["token"]).decode()

    async def managed_cluster(self) -> Object:
        status = await self.status()
        return await self.parent.get(MANAGED_CLUSTERS, status["managedClusterName"], status["dedicatedNamespace"])

    async def leave(self) -> None:
        """Remove everything of this cluster from the parent."""
        with suppress(NotFound):
            await self.parent.delete(CLUSTER_REGISTRATION_REQUESTS, self.request_name)
        for resource in (CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, NAMESPACES):
            for obj in await self.all_of(resource):
                with suppress(NotFound):
                    await self.parent.delete(resource, obj["metadata"]["name"])


async def is_renewed(child: Applicant, lab: Lab, before: Object) -> None:
    """Wait until a cluster has another credential than before, which is good, while the former one is refused.

    Args:
        child: the cluster.
        lab: with the parent.
        before: status of the cluster's request with the former credential.
    """

    async def renewed() -> bool:
        return bool((await child.status())["token"] != before["token"])

    await eventually(renewed)
    async with acts_as_child(lab, await child.approved()) as acting:
        await acting.list(MANAGED_CLUSTERS, before["dedicatedNamespace"])
    async with acts_as_child(lab, before) as acting:

        async def refused() -> bool:
            try:
                await acting.list(MANAGED_CLUSTERS, before["dedicatedNamespace"])
            except (Unauthorized, Forbidden):
                return True
            return False

        await eventually(refused, why="the old token is refused")
