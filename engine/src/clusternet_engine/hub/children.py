"""The hub's way to the child clusters: one client each, with the credential that the child has handed over."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
from dataclasses import dataclass
from urllib.parse import urlsplit

from clusternet_engine.deploy.errors import Unreachable
from clusternet_engine.deploy.objects import BURST, QPS, Objects
from clusternet_engine.hub.caches import Caches
from clusternet_engine.hub.tunnels import TunnelRoute, Tunnels
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig, ConfigError
from clusternet_engine.kube.direct import DirectRoute
from clusternet_engine.kube.resources import Object, object_key
from clusternet_engine.model import constants as names
from clusternet_engine.model.addresses import AddressRule, api_server_url, is_bearer_token

_LEAVE_OPEN = 60.0
"""Seconds that a client stays usable after its credential was replaced: requests may be under way."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Child:
    """A child as it was reached last."""

    fingerprint: bytes
    objects: Objects


class Children:
    """Gives access to the child clusters, each time with the credential and address that hold now.

    Args:
        caches: of the parent cluster.
        tunnels: of the agents; None if this hub doesn't serve them.
        rule: says where children may be reached without a tunnel.
    """

    def __init__(self, caches: Caches, tunnels: Tunnels | None, rule: AddressRule) -> None:
        self._caches = caches
        self._rule = rule
        self._tunnels = tunnels
        self._children: dict[str, _Child] = {}
        self._closing: dict[asyncio.Task[None], _Child] = {}
        caches.clusters.add_handler(self._on_cluster)

    async def objects(self, cluster: Object) -> Objects:
        """Return the objects of a ManagedCluster's child.

        Raises:
            Unreachable: it isn't the child of this ManagedCluster, hasn't said how, has a damaged credential, or is at
                an address that the operator hasn't allowed.
        """
        if not self._caches.is_registered(cluster):
            cluster_id = cluster["spec"]["clusterId"]
            raise Unreachable(f"cluster {cluster_id} isn't registered as ManagedCluster {object_key(cluster)}")
        config = self._config(cluster)
        namespace = cluster["metadata"]["namespace"]
        route = self._route(cluster, config)
        text = repr((config.server, config.ca_data, config.token, isinstance(route, DirectRoute)))
        fingerprint = hashlib.sha256(text.encode()).digest()
        known = self._children.get(namespace)
        if known is not None and known.fingerprint == fingerprint:
            return known.objects
        try:
            client = Client(config, qps=QPS, burst=BURST, user_agent=names.HUB, route=route)
        except ConfigError as error:
            raise Unreachable(str(error)) from None
        await client.__aenter__()
        if known is not None:
            self._close_later(known)
        self._children[namespace] = _Child(fingerprint, Objects(client))
        return self._children[namespace].objects

    async def close(self) -> None:
        """Close all connections."""
        closing, self._closing = self._closing, {}
        for task in closing:
            task.cancel()
        children, self._children = self._children, {}
        for child in (*closing.values(), *children.values()):
            await child.objects.client.close()

    def _route(self, cluster: Object, config: ClusterConfig) -> TunnelRoute | DirectRoute:
        """Return the way through the tunnel, if the cluster's agent holds one, else the one by the network.

        Raises:
            Unreachable: the operator hasn't allowed the address.
        """
        if self._tunnels is not None and (cluster.get("status") or {}).get("useSocket"):
            return self._tunnels.route(cluster["spec"]["clusterId"])
        parts = urlsplit(config.server)
        if not self._rule.may_allow(parts.hostname or "", parts.port or 443):
            raise Unreachable(
                f"its agent holds no tunnel, and the hub may not connect to {parts.netloc} without one; "
                f"{self._rule.option} allows that"
            )
        return DirectRoute(self._rule)

    def _config(self, cluster: Object) -> ClusterConfig:
        metadata, status = cluster["metadata"], cluster.get("status") or {}
        name = f"{metadata['namespace']}/{names.CHILD_DEPLOYER_SECRET}"
        secret = self._caches.child_credentials.get(names.CHILD_DEPLOYER_SECRET, metadata["namespace"])
        if secret is None:
            raise Unreachable(f"the agent hasn't handed over Secret {name} yet")
        try:
            data = {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
            token = data.get(names.TOKEN_KEY, b"").decode()
            server = status.get("apiserverURL") or data.get(names.ADVERTISE_URL_KEY, b"").decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Unreachable(f"Secret {name} is damaged") from None
        if not (token and server):
            raise Unreachable(f"Secret {name} lacks a token or the address of the cluster")
        if not is_bearer_token(token):
            raise Unreachable(f"Secret {name} holds no token")
        try:
            server = api_server_url(server)
            return ClusterConfig(server=server, ca_data=data.get(names.CA_CERTIFICATE_KEY) or None, token=token)
        except (ConfigError, ValueError) as error:
            raise Unreachable(str(error)) from None

    def _on_cluster(self, change: Change) -> None:
        if change.new is None:
            child = self._children.pop(change.object["metadata"]["namespace"], None)
            if child is not None:
                self._close_later(child)

    def _close_later(self, child: _Child) -> None:
        async def close() -> None:
            await asyncio.sleep(_LEAVE_OPEN)
            await child.objects.client.close()

        task = asyncio.create_task(close())
        self._closing[task] = child
        task.add_done_callback(lambda done: self._closing.pop(done, None))
