"""Health and metrics over real HTTPS, and what logs look like."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from clusternet_engine import metrics, serving
from clusternet_engine.answers import refuse
from clusternet_engine.certificates import issue, make_authority, self_signed
from clusternet_engine.logs import MAX_KINDS, KlogFormatter, Sparingly, mask, setup
from clusternet_engine.serving import HealthServer, ServingTLS


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def ask(port: int, path: str, context: ssl.SSLContext | bool = False) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://127.0.0.1:{port}{path}", ssl=context) as answer,
    ):
        return answer.status, await answer.text()


async def test_checks(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "CHECK_TIMEOUT", 0.1)
    problems: dict[str, str] = {}

    def informers() -> None:
        if "informers" in problems:
            raise RuntimeError(problems["informers"])

    async def parent() -> None:
        if "parent" in problems:
            await asyncio.Event().wait()

    async with HealthServer("127.0.0.1", port, {"informers": informers, "parent": parent}):
        for path in ("/healthz", "/livez", "/readyz"):
            assert await ask(port, path) == (200, "ok")
        problems["informers"] = "secret-reason"
        status, text = await ask(port, "/readyz")
        assert status == 500
        assert text.splitlines() == [
            "[+]ping ok",
            "[-]informers failed: reason withheld",
            "[+]parent ok",
            "readyz check failed",
        ]
        assert await ask(port, "/livez") == (200, "ok")
        problems.clear()
        problems["parent"] = "hangs"
        assert (await ask(port, "/healthz"))[0] == 500
        assert "[+]ping ok" in (await ask(port, "/livez?verbose"))[1]
        status, text = await ask(port, "/metrics")
        assert status == 200
        assert metrics.LEADER._name in text
        assert (await ask(port, "/other"))[0] == 404
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(port, "/livez")


async def test_only_readiness_asks_for_what_a_restart_does_not_mend(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    reasons = ["no parent", "no parent", "no approval", ""]

    def registered() -> None:
        if reason := reasons.pop(0):
            raise RuntimeError(reason)

    async with HealthServer("127.0.0.1", port, {"cache": lambda: None}, readiness_checks={"registered": registered}):
        for _ in range(3):
            assert await ask(port, "/readyz") == (
                500,
                "[+]ping ok\n[+]cache ok\n[-]registered failed: reason withheld\nreadyz check failed\n",
            )
            assert await ask(port, "/healthz?verbose") == (200, "[+]ping ok\n[+]cache ok\nhealthz check passed\n")
            assert await ask(port, "/livez") == (200, "ok")
        assert await ask(port, "/readyz") == (200, "ok")
    told = [record.getMessage() for record in caplog.records if "check" in record.getMessage()]
    assert told == ["check registered failed: no parent", "check registered failed: no approval"]


async def test_what_is_not_for_everybody(port: int) -> None:
    async def access(request: web.Request) -> None:
        if request.headers.get("Authorization") != "Bearer right":
            raise refuse(401, f"{request.path} wants a token")

    async def asked(path: str, token: str = "wrong") -> int:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"https://127.0.0.1:{port}{path}", ssl=False) as answer,
        ):
            return answer.status

    async with HealthServer("127.0.0.1", port, {}, access=access):
        assert [await asked(path) for path in ("/livez", "/readyz", "/healthz")] == [200, 200, 200]
        assert (await ask(port, "/metrics"))[0] == 401
        assert await asked("/metrics") == 401
        assert await asked("/metrics", "right") == 200
    async with HealthServer("127.0.0.1", port, {}, access=access, always_allowed=("/metrics",)):
        assert [await asked(path) for path in ("/livez", "/readyz", "/healthz", "/metrics")] == [401, 401, 401, 200]


async def test_certificate_files_and_a_taken_port(port: int, tmp_path: Path) -> None:
    pair = self_signed()
    (tmp_path / "crt").write_bytes(pair.certificate)
    (tmp_path / "key").write_bytes(pair.key)
    tls = ServingTLS.of_files(tmp_path / "crt", tmp_path / "key")
    async with HealthServer("127.0.0.1", port, {}, tls=tls):
        context = ssl.create_default_context(cadata=pair.certificate.decode())
        assert await ask(port, "/livez", context) == (200, "ok")
        with pytest.raises(OSError, match="address already in use"):
            await HealthServer("127.0.0.1", port, {}).start()


async def test_the_certificate_changes_while_serving(port: int) -> None:
    authority = make_authority("test")
    tls = ServingTLS()
    async with HealthServer("127.0.0.1", port, {}, tls=tls):
        context = ssl.create_default_context(cadata=authority.certificate.decode())
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await ask(port, "/livez", context)
        tls.serve_with(issue(authority, "test", ["hub.ns.svc"]))
        assert await ask(port, "/livez", context) == (200, "ok")


async def test_client_certificates_are_judged_by_the_authority_of_the_moment(port: int, tmp_path: Path) -> None:
    authority, other = make_authority("test"), make_authority("other")
    (tmp_path / "crt").write_bytes(authority.certificate + authority.key)
    seen: list[bool] = []

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        seen.append(bool(request.transport.get_extra_info("ssl_object").getpeercert()))
        return web.Response(text="ok")

    def context(certificate: bool) -> ssl.SSLContext:
        made = ssl.create_default_context()
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        if certificate:
            made.load_cert_chain(tmp_path / "crt")
        return made

    tls = ServingTLS()
    async with HealthServer("127.0.0.1", port, {}, tls=tls, handler=handler):
        for trusted, accepted in ((authority, True), (other, False)):
            tls.trust(trusted.certificate)
            assert await ask(port, "/x", context(certificate=False)) == (200, "ok")
            if accepted:
                assert await ask(port, "/x", context(certificate=True)) == (200, "ok")
            else:
                with pytest.raises(aiohttp.ClientError):
                    await ask(port, "/x", context(certificate=True))
        assert seen == [False, True, False]


async def test_without_descriptors_the_certificate_stays_and_nobody_is_trusted_wrongly(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(24, "Too many open files")

    authority = make_authority("test")
    tls = ServingTLS(issue(authority, "test", ["127.0.0.1"]))
    async with HealthServer("127.0.0.1", port, {}, tls=tls):
        context = ssl.create_default_context(cadata=authority.certificate.decode())
        with monkeypatch.context() as patched:
            patched.setattr(serving, "load_key_pair", fail)
            with pytest.raises(OSError, match="Too many open files"):
                tls.serve_with(self_signed())
            assert await ask(port, "/livez", context) == (200, "ok")
            tls.trust(make_authority("other").certificate)
            with pytest.raises(aiohttp.ClientError):
                await ask(port, "/livez", context)
        assert await ask(port, "/livez", context) == (200, "ok")
        with pytest.raises(ssl.SSLError):
            tls.trust(b"no PEM")


async def test_port_0_serves_nothing() -> None:
    async with HealthServer("127.0.0.1", 0, {}):
        pass


def test_log_lines(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord(
        "clusternet_engine.x", logging.WARNING, "", 0, "token %s", ("abcdef.0123456789abcdef",), None
    )
    line = KlogFormatter().format(record)
    assert line.startswith("W")
    assert line.endswith(" clusternet_engine.x] token abcdef.***")


@pytest.mark.parametrize("control", ["\n", "\r", "\r\n", "\x1b[2J", "\x85", "\u2028", "\0"])
def test_a_name_cannot_make_a_log_line(control: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "no %s", (f"näme{control}E1127 all is lost",), None)
    line = KlogFormatter().format(record)
    assert line.isprintable()
    assert "E1127 all is lost" in line.splitlines()[0]
    assert "näme\\" in line


def test_many_messages_alike_are_logged_sparingly() -> None:
    now = 0.0
    sparingly = Sparingly(10.0, lambda: now)
    assert [sparingly.allows(kind) for kind in "aabab"] == [True, False, True, False, False]
    now = 10.0
    assert [sparingly.allows(kind) for kind in "aab"] == [True, False, True]
    assert sum(sparingly.allows(f"kind {number}") for number in range(10_000)) <= MAX_KINDS
    assert len(sparingly._next) <= MAX_KINDS + 1


async def test_a_stranger_cannot_fill_the_log_with_malformed_requests(
    port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    former, root = logging.getLogger().handlers[:], logging.getLogger().level
    authority = make_authority("test")
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    tls = ServingTLS(issue(authority, "test", ["127.0.0.1"]))
    try:
        setup(0)
        async with HealthServer("127.0.0.1", port, {}, tls=tls):
            for _ in range(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
                writer.write(b"GET /secret-of-mine HTTP/9.9\r\n\r\n")
                async with asyncio.timeout(30):
                    assert b" 400 " in await reader.readline()
                writer.close()
    finally:
        logging.basicConfig(level=root, handlers=former, force=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("] ")[2] for line in lines] == ["refused a malformed request: BadStatusLine"]


def test_secrets_are_masked() -> None:
    web_token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2lnbmF0dXJl"
    assert mask(f"a {web_token} b") == "a *** b"
    assert mask("Authorization: Bearer abc.def/ghi= x") == "Authorization: Bearer *** x"
    assert mask("/apis/clusters.clusternet.io/v1beta1/managedclusters") == (
        "/apis/clusters.clusternet.io/v1beta1/managedclusters"
    )


@pytest.mark.parametrize(
    ("verbosity", "level"),
    [(0, logging.WARNING), (1, logging.INFO), (2, logging.INFO), (4, logging.DEBUG), (9, logging.DEBUG)],
)
def test_verbosity(verbosity: int, level: int) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("clusternet_engine").level
    try:
        setup(verbosity)
        assert logging.getLogger("clusternet_engine.kube").getEffectiveLevel() == level
    finally:
        root.handlers[:], root.level = before[0], before[1]
        logging.getLogger("clusternet_engine").setLevel(before[2])
