"""What a gateway tells its users: the paths of children and the kubeconfigs by which they are reached."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from clusternet_engine.kube.resources import Object, make_key, object_key
from clusternet_engine.model import constants as names
from clusternet_engine.model.documents import read_json

EXTENSION = f"{names.PROXIES_GROUP}/gateway"
"""Name of the part of a kubeconfig that tells which gateway wrote it."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """How a running gateway is reached, and what it is.

    Attributes:
        url: where it listens.
        ca: by which it is verified, PEM.
        token: with which it is used.
        about: what it tells about itself, e.g. its process ID.
    """

    url: str
    ca: bytes
    token: str = field(repr=False)
    about: Mapping[str, Any]


def contexts(clusters: Iterable[Object]) -> dict[str, str]:
    """Return the keys of ManagedClusters by names for contexts, in the order of their keys.

    A context has the name of its cluster, with the namespace behind it if several have that name.
    """
    keys = sorted((item["metadata"]["namespace"], item["metadata"]["name"]) for item in clusters)
    count = Counter(name for _, name in keys)
    return {name if count[name] == 1 else f"{name}.{namespace}": make_key(name, namespace) for namespace, name in keys}


def kubeconfig(entrance: Entrance, chosen: Mapping[str, str]) -> Object:
    """Return a kubeconfig for children through a gateway; its current context is the first one.

    Args:
        entrance: to the gateway.
        chosen: the keys of ManagedClusters by the names of their contexts.
    """
    authority = base64.b64encode(entrance.ca).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": context,
                "cluster": {"server": f"{entrance.url}/{key}", "certificate-authority-data": authority},
            }
            for context, key in chosen.items()
        ],
        "users": [{"name": names.GATEWAY, "user": {"token": entrance.token}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": names.GATEWAY}} for context in chosen],
        "current-context": next(iter(chosen), ""),
        "extensions": [
            {
                "name": EXTENSION,
                "extension": {"url": entrance.url, "certificate-authority-data": authority, **entrance.about},
            }
        ],
    }


def about_gateway(text: bytes) -> Mapping[str, Any] | None:
    """Return what the gateway that wrote a kubeconfig tells about itself; None for any other text."""
    try:
        extensions = read_json(text)["extensions"]
        return next(dict(one["extension"]) for one in extensions if one["name"] == EXTENSION)
    except (KeyError, TypeError, ValueError, StopIteration):
        return None


def file_names(clusters: Iterable[Object]) -> dict[str, str]:
    """Return the keys of ManagedClusters by names for files, which stay the same whatever other clusters there are."""
    return {f"{item['metadata']['namespace']}.{item['metadata']['name']}": object_key(item) for item in clusters}


def split_path(path: str) -> tuple[str, str, str]:
    """Return namespace and name of the ManagedCluster that a path begins with, and what is asked of that child.

    Args:
        path: percent-encoded; its rest stays so.

    Raises:
        ValueError: it doesn't begin with a namespace and a name.
    """
    namespace, name, rest = (*path.removeprefix("/").split("/", 2), "", "")[:3]
    if not (namespace and name):
        raise ValueError("the path begins with namespace and name of a ManagedCluster: /<namespace>/<name>/…")
    return unquote(namespace), unquote(name), f"/{rest}"
