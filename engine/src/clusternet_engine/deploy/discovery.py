"""Which resource of a cluster a kind is; learnt from the API server, group by group."""

from __future__ import annotations

import asyncio

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import ConnectionFailed, error_from_response
from clusternet_engine.kube.resources import Object, Resource
from clusternet_engine.model.documents import DocumentError, read_json
from clusternet_engine.model.limits import OBJECT


class KindUnknown(Exception):
    """A cluster doesn't know a kind."""


class Discovery:
    """The resources of one cluster.

    A group-version is asked for once; again when a kind is missing in it, since CustomResourceDefinitions come and go.

    Args:
        client: of the cluster.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, dict[str, Resource]] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def resource(self, api_version: str, kind: str) -> Resource:
        """Return the resource of a kind.

        Raises:
            KindUnknown: the cluster has no such kind now.
            ApiError, ConnectionFailed: it can't be asked.
        """
        found = self._known.get(api_version, {}).get(kind)
        if found is not None:
            return found
        before = self._known.get(api_version)
        async with self._asking.setdefault(api_version, asyncio.Lock()):
            if self._known.get(api_version) is before:
                self._known[api_version] = await self._ask(api_version)
        try:
            return self._known[api_version][kind]
        except KeyError:
            raise KindUnknown(
                f"the cluster has no kind {kind} in {api_version}; is its CustomResourceDefinition installed?"
            ) from None

    def forget(self, api_version: str) -> None:
        """Ask anew for the kinds of a group-version: what was known turned out to be wrong."""
        self._known.pop(api_version, None)

    async def _ask(self, api_version: str) -> dict[str, Resource]:
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        response = await self._client.raw("GET", path)
        if response.status == 404:
            return {}
        if response.status != 200:
            raise error_from_response("GET", path, response.status, response.headers, response.body)
        group, _, version = api_version.rpartition("/")
        try:
            listed: list[Object] = read_json(response.body).get("resources") or []
            return {
                entry["kind"]: Resource(
                    group, version, str(entry["name"]), str(entry["kind"]), namespaced=entry["namespaced"] is True
                )
                for entry in listed
                if "/" not in entry["name"]
            }
        except (DocumentError, LookupError, TypeError, AttributeError):
            message = f"the answer is no list of resources of at most {OBJECT.size} bytes"
            raise ConnectionFailed(path, "malformed", message) from None
