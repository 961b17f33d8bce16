"""Repositories that keep a client busy."""

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from clusternet_engine.deploy import repositories
from clusternet_engine.deploy.repositories import Credential, Repositories, RepositoryFailed


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


@pytest.mark.timeout(10)
async def test_all_requests_together_have_a_limit_in_time(registry, monkeypatch):
    monkeypatch.setattr(repositories, "LOOK_TIMEOUT", 0.3)
    chart = {"repo": f"oci://{registry}/charts", "chart": "web", "version": "1.0.0", "plainHTTP": True}
    with pytest.raises(RepositoryFailed, match="did not answer within"):
        await Repositories().look(chart, Credential())


async def test_archives_are_kept_for_a_moment_and_not_too_many_bytes(monkeypatch):
    fetched = []

    async def within(seconds, spec, credential, threads, work):
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
    kept = Repositories()
    first, second, large = chart("first", 60), chart("second", 40), chart("large", 90)
    assert await fetches(first, second, first, second) == ["first", "second"]
    assert await fetches(large) == ["large"]
    assert await fetches(large, second) == ["second"], "a new one drives the older ones out"
    for _ in range(200):
        await asyncio.sleep(0.05)
        if not kept._kept:
            return
    raise AssertionError("archives stay for ever")
