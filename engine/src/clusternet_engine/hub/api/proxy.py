"""Requests to children, through the tunnels of their agents (spec/04 §5, §6).

Connections to a child are used again; a watch lives as long as its two ends like; bodies go through piece by piece, at
the pace of the slower end. `%2F` in a path reaches the child as it was sent to the hub.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web
from aiohttp.http import StreamWriter
from multidict import CIMultiDict
from yarl import URL

from clusternet_engine.hub.api.answers import refuse
from clusternet_engine.hub.api.groups import Call
from clusternet_engine.hub.caches import BY_CLUSTER, Caches
from clusternet_engine.hub.tunnels import Tunnels
from clusternet_engine.kube.resources import Object
from clusternet_engine.kube.tls import client_context, load_key_pair, unverified_context
from clusternet_engine.model import constants as names
from clusternet_engine.model.proxying import (
    DIRECT,
    ChildCredential,
    ProxyPath,
    Target,
    child_credential,
    direct_target,
    parse_proxy_path,
    request_headers,
    response_headers,
    upgrade_protocol,
)

READ_AT_ONCE = 2**16
"""Bytes of the longest body that is taken over as a whole."""
BUFFER = 2**18
"""Bytes kept between the two ends of a body or an upgraded connection."""
PIECE = 2**16
"""Bytes of an upgraded connection handed over at once."""
CONTEXTS = 256
"""TLS settings kept, one for each CA and client certificate seen lately."""

_AUTOMATIC_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None)

log = logging.getLogger(__name__)


class Proxy:
    """Answers requests for children.

    Args:
        caches: of the parent cluster.
        tunnels: of the agents.
    """

    def __init__(self, caches: Caches, tunnels: Tunnels) -> None:
        self._caches = caches
        self._tunnels = tunnels
        self._clients: dict[str, aiohttp.ClientSession] = {}
        self._contexts: OrderedDict[tuple[bytes | None, bytes, bytes], ssl.SSLContext] = OrderedDict()

    async def close(self) -> None:
        """Close all connections to children."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()

    async def answer(self, call: Call) -> web.StreamResponse:
        """Pass a request on to a child and its answer back.

        Raises:
            ApiError: there is no such child, no way to it, or the request is wrong.
        """
        request, cluster_id = call.request, call.info.name
        cluster = self._cluster(cluster_id)
        parts = call.info.path.lstrip("/").split("/", 6)
        try:
            path = parse_proxy_path(parts[6] if len(parts) > 6 else "")
            credential = child_credential(call.user.extra)
        except ValueError as error:
            raise refuse(400, str(error)) from None
        target, authority = self._target(cluster, path)
        if self._tunnels.session(cluster_id) is None:
            name = f"{cluster['metadata']['namespace']}/{cluster['metadata']['name']}"
            if (cluster.get("status") or {}).get("useSocket"):
                raise refuse(400, f"cannot proxy through cluster {name}, whose agent is disconnected")
            raise refuse(502, f"cluster {name} has no tunnel to this hub", reason="BadGateway")
        upgrade = upgrade_protocol(request.headers)
        if not path.path and not upgrade and request.method in ("GET", "HEAD"):
            query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
            return web.Response(status=301, headers={"Location": f"{call.info.path}/{query}"})
        try:
            context = self._context(target, authority, credential)
        except ssl.SSLError as error:
            raise refuse(400, f"certificate or private key in the extras are not usable: {error.reason}") from None
        url = URL(target.url(path.path, request.rel_url.raw_query_string), encoded=True)
        exchange = _Exchange(request, url, upgrade, credential.token)
        return await exchange.run(self._client(cluster_id), context)

    def _cluster(self, cluster_id: str) -> Object:
        found = self._caches.clusters.by_index(BY_CLUSTER, cluster_id)
        if not found:
            if not self._caches.clusters.synced:
                raise refuse(503, f"ManagedClusters: {self._caches.clusters.last_error or 'not listed yet'}")
            raise refuse(400, f"no cluster id is {cluster_id}")
        return found[0]

    def _target(self, cluster: Object, path: ProxyPath) -> tuple[Target, bytes | None]:
        """Return where to connect to, and by which CA to verify it, if that is known."""
        if path.form != DIRECT:
            return Target(path.form, path.host, path.port), None
        metadata = cluster["metadata"]
        url = (cluster.get("status") or {}).get("apiserverURL")
        if not url:
            raise refuse(
                503, f"cluster {metadata['namespace']}/{metadata['name']} hasn't told the URL of its API server"
            )
        try:
            return direct_target(url), self._authority(metadata["namespace"])
        except ValueError as error:
            raise refuse(503, str(error)) from None

    def _authority(self, namespace: str) -> bytes | None:
        secret = self._caches.child_credentials.get(names.CHILD_DEPLOYER_SECRET, namespace)
        try:
            return base64.b64decode(((secret or {}).get("data") or {}).get(names.CA_CERTIFICATE_KEY) or "") or None
        except binascii.Error:
            raise ValueError(f"Secret {namespace}/{names.CHILD_DEPLOYER_SECRET} is damaged") from None

    def _context(self, target: Target, authority: bytes | None, credential: ChildCredential) -> ssl.SSLContext:
        """Return the TLS settings; equal ones are the same object, by which connections are used again."""
        key = authority, credential.certificate, credential.key
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = _make_context(authority, credential)
            while len(self._contexts) > CONTEXTS:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(key)
        return context

    def _client(self, cluster_id: str) -> aiohttp.ClientSession:
        client = self._clients.get(cluster_id)
        if client is None:
            client = self._clients[cluster_id] = aiohttp.ClientSession(
                connector=self._tunnels.route(cluster_id).connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=_AUTOMATIC_HEADERS,
                read_bufsize=BUFFER,
                timeout=_NO_TIMEOUT,
                max_line_size=2**16,
                max_field_size=2**16,
            )
        return client


def _make_context(authority: bytes | None, credential: ChildCredential) -> ssl.SSLContext:
    if authority is not None:
        return client_context(authority, certificate=credential.certificate, key=credential.key)
    context = unverified_context()
    if credential.certificate:
        load_key_pair(context, credential.certificate, credential.key)
    return context


class _Exchange:
    """One request and its answer."""

    def __init__(self, request: web.Request, url: URL, upgrade: str, token: str) -> None:
        self._request = request
        self._url = url
        self._upgrade = upgrade
        self._headers = CIMultiDict(request_headers(request.headers.items(), token, upgrade))
        self._response: web.StreamResponse | None = None

    async def run(self, client: aiohttp.ClientSession, context: ssl.SSLContext) -> web.StreamResponse:
        request = self._request
        try:
            async with client.request(
                request.method,
                self._url,
                headers=self._headers,
                data=self._body(),
                allow_redirects=False,
                ssl=context,
            ) as answer:
                if answer.status != 101:
                    return await self._copy(answer)
                if not self._upgrade:
                    raise refuse(502, "the child changes the protocol without being asked", reason="BadGateway")
                return await self._splice(answer)
        except (aiohttp.ClientError, ConnectionError) as error:
            if self._response is not None:
                # The answer has begun: only a broken connection tells the client that the rest is missing.
                if request.transport is not None:
                    request.transport.abort()
                return self._response
            log.info("%s %s: %s", request.method, self._url.origin(), _reason(error))
            message = f"cannot reach {self._url.host}:{self._url.port} through the agent: {_reason(error)}"
            raise refuse(502, message, reason="BadGateway") from None

    def _body(self) -> AsyncIterator[bytes] | None:
        if not self._request.body_exists:
            return None
        if "Content-Encoding" in self._headers:
            # The server has decoded it already.
            del self._headers["Content-Encoding"]
            self._headers.popall("Content-Length", None)
        return self._request.content.iter_any()

    async def _copy(self, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        headers = CIMultiDict(response_headers(answer.headers.items()))
        request = self._request
        length = answer.content_length
        if length is not None and length <= READ_AT_ONCE and request.method != "HEAD":
            body = await answer.read()
            return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=body)
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
        self._response = response
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response

    async def _splice(self, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """Hand the bytes of both ends over to each other until one of them closes."""
        connection = answer.connection
        assert connection is not None
        assert connection.protocol is not None
        assert connection.transport is not None
        request = self._request
        assert request.transport is not None
        child = asyncio.StreamReader(BUFFER)
        child.set_transport(connection.transport)
        connection.protocol.set_parser(_Tap(child), None)
        protocol = upgrade_protocol(answer.headers)
        headers = CIMultiDict(response_headers(answer.headers.items(), protocol))
        response = self._response = web.StreamResponse(status=101, reason=answer.reason, headers=headers)
        response.force_close()
        caller = asyncio.StreamReader(BUFFER)
        caller.set_transport(request.transport)
        request.protocol.set_parser(_Tap(caller))  # type: ignore[arg-type]  # has all that is asked of a parser
        writer = StreamWriter(connection.protocol, asyncio.get_running_loop())
        try:
            await response.prepare(request)
            pumps = [asyncio.create_task(_pump(child, response)), asyncio.create_task(_pump(caller, writer))]
            try:
                done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in done:
                    if (error := pump.exception()) is not None:
                        log.info("%s %s: upgraded connection: %s", request.method, self._url.origin(), error)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            connection.close()
        if request.transport is not None:
            request.transport.close()
        return response


async def _pump(source: asyncio.StreamReader, sink: web.StreamResponse | StreamWriter) -> None:
    while data := await source.read(PIECE):
        await sink.write(data)


class _Tap:
    """Takes what a connection receives after it has changed its protocol."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._reader.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self._reader.feed_eof()


def _reason(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"its certificate can't be verified: {error.certificate_error}"
        case aiohttp.ClientConnectorError():
            return str(error.os_error)
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed without an answer"
        case _:
            return str(error) or type(error).__name__
