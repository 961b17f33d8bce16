# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who else lives in a namespace that is to be removed."""

from __future__ import annotations

from typing import Any, Collection, Mapping, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.resources import (
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    PERSISTENT_VOLUME_CLAIMS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)

KINDS = (
    SECRETS,
    SERVICE_ACCOUNTS,
    CONFIG_MAPS,
    SERVICES,
    DEPLOYMENTS,
    STATEFUL_SETS,
    DAEMON_SETS,
    PERSISTENT_VOLUME_CLAIMS,
)
"""Kinds by which a namespace shows that somebody lives in it."""
_OF_HUBS = (constants.MANIFEST_VALUES_TYPE, constants.DESCRIPTION_VALUES_TYPE, constants.VALUES_KEY_TYPE)
"""Types of Secrets that hubs keep beside what is published."""
_SHOWN = 5  # names in a message
_EVERYWHERE = {("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt")}
KUBERNETES_OWN = ("default", "kube-node-lease", "kube-public", "kube-system")


def read(client: Client, namespace: str) -> dict[Resource, list[dict[str, Any]]]:
    """What is in a namespace of those kinds; raises ApiError."""
    return {resource: client.list(resource.path(namespace=namespace)) for resource in KINDS}


def in_use(
    namespace: str, inside: Mapping[Resource, list[dict[str, Any]]], own: Collection[tuple[str, str]]
) -> Optional[str]:
    """Why a namespace has to stay when what is I(own), kinds and names, is removed from it; None when it needn't."""
    if namespace in KUBERNETES_OWN:
        return "it is Kubernetes' own"
    others = [
        f"{kind} {name}"
        for kind, name in (
            (item.kind, obj["metadata"]["name"])
            for item in KINDS
            for obj in inside[item]
            if item != SECRETS or obj.get("type") not in _OF_HUBS
        )
        if (kind, name) not in own and (kind, name) not in _EVERYWHERE
    ]
    if not others:
        return None
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return f"it is in use: {', '.join(others[:_SHOWN])}{more}"
