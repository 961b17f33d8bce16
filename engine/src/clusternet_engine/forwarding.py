"""Requests that are passed on to another server, and its answers that are passed back.

Bodies go through piece by piece, at the pace of the slower end; a watch lives as long as its two ends like; upgraded
connections (exec, attach, port-forward) are spliced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.http import StreamWriter
from multidict import CIMultiDict
from yarl import URL

from clusternet_engine.model.proxying import Headers, response_headers, upgrade_protocol

READ_AT_ONCE = 2**16
"""Bytes of the longest answer that is taken over as a whole."""
REPEATABLE = 4 * 2**20
"""Bytes of the longest request that is kept to be repeated; API servers take 3 MiB."""
BUFFER = 2**18
"""Bytes kept between the two ends of a body or an upgraded connection."""
PIECE = 2**16
"""Bytes of an upgraded connection handed over at once."""

_AUTOMATIC_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None)

log = logging.getLogger(__name__)


class NoAnswer(Exception):
    """The other server can't be reached or doesn't answer; the text says why."""


def forwarding_session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """Return a session that sends what it is given and nothing else, and leaves answers as they are."""
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=_AUTOMATIC_HEADERS,
        read_bufsize=BUFFER,
        timeout=_NO_TIMEOUT,
        max_line_size=2**16,
        max_field_size=2**16,
    )


class Exchange:
    """One request and its answer.

    Args:
        request: what is passed on.
    """

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._upgrade = upgrade_protocol(request.headers)
        self._kept: bytes | None = None
        self._response: web.StreamResponse | None = None

    async def keep(self) -> bool:
        """Read the request's body if it isn't long; return whether the request can be asked more than once."""
        if not self._request.body_exists:
            return True
        if (self._request.content_length or REPEATABLE + 1) > REPEATABLE:
            return False
        self._kept = await self._request.read()
        return True

    @asynccontextmanager
    async def ask(
        self, client: aiohttp.ClientSession, url: URL, headers: Headers, **connection: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Pass the request on and give its answer.

        Args:
            client: see :func:`forwarding_session`.
            url: where to.
            headers: to send.
            connection: further arguments of the client's request: TLS, proxy.

        Raises:
            NoAnswer: there is none.
        """
        sent = CIMultiDict(headers)
        method, body = self._request.method, self._body(sent)
        try:
            answer = await client.request(method, url, headers=sent, data=body, allow_redirects=False, **connection)
        except (aiohttp.ClientError, ConnectionError) as error:
            raise NoAnswer(_reason(error)) from None
        async with answer:
            yield answer

    async def reply(self, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """Pass the answer back; one that breaks off after its beginning breaks the caller's connection.

        Raises:
            NoAnswer: it broke off before, or changes the protocol without being asked.
        """
        if answer.status == 101 and not self._upgrade:
            raise NoAnswer("it changes the protocol without being asked")
        try:
            return await (self._splice(answer) if answer.status == 101 else self._copy(answer))
        except (aiohttp.ClientError, ConnectionError) as error:
            if self._response is None:
                raise NoAnswer(_reason(error)) from None
            # Only a broken connection tells the caller that the rest is missing.
            if self._request.transport is not None:
                self._request.transport.abort()
            return self._response

    def _body(self, headers: CIMultiDict[str]) -> bytes | AsyncIterator[bytes] | None:
        if not self._request.body_exists:
            return None
        if "Content-Encoding" in headers:
            # The server has decoded it already.
            del headers["Content-Encoding"]
            headers.popall("Content-Length", None)
        return self._kept if self._kept is not None else self._request.content.iter_any()

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
        other = asyncio.StreamReader(BUFFER)
        other.set_transport(connection.transport)
        connection.protocol.set_parser(_Tap(other), None)
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
            pumps = [asyncio.create_task(_pump(other, response)), asyncio.create_task(_pump(caller, writer))]
            try:
                done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in done:
                    if (error := pump.exception()) is not None:
                        log.info("%s %s: upgraded connection: %s", request.method, answer.url.origin(), error)
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
