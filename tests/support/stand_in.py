"""An HTTP server on a child's side that is no API server: takes and gives what API servers limit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

BLOCK = bytes(range(256)) * 256


class StandIn:
    """Echoes bodies, gives long ones, and tells lines without end.

    Attributes:
        port: of the server, on loopback.
        sent: bytes of long bodies that have left for their readers.
    """

    def __init__(self) -> None:
        self.port = 0
        self.sent = 0

    @property
    def flag(self) -> str:
        """What lets an agent connect to it."""
        return f"--socket-destinations=127.0.0.1:{self.port}"

    def path(self, proxy: str) -> str:
        """Return the path at the parent that leads here, from that of the child's API server."""
        return proxy.replace("/direct", f"/http/127.0.0.1:{self.port}")

    async def echo(self, request: web.Request) -> web.StreamResponse:
        """Answer with the body."""
        return web.Response(body=await request.read())

    async def blocks(self, request: web.Request) -> web.StreamResponse:
        """Answer with so many bytes."""
        size = int(request.match_info["size"])
        response = web.StreamResponse(headers={"Content-Length": str(size)})
        await response.prepare(request)
        for position in range(0, size, len(BLOCK)):
            block = BLOCK[: size - position]
            await response.write(block)
            self.sent += len(block)
        return response

    async def lines(self, request: web.Request) -> web.StreamResponse:
        """Tell a name and a growing number, ten times a second."""
        response = web.StreamResponse()
        await response.prepare(request)
        number = 0
        while True:
            await response.write(f"{request.match_info['name']} {number}\n".encode())
            number += 1
            await asyncio.sleep(0.1)


@asynccontextmanager
async def stand_in() -> AsyncIterator[StandIn]:
    """Serve on loopback."""
    server = StandIn()
    app = web.Application(client_max_size=2**30)
    app.router.add_post("/echo", server.echo)
    app.router.add_get("/blocks/{size}", server.blocks)
    app.router.add_get("/lines/{name}", server.lines)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    server.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        yield server
    finally:
        await runner.cleanup()
