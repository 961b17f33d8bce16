"""A server of the attacker: notes every request that reaches it, and answers as the attacker likes."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

SECRET_ANSWER = "INTERNAL-ONLY: instance role credential AKIA-EXAMPLE"
"""What an internal server answers that nobody outside may see."""


class Listener:
    """An HTTP server: at 127.0.0.1 it stands for whatever the hub may reach and attackers may not.

    Args:
        address: where it listens; another one than 127.0.0.1 stands for a server of the attacker's own.

    Attributes:
        requests: method and path of every request, with its Authorization header.
        answers: what to answer, by the first part of the path; others get `SECRET_ANSWER`.
    """

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.requests: list[tuple[str, str]] = []
        self.answers: dict[str, Callable[[], tuple[int, dict[str, str], bytes]]] = {}
        self._server = ThreadingHTTPServer((address, 0), self._handler())
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self._server.server_address[0]!s}:{self._server.server_address[1]}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                listener.requests.append((f"{self.command} {self.path}", self.headers.get("Authorization", "")))
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = listener.answers.get(self.path.split("/")[1])
                status, headers, body = answer() if answer else (418, {}, SECRET_ANSWER.encode())
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        return Handler
