"""Raw requests to API servers, as one identity, with the answer as it came."""

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple, Self

import urllib3
from kubernetes.config import new_client_from_config

TIMEOUT = 30.0


class Answer(NamedTuple):
    """The HTTP status, the parsed body and the warnings of an answer."""

    status: int
    body: dict[str, Any]
    warnings: str


class Api:
    """Requests to one API server.

    Args:
        server: its URL.
        pool: connections that know whom to trust, and the client certificate if there is one.
        headers: sent with every request.
    """

    def __init__(self, server: str, pool: urllib3.PoolManager, headers: dict[str, str] | None = None) -> None:
        self.server = server
        self._pool = pool
        self._headers = headers or {}

    @classmethod
    def from_kubeconfig(cls, kubeconfig: Path) -> Self:
        """Act as the user of a kubeconfig's current context."""
        client = new_client_from_config(str(kubeconfig))
        return cls(client.configuration.host, client.rest_client.pool_manager)

    @classmethod
    def with_token(cls, server: str, ca: Path, token: str) -> Self:
        """Act as the owner of a token."""
        pool = urllib3.PoolManager(ca_certs=str(ca), maxsize=32)
        return cls(server, pool, {"Authorization": f"Bearer {token}"})

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        **query: str,
    ) -> Answer:
        """Send one request; whatever the server answers is returned."""
        answer = self._pool.request_encode_url(
            method,
            self.server + path,
            fields=query,
            headers={"Content-Type": content_type, "Accept": accept, **self._headers},
            body=None if body is None else json.dumps(body),
            timeout=TIMEOUT,
            retries=False,
        )
        try:
            parsed = json.loads(answer.data)
        except ValueError:
            parsed = {"text": answer.data.decode(errors="replace")}
        return Answer(answer.status, parsed, answer.headers.get("Warning", ""))

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Return what is at a path that must exist."""
        answer = self("GET", path, **query)
        assert answer.status == 200, answer
        return answer.body

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Return the items of a list."""
        return self.get(path, **query)["items"]

    def secret(self, namespace: str, name: str) -> dict[str, str]:
        """Return the decoded data of a Secret."""
        data = self.get(f"/api/v1/namespaces/{namespace}/secrets/{name}").get("data", {})
        return {key: base64.b64decode(value).decode() for key, value in data.items()}
