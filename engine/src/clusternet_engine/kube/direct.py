"""The network path to an API server whose address somebody else wrote, judged by a rule each time it is taken."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

import aiohttp

from clusternet_engine.connecting import AddressRefused, JudgedConnector, JudgedResolver
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.connections import keepalive_socket, proxy
from clusternet_engine.kube.errors import ConnectionFailed
from clusternet_engine.model.addresses import AddressRule, looks_like_ip
from clusternet_engine.model.dialling import join_address

_CONNECTIONS = 100
"""Connections to one API server at the same time."""
_HTTPS = 443


class DirectRoute:
    """A route for `clusternet_engine.kube.client.Client`.

    Args:
        rule: judges the addresses.
    """

    def __init__(self, rule: AddressRule) -> None:
        self._rule = rule

    def connector(self) -> aiohttp.BaseConnector:
        """Return connections to what the rule allows."""
        return JudgedConnector(self._rule, limit=_CONNECTIONS, keepalive_timeout=90.0, socket_factory=keepalive_socket)

    def proxy(self, config: ClusterConfig) -> str | None:
        """Return the HTTP proxy to go through; the rule then judges the address as it is spelled."""
        return proxy(config)

    @contextlib.asynccontextmanager
    async def forwarded(self, config: ClusterConfig) -> AsyncIterator[ClusterConfig]:
        """Yield a configuration for other programs: with the very address that was judged instead of a name.

        Raises:
            ConnectionFailed: the name can't be resolved, or leads to no address that is allowed.
        """
        parts = urlsplit(config.server)
        host, port = parts.hostname or "", parts.port or _HTTPS
        if looks_like_ip(host) or self.proxy(config):
            yield config
            return
        resolver = JudgedResolver(self._rule)
        try:
            found = await resolver.resolve(host, port)
        except AddressRefused as error:
            raise ConnectionFailed(config.server, "address", str(error)) from None
        except OSError as error:
            raise ConnectionFailed(config.server, "dns", f"host name can't be resolved: {error.strerror}") from None
        finally:
            await resolver.close()
        server = f"{parts.scheme}://{join_address(found[0]['host'], port)}{parts.path}"
        yield replace(config, server=server, tls_server_name=config.tls_server_name or host)
