"""Runs modules with their arguments as Ansible hands them over, against a server that notes every request."""

import importlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible.module_utils import basic

MODULES = "ansible_collections.clusternet.core.plugins.modules"


class ApiServer:
    """Answers GETs from `objects` (path → object or list of them) and echoes dry runs; notes writes that are none.

    Paths that are `forbidden` can't be read.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.missing_namespaces: set[str] = set()
        self.forbidden: set[str] = set()
        self.requests: list[str] = []
        self.writes: list[str] = []
        handler = type("Handler", (_Handler,), {"server_state": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> "ApiServer":
        self._thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: ApiServer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _not_found(self) -> None:
        self._answer(404, {"kind": "Status", "reason": "NotFound", "message": "not found", "code": 404})

    def _handle(self) -> None:
        state = self.server_state
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        state.requests.append(f"{self.command} {self.path}")
        if self.command == "GET":
            found = state.objects.get(url.path)
            if url.path in state.forbidden:
                self._answer(403, {"kind": "Status", "reason": "Forbidden", "message": "forbidden", "code": 403})
            elif isinstance(found, list):
                self._answer(200, {"kind": "List", "metadata": {"resourceVersion": "10"}, "items": found})
            elif found is None:
                self._not_found()
            else:
                self._answer(200, found)
            return
        # Kubernetes reads the options of a DELETE from its body when it has one, and then not from the query.
        if self.command == "DELETE" and body is not None:
            dry = body.get("dryRun") == ["All"]
        else:
            dry = parse_qs(url.query).get("dryRun") == ["All"]
        if not dry:
            state.writes.append(f"{self.command} {self.path}")
        if any(f"/namespaces/{name}/" in url.path for name in state.missing_namespaces):
            self._not_found()
            return
        before = None if self.command == "POST" else state.objects.get(url.path)
        after = {**(before or {}), **(body or {})}
        if isinstance(before, dict):
            after["metadata"] = {**before["metadata"], **(body or {}).get("metadata", {})}
            after["metadata"]["labels"] = {
                **before["metadata"].get("labels", {}),
                **(body or {}).get("metadata", {}).get("labels", {}),
            }
            after["spec"] = {**before.get("spec", {}), **(body or {}).get("spec", {})}
        self._answer(200, after)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle


@pytest.fixture
def server() -> Iterator[ApiServer]:
    """An API server without any object."""
    with ApiServer() as running:
        yield running


@pytest.fixture
def run_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """``run_module("objects", host, check_mode=True, **options)`` returns what the module prints."""
    for name in [name for name in os.environ if name.startswith(("K8S_AUTH_", "KUBE"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(name: str, host: str, check_mode: bool = True, **options: Any) -> dict[str, Any]:
        arguments = {
            **options,
            "host": host,
            "_ansible_check_mode": check_mode,
            "_ansible_diff": True,
            "_ansible_remote_tmp": str(tmp_path),
        }
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        capsys.readouterr()
        with pytest.raises(SystemExit):
            importlib.import_module(f"{MODULES}.{name}").main()
        return json.loads(capsys.readouterr().out)

    return run
