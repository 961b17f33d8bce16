"""Children behind NAT: everything goes parent → hub → tunnel → agent → child (spec/04, spec/06 C4)."""

import asyncio
import base64
import hashlib
import json
import os
import socket
import subprocess
import time
import uuid
from pathlib import Path

import aiohttp
import pytest
from agent_site import AgentSite
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.resources import SECRETS, Resource
from clusternet_engine.kube.tls import client_context
from clusternet_lab import Lab, programs
from deploying import Deployed
from health import answers
from hub_site import eventually
from publishing import FakeCluster, config_map
from tunnel_site import GATES, TunnelHub, TunnelSite, kubectl

ADMIN = "kubernetes-admin"
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)


def admin_extras(lab: Lab) -> tuple[str, str]:
    """Return certificate and key of the child's administrator, as they travel in headers."""
    config = ClusterConfig.from_kubeconfig(lab.cluster(AgentSite.cluster).kubeconfig)
    assert config.client_certificate is not None
    assert config.client_key is not None
    return base64.b64encode(config.client_certificate).decode(), base64.b64encode(config.client_key).decode()


async def test_c4_1_to_c4_5_who_is_who(lab: Lab, tunnel: TunnelSite, tunnel_hub: TunnelHub) -> None:
    """The answers of the reference, as observed (spec/04 §6)."""
    certificate, key = admin_extras(lab)
    user = {"Impersonate-User": "clusternet"}
    token = {"Impersonate-Extra-Clusternet-Token": tunnel.token}
    pair = {"Impersonate-Extra-Clusternet-Certificate": certificate, "Impersonate-Extra-Clusternet-PrivateKey": key}
    me = f"system:serviceaccount:{tunnel.site.namespace}:clusternet-app-deployer"
    cluster = await tunnel.site.managed_cluster()
    assert cluster["status"]["useSocket"] is True
    review = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})

    async def ask(caller: aiohttp.ClientSession, headers: dict[str, str]) -> tuple[int, str]:
        async with caller.post(
            f"{tunnel.path}/apis/authentication.k8s.io/v1/selfsubjectreviews",
            data=review,
            headers={**headers, "Content-Type": "application/json"},
        ) as answer:
            status = (await answer.json()).get("status")
            return answer.status, status["userInfo"]["username"] if answer.status == 201 else ""

    async with tunnel.caller() as admin, tunnel.caller("") as nobody:
        for headers, expected in (
            (user | token, (201, me)),
            (user | pair, (201, ADMIN)),
            (user | pair | token, (201, ADMIN)),
            (user, (403, "")),
            ({}, (403, "")),
            (user | {"Impersonate-Extra-Clusternet-Token": "wrong"}, (401, "")),
            (user | {"Impersonate-Extra-Clusternet-Certificate": certificate}, (403, "")),
            (user | pair | {"Impersonate-Extra-Clusternet-PrivateKey": "not base64"}, (400, "")),
        ):
            assert await ask(admin, headers) == expected, sorted(headers)
        for headers in (user | token, {}):
            assert (await ask(nobody, headers))[0] == 403, "nobody may, unless named"
        async with admin.get(f"{tunnel.path}/version", headers=user | token) as answer:
            assert (await answer.json())["major"] == "1"
        async with admin.get(f"{tunnel.path.replace(tunnel.id, 'unknown')}/version") as answer:
            assert answer.status == 400
            assert "no cluster id is unknown" in await answer.text()
        async with admin.get(tunnel.path, allow_redirects=False) as answer:
            assert answer.status in (301, 502), "API servers turn redirects of aggregated ones into 502"
        async with admin.get(f"{tunnel.path}/%61pi/v1//namespaces/default?x=a+b", headers=user | token) as answer:
            assert (await answer.json())["metadata"]["name"] == "default"
    for secret in (tunnel.token, certificate, key):
        assert secret not in tunnel_hub.log
        assert secret not in tunnel.site.log


async def test_a_child_may_open_its_own_tunnel_only(lab: Lab, tunnel: TunnelSite) -> None:
    secret = await tunnel.site.child.get(SECRETS, "parent-cluster", tunnel.site.namespace)
    credential = base64.b64decode(secret["data"]["token"]).decode()
    sockets = tunnel.path.removesuffix("/proxy/direct")
    async with tunnel.caller(credential) as child:
        async with child.ws_connect(sockets) as own:
            assert not own.closed
        for path in (f"{sockets[:-1]}x", sockets.replace(tunnel.id, str(uuid.uuid4()))):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await child.ws_connect(path)
            assert refused.value.status == 403
        async with child.get(f"{tunnel.path}/version", headers=tunnel.headers()) as answer:
            assert answer.status == 403, "nor may it use tunnels"
        async with child.get(f"{tunnel.path}/version") as answer:
            assert answer.status == 403
    async with tunnel.caller("") as nobody:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await nobody.ws_connect(sockets)
        assert refused.value.status == 403
    await tunnel.is_connected(10)


async def test_kubectl_through_the_parent(tunnel: TunnelSite) -> None:
    kubeconfig, namespace = tunnel.kubeconfig(), tunnel.site.namespace
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"a": "1"}}
    for _ in range(2):
        applied = kubectl(kubeconfig, "apply", f"--namespace={namespace}", "--filename=-", stdin=json.dumps(manifest))
        assert applied.returncode == 0, applied.stderr
    assert kubectl(kubeconfig, "get", f"--namespace={namespace}", "configmaps", "one", "--output=name").stdout == (
        "configmap/one\n"
    )
    watching = await asyncio.create_subprocess_exec(
        "kubectl",
        f"--kubeconfig={kubeconfig}",
        "get",
        f"--namespace={namespace}",
        "configmaps",
        "--field-selector=metadata.name=one",
        "--watch",
        "--output=jsonpath={.data.a}{'\\n'}",
        executable=programs.paths()["kubectl"],
        stdout=subprocess.PIPE,
    )
    assert watching.stdout is not None
    try:
        async with asyncio.timeout(20):
            assert await watching.stdout.readline() == b"1\n"
            patch = kubectl(
                kubeconfig, "patch", f"--namespace={namespace}", "configmap", "one", '--patch={"data":{"a":"2"}}'
            )
            assert patch.returncode == 0, patch.stderr
            assert await watching.stdout.readline() == b"2\n"
    finally:
        watching.terminate()
        await watching.wait()
    deleted = kubectl(kubeconfig, "delete", f"--namespace={namespace}", "configmap", "one")
    assert deleted.returncode == 0, deleted.stderr
    certificate = kubectl(tunnel.kubeconfig({}), "get", "namespaces")
    assert "Forbidden" in certificate.stderr


async def test_big_bodies_and_many_requests(tunnel: TunnelSite) -> None:
    """Secrets of 900 KB, 40 at once, and lists of them: nothing lost or mixed up."""
    async with tunnel.caller(headers=tunnel.headers()) as caller:
        bodies = {f"s{number}": base64.b64encode(os.urandom(675_000)).decode() for number in range(8)}
        path = f"{tunnel.path}/api/v1/namespaces/{tunnel.site.namespace}/secrets"

        async def create(name: str) -> None:
            body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {"x": bodies[name]}}
            async with caller.post(path, json=body) as answer:
                assert answer.status == 201, await answer.text()

        async def read(name: str) -> None:
            async with caller.get(f"{path}/{name}") as answer:
                found = (await answer.json())["data"]["x"]
            assert hashlib.sha256(found.encode()).digest() == hashlib.sha256(bodies[name].encode()).digest()

        await asyncio.gather(*map(create, bodies))
        await asyncio.gather(*(read(name) for name in bodies for _ in range(5)))
        async with caller.get(path) as answer:
            items = (await answer.json())["items"]
        assert {item["metadata"]["name"]: item["data"]["x"] for item in items if "x" in item["data"]} == bodies

        async def small(number: int) -> None:
            async with caller.get(f"{path}?fieldSelector=metadata.name%3Dn{number}") as answer:
                assert (await answer.json())["items"] == []

        await asyncio.gather(*map(small, range(300)))


async def test_an_agent_with_a_tunnel_is_ready(tunnel: TunnelSite) -> None:
    tunnel.agent.stop()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    tunnel.start_agent(f"--secure-port={port}")
    assert await answers(port, "/readyz") == "ok"


async def test_a_killed_agent_is_an_error_at_once_and_a_new_one_serves(tunnel: TunnelSite) -> None:
    async with tunnel.caller(headers=tunnel.headers()) as caller:
        watch = await caller.get(f"{tunnel.path}/api/v1/namespaces?watch=true")
        await watch.content.readline()
        tunnel.agent.kill()
        began = time.monotonic()
        async with asyncio.timeout(5):
            with pytest.raises(aiohttp.ClientPayloadError):
                await watch.read()
        async with caller.get(f"{tunnel.path}/version") as answer:
            assert answer.status == 400
            assert "agent is disconnected" in await answer.text()
        assert time.monotonic() - began < 2
    tunnel.start_agent()
    await tunnel.is_connected()


async def test_pushed_objects_go_through_the_tunnel(
    lab: Lab, tunnel_hub: TunnelHub, site: AgentSite, tmp_path: Path
) -> None:
    tunnel = TunnelSite(lab, site, tmp_path)
    await tunnel.start("--cluster-sync-mode=Push", f"{GATES},AppPusher=true")
    metadata = (await site.managed_cluster())["metadata"]
    deployed = Deployed(site.parent, FakeCluster(metadata["name"], metadata["namespace"], tunnel.id))

    async def content() -> dict[str, str]:
        return dict((await site.child.get(CONFIG_MAPS, "pushed", site.namespace))["data"])

    await deployed.create(config_map("pushed", site.namespace, a="1"))
    await deployed.reaches("Success")
    assert await content() == {"a": "1"}
    tunnel.agent.stop()
    await deployed.change(config_map("pushed", site.namespace, a="2"))
    await eventually(lambda: told(tunnel_hub), 10)
    assert await content() == {"a": "1"}
    tunnel.start_agent()
    await deployed.reaches("Success")
    assert await content() == {"a": "2"}
    await tunnel.end()


async def told(hub: TunnelHub) -> bool:
    return "is disconnected" in hub.log


@pytest.mark.parametrize("gracefully", [True, False])
async def test_a_hub_that_starts_again_is_found(tunnel: TunnelSite, tunnel_hub: TunnelHub, gracefully: bool) -> None:
    async with tunnel.caller(headers=tunnel.headers()) as caller:
        watch = await caller.get(f"{tunnel.path}/api/v1/namespaces?watch=true")
        await watch.content.readline()
        if gracefully:
            tunnel_hub.process.stop()
        else:
            tunnel_hub.process.kill()
        async with asyncio.timeout(5):
            with pytest.raises(aiohttp.ClientPayloadError):
                await watch.read()
    tunnel_hub.start()
    await tunnel.is_connected()


async def test_c4_6_upgrades_through_the_parent(
    lab: Lab, tunnel_hub: TunnelHub, site: AgentSite, tmp_path: Path
) -> None:
    """What exec, attach and port-forward do, against a server that stands for a kubelet: the lab has none."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"Upgrade: SPDY/3.1\r\n" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nprompt> ")
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tunnel = TunnelSite(lab, site, tmp_path)
    await tunnel.start(f"--socket-destinations=127.0.0.1:{port}")
    parent = ClusterConfig.from_kubeconfig(lab.cluster("parent").kubeconfig)
    context = client_context(parent.ca_data, certificate=parent.client_certificate, key=parent.client_key)
    host, _, parent_port = parent.server.removeprefix("https://").rpartition(":")
    path = tunnel.path.replace("/direct", f"/http/127.0.0.1:{port}/exec?command=sh")
    async with server, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(host, int(parent_port), ssl=context)
        headers = "Host: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n"
        writer.write(f"POST {path} HTTP/1.1\r\n{headers}".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert await reader.readexactly(8) == b"prompt> "
        for size in (1, 100, 1_000_000):
            sent = os.urandom(size)
            writer.write(sent)
            assert await reader.readexactly(size) == sent
        tunnel.agent.kill()
        assert await reader.read() == b"", "the end of the tunnel is the end of the session"
        writer.close()
    async with tunnel.caller() as caller, caller.get(path) as answer:
        assert answer.status == 400
    await tunnel.end()
