"""Reads what users send to the shadow API, and does what takes long with it, beside the event loop.

A body is refused by its length before it is read; whatever takes more than a moment is done in threads, of which each
user has one at a time. Somebody with the rights of one namespace can so keep the hub from nothing but their own
requests: those that wait too long are answered with 504, and those that are too many with 429.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from clusternet_engine.answers import refuse
from clusternet_engine.hub.api.groups import Call
from clusternet_engine.hub.api.patches import patch_type, read_body, read_patch
from clusternet_engine.kube.client import PatchType
from clusternet_engine.kube.errors import ApiError
from clusternet_engine.kube.resources import Object
from clusternet_engine.model.limits import OBJECT
from clusternet_engine.threads import Busy, Overdue, Threads

WAITING = 64
"""Works of one user that wait for the user's thread."""
_TIMEOUT = 20.0
"""Seconds in which a body is read or an object changed; most of that is the wait for the user's other requests."""
_QUICK_SIZE = 2**15
"""Bytes of JSON that are read at once: that takes no longer than to hand them to a thread and back."""

P = ParamSpec("P")
T = TypeVar("T")


class Bodies:
    """The bodies of requests."""

    def __init__(self) -> None:
        self._threads = Threads("shadow", waiting=WAITING)

    async def object(self, call: Call) -> Object:
        """Return the object in the body of a request.

        Raises:
            ApiError: 400 if there is none; also what `aside` raises.
        """
        content_type = call.request.content_type
        if content_type not in ("application/json", "application/octet-stream", "application/yaml"):
            message = f"the body of the request was in an unknown format: {content_type}; send application/json"
            raise refuse(415, message)
        yaml, content = content_type == "application/yaml", await _content(call)
        if len(content) <= _QUICK_SIZE and not yaml:
            body = read_body(content, yaml=yaml)
        else:
            body = await self.aside(call, read_body, content, yaml=yaml)
        if not isinstance(body, dict):
            raise refuse(400, "the body of the request must be an object")
        return body

    async def patch(self, call: Call) -> tuple[PatchType, Any]:
        """Return the patch in the body of a request, and its kind.

        Raises:
            ApiError: 400 if there is none, 415 if it is of no kind that is known; also what `aside` raises.
        """
        kind = patch_type(call.request.headers.get("Content-Type", ""))
        return kind, await self.aside(call, read_patch, kind, await _content(call))

    async def aside(self, call: Call, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what some work returns that may take long.

        Raises:
            ApiError: 429 if the user has too much of it, 504 if it isn't done in time; also what the work raises.
        """
        try:
            return await self._threads.run(call.user.name, _TIMEOUT, work, *args, **kwargs)
        except Busy as error:
            raise ApiError(429, "TooManyRequests", f"the shadow API: {error}", retry_after=1.0) from None
        except Overdue as error:
            raise refuse(504, f"the shadow API: the request {error}") from None


async def _content(call: Call) -> bytes:
    """Return the body of a request as it was sent.

    Raises:
        ApiError: 413 if it is larger than an object may be; then it is not even read.
    """
    size = call.request.content_length
    if size is not None and size > OBJECT.size:
        raise refuse(413, f"the body of the request has {size} bytes, it may have {OBJECT.size}; divide it")
    return await call.request.read()
