"""An agent of a child cluster as a process, in a namespace of its own."""

import asyncio
import json
import secrets as randomness
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import AlreadyExists, NotFound
from clusternet_engine.kube.resources import (
    CLUSTER_REGISTRATION_REQUESTS,
    LEASES,
    MANAGED_CLUSTERS,
    NAMESPACES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Object,
)
from clusternet_lab import Lab


class AgentProcess:
    """A `clusternet-agent` process and its log."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [Path(sys.executable).with_name("clusternet-agent"), *arguments], stdout=output, stderr=output
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> float:
        """End it gracefully and return the seconds that took; its exit code must be 0."""
        began = time.monotonic()
        self._process.terminate()
        assert self._process.wait(timeout=20) == 0, self.log
        return time.monotonic() - began

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.kill()


class AgentSite:
    """A namespace of a child cluster in which an agent lives; another namespace is another identity."""

    cluster = "child1"
    heartbeat = 5

    def __init__(self, lab: Lab, child: Client, parent: Client, folder: Path) -> None:
        self.child = child
        self.parent = parent
        self.name = f"agent-{randomness.token_hex(4)}"
        self.namespace = self.name
        self._lab = lab
        self._log = folder / "agent.log"
        self.agents: list[AgentProcess] = []
        self._tokens: list[str] = []

    async def prepare(
        self,
        *,
        url: str | None = None,
        token: str | None = None,
        ca: Path | None = None,
        registration: bool = True,
        deployer: bool = True,
    ) -> None:
        """Make what the role `agent` makes on the child: namespace, registration Secret, deployer's token."""
        await self.child.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}})
        if deployer:
            await self.create_deployer()
        if registration:
            await self.register_with(token or await self.bootstrap_token(), url=url, ca=ca)

    async def create_deployer(self) -> None:
        metadata = {"name": "clusternet-app-deployer"}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
        await self.child.create(SERVICE_ACCOUNTS, account, self.namespace)
        annotations = {"kubernetes.io/service-account.name": metadata["name"]}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {**metadata, "annotations": annotations},
        }
        await self.child.create(SECRETS, secret, self.namespace)

    async def register_with(self, token: str, *, url: str | None = None, ca: Path | None = None) -> None:
        """Write the registration Secret."""
        parent = self._lab.cluster("parent")
        name = "clusternet-agent-cluster-registration"
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": self.namespace},
            "stringData": {
                "parentURL": url or parent.server,
                "regToken": token,
                "ca.crt": (ca or parent.ca).read_text(),
            },
        }
        try:
            await self.child.create(SECRETS, secret)
        except AlreadyExists:
            await self.child.update(SECRETS, secret)

    async def bootstrap_token(
        self, *, group: str = "system:bootstrappers:clusternet:register-cluster-token", expiration: str = ""
    ) -> str:
        """Make a bootstrap token on the parent."""
        identity, secret = randomness.token_hex(3), randomness.token_hex(8)
        data = {
            "token-id": identity,
            "token-secret": secret,
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": group,
        } | ({"expiration": expiration} if expiration else {})
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "bootstrap.kubernetes.io/token",
            "metadata": {"name": f"bootstrap-token-{identity}"},
            "stringData": data,
        }
        await self.parent.create(SECRETS, body, "kube-system")
        self._tokens.append(identity)
        return f"{identity}.{secret}"

    def start(self, *flags: str) -> AgentProcess:
        """Start an agent with quick heartbeats; later flags override earlier ones."""
        agent = AgentProcess(
            [
                f"--kubeconfig={self._lab.cluster(self.cluster).kubeconfig}",
                f"--leader-elect-resource-namespace={self.namespace}",
                f"--cluster-reg-name={self.name}",
                f"--cluster-status-update-frequency={self.heartbeat}s",
                "--cluster-status-collect-frequency=1s",
                "--secure-port=0",
                "--repository-addresses=127.0.0.1",
                *flags,
            ],
            self._log,
        )
        self.agents.append(agent)
        return agent

    async def eventually(self, condition: Callable[[], Awaitable[Any]], timeout: float = 30.0, why: str = "") -> Any:
        """Return the first true result of an asynchronous condition."""
        deadline = time.monotonic() + timeout
        while not (result := await condition()):
            if time.monotonic() > deadline:
                pytest.fail(f"{why or condition.__name__}: not within {timeout:g} s\n{self.log}")
            await asyncio.sleep(0.05)
        return result

    @property
    def log(self) -> str:
        """What the agents have logged."""
        return self._log.read_text() if self._log.exists() else ""

    async def lease(self) -> Object | None:
        try:
            return await self.child.get(LEASES, "clusternet-agent", self.namespace)
        except NotFound:
            return None

    async def identity(self) -> str:
        lease = await self.lease()
        assert lease
        return str(lease["metadata"]["uid"])

    async def lease_is_held(self) -> None:
        async def held() -> bool:
            lease = await self.lease()
            return bool(lease and lease["spec"].get("holderIdentity"))

        await self.eventually(held)

    async def status(self) -> dict[str, str]:
        """What the agent says of its registration in the annotation of its Lease."""
        lease = await self.lease() or {"metadata": {}}
        annotations = lease["metadata"].get("annotations") or {}
        return dict(json.loads(annotations.get("clusternet.io/registration-status", "{}")))

    async def reaches(self, reason: str, timeout: float = 30.0) -> dict[str, str]:
        """Wait until the agent tells this reason and return all it tells."""

        async def told() -> dict[str, str] | None:
            status = await self.status()
            return status if status.get("reason") == reason else None

        return dict(await self.eventually(told, timeout, f"the agent does not tell {reason}"))

    async def managed_cluster(self) -> Object:
        """The only ManagedCluster of this agent."""
        requests = await self.parent.list(CLUSTER_REGISTRATION_REQUESTS)
        lease = await self.lease()
        assert lease
        own = (lease["metadata"].get("annotations") or {}).get("legacy-cluster-id") or lease["metadata"]["uid"]
        assert f"clusternet-{own}" in {request["metadata"]["name"] for request in requests.items}
        found = await self.parent.list(MANAGED_CLUSTERS, label_selector=f"clusters.clusternet.io/cluster-id={own}")
        assert len(found.items) == 1
        return found.items[0]

    async def ready_since(self) -> tuple[str, str] | None:
        """Status and heartbeat time of the Ready condition, if there is one."""
        try:
            cluster = await self.managed_cluster()
        except AssertionError:
            return None
        conditions = cluster.get("status", {}).get("conditions", [])
        return next(((c["status"], c["lastTransitionTime"]) for c in conditions if c["type"] == "Ready"), None)

    async def is_ready(self, timeout: float = 30.0) -> None:
        async def ready() -> bool:
            since = await self.ready_since()
            return since is not None and since[0] == "True"

        await self.eventually(ready, timeout)

    async def beats_again(self, timeout: float = 60.0) -> None:
        """Wait for a heartbeat that is younger than now."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

        async def beaten() -> bool:
            since = await self.ready_since()
            return since is not None and since[0] == "True" and since[1] > now

        await self.eventually(beaten, timeout)

    async def is_registered_anew(self, uid: str) -> None:
        """Wait for a ManagedCluster other than the one with this UID, with a status, and for the agent to say so."""

        async def anew() -> bool:
            try:
                cluster = await self.managed_cluster()
            except AssertionError:
                return False
            return cluster["metadata"]["uid"] != uid and bool(cluster.get("status", {}).get("lastObservedTime"))

        await self.eventually(anew, 60)
        await self.reaches("Registered", 60)

    async def clean_up(self) -> None:
        """End the agents and remove what they have left on both clusters."""
        for agent in self.agents:
            agent.end()
        lease = await self.lease()
        if lease:
            annotations = lease["metadata"].get("annotations") or {}
            await self.forget(annotations.get("legacy-cluster-id") or lease["metadata"]["uid"])
        for identity in self._tokens:
            with suppress(NotFound):
                await self.parent.delete(SECRETS, f"bootstrap-token-{identity}", "kube-system")
        with suppress(NotFound):
            await self.child.delete(NAMESPACES, self.namespace)

    async def forget(self, identity: str) -> None:
        """Remove a cluster from the parent."""
        selector = f"clusters.clusternet.io/cluster-id={identity}"
        with suppress(NotFound):
            await self.parent.delete(CLUSTER_REGISTRATION_REQUESTS, f"clusternet-{identity}")
        for cluster in (await self.parent.list(MANAGED_CLUSTERS, label_selector=selector)).items:
            metadata = cluster["metadata"]
            with suppress(NotFound):
                await self.parent.delete(MANAGED_CLUSTERS, metadata["name"], metadata["namespace"])
        for secret in (await self.parent.list(SECRETS, label_selector=selector)).items:
            metadata = secret["metadata"]
            with suppress(NotFound):
                await self.parent.patch(
                    SECRETS, metadata["name"], {"metadata": {"finalizers": None}}, metadata["namespace"]
                )
        for namespace in (await self.parent.list(NAMESPACES, label_selector=selector)).items:
            with suppress(NotFound):
                await self.parent.delete(NAMESPACES, namespace["metadata"]["name"])
