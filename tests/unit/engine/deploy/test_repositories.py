"""Repositories that keep a client busy."""

import asyncio
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from clusternet_engine.deploy import repositories
from clusternet_engine.deploy.repositories import Credential, Repositories, RepositoryFailed
from clusternet_engine.model.addresses import parse_networks, repository_rule
from clusternet_engine.model.charts import ChartMissing


class Endless(BaseHTTPRequestHandler):
    """A registry whose list of tags has always one more page."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Link", f'<{self.path}>; rel="next"')
        self.end_headers()
        self.wfile.write(b'{"tags": []}')

    def log_message(self, *_):
        pass


@pytest.fixture
def registry():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


SECRET = "INTERNAL-ONLY"


class Scripted(BaseHTTPRequestHandler):
    """Answers every request as its server says; all answers have a secret in every part that a server may choose."""

    def do_GET(self):
        self.server.asked.append((self.path.partition("?")[0], self.headers.get("Authorization", "")))
        status, headers, body = self.server.script(self.path)
        self.send_response(status, SECRET)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def servers():
    """Start servers on this machine, each at the address that is asked for."""
    started = []

    def start(address, script=lambda path: (200, {}, b"")):
        server = ThreadingHTTPServer((address, 0), Scripted)
        server.asked, server.script = [], script
        server.host = f"{address}:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


ALLOWED = repository_rule("hub", parse_networks("127.0.0.1"))
REFUSED = r"which isn't allowed; --repository-addresses of the hub \(clusternet_hub_repository_addresses\) allows it"
LOGIN = Credential("reader", "s3cret-word")


async def failure(repo, *, rule=ALLOWED, credential=LOGIN, fetch=False):
    """Return why a chart can't be had; that must not tell what a server has answered."""
    spec = {"repo": repo, "chart": "web", "version": "1.0.0", "plainHTTP": True}
    repositories = Repositories(rule)
    with pytest.raises((RepositoryFailed, ChartMissing)) as raised:
        await (repositories.fetch if fetch else repositories.look)(spec, credential)
    assert SECRET not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0"])
async def test_special_addresses_are_not_asked_unless_allowed(servers, host):
    server = servers("127.0.0.1")
    for scheme in ("http", "oci"):
        await_repo = f"{scheme}://{host}:{server.server_address[1]}/charts"
        message = await failure(await_repo, rule=repository_rule("hub"))
        assert re.search(REFUSED, message) or "is not a URL" in message
    assert not server.asked


@pytest.mark.parametrize("scheme", ["http", "oci"])
async def test_a_redirect_is_judged_and_gets_no_login(servers, scheme):
    forbidden = servers("127.0.0.2")
    allowed = servers("127.0.0.1")
    there = {"Location": f"http://{forbidden.host}/{SECRET}"}
    first = servers("127.0.0.1", lambda path: (302, there, SECRET.encode()))
    assert re.search(REFUSED, await failure(f"{scheme}://{first.host}/charts"))
    assert not forbidden.asked
    there["Location"] = f"http://{allowed.host}/other"
    await failure(f"{scheme}://{first.host}/charts")
    assert allowed.asked == [("/other", "")]


async def test_redirects_have_an_end_and_stay_on_http(servers):
    server = servers("127.0.0.1", lambda path: (307, {"Location": "/again"}, b""))
    assert "redirects more than 5 times" in await failure(f"http://{server.host}")
    assert len(server.asked) == 6
    assert all(authorization.startswith("Basic ") for _, authorization in server.asked), "it is the same server"
    server.script = lambda path: (302, {"Location": f"file:///etc/{SECRET}"}, b"")
    assert "neither https nor http" in await failure(f"http://{server.host}")


async def test_what_an_index_refers_to_is_judged_and_gets_no_login(servers):
    forbidden, allowed = servers("127.0.0.2"), servers("127.0.0.1", lambda path: (404, {}, SECRET.encode()))
    entry = {"version": "1.0.0", "name": "web"}

    def index(path):
        return 200, {}, yaml.safe_dump({"entries": {"web": [entry]}}).encode()

    server = servers("127.0.0.1", index)
    entry["urls"] = [f"http://{forbidden.host}/{SECRET}"]
    assert re.search(REFUSED, await failure(f"http://{server.host}", fetch=True))
    assert not forbidden.asked
    entry["urls"] = [f"http://{allowed.host}/{SECRET}.tgz"]
    assert "404" in await failure(f"http://{server.host}", fetch=True)
    assert allowed.asked == [(f"/{SECRET}.tgz", "")]
    entry["urls"] = [f"oci://{SECRET}/x"]
    assert "refers to an OCI registry" in await failure(f"http://{server.host}", fetch=True)


async def test_the_login_service_of_a_registry_is_judged(servers):
    forbidden = servers("127.0.0.2")
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{forbidden.host}/{SECRET}",service="{SECRET}"'}
    server = servers("127.0.0.1", lambda path: (401, challenge, SECRET.encode()))
    assert re.search(REFUSED, await failure(f"oci://{server.host}/charts"))
    assert not forbidden.asked


async def test_the_token_of_a_registry_goes_to_that_registry_only(servers):
    other = servers("127.0.0.1", lambda path: (200, {}, b'{"tags": []}'))

    def registry(path):
        if path.startswith("/token"):
            return 200, {}, b'{"token": "t0ken"}'
        if server.asked[-1][1] != "Bearer t0ken":
            return 401, {"WWW-Authenticate": f'Bearer realm="http://{server.host}/token"'}, b""
        return 200, {"Link": f'<http://{other.host}/more>; rel="next"'}, b'{"tags": []}'

    server = servers("127.0.0.1", registry)
    assert "has no tag 1.0.0" in await failure(f"oci://{server.host}/charts")
    assert [path for path, _ in server.asked] == ["/v2/charts/web/tags/list", "/token", "/v2/charts/web/tags/list"]
    assert other.asked == [("/more", "")]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, SECRET.encode()),
        (200, f"entries: {{web: [{{version: 1.0.0, urls: [], {SECRET}: 1}}]}}".encode()),
        (200, f"{SECRET}: [".encode()),
        (200, f'{{"tags": ["{SECRET}"]}}'.encode()),
        (204, b""),
        (401, SECRET.encode()),
        (403, SECRET.encode()),
        (404, SECRET.encode()),
        (418, SECRET.encode()),
        (500, SECRET.encode()),
    ],
)
async def test_nothing_of_an_answer_is_told_but_its_status_code(servers, status, body):
    headers = {"X-Header": SECRET, "Content-Type": f"text/{SECRET}", "WWW-Authenticate": f'Bearer realm="{SECRET}"'}
    server = servers("127.0.0.1", lambda path: (status, headers, body))
    for scheme in ("http", "oci"):
        for fetch in (False, True):
            message = await failure(f"{scheme}://{server.host}/charts", fetch=fetch)
            assert server.host in message


async def test_of_a_failed_connection_only_that_is_told(servers):
    server = servers("127.0.0.1")
    server.server_close()
    rule = repository_rule("hub", parse_networks("127.0.0.1"))
    repo = f"http://localhost:{server.server_address[1]}"
    assert await failure(repo, rule=rule) == f"{repo} can't be reached; the log of this program says more"


async def test_a_login_of_the_operator_is_not_lent(servers, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login operator password own\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = servers("127.0.0.1")
    await failure(f"http://{server.host}", credential=Credential())
    assert server.asked == [("/index.yaml", "")]


async def test_behind_a_proxy_addresses_are_judged_as_spelled(servers, monkeypatch):
    proxy = servers("127.0.0.1", lambda path: (404, {}, b""))
    monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
    assert re.search(REFUSED, await failure("http://169.254.169.254/latest", rule=repository_rule("hub")))
    assert not proxy.asked
    named = "http://charts.example.com"
    assert "404" in await failure(named, rule=repository_rule("hub"))
    assert [path for path, _ in proxy.asked] == [f"{named}/index.yaml"]


@pytest.mark.timeout(10)
async def test_all_requests_together_have_a_limit_in_time(registry, monkeypatch):
    monkeypatch.setattr(repositories, "LOOK_TIMEOUT", 0.3)
    chart = {"repo": f"oci://{registry}/charts", "chart": "web", "version": "1.0.0", "plainHTTP": True}
    with pytest.raises(RepositoryFailed, match="did not answer within"):
        await Repositories(repository_rule("hub", parse_networks("127.0.0.1"))).look(chart, Credential())


async def test_archives_are_kept_for_a_moment_and_not_too_many_bytes(monkeypatch):
    fetched = []

    async def within(seconds, spec, credential, rule, threads, work):
        fetched.append(spec["chart"])
        return bytes(spec["size"])

    def chart(name, size):
        return {"repo": "https://charts", "chart": name, "size": size}

    async def fetches(*charts):
        fetched.clear()
        for one in charts:
            assert len(await kept.fetch(one, Credential())) == one["size"]
        return list(fetched)

    monkeypatch.setattr(repositories, "_within", within)
    monkeypatch.setattr(repositories, "_KEPT_BYTES", 100)
    monkeypatch.setattr(repositories, "_KEPT_FOR", 0.5)
    kept = Repositories(repository_rule("hub"))
    first, second, large = chart("first", 60), chart("second", 40), chart("large", 90)
    assert await fetches(first, second, first, second) == ["first", "second"]
    assert await fetches(large) == ["large"]
    assert await fetches(large, second) == ["second"], "a new one drives the older ones out"
    for _ in range(200):
        await asyncio.sleep(0.05)
        if not kept._kept:
            return
    raise AssertionError("archives stay for ever")
