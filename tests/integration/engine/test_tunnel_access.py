"""Who may use tunnels, as whom, where they lead, and what is told of it (spec/04 §6)."""

import asyncio
import base64
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from agent_site import AgentSite
from ansible_collections.clusternet.core.plugins.module_utils.auth import connection_settings
from ansible_collections.clusternet.core.plugins.module_utils.client import Client as ModuleClient
from ansible_collections.clusternet.core.plugins.module_utils.hidden_statuses import HiddenStatuses
from ansible_collections.clusternet.core.plugins.module_utils.publication import Publication, objects_of
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    MANAGED_CLUSTERS,
    NAMESPACES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Resource,
)
from clusternet_lab import Lab
from deploying import encode
from hub_site import eventually
from publishing import deployment
from stand_in import StandIn, stand_in
from tunnel_site import TunnelHub, TunnelSite

USER = {"Impersonate-User": "clusternet"}
NAMESPACE = "default"
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", namespaced=True)


class Users:
    """ServiceAccounts of the parent; all go in the end."""

    def __init__(self, parent: Client, stack: AsyncExitStack) -> None:
        self._parent = parent
        self._stack = stack

    async def make(self, *, may_use_tunnels: bool) -> str:
        """Make one and return its token."""
        name = f"user-{uuid.uuid4().hex[:8]}"
        await self._parent.create(SERVICE_ACCOUNTS, {"metadata": {"name": name}}, NAMESPACE)
        self._stack.push_async_callback(self._parent.delete, SERVICE_ACCOUNTS, name, NAMESPACE)
        if may_use_tunnels:
            binding = {
                "metadata": {"name": name},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "clusternet:system:socketsproxy",
                },
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
            }
            await self._parent.create(CLUSTER_ROLE_BINDINGS, binding)
            self._stack.push_async_callback(self._parent.delete, CLUSTER_ROLE_BINDINGS, name)
        metadata = {"name": name, "annotations": {"kubernetes.io/service-account.name": name}}
        secret = {"type": "kubernetes.io/service-account-token", "metadata": metadata}
        await self._parent.create(SECRETS, secret, NAMESPACE)

        async def token() -> str:
            return str(((await self._parent.get(SECRETS, name, NAMESPACE)).get("data") or {}).get("token") or "")

        return base64.b64decode(await eventually(token)).decode()


@pytest.fixture
async def users(parent: Client) -> AsyncIterator[Users]:
    """Makes users for one test."""
    async with AsyncExitStack() as stack:
        yield Users(parent, stack)


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    """What the hub shall not reach, unless the agent's operator says so."""
    async with stand_in() as made:
        yield made


async def refusal(caller: aiohttp.ClientSession, path: str, **headers: str) -> tuple[int, str]:
    """Return status and text of an answer."""
    async with caller.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()}) as answer:
        return answer.status, await answer.text()


async def test_named_users_may_what_they_are_bound_to(tunnel: TunnelSite, users: Users) -> None:
    namespaces = f"{tunnel.path}/api/v1/namespaces"
    bound = await users.make(may_use_tunnels=True)
    unbound = await users.make(may_use_tunnels=False)
    token = {"Impersonate-Extra-Clusternet-Token": tunnel.token}
    async with tunnel.caller(bound) as caller:

        async def may() -> bool:
            return (await refusal(caller, namespaces, **USER, **token))[0] == 200

        await eventually(may, 30, "the binding has its effect")
        status, text = await refusal(caller, namespaces)
        assert status == 403
        assert 'User \\"system:anonymous\\"' in text, "at the child, as no credential of it is shown"
        for headers, denied in (
            ({"Impersonate-User": "jane", **token}, 'impersonate resource \\"users\\"'),
            ({**USER, "Impersonate-Group": "system:masters", **token}, 'impersonate resource \\"groups\\"'),
            ({**USER, "Impersonate-Extra-Other": "x", **token}, 'impersonate resource \\"userextras/other\\"'),
        ):
            status, text = await refusal(caller, namespaces, **headers)
            assert (status, denied in text) == (403, True), text
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await caller.ws_connect(tunnel.path.removesuffix("/proxy/direct"))
        assert refused.value.status == 403, "whoever may use tunnels may not open one"
    async with tunnel.caller(unbound) as caller:
        for headers in ({}, USER, {**USER, **token}):
            assert (await refusal(caller, namespaces, **headers))[0] == 403, headers
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await caller.ws_connect(tunnel.path.removesuffix("/proxy/direct"))
        assert refused.value.status == 403
    async with tunnel.caller() as admin:
        status, text = await refusal(admin, namespaces, **{"Impersonate-User": "jane", **token})
        assert status == 403
        assert 'User \\"jane\\"' in text, "a foreign user is asked what he may himself"


async def test_the_agent_decides_where_a_tunnel_leads(
    lab: Lab, tunnel_hub: TunnelHub, site: AgentSite, server: StandIn, tmp_path: Path
) -> None:
    async with stand_in() as allowed:
        tunnel = TunnelSite(lab, site, tmp_path)
        await tunnel.start(f"--socket-destinations=127.0.0.1:{allowed.port},10.0.0.0/8")
        forbidden = (
            f"127.0.0.1:{server.port}",
            f"localhost:{server.port}",
            f"127.0.0.2:{allowed.port}",
            "169.254.169.254",
            "metadata.google.internal",
        )
        async with tunnel.caller() as caller:
            for host in (f"127.0.0.1:{allowed.port}", f"localhost:{allowed.port}"):
                path = tunnel.path.replace("/direct", f"/http/{host}/blocks/5")
                assert (await refusal(caller, path))[0] == 200, host
            for host in forbidden:
                status, text = await refusal(caller, tunnel.path.replace("/direct", f"/http/{host}/blocks/5"))
                assert status == 502, text
                assert f"cannot reach {host}" in text
        assert server.sent == 0
        for host in forbidden[:3]:
            assert f"the hub asked for {host}, which is not among the allowed destinations" in site.log
        await tunnel.end()


async def test_no_child_takes_the_place_of_another(
    parent: Client, tunnel: TunnelSite, tunnel_hub: TunnelHub, server: StandIn
) -> None:
    """A child may make ManagedClusters in its own namespace; this one is listed before the one it wants to replace."""
    namespace = f"a-{uuid.uuid4().hex[:8]}"
    await parent.create(NAMESPACES, {"metadata": {"name": namespace}})
    fake = {
        "apiVersion": MANAGED_CLUSTERS.api_version,
        "kind": MANAGED_CLUSTERS.kind,
        "metadata": {"name": "fake"},
        "spec": {"clusterId": tunnel.id, "syncMode": "Dual"},
    }
    await parent.create(MANAGED_CLUSTERS, fake, namespace)
    status = {"status": {"apiserverURL": f"http://127.0.0.1:{server.port}", "useSocket": True}}
    await parent.patch(MANAGED_CLUSTERS, "fake", status, namespace, subresource="status")
    tunnel_hub.process.stop()
    tunnel_hub.start()
    await tunnel_hub.is_ready()
    await tunnel.is_connected()
    async with tunnel.caller() as caller:
        for _ in range(3):
            assert (await refusal(caller, f"{tunnel.path}/api/v1/namespaces", **tunnel.headers()))[0] == 200
    assert server.sent == 0
    await parent.delete(NAMESPACES, namespace)


async def test_nothing_secret_is_logged(
    lab: Lab, tunnel_hub: TunnelHub, site: AgentSite, server: StandIn, tmp_path: Path, users: Users
) -> None:
    """Not even by programs that tell everything, and not in the audit log, by the policy that the role recommends."""
    tunnel_hub.process.stop()
    tunnel_hub.start("--v=10")
    await tunnel_hub.is_ready()
    tunnel = TunnelSite(lab, site, tmp_path)
    await tunnel.start("--v=10")
    admin = ClusterConfig.from_kubeconfig(lab.cluster(AgentSite.cluster).kubeconfig)
    assert admin.client_certificate is not None
    assert admin.client_key is not None
    certificate, key = (base64.b64encode(pem).decode() for pem in (admin.client_certificate, admin.client_key))
    bound = await users.make(may_use_tunnels=True)
    token = {"Impersonate-Extra-Clusternet-Token": tunnel.token}
    pair = {"Impersonate-Extra-Clusternet-Certificate": certificate, "Impersonate-Extra-Clusternet-PrivateKey": key}
    async with tunnel.caller(bound) as caller:
        for headers in (token, pair, token | pair, {**pair, "Impersonate-Extra-Clusternet-PrivateKey": key[1:]}):
            for path in ("/api/v1/namespaces", "/nothing", "/api/v1/namespaces?watch=true&timeoutSeconds=1"):
                await refusal(caller, tunnel.path + path, **USER, **headers)
            await refusal(caller, server.path(tunnel.path) + "/blocks/5", **USER, **headers)
        tunnel.agent.kill()
        await refusal(caller, f"{tunnel.path}/version", **USER, **token)
    dedicated = await site.child.get(SECRETS, "parent-cluster", site.namespace)
    registration = await site.child.get(SECRETS, "clusternet-agent-cluster-registration", site.namespace)
    secrets = {
        "token of the child": tunnel.token,
        "key": key,
        "key as PEM": "PRIVATE KEY",
        "certificate": certificate,
        "token of the user": bound,
        "token of the agent": base64.b64decode(dedicated["data"]["token"]).decode(),
        "bootstrap token": base64.b64decode(registration["data"]["regToken"]).decode().partition(".")[2],
    }
    logs = {
        "hub": tunnel_hub.log,
        "agent": site.log,
        "parent": lab.cluster("parent").layout.log("kube-apiserver").read_text(),
        "audit": lab.cluster("parent").audit_log.read_text(),
    }
    assert "/apis/" in logs["audit"], "the audit log is written"
    for program in ("hub", "agent"):
        assert re.search(r"^D\d{4} ", logs[program], re.MULTILINE), "it tells everything"
    for program, log in logs.items():
        for what, secret in secrets.items():
            assert secret not in log, f"{what} in the log of {program}"
    await tunnel.end()
    tunnel_hub.process.stop()
    tunnel_hub.start()
    await tunnel_hub.is_ready()


async def test_modules_read_on_the_child_what_its_agent_has_hidden(tunnel: TunnelSite, child: Client) -> None:
    """Clusternet's agent reports one status for each namespace and name, whatever the kind."""
    web = deployment(f"web-{uuid.uuid4().hex[:6]}")
    name = web["metadata"]["name"]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}}
    cluster = await tunnel.site.managed_cluster()
    reference = {"kind": "Service", "namespace": "default", "name": name}
    description = {
        "metadata": {
            "namespace": cluster["metadata"]["namespace"],
            "name": "x-generic",
            "generation": 1,
            "labels": {"clusters.clusternet.io/cluster-id": tunnel.id, "clusters.clusternet.io/cluster-name": "x"},
        },
        "spec": {"deployer": "Generic", "raw": [encode(web), encode(service)]},
        "status": {"phase": "Success", "manifestStatuses": [{**reference, "observedStatus": {}}]},
    }
    settings = connection_settings({"kubeconfig": str(tunnel.lab.cluster("parent").kubeconfig)})

    def read() -> str | None:
        hidden = HiddenStatuses(ModuleClient(settings), settings)
        [found] = hidden.completed(Publication({}, [description], [])).descriptions
        assert hidden.found
        return str(objects_of(found)[0]["reason"] or "")

    unread = await asyncio.to_thread(read)
    assert unread.endswith("for each namespace and name, and can't be read there: it isn't there")
    await child.create(DEPLOYMENTS, web)
    try:
        assert await asyncio.to_thread(read) == "0 of 1 replicas are available"
        description["spec"]["raw"][0] = encode(deployment(name, replicas=0))
        assert await asyncio.to_thread(read) == ""
    finally:
        await child.delete(DEPLOYMENTS, name, "default")
