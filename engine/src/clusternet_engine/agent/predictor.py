"""The built-in predictor: answers how many replicas this cluster has room for (spec/03 §4.3)."""

from __future__ import annotations

import asyncio
import logging
import time
from types import TracebackType
from typing import Self

import orjson
from aiohttp import web

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import ApiError, ConnectionFailed
from clusternet_engine.kube.resources import NODES, PODS, Object
from clusternet_engine.listening import LimitedSite, note_requests
from clusternet_engine.model.capacity import room_in_cluster
from clusternet_engine.model.documents import DocumentError, read_json

_FRESH = 1.0
"""Seconds in which nodes and pods aren't read again: the scheduler asks for all feeds at once."""
_LARGEST_QUESTION = 2**20

log = logging.getLogger(__name__)


class Predictor:
    """Serves `POST /replicas/predict`; use it in `async with`.

    Args:
        child: client of the child cluster.
        host: address to listen on.
        port: to listen on; 0 takes a free one.
    """

    def __init__(self, child: Client, host: str, port: int) -> None:
        self._child = child
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._reading = asyncio.Lock()
        self._read: tuple[float, list[Object], list[Object]] = (-_FRESH, [], [])
        self.address = ""
        """Where it is asked; empty while it doesn't serve."""

    async def __aenter__(self) -> Self:
        """Listen; a port that is taken is logged, since an agent without a predictor is still of use."""
        app = web.Application(client_max_size=_LARGEST_QUESTION, middlewares=[note_requests])
        app.add_routes([web.post("/replicas/predict", self._predict)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        await self._runner.setup()
        try:
            site = LimitedSite(self._runner, self._host, self._port)
            await site.start()
        except OSError as error:
            log.error("no predictor: it can't listen on %s", error.strerror)
        else:
            self.address = f"http://localhost:{site.address[1]}"
            log.info("predicting replicas on %s", self.address)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.address = ""

    async def _predict(self, request: web.Request) -> web.Response:
        try:
            requirements = read_json(await request.read() or b"{}")
        except DocumentError as error:
            return _refusal(400, f"the body is {error}")
        if not isinstance(requirements, dict):
            return _refusal(400, "the body is not a ReplicaRequirements object")
        try:
            nodes, pods = await self._nodes_and_pods()
        except (ApiError, ConnectionFailed) as error:
            return _refusal(503, f"the cluster can't be asked: {error}")
        try:
            room = await asyncio.to_thread(room_in_cluster, requirements, nodes, pods)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            return _refusal(400, f"the requirements can't be read: {error}")
        return web.Response(body=orjson.dumps({"replicas": {"default": room}}), content_type="application/json")

    async def _nodes_and_pods(self) -> tuple[list[Object], list[Object]]:
        async with self._reading:
            read_at, nodes, pods = self._read
            if time.monotonic() - read_at >= _FRESH:
                listed = await asyncio.gather(self._child.list(NODES), self._child.list(PODS))
                nodes, pods = (found.items for found in listed)
                self._read = time.monotonic(), nodes, pods
            return nodes, pods


def _refusal(status: int, message: str) -> web.Response:
    return web.Response(status=status, body=orjson.dumps({"error": message}), content_type="application/json")
