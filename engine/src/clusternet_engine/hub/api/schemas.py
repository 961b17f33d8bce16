"""The schemas of the parent's resources, read from its OpenAPI v3 documents when they are needed."""

from __future__ import annotations

from collections import OrderedDict

import orjson

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import ApiError, error_from_response
from clusternet_engine.kube.resources import Object, Resource
from clusternet_engine.model.schemas import Problems, Schema, find_schema, problems

KEPT = 4
"""Documents kept, those last used; the largest takes some MB."""


class Schemas:
    """Knows the schema of each resource.

    Args:
        client: of the parent cluster.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._documents: OrderedDict[str, Object] = OrderedDict()

    async def index(self) -> dict[str, str]:
        """Return where the document of each group and version is; the address changes with what it says."""
        paths = (await self._get("/openapi/v3"))["paths"]
        return {path: str(entry["serverRelativeURL"]) for path, entry in paths.items()}

    async def read(self, address: str) -> Object:
        """Return a document by the address that the index gives, without the paths in it."""
        return {"components": (await self._get(address)).get("components") or {}}

    async def _document(self, address: str) -> Object:
        if address not in self._documents:
            self._documents[address] = await self.read(address)
        self._documents.move_to_end(address)
        while len(self._documents) > KEPT:
            self._documents.popitem(last=False)
        return self._documents[address]

    async def of(self, resource: Resource) -> Schema | None:
        """Return the schema of a resource; None if the parent tells none."""
        prefix = "apis" if resource.group else "api"
        address = (await self.index()).get(f"{prefix}/{resource.api_version}")
        if address is None:
            return None
        return find_schema(await self._document(address), resource.group, resource.version, resource.kind)

    async def problems(self, obj: Object, resource: Resource) -> Problems:
        """Return what is wrong with an object by its schema."""
        schema = await self.of(resource)
        return problems(schema, obj) if schema else Problems()

    async def _get(self, address: str) -> Object:
        response = await self._client.raw("GET", address)
        if response.status != 200:
            error: ApiError = error_from_response("GET", address, response.status, response.headers, response.body)
            raise error
        document: Object = orjson.loads(response.body)
        return document
