# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds rights that a user lacks to write objects, as the cluster itself judges it, before anything is written.

An administrator is known by one SelfSubjectAccessReview for everything. For others there is one for each verb, kind and
namespace. Who may write roles may still not grant what he hasn't himself; only the cluster can tell, so it is asked to
create those that are for the whole cluster in a dry run.
"""

from __future__ import annotations

from typing import Any, Iterable, Iterator, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError
from ansible_collections.clusternet.core.plugins.module_utils.objects import Kinds
from ansible_collections.clusternet.core.plugins.module_utils.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    Resource,
)

VERBS = ("get", "list", "watch", "create", "patch")
"""Verbs that it takes to apply objects and to wait for them."""
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_USERS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_DRY = {"dryRun": "All"}
"""Reviews are never stored; this says so to the client, which lets nothing else through in check mode."""
_GRANTING = (CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS)


class Target(NamedTuple):
    """Objects of one kind, all of them or those of one namespace."""

    group: str
    plural: str
    namespace: Optional[str]

    def __str__(self) -> str:
        kind = f"{self.plural}.{self.group}" if self.group else self.plural
        return f"{kind} in the namespace {self.namespace}" if self.namespace else kind


def missing(client: Client, definitions: list[dict[str, Any]]) -> list[str]:
    """Return what the user of a client may not do of what it takes to apply objects, a phrase each.

    Args:
        client: of the cluster.
        definitions: the objects. Kinds that the cluster doesn't serve are left out.

    Raises:
        ClusternetError: the cluster can't be asked.
    """
    if _allowed(client, "*", Target("*", "*", None)):
        return []
    kinds = Kinds(client, definitions)
    found = [(kinds.resource(definition), definition) for definition in definitions]
    known = [(resource, definition) for resource, definition in found if resource]
    return [*_unwritable(client, known), *_ungrantable(client, known)]


def user(client: Client) -> str:
    """Return as whom the cluster knows a client, empty if it doesn't tell."""
    try:
        answer = client.request(
            "POST", _USERS, _DRY, {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        )
    except ApiError:
        return ""
    return str(((answer.get("status") or {}).get("userInfo") or {}).get("username") or "")


def _unwritable(client: Client, known: Iterable[tuple[Resource, Mapping[str, Any]]]) -> Iterator[str]:
    targets = dict.fromkeys(_target(resource, definition) for resource, definition in known)
    for target in targets:
        verbs = [verb for verb in VERBS if not _allowed(client, verb, target)]
        if verbs:
            yield f"{', '.join(verbs)} {target}"


def _ungrantable(client: Client, known: Iterable[tuple[Resource, dict[str, Any]]]) -> Iterator[str]:
    for resource, definition in known:
        if resource not in _GRANTING or not _allowed(client, "create", _target(resource, definition)):
            continue
        try:
            client.request("POST", resource.path(), _DRY, definition)
        except ApiError as error:
            if error.status == 403:
                yield f"grant what the {resource.kind} {definition['metadata']['name']} holds"


def _target(resource: Resource, definition: Mapping[str, Any]) -> Target:
    group = resource.api_version.rpartition("/")[0]
    namespace = definition["metadata"].get("namespace") if resource.namespaced else None
    return Target(group, resource.plural, namespace)


def _allowed(client: Client, verb: str, target: Target) -> bool:
    attributes = {"verb": verb, "group": target.group, "resource": target.plural}
    if target.namespace:
        attributes["namespace"] = target.namespace
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return bool((client.request("POST", _REVIEWS, _DRY, review).get("status") or {}).get("allowed"))
