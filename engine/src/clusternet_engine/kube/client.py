"""A thin client of the Kubernetes API on aiohttp and orjson."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp

from clusternet_engine import metrics
from clusternet_engine.connecting import AddressRefused
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.connections import network_connector, proxy, tls
from clusternet_engine.kube.credentials import TokenSource, token_source
from clusternet_engine.kube.decoding import EVENT, LIST, OBJECT, NotJSON, decode_aside, encode, marked
from clusternet_engine.kube.errors import (
    ClientClosed,
    ConnectionFailed,
    Expired,
    Invalid,
    error_from_response,
    error_from_status,
    retry_after_seconds,
)
from clusternet_engine.kube.ratelimit import TokenBucket
from clusternet_engine.kube.resources import Object, Resource, object_key
from clusternet_engine.kube.watch import MalformedEvent, WatchDecoder, WatchEvent, not_json

REQUEST_TIMEOUT = 30.0
"""Seconds a request may take, with its rate limit, retries and body."""
CONNECT_TIMEOUT = 10.0
"""Seconds to connect and shake hands."""
WATCH_TIMEOUT = (300.0, 600.0)
"""Seconds after which the server ends a watch; drawn at random, so that watches do not end together."""
WATCH_SILENCE = 120.0
"""Seconds without a byte after which a watch is asked for anew; of quiet kinds there may be none for longer."""
LIST_RESTARTS = 3
"""Times a list starts again because its continue token expired."""
MAX_CONNECTIONS = 100
READ_CHUNK = 2**16


class PatchType(StrEnum):
    """Content types of PATCH."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(slots=True)
class ObjectList:
    """All objects of a list and the version of the whole, from which a watch can start."""

    items: list[Object] = field(default_factory=list)
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer of any status; ``headers`` ignore case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Route(Protocol):
    """A way to an API server other than the network path that every program of this host may take."""

    def connector(self) -> aiohttp.BaseConnector:
        """The connections to use."""

    def proxy(self, config: ClusterConfig) -> str | None:
        """The HTTP proxy to go through."""

    def forwarded(self, config: ClusterConfig) -> contextlib.AbstractAsyncContextManager[ClusterConfig]:
        """A configuration by which other programs on this host get there, for as long as it is open."""


class Client:
    """Requests to one API server with one identity, over kept-alive connections.

    Use as ``async with Client(config) as client``. Every method raises
    :class:`~clusternet_engine.kube.errors.ApiError` (or the subclass for the status) when the server refuses,
    :class:`~clusternet_engine.kube.errors.ConnectionFailed` when there is no whole answer within its time, and
    :class:`~clusternet_engine.kube.config.ConfigError` when a token file or credential plugin fails.

    A 429 or 503 with ``Retry-After`` is retried within the request's time, except for POST. A 401 makes the client
    fetch its token anew and try once more.

    :param qps: requests a second after the burst; 0 = no limit.
    :param burst: requests let through at once.
    :param route: how to get there; ``None`` = by the network.
    :param tokens: where the bearer token comes from; ``None`` = from the configuration.
    :raises ConfigError: CA or client certificate are unreadable.
    """

    def __init__(
        self,
        config: ClusterConfig,
        qps: float = 50.0,
        burst: int = 100,
        user_agent: str = "clusternet-engine",
        route: Route | None = None,
        tokens: TokenSource | None = None,
    ) -> None:
        self.config = config
        self._limiter = TokenBucket(qps, burst)
        self._tokens = tokens or token_source(config)
        self._user_agent = user_agent
        self._route = route
        self._proxy = route.proxy(config) if route else proxy(config)
        self._ssl = tls(config)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=self._route.connector() if self._route else network_connector(MAX_CONNECTIONS),
            headers={"User-Agent": self._user_agent, "Accept": "application/json"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; the client can't be used afterwards."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def outside(self) -> contextlib.AbstractAsyncContextManager[ClusterConfig]:
        """A configuration by which other programs on this host get to the same server, for as long as it is open."""
        return self._route.forwarded(self.config) if self._route else contextlib.nullcontext(self.config)

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, *, subresource: str | None = None
    ) -> Object:
        """Read one object."""
        return await self._json("GET", resource.path(namespace, name, subresource))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int = 500,
        metadata_only: bool = False,
    ) -> ObjectList:
        """Read all objects, page by page; starts again when the server forgets the snapshot (410).

        Items get the ``apiVersion`` and ``kind`` that lists leave out.

        :param namespace: ``None`` = all namespaces.
        :param limit: objects a page.
        :param metadata_only: ask for the objects' metadata alone.
        """
        path = resource.path(namespace)
        accept = _accept("PartialObjectMetadataList") if metadata_only else {}
        query = _selectors(label_selector, field_selector)
        for restarts_left in range(LIST_RESTARTS, -1, -1):
            try:
                return await self._pages(resource, path, {**query, "limit": str(limit)}, accept)
            except Expired:
                if not restarts_left:
                    raise
        raise AssertionError("unreachable")

    async def _pages(
        self, resource: Resource, path: str, query: dict[str, str], headers: Mapping[str, str]
    ) -> ObjectList:
        result = ObjectList()
        while True:
            page, cut = await self._answer("GET", path, params=query, headers=headers, around=LIST)
            items, metadata = page.get("items") or [], page.get("metadata") or {}
            try:
                for item in items:
                    object_key(item)
                    item.setdefault("apiVersion", resource.api_version)
                    item.setdefault("kind", resource.kind)
                result.items += map(marked, items) if cut else items
                result.resource_version = metadata["resourceVersion"]
            except (KeyError, TypeError, AttributeError):
                # Taken for an empty list, somebody else's JSON would delete everything from an informer's cache.
                raise ConnectionFailed(f"{self.config.server}{path}", "malformed", "the answer is not a list") from None
            if not metadata.get("continue"):
                return result
            query = {**query, "continue": metadata["continue"]}

    async def create(
        self, resource: Resource, body: Object, namespace: str | None = None, *, subresource: str | None = None
    ) -> Object:
        """POST an object, or with ``subresource`` post to that of the object named in ``body`` (e.g. ``token``).

        :param namespace: ``None`` = the body's own.
        """
        metadata = body.get("metadata") or {}
        name = metadata.get("name") if subresource else None
        return await self._json(
            "POST", resource.path(namespace or metadata.get("namespace"), name, subresource), body=body
        )

    async def update(self, resource: Resource, body: Object, *, subresource: str | None = None) -> Object:
        """PUT an object; namespace and name come from its metadata, a ``resourceVersion`` there guards the write."""
        metadata = body["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        return await self._json("PUT", path, body=body)

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        kind: PatchType = PatchType.MERGE,
        subresource: str | None = None,
        field_manager: str | None = None,
        force: bool = False,
    ) -> Object:
        """PATCH an object.

        :param patch: a partial object, or a list of operations for :attr:`PatchType.JSON`.
        :param field_manager: owner of the fields; needed for :attr:`PatchType.APPLY`.
        :param force: take over fields that other managers own (``APPLY`` only).
        """
        params = {"fieldManager": field_manager} if field_manager else {}
        if force:
            params["force"] = "true"
        path = resource.path(namespace, name, subresource)
        return await self._json("PATCH", path, params=params, body=patch, content_type=kind.value)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: str | None = None,
    ) -> Object:
        """DELETE an object; the answer is a ``Status``, or what is there until its finalizers are done.

        :param uid: delete only the object with this UID (else :class:`~clusternet_engine.kube.errors.Conflict`).
        :param resource_version: delete only this version of the object.
        :param propagation: ``Background``, ``Foreground`` or ``Orphan``.
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if conditions := {field: value for field, value in preconditions.items() if value}:
            options["preconditions"] = conditions
        if propagation:
            options["propagationPolicy"] = propagation
        return await self._json("DELETE", resource.path(namespace, name), body=options)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str | None = None,
        field_selector: str | None = None,
        timeout_seconds: float | None = None,
        metadata_only: bool = False,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Changes after ``resource_version``, bookmarks included, until the server ends the watch.

        It also ends after :data:`WATCH_SILENCE`: the connection may be dead, which the next watch finds out. Silence is
        no failure, since API servers send bookmarks only for kinds that have changed while they run.

        Close the iterator (``contextlib.aclosing``) when leaving it early.

        :param timeout_seconds: when the server shall end it; ``None`` = :data:`WATCH_TIMEOUT`.
        :param metadata_only: ask for the objects' metadata alone.
        :raises Expired: the server no longer knows the resource version; list again.
        :raises ConnectionFailed: cut off, also in the middle of an event, or malformed.
        """
        path = resource.path(namespace)
        seconds = timeout_seconds if timeout_seconds is not None else random.uniform(*WATCH_TIMEOUT)  # noqa: S311
        params = {
            **_selectors(label_selector, field_selector),
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, int(seconds))),
        }
        timeout = aiohttp.ClientTimeout(
            total=None, connect=REQUEST_TIMEOUT, sock_connect=CONNECT_TIMEOUT, sock_read=WATCH_SILENCE
        )
        url = f"{self.config.server}{path}"
        decoder = WatchDecoder(path)
        accept = _accept("PartialObjectMetadata") if metadata_only else {}
        with _connection_errors(url, WATCH_SILENCE):
            await self._limiter.acquire()
            async with contextlib.AsyncExitStack() as stack:
                response = await self._open_watch(stack, url, params, timeout, accept)
                if response.status != 200:
                    async with asyncio.timeout(REQUEST_TIMEOUT):
                        body = await response.read()
                    raise error_from_response("WATCH", path, response.status, response.headers, body)
                with contextlib.suppress(aiohttp.SocketTimeoutError):
                    async for chunk in response.content.iter_any():
                        for line in decoder.lines(chunk):
                            try:
                                value, cut = await decode_aside(line, EVENT)
                            except NotJSON:
                                raise not_json(line) from None
                            yield decoder.event(line, value, cut)
        if decoder.partial:
            raise ConnectionFailed(url, "closed", "the watch ended in the middle of an event")

    async def _open_watch(
        self,
        stack: contextlib.AsyncExitStack,
        url: str,
        params: dict[str, str],
        timeout: aiohttp.ClientTimeout,
        accept: Mapping[str, str],
    ) -> aiohttp.ClientResponse:
        for renew in (False, True):
            headers = {**accept, **await self._authorization(renew), "Accept-Encoding": "identity"}
            response = await stack.enter_async_context(
                self._request("GET", url, params=params, headers=headers, timeout=timeout)
            )
            metrics.API_REQUESTS.labels("WATCH", str(response.status)).inc()
            if response.status != 401:
                break
        return response

    async def raw(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = REQUEST_TIMEOUT,
    ) -> Response:
        """Any request, e.g. ``/version`` or ``/readyz``; the status is the caller's to judge.

        :param path: starts with ``/``.
        :param headers: beside those of every request.
        :param body: sent as ``application/json``.
        :param timeout: seconds for the whole request.
        """
        further = dict(headers or {})
        if body is not None:
            further["Content-Type"] = "application/json"
        return await self._send(method, path, params, body, further, timeout)

    async def websocket(self, path: str, *, max_message: int) -> aiohttp.ClientWebSocketResponse:
        """Open a websocket without compression; the caller answers its pings.

        :param path: starts with ``/``.
        :param max_message: bytes of the longest message accepted.
        """
        if self._session is None:
            raise ClientClosed
        url = f"{self.config.server}{path}"
        with _connection_errors(url, CONNECT_TIMEOUT):
            async with asyncio.timeout(CONNECT_TIMEOUT):
                for renew in (False, True):
                    try:
                        return await self._session.ws_connect(
                            url,
                            headers=await self._authorization(renew),
                            proxy=self._proxy,
                            ssl=self._ssl,
                            server_hostname=self.config.tls_server_name,
                            autoping=False,
                            max_msg_size=max_message,
                        )
                    except aiohttp.WSServerHandshakeError as error:
                        if error.status == 401 and not renew:
                            continue
                        refusal = {"message": "the server does not open a websocket"}
                        delay = retry_after_seconds(error.headers or {})
                        raise error_from_status(
                            refusal, method="GET", path=path, status=error.status, retry_after=delay
                        ) from None
        raise AssertionError("unreachable")

    async def _json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Object:
        answer, cut = await self._answer(
            method, path, params=params, body=body, content_type=content_type, headers=headers
        )
        return marked(answer) if cut else answer

    async def _answer(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        around: int = OBJECT,
    ) -> tuple[Object, bool]:
        """What the server answers, and whether parts of it were nested too deeply and are left out."""
        try:
            data = None if body is None else encode(body)
        except ValueError as error:
            raise Invalid(422, "Invalid", f"not sent: {error}", method=method, path=path) from None
        further = {**(headers or {}), **({"Content-Type": content_type} if data else {})}
        response = await self._send(method, path, params, data, further, REQUEST_TIMEOUT)
        if response.status >= 300:
            raise error_from_response(method, path, response.status, response.headers, response.body)
        try:
            answer, cut = await decode_aside(response.body, around)
        except NotJSON:
            answer, cut = None, False
        if not isinstance(answer, dict):
            raise ConnectionFailed(f"{self.config.server}{path}", "malformed", "the answer is not a JSON object")
        return answer, cut

    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout: float,
    ) -> Response:
        url = f"{self.config.server}{path}"
        deadline = time.monotonic() + timeout
        renew = False
        with _connection_errors(url, timeout):
            async with asyncio.timeout(timeout):
                while True:
                    await self._limiter.acquire()
                    authorization = await self._authorization(renew)
                    async with self._request(
                        method,
                        url,
                        params=params,
                        headers={**headers, **authorization},
                        data=body,
                        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
                    ) as answer:
                        response = Response(answer.status, answer.headers, await answer.read())
                    metrics.API_REQUESTS.labels(method, str(response.status)).inc()
                    if response.status == 401 and not renew:
                        renew = True
                        continue
                    delay = _retry_delay(method, response)
                    if delay is None or time.monotonic() + delay >= deadline:
                        return response
                    await asyncio.sleep(delay)

    def _request(
        self, method: str, url: str, **arguments: Any
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        if self._session is None:
            raise ClientClosed
        return self._session.request(
            method,
            url,
            allow_redirects=False,
            proxy=self._proxy,
            ssl=self._ssl,
            server_hostname=self.config.tls_server_name,
            **arguments,
        )

    async def _authorization(self, renew: bool) -> dict[str, str]:
        token = await self._tokens.token(renew=renew)
        return {"Authorization": f"Bearer {token}"} if token else {}


def _retry_delay(method: str, response: Response) -> float | None:
    if response.status not in (429, 503) or method == "POST":
        return None
    return retry_after_seconds(response.headers)


def _accept(kind: str) -> dict[str, str]:
    """The header that asks for objects in one of the forms that hold metadata alone."""
    return {"Accept": f"application/json;as={kind};g=meta.k8s.io;v=v1"}


def _selectors(label_selector: str | None, field_selector: str | None) -> dict[str, str]:
    query = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {name: value for name, value in query.items() if value}


@contextlib.contextmanager
def _connection_errors(url: str, seconds: float) -> Iterator[None]:
    try:
        yield
    except MalformedEvent as error:
        raise ConnectionFailed(url, "malformed", f"the watch sent {error}") from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        cause, message = _explain(error, seconds)
        raise ConnectionFailed(url, cause, message) from None


def _explain(error: Exception, seconds: float) -> tuple[str, str]:
    match error:
        case AddressRefused():
            return "address", str(error)
        case aiohttp.ConnectionTimeoutError():
            return "timeout", f"no connection within {CONNECT_TIMEOUT:.0f} s"
        case TimeoutError():
            return "timeout", f"no answer within {seconds:.0f} s"
        case aiohttp.ClientConnectorCertificateError():
            return "tls", f"the server's certificate can't be verified: {error.certificate_error}"
        case aiohttp.ClientConnectorDNSError():
            return "dns", f"host name can't be resolved: {error.strerror}"
        case aiohttp.ClientSSLError():
            return "tls", f"TLS handshake failed: {error.strerror}"
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return "refused", "connection refused"
        case aiohttp.ClientConnectorError():
            return "unreachable", f"can't connect: {error.strerror or error.os_error}"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | ConnectionError():
            return "closed", "the server closed the connection before its answer was complete"
        case aiohttp.ClientResponseError():
            return "malformed", "the answer is not HTTP"
        case aiohttp.InvalidURL():
            return "unreachable", "not a URL"
        case _:
            return "unreachable", type(error).__name__
