"""Requests to a child through hub, tunnel and agent, without the parent's API server (spec/04 §5, §6, spec/06 C4)."""

import asyncio
import base64
import contextlib
import gzip
import hashlib
import json
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from client_pair import client_pair
from clusternet_engine.agent import tunnel
from clusternet_engine.agent.readiness import Readiness
from clusternet_engine.agent.tunnel import Tunnel
from clusternet_engine.answers import status_answer
from clusternet_engine.certificates import KeyPair, issue, make_authority, self_signed
from clusternet_engine.hub.api import authentication
from clusternet_engine.hub.api.groups import Call
from clusternet_engine.hub.api.proxy import Proxy
from clusternet_engine.hub.api.requests import parse_request
from clusternet_engine.hub.api.sockets import Sockets
from clusternet_engine.hub.predictors import PredictionFailed, Predictors
from clusternet_engine.hub.tunnels import Tunnels
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.errors import ApiError, ConnectionFailed
from clusternet_engine.kube.tls import load_key_pair
from clusternet_engine.model.addresses import push_rule
from clusternet_engine.model.dialling import Destinations, parse_destination
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID
from prometheus_client import REGISTRY

ID = "7ff1a5c6-0000-0000-0000-000000000001"
BASE = f"/apis/proxies.clusternet.io/v1alpha1/sockets/{ID}"
HEADERS = authentication.RequestHeaders(
    username=("X-Remote-User",), group=("X-Remote-Group",), extra_prefix=("X-Remote-Extra-",)
)


class Child:
    """A child's API server: says who asks, and does what the tests need."""

    def __init__(self) -> None:
        self.authority = make_authority("child")
        self.requests: list[web.Request] = []
        self.connections: set[int] = set()
        self.ended = asyncio.Event()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**28)
        app.router.add_route("*", "/hash", self._hash)
        app.router.add_get("/bytes/{size}", self._bytes)
        app.router.add_get("/watch", self._watch)
        app.router.add_get("/redirect", self._redirect)
        app.router.add_get("/broken", self._broken)
        app.router.add_get("/websocket", self._websocket)
        app.router.add_route("*", "/{path:.*}", self._echo)
        return app

    def context(self) -> ssl.SSLContext:
        pair = issue(self.authority, "child", ("127.0.0.1",))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        load_key_pair(context, pair.certificate, pair.key)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=self.authority.certificate.decode())
        return context

    async def _echo(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        assert request.transport is not None
        self.connections.add(id(request.transport))
        certificate = request.transport.get_extra_info("peercert")
        return web.json_response(
            {
                "method": request.method,
                "path": request.raw_path,
                "headers": [list(item) for item in request.headers.items()],
                "certificate": bool(certificate),
                "body": (await request.read()).decode(),
            },
            headers={"X-Child": "yes"},
        )

    async def _hash(self, request: web.Request) -> web.Response:
        return web.Response(text=hashlib.sha256(await request.read()).hexdigest())

    async def _bytes(self, request: web.Request) -> web.Response:
        body = os.urandom(int(request.match_info["size"]))
        return web.Response(body=body, headers={"X-Hash": hashlib.sha256(body).hexdigest()})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            number = 0
            while True:
                await response.write(b'{"event":%d}\n' % number)
                number += 1
                await asyncio.sleep(0.05)
        finally:
            self.ended.set()

    async def _redirect(self, request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "https://child/elsewhere"})

    async def _broken(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000000"})
        await response.prepare(request)
        await response.write(bytes(1000))
        assert request.transport is not None
        request.transport.abort()
        return response

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
        await websocket.prepare(request)
        async for message in websocket:
            if message.type is aiohttp.WSMsgType.BINARY:
                await websocket.send_bytes(message.data)
        self.ended.set()
        return websocket


class Site:
    """Hub, agent and child, and a caller."""

    def __init__(self, stack: AsyncExitStack, caches: Any) -> None:
        self._stack = stack
        self.caches = caches
        self.child = Child()
        self.tunnels = Tunnels()
        self.cluster: dict[str, Any] = {"metadata": {"namespace": "ns", "name": "c1"}, "spec": {"clusterId": ID}}
        self.secret: dict[str, Any] = {"metadata": {"namespace": "ns", "name": "child-cluster-deployer"}}
        self.session: aiohttp.ClientSession
        self.port = 0

    async def start(self) -> None:
        child = TestServer(self.child.app())
        await child.start_server(ssl=self.child.context())
        self._stack.push_async_callback(child.close)
        self.child_port = child.port
        ca = base64.b64encode(self.child.authority.certificate).decode()
        self.secret["data"] = {"ca.crt": ca}
        self.cluster["status"] = {"useSocket": True, "apiserverURL": f"https://127.0.0.1:{child.port}"}
        self.caches.put(self.caches.clusters, self.cluster)
        self.caches.put(self.caches.child_credentials, self.secret)
        proxy = Proxy(self.caches, self.tunnels)
        self._stack.push_async_callback(proxy.close)
        sockets = Sockets(self.tunnels, proxy, lambda cluster_id: True)

        async def handle(request: web.Request) -> web.StreamResponse:
            info = parse_request(request.method, request.rel_url.raw_path, request.query)
            user = HEADERS.user(request.headers) or authentication.User("agent")
            try:
                return await sockets.answer(Call(request, info, user))
            except ApiError as error:
                return status_answer(error)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        hub = TestServer(app)
        await hub.start_server()
        self.port = hub.port or 0
        self._stack.push_async_callback(hub.close)
        self.session = await self._stack.enter_async_context(
            aiohttp.ClientSession(hub.make_url("/"), auto_decompress=False)
        )
        await self.connect()

    async def connect(self, *allowed: str) -> asyncio.Task[None]:
        """Start an agent and wait for its tunnel."""
        parent = await self._stack.enter_async_context(Client(ClusterConfig(server=f"http://127.0.0.1:{self.port}")))
        urls = [self.cluster["status"]["apiserverURL"]]
        destinations = Destinations(urls, [parse_destination(one) for one in allowed])
        before = self.tunnels.session(ID)
        task = asyncio.create_task(Tunnel(parent, ID, destinations, Readiness(tunnel=True)).run())
        self._stack.push_async_callback(stopped, task)
        await until(lambda: self.tunnels.session(ID) not in (None, before))
        return task

    def request(self, method: str, path: str, **arguments: Any) -> Any:
        return self.session.request(method, f"{BASE}/proxy{path}", allow_redirects=False, **arguments)

    async def get(self, path: str, **headers: str) -> dict[str, Any]:
        async with self.request("GET", path, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())

    async def refused(self, path: str, status: int, method: str = "GET", **headers: str) -> str:
        """Check that a request is refused and return why."""
        async with self.request(method, path, headers=headers) as answer:
            assert answer.status == status, await answer.text()
            body = await answer.json()
            assert body["kind"] == "Status"
            return str(body["message"])


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that nothing tells of."""
    async with asyncio.timeout(6):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def stopped(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch, caches: Any) -> AsyncIterator[Site]:
    monkeypatch.setattr(tunnel, "FIRST_DELAY", 0.01)
    async with AsyncExitStack() as stack:
        site = Site(stack, caches)
        await site.start()
        yield site


async def test_c4_1_a_request_goes_to_the_child_and_back(site: Site) -> None:
    async with site.request("PATCH", "/direct/api/v1/x?b=1&a=%20&c", data=b"body", headers={"X-Mine": "1"}) as answer:
        assert (answer.status, answer.headers["X-Child"]) == (200, "yes")
        seen = await answer.json()
    assert (seen["method"], seen["path"], seen["body"]) == ("PATCH", "/api/v1/x?b=1&a=%20&c", "body")
    assert ["X-Mine", "1"] in seen["headers"]
    assert ["Host", f"127.0.0.1:{site.child_port}"] in seen["headers"]


async def test_c4_2_who_the_caller_is_at_the_child(site: Site) -> None:
    client = client_pair(site.child.authority, (NameOID.COMMON_NAME, "somebody"))
    certificate, key = (base64.b64encode(pem).decode() for pem in (client.certificate, client.key))
    parent = {"X-Remote-User": "clusternet", "Authorization": "Bearer of-the-parent"}
    token = {"X-Remote-Extra-Clusternet-Token": "of-the-child"}
    both = {"X-Remote-Extra-Clusternet-Certificate": certificate, "X-Remote-Extra-clusternet-privatekey": key}
    for headers, authorization, shown in (
        ({}, None, False),
        (token, "Bearer of-the-child", False),
        (both, None, True),
        (both | token, "Bearer of-the-child", True),
        ({"X-Remote-Extra-Clusternet-Certificate": certificate}, None, False),
        ({"X-Remote-Extra-Clusternet-PrivateKey": key} | token, "Bearer of-the-child", False),
    ):
        seen = await site.get("/direct/who", **parent, **headers)
        found = {name.lower(): value for name, value in seen["headers"]}
        assert found.get("authorization") == authorization
        assert seen["certificate"] is shown
        assert not [name for name in found if name.startswith(("x-remote", "impersonate"))]


async def test_headers_that_tell_of_the_caller_stay_here_whatever_their_names(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = authentication.RequestHeaders(
        username=("Remote-Name",), uid=("Remote-Uid",), group=("Remote-Groups",), extra_prefix=("Remote-More-",)
    )
    monkeypatch.setitem(globals(), "HEADERS", other)
    headers = {
        "Remote-Name": "clusternet",
        "REMOTE-UID": "1",
        "remote-groups": "a",
        "Remote-More-Clusternet-Token": "of-the-child",
        "Remote-Morning": "stays",
    }
    seen = dict((await site.get("/direct/who", **headers))["headers"])
    assert seen["Authorization"] == "Bearer of-the-child"
    assert [name for name in seen if name.lower().startswith("remote")] == ["Remote-Morning"]


async def test_certificates_that_are_none(site: Site) -> None:
    def extras(certificate: bytes, key: bytes) -> dict[str, str]:
        return {
            "X-Remote-User": "clusternet",
            "X-Remote-Extra-Clusternet-Certificate": base64.b64encode(certificate).decode(),
            "X-Remote-Extra-Clusternet-Privatekey": base64.b64encode(key).decode(),
        }

    broken = extras(b"x", b"y") | {"X-Remote-Extra-Clusternet-Certificate": "not base64!"}
    assert "not base64" in await site.refused("/direct/", 400, **broken)
    assert "not usable" in await site.refused("/direct/", 400, **extras(b"not PEM", b"not PEM"))
    pair, other = self_signed(), self_signed()
    assert "not usable" in await site.refused("/direct/", 400, **extras(pair.certificate, other.key))
    secret = serialization.BestAvailableEncryption(b"secret")
    key: Any = serialization.load_pem_private_key(pair.key, password=None)
    for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
        encrypted = key.private_bytes(serialization.Encoding.PEM, form, secret)
        message = await site.refused("/direct/", 400, **extras(pair.certificate, encrypted))
        assert "PRIVATE_KEY_IS_ENCRYPTED" in message


async def test_c4_3_an_unknown_cluster(site: Site) -> None:
    url = BASE.replace(ID, "nobody")
    async with site.session.get(f"{url}/proxy/direct/") as answer:
        assert answer.status == 400
        assert "no cluster id is nobody" in await answer.text()


async def test_c4_4_an_agent_that_is_away(site: Site) -> None:
    session = site.tunnels.session(ID)
    assert session is not None
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    site.tunnels._sessions.clear()
    message = await site.refused("/direct/version", 400)
    assert message == "cannot proxy through cluster ns/c1, whose agent is disconnected"
    site.cluster["status"]["useSocket"] = False
    assert "no tunnel" in await site.refused("/direct/version", 502)
    site.tunnels._sessions[ID] = [session]


async def test_a_cluster_that_has_not_told_its_url(site: Site) -> None:
    site.cluster["status"]["apiserverURL"] = ""
    assert "hasn't told" in await site.refused("/direct/version", 503)


async def test_c4_5_an_empty_path(site: Site) -> None:
    for path in ("/direct", f"/https/127.0.0.1:{site.child_port}"):
        for method in ("GET", "HEAD"):
            async with site.request(method, f"{path}?a=b") as answer:
                assert (answer.status, answer.headers["Location"]) == (301, f"{BASE}/proxy{path}/?a=b")
    async with site.request("POST", "/direct") as answer:
        assert (await answer.json())["path"] == "/"
    assert (await site.get("/direct/"))["path"] == "/"


async def test_paths_are_cleaned_and_encoded_slashes_kept(site: Site) -> None:
    async with site.session.get(
        aiohttp.client.URL(f"http://127.0.0.1:{site.port}{BASE}/proxy/direct//a/./b%2Fc/", encoded=True)
    ) as answer:
        assert (await answer.json())["path"] == "/a/b%2Fc/"


async def test_b7_1_paths_of_sockets(site: Site) -> None:
    for slashes in ("", "/", "///"):
        async with site.session.ws_connect(f"{BASE}{slashes}?a=b") as websocket:
            await until(lambda: len(site.tunnels._sessions[ID]) == 2)
            await websocket.close()
        await until(lambda: len(site.tunnels._sessions[ID]) == 1)
    root = BASE.rpartition("/")[0]
    for path, status in (
        (root, 401),
        (root.rpartition("/")[0] + "/connect/x", 404),
        (f"{BASE}/other", 404),
        (BASE, 400),
    ):
        async with site.session.get(path) as answer:
            assert answer.status == status, path


async def test_other_hosts_need_leave_of_the_agent(site: Site) -> None:
    other = TestServer(site.child.app(), host="127.0.0.2")
    await other.start_server()
    address = f"127.0.0.2:{other.port}"
    message = await site.refused(f"/http/{address}/metrics", 502)
    assert "not allowed by this agent" in message
    await site.connect("127.0.0.0/8")
    assert (await site.get(f"/http/{address}/metrics?x=y"))["path"] == "/metrics?x=y"
    assert (await site.get(f"/https/127.0.0.1:{site.child_port}/x"))["path"] == "/x"
    assert "Connection refused" in await site.refused("/http/127.0.0.2:1/", 502)
    assert "too long" in await site.refused(f"/http/{'h' * 60}.{'h' * 40}/", 502)
    assert "is not a host" in await site.refused("/https/a..b/", 400)
    assert "none of direct" in await site.refused("/ftp/x/", 400)
    await other.close()


async def test_the_certificate_of_the_child_is_verified(site: Site) -> None:
    site.secret["data"] = {"ca.crt": base64.b64encode(make_authority("another").certificate).decode()}
    assert "certificate can't be verified" in await site.refused("/direct/version", 502)
    del site.secret["data"]
    assert (await site.get("/direct/version"))["path"] == "/version"


async def test_a_credential_goes_only_to_whom_the_ca_of_the_child_vouches_for(site: Site) -> None:
    parent = {"X-Remote-User": "clusternet"}
    token = parent | {"X-Remote-Extra-Clusternet-Token": "of-the-child"}
    client = client_pair(site.child.authority, (NameOID.COMMON_NAME, "somebody"))
    certificate, key = (base64.b64encode(pem).decode() for pem in (client.certificate, client.key))
    both = parent | {"X-Remote-Extra-Clusternet-Certificate": certificate, "X-Remote-Extra-Clusternet-Privatekey": key}
    plain = TestServer(site.child.app(), host="127.0.0.1")
    await plain.start_server()
    await site.connect("127.0.0.0/8")
    https, http = f"/https/127.0.0.1:{site.child_port}/x", f"/http/127.0.0.1:{plain.port}/x"
    assert "Authorization" not in dict((await site.get(http, **token))["headers"])
    assert dict((await site.get(https, **token))["headers"])["Authorization"] == "Bearer of-the-child"
    asked = len(site.child.requests)
    site.secret["data"] = {"ca.crt": base64.b64encode(make_authority("another").certificate).decode()}
    for credential in (token, both):
        for path in ("/direct/x", https):
            assert "can't be verified" in await site.refused(path, 502, **credential)
    del site.secret["data"]
    for credential in (token, both):
        for path in ("/direct/x", https):
            assert "hasn't handed over the CA" in await site.refused(path, 503, **credential)
    site.cluster["status"]["apiserverURL"] = f"http://127.0.0.1:{plain.port}"
    assert "in clear" in await site.refused("/direct/x", 503, **token)
    assert len(site.child.requests) == asked
    assert (await site.get("/direct/x", **parent))["path"] == "/x"
    assert (await site.get(https, **parent))["path"] == "/x"
    await plain.close()


async def test_redirects_are_passed_on(site: Site) -> None:
    async with site.request("GET", "/direct/redirect") as answer:
        assert (answer.status, answer.headers["Location"]) == (307, "https://child/elsewhere")


async def test_connections_are_used_again_but_not_by_other_certificates(site: Site) -> None:
    for number in range(5):
        await site.get(f"/direct/{number}", **{"X-Remote-User": "c", "X-Remote-Extra-Clusternet-Token": str(number)})
    assert len(site.child.connections) == 1
    client = client_pair(site.child.authority, (NameOID.COMMON_NAME, "somebody"))
    extras = {
        "X-Remote-User": "clusternet",
        "X-Remote-Extra-Clusternet-Certificate": base64.b64encode(client.certificate).decode(),
        "X-Remote-Extra-Clusternet-Privatekey": base64.b64encode(client.key).decode(),
    }
    for _ in range(3):
        assert (await site.get("/direct/x", **extras))["certificate"]
    assert len(site.child.connections) == 2
    assert not (await site.get("/direct/x"))["certificate"]


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 5_000_000])
async def test_bodies_both_ways(site: Site, size: int) -> None:
    body = os.urandom(size)
    wanted = hashlib.sha256(body).hexdigest()
    async with site.request("PUT", "/direct/hash", data=body) as answer:
        assert await answer.text() == wanted

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 70_000):
            yield body[start : start + 70_000]

    async with site.request("POST", "/direct/hash", data=pieces()) as answer:
        assert await answer.text() == wanted
    async with site.request("GET", f"/direct/bytes/{size}") as answer:
        assert hashlib.sha256(await answer.read()).hexdigest() == answer.headers["X-Hash"]
        assert answer.headers["Content-Length"] == str(size)
    async with site.request("HEAD", f"/direct/bytes/{size}") as answer:
        assert (answer.status, answer.headers.get("Content-Length", "0")) == (200, str(size))


async def test_compressed_bodies_arrive_whole(site: Site) -> None:
    body = gzip.compress(b"x" * 10_000)
    headers = {"Content-Encoding": "gzip"}
    async with site.request("POST", "/direct/hash", data=body, headers=headers) as answer:
        assert await answer.text() == hashlib.sha256(b"x" * 10_000).hexdigest()


async def test_1000_requests_at_once_are_not_mixed_up(site: Site) -> None:
    site.session._connector._limit = 200  # type: ignore[union-attr]

    async def ask(number: int) -> None:
        size = number * 37 % 20_000
        async with site.request("GET", f"/direct/bytes/{size}?n={number}") as answer:
            body = await answer.read()
            assert len(body) == size
            assert hashlib.sha256(body).hexdigest() == answer.headers["X-Hash"]

    await asyncio.gather(*map(ask, range(1000)))


async def test_c4_7_a_watch_flows_and_ends_with_its_reader(site: Site) -> None:
    answer = await site.request("GET", "/direct/watch?watch=true&timeout=1s")
    for number in range(5):
        async with asyncio.timeout(5):
            assert json.loads(await answer.content.readline()) == {"event": number}
    answer.close()
    async with asyncio.timeout(5):
        await site.child.ended.wait()


async def test_a_stalled_reader_holds_up_nobody_else(site: Site) -> None:
    stalled = await site.request("GET", "/direct/bytes/50000000")
    await asyncio.sleep(0.3)
    session = site.tunnels.session(ID)
    assert session is not None
    assert sum(len(stream._received) for stream in session._streams.values()) < 2**23
    assert (await site.get("/direct/quick"))["path"] == "/quick"
    assert hashlib.sha256(await stalled.read()).hexdigest() == stalled.headers["X-Hash"]


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(site: Site) -> None:
    async with site.request("GET", "/direct/broken") as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_the_end_of_the_tunnel_is_an_error_at_once(site: Site) -> None:
    watch = await site.request("GET", "/direct/watch")
    await watch.content.readline()
    session = site.tunnels.session(ID)
    assert session is not None
    async with asyncio.timeout(3):
        await session._socket.close()
        with pytest.raises(aiohttp.ClientPayloadError):
            await watch.read()
    await until(lambda: site.tunnels.session(ID))
    assert (await site.get("/direct/again"))["path"] == "/again"


async def test_the_newest_tunnel_is_used(site: Site) -> None:
    async with site.session.ws_connect(BASE):
        await until(lambda: len(site.tunnels._sessions[ID]) == 2)
        request = asyncio.create_task(site.get("/direct/x"))
        done, _ = await asyncio.wait((request,), timeout=0.2)
        assert not done, "nobody serves the newest tunnel"
    with contextlib.suppress(AssertionError):
        await request
    assert (await site.get("/direct/y"))["path"] == "/y"


@contextlib.asynccontextmanager
async def spdy_server(pair: KeyPair) -> AsyncIterator[int]:
    """A server that changes to SPDY/3.1, greets in the same packet, and echoes; refuses on path `/no`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_key_pair(context, pair.certificate, pair.key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"POST /no"):
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nnot so")
        else:
            assert b"Upgrade: SPDY/3.1" in head
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n")
            writer.write(b"X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\nhello\x00")
            while (data := await reader.read(2**16)) and data != b"bye":
                writer.write(data)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def upgrade(path: str) -> bytes:
    return (
        f"POST {BASE}/proxy{path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        "X-Stream-Protocol-Version: v4.channel.k8s.io\r\nContent-Length: 0\r\n\r\n"
    ).encode()


async def test_c4_6_spdy_upgrades(site: Site) -> None:
    async with spdy_server(issue(site.child.authority, "child", ())) as port:
        site.cluster["status"]["apiserverURL"] = f"https://127.0.0.1:{port}"
        await site.connect()
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(upgrade("/direct/exec"))
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            assert b"Upgrade: SPDY/3.1\r\n" in head
            assert b"X-Stream-Protocol-Version: v4.channel.k8s.io\r\n" in head
            assert await reader.readexactly(6) == b"hello\x00"
            sent = os.urandom(3_000_000)

            async def send() -> None:
                for start in range(0, len(sent), 100_000):
                    writer.write(sent[start : start + 100_000])
                    await writer.drain()

            sending = asyncio.create_task(send())
            assert await reader.readexactly(len(sent)) == sent
            await sending
            writer.write(b"bye")
            assert await reader.read() == b""
        writer.close()


async def test_an_upgrade_that_the_child_refuses(site: Site) -> None:
    async with spdy_server(issue(site.child.authority, "child", ())) as port:
        site.cluster["status"]["apiserverURL"] = f"https://127.0.0.1:{port}"
        await site.connect()
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(upgrade("/direct/no"))
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 403 ")
            assert await reader.readexactly(6) == b"not so"
        writer.write(f"GET {BASE}/proxy/nonsense HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 400 "), "the hub answers, not the child"
        writer.close()


async def test_websocket_upgrades(site: Site) -> None:
    async with site.session.ws_connect(f"{BASE}/proxy/direct/websocket", protocols=("v5.channel.k8s.io",)) as websocket:
        assert websocket.protocol == "v5.channel.k8s.io"
        for size in (1, 1000, 1_000_000):
            body = os.urandom(size)
            await websocket.send_bytes(body)
            assert await websocket.receive_bytes(timeout=5) == body
        await websocket.close()
    async with asyncio.timeout(5):
        await site.child.ended.wait()


async def test_an_upgraded_connection_ends_with_the_tunnel(site: Site) -> None:
    async with site.session.ws_connect(f"{BASE}/proxy/direct/websocket") as websocket:
        session = site.tunnels.session(ID)
        assert session is not None
        await session._socket.close()
        async with asyncio.timeout(3):
            assert (await websocket.receive()).type is aiohttp.WSMsgType.CLOSED


def test_discovery() -> None:
    sockets = Sockets(Tunnels(), None, lambda cluster_id: True)  # type: ignore[arg-type]
    assert [(entry["name"], entry["kind"], entry["namespaced"]) for entry in sockets.resources()] == [
        ("sockets", "Socket", False),
        ("sockets/proxy", "Socket", False),
    ]


async def test_clients_of_the_hub_go_through_the_tunnel(site: Site) -> None:
    """What deployment uses: a client, and a way for programs such as Helm."""
    config = ClusterConfig(
        server=site.cluster["status"]["apiserverURL"] + "/", ca_data=site.child.authority.certificate, token="t"
    )
    async with Client(config, route=site.tunnels.route(ID)) as client:
        seen = json.loads((await client.raw("GET", "/x")).body)
        assert (seen["path"], ["Authorization", "Bearer t"] in seen["headers"]) == ("/x", True)
        async with client.outside() as outside:
            assert outside.server != config.server
            assert (outside.tls_server_name, outside.token) == ("127.0.0.1", "t")
            async with Client(outside) as program:
                assert json.loads((await program.raw("GET", "/y")).body)["path"] == "/y"
        async with Client(outside) as program:
            with pytest.raises(ConnectionFailed, match="refused"):
                await program.raw("GET", "/y")
        sessions = dict(site.tunnels._sessions)
        site.tunnels._sessions.clear()
        async with Client(config, route=site.tunnels.route(ID)) as other:
            with pytest.raises(ConnectionFailed, match="is disconnected"):
                await other.raw("GET", "/x")
            async with other.outside() as outside, Client(outside) as program:
                with pytest.raises(ConnectionFailed):
                    await program.raw("GET", "/y")
        site.tunnels._sessions.update(sessions)
    async with Client(config) as client, client.outside() as outside:
        assert outside is config


async def test_open_tunnels_are_counted_and_ended_ones_are_timed(site: Site) -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"clusternet_socket_connections_{name}", labels) or 0.0

    await site.get("/direct/x")
    before = value("count"), value("duration_seconds_count"), value("duration_seconds_bucket", le="10.0")
    agent = await site.connect()
    await site.get("/direct/x")
    assert value("count") == before[0] + 2, "counted by the hub and by the agent, both of which are here"
    await stopped(agent)
    await until(lambda: value("count") == before[0])
    assert value("duration_seconds_count") == before[1] + 2
    assert value("duration_seconds_bucket", le="10.0") == before[2] + 2


async def test_predictors_are_asked_through_the_tunnel(site: Site) -> None:
    async def predict(request: web.Request) -> web.Response:
        return web.json_response({"replicas": {"default": 7}})

    app = web.Application()
    app.router.add_post("/replicas/predict", predict)
    async with TestServer(app, host="127.0.0.3") as server:
        await site.connect(f"127.0.0.3:{server.port}")
        site.cluster["status"] |= {"predictorEnabled": True, "predictorAddress": f"http://127.0.0.3:{server.port}"}
        entry = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "n", "name": "web"}
        predictors = Predictors(site.caches, site.tunnels, push_rule())
        assert list((await predictors.predict(site.cluster, [entry])).values()) == [7]
        await predictors.close()
        site.cluster["status"]["predictorAddress"] = "http://127.0.0.4:80"
        with pytest.raises(PredictionFailed, match="its predictor can't be reached"):
            await predictors.predict(site.cluster, [entry])
        await predictors.close()
