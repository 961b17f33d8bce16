# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kubeconfig with a context for each of some children, through their parent (spec/04 §7)."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Iterable, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils import child_access, constants, managed_cluster, nesting
from ansible_collections.clusternet.core.plugins.module_utils.access import Access
from ansible_collections.clusternet.core.plugins.module_utils.child_access import ServiceAccount
from ansible_collections.clusternet.core.plugins.module_utils.kubeconfig_sections import cluster_section


class Child(NamedTuple):
    """A context's name, the ManagedCluster and the token shown to it."""

    context: str
    cluster: Mapping[str, Any]
    token: str


def contexts(clusters: Iterable[Mapping[str, Any]]) -> list[tuple]:
    """The clusters, each with its name for a context: its own, with the namespace behind it if several have it."""
    clusters = list(clusters)
    names = [item["metadata"]["name"] for item in clusters]
    return [
        (name if names.count(name) == 1 else f"{name}.{clusters[number]['metadata']['namespace']}", clusters[number])
        for number, name in enumerate(names)
    ]


def build(parent: Access, user: Mapping[str, Any], children: Iterable[Child]) -> dict[str, Any]:
    """The kubeconfig; its current context is the first one.

    :param parent: how the parent is reached
    :param user: the section of the parent's user, who may use the proxy there
    """
    children = list(children)
    accesses = [
        (child, child_access.through(parent, managed_cluster.cluster_id(child.cluster), child.token))
        for child in children
    ]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": child.context, "cluster": cluster_section(access)} for child, access in accesses],
        "users": [
            {
                "name": child.context,
                "user": {
                    **user,
                    "as": constants.PROXY_USER,
                    "as-user-extra": {constants.PROXY_EXTRA_TOKEN: [child.token]},
                },
            }
            for child in children
        ],
        "contexts": [
            {"name": child.context, "context": {"cluster": child.context, "user": child.context}} for child in children
        ],
        "current-context": children[0].context if children else "",
    }


def parse(text: str) -> dict[str, Any]:
    """A kubeconfig that :func:`build` made and a file kept; empty for any other text."""
    try:
        config = nesting.loads(text)
        for item in config["users"]:
            dict(item["user"]), item["name"]
    except (ValueError, KeyError, TypeError):
        return {}
    return config


def kept_token(config: Mapping[str, Any], cluster_id: str, context: str) -> Optional[str]:
    """The token that a kubeconfig shows to a child."""
    servers = {item.get("name"): (item.get("cluster") or {}).get("server") for item in config.get("clusters") or ()}
    if not str(servers.get(context)).endswith(child_access.path(cluster_id)):
        return None
    user = next((item["user"] for item in config["users"] if item["name"] == context), {})
    tokens = (user.get("as-user-extra") or {}).get(constants.PROXY_EXTRA_TOKEN) or [None]
    return tokens[0]


def claims(token: Optional[str]) -> dict[str, Any]:
    """What a token of a ServiceAccount says, unverified; empty when it is no such token."""
    try:
        body = (token or "").split(".")[1]
        found = nesting.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}


def is_good(token: Optional[str], account: ServiceAccount, uid: str, now: float) -> bool:
    """Whether a token is one of the ServiceAccount as it is now, and has at least half of its time before it."""
    said = claims(token)
    kubernetes = said.get("kubernetes.io") or {}
    issued, expires = said.get("iat", 0), said.get("exp", 0)
    return (
        said.get("sub") == f"system:serviceaccount:{account.namespace}:{account.name}"
        and (kubernetes.get("serviceaccount") or {}).get("uid") == uid
        and expires - now >= (expires - issued) / 2
    )
