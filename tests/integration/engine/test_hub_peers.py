"""Several hubs on one parent: a child is reached through each of them, whichever has its tunnel (spec/04 §4, C4.8)."""

import asyncio
import base64
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from agent_site import AgentSite
from aiohttp import web
from clusternet_engine.certificates import self_signed
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.resources import CONFIG_MAPS, LEASES
from clusternet_engine.kube.tls import unverified_context
from clusternet_engine.serving import ServingTLS
from clusternet_engine.tunnel import frames
from clusternet_engine.tunnel.frames import FrameType
from clusternet_lab import Lab
from clusternet_lab.ports import reserve
from deploying import Deployed
from hub_site import SYSTEM, USUAL_LEASE, HubProcess, eventually, remove_api_services
from peer_site import PeerHub, PeerSite
from publishing import FakeCluster, config_map
from revival import revive_api_server
from tunnel_site import TunnelSite

DISCONNECTED = "agent is disconnected"


@pytest.fixture
async def peers(lab: Lab, parent: Client, hub_kubeconfig: Path, tmp_path: Path) -> AsyncIterator[PeerSite]:
    site = PeerSite(lab, parent, hub_kubeconfig, tmp_path)
    try:
        yield site
    finally:
        await remove_api_services(parent, lab.cluster("parent").engine_port)
        await site.end()


@pytest.fixture
async def tunnel(lab: Lab, peers: PeerSite, site: AgentSite, tmp_path: Path) -> AsyncIterator[TunnelSite]:
    """A child, not yet started."""
    tunnel = TunnelSite(lab, site, tmp_path)
    yield tunnel
    if tunnel.id:
        await tunnel.end()


async def answers(hub: PeerHub, tunnel: TunnelSite, timeout: float = 30.0) -> None:
    """Wait until the child answers a request that reaches this hub."""
    async with hub.caller(tunnel.token) as caller:

        async def answered() -> bool:
            async with caller.get(f"{tunnel.path}/api/v1/namespaces/default") as answer:
                return answer.status == 200

        await eventually(answered, timeout, "the child answers through this hub")


async def is_disconnected(hub: PeerHub, tunnel: TunnelSite) -> None:
    """Wait until the hub refuses a request because nobody has the tunnel."""
    async with hub.caller(tunnel.token) as caller:

        async def refused() -> bool:
            async with caller.get(f"{tunnel.path}/version") as answer:
                return answer.status == 400 and DISCONNECTED in await answer.text()

        await eventually(refused)


async def test_c4_8_each_of_three_hubs_reaches_the_child(peers: PeerSite, tunnel: TunnelSite) -> None:
    hubs = await peers.start(3)
    await tunnel.start()
    me = f"system:serviceaccount:{tunnel.site.namespace}:clusternet-app-deployer"
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = f"{tunnel.path}/apis/authentication.k8s.io/v1/selfsubjectreviews"
    for hub in hubs:
        await answers(hub, tunnel)
        async with hub.caller(tunnel.token) as caller, caller.post(path, json=review) as answer:
            assert (answer.status, (await answer.json())["status"]["userInfo"]["username"]) == (201, me)
        async with hub.caller() as caller, caller.post(path, json=review) as answer:
            assert answer.status in (401, 403), "without a credential nobody is anybody, through peers, too"
    await peers.ask(hubs[1])
    await tunnel.is_connected()
    assert "tunnel opened" in hubs[0].log
    assert not [hub for hub in hubs[1:] if "tunnel opened" in hub.log]

    secrets = [tunnel.token, *(advert["token"] for advert in (await peers.leases()).values())]
    assert len(secrets) == 4
    for hub in hubs:
        arguments = " ".join(psutil.Process(hub.process.process.pid).cmdline())
        assert not [secret for secret in secrets if secret in hub.log or secret in arguments]

    tunnel.agent.kill()
    for hub in hubs:
        await is_disconnected(hub, tunnel)


async def test_watches_and_big_bodies_through_a_peer(peers: PeerSite, tunnel: TunnelSite) -> None:
    _, other = await peers.start(2)
    await tunnel.start()
    await peers.ask(other)
    await tunnel.is_connected()
    namespace = tunnel.site.namespace
    maps = f"{tunnel.path}/api/v1/namespaces/{namespace}/configmaps"
    bodies = {f"m{number}": base64.b64encode(os.urandom(500_000)).decode() for number in range(6)}
    async with tunnel.caller(headers=tunnel.headers()) as caller, asyncio.timeout(60):
        async with caller.get(f"{maps}?watch=true&resourceVersion=0") as watch:

            async def create(name: str) -> None:
                body = {"metadata": {"name": name}, "data": {"x": bodies[name]}}
                async with caller.post(maps, json=body) as answer:
                    assert answer.status == 201, await answer.text()

            await asyncio.gather(*map(create, bodies))
            seen = {}
            buffer = b""
            while seen != bodies:
                buffer += await watch.content.readany()
                *lines, buffer = buffer.split(b"\n")
                found = [json.loads(line)["object"] for line in lines]
                seen |= {one["metadata"]["name"]: one["data"]["x"] for one in found if "x" in one["data"]}
        async with caller.get(maps) as answer:
            items = (await answer.json())["items"]
        assert {item["metadata"]["name"]: item["data"]["x"] for item in items if "x" in item["data"]} == bodies


async def test_c4_6_upgrades_through_a_peer(peers: PeerSite, tunnel: TunnelSite) -> None:
    """What exec and port-forward do, against a server that stands for a kubelet."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"Upgrade: SPDY/3.1\r\n" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nprompt> ")
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
        writer.close()

    holder, other = await peers.start(2)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await tunnel.start(f"--socket-destinations=127.0.0.1:{port}")
    await answers(other, tunnel)
    path = tunnel.path.replace("/direct", f"/http/127.0.0.1:{port}/exec?command=sh")
    async with server, other.caller() as caller, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", other.port, ssl=caller.connector._ssl)
        head = "Host: x\r\nX-Remote-User: clusternet\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0"
        writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n\r\n".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        assert await reader.readexactly(8) == b"prompt> "
        for size in (1, 100, 1_000_000):
            sent = os.urandom(size)
            writer.write(sent)
            assert await reader.readexactly(size) == sent
        holder.process.kill()
        async with asyncio.timeout(3):
            assert await reader.read() == b"", "the end of the peer is the end of the session"
        writer.close()


@pytest.mark.parametrize("gracefully", [True, False])
async def test_the_hub_with_the_tunnel_is_lost(peers: PeerSite, tunnel: TunnelSite, gracefully: bool) -> None:
    """Errors at once, then the agent comes to another hub; nothing is left of the lost one."""
    holder, second, third = await peers.start(3)
    await tunnel.start()
    await answers(third, tunnel)
    await peers.ask(second)
    names = set(await peers.leases())
    async with third.caller(tunnel.token) as caller:
        watch = await caller.get(f"{tunnel.path}/api/v1/namespaces?watch=true")
        await watch.content.readline()
        began = time.monotonic()
        if gracefully:
            holder.process.stop()
        else:
            holder.process.kill()
        async with asyncio.timeout(8):
            with pytest.raises(aiohttp.ClientPayloadError):
                await watch.read()
        assert gracefully or time.monotonic() - began < 3
    await answers(second, tunnel)
    await answers(third, tunnel)
    assert "tunnel opened" in second.log

    async def cleared() -> bool:
        left = await peers.leases()
        return len(left) == 2 and set(left) < names

    await eventually(cleared)
    await peers.meshed(second, third)
    holder.start()
    await peers.meshed(*peers.hubs)
    await answers(holder, tunnel)


async def test_a_hub_without_the_tunnel_is_lost(peers: PeerSite, tunnel: TunnelSite) -> None:
    """Nobody else notices; when it is back at the same port it is another one for the others, and reaches the child."""
    holder, second, third = await peers.start(3)
    await tunnel.start()
    await answers(third, tunnel)
    async with third.caller(tunnel.token) as caller:
        watch = await caller.get(f"{tunnel.path}/api/v1/namespaces?watch=true")
        await watch.content.readline()
        second.process.kill()
        await peers.meshed(holder, third)
        second.start()
        await peers.meshed(holder, second, third)
        await answers(second, tunnel)
        assert not watch.content.at_eof()
        watch.close()
    assert holder.log.count("tunnel opened") == 1


async def test_a_frozen_hub_is_given_up_and_taken_back(peers: PeerSite, tunnel: TunnelSite) -> None:
    holder, other = await peers.start(2)
    await tunnel.start()
    await answers(other, tunnel)
    await peers.ask(other)
    process = holder.process.process
    async with other.caller(tunnel.token) as caller:
        watch = await caller.get(f"{tunnel.path}/api/v1/namespaces?watch=true")
        await watch.content.readline()
        process.send_signal(signal.SIGSTOP)
        try:
            async with asyncio.timeout(30):
                with pytest.raises(aiohttp.ClientPayloadError):
                    await watch.read()
            await answers(other, tunnel, 60)

            async def forgotten() -> bool:
                return len(await peers.leases()) == 1

            await eventually(forgotten)
        finally:
            process.send_signal(signal.SIGCONT)
    await peers.meshed(holder, other)
    await answers(holder, tunnel)


async def test_an_agent_moves_from_hub_to_hub_under_load(peers: PeerSite, tunnel: TunnelSite) -> None:
    """Whoever asks gets an answer or an error at once; afterwards all is well at every hub."""
    hubs = await peers.start(3)
    await tunnel.start()
    for hub in hubs:
        await answers(hub, tunnel)
    outcomes: list[int] = []
    slowest = 0.0
    moving = asyncio.Event()

    async def ask(hub: PeerHub) -> None:
        nonlocal slowest
        async with hub.caller(tunnel.token) as caller:
            while not moving.is_set():
                began = time.monotonic()
                async with caller.get(f"{tunnel.path}/api/v1/namespaces/default") as answer:
                    outcomes.append(answer.status)
                    if answer.status == 200:
                        assert (await answer.json())["metadata"]["name"] == "default"
                slowest = max(slowest, time.monotonic() - began)
                await asyncio.sleep(0.01)

    load = [asyncio.create_task(ask(hub)) for hub in hubs for _ in range(2)]
    for hub in (hubs[1], hubs[2], hubs[0]):
        await peers.ask(hub)
        opened = hub.log.count("tunnel opened")
        tunnel.agent.kill()
        tunnel.start_agent()

        async def moved(hub: PeerHub = hub, opened: int = opened) -> bool:
            return hub.log.count("tunnel opened") > opened

        await eventually(moved, 60)
        await asyncio.gather(*(answers(one, tunnel) for one in hubs))
        outcomes_before = len(outcomes)

        async def asked(before: int = outcomes_before) -> bool:
            return len(outcomes) > before + 60

        await eventually(asked)
        assert set(outcomes[outcomes_before + 6 :]) == {200}, "six were under way"
    moving.set()
    await asyncio.gather(*load)
    assert set(outcomes) <= {200, 400, 502}
    assert slowest < 10


async def test_c4_8_the_leader_deploys_through_the_hub_with_the_tunnel(
    lab: Lab, parent: Client, peers: PeerSite, tunnel: TunnelSite
) -> None:
    leader, other = await peers.start(2, *USUAL_LEASE)

    async def led() -> bool:
        return leader.leads or other.leads

    await eventually(led)
    if other.leads:
        leader, other = other, leader
    await peers.ask(other)
    await tunnel.start("--cluster-sync-mode=Push", "--feature-gates=SocketConnection=true,AppPusher=true")
    assert "tunnel opened" in other.log
    assert "tunnel opened" not in leader.log
    site = tunnel.site
    metadata = (await site.managed_cluster())["metadata"]
    deployed = Deployed(parent, FakeCluster(metadata["name"], metadata["namespace"], tunnel.id))

    async def content() -> dict[str, str]:
        return dict((await site.child.get(CONFIG_MAPS, "pushed", site.namespace))["data"])

    await deployed.create(config_map("pushed", site.namespace, a="1"))
    await deployed.reaches("Success")
    assert await content() == {"a": "1"}
    tunnel.agent.stop()
    await deployed.change(config_map("pushed", site.namespace, a="2"))

    async def told() -> bool:
        return "is disconnected" in leader.log

    await eventually(told)
    assert await content() == {"a": "1"}
    tunnel.start_agent()
    await deployed.reaches("Success")
    assert await content() == {"a": "2"}
    assert not other.leads


async def test_wrong_tokens_are_refused_and_told(peers: PeerSite) -> None:
    hub, _ = await peers.start(2)
    adverts = {advert["port"]: advert for advert in (await peers.leases()).values()}
    other = next(advert for port, advert in adverts.items() if port != hub.peer_port)
    url = f"https://127.0.0.1:{hub.peer_port}/connect"
    async with aiohttp.ClientSession() as client:
        for identity, token in ((other["id"], "wrong"), ("nobody", other["token"]), (other["id"], other["token"])):
            headers = {"X-API-Tunnel-ID": identity, "X-API-Tunnel-Token": token}
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect(url, headers=headers, ssl=unverified_context())
            assert refused.value.status == 401, "the token alone isn't enough where the Lease tells of a certificate"
            assert f"refused 127.0.0.1, who says to be hub {identity!r}" in hub.log
    assert other["token"] not in hub.log
    await peers.meshed(*peers.hubs)


async def test_abandoned_leases_are_removed(parent: Client, peers: PeerSite) -> None:
    def lease(name: str, **spec: Any) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": {"leaseDurationSeconds": 1, **spec}}

    holder = json.dumps({"identity": "gone", "id": "gone1", "host": "127.0.0.1", "port": 1, "token": "x"})
    for body in (
        lease("clusternet-hub-peer-gone1", holderIdentity=holder),
        lease("clusternet-hub-peer-gone2", holderIdentity=""),
        lease("other-gone3", holderIdentity="somebody"),
    ):
        await parent.create(LEASES, body, SYSTEM)
    await peers.start(2)

    async def removed() -> bool:
        return not any("gone" in name for name in await peers.leases())

    await eventually(removed)
    assert await parent.get(LEASES, "other-gone3", SYSTEM)
    await parent.delete(LEASES, "other-gone3", SYSTEM)
    assert len(await peers.leases()) == 2
    assert any("hub gone1 at 127.0.0.1:1 can't be reached" in hub.log for hub in peers.hubs)


async def test_a_hub_that_is_deleted_from_the_leases_comes_back(parent: Client, peers: PeerSite) -> None:
    hubs = await peers.start(2)
    names = set(await peers.leases())
    for name in names:
        await parent.delete(LEASES, name, SYSTEM)

    async def back() -> bool:
        found = await peers.leases()
        return set(found) == names and all(found.values())

    await eventually(back)
    await peers.meshed(*hubs)


async def test_peers_stay_connected_while_the_parent_is_away(lab: Lab, peers: PeerSite) -> None:
    """Nor do they take each other for gone afterwards, although nobody could renew a Lease."""
    hubs = await peers.start(2)
    names = set(await peers.leases())
    await asyncio.to_thread(lab.kill, "parent", "kube-apiserver")
    try:

        async def noticed() -> bool:
            return all(
                re.search(r"lease \S+/clusternet-hub-peer-\w+ lost: not renewed in time", hub.log) for hub in hubs
            )

        await eventually(noticed)
        connections = [hub.log.count("connected, ") for hub in hubs]
        await peers.connected(*hubs)
    finally:
        await asyncio.to_thread(revive_api_server, lab, "parent")

    async def renewed() -> bool:
        return all(len(re.findall(r"/clusternet-hub-peer-\w+ acquired", hub.log)) > 1 for hub in hubs)

    await eventually(renewed)
    await peers.meshed(*hubs)
    assert set(await peers.leases()) == names
    assert [hub.log.count("connected, ") for hub in hubs] == connections


def test_a_port_that_is_taken(hub_kubeconfig: Path, tmp_path: Path) -> None:
    """It is told which flag to change."""
    flags = ("--bind-address=127.0.0.1", "--feature-gates=SocketConnection=true")
    peer_port, *ports = reserve(tmp_path, 3)
    flags_of_each = [(*flags, f"--secure-port={port}", f"--peer-port={peer_port}") for port in ports]
    first = HubProcess(hub_kubeconfig, tmp_path / "one", *flags_of_each[0])
    try:
        deadline = time.monotonic() + 30
        while "listening for other hubs" not in first.log:
            assert time.monotonic() < deadline, first.log
            time.sleep(0.05)
        log = tmp_path / "two"
        second = HubProcess(hub_kubeconfig, log, *flags_of_each[1])
        assert second.process.wait(timeout=30) == 1
        assert "cannot listen for other hubs (--peer-port)" in log.read_text()
    finally:
        first.end()


def test_without_leader_election_there_are_no_peers(hub_kubeconfig: Path, tmp_path: Path) -> None:
    """The flags are Clusternet's: replicas find each other only with --leader-elect."""
    (port,) = reserve(tmp_path, 1)
    flags = ("--bind-address=127.0.0.1", f"--secure-port={port}", "--leader-elect=false")
    hub = HubProcess(hub_kubeconfig, tmp_path / "log", *flags, "--feature-gates=SocketConnection=true")
    try:
        deadline = time.monotonic() + 30
        while not hub.leads:
            assert time.monotonic() < deadline, hub.log
            time.sleep(0.05)
        assert "other hubs" not in hub.log
    finally:
        hub.stop()


async def test_c4_8_a_hub_of_clusternets_own_is_a_peer(parent: Client, peers: PeerSite, tunnel: TunnelSite) -> None:
    """The test speaks for it, byte by byte: it is dialled, told of the agent, and lends one that it says to have."""
    (hub,) = await peers.start(1)
    await tunnel.start()
    child = ClusterConfig.from_kubeconfig(tunnel.lab.cluster(AgentSite.cluster).kubeconfig)
    address = child.server.removeprefix("https://")
    dialled: asyncio.Future[tuple[dict[str, str], web.WebSocketResponse]] = asyncio.get_running_loop().create_future()

    async def connect(request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(autoping=False)
        await websocket.prepare(request)
        dialled.set_result((dict(request.headers), websocket))
        await asyncio.Event().wait()
        return websocket

    app = web.Application()
    app.router.add_get("/connect", connect)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ServingTLS(self_signed()).context).start()
    own = {"identity": "clusternet_1", "id": "x7kq2", "host": "127.0.0.1", "port": runner.addresses[0][1]}
    spec = {"leaseDurationSeconds": 120, "holderIdentity": json.dumps({**own, "token": "Cheugy"})}
    await parent.create(LEASES, {"metadata": {"name": "clusternet-hub-peer-x7kq2"}, "spec": spec}, SYSTEM)
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as client:
            headers, lent = await dialled
            advert = await peers.advert(hub)
            assert headers["X-API-Tunnel-ID"] == advert["id"]
            assert headers["X-API-Tunnel-Token"] == advert["token"]
            added = await binary(lent)
            assert (added.connection, added.type, added.text.split("/")[0]) == (0, 4, tunnel.id)
            # It asks for the child through the hub: TLS would follow.
            await lent.send_bytes(bytes.fromhex("020404b0ea01") + f"{tunnel.id}::tcp/{address}".encode())
            await lent.send_bytes(bytes.fromhex("040402b0ea01") + b"GET / HTTP/1.0\r\n\r\n")
            assert b"Client sent an HTTP request to an HTTPS server" in bytes((await binary(lent)).payload)

            tunnel.agent.kill()
            removed = await binary(lent, FrameType.REMOVE_CLIENT)
            assert removed.text == added.text
            await is_disconnected(hub, tunnel)

            # The agent is connected with it instead: the hub asks it for the child.
            borrowed = await client.ws_connect(
                f"wss://127.0.0.1:{hub.peer_port}/connect",
                headers={"X-API-Tunnel-ID": "x7kq2", "X-API-Tunnel-Token": "Cheugy"},
                ssl=unverified_context(),
                autoping=False,
            )
            await borrowed.send_bytes(bytes.fromhex("020008") + f"{tunnel.id}/42".encode())
            answering = asyncio.create_task(answers(hub, tunnel, 50))
            asked = await binary(borrowed, FrameType.CONNECT)
            assert bytes(asked.payload) == f"{tunnel.id}::tcp/{address}".encode()
            serving = asyncio.create_task(serve_child(borrowed, asked.connection, address))
            await answering
            serving.cancel()
            await borrowed.close()
            await is_disconnected(hub, tunnel)
    finally:
        await parent.delete(LEASES, "clusternet-hub-peer-x7kq2", SYSTEM)
        await runner.cleanup()


async def binary(
    socket: aiohttp.ClientWebSocketResponse | web.WebSocketResponse, kind: FrameType | None = None
) -> frames.Frame:
    """Return the next frame, of a kind if one is named; pings are answered."""
    while True:
        message = await socket.receive()
        if message.type is aiohttp.WSMsgType.PING:
            await socket.pong(message.data)
            continue
        assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.PONG), message
        if message.type is aiohttp.WSMsgType.BINARY:
            frame = frames.decode(message.data)
            if kind in (None, frame.type):
                return frame


async def serve_child(socket: aiohttp.ClientWebSocketResponse, connection: int, address: str) -> None:
    """Join one stream to the child's API server."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))

    async def back() -> None:
        while data := await reader.read(2**15):
            await socket.send_bytes(frames.encode(1, connection, FrameType.DATA, data))

    pump = asyncio.create_task(back())
    try:
        while True:
            frame = await binary(socket)
            if frame.connection == connection and frame.type == FrameType.DATA:
                writer.write(bytes(frame.payload))
    finally:
        pump.cancel()
        writer.close()
