"""Requests that the hub's API server answers without its API groups."""

import json
import re
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from clusternet_engine.hub.api.authentication import User
from clusternet_engine.hub.api.authorization import MASTERS
from clusternet_engine.hub.api.server import ApiServer
from clusternet_engine.hub.settings import Settings
from clusternet_engine.hub.tunnels import Tunnels
from clusternet_engine.serving import ServingTLS

SOCKETS, SHADOW = "/apis/proxies.clusternet.io/v1alpha1", "/apis/shadow/v1alpha1"


@pytest.fixture
def server(caches: Any) -> ApiServer:
    """A server of which all feature gates are off."""
    nobody: Any = None
    settings = Settings(
        controllers=frozenset(), workers=1, system_namespace="s", reserved_namespace="clusternet-reserved", gates={}
    )
    return ApiServer(nobody, caches, settings, ServingTLS(), Tunnels(), own_certificate=False)


async def answer(server: ApiServer, method: str, path: str, **headers: str) -> tuple[int, str]:
    found = await server.handle(make_mocked_request(method, path, headers))
    assert isinstance(found, web.Response)
    assert isinstance(found.body, bytes)
    return found.status, json.loads(found.body)["message"]


async def test_a_feature_that_is_off_is_unavailable_not_unknown(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server._authenticator, "user", lambda request: User("me", groups=(MASTERS,)))
    for path, gate in (
        (f"{SOCKETS}/sockets/id", "SocketConnection"),
        (f"{SOCKETS}/sockets/id/proxy/direct/api/v1/namespaces/x", "SocketConnection"),
        (f"{SHADOW}/namespaces/x/deployments/web", "ShadowAPI"),
    ):
        status, message = await answer(server, "DELETE", path)
        assert (status, f"its feature gate {gate} is off" in message) == (503, True), message
    for path in (SOCKETS, SHADOW, "/apis/other/v1/things/x"):
        assert (await answer(server, "GET", path))[0] == 404, path


async def test_who_is_not_the_parent_is_logged(server: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    headers = {"Authorization": "Bearer secret", "X-Remote-User": "admin", "X-Remote-Extra-Clusternet-Token": "secret"}
    path = f"{SOCKETS}/sockets/id/proxy/direct/x?y=query"
    assert (await answer(server, "POST", path, **headers))[0] == 401
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert re.search(r"refused POST \S+/sockets/id/proxy/direct/x from ", record.getMessage())
    assert not {"secret", "query"} & set(re.findall(r"\w+", record.getMessage()))
