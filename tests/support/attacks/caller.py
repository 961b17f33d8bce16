"""Requests as an attacker sends them: paths, bodies and headers go out exactly as they are given."""

import http.client
import json
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 60.0
"""Seconds an answer may take; a server that works is far quicker."""


@dataclass(frozen=True)
class Answer:
    """An answer: its HTTP status and its text."""

    status: int
    text: str

    @property
    def body(self) -> Any:
        """The parsed text; empty if it isn't JSON."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return {}

    @property
    def refused(self) -> bool:
        """Whether the server has said that the caller may not, or that there is no such thing for it."""
        return self.status in (400, 401, 403, 404, 405, 413, 415, 422, 429)


class Caller:
    """Somebody who sends requests to one server, over a connection for each thread.

    Args:
        server: its URL.
        ca: file with the authority of its certificate; None doesn't verify, as strangers do.
        token: shown with every request; empty for nobody.
        context: TLS with a client certificate instead.
    """

    def __init__(
        self, server: str, ca: Path | None = None, token: str = "", context: ssl.SSLContext | None = None
    ) -> None:
        url = urlsplit(server)
        self.host, self.port = url.hostname or "", url.port or 443
        self.token = token
        if context is None:
            context = ssl.create_default_context(cafile=str(ca) if ca else None)
            if ca is None:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
        self.context = context
        self._local = threading.local()

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; bytes and text go out as they are, everything else as JSON."""
        data = body if body is None or isinstance(body, bytes | str) else json.dumps(body)
        sent = {"Content-Type": content_type, "Accept": "application/json", **(headers or {})}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        for fresh in (False, True):
            try:
                return self._send(method, path, data, sent)
            except (http.client.HTTPException, ConnectionError, ssl.SSLEOFError):
                # A connection that was kept may have been closed meanwhile.
                self._local.connection = None
                if fresh:
                    raise
        raise AssertionError("unreachable")

    def get(self, path: str) -> Any:
        """Return what is at a path; it must be there."""
        answer = self("GET", path)
        assert answer.status == 200, f"GET {path}: {answer.status} {answer.text[:300]}"
        return answer.body

    def items(self, path: str) -> list[dict[str, Any]]:
        """Return the objects of a list."""
        found: list[dict[str, Any]] = self.get(path)["items"]
        return found

    def create(self, path: str, body: Any) -> Any:
        """Create an object; return it as stored."""
        answer = self("POST", path, body)
        assert answer.status == 201, f"POST {path}: {answer.status} {answer.text[:500]}"
        return answer.body

    def merge(self, path: str, body: Any) -> Any:
        """Change an object by a merge patch; return it as stored."""
        answer = self("PATCH", path, body, content_type="application/merge-patch+json")
        assert answer.status in (200, 201), f"PATCH {path}: {answer.status} {answer.text[:500]}"
        return answer.body

    def _send(self, method: str, path: str, data: Any, headers: Mapping[str, str]) -> Answer:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT, context=self.context)
            self._local.connection = connection
        try:
            connection.request(method, path, data, dict(headers))
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(errors="replace"))
        except BaseException:
            connection.close()
            self._local.connection = None
            raise
