"""Answers in the words of API servers: objects, errors as Status, warnings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from aiohttp import web

from clusternet_engine.kube.errors import ApiError, ConnectionFailed, error_from_status
from clusternet_engine.kube.resources import Object

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def json_answer(
    body: Any, status: int = 200, *, warnings: Iterable[str] = (), content_type: str = "application/json"
) -> web.Response:
    """Return an answer with a JSON body."""
    answer = web.Response(body=orjson.dumps(body), status=status, headers={"Content-Type": content_type})
    for warning in warnings:
        answer.headers.add("Warning", warning_header(warning))
    return answer


def warning_header(text: str) -> str:
    """Return a warning as the header that kubectl shows; one that is such a header already comes back unchanged."""
    if text.startswith("299 "):
        return text
    escaped = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'


def refuse(status: int, message: str, *, reason: str = "", details: Mapping[str, Any] | None = None) -> ApiError:
    """Return the error to raise for a request that can't be answered."""
    status_body = {"reason": reason or REASONS.get(status, ""), "message": message, "details": dict(details or {})}
    return error_from_status(status_body, method="", path="", status=status)


def status_answer(error: ApiError | ConnectionFailed) -> web.Response:
    """Return an error as a Status."""
    if isinstance(error, ConnectionFailed):
        error = refuse(503, f"the hub can't reach the parent cluster: {error}")
    body = failure(error)
    answer = json_answer(body, error.status)
    if error.retry_after:
        answer.headers["Retry-After"] = f"{error.retry_after:g}"
    return answer


def failure(error: ApiError) -> Object:
    """Return the Status of an error."""
    body: Object = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.message,
        "reason": error.reason or REASONS.get(error.status, ""),
        "code": error.status,
    }
    if error.details:
        body["details"] = dict(error.details)
    return body


def success(details: Mapping[str, Any]) -> Object:
    """Return the Status of something done that leaves no object to show."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": dict(details)}
