"""The aggregated API server: every request is authenticated, authorized, and given to its API group."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from clusternet_engine.answers import json_answer, refuse, status_answer
from clusternet_engine.hub import feeds
from clusternet_engine.hub.api.authentication import Authenticator
from clusternet_engine.hub.api.authorization import Authorizer
from clusternet_engine.hub.api.availability import Availability
from clusternet_engine.hub.api.catalog import Catalog
from clusternet_engine.hub.api.groups import (
    ApiGroup,
    Call,
    accepts_aggregated,
    aggregated,
    group_document,
    group_list,
    resource_list,
)
from clusternet_engine.hub.api.openapi import OpenApi
from clusternet_engine.hub.api.proxy import Proxy
from clusternet_engine.hub.api.requests import RequestInfo, parse_request
from clusternet_engine.hub.api.schemas import Schemas
from clusternet_engine.hub.api.shadow import Shadow
from clusternet_engine.hub.api.sockets import Sockets
from clusternet_engine.hub.api.store import Store
from clusternet_engine.hub.api.trust import Trust
from clusternet_engine.hub.caches import Caches
from clusternet_engine.hub.settings import Settings
from clusternet_engine.hub.tunnels import Tunnels
from clusternet_engine.hub.values import ManifestValues
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import ApiError, ConnectionFailed
from clusternet_engine.logs import REFUSALS_LOGGED, Sparingly
from clusternet_engine.model import constants as names
from clusternet_engine.model import features
from clusternet_engine.serving import Check, ServingTLS

log = logging.getLogger(__name__)


class ApiServer:
    """Serves the hub's API groups.

    Args:
        client: of the parent cluster.
        caches: of the parent cluster.
        settings: the hub's flags.
        tls: what is served with.
        tunnels: of the agents.
        own_certificate: whether the hub makes its certificate itself.
    """

    def __init__(
        self,
        client: Client,
        caches: Caches,
        settings: Settings,
        tls: ServingTLS,
        tunnels: Tunnels,
        *,
        own_certificate: bool,
    ) -> None:
        self._tls = tls
        self._caches = caches
        self._refusals = Sparingly(REFUSALS_LOGGED)
        self._authenticator = Authenticator(client)
        self._authorizer = Authorizer(client)
        self._catalog = Catalog(client)
        schemas = Schemas(client)
        values = ManifestValues(
            client, caches.manifest_values, settings.reserved_namespace, referenced=settings.references_values
        )
        store = Store(client, caches.manifests, values, settings.reserved_namespace, _finalizers(settings))
        self._proxy = Proxy(caches, tunnels)
        groups: dict[str, ApiGroup] = {
            features.SHADOW_API: Shadow(client, store, self._catalog, schemas, caches.manifests),
            features.SOCKET_CONNECTION: Sockets(tunnels, self._proxy, caches.is_member),
        }
        self._groups: Sequence[ApiGroup] = [group for gate, group in groups.items() if settings.enabled(gate)]
        self._disabled = {group.group: gate for gate, group in groups.items() if not settings.enabled(gate)}
        self._openapi = OpenApi(schemas, self._catalog)
        group_versions = [f"{group.version}.{group.group}" for group in self._groups]
        self._availability = Availability(client, self._catalog.api_services, group_versions)
        self._trust = Trust(
            client,
            tls,
            self._catalog.api_services,
            group_versions,
            settings.system_namespace,
            own_certificate=own_certificate,
        )

    @property
    def checks(self) -> Mapping[str, Check]:
        """What must hold before it can answer."""
        return {
            "requestheader": self._authenticator.check,
            "discovery": self._catalog.check,
            "certificate": self._trust.check,
        }

    def recognizes(self, certificate: Mapping[str, Any]) -> bool:
        """Return whether a verified client certificate is that of the parent's API server."""
        return self._authenticator.vouches(certificate)

    async def run(self) -> None:
        """Keep what it needs to know up to date until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._authenticator.run(), name="authentication")
                tasks.create_task(self._follow_authority(), name="client authority")
                tasks.create_task(self._catalog.run(), name="catalog")
                tasks.create_task(self._trust.run(), name="trust")
                tasks.create_task(self._availability.run(), name="availability")
                tasks.create_task(self._openapi.run(), name="openapi")
        finally:
            await self._proxy.close()

    async def _follow_authority(self) -> None:
        """Accept the certificates of the authority that the parent's API server is identified by."""
        while True:
            await self._authenticator.changed.wait()
            self._authenticator.changed.clear()
            try:
                self._tls.trust(self._authenticator.headers.ca)
            except ssl.SSLError as error:
                log.error("the authority of the parent's request headers is unreadable: %s", error)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        try:
            info = parse_request(request.method, request.rel_url.raw_path, request.query)
            user = self._authenticator.user(request)
            if user is None:
                if self._refusals.allows(request.remote or ""):
                    log.warning(
                        "refused %s %s from %s, who isn't the parent's API server",
                        request.method,
                        info.path,
                        request.remote,
                    )
                raise refuse(401, "the hub answers the parent's API server only: ask that one")
            await self._authorizer.check(user, info)
            return await self._route(Call(request, info, user))
        except (ApiError, ConnectionFailed) as error:
            answer = status_answer(error)
            log.debug("%s %s: %d: %s", request.method, request.path, answer.status, error)
            return answer
        except web.HTTPRequestEntityTooLarge as error:
            return status_answer(refuse(413, f"the request is too large: {error.text}"))
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return status_answer(refuse(500, "an error inside the hub; its log tells more"))

    async def _route(self, call: Call) -> web.StreamResponse:
        info, path = call.info, call.info.path.rstrip("/")
        if path == "/apis" and accepts_aggregated(call.request):
            document, content_type = aggregated(self._groups)
            return json_answer(document, content_type=content_type)
        if path == "/apis":
            return json_answer(group_list(self._groups))
        if path.startswith("/openapi/v3"):
            return await self._openapi.answer(call.request)
        group = self._group(info)
        if path == f"/apis/{group.group}":
            return json_answer(group_document(group))
        if group.group == names.SHADOW_GROUP:
            self._check_listed()
        if not info.resource:
            return json_answer(resource_list(group))
        return await group.answer(call)

    def _group(self, info: RequestInfo) -> ApiGroup:
        for group in self._groups:
            if info.group == group.group and info.version in ("", group.version):
                return group
        if info.resource and (gate := self._disabled.get(info.group)):
            # Not 404: who wants to delete an object would take it for gone.
            raise refuse(503, f"the hub doesn't serve {info.group}, as its feature gate {gate} is off")
        raise refuse(404, "the server could not find the requested resource")

    def _check_listed(self) -> None:
        try:
            self._catalog.check()
            if not self._caches.manifests.synced:
                raise LookupError(f"Manifests: {self._caches.manifests.last_error or 'not listed yet'}")
        except LookupError as error:
            raise ApiError(503, "ServiceUnavailable", f"the hub is not ready: {error}", retry_after=1.0) from None


def _finalizers(settings: Settings) -> tuple[str, ...]:
    """Return the finalizers of new Manifests: those of the hub's controller of feeds, if it runs."""
    if not settings.enabled(features.DEPLOYER) or feeds.NAME not in settings.controllers:
        return ()
    if settings.enabled(features.FEED_IN_USE_PROTECTION):
        return names.FINALIZER, names.FEED_PROTECTION_FINALIZER
    return (names.FINALIZER,)
