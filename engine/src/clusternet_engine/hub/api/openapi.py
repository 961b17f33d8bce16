"""OpenAPI v3 of the shadow API: as much as kubectl needs to explain, validate and patch."""

from __future__ import annotations

import asyncio
import hashlib

import orjson
from aiohttp import web

from clusternet_engine.hub.api.answers import json_answer, refuse
from clusternet_engine.hub.api.catalog import Catalog
from clusternet_engine.hub.api.schemas import Schemas
from clusternet_engine.model.shadow import SHADOW_API_VERSION
from clusternet_engine.model.shadow_openapi import make_document

PATH = f"/openapi/v3/apis/{SHADOW_API_VERSION}"


class OpenApi:
    """Makes the document from the parent's own, when it is asked for and has changed.

    Args:
        schemas: the parent's documents.
        catalog: what is served.
    """

    def __init__(self, schemas: Schemas, catalog: Catalog) -> None:
        self._schemas = schemas
        self._catalog = catalog
        self._made = ""
        self._document = b""
        self._lock = asyncio.Lock()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a request below `/openapi/v3`.

        Raises:
            ApiError: there is no such document, or the parent's can't be read.
            ConnectionFailed: the parent can't be reached.
        """
        addresses = await self._addresses()
        version = self._version(addresses)
        match request.path.rstrip("/"):
            case "/openapi/v3":
                entry = {"serverRelativeURL": f"{PATH}?hash={version}"}
                return json_answer({"paths": {f"apis/{SHADOW_API_VERSION}": entry}})
            case path if path == PATH:
                async with self._lock:
                    if self._made != version:
                        self._document, self._made = await self._make(addresses), version
                headers = {"Content-Type": "application/json", "Etag": f'"{version}"'}
                return web.Response(body=self._document, headers=headers)
            case _:
                raise refuse(404, "the server could not find the requested resource")

    async def _addresses(self) -> dict[str, str]:
        """Return the addresses of the documents that describe what is served, by group and version."""
        index = await self._schemas.index()
        used = {served.resource.api_version for served in self._catalog.resources().values()}
        return {
            version: address
            for version in sorted(used)
            if (address := index.get(f"apis/{version}" if "/" in version else f"api/{version}"))
        }

    def _version(self, addresses: dict[str, str]) -> str:
        served = sorted(self._catalog.resources())
        return hashlib.sha256(orjson.dumps([addresses, served])).hexdigest()[:32].upper()

    async def _make(self, addresses: dict[str, str]) -> bytes:
        documents = {version: await self._schemas.document(address) for version, address in addresses.items()}
        return orjson.dumps(make_document(documents, self._catalog.resources().values()))
