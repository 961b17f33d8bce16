"""What can be published: the parent's own kinds, and its custom resources as they come and go (spec/04 §8.1)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import orjson

from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import ApiError, ConnectionFailed, error_from_response
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import API_SERVICES, CUSTOM_RESOURCE_DEFINITIONS, Object
from clusternet_engine.model.shadow_resources import (
    GroupVersionResources,
    ShadowResource,
    choose,
    is_left_out,
    of_definition,
    replicas_path,
    with_replicas_path,
)

FIRST_DELAY = 0.1
"""Seconds before discovery is asked again after a failure; also what changes at the same time get to come together."""
MAX_DELAY = 30.0
DEFAULT_PRIORITY = 1000
"""Of the group of a custom resource whose APIService hasn't been seen yet; what Kubernetes gives it."""

log = logging.getLogger(__name__)


class Catalog:
    """Knows the resources of the shadow API, by plural.

    Args:
        client: of the parent cluster.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.api_services = Informer(client, API_SERVICES)
        self._definitions = Informer(client, CUSTOM_RESOURCE_DEFINITIONS)
        self._native: tuple[GroupVersionResources, ...] | None = None
        self._resources: dict[str, ShadowResource] | None = None
        self._last_error: Exception | None = None
        self._asked = asyncio.Event()
        self._asked.set()
        self.changed = asyncio.Event()
        self.api_services.add_handler(self._on_api_service)
        self._definitions.add_handler(self._on_definition)

    async def run(self) -> None:
        """Follow discovery until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.api_services.run(), name="informer apiservices")
            tasks.create_task(self._definitions.run(), name="informer customresourcedefinitions")
            tasks.create_task(self._follow(), name="discovery")

    def check(self) -> None:
        """Readiness check.

        Raises:
            LookupError: discovery hasn't been read yet; the text says why.
        """
        if self._native is None:
            raise LookupError(f"the parent's discovery: {self._last_error or 'no answer yet'}")

    def resources(self) -> dict[str, ShadowResource]:
        """Return what is served."""
        if self._resources is None:
            self._resources = self._choose()
        return self._resources

    def _choose(self) -> dict[str, ShadowResource]:
        priorities = self._priorities()
        custom = self._definitions.items()
        found = list(self._native or ())
        for definition in custom:
            group = definition["spec"]["group"]
            if resources := of_definition(definition, priorities.get(group, DEFAULT_PRIORITY)):
                found.append(resources)
        chosen = choose(found)
        for definition in custom:
            served = chosen.get(definition["spec"]["names"]["plural"])
            if served and served.replicas_path and served.resource.group == definition["spec"]["group"]:
                path = replicas_path(definition, served.resource.version)
                chosen[served.resource.plural] = with_replicas_path(served, path)
        return chosen

    def _priorities(self) -> dict[str, int]:
        priorities: dict[str, int] = {}
        for service in self.api_services.items():
            spec = service["spec"]
            group = spec.get("group") or ""
            priorities[group] = max(priorities.get(group, 0), spec["groupPriorityMinimum"])
        return priorities

    def _forget(self) -> None:
        self._resources = None
        self.changed.set()

    def _on_api_service(self, change: Change) -> None:
        self._forget()
        spec = change.object["spec"]
        if not is_left_out(spec.get("group") or ""):
            self._asked.set()

    def _on_definition(self, change: Change) -> None:
        self._forget()

    async def _follow(self) -> None:
        """Read discovery when the parent's API groups change."""
        await self.api_services.wait_synced(float("inf"))
        await self._definitions.wait_synced(float("inf"))
        backoff = Backoff(FIRST_DELAY, MAX_DELAY)
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                self._native = await self._discover()
            except (ApiError, ConnectionFailed) as error:
                self._last_error = error
                self._asked.set()
                log.warning("discovery failed: %s", error)
                await asyncio.sleep(backoff.next())
                continue
            self._forget()
            backoff.reset()
            await asyncio.sleep(FIRST_DELAY)

    async def _discover(self) -> tuple[GroupVersionResources, ...]:
        """Return what the parent serves, besides its custom resources."""
        groups = (await self._get("/apis"))["groups"]
        wanted = [("", "v1", True, "/api/v1")]
        for group in groups:
            if not is_left_out(group["name"]):
                preferred = group["preferredVersion"]["version"]
                for one in group["versions"]:
                    version = one["version"]
                    wanted.append((group["name"], version, version == preferred, f"/apis/{one['groupVersion']}"))
        answers = await asyncio.gather(*(self._resources_of(path) for *_, path in wanted))
        custom = {(one["spec"]["group"], one["spec"]["names"]["plural"]) for one in self._definitions.items()}
        priorities = self._priorities()
        found = []
        for (group, version, preferred, _), entries in zip(wanted, answers, strict=True):
            native = tuple(entry for entry in entries if (group, entry["name"].partition("/")[0]) not in custom)
            found.append(GroupVersionResources(group, version, priorities.get(group, 0), preferred, native))
        return tuple(found)

    async def _resources_of(self, path: str) -> Iterable[Object]:
        try:
            resources: list[Object] = (await self._get(path)).get("resources") or []
        except ApiError as error:
            log.warning("%s is left out of the shadow API until it answers: %s", path, error)
            return ()
        return resources

    async def _get(self, path: str) -> Object:
        response = await self._client.raw("GET", path)
        if response.status != 200:
            raise error_from_response("GET", path, response.status, response.headers, response.body)
        document: Object = orjson.loads(response.body)
        return document
