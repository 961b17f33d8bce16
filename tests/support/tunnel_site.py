"""A child that is reached through the parent: hub and agent as processes, and callers of every kind."""

import asyncio
import base64
import json
import random
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import aiohttp
from agent_site import AgentProcess, AgentSite
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.resources import CLUSTER_ROLE_BINDINGS, SECRETS
from clusternet_engine.kube.tls import client_context
from clusternet_lab import Lab, programs
from hub_site import HubProcess, eventually, serves

GATES = "--feature-gates=SocketConnection=true"


class TunnelHub:
    """A hub that serves the tunnels, and may be replaced by another one."""

    def __init__(self, kubeconfig: Path, log: Path, port: int) -> None:
        self._kubeconfig = kubeconfig
        self._log = log
        self._port = port
        self._flags = ("--bind-address=127.0.0.1", f"--secure-port={port}", f"{GATES},Deployer=true")
        self.start()

    @property
    def log(self) -> str:
        return self.process.log

    def start(self, *flags: str) -> None:
        self.process = HubProcess(self._kubeconfig, self._log, *self._flags, *flags)

    async def is_ready(self) -> None:
        """Wait until it serves."""
        await serves(self._port)


class Wire:
    """A TCP connection's way to a server on this machine, which can be cut; use as ``async with``."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "Wire":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError):
            onward, out = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(out)
            await asyncio.gather(_pump(reader, out), _pump(onward, writer), return_exceptions=True)
            self._writers.discard(out)
        self._writers.discard(writer)
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


class TunnelSite:
    """A registered child with a tunnel.

    Args:
        lab: with a hub that serves `proxies.clusternet.io`.
        site: place of the agent.
        folder: for files.
    """

    def __init__(self, lab: Lab, site: AgentSite, folder: Path) -> None:
        self.lab = lab
        self.site = site
        self.folder = folder
        self.id = ""
        self.token = ""
        self.agent: AgentProcess
        self._flags: tuple[str, ...] = ()

    async def start(self, *flags: str, url: str | None = None) -> None:
        """Register, wait for the tunnel, and have a token of an administrator of the child.

        Args:
            flags: of the agent.
            url: by which the agent reaches the parent.
        """
        self._flags = (GATES, *flags)
        await self.site.prepare(url=url)
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": self.site.namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [
                {"kind": "ServiceAccount", "name": "clusternet-app-deployer", "namespace": self.site.namespace}
            ],
        }
        await self.site.child.create(CLUSTER_ROLE_BINDINGS, binding)
        self.start_agent()
        await self.site.is_ready()
        self.id = await self.site.identity()

        async def token() -> str:
            secret = await self.site.child.get(SECRETS, "clusternet-app-deployer", self.site.namespace)
            return str((secret.get("data") or {}).get("token") or "")

        self.token = base64.b64decode(await eventually(token)).decode()
        await self.is_connected()

    def start_agent(self, *flags: str) -> None:
        self.agent = self.site.start(*self._flags, *flags)

    async def end(self) -> None:
        await self.site.child.delete(CLUSTER_ROLE_BINDINGS, self.site.namespace)

    @property
    def path(self) -> str:
        return f"/apis/proxies.clusternet.io/v1alpha1/sockets/{self.id}/proxy/direct"

    def headers(self, token: str | None = None) -> dict[str, str]:
        """Return what makes the caller somebody at the child."""
        return {"Impersonate-User": "clusternet", "Impersonate-Extra-Clusternet-Token": token or self.token}

    def caller(self, token: str | None = None, headers: Mapping[str, str] | None = None) -> aiohttp.ClientSession:
        """Return plain HTTP to the parent: as its administrator, or as who holds a token; "" is anonymous."""
        config = ClusterConfig.from_kubeconfig(self.lab.cluster("parent").kubeconfig)
        certificate, key = (config.client_certificate, config.client_key) if token is None else (None, None)
        context = client_context(config.ca_data, certificate=certificate, key=key)
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        return aiohttp.ClientSession(config.server, connector=connector, headers={**(headers or {}), **authorization})

    async def is_connected(self, timeout: float = 30.0) -> None:
        """Wait until a request to the child is answered by it."""
        async with self.caller() as caller:

            async def answered() -> bool:
                async with caller.get(f"{self.path}/version", headers=self.headers()) as answer:
                    return answer.status == 200

            await eventually(answered, timeout, "the child answers through its tunnel")

    def kubeconfig(self, extra: Mapping[str, list[str]] | None = None) -> Path:
        """Write a kubeconfig by which the parent's administrator reaches the child."""
        parent = ClusterConfig.from_kubeconfig(self.lab.cluster("parent").kubeconfig)
        assert parent.ca_data is not None
        assert parent.client_certificate is not None
        assert parent.client_key is not None

        def encoded(pem: bytes) -> str:
            return base64.b64encode(pem).decode()

        cluster = {"server": parent.server + self.path, "certificate-authority-data": encoded(parent.ca_data)}
        user = {
            "client-certificate-data": encoded(parent.client_certificate),
            "client-key-data": encoded(parent.client_key),
            "as": "clusternet",
            "as-user-extra": extra if extra is not None else {"clusternet-token": [self.token]},
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "child", "cluster": cluster}],
            "users": [{"name": "me", "user": user}],
            "contexts": [{"name": "child", "context": {"cluster": "child", "user": "me"}}],
            "current-context": "child",
        }
        path = self.folder / f"kubeconfig-{random.getrandbits(32):x}"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return path


def kubectl(kubeconfig: Path, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run kubectl."""
    return subprocess.run(
        ["kubectl", f"--kubeconfig={kubeconfig}", *arguments],
        executable=programs.paths()["kubectl"],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
