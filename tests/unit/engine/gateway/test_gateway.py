"""A gateway over real HTTPS, before a parent that is played by this process (spec/04 §5–§7)."""

import asyncio
import base64
import json
import re
import socket
import ssl
import stat
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from clusternet_engine.certificates import self_signed
from clusternet_engine.forwarding import forwarding_session
from clusternet_engine.gateway import credentials
from clusternet_engine.gateway.gateway import Gateway
from clusternet_engine.gateway.kubeconfig import check_replaceable, folder_of
from clusternet_engine.gateway.settings import Account, Settings
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig, ConfigError
from clusternet_engine.kube.connections import network_connector
from clusternet_engine.model.gateway import Entrance
from clusternet_engine.serving import ServingTLS
from yarl import URL

CLUSTERS = "/apis/clusters.clusternet.io/v1beta1"
PROXY = "/apis/proxies.clusternet.io/v1alpha1"


def managed_cluster(name: str, namespace: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": f"{namespace}.{name}", "resourceVersion": "1"},
        "spec": {"clusterId": f"id-of-{namespace}"},
    }


class Parent:
    """The parent's API server with children behind it: says what it was asked and by whom."""

    def __init__(self) -> None:
        self.clusters = [managed_cluster("berlin", "ns1"), managed_cluster("austin", "ns2")]
        self.events: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self.tokens = {"ns1": "deployer-1", "ns2": "deployer-2"}
        self.accepted: set[str] | None = None
        self.reads: list[str] = []
        self.made: list[dict[str, str]] = []
        self.lifetime = 3600.0
        self.offers = True
        self.hold = asyncio.Event()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get(f"{CLUSTERS}/managedclusters", self._list)
        app.router.add_get("/api/v1/namespaces/{namespace}/secrets/child-cluster-deployer", self._secret)
        app.router.add_get(PROXY, self._offer)
        app.router.add_post(
            f"{PROXY}/sockets/{{id}}/proxy/direct/api/v1/namespaces/{{ns}}/serviceaccounts/{{name}}/token",
            self._make_token,
        )
        app.router.add_get(f"{PROXY}/sockets/{{id}}/proxy/direct/websocket", self._websocket)
        app.router.add_get(f"{PROXY}/sockets/{{id}}/proxy/direct/hold", self._held)
        app.router.add_route("*", f"{PROXY}/sockets/{{id}}/proxy/direct{{path:.*}}", self._child)
        return app

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": self.clusters})
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            kind, cluster = await self.events.get()
            cluster["metadata"]["resourceVersion"] = "2"
            await response.write(json.dumps({"type": kind, "object": cluster}).encode() + b"\n")

    async def _secret(self, request: web.Request) -> web.Response:
        namespace = request.match_info["namespace"]
        self.reads.append(namespace)
        if namespace not in self.tokens:
            return web.json_response({"kind": "Status", "message": "not found", "reason": "NotFound"}, status=404)
        token = base64.b64encode(self.tokens[namespace].encode()).decode()
        return web.json_response({"metadata": {}, "data": {"token": token}})

    async def _offer(self, request: web.Request) -> web.Response:
        return web.json_response({}, status=200 if self.offers else 404)

    def _refused(self, request: web.Request) -> bool:
        token = request.headers["Impersonate-Extra-Clusternet-Token"]
        return self.accepted is not None and token not in self.accepted

    async def _child(self, request: web.Request) -> web.Response:
        if not self.offers or request.path.endswith("/unknown"):
            return web.Response(status=404, text="404 page not found\n")
        if self._refused(request):
            return web.json_response({"kind": "Status", "code": 401, "message": "no"}, status=401)
        if request.path.endswith("/missing"):
            return web.json_response({"kind": "Status", "code": 404, "message": "no such object"}, status=404)
        return web.json_response(
            {
                "method": request.method,
                "path": request.raw_path,
                "headers": dict(request.headers),
                "body": (await request.read()).decode(),
            }
        )

    async def _make_token(self, request: web.Request) -> web.Response:
        if request.match_info["name"] != "viewer":
            return web.json_response({"kind": "Status", "message": "no such account"}, status=404)
        self.made.append({**request.match_info, "by": request.headers["Impersonate-Extra-Clusternet-Token"]})
        expires = datetime.fromtimestamp(time.time() + self.lifetime, UTC).isoformat().replace("+00:00", "Z")
        return web.json_response({"status": {"token": f"made-{len(self.made)}", "expirationTimestamp": expires}})

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
        if self._refused(request):
            return web.json_response({}, status=401)
        await websocket.prepare(request)
        async for message in websocket:
            await websocket.send_bytes(message.data)
        return websocket

    async def _held(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun\n")
        await self.hold.wait()
        await response.write_eof()
        return response


class Site:
    """A parent, a gateway before it, and a caller."""

    def __init__(self, stack: AsyncExitStack, folder: Path) -> None:
        self._stack = stack
        self.parent = Parent()
        self.kubeconfig = folder / "children"
        self.running: asyncio.Task[None]
        self.server: TestServer

    async def start(self, **options: Any) -> None:
        """Start the gateway and wait for its kubeconfig."""
        await self.launch(**options)
        await until(self.kubeconfig.exists)

    async def launch(self, **options: Any) -> None:
        self.server = TestServer(self.parent.app())
        await self.server.start_server(shutdown_timeout=0.1)
        self._stack.push_async_callback(self.server.close)
        wanted = {"idle_timeout": None, "names": frozenset(), "namespace": None, "label_selector": None}
        settings = Settings(**{"port": 0, "kubeconfig": self.kubeconfig, "account": None, **wanted, **options})
        pair = self_signed()
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        entrance = Entrance(self.url, pair.certificate, "of-the-gateway", {})
        config = ClusterConfig(server=f"http://127.0.0.1:{self.server.port}", token="of-the-parent")
        client = await self._stack.enter_async_context(Client(config))
        passing_on = await self._stack.enter_async_context(forwarding_session(network_connector(0)))
        self.gateway = Gateway(client, passing_on, settings, entrance)
        await self._stack.enter_async_context(self.gateway.server(ServingTLS(pair), listener))
        self.running = asyncio.create_task(self.gateway.run())
        self._stack.push_async_callback(self.stop)
        context = ssl.create_default_context(cadata=pair.certificate.decode())
        self.session = await self._stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
        )

    async def stop(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)

    def ask(self, path: str, method: str = "GET", token: str = "of-the-gateway", **arguments: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}", **arguments.pop("headers", {})}
        return self.session.request(method, URL(self.url + path, encoded=True), headers=headers, **arguments)

    async def get(self, path: str, method: str = "GET", **arguments: Any) -> dict[str, Any]:
        async with self.ask(path, method, **arguments) as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())

    async def refused(self, path: str, status: int, **arguments: Any) -> str:
        """Check that a request is answered by a Status and return its message."""
        async with self.ask(path, **arguments) as answer:
            assert answer.status == status, await answer.text()
            body = await answer.json()
            assert (body["kind"], body["code"]) == ("Status", status)
            return str(body["message"])

    def contexts(self) -> list[str]:
        config = json.loads(self.kubeconfig.read_text())
        return [item["name"] for item in config["contexts"]]


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that nothing tells of."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(stack, tmp_path)


async def test_a_request_goes_to_the_child_with_what_it_takes_to_get_there(site: Site) -> None:
    await site.start()
    seen = await site.get("/ns1/berlin/api/v1/a%2Fb/?x=%20&y", "PATCH", data=b"body", headers={"X-Mine": "1"})
    assert seen["method"] == "PATCH"
    assert seen["path"] == f"{PROXY}/sockets/id-of-ns1/proxy/direct/api/v1/a%2Fb/?x=%20&y"
    assert seen["body"] == "body"
    assert seen["headers"]["X-Mine"] == "1"
    assert seen["headers"]["Authorization"] == "Bearer of-the-parent"
    assert seen["headers"]["Impersonate-User"] == "clusternet"
    assert seen["headers"]["Impersonate-Extra-Clusternet-Token"] == "deployer-1"
    seen = await site.get("/ns2/austin")
    assert seen["path"] == f"{PROXY}/sockets/id-of-ns2/proxy/direct/"
    assert seen["headers"]["Impersonate-Extra-Clusternet-Token"] == "deployer-2"
    assert (await site.get("/"))["paths"] == ["/ns1/berlin", "/ns2/austin"]
    assert site.parent.reads == ["ns1", "ns2"]


async def test_what_is_refused(site: Site) -> None:
    await site.start()
    for token in ("", "wrong", "of-the-gateway2", "of-the-gatewaü"):
        assert "takes the token" in await site.refused("/ns1/berlin/api", 401, token=token)
    async with site.session.get(f"{site.url}/ns1/berlin/api") as answer:
        assert answer.status == 401
    for token, status in (("wrong", 401), ("of-the-gateway", 200)):
        headers = {"Authorization": f"Bearer {token}"}
        async with site.session.get(f"{site.url}/metrics", headers=headers) as answer:
            assert answer.status == status
        async with site.session.get(f"{site.url}/livez", headers=headers) as answer:
            assert answer.status == 200
    assert "no cluster ns9/berlin" in await site.refused("/ns9/berlin/api", 400)
    assert "namespace and name" in await site.refused("/ns1", 400)
    assert "impersonate" in await site.refused("/ns1/berlin/api", 403, headers={"Impersonate-User": "viewer"})
    del site.parent.tokens["ns1"]
    assert "no Secret ns1/child-cluster-deployer" in await site.refused("/ns1/berlin/api", 503)
    site.parent.tokens["ns1"] = ""
    assert "no token" in await site.refused("/ns1/berlin/api", 503)
    await site.get("/ns2/austin/api")
    await site.server.close()
    assert "cannot reach the parent" in await site.refused("/ns2/austin/api", 502)
    assert "cannot reach the parent" in await site.refused("/ns1/berlin/api", 503)


async def test_a_credential_that_was_replaced_is_read_anew(site: Site) -> None:
    await site.start()
    await site.get("/ns1/berlin/api")
    site.parent.tokens["ns1"] = "second"
    site.parent.accepted = {"second"}
    seen = await site.get("/ns1/berlin/api", "POST", data=b"kept")
    assert seen["body"] == "kept"
    assert seen["headers"]["Impersonate-Extra-Clusternet-Token"] == "second"
    site.parent.accepted = {"third"}
    await site.refused("/ns1/berlin/api", 401)
    site.parent.tokens["ns1"] = "third"
    async with site.session.ws_connect(
        f"{site.url}/ns1/berlin/websocket", headers={"Authorization": "Bearer of-the-gateway"}
    ) as websocket:
        await websocket.send_bytes(b"echo")
        assert await websocket.receive_bytes() == b"echo"


async def test_acting_as_a_service_account(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await site.start(account=Account("team", "viewer"))
    for _ in range(2):
        seen = await site.get("/ns1/berlin/api")
        assert seen["headers"]["Impersonate-Extra-Clusternet-Token"] == "made-1"
    assert site.parent.made == [{"id": "id-of-ns1", "ns": "team", "name": "viewer", "by": "deployer-1"}]
    now = time.time()
    monkeypatch.setattr(credentials.time, "time", lambda: now + 1790)
    assert (await site.get("/ns1/berlin/api"))["headers"]["Impersonate-Extra-Clusternet-Token"] == "made-1"
    monkeypatch.setattr(credentials.time, "time", lambda: now + 1810)
    assert (await site.get("/ns1/berlin/api"))["headers"]["Impersonate-Extra-Clusternet-Token"] == "made-2"


async def test_a_service_account_that_is_missing(site: Site) -> None:
    await site.start(account=Account("team", "nobody"))
    assert "no such account" in await site.refused("/ns1/berlin/api", 503)


async def test_kubeconfigs_follow_the_fleet(site: Site) -> None:
    await site.start()
    folder = folder_of(site.kubeconfig)
    assert site.contexts() == ["berlin", "austin"]
    assert sorted(file.name for file in folder.iterdir()) == ["ns1.berlin", "ns2.austin"]
    assert json.loads((folder / "ns2.austin").read_text())["current-context"] == "ns2.austin"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in (site.kubeconfig, *folder.iterdir()):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    await site.parent.events.put(("ADDED", managed_cluster("berlin", "ns3")))
    await until(lambda: site.contexts() == ["berlin.ns1", "austin", "berlin.ns3"])
    assert (folder / "ns3.berlin").exists()
    site.parent.tokens["ns3"] = "deployer-3"
    await site.get("/ns3/berlin/api")
    await site.parent.events.put(("DELETED", managed_cluster("austin", "ns2")))
    await until(lambda: site.contexts() == ["berlin.ns1", "berlin.ns3"])
    assert sorted(file.name for file in folder.iterdir()) == ["ns1.berlin", "ns3.berlin"]
    (folder / "of-somebody").write_text("apiVersion: v1\n")
    await site.stop()
    assert not site.kubeconfig.exists()
    assert [file.name for file in folder.iterdir()] == ["of-somebody"]


async def test_kubeconfigs_that_cannot_be_written_are_tried_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await site.start()
    kubeconfigs = site.gateway._kubeconfigs
    write, failures = kubeconfigs.write, [OSError(28, "No space left on device") for _ in range(2)]

    def fails_at_first(clusters: Any) -> None:
        if failures:
            raise failures.pop()
        write(clusters)

    monkeypatch.setattr(kubeconfigs, "write", fails_at_first)
    await site.parent.events.put(("ADDED", managed_cluster("berlin", "ns3")))
    await until(lambda: site.contexts() == ["berlin.ns1", "austin", "berlin.ns3"])
    assert "No space left on device" in caplog.text
    assert not site.running.done()


async def test_a_gateway_that_cannot_write_at_all_ends_and_says_where_it_could(site: Site) -> None:
    await site.launch(kubeconfig=Path("/proc/self/children"))
    with pytest.RaisesGroup(
        pytest.RaisesExc(ConfigError, match=r"kubeconfig /proc/self/children can't be written: .*--write-kubeconfig")
    ):
        await asyncio.wait_for(site.running, 10)


async def test_only_the_chosen_clusters_are_offered(site: Site) -> None:
    await site.start(names=frozenset({"austin"}))
    assert site.contexts() == ["austin"]
    assert "no cluster" in await site.refused("/ns1/berlin/api", 400)


async def test_a_gateway_that_is_idle_ends(site: Site) -> None:
    started = time.monotonic()
    # Long enough for a busy machine to send the request in, shorter than what the request lasts.
    await site.start(idle_timeout=2)
    async with site.ask("/ns1/berlin/hold") as answer:
        assert await answer.content.readline() == b"begun\n"
        await asyncio.wait([site.running], timeout=2.5)
        assert not site.running.done()
        released = time.monotonic()
        site.parent.hold.set()
        await answer.read()
    async with asyncio.timeout(10):
        await site.running
    assert time.monotonic() - released >= 1.99
    assert time.monotonic() - started >= 4.49
    assert not site.kubeconfig.exists()
    assert not folder_of(site.kubeconfig).exists()


async def test_who_has_the_wrong_token_does_not_keep_it_alive(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    await site.start(idle_timeout=0.5)
    async with asyncio.timeout(10):
        while not site.running.done():
            await site.refused("/ns1/berlin/api?x=query", 401, token="wrong")
    assert "refused GET /ns1/berlin/api from 127.0.0.1: not the gateway's token" in caplog.text
    assert not {"wrong", "query"} & set(re.findall(r"\w+", caplog.text))


async def test_a_parent_that_offers_children_no_more_has_not_deleted_anything(site: Site) -> None:
    await site.start()
    assert await site.refused("/ns1/berlin/api/missing", 404, method="DELETE") == "no such object"
    async with site.ask("/ns1/berlin/apis/unknown") as answer:
        assert (answer.status, await answer.text()) == (404, "404 page not found\n"), "said by the child"
    site.parent.offers = False
    for path in ("missing", "unknown"):
        message = await site.refused(f"/ns1/berlin/api/{path}", 503, method="DELETE")
        assert "doesn't offer the APIs of its children" in message


async def test_a_parent_that_is_none(site: Site) -> None:
    site.parent.offers = False
    await site.launch()
    with pytest.raises(ConfigError, match="SocketConnection"):
        await site.running
    assert not site.kubeconfig.exists()


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "config"
    check_replaceable(file)
    file.write_text("apiVersion: v1\nkind: Config\n")
    with pytest.raises(ConfigError, match="not written by a gateway"):
        check_replaceable(file)
    file.unlink()
    folder_of(file).mkdir(mode=0o700)
    check_replaceable(file)
    folder_of(file).chmod(0o755)
    with pytest.raises(ConfigError, match="mode 0700"):
        check_replaceable(file)
