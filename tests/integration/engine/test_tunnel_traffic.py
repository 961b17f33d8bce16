"""What one tunnel carries at the same time: kubectl's streams, big bodies, many requests and watches, slow readers.

Four streams of kubectl are opened first and live on beside all other tests of this file; the last test waits until
they are older than 90 s.
"""

import asyncio
import hashlib
import json
import os
import re
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import psutil
import pytest
import pytest_asyncio
from agent_site import AgentSite
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.resources import Resource
from clusternet_lab import Lab, programs
from hub_site import eventually
from kubelet import Kubelet
from stand_in import BLOCK, StandIn, stand_in
from tunnel_site import TunnelHub, TunnelSite

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = 92.0
BIG = 5_000_000
MIB = 2**20
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
SPDY = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"}


class Traffic:
    """A tunnel, a pod and a server behind it.

    Attributes:
        conversations: streams that live on, by name.
    """

    def __init__(self, hub: TunnelHub, tunnel: TunnelSite, kubelet: Kubelet, server: StandIn) -> None:
        self.hub = hub
        self.tunnel = tunnel
        self.kubelet = kubelet
        self.server = server
        self.path = server.path(tunnel.path)
        self.kubeconfig = tunnel.kubeconfig()
        self.conversations: dict[str, asyncio.Task[float]] = {}

    def caller(self) -> aiohttp.ClientSession:
        """Return a client that is an administrator of the child."""
        return self.tunnel.caller(headers=self.tunnel.headers())

    @asynccontextmanager
    async def kubectl(self, *arguments: str, **environment: str) -> AsyncIterator[Process]:
        """Run kubectl until the block ends."""
        process = await asyncio.create_subprocess_exec(
            "kubectl",
            f"--kubeconfig={self.kubeconfig}",
            f"--namespace={self.tunnel.site.namespace}",
            *arguments,
            executable=programs.paths()["kubectl"],
            stdin=PIPE,
            stdout=PIPE,
            env={**os.environ, **environment},
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    @asynccontextmanager
    async def forwarded(self, **environment: str) -> AsyncIterator[str]:
        """Forward a port of this machine to the pod's port 80, behind which the server is; return its URL."""
        async with self.kubectl("port-forward", self.kubelet.pod, ":80", **environment) as process:
            line = await heard(process)
            found = re.fullmatch(r"Forwarding from (127\.0\.0\.1:\d+) -> 80", line)
            assert found, line
            yield f"http://{found[1]}"

    async def converse(self, say: Callable[[str], Awaitable[None]], hear: Callable[[], Awaitable[str]]) -> float:
        """Say something each second and hear it, until the stream is old; return its age."""
        began, number = time.monotonic(), 0
        while (age := time.monotonic() - began) < LONG:
            await say(f"line {number}")
            async with asyncio.timeout(30):
                assert await hear() == f"line {number}"
            number += 1
            await asyncio.sleep(1)
        return age

    async def logs(self) -> float:
        """Follow the pod's log."""

        async def say(text: str) -> None:
            self.kubelet.say(text)

        self.kubelet.say("begin")
        async with self.kubectl("logs", "--follow", self.kubelet.pod) as process:
            while await heard(process) != "begin":
                pass
            return await self.converse(say, lambda: heard(process))

    async def executed(self) -> float:
        """Talk to a command that repeats what it is told."""
        async with self.kubectl("exec", "--stdin", self.kubelet.pod, "--", "cat") as process:

            async def say(text: str) -> None:
                await told(process, f"{text}\n".encode())

            return await self.converse(say, lambda: heard(process))

    async def watched(self, child: Client) -> float:
        """Watch an object change."""
        namespace = self.tunnel.site.namespace
        await child.create(CONFIG_MAPS, {"metadata": {"name": "watched"}, "data": {"text": "begin"}}, namespace)

        async def say(text: str) -> None:
            await child.patch(CONFIG_MAPS, "watched", {"data": {"text": text}}, namespace)

        output = "--output=jsonpath={.data.text}{'\\n'}"
        # A list is watched from where it was read; of a single object kubectl may miss the first change.
        watch = ("get", "configmaps", "--field-selector=metadata.name=watched", "--watch", output)
        async with self.kubectl(*watch) as process:
            assert await heard(process) == "begin"
            return await self.converse(say, lambda: heard(process))

    async def connected(self) -> float:
        """Read an answer that never ends through a forwarded port."""
        async with self.forwarded() as url, aiohttp.ClientSession() as client, client.get(f"{url}/lines/x") as answer:
            began, expected = time.monotonic(), 0
            while (age := time.monotonic() - began) < LONG:
                async with asyncio.timeout(30):
                    assert await answer.content.readline() == f"x {expected}\n".encode()
                expected += 1
        return age


async def heard(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().rstrip("\n")


async def told(process: Process, data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)
    await process.stdin.drain()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def traffic(lab: Lab, tunnel_hub: TunnelHub, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Traffic]:
    """A tunnel with everything behind it, and conversations that go on."""
    folder = tmp_path_factory.mktemp("traffic")
    async with AsyncExitStack() as stack:
        child = await stack.enter_async_context(client(lab, AgentSite.cluster))
        site = AgentSite(lab, child, await stack.enter_async_context(client(lab, "parent")), folder)
        stack.push_async_callback(site.clean_up)
        server = await stack.enter_async_context(stand_in())
        tunnel = TunnelSite(lab, site, folder)
        await tunnel.start(server.flag)
        stack.push_async_callback(tunnel.end)
        pod = Kubelet(lab, AgentSite.cluster, child, site.namespace, server.port, folder)
        made = Traffic(tunnel_hub, tunnel, await stack.enter_async_context(pod), server)
        conversations = {
            "logs": made.logs(),
            "exec": made.executed(),
            "watch": made.watched(child),
            "port-forward": made.connected(),
        }
        made.conversations = {name: asyncio.create_task(work) for name, work in conversations.items()}
        yield made
        for task in made.conversations.values():
            task.cancel()
        await asyncio.gather(*made.conversations.values(), return_exceptions=True)


def client(lab: Lab, cluster: str) -> Client:
    return Client(ClusterConfig.from_kubeconfig(lab.cluster(cluster).kubeconfig), qps=0)


@pytest.mark.parametrize("environment", [{}, SPDY], ids=["websockets", "SPDY"])
async def test_c4_6_kubectl_exec(traffic: Traffic, environment: dict[str, str]) -> None:
    execute = ("exec", "--stdin", traffic.kubelet.pod, "--", "sh", "-c")
    sent = os.urandom(MIB)
    async with asyncio.timeout(60), traffic.kubectl(*execute, f"head -c {MIB} | sha256sum", **environment) as process:
        output, _ = await process.communicate(sent)
        assert output.decode().split()[0] == hashlib.sha256(sent).hexdigest()
        assert process.returncode == 0
    async with asyncio.timeout(60), traffic.kubectl(*execute, f"head -c {MIB} /dev/zero", **environment) as process:
        assert process.stdout is not None
        assert await process.stdout.read() == bytes(MIB)
    async with asyncio.timeout(60), traffic.kubectl(*execute, "exit 7", **environment) as process:
        assert await process.wait() == 1, "KWOK tells of the failure, not of the number"


@pytest.mark.parametrize("environment", [{}, SPDY], ids=["websockets", "SPDY"])
async def test_kubectl_port_forward(traffic: Traffic, environment: dict[str, str]) -> None:
    async with traffic.forwarded(**environment) as url, aiohttp.ClientSession() as client:

        async def echo() -> None:
            sent = os.urandom(MIB)
            async with client.post(f"{url}/echo", data=sent) as answer:
                assert await answer.read() == sent

        await asyncio.gather(*(echo() for _ in range(5)))


async def test_kubectl_logs_and_attach(traffic: Traffic) -> None:
    """The log grows each second, as a conversation goes on about it."""
    pod = traffic.kubelet.pod
    async with asyncio.timeout(60), traffic.kubectl("logs", pod) as process:
        output, _ = await process.communicate()
        assert output.decode().splitlines()[0] == "begin"
        assert process.returncode == 0
    async with asyncio.timeout(60), traffic.kubectl("attach", pod, "--quiet") as process:
        assert (await heard(process)).startswith("line ")
        assert (await heard(process)).startswith("line ")


async def test_bodies_of_5_mb_both_ways(traffic: Traffic) -> None:
    async with traffic.caller() as caller:

        async def echo() -> None:
            sent = os.urandom(BIG)
            async with caller.post(f"{traffic.path}/echo", data=sent) as answer:
                assert answer.status == 200
                assert hashlib.sha256(await answer.read()).digest() == hashlib.sha256(sent).digest()

        await asyncio.gather(*(echo() for _ in range(10)))


async def test_1000_requests_at_once(traffic: Traffic) -> None:
    everybody_asks = asyncio.Barrier(1000)

    async with traffic.caller() as caller:

        async def echo(number: int) -> None:
            sent = number.to_bytes(2) * 2000
            await everybody_asks.wait()
            async with caller.post(f"{traffic.path}/echo", data=sent) as answer:
                assert answer.status == 200, await answer.text()
                assert await answer.read() == sent

        await asyncio.gather(*map(echo, range(1000)))


async def test_200_watches_at_once(traffic: Traffic) -> None:
    namespace = traffic.tunnel.site.namespace
    path = f"{traffic.tunnel.path}/api/v1/namespaces/{namespace}/configmaps"
    async with traffic.caller() as caller, AsyncExitStack() as stack:
        names = [f"watched-{number}" for number in range(200)]

        async def watch(name: str) -> aiohttp.ClientResponse:
            query = {"watch": "true", "fieldSelector": f"metadata.name={name}", "timeoutSeconds": "600"}
            answer = await caller.get(path, params=query)
            assert answer.status == 200
            return answer

        watches = await asyncio.gather(*map(watch, names))
        for answer in watches:
            stack.callback(answer.close)

        async def change(name: str) -> None:
            async with caller.post(path, json={"metadata": {"name": name}, "data": {"me": name}}) as answer:
                assert answer.status == 201, await answer.text()
            async with caller.delete(f"{path}/{name}") as answer:
                assert answer.status == 200, await answer.text()

        await asyncio.gather(*map(change, names))

        async def seen(answer: aiohttp.ClientResponse) -> list[tuple[str, str]]:
            events = [json.loads(await answer.content.readline()) for _ in range(2)]
            return [(event["type"], event["object"]["data"]["me"]) for event in events]

        async with asyncio.timeout(60):
            for name, events in zip(names, await asyncio.gather(*map(seen, watches)), strict=True):
                assert events == [("ADDED", name), ("DELETED", name)]


async def test_a_stalled_reader_costs_little_memory_and_holds_up_nobody(traffic: Traffic) -> None:
    size = 200 * MIB
    processes = {"hub": traffic.hub.process.process.pid, "agent": traffic.tunnel.agent.pid}

    def memory() -> dict[str, int]:
        return {name: psutil.Process(pid).memory_info().rss for name, pid in processes.items()}

    async def is_stalled() -> bool:
        before = traffic.server.sent
        await asyncio.sleep(1)
        return 0 < before == traffic.server.sent

    async with traffic.caller() as caller:

        async def echo() -> None:
            sent = os.urandom(100_000)
            async with caller.post(f"{traffic.path}/echo", data=sent) as answer:
                assert await answer.read() == sent

        await asyncio.gather(*(echo() for _ in range(50)))
        before = memory()
        async with caller.get(f"{traffic.path}/blocks/{size}") as answer:
            await eventually(is_stalled, 60, "the sender is held up")
            assert traffic.server.sent < size / 4
            for _ in range(5):
                await asyncio.gather(*(echo() for _ in range(50)))
            growth = {name: (now - before[name]) / MIB for name, now in memory().items()}
            print("growth of memory in MiB:", growth)
            assert max(growth.values()) < 32, growth
            digest, expected = hashlib.sha256(), hashlib.sha256()
            async for chunk in answer.content.iter_chunked(MIB):
                digest.update(chunk)
        for _ in range(size // len(BLOCK)):
            expected.update(BLOCK)
        assert digest.digest() == expected.digest(), "nothing is lost"
        growth = {name: (now - before[name]) / MIB for name, now in memory().items()}
        print("after 200 MiB:", growth)
        assert max(growth.values()) < 48, growth


@pytest.mark.timeout(400)
async def test_c4_6_c4_7_streams_live_on_for_more_than_90_seconds(traffic: Traffic) -> None:
    async with asyncio.timeout(300):
        ages = await asyncio.gather(*traffic.conversations.values())
    assert min(ages) > 90
