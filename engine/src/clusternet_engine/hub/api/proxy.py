"""Requests to children, through the tunnels of their agents (spec/04 §5, §6).

Connections to a child are used again. `%2F` in a path reaches the child as it was sent to the hub. A credential for a
child goes only over connections that are verified by the CA which its agent has handed over.
"""

from __future__ import annotations

import base64
import binascii
import logging
import ssl
from collections import OrderedDict

from aiohttp import web
from yarl import URL

from clusternet_engine.answers import refuse
from clusternet_engine.forwarding import Exchange, NoAnswer, forwarding_session
from clusternet_engine.hub.api.groups import Call
from clusternet_engine.hub.caches import BY_CLUSTER, Caches
from clusternet_engine.hub.clients import Clients
from clusternet_engine.hub.tunnels import Tunnels
from clusternet_engine.kube.resources import CLUSTER_REGISTRATION_REQUESTS, MANAGED_CLUSTERS, Object, object_key
from clusternet_engine.kube.tls import client_context, load_key_pair, unverified_context
from clusternet_engine.model import constants as names
from clusternet_engine.model.proxying import (
    DIRECT,
    ChildCredential,
    ProxyPath,
    Target,
    child_credential,
    direct_target,
    parse_proxy_path,
    request_headers,
    upgrade_protocol,
)

CONTEXTS = 256
"""TLS settings kept, one for each CA and client certificate seen lately."""

log = logging.getLogger(__name__)


class Proxy:
    """Answers requests for children.

    Args:
        caches: of the parent cluster.
        tunnels: of the agents.
    """

    def __init__(self, caches: Caches, tunnels: Tunnels) -> None:
        self._caches = caches
        self._tunnels = tunnels
        self._clients = Clients(caches, lambda cluster_id: forwarding_session(tunnels.route(cluster_id).connector()))
        self._contexts: OrderedDict[tuple[bytes | None, bytes, bytes], ssl.SSLContext] = OrderedDict()

    async def close(self) -> None:
        """Close all connections to children."""
        await self._clients.close()

    async def answer(self, call: Call) -> web.StreamResponse:
        """Pass a request on to a child and its answer back.

        Raises:
            ApiError: there is no such child, no way to it, or the request is wrong.
        """
        request, cluster_id = call.request, call.info.name
        cluster = self._cluster(cluster_id)
        parts = call.info.path.lstrip("/").split("/", 6)
        try:
            path = parse_proxy_path(parts[6] if len(parts) > 6 else "")
            credential = child_credential(call.user.extra)
        except ValueError as error:
            raise refuse(400, str(error)) from None
        target = self._target(cluster, path)
        credential, authority = self._secured(cluster, path, target, credential)
        if self._tunnels.way(cluster_id) is None:
            name = f"{cluster['metadata']['namespace']}/{cluster['metadata']['name']}"
            if (cluster.get("status") or {}).get("useSocket"):
                raise refuse(400, f"cannot proxy through cluster {name}, whose agent is disconnected")
            raise refuse(502, f"cluster {name} has no tunnel to this hub", reason="BadGateway")
        upgrade = upgrade_protocol(request.headers)
        if not path.path and not upgrade and request.method in ("GET", "HEAD"):
            query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
            return web.Response(status=301, headers={"Location": f"{call.info.path}/{query}"})
        try:
            context = self._context(target, authority, credential)
        except ssl.SSLError as error:
            raise refuse(400, f"certificate or private key in the extras are not usable: {error.reason}") from None
        url = URL(target.url(path.path, request.rel_url.raw_query_string), encoded=True)
        exchange = Exchange(request)
        headers = request_headers(request.headers.items(), credential.token, upgrade, call.user.headers)
        try:
            async with exchange.ask(self._clients.of(cluster_id), url, headers, ssl=context) as answer:
                return await exchange.reply(answer)
        except NoAnswer as error:
            log.info("%s %s: %s", request.method, url.origin(), error)
            message = f"cannot reach {url.host}:{url.port} through the agent: {error}"
            raise refuse(502, message, reason="BadGateway") from None

    def _cluster(self, cluster_id: str) -> Object:
        cluster = self._caches.cluster(cluster_id)
        if cluster is None:
            for kind, informer in (
                (MANAGED_CLUSTERS.kind, self._caches.clusters),
                (CLUSTER_REGISTRATION_REQUESTS.kind, self._caches.requests),
            ):
                if not informer.synced:
                    raise refuse(503, f"{kind}s: {informer.last_error or 'not listed yet'}")
            if claims := self._caches.clusters.by_index(BY_CLUSTER, cluster_id):
                claimed = ", ".join(map(object_key, claims))
                log.warning("cluster %s isn't registered as any that says to be it: %s", cluster_id, claimed)
            raise refuse(400, f"no cluster id is {cluster_id}")
        return cluster

    def _target(self, cluster: Object, path: ProxyPath) -> Target:
        """Return where to connect to."""
        if path.form != DIRECT:
            return Target(path.form, path.host, path.port)
        url = (cluster.get("status") or {}).get("apiserverURL")
        if not url:
            raise refuse(503, f"cluster {object_key(cluster)} hasn't told the URL of its API server")
        try:
            return direct_target(url)
        except ValueError as error:
            raise refuse(503, str(error)) from None

    def _secured(
        self, cluster: Object, path: ProxyPath, target: Target, credential: ChildCredential
    ) -> tuple[ChildCredential, bytes | None]:
        """Return the credential to send, and by which CA to verify who gets it; None if that is nobody's concern."""
        if target.scheme == "http":
            if path.form == DIRECT and credential.given:
                raise refuse(503, f"cluster {object_key(cluster)} is reached in clear: no credential is sent there")
            return ChildCredential(), None
        try:
            authority = self._authority(cluster["metadata"]["namespace"])
        except ValueError as error:
            raise refuse(503, str(error)) from None
        if not credential.given:
            return credential, authority if path.form == DIRECT else None
        if authority is None:
            raise refuse(
                503,
                f"cluster {object_key(cluster)} hasn't handed over the CA by which {target.host} could be verified: "
                "no credential is sent there",
            )
        return credential, authority

    def _authority(self, namespace: str) -> bytes | None:
        secret = self._caches.child_credentials.get(names.CHILD_DEPLOYER_SECRET, namespace)
        try:
            return base64.b64decode(((secret or {}).get("data") or {}).get(names.CA_CERTIFICATE_KEY) or "") or None
        except binascii.Error:
            raise ValueError(f"Secret {namespace}/{names.CHILD_DEPLOYER_SECRET} is damaged") from None

    def _context(self, target: Target, authority: bytes | None, credential: ChildCredential) -> ssl.SSLContext:
        """Return the TLS settings; equal ones are the same object, by which connections are used again."""
        key = authority, credential.certificate, credential.key
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = _make_context(authority, credential)
            while len(self._contexts) > CONTEXTS:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(key)
        return context


def _make_context(authority: bytes | None, credential: ChildCredential) -> ssl.SSLContext:
    if authority is not None:
        return client_context(authority, certificate=credential.certificate, key=credential.key)
    context = unverified_context()
    if credential.certificate:
        load_key_pair(context, credential.certificate, credential.key)
    return context
