"""What a request asks for, read from its method, path and query as API servers do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_SUBRESOURCES_OF_NAMESPACES = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """The attributes of a request that authorization and routing need.

    Attributes:
        verb: of RBAC; of a request that concerns no resource the method in lower case.
        path: as it came, still percent-encoded.
        subresource: the first part behind the name.
        rest: everything behind the sub-resource, without a leading slash, still percent-encoded.
    """

    verb: str
    path: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""


def parse_request(method: str, raw_path: str, query: Mapping[str, str]) -> RequestInfo:
    """Return what a request to `/apis/<group>/<version>/…` asks for; `raw_path` is percent-encoded."""
    parts = raw_path.strip("/").split("/")
    if parts[0] != "apis" or len(parts) < 4:
        group, version = (*map(unquote, parts[1:3]), "", "")[:2] if parts[0] == "apis" else ("", "")
        return RequestInfo(method.lower(), raw_path, group, version)
    group, version, namespace = unquote(parts[1]), unquote(parts[2]), ""
    parts = parts[3:]
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = unquote(parts[1])
        if len(parts) > 2 and parts[2] not in _SUBRESOURCES_OF_NAMESPACES:
            parts = parts[2:]
    resource, name, subresource = (*map(unquote, parts[:3]), "", "", "")[:3]
    verb, rest = _verb(method, name, query), "/".join(parts[3:])
    return RequestInfo(verb, raw_path, group, version, namespace, resource, name, subresource, rest)


def is_true(text: str | None) -> bool:
    """Return whether a query parameter says yes."""
    return text in _TRUE


def _verb(method: str, name: str, query: Mapping[str, str]) -> str:
    if method in ("GET", "HEAD"):
        if name:
            return "get"
        return "watch" if is_true(query.get("watch")) else "list"
    if method == "DELETE":
        return "delete" if name else "deletecollection"
    return _VERBS.get(method, method.lower())
