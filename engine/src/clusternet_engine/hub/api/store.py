"""The Manifests behind the shadow API, read and written on the parent without delay.

Who uses it sees whole objects; the values of Secrets are kept apart from their Manifests (`hub.values`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from clusternet_engine.answers import refuse
from clusternet_engine.hub.manifests import Manifests
from clusternet_engine.hub.values import ManifestValues
from clusternet_engine.kube.client import Client, Response
from clusternet_engine.kube.decoding import LIST, decode, encode
from clusternet_engine.kube.errors import AlreadyExists, ApiError, Conflict, NotFound, error_from_response
from clusternet_engine.kube.resources import MANIFESTS, Object, Resource
from clusternet_engine.model.shadow import legacy_manifest_name, manifest_name


class Store:
    """Reads and writes Manifests; errors speak of the objects in them.

    Args:
        client: of the parent cluster.
        manifests: the hub's cache of them.
        values: keeps the values of Secrets.
        namespace: where they are kept.
        finalizers: of new ones; the controller of feeds would add them anyway, a moment later, and so make what
            somebody has just read outdated.
    """

    def __init__(
        self,
        client: Client,
        manifests: Manifests,
        values: ManifestValues,
        namespace: str,
        finalizers: Sequence[str] = (),
    ) -> None:
        self._client = client
        self._manifests = manifests
        self._values = values
        self.namespace = namespace
        self._finalizers = list(finalizers)

    def name(self, resource: Resource, name: str, namespace: str | None) -> str:
        """Return the name of an object's Manifest: one that an old hub has made keeps its name (spec/04 §8.2)."""
        current = manifest_name(resource.plural, name, namespace)
        legacy = legacy_manifest_name(resource.plural, name, namespace)
        if self._manifests.get(current, self.namespace) is None and self._manifests.get(legacy, self.namespace):
            return legacy
        return current

    async def get(self, resource: Resource, name: str, namespace: str | None) -> Object:
        """Return the Manifest of an object.

        Raises:
            ApiError: 404 if there is none.
        """
        try:
            manifest = await self._client.get(MANIFESTS, self.name(resource, name, namespace), self.namespace)
            return await self._values.whole(manifest)
        except NotFound:
            raise _not_found(resource, name) from None

    async def list(self, query: Mapping[str, str]) -> Object:
        """Return a ManifestList; the query says which."""
        found = await self._send("GET", MANIFESTS.path(self.namespace), query)
        wholes = []
        for manifest in found.get("items") or ():
            with contextlib.suppress(NotFound):  # it has gone since
                wholes.append(await self._values.whole(manifest))
        return {**found, "items": wholes}

    async def create(self, manifest: Object, resource: Resource, query: Mapping[str, str]) -> Object:
        """Make a Manifest.

        Raises:
            ApiError: 409 if the object is there already, 422 if the parent refuses it.
        """
        name = manifest["template"]["metadata"]["name"]
        if self._finalizers:
            manifest = {**manifest, "metadata": {**manifest["metadata"], "finalizers": self._finalizers}}
        try:
            return await self._store("POST", MANIFESTS.path(self.namespace), query, manifest)
        except AlreadyExists:
            message = f'{qualified(resource)} "{name}" already exists'
            raise refuse(409, message, reason="AlreadyExists", details=_details(resource, name)) from None

    async def replace(self, manifest: Object, resource: Resource, query: Mapping[str, str]) -> Object:
        """Write a Manifest, if it is still as it was read.

        Raises:
            Conflict: it isn't.
            ApiError: 404 if it is gone, 422 if the parent refuses it.
        """
        metadata = manifest["metadata"]
        name = manifest["template"]["metadata"]["name"]
        try:
            return await self._store("PUT", MANIFESTS.path(self.namespace, metadata["name"]), query, manifest)
        except NotFound:
            raise _not_found(resource, name) from None
        except Conflict:
            raise modified(resource, name) from None

    async def delete(self, resource: Resource, name: str, namespace: str | None, options: Object) -> Object:
        """Delete the Manifest of an object; return it as it goes, or the Status of its end.

        Raises:
            ApiError: 404 if there is none, 409 if a precondition isn't met.
        """
        try:
            path = MANIFESTS.path(self.namespace, self.name(resource, name, namespace))
            gone = await self._send("DELETE", path, {}, options)
            return await self._values.whole(gone) if "template" in gone else gone
        except NotFound:
            raise _not_found(resource, name) from None

    async def _store(self, method: str, path: str, query: Mapping[str, str], manifest: Object) -> Object:
        """Write a whole Manifest: its values first, then what refers to them; return it as it is now.

        Values that it had before are removed by the controller of values, so that whoever has read the Manifest just
        now still finds them.
        """
        stored = await self._values.keep(manifest, dry_run=bool(query.get("dryRun")))
        try:
            answer = await self._send(method, path, query, stored)
        except ApiError as error:
            if error.status < 500:  # else it may be written nevertheless
                await self._values.drop(stored)
            raise
        return answer if stored is manifest else {**answer, "template": manifest["template"]}

    async def _send(self, method: str, path: str, query: Mapping[str, str], body: Any = None) -> Object:
        try:
            data = None if body is None else encode(body)
        except ValueError as error:
            raise refuse(422, f"the object can't be stored: {error}") from None
        response = await self._client.raw(method, path, params=query, body=data)
        return parsed(method, path, response)


def parsed(method: str, path: str, response: Response) -> Object:
    """Return the object of an answer.

    Raises:
        ApiError: the answer is an error.
    """
    if response.status >= 300:
        raise error_from_response(method, path, response.status, response.headers, response.body)
    answer: Object
    answer, _ = decode(response.body, LIST)
    return answer


def qualified(resource: Resource) -> str:
    """Return how messages name a resource: `deployments.apps`, or `services`."""
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def modified(resource: Resource, name: str) -> ApiError:
    """Return the error for a write to something that has changed since it was read."""
    message = (
        f'Operation cannot be fulfilled on {qualified(resource)} "{name}": the object has been modified;'
        " please apply your changes to the latest version and try again"
    )
    return Conflict(409, "Conflict", message, details=_details(resource, name))


def _not_found(resource: Resource, name: str) -> ApiError:
    return refuse(404, f'{qualified(resource)} "{name}" not found', details=_details(resource, name))


def _details(resource: Resource, name: str) -> dict[str, str]:
    return {"name": name, "group": resource.group, "kind": resource.plural}
