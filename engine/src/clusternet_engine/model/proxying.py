"""What a request to `sockets/<id>/proxy/…` asks of a child, and as whom (spec/04 §5, §6)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from clusternet_engine.kube.resources import SOCKETS
from clusternet_engine.model import constants as names
from clusternet_engine.model.dialling import join_address, split_address

Headers: TypeAlias = list[tuple[str, str]]

DIRECT = "direct"
_PORTS = {"http": 80, "https": 443}
_EXTRA_PREFIX = "clusternet-"
_TOKEN, _CERTIFICATE, _KEY = (_EXTRA_PREFIX + name for name in ("token", "certificate", "privatekey"))

_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_CONSUMED = frozenset(("authorization", "expect", "host"))
_CONSUMED_PREFIXES = ("impersonate-", "x-remote-")
"""Who the caller is at the parent is no business of the child."""


@dataclass(frozen=True, slots=True)
class ProxyPath:
    """What follows `proxy/` in a request, percent-encoded.

    Attributes:
        form: `direct`, `http` or `https`.
        host: of the forms `http` and `https`.
        port: of the forms `http` and `https`.
        path: begins with "/", or is "".
    """

    form: str
    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Target:
    """A child's address.

    Attributes:
        scheme: `http` or `https`.
        path: what paths are appended to; "" or begins with "/", never ends with it.
    """

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def address(self) -> str:
        """What the agent dials."""
        return join_address(self.host, self.port)

    def url(self, path: str, query: str) -> str:
        """Return the URL of a path, with a query unless that is empty."""
        question = f"?{query}" if query else ""
        return f"{self.scheme}://{self.address}{self.path}{path or '/'}{question}"


@dataclass(frozen=True, slots=True)
class ChildCredential:
    """As whom to speak to a child; certificate and key are PEM and come together, all empty means anonymous."""

    token: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)

    @property
    def given(self) -> bool:
        """Whether there is anything to prove who asks."""
        return bool(self.token or self.certificate)


def parse_proxy_path(path: str) -> ProxyPath:
    """Return the parts of what follows `proxy`, percent-encoded, e.g. `/https/10.0.0.1:8443/metrics`.

    Empty and `.` segments are left out and `..` is resolved; a trailing slash stays.

    Raises:
        ValueError: the form is unknown, or lacks its host.
    """
    form, slash, rest = path.lstrip("/").partition("/")
    if form == DIRECT:
        return ProxyPath(form, "", 0, _clean(slash + rest))
    if form not in _PORTS:
        raise ValueError(f"{form!r} is none of direct, http and https")
    authority, slash, rest = rest.lstrip("/").partition("/")
    host, port = _authority(unquote(authority), _PORTS[form])
    return ProxyPath(form, host, port, _clean(slash + rest))


def direct_path(cluster_id: str) -> str:
    """Return where the parent offers the API of a child."""
    return SOCKETS.path(name=cluster_id, subresource=f"proxy/{DIRECT}")


def direct_target(url: str) -> Target:
    """Return the address of a child's API server, from `status.apiserverURL`.

    Raises:
        ValueError: it is not a URL of an API server.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or not _is_encodable(parts.hostname):
        raise ValueError(f"{url!r} is not the URL of an API server")
    return Target(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], parts.path.rstrip("/"))


def child_credential(extra: Mapping[str, tuple[str, ...]]) -> ChildCredential:
    """Return as whom to speak to the child, from the extras of the user; their keys are in lower case.

    Raises:
        ValueError: certificate or key are not base64.
    """
    token, certificate, key = (next(iter(extra.get(name, ())), "") for name in (_TOKEN, _CERTIFICATE, _KEY))
    if not (certificate and key):
        return ChildCredential(token)
    try:
        return ChildCredential(
            token, base64.b64decode(certificate, validate=True), base64.b64decode(key, validate=True)
        )
    except binascii.Error:
        raise ValueError("certificate or private key in the extras are not base64") from None


def without_credentials(extra: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return a user's extras without those that are meant for a child."""
    return {key: values for key, values in extra.items() if not key.startswith(_EXTRA_PREFIX)}


def request_headers(
    headers: Iterable[tuple[str, str]], token: str, upgrade: str = "", consumed: Container[str] = ()
) -> Headers:
    """Return the headers to send to the child.

    Args:
        headers: of the request to the hub.
        token: of the child; the caller's own credential for the parent is never passed on.
        upgrade: protocol to change to, if any.
        consumed: names, in lower case, of further headers that tell who the caller is at the parent.
    """
    forwarded = [
        (name, value)
        for name, value in _end_to_end(headers)
        if not (name.lower() in _CONSUMED or name.lower() in consumed or name.lower().startswith(_CONSUMED_PREFIXES))
    ]
    if token:
        forwarded.append(("Authorization", f"Bearer {token}"))
    if upgrade:
        forwarded += [("Connection", "Upgrade"), ("Upgrade", upgrade)]
    return forwarded


def headers_to_parent(
    headers: Iterable[tuple[str, str]], parent_token: str, child_token: str, upgrade: str = ""
) -> Headers:
    """Return the headers by which a child is reached through its parent (spec/04 §6.1).

    Args:
        headers: of the request for the child.
        parent_token: of the parent's user; "" if that one is known by a client certificate.
        child_token: shown to the child.
        upgrade: protocol to change to, if any.
    """
    return [*request_headers(headers, parent_token, upgrade), *shown_to_child(child_token)]


def shown_to_child(token: str) -> Headers:
    """Return the headers by which the parent's user shows a child a token."""
    return [("Impersonate-User", names.PROXY_USER), (f"Impersonate-Extra-{_TOKEN.title()}", token)]


def impersonates(headers: Iterable[str]) -> bool:
    """Return whether a caller wants to be somebody else, by the names of the request's headers."""
    return any(name.lower().startswith("impersonate-") for name in headers)


def response_headers(headers: Iterable[tuple[str, str]], upgrade: str = "") -> Headers:
    """Return the headers of the child's answer to pass on; `upgrade` is the protocol changed to, if any."""
    forwarded = list(_end_to_end(headers))
    if upgrade:
        forwarded += [("Connection", "Upgrade"), ("Upgrade", upgrade)]
    return forwarded


def upgrade_protocol(headers: Mapping[str, str]) -> str:
    """Return the protocol a message asks to change to, "" if none; `headers` ignore case."""
    connection = headers.get("Connection", "").lower().replace(" ", "").split(",")
    return headers.get("Upgrade", "") if "upgrade" in connection else ""


def _end_to_end(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Leave out what concerns one connection only (RFC 9110 §7.6.1)."""
    headers = list(headers)
    named = {
        option.strip().lower() for name, value in headers if name.lower() == "connection" for option in value.split(",")
    }
    for name, value in headers:
        if name.lower() not in _HOP_BY_HOP and name.lower() not in named:
            yield name, value


def _clean(path: str) -> str:
    if not path:
        return ""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    slash = "/" if segments and path.endswith("/") else ""
    return "/" + "/".join(segments) + slash


def _authority(text: str, port: int) -> tuple[str, int]:
    has_port = text.rpartition(":")[2].isdigit() and not text.endswith("]")
    host, port = split_address(text if has_port else f"{text}:{port}")
    if not all(character.isalnum() or character in "-._:" for character in host) or not _is_encodable(host):
        raise ValueError(f"{host!r} is not a host")
    return host, port


def _is_encodable(host: str) -> bool:
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True
