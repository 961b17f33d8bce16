"""What a request can end in, besides success."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson


class ApiError(Exception):
    """The API server answered with an error.

    The text names method and path, never the request's body, headers or query.

    :ivar status: HTTP status code.
    :ivar reason: the server's machine-readable reason (``NotFound``, ``Forbidden``, …), may be empty.
    :ivar message: the server's sentence.
    :ivar details: ``details`` of the server's Status (causes, kind, name, …).
    :ivar retry_after: seconds the server asks to wait, or ``None``.
    """

    def __init__(
        self,
        status: int,
        reason: str = "",
        message: str = "",
        *,
        method: str = "",
        path: str = "",
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        self.method = method
        self.path = path
        self.details = details or {}
        self.retry_after = retry_after
        super().__init__(f"{method} {path}: {status} {reason}: {message}".strip())


class Unauthorized(ApiError):
    """401: the credentials are missing, expired or wrong."""


class Forbidden(ApiError):
    """403: the identity may not do this."""


class NotFound(ApiError):
    """404: no such object, or no such resource (CRD not installed)."""


class AlreadyExists(ApiError):
    """409 on create: the name is taken."""


class Conflict(ApiError):
    """409 on update: the object changed since it was read."""


class Expired(ApiError):
    """410: the resource version or continue token is too old; list again."""


class Invalid(ApiError):
    """422: the object breaks a rule of its schema or kind."""


class TooManyRequests(ApiError):
    """429: throttled by the server; see ``retry_after``."""


_MEDIA_TYPE = re.compile(r"(?:application|text)/[a-z0-9.+-]{1,40}(?![^\s;])", re.ASCII)

_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
}


class ClientClosed(RuntimeError):
    """A client was used before it was opened or after it was closed."""

    def __init__(self) -> None:
        super().__init__("the client is not open; use it in `async with`")


class ConnectionFailed(Exception):
    """There was no (whole) HTTP answer.

    :ivar url: scheme, host, port and path; no query, no credentials.
    :ivar cause: one of ``address`` (not allowed), ``dns``,
        ``refused``, ``tls``, ``timeout``, ``closed``, ``malformed``, ``unreachable``.
    """

    def __init__(self, url: str, cause: str, message: str) -> None:
        self.url = url
        self.cause = cause
        super().__init__(f"{url}: {message}")


def error_from_status(
    body: Mapping[str, Any], *, method: str, path: str, status: int = 0, retry_after: float | None = None
) -> ApiError:
    """The typed error for a ``Status`` object.

    :param status: HTTP status of the answer; 0 takes ``code`` of the object (ERROR events of a watch).
    :param retry_after: seconds of the ``Retry-After`` header; ``details.retryAfterSeconds`` stands in for it.
    """
    code = status or _whole_number(body.get("code")) or 500
    reason = str(body.get("reason") or "")
    raw_details = body.get("details")
    details = raw_details if isinstance(raw_details, dict) else {}
    if retry_after is None:
        retry_after = _whole_number(details.get("retryAfterSeconds"))
    kind = AlreadyExists if code == 409 and reason == "AlreadyExists" else _BY_STATUS.get(code, ApiError)
    return kind(
        code,
        reason,
        str(body.get("message") or ""),
        method=method,
        path=path,
        details=details,
        retry_after=retry_after,
    )


def error_from_response(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """Return the typed error for an HTTP answer.

    Only the words of a Kubernetes ``Status`` are kept. Anything else comes from a proxy or from a server that is no API
    server, and errors end in statuses that others read: of such an answer they say the status code and content type.
    """
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict) or parsed.get("kind") != "Status":
        parsed = {"message": f"the answer is no Status of Kubernetes{_content_type(headers)}"}
    return error_from_status(parsed, method=method, path=path, status=status, retry_after=retry_after_seconds(headers))


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds of a ``Retry-After`` header; ``None`` if absent or a date (API servers send seconds)."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None


def _content_type(headers: Mapping[str, str]) -> str:
    found = _MEDIA_TYPE.match(headers.get("Content-Type", ""))
    return f" but {found[0]}" if found else ""


def _whole_number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
