"""How a connection to an API server is made: TLS, proxy, a socket that notices a vanished peer."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import aiohttp

from clusternet_engine.connecting import environment_proxy
from clusternet_engine.kube.config import ClusterConfig, ConfigError
from clusternet_engine.kube.tls import client_context


def network_connector(limit: int) -> aiohttp.TCPConnector:
    """Return what opens and keeps connections by the network.

    :param limit: connections at the same time; 0 = any number.
    """
    return aiohttp.TCPConnector(limit=limit, keepalive_timeout=90.0, socket_factory=keepalive_socket)


def tls(config: ClusterConfig) -> ssl.SSLContext | bool:
    """Return the TLS settings that a configuration asks for.

    :raises ConfigError: CA or client certificate are unreadable, or no file descriptor is left.
    """
    if config.server.startswith("http://"):
        return True
    try:
        return client_context(
            config.ca_data,
            insecure=config.insecure_skip_tls_verify,
            certificate=config.client_certificate,
            key=config.client_key,
        )
    except ssl.SSLError as error:
        raise ConfigError(f"CA bundle, client certificate or client key of {config.server}: {error.reason}") from None
    except OSError as error:
        raise ConfigError(f"TLS settings for {config.server}: {error.strerror}") from None


def proxy(config: ClusterConfig) -> str | None:
    """Return the HTTP proxy to go through: the configuration's own, else what the environment says."""
    return config.proxy_url or environment_proxy(config.server)


def keepalive_socket(address: tuple[Any, ...]) -> socket.socket:
    """Return a TCP socket that notices a vanished peer within a minute."""
    family, type_, protocol, *_ = address
    sock = socket.socket(family, type_, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return sock
