"""Passes requests for children on to their parent, with what it takes to get through there (spec/04 §5–§7)."""

from __future__ import annotations

import asyncio
import hmac
import logging
import socket
import time

import aiohttp
from aiohttp import web
from yarl import URL

from clusternet_engine.answers import json_answer, refuse, status_answer
from clusternet_engine.forwarding import Exchange, NoAnswer
from clusternet_engine.gateway.credentials import ChildTokens
from clusternet_engine.gateway.kubeconfig import Kubeconfigs
from clusternet_engine.gateway.settings import Settings
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ConfigError
from clusternet_engine.kube.connections import proxy, tls
from clusternet_engine.kube.credentials import token_source
from clusternet_engine.kube.errors import ApiError, ConnectionFailed, NotFound
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import MANAGED_CLUSTERS, SOCKETS, Object, object_key
from clusternet_engine.listening import recognize
from clusternet_engine.logs import REFUSALS_LOGGED, Sparingly
from clusternet_engine.model.gateway import Entrance, split_path
from clusternet_engine.model.proxying import direct_path, headers_to_parent, impersonates, upgrade_protocol
from clusternet_engine.model.shapes import complete
from clusternet_engine.serving import HealthServer, ServingTLS

FIRST_LIST = 30.0
"""Seconds within which the ManagedClusters must have been listed."""
FIRST_DELAY, MAX_DELAY = 0.5, 30.0
_OFFER = f"/apis/{SOCKETS.api_version}"
"""What a parent has that offers the APIs of its children."""

log = logging.getLogger(__name__)


class Gateway:
    """Serves the APIs of the children at `/<namespace>/<name>/…`, to those who know its token.

    Args:
        parent: client of the parent cluster.
        session: by which requests are passed on.
        settings: the gateway's flags.
        entrance: where it is served, and its token.
    """

    def __init__(self, parent: Client, session: aiohttp.ClientSession, settings: Settings, entrance: Entrance) -> None:
        self._parent = parent
        self._session = session
        self._settings = settings
        self._entrance = entrance
        self._credential = token_source(parent.config)
        self._tokens = ChildTokens(parent, settings.account)
        self._clusters = Informer(
            parent,
            MANAGED_CLUSTERS,
            namespace=settings.namespace,
            label_selector=settings.label_selector,
            keep=lambda cluster: not settings.names or cluster["metadata"]["name"] in settings.names,
            complete=complete,
        )
        self._changed = asyncio.Event()
        self._clusters.add_handler(self._on_cluster)
        self._kubeconfigs = Kubeconfigs(settings.kubeconfig, entrance)
        self._refusals = Sparingly(REFUSALS_LOGGED)
        self._under_way = 0
        self._last_used = time.monotonic()
        self._connection = {
            "ssl": tls(parent.config),
            "proxy": proxy(parent.config),
            "server_hostname": parent.config.tls_server_name,
        }

    async def run(self) -> None:
        """Serve, with kubeconfigs that follow the fleet, until nobody has used it for the idle timeout.

        Raises:
            ConfigError: the parent refuses, or isn't one that offers the APIs of its children.
            ExceptionGroup: of a ConfigError, the kubeconfigs can't be written.
        """
        await self._check_parent()
        async with asyncio.TaskGroup() as tasks:
            work = [
                tasks.create_task(self._clusters.run(), name="ManagedClusters"),
                tasks.create_task(self._keep_kubeconfigs(), name="kubeconfigs"),
            ]
            try:
                await self._idle()
                log.info("nobody has used the gateway for %g s", self._settings.idle_timeout)
            finally:
                for task in work:
                    task.cancel()

    def server(self, tls: ServingTLS, listener: socket.socket) -> HealthServer:
        """Return what serves it; its metrics, too, are for those who know its token.

        Args:
            tls: to serve with.
            listener: that listens.
        """
        address, port = listener.getsockname()
        return HealthServer(address, port, {}, tls=tls, handler=self.handle, listener=listener, access=self.check_token)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        try:
            await self.check_token(request)
            self._under_way += 1
            try:
                return await self._answer(request)
            finally:
                self._under_way -= 1
                self._last_used = time.monotonic()
        except ApiError as error:
            return status_answer(error)
        except (ConnectionFailed, ConfigError) as error:
            return status_answer(refuse(503, f"cannot reach the parent: {error}"))
        except web.HTTPRequestEntityTooLarge as error:
            return status_answer(refuse(413, f"the request is too large: {error.text}"))
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return status_answer(refuse(500, "an error inside the gateway; its log tells more"))

    async def check_token(self, request: web.Request) -> None:
        """Return if whoever sent a request knows the gateway's token.

        Raises:
            ApiError: 401 if not.
        """
        if self._is_authorized(request):
            recognize(request)
            return
        if self._refusals.allows(request.remote or ""):
            log.warning(
                "refused %s %s from %s: not the gateway's token",
                request.method,
                request.rel_url.raw_path,
                request.remote,
            )
        raise refuse(401, "the gateway takes the token in the kubeconfig that it has written, and no other")

    def _is_authorized(self, request: web.Request) -> bool:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._entrance.token.encode())

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.rel_url.raw_path == "/":
            return json_answer({"paths": sorted(f"/{object_key(cluster)}" for cluster in self._clusters.items())})
        if impersonates(request.headers):
            raise refuse(
                403,
                "a child can't be told by its parent whom to impersonate; start the gateway with a ServiceAccount to "
                "act as that one",
            )
        try:
            namespace, name, path = split_path(request.rel_url.raw_path)
        except ValueError as error:
            raise refuse(400, str(error)) from None
        cluster = self._clusters.get(name, namespace)
        if cluster is None:
            # Not 404: who wants to delete an object would take it for gone.
            raise refuse(400, f"there is no cluster {namespace}/{name} here")
        url = f"{self._parent.config.server}{direct_path(cluster['spec']['clusterId'])}{path}"
        query = request.rel_url.raw_query_string
        return await self._forward(request, cluster, URL(f"{url}?{query}" if query else url, encoded=True))

    async def _forward(self, request: web.Request, cluster: Object, url: URL) -> web.StreamResponse:
        """Pass a request on; once more with renewed credentials if the first ones are refused."""
        exchange = Exchange(request)
        repeatable = await exchange.keep()
        token = await self._tokens.token(cluster)
        try:
            headers = await self._headers(request, token)
            async with exchange.ask(self._session, url, headers, **self._connection) as answer:
                if answer.status != 401 or not repeatable:
                    return await self._reply(exchange, answer)
            token = await self._tokens.token(cluster, refused=token)
            headers = await self._headers(request, token, renew=True)
            async with exchange.ask(self._session, url, headers, **self._connection) as answer:
                return await self._reply(exchange, answer)
        except NoAnswer as error:
            raise refuse(502, f"cannot reach the parent {url.origin()}: {error}", reason="BadGateway") from None

    async def _reply(self, exchange: Exchange, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """Pass an answer back, unless it is that of a parent which doesn't offer the APIs of children any more.

        Such a parent says what API servers say of every path that they don't know, which isn't a Status.
        """
        if answer.status == 404 and answer.content_type != "application/json":
            offered = await self._parent.raw("GET", _OFFER)
            if offered.status == 404:
                raise refuse(503, f"the parent {self._parent.config.server} doesn't offer the APIs of its children")
        return await exchange.reply(answer)

    async def _headers(self, request: web.Request, token: str, *, renew: bool = False) -> list[tuple[str, str]]:
        own = await self._credential.token(renew=renew)
        return headers_to_parent(request.headers.items(), own or "", token, upgrade_protocol(request.headers))

    async def _check_parent(self) -> None:
        """Let a start that can't succeed fail at once, instead of being tried for ever."""
        server = self._parent.config.server
        try:
            await self._parent.list(
                MANAGED_CLUSTERS, self._settings.namespace, label_selector=self._settings.label_selector
            )
            offered = await self._parent.raw("GET", _OFFER)
        except NotFound:
            raise ConfigError(f"{server} knows no ManagedClusters, so it isn't the parent") from None
        except (ApiError, ConnectionFailed) as error:
            raise ConfigError(f"the parent doesn't tell its clusters: {error}") from None
        if offered.status == 404:
            raise ConfigError(
                f"the parent {server} doesn't offer the APIs of its children; the hub does that with its feature gate "
                "SocketConnection"
            )

    def _on_cluster(self, change: Change) -> None:
        if change.type != "MODIFIED":
            self._changed.set()

    async def _keep_kubeconfigs(self) -> None:
        """Write the kubeconfigs when the clusters are known and whenever others come or go; remove them in the end.

        Raises:
            ConfigError: the first ones can't be written; later ones are tried again.
        """
        await self._clusters.wait_synced(FIRST_LIST)
        backoff = Backoff(FIRST_DELAY, MAX_DELAY)
        try:
            self._changed.clear()
            self._write_first()
            while True:
                await self._changed.wait()
                self._changed.clear()
                try:
                    self._kubeconfigs.write(self._clusters.items())
                    backoff.reset()
                except OSError as error:
                    log.warning("the kubeconfigs can't be written, trying again: %s", error)
                    self._changed.set()
                    await asyncio.sleep(backoff.next())
        finally:
            self._kubeconfigs.remove()

    def _write_first(self) -> None:
        try:
            self._kubeconfigs.write(self._clusters.items())
        except OSError as error:
            path = self._settings.kubeconfig
            raise ConfigError(
                f"kubeconfig {path} can't be written: {error.strerror}; name a file in a folder in which this user may "
                "make files (--write-kubeconfig)"
            ) from None

    async def _idle(self) -> None:
        """Wait until nobody has used the gateway for the idle timeout."""
        timeout = self._settings.idle_timeout
        if timeout is None:
            await asyncio.Event().wait()
            return
        idle = 0.0
        while idle < timeout:
            await asyncio.sleep(timeout - idle)
            idle = 0.0 if self._under_way else time.monotonic() - self._last_used
