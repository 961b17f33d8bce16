"""The few requests the lab itself makes to its API servers."""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

TIMEOUT = 5.0  # seconds for one request


class ApiServer:
    """A connection to an API server as its administrator."""

    def __init__(self, server: str, pki: Path) -> None:
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self._connection = http.client.HTTPSConnection(urlsplit(server).netloc, timeout=TIMEOUT, context=context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
        """Return status and body of the answer.

        Raises:
            OSError: there is no answer.
            http.client.HTTPException: the connection broke while answering.
        """
        try:
            self._connection.request(
                method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"} if body else {}
            )
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except BaseException:
            self._connection.close()
            raise

    def get(self, path: str) -> dict[str, Any] | None:
        """Return the JSON object at ``path``; None when there is no answer or another status than 200."""
        try:
            status, body = self.request("GET", path)
        except (OSError, http.client.HTTPException):
            return None
        return json.loads(body) if status == http.client.OK else None

    def is_ready(self) -> bool:
        """Tell whether the API server says it is ready."""
        try:
            return self.request("GET", "/readyz")[0] == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
