"""What a request to a child costs through the parent, hub and tunnel, beside the same request sent there directly."""

import asyncio
import base64
import math
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.resources import CLUSTER_REGISTRATION_REQUESTS, SOCKETS
from clusternet_engine.kube.tls import client_context
from clusternet_engine.tunnel.session import MAX_MESSAGE, Session
from deployment import BEHIND, Deployment
from programs import Programs
from registration import approved, new_request

CHILD = "child1"
GETS = 300
CONNECTIONS, SECONDS = 16, 5.0
CROWD = 50
ROUNDS = 10
SMALL, LARGE = 5 * 10**6, 100 * 10**6
PIECE = 2**18
KEYSTROKES = 200
TUNNELS = 100
TIMEOUT = 120.0
PROXY = "/apis/proxies.clusternet.io/v1alpha1/sockets"
SOMETHING = "/api/v1/namespaces/default"
UPGRADE = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}


@dataclass(frozen=True)
class Way:
    """Figures of one way to the child.

    Attributes:
        get: seconds of each of many requests, one after the other.
        rate: requests a second over several connections at once.
        crowd: seconds until the last of many requests that were sent at the same time is answered.
        up, down: seconds for `SMALL` bytes.
        upload, download: bytes a second, of `LARGE` bytes.
        keystroke: seconds until one byte in an upgraded connection comes back.
    """

    get: list[float]
    rate: float
    crowd: float
    up: float
    down: float
    upload: float
    download: float
    keystroke: float

    @property
    def median(self) -> float:
        """Seconds of a request."""
        return statistics.median(self.get)

    @property
    def p95(self) -> float:
        """Seconds that 95 of 100 requests don't exceed."""
        return sorted(self.get)[math.ceil(0.95 * len(self.get)) - 1]


@dataclass(frozen=True)
class Reach:
    """Both ways, and resident memory in MiB.

    Attributes:
        hub, agent: after all requests.
        hub_many: of the hub with `TUNNELS` more tunnels.
    """

    proxied: Way
    direct: Way
    hub: float
    agent: float
    hub_many: float


def access(deployment: Deployment) -> Reach:
    """Measure on a deployment with one hub and one agent that are started here."""
    programs = Programs(deployment)
    try:
        programs.start("parent")
        programs.start(CHILD)
        return asyncio.run(_measure(deployment, programs))
    finally:
        programs.end()


async def _measure(deployment: Deployment, programs: Programs) -> Reach:
    cluster = deployment.managed_cluster(CHILD)
    token = deployment.parent.secret(cluster["metadata"]["namespace"], "child-cluster-deployer")["token"]
    impersonating = {"Impersonate-User": "clusternet", "Impersonate-Extra-Clusternet-Token": token}
    socket = f"{PROXY}/{deployment.cluster_id(CHILD)}/proxy"
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(_stand_in())
        parent = await stack.enter_async_context(_caller(deployment, "parent", impersonating))
        child = await stack.enter_async_context(_caller(deployment, CHILD, {"Authorization": f"Bearer {token}"}))
        plain = await stack.enter_async_context(aiohttp.ClientSession(f"http://{BEHIND}:{port}"))
        await _is_connected(parent, f"{socket}/direct{SOMETHING}")
        proxied = await _way((parent, f"{socket}/direct"), (parent, f"{socket}/http/{BEHIND}:{port}"))
        direct = await _way((child, ""), (plain, ""))
        hub, agent = programs.memory("parent"), programs.memory(CHILD)
        async with _many_tunnels(deployment):
            hub_many = programs.memory("parent")
        return Reach(proxied, direct, hub, agent, hub_many)


@asynccontextmanager
async def _stand_in() -> AsyncIterator[int]:
    """Serve what the lab's clusters can't: bodies of any size, and what stands for a kubelet's `exec`."""

    async def up(received: web.Request) -> web.Response:
        size = 0
        async for chunk in received.content.iter_any():
            size += len(chunk)
        return web.Response(text=str(size))

    async def down(received: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": received.query["size"]})
        await answer.prepare(received)
        for piece in _pieces(int(received.query["size"])):
            await answer.write(piece)
        return answer

    async def echo(received: web.Request) -> web.StreamResponse:
        assert received.transport is not None
        reader = asyncio.StreamReader()
        received.protocol.set_parser(_Tap(reader))
        received.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
        )
        while data := await reader.read(PIECE):
            received.transport.write(data)
        return web.Response()

    application = web.Application()
    application.add_routes([web.post("/up", up), web.get("/down", down), web.post("/exec", echo)])
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, BEHIND, 0, shutdown_timeout=1)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _pieces(size: int) -> list[bytes]:
    piece = os.urandom(PIECE)
    return [piece[: min(PIECE, size - start)] for start in range(0, size, PIECE)]


def _caller(deployment: Deployment, name: str, headers: dict[str, str]) -> aiohttp.ClientSession:
    """Return plain HTTP to a cluster: to the parent as its administrator, to the child as who the headers say."""
    config = ClusterConfig.from_kubeconfig(deployment.lab.cluster(name).kubeconfig)
    pair = (config.client_certificate, config.client_key) if name == "parent" else (None, None)
    context = client_context(config.ca_data, certificate=pair[0], key=pair[1])
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    return aiohttp.ClientSession(config.server, connector=connector, headers=headers)


async def _is_connected(parent: aiohttp.ClientSession, path: str) -> None:
    async with asyncio.timeout(TIMEOUT):
        while True:
            async with parent.get(path) as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.1)


Place = tuple[aiohttp.ClientSession, str]
"""Whom to ask, and what stands before the paths there."""


async def _way(api_server: Place, stand_in: Place) -> Way:
    caller, prefix = api_server

    async def get() -> None:
        async with caller.get(prefix + SOMETHING) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()

    for _ in range(20):
        await get()
    gets = [await _timed(get) for _ in range(GETS)]
    rate = await _rate(get)
    crowd = [await _timed(lambda: asyncio.gather(*(get() for _ in range(CROWD)))) for _ in range(ROUNDS)]
    up = [await _upload(*stand_in, SMALL) for _ in range(ROUNDS)]
    down = [await _download(*stand_in, SMALL) for _ in range(ROUNDS)]
    return Way(
        get=gets,
        rate=rate,
        crowd=statistics.median(crowd),
        up=statistics.median(up),
        down=statistics.median(down),
        upload=LARGE / await _upload(*stand_in, LARGE),
        download=LARGE / await _download(*stand_in, LARGE),
        keystroke=await _keystroke(*stand_in),
    )


async def _timed(action: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await action()
    return time.perf_counter() - start


async def _rate(get: Callable[[], Awaitable[None]]) -> float:
    """Return how many requests a second are answered to callers that each wait for their answer."""
    done = 0
    end = time.perf_counter() + SECONDS

    async def ask() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await get()
            done += 1

    seconds = await _timed(lambda: asyncio.gather(*(ask() for _ in range(CONNECTIONS))))
    return done / seconds


async def _upload(caller: aiohttp.ClientSession, prefix: str, size: int) -> float:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def send() -> None:
        async with caller.post(f"{prefix}/up", data=body(), headers={"Content-Length": str(size)}) as answer:
            assert await answer.text() == str(size), answer

    pieces = _pieces(size)
    return await _timed(send)


async def _download(caller: aiohttp.ClientSession, prefix: str, size: int) -> float:
    async def receive() -> None:
        received = 0
        async with caller.get(f"{prefix}/down", params={"size": str(size)}) as answer:
            async for chunk in answer.content.iter_any():
                received += len(chunk)
        assert received == size, answer

    return await _timed(receive)


async def _keystroke(caller: aiohttp.ClientSession, prefix: str) -> float:
    """Return the seconds until a byte comes back from what stands for a terminal in a pod."""
    async with caller.post(f"{prefix}/exec", params={"command": "sh"}, headers=UPGRADE) as answer:
        assert answer.status == 101, await answer.text()
        assert answer.connection is not None
        assert answer.connection.protocol is not None
        transport, reader = answer.connection.transport, asyncio.StreamReader()
        assert transport is not None
        answer.connection.protocol.set_parser(_Tap(reader), None)

        async def press() -> None:
            transport.write(b"x")
            await reader.readexactly(1)

        times = [await _timed(press) for _ in range(KEYSTROKES)]
        answer.close()
    return statistics.median(times)


class _Tap:
    """Takes what a connection of aiohttp receives after it has changed its protocol."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._reader.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self._reader.feed_eof()


@asynccontextmanager
async def _many_tunnels(deployment: Deployment) -> AsyncIterator[None]:
    """Register clusters and hold a tunnel open for each of them."""
    config = ClusterConfig.from_kubeconfig(deployment.lab.cluster("parent").kubeconfig)
    requests = [new_request(f"tunnel-{number}") for number in range(TUNNELS)]
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(Client(config, qps=0))
        await approved(admin, requests)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        running = []
        for posted in requests:
            answered = await admin.get(CLUSTER_REGISTRATION_REQUESTS, posted["metadata"]["name"])
            token = base64.b64decode(answered["status"]["token"]).decode()
            own = ClusterConfig(server=config.server, ca_data=config.ca_data, token=token)
            client = await stack.enter_async_context(Client(own, qps=0))
            identity = posted["spec"]["clusterId"]
            websocket = await client.websocket(SOCKETS.path(name=identity), max_message=MAX_MESSAGE)
            running.append(tasks.create_task(Session(websocket, f"{identity}/1").run()))
        yield
        assert not any(task.done() for task in running), "a tunnel has ended"
        for task in running:
            task.cancel()
