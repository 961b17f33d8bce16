# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP below the client: ``urllib3`` where it is installed, else Ansible's own ``urls``, behind one interface.

A transport has ``request(method, url, headers, body, timeout) -> Response`` and
``stream(url, headers, timeout) -> StreamedResponse``; both raise :class:`TransportError`. Timeouts are seconds of
silence on the wire. Redirects are never followed, proxies of the environment are never used.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import ssl
import tempfile
import urllib.error
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Optional
from urllib.parse import quote, urlsplit

from ansible_collections.clusternet.core.plugins.module_utils.access import Access
from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError

try:
    import urllib3
except ImportError:
    urllib3 = None

CONNECT_TIMEOUT = 10
"""Seconds to wait for a TCP and TLS connection."""


class TransportError(Exception):
    """No HTTP answer came; the text says why.

    :param dropped: the connection broke after it had been made, so that a read may be tried again
    """

    def __init__(self, why: str, dropped: bool = False) -> None:
        super().__init__(why)
        self.dropped = dropped


class Response(NamedTuple):
    """Status, headers by lower-case name (several values joined by a comma) and the decoded body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamedResponse(NamedTuple):
    """Status and the body's lines as they arrive; ``close`` ends the connection."""

    status: int
    lines: Iterator[bytes]
    close: Any


def transport(access: Access) -> Any:
    """Make the transport for an API server.

    :raises ConfigError: a certificate, a key or a CA cannot be used
    """
    return Urllib3Transport(access) if urllib3 else UrlsTransport(access)


class Urllib3Transport:
    """One pool of kept-alive connections to one server."""

    def __init__(self, access: Access) -> None:
        options: dict[str, Any] = {"retries": False, "maxsize": 10}
        if access.server.startswith("https://"):
            options["ssl_context"] = ssl_context(access)
            options["cert_reqs"] = "CERT_REQUIRED" if access.verify else "CERT_NONE"
            if access.tls_server_name:
                options["server_hostname"] = access.tls_server_name
                options["assert_hostname"] = access.tls_server_name
        if uses_proxy(access):
            proxy_headers = urllib3.make_headers(**access.proxy_headers)
            self._pool = urllib3.ProxyManager(access.proxy, proxy_headers=proxy_headers, **options)
        else:
            self._pool = urllib3.PoolManager(**options)
        self._verify = access.verify

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: Optional[bytes], timeout: float
    ) -> Response:
        answer = self._open(method, url, {**headers, "accept-encoding": "gzip"}, body, timeout)
        return Response(answer.status, _lower(answer.headers), answer.data)

    def stream(self, url: str, headers: Mapping[str, str], timeout: float) -> StreamedResponse:
        answer = self._open("GET", url, headers, None, timeout, preload_content=False)
        return StreamedResponse(answer.status, self._lines(answer, timeout), answer.close)

    @staticmethod
    def _lines(answer: Any, timeout: float) -> Iterator[bytes]:
        rest = b""
        try:
            for block in answer.stream(65536):
                *lines, rest = (rest + block).split(b"\n")
                yield from lines
        except urllib3.exceptions.HTTPError as error:
            raise TransportError(describe(error, timeout), dropped=True) from error
        if rest:
            yield rest

    def _open(
        self, method: str, url: str, headers: Mapping[str, Any], body: Optional[bytes], timeout: float, **options: Any
    ) -> Any:
        try:
            with _quiet(self._verify):
                return self._pool.request(
                    method,
                    url,
                    headers=_header_dict(headers),
                    body=body,
                    redirect=False,
                    timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=timeout),
                    **options,
                )
        except urllib3.exceptions.HTTPError as error:
            dropped = isinstance(error, urllib3.exceptions.ProtocolError)
            raise TransportError(describe(error, timeout), dropped) from error


class UrlsTransport:
    """A connection for each request."""

    def __init__(self, access: Access) -> None:
        if access.tls_server_name:
            raise ConfigError("kubeconfig", "tls-server-name in a kubeconfig needs the Python package urllib3.")
        if any(len(values) > 1 for values in access.headers.values() if not isinstance(values, str)):
            raise ConfigError(
                "impersonate_groups",
                "More than one impersonated group, or value of an extra, needs the Python package urllib3.",
            )
        # Imported only here: it takes twice the time of urllib3, and hardly anybody needs it.
        from ansible.module_utils.urls import Request

        self._proxy = _proxy_url(access) if uses_proxy(access) else None
        self._request = Request(
            context=ssl_context(access), follow_redirects="none", use_netrc=False, use_proxy=bool(self._proxy)
        )

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: Optional[bytes], timeout: float
    ) -> Response:
        answer = self._open(method, url, headers, body, timeout)
        try:
            with contextlib.closing(answer):
                return Response(answer.status, _lower(answer.headers), answer.read())
        except (OSError, ValueError) as error:
            raise TransportError(describe(error, timeout), dropped=True) from error

    def stream(self, url: str, headers: Mapping[str, str], timeout: float) -> StreamedResponse:
        answer = self._open("GET", url, headers, None, timeout)
        return StreamedResponse(answer.status, self._lines(answer, timeout), answer.close)

    @staticmethod
    def _lines(answer: Any, timeout: float) -> Iterator[bytes]:
        try:
            yield from answer
        except OSError as error:
            raise TransportError(describe(error, timeout), dropped=True) from error

    def _open(self, method: str, url: str, headers: Mapping[str, Any], body: Optional[bytes], timeout: float) -> Any:
        joined = {name: value if isinstance(value, str) else ",".join(value) for name, value in headers.items()}
        try:
            with _proxy_environment(self._proxy):
                return self._request.open(method, url, data=body, headers=joined, timeout=timeout)
        except urllib.error.HTTPError as error:
            return error
        except (OSError, ValueError) as error:
            raise TransportError(describe(error, timeout)) from error


def ssl_context(access: Access) -> ssl.SSLContext:
    """Trust the given CA only, or the system's if none is given, and load the client certificate.

    :raises ConfigError: a certificate, a key or a CA cannot be used
    """
    try:
        context = ssl.create_default_context(cadata=access.ca)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError("ca_cert", f"The CA certificate is not PEM: {error}") from error
    # Python 3.13 refuses CAs without key identifiers, which kubectl and older Pythons accept.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not access.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if access.client_cert:
        _load_client_certificate(context, access.client_cert, access.client_key or "")
    return context


def _load_client_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    with _file_of(f"{certificate}\n{key}\n") as path:
        try:
            context.load_cert_chain(path, password=lambda: "")
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(
                "client_cert", f"The client certificate and its key cannot be used (encrypted keys neither): {error}"
            ) from error


@contextlib.contextmanager
def _file_of(text: str) -> Iterator[str]:
    """Give the path of a file with this text, which exists in memory only where the system can do that."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("client-certificate")
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            yield f"/proc/self/fd/{descriptor}"
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(text)
            file.flush()
            yield file.name


def uses_proxy(access: Access) -> bool:
    """Whether requests to the server go through the proxy: ``no_proxy`` names hosts, domains, addresses and CIDRs."""
    if not access.proxy:
        return False
    host = urlsplit(access.server).hostname or ""
    return not any(_covers(rule.strip(), host) for rule in (access.no_proxy or "").split(",") if rule.strip())


def _covers(rule: str, host: str) -> bool:
    if rule == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        domain = rule.lower().split(":")[0].lstrip("*").lstrip(".")
        return host == domain or host.endswith(f".{domain}")


def describe(error: BaseException, timeout: float) -> str:
    """Why no answer came, in words, from the innermost known cause."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its TLS certificate is not trusted: {cause.verify_message}. "
                "Give the CA by ca_cert or in the kubeconfig."
            )
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason or cause}"
        if isinstance(cause, socket.gaierror):
            return f"the host name does not resolve ({cause.strerror})"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
    if any(isinstance(cause, (socket.timeout, TimeoutError)) or "Timeout" in type(cause).__name__ for cause in causes):
        return f"no answer within {min(timeout, CONNECT_TIMEOUT):g} to {timeout:g} s"
    return str(causes[-1]) or type(causes[-1]).__name__


def _causes(error: Optional[BaseException]) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = [getattr(error, "reason", None), getattr(error, "original_error", None), *error.args]
        inner += [error.__cause__, error.__context__]
        error = next((item for item in inner if isinstance(item, BaseException)), None)


def _lower(headers: Any) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined


def _header_dict(headers: Mapping[str, Any]) -> Any:
    result = urllib3.HTTPHeaderDict()
    for name, value in headers.items():
        for item in (value,) if isinstance(value, str) else value:
            result.add(name, item)
    return result


@contextlib.contextmanager
def _quiet(verify: bool) -> Iterator[None]:
    if verify:
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
        yield


def _proxy_url(access: Access) -> str:
    parts = urlsplit(access.proxy or "")
    username, _colon, password = access.proxy_headers.get("proxy_basic_auth", "").partition(":")
    if not username:
        return parts.geturl()
    return parts._replace(netloc=f"{quote(username)}:{quote(password)}@{parts.netloc.rpartition('@')[2]}").geturl()


@contextlib.contextmanager
def _proxy_environment(proxy: Optional[str]) -> Iterator[None]:
    """``urls`` takes its proxy from the environment only."""
    if not proxy:
        yield
        return
    names = ("http_proxy", "https_proxy", "no_proxy")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(http_proxy=proxy, https_proxy=proxy, no_proxy="")
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
