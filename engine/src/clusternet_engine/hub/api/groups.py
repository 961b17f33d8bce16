"""What the hub's API groups have in common, and the discovery documents that list them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from clusternet_engine.hub.api.authentication import User
from clusternet_engine.hub.api.requests import RequestInfo
from clusternet_engine.kube.resources import Object

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True, slots=True)
class Call:
    """A request of somebody who may make it."""

    request: web.Request
    info: RequestInfo
    user: User


class ApiGroup(Protocol):
    """One version of one API group."""

    group: str
    version: str

    def resources(self) -> list[Object]:
        """Return the entries of its APIResourceList."""

    async def answer(self, call: Call) -> web.StreamResponse:
        """Answer a request for one of its resources.

        Raises:
            ApiError: it can't be answered.
            ConnectionFailed: the parent can't be reached.
        """


def accepts_aggregated(request: web.Request) -> bool:
    """Return whether the whole discovery in one document is asked for."""
    accept = request.headers.get("Accept", "").replace(" ", "")
    return any({"g=apidiscovery.k8s.io", "v=v2"} <= set(one.split(";")) for one in accept.split(","))


def group_list(groups: Iterable[ApiGroup]) -> Object:
    """Return the document of `/apis`."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(group) for group in groups]}


def group_document(group: ApiGroup) -> Object:
    """Return the document of `/apis/<group>`."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}


def resource_list(group: ApiGroup) -> Object:
    """Return the document of `/apis/<group>/<version>`."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group.group}/{group.version}",
        "resources": group.resources(),
    }


def aggregated(groups: Iterable[ApiGroup]) -> tuple[Object, str]:
    """Return the whole discovery in one document, and its content type."""
    items = [
        {
            "metadata": {"name": group.group, "creationTimestamp": None},
            "versions": [
                {"version": group.version, "resources": _aggregated(group.resources()), "freshness": "Current"}
            ],
        }
        for group in groups
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }, _AGGREGATED


def _group(group: ApiGroup) -> Object:
    version = {"groupVersion": f"{group.group}/{group.version}", "version": group.version}
    return {"name": group.group, "versions": [version], "preferredVersion": version}


def _aggregated(resources: Sequence[Object]) -> list[Object]:
    found: dict[str, Object] = {}
    for entry in resources:
        plural, _, subresource = entry["name"].partition("/")
        kind = {"group": entry.get("group", ""), "version": entry.get("version", ""), "kind": entry["kind"]}
        if subresource:
            one = {"subresource": subresource, "responseKind": kind, "verbs": entry["verbs"]}
            found[plural].setdefault("subresources", []).append(one)
            continue
        found[plural] = {
            "resource": plural,
            "responseKind": kind,
            "scope": "Namespaced" if entry["namespaced"] else "Cluster",
            "singularResource": entry["singularName"],
            "verbs": entry["verbs"],
            **{key: entry[key] for key in ("shortNames", "categories") if entry.get(key)},
        }
    return list(found.values())
