"""Who is believed to be the parent's API server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from client_pair import client_pair
from clusternet_engine.certificates import KeyPair, make_authority
from clusternet_engine.hub.api.authentication import Authenticator, RequestHeaders
from clusternet_engine.kube.tls import load_key_pair, unverified_context
from clusternet_engine.model.connection_limits import ConnectionLimits
from clusternet_engine.serving import HealthServer, ServingTLS
from cryptography.x509.oid import NameOID

AUTHORITY = make_authority("front proxy")
HEADERS = {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"}


def named(name: str, authority: KeyPair = AUTHORITY) -> KeyPair:
    return client_pair(authority, (NameOID.COMMON_NAME, name))


@contextlib.asynccontextmanager
async def hub(*allowed_names: str) -> AsyncIterator[tuple[int, Authenticator]]:
    """Serve who asks, as the hub finds out."""
    nobody: Any = None
    authenticator = Authenticator(nobody)
    authenticator.headers = RequestHeaders(
        AUTHORITY.certificate, frozenset(allowed_names), username=("X-Remote-User",), group=("X-Remote-Group",)
    )

    async def handle(request: web.Request) -> web.Response:
        user = authenticator.user(request)
        assert request.transport is not None
        peer = request.transport.get_extra_info("peername")
        return web.Response(text=user.name if user else "nobody", headers={"X-Peer": str(peer)})

    with socket.create_server(("127.0.0.1", 0)) as listener:
        tls = ServingTLS()
        tls.trust(AUTHORITY.certificate)
        server = HealthServer(
            "",
            1,
            {},
            tls=tls,
            handler=handle,
            listener=listener,
            recognizes=authenticator.vouches,
            limits=ConnectionLimits(head=1.0, idle=1.0),
        )
        async with server:
            yield listener.getsockname()[1], authenticator


async def ask(port: int, pair: KeyPair | None) -> str:
    context = unverified_context()
    if pair is not None:
        load_key_pair(context, pair.certificate, pair.key)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        try:
            async with session.get(f"https://127.0.0.1:{port}/", headers=HEADERS) as answer:
                return await answer.text()
        except (aiohttp.ClientError, OSError):
            return "refused"


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        (named("front-proxy-client"), "admin"),
        (named("somebody"), "nobody"),
        (named("front-proxy-client.evil"), "nobody"),
        (named("FRONT-PROXY-CLIENT"), "nobody"),
        (client_pair(AUTHORITY, (NameOID.ORGANIZATION_NAME, "front-proxy-client")), "nobody"),
        (client_pair(AUTHORITY), "nobody"),
        (None, "nobody"),
        (named("front-proxy-client", make_authority("front proxy")), "refused"),
    ],
)
async def test_only_certificates_of_the_ca_with_an_allowed_name_are_believed(pair: KeyPair | None, told: str) -> None:
    async with hub("front-proxy-client", "other-proxy") as (port, _):
        assert await ask(port, pair) == told


async def test_without_allowed_names_every_certificate_of_the_ca_is_believed() -> None:
    async with hub() as (port, authenticator):
        assert await ask(port, named("somebody")) == "admin"
        assert await ask(port, None) == "nobody"
        # As long as it isn't known how the API server proves who it is.
        authenticator.headers = RequestHeaders(username=("X-Remote-User",))
        assert await ask(port, named("somebody")) == "nobody"


@pytest.mark.parametrize(("name", "stays"), [("front-proxy-client", True), ("somebody", False)])
async def test_only_the_parents_connections_stay_open_when_idle(name: str, stays: bool) -> None:
    pair = named(name)
    context = unverified_context()
    load_key_pair(context, pair.certificate, pair.key)
    async with hub("front-proxy-client") as (port, _):
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(connector=connector) as session:
            peers = set()
            for pause in (3.0, 0.0):
                async with session.get(f"https://127.0.0.1:{port}/") as answer:
                    peers.add(answer.headers["X-Peer"])
                    await answer.read()
                await asyncio.sleep(pause)
            assert (len(peers) == 1) is stays
