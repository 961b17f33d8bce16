"""An API server in this process, over real sockets, that can be told to misbehave."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
from aiohttp import web
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeApiServer:
    """Serves one resource (ConfigMaps of all namespaces) with versions, pages and watches, and injected faults.

    `answers` are handlers that each take over one coming request; `requests` are (method, path, query, headers).
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], dict[str, str]]] = []
        self.answers: list[Handler] = []
        self.objects: dict[str, dict[str, Any]] = {}
        self.history: list[tuple[int, str, dict[str, Any]]] = []
        self.forgotten = 0
        self.version = itertools.count(1)
        self.current = 0
        self.changed = asyncio.Event()
        self.watchers: dict[int, web.Request] = {}
        self.url = ""
        self._cut = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        self.cut_watches()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def put(self, name: str, **data: str) -> dict[str, Any]:
        """Create or change an object."""
        old = self.objects.get(name)
        self.current = next(self.version)
        obj = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": "default",
                "uid": old["metadata"]["uid"] if old else f"uid-{self.current}",
                "resourceVersion": str(self.current),
                "managedFields": [{"manager": "test"}],
            },
            "data": data,
        }
        self.objects[name] = obj
        self._record("MODIFIED" if old else "ADDED", obj)
        return obj

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        obj = self.objects.pop(name, None)
        if obj is None:
            return
        self.current = next(self.version)
        self._record("DELETED", {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.current)}})

    def forget_history(self) -> None:
        """Compact: watches from before now get 410."""
        self.forgotten = self.current

    def cut_watches(self) -> None:
        """Abort the connection of every open watch."""
        for request in list(self.watchers.values()):
            if request.transport is not None:
                request.transport.abort()
        self._cut.set()
        self._cut = asyncio.Event()

    def _record(self, type_: str, obj: dict[str, Any]) -> None:
        self.history.append((self.current, type_, obj))
        self.changed.set()
        self.changed = asyncio.Event()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path, dict(request.query), dict(request.headers)))
        await request.read()
        if self.answers:
            return await self.answers.pop(0)(request)
        if request.query.get("watch"):
            return await self._watch(request)
        return self._list(request)

    def _list(self, request: web.Request) -> web.Response:
        limit = int(request.query.get("limit") or 0) or len(self.objects) or 1
        start = int(request.query.get("continue") or 0)
        ordered = [self.objects[name] for name in sorted(self.objects)]
        items = [{k: v for k, v in obj.items() if k not in ("apiVersion", "kind")} for obj in ordered]
        metadata = {"resourceVersion": str(self.current)}
        if start + limit < len(items):
            metadata["continue"] = str(start + limit)
        return web.json_response(
            {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": metadata, "items": items[start : start + limit]}
        )

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        version = int(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        self.watchers[id(request)] = request
        cut = self._cut
        try:
            if version < self.forgotten:
                status = {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old"}
                await response.write(orjson.dumps({"type": "ERROR", "object": status}) + b"\n")
                return response
            while not cut.is_set():
                changed = self.changed
                for at, type_, obj in [entry for entry in self.history if entry[0] > version]:
                    await response.write(orjson.dumps({"type": type_, "object": obj}) + b"\n")
                    version = at
                waits = [asyncio.ensure_future(changed.wait()), asyncio.ensure_future(cut.wait())]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()
        except ConnectionError:
            pass
        finally:
            del self.watchers[id(request)]
        return response


def status_answer(code: int, reason: str, message: str = "", headers: dict[str, str] | None = None) -> Handler:
    """A handler that answers with a Status."""

    async def answer(request: web.Request) -> web.Response:
        body = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
        return web.json_response(body, status=code, headers=headers)

    return answer


def raw_watch_answer(*chunks: bytes, abort: bool = False) -> Handler:
    """A handler that streams these chunks, then ends the stream, or aborts the connection."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0)
        if abort and request.transport is not None:
            await asyncio.sleep(0.05)
            request.transport.abort()
        return response

    return answer


async def hang(request: web.Request) -> web.StreamResponse:
    """A handler that sends headers and half a body, then nothing."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b'{"half":')
    await asyncio.sleep(30)
    return response


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    fake = FakeApiServer()
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
async def client(server: FakeApiServer) -> AsyncIterator[Client]:
    async with Client(ClusterConfig(server=server.url, token="a-token"), qps=0) as opened:
        yield opened


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Wait until a condition holds, 10 s at most."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def answers() -> Any:
    """The makers of misbehaving handlers, for tests (test folders are not packages)."""

    class Answers:
        status = staticmethod(status_answer)
        raw_watch = staticmethod(raw_watch_answer)
        hang = staticmethod(hang)

    return Answers


@pytest.fixture
def fake_api_server() -> type[FakeApiServer]:
    return FakeApiServer
