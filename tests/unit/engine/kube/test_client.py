"""The client against a server that throttles, stalls, cuts and refuses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from clusternet_engine.certificates import self_signed
from clusternet_engine.kube import client as client_module
from clusternet_engine.kube import credentials
from clusternet_engine.kube.client import Client, PatchType
from clusternet_engine.kube.config import ClusterConfig, ConfigError
from clusternet_engine.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    ConnectionFailed,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    TooManyRequests,
    Unauthorized,
)
from clusternet_engine.kube.ratelimit import TokenBucket
from clusternet_engine.kube.resources import CONFIG_MAPS, NAMESPACES
from clusternet_engine.kube.tls import load_key_pair
from hypothesis import given
from hypothesis import strategies as st


async def echo(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "content-type": request.headers.get("Content-Type"),
            "authorization": request.headers.get("Authorization"),
            "body": (await request.read()).decode(),
        }
    )


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (410, "Expired", Expired),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", TooManyRequests),
        (500, "InternalError", ApiError),
    ],
)
async def test_errors_are_typed_and_name_the_request(
    server: Any, client: Client, answers: Any, code: int, reason: str, kind: type[ApiError]
) -> None:
    server.answers += [answers.status(code, reason, "because")] * 2
    with pytest.raises(ApiError) as raised:
        await client.create(CONFIG_MAPS, {"metadata": {"name": "x"}, "data": {"k": "secret-value"}}, "ns")
    assert type(raised.value) is kind
    assert raised.value.status == code
    assert str(raised.value) == f"POST /api/v1/namespaces/ns/configmaps: {code} {reason}: because"


@pytest.mark.parametrize(
    ("body", "content_type", "shown"),
    [
        (b"<html>SECRET</html>", "text/html; charset=utf-8", " but text/html"),
        (b'{"message": "SECRET", "reason": "SECRET"}', "application/json", " but application/json"),
        (b'{"kind": "Secret", "message": "SECRET"}', "text/SECRET words", ""),
        (b"SECRET", "SECRET", ""),
        (b"\xff" * 10, "text/plain", " but text/plain"),
    ],
)
async def test_of_an_error_that_is_no_status_nothing_is_shown(
    server: Any, client: Client, body: bytes, content_type: str, shown: str
) -> None:
    async def gateway(request: web.Request) -> web.Response:
        return web.Response(status=502, body=body, headers={"Content-Type": content_type})

    server.answers.append(gateway)
    with pytest.raises(ApiError) as raised:
        await client.get(NAMESPACES, "x")
    assert raised.value.message == f"the answer is no Status of Kubernetes{shown}"
    assert raised.value.reason == ""


async def test_requests_carry_what_they_should(server: Any, client: Client) -> None:
    server.answers += [echo] * 5
    body = {"metadata": {"name": "x", "namespace": "ns"}}
    created = await client.create(CONFIG_MAPS, body)
    assert (created["path"], created["authorization"]) == ("/api/v1/namespaces/ns/configmaps", "Bearer a-token")
    updated = await client.update(CONFIG_MAPS, body, subresource="status")
    assert (updated["method"], updated["path"]) == ("PUT", "/api/v1/namespaces/ns/configmaps/x/status")
    applied = await client.patch(CONFIG_MAPS, "x", body, "ns", kind=PatchType.APPLY, field_manager="me", force=True)
    assert applied["content-type"] == "application/apply-patch+yaml"
    assert applied["path"] == "/api/v1/namespaces/ns/configmaps/x?fieldManager=me&force=true"
    patched = await client.patch(NAMESPACES, "a:b/c", [{"op": "remove"}], kind=PatchType.JSON)
    assert patched["path"] == "/api/v1/namespaces/a:b%2Fc"
    await client.delete(NAMESPACES, "x", uid="u-1", propagation="Foreground")
    assert server.requests[-1][0] == "DELETE"


async def test_lists_all_pages_and_starts_again_on_410(server: Any, client: Client, answers: Any) -> None:
    for n in range(25):
        server.put(f"m-{n:02}")

    async def first_page(request: web.Request) -> web.Response:
        return web.json_response(
            {"metadata": {"resourceVersion": "1", "continue": "old"}, "items": [{"metadata": {"name": "stale"}}]}
        )

    server.answers += [first_page, answers.status(410, "Expired")]
    result = await client.list(CONFIG_MAPS, limit=10, label_selector="a=b")
    assert [item["metadata"]["name"] for item in result.items] == [f"m-{n:02}" for n in range(25)]
    assert result.resource_version == "25"
    assert all(query["labelSelector"] == "a=b" for _, _, query, _ in server.requests)


async def test_a_list_that_always_expires_ends(server: Any, client: Client, answers: Any) -> None:
    server.answers += [answers.status(410, "Expired")] * 100
    with pytest.raises(Expired):
        await client.list(CONFIG_MAPS)
    assert len(server.requests) == client_module.LIST_RESTARTS + 1


@pytest.mark.parametrize("code", [429, 503])
async def test_waits_as_long_as_the_server_asks(server: Any, client: Client, answers: Any, code: int) -> None:
    server.answers += [answers.status(code, "Busy", headers={"Retry-After": "1"}), echo]
    started = time.monotonic()
    await client.get(NAMESPACES, "x")
    assert time.monotonic() - started >= 1
    assert len(server.requests) == 2


async def test_post_is_not_repeated(server: Any, client: Client, answers: Any) -> None:
    server.answers += [answers.status(429, "TooManyRequests", headers={"Retry-After": "1"}), echo]
    with pytest.raises(TooManyRequests) as raised:
        await client.create(NAMESPACES, {"metadata": {"name": "x"}})
    assert raised.value.retry_after == 1
    assert len(server.requests) == 1


async def test_does_not_wait_past_its_time(server: Any, client: Client, answers: Any) -> None:
    server.answers += [answers.status(429, "TooManyRequests", headers={"Retry-After": "3600"})]
    started = time.monotonic()
    with pytest.raises(TooManyRequests):
        await client.get(NAMESPACES, "x")
    assert time.monotonic() - started < 5


async def test_a_stalled_body_ends(server: Any, client: Client, answers: Any) -> None:
    server.answers.append(answers.hang)
    with pytest.raises(ConnectionFailed, match=r"/version: no answer within 0 s") as raised:
        await client.raw("GET", "/version", timeout=0.3)
    assert raised.value.cause == "timeout"


async def test_a_silent_watch_ends(server: Any, client: Client, answers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind that nobody changes is silent for hours, which is no failure; half an event is one."""
    monkeypatch.setattr(client_module, "WATCH_SILENCE", 0.3)
    server.put("x")
    async with contextlib.aclosing(client.watch(CONFIG_MAPS, resource_version="0")) as stream:
        assert [event.object["metadata"]["name"] async for event in stream] == ["x"]
    server.answers.append(answers.hang)
    with pytest.raises(ConnectionFailed, match="in the middle of an event"):
        async with contextlib.aclosing(client.watch(CONFIG_MAPS, resource_version="1")) as stream:
            assert [event async for event in stream] == []


async def test_a_cut_body_and_a_wrong_body(server: Any, client: Client, answers: Any) -> None:
    server.answers += [answers.raw_watch(b'{"a":', abort=True)]
    with pytest.raises(ConnectionFailed) as raised:
        await client.get(NAMESPACES, "x")
    assert raised.value.cause == "closed"
    for body in (b"[]", b"<html>"):
        server.answers.append(answers.raw_watch(body))
        with pytest.raises(ConnectionFailed) as raised:
            await client.get(NAMESPACES, "x")
        assert raised.value.cause == "malformed"


@pytest.mark.parametrize("body", [b"{}", b'{"metadata":{}}', b'{"metadata":{"resourceVersion":"1"},"items":[{}]}'])
async def test_somebody_elses_json_is_not_an_empty_list(server: Any, client: Client, answers: Any, body: bytes) -> None:
    server.answers.append(answers.raw_watch(body))
    with pytest.raises(ConnectionFailed) as raised:
        await client.list(CONFIG_MAPS)
    assert raised.value.cause == "malformed"


async def test_watch_of_a_huge_event(server: Any, client: Client) -> None:
    server.put("big", v="x" * 5_000_000)
    async with contextlib.aclosing(client.watch(CONFIG_MAPS, resource_version="0")) as stream:
        event = await anext(stream)
    assert len(event.object["data"]["v"]) == 5_000_000


async def test_connections_are_kept(server: Any, client: Client) -> None:
    ports = set()

    async def note_port(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.json_response({})

    server.answers += [note_port] * 20
    for _ in range(20):
        await client.get(NAMESPACES, "x")
    assert len(ports) == 1


async def test_token_file_is_read_again(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")

    async def only_two(request: web.Request) -> web.Response:
        good = request.headers["Authorization"] == "Bearer two"
        return web.json_response({"ok": good}, status=200 if good else 401)

    async with Client(ClusterConfig(server=server.url, token_file=file), qps=0) as client:
        server.answers += [echo, only_two, only_two, echo]
        assert (await client.get(NAMESPACES, "x"))["authorization"] == "Bearer one"
        file.write_text("two")
        assert (await client.create(NAMESPACES, {"metadata": {"name": "x"}}))["ok"]
        file.write_text("three")
        monkeypatch.setattr(credentials, "FILE_AGE", 0.0)
        assert (await client.get(NAMESPACES, "x"))["authorization"] == "Bearer three"
        file.unlink()
        with pytest.raises(ConfigError, match="token file"):
            await client.get(NAMESPACES, "x")


async def test_watch_takes_the_new_token_too(server: Any, tmp_path: Path, answers: Any) -> None:
    file = tmp_path / "token"
    file.write_text("one")
    server.put("a")
    server.answers.append(answers.status(401, "Unauthorized"))
    async with (
        Client(ClusterConfig(server=server.url, token_file=file), qps=0) as client,
        contextlib.aclosing(client.watch(CONFIG_MAPS, resource_version="0")) as stream,
    ):
        assert (await anext(stream)).type == "ADDED"


@pytest.fixture
async def tls_server(tmp_path: Path) -> Any:
    pair = self_signed()
    certificate, key = pair.certificate, pair.key
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_key_pair(context, certificate, key)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    yield f"https://127.0.0.1:{port}", certificate
    await runner.cleanup()


async def test_tls_is_verified(tls_server: Any) -> None:
    url, certificate = tls_server
    other_certificate = self_signed().certificate
    async with Client(ClusterConfig(server=url, ca_data=certificate)) as client:
        assert await client.get(NAMESPACES, "x")
    for ca_data in (None, other_certificate):
        async with Client(ClusterConfig(server=url, ca_data=ca_data, token="secret-token")) as client:
            with pytest.raises(ConnectionFailed, match="certificate can't be verified") as raised:
                await client.get(NAMESPACES, "x")
        assert raised.value.cause == "tls"
        assert "secret-token" not in str(raised.value)
    async with Client(ClusterConfig(server=url, insecure_skip_tls_verify=True)) as client:
        assert await client.get(NAMESPACES, "x")
    named = ClusterConfig(server=url, ca_data=certificate, tls_server_name="localhost")
    async with Client(named) as client:
        assert await client.get(NAMESPACES, "x")
    async with Client(ClusterConfig(server=url, ca_data=certificate, tls_server_name="elsewhere")) as client:
        with pytest.raises(ConnectionFailed, match="certificate can't be verified"):
            await client.get(NAMESPACES, "x")


async def test_unreachable_servers_say_why() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url, cause in (
        (f"http://127.0.0.1:{port}", "refused"),
        ("https://no-such-host.invalid", "dns"),
    ):
        async with Client(ClusterConfig(server=url)) as client:
            with pytest.raises(ConnectionFailed, match=url) as raised:
                await client.get(NAMESPACES, "x")
            assert raised.value.cause == cause


async def test_wrong_certificates_are_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="CA bundle"):
        Client(ClusterConfig(server="https://localhost", ca_data=b"-----BEGIN CERTIFICATE-----\nxx\n"))


async def test_plain_text_server_behind_https(server: Any) -> None:
    async with Client(ClusterConfig(server=server.url.replace("http:", "https:"))) as client:
        with pytest.raises(ConnectionFailed) as raised:
            await client.get(NAMESPACES, "x")
    assert raised.value.cause == "tls"


@given(
    st.lists(st.floats(0, 3), min_size=1, max_size=60),
    st.sampled_from([0.5, 5.0, 50.0]),
    st.integers(1, 20),
)
def test_rate_limit_never_exceeds_burst_plus_rate(gaps: list[float], qps: float, burst: int) -> None:
    now = 0.0
    bucket = TokenBucket(qps, burst, clock=lambda: now)
    granted: list[float] = []
    for gap in gaps:
        now += gap
        granted.append(now + bucket.reserve())
    assert granted == sorted(granted)
    for i, start in enumerate(granted):
        for j in range(i, len(granted)):
            assert j - i + 1 <= burst + qps * (granted[j] - start) + 1 + 1e-6


async def test_a_cancelled_wait_gives_its_token_back() -> None:
    bucket = TokenBucket(1.0, 1)
    await bucket.acquire()
    waits = [asyncio.create_task(bucket.acquire()) for _ in range(50)]
    await asyncio.sleep(0)
    for wait in waits:
        wait.cancel()
    await asyncio.wait(waits)
    assert bucket.reserve() <= 1.0


async def test_requests_are_limited(server: Any) -> None:
    async with Client(ClusterConfig(server=server.url), qps=20, burst=5) as client:
        started = time.monotonic()
        server.answers += [echo] * 15
        await asyncio.gather(*(client.get(NAMESPACES, "x") for _ in range(15)))
        assert time.monotonic() - started >= 0.45


async def test_exec_credential(server: Any, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    plugin = tmp_path / "plugin"
    plugin.write_text(
        "#!/bin/sh\n"
        'echo "$KUBERNETES_EXEC_INFO" >> "$COUNT"\n'
        'printf \'{"status":{"token":"token-%s"}}\' "$(wc -l < "$COUNT" | tr -d " ")"\n'
    )
    plugin.chmod(0o755)
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server.url}}],
        "users": [
            {
                "name": "u",
                "user": {
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1",
                        "command": "./plugin",
                        "env": [{"name": "COUNT", "value": str(counter)}],
                    }
                },
            }
        ],
    }
    async with Client(ClusterConfig.from_document(document, folder=tmp_path), qps=0) as client:
        server.answers += [echo, echo]
        for _ in range(2):
            assert (await client.get(NAMESPACES, "x"))["authorization"] == "Bearer token-1"
        assert orjson.loads(counter.read_bytes())["kind"] == "ExecCredential"

        async def refuse(request: web.Request) -> web.Response:
            return web.Response(status=401)

        server.answers += [refuse, echo]
        assert (await client.get(NAMESPACES, "x"))["authorization"] == "Bearer token-2"
        plugin.write_text("#!/bin/sh\necho token-secret; exit 3\n")
        server.answers += [refuse]
        with pytest.raises(ConfigError, match="exit status 3") as raised:
            await client.get(NAMESPACES, "x")
        assert "token-secret" not in str(raised.value)
