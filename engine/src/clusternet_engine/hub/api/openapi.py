"""OpenAPI v3 of the shadow API: as much as kubectl needs to explain, validate and patch.

The parent's API server holds a lock while it asks the hub for the index, and shares one while it passes documents on.
So the hub never asks for the parent's index in order to answer for its own, nor waits long for its documents.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging

import orjson
from aiohttp import web

from clusternet_engine.answers import json_answer, refuse
from clusternet_engine.hub.api.catalog import Catalog
from clusternet_engine.hub.api.schemas import Schemas
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.errors import ApiError, ConnectionFailed
from clusternet_engine.kube.resources import Object
from clusternet_engine.model.shadow import SHADOW_API_VERSION
from clusternet_engine.model.shadow_openapi import make_document

PATH = f"/openapi/v3/apis/{SHADOW_API_VERSION}"
SETTLE = 1.0
"""Seconds that changes of what is served get to come together."""
MAX_DELAY = 30.0
PATIENCE = 5.0
"""Seconds a request waits for the document."""

log = logging.getLogger(__name__)


class OpenApi:
    """Makes the document from the parent's own, when it is asked for and has changed.

    Args:
        schemas: the parent's documents.
        catalog: what is served.
    """

    def __init__(self, schemas: Schemas, catalog: Catalog) -> None:
        self._schemas = schemas
        self._catalog = catalog
        self._addresses: dict[str, str] = {}
        self._version = ""
        self._made = ""
        self._document = b""
        self._wanted = asyncio.Event()
        self._done = asyncio.Condition()

    async def run(self) -> None:
        """Follow what is served, and make documents that are wanted, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(), name="openapi index")
            tasks.create_task(self._make(), name="openapi document")

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a request below `/openapi/v3`.

        Raises:
            ApiError: there is no such document, or it isn't ready.
        """
        path = request.path.rstrip("/")
        if path == "/openapi/v3":
            entry = {"serverRelativeURL": f"{PATH}?hash={self._version}"}
            return json_answer({"paths": {f"apis/{SHADOW_API_VERSION}": entry}})
        if path != PATH:
            raise refuse(404, "the server could not find the requested resource")
        self._wanted.set()
        try:
            async with asyncio.timeout(PATIENCE), self._done:
                await self._done.wait_for(lambda: self._version and self._made == self._version)
        except TimeoutError:
            if not self._made:
                raise ApiError(503, "ServiceUnavailable", "not ready yet: try again", retry_after=1.0) from None
        headers = {"Content-Type": "application/json", "Etag": f'"{self._made}"'}
        return web.Response(body=self._document, headers=headers)

    async def _follow(self) -> None:
        backoff = Backoff(SETTLE, MAX_DELAY)
        while True:
            await self._catalog.changed.wait()
            await asyncio.sleep(SETTLE)
            self._catalog.changed.clear()
            try:
                index = await self._schemas.index()
            except (ApiError, ConnectionFailed) as error:
                log.warning("the parent's OpenAPI index: %s", error)
                self._catalog.changed.set()
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            self._addresses = self._used(index)
            served = sorted(self._catalog.resources())
            self._version = hashlib.sha256(orjson.dumps([self._addresses, served])).hexdigest()[:32].upper()

    def _used(self, index: dict[str, str]) -> dict[str, str]:
        """Return the addresses of the documents that describe what is served, by group and version."""
        used = {served.resource.api_version for served in self._catalog.resources().values()}
        return {
            version: address
            for version in sorted(used)
            if (address := index.get(f"apis/{version}" if "/" in version else f"api/{version}"))
        }

    async def _make(self) -> None:
        backoff = Backoff(SETTLE, MAX_DELAY)
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            version, addresses = self._version, self._addresses
            if version == self._made:
                continue
            try:
                definitions: Object = {}
                for address in addresses.values():
                    definitions |= (await self._schemas.read(address))["components"].get("schemas") or {}
            except (ApiError, ConnectionFailed) as error:
                log.warning("the parent's OpenAPI documents: %s", error)
                self._wanted.set()
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            self._document = orjson.dumps(make_document(definitions, self._catalog.resources().values()))
            async with self._done:
                self._made = version
                self._done.notify_all()
