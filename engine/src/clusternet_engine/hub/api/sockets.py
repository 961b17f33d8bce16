"""`sockets` of `proxies.clusternet.io`: the tunnels of agents, and requests through them (spec/04 §2, §5)."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

from aiohttp import web

from clusternet_engine.answers import refuse
from clusternet_engine.hub.api.groups import Call
from clusternet_engine.hub.api.proxy import Proxy
from clusternet_engine.hub.tunnels import Tunnels
from clusternet_engine.kube.resources import SOCKETS, Object
from clusternet_engine.tunnel.session import MAX_MESSAGE, Session

PROXY = "proxy"
_VERBS = ["create", "delete", "get", "patch", "update"]

log = logging.getLogger(__name__)


class Sockets:
    """The API group of the tunnels.

    Args:
        tunnels: where sessions of agents are made known.
        proxy: answers requests for children.
        is_registered: tells by its ID whether a cluster is registered.
    """

    group = SOCKETS.group
    version = SOCKETS.version

    def __init__(self, tunnels: Tunnels, proxy: Proxy, is_registered: Callable[[str], bool]) -> None:
        self._tunnels = tunnels
        self._proxy = proxy
        self._is_registered = is_registered

    def resources(self) -> list[Object]:
        """Return the entries of its APIResourceList."""
        entry = {"singularName": "", "namespaced": False, "kind": SOCKETS.kind, "verbs": _VERBS}
        socket = {**entry, "singularName": "socket", "shortNames": ["ss"], "categories": ["clusternet"]}
        return [{"name": SOCKETS.plural, **socket}, {"name": f"{SOCKETS.plural}/{PROXY}", **entry}]

    async def answer(self, call: Call) -> web.StreamResponse:
        """Answer a request for a tunnel, or for a child."""
        info = call.info
        if info.resource != SOCKETS.plural or info.namespace:
            raise refuse(404, "the server could not find the requested resource")
        if not info.name:
            raise refuse(401, "failed authentication: the path names no cluster")
        match info.subresource:
            case "":
                return await self._serve_agent(call)
            case "proxy":
                return await self._proxy.answer(call)
        raise refuse(404, f"{SOCKETS.plural} have no sub-resource {info.subresource!r}")

    async def _serve_agent(self, call: Call) -> web.StreamResponse:
        websocket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=MAX_MESSAGE)
        if not websocket.can_prepare(call.request):
            raise refuse(400, "a tunnel is opened by a websocket")
        if not self._is_registered(call.info.name):
            raise refuse(404, f"cluster {call.info.name} is not registered")
        await websocket.prepare(call.request)
        cluster_id = call.info.name
        session = Session(websocket, f"{cluster_id}/{random.getrandbits(63)}")
        log.info("cluster %s: tunnel opened by %s", cluster_id, call.user.name)
        with self._tunnels.registered(cluster_id, session):
            reason = await session.run()
        log.info("cluster %s: tunnel ended: %s", cluster_id, reason)
        return websocket
