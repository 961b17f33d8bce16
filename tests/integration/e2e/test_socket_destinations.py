"""What beside a child's API server is reached through its agent: what the role's variable lists, nothing else."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from deployment import BEHIND, Deployment

pytestmark = pytest.mark.usefixtures("nothing_is_forbidden")

FORBIDDEN = "127.0.0.3"
PROXY = "/apis/proxies.clusternet.io/v1alpha1/sockets/{}/proxy/http/{}:{}/greeting"


class Greeter(BaseHTTPRequestHandler):
    """Answers every GET."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def ports() -> Iterator[dict[str, int]]:
    """Ports of servers on an address that is listed and on one that isn't."""
    with ExitStack() as stack:
        found = {}
        for address in (BEHIND, FORBIDDEN):
            server = stack.enter_context(ThreadingHTTPServer((address, 0), Greeter))
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
            stack.callback(server.shutdown)
            found[address] = server.server_address[1]
        yield found


@pytest.mark.parametrize("child", ["child1", "child2"])
def test_only_what_is_listed_is_reached(deployment: Deployment, ports: dict[str, int], child: str, wait_for) -> None:
    identity = deployment.cluster_id(child)
    listed = PROXY.format(identity, BEHIND, ports[BEHIND])
    wait_for(lambda: deployment.parent("GET", listed).body == {"text": "hello"}, why="what is listed is not reached")
    refused = deployment.parent("GET", PROXY.format(identity, FORBIDDEN, ports[FORBIDDEN]))
    assert refused.status == 502
    assert f"{FORBIDDEN}:{ports[FORBIDDEN]}" in refused.body["message"]
