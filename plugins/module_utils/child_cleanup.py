# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a registration has made on a child, removed through the parent (spec/02 §11 step 8, spec/05 §4).

The order is that of what is safe to stop after: first the agent loses what it registers with and its rights, so that
nothing comes back; the binding by which this is done goes last.
"""

from __future__ import annotations

import base64
from typing import Any, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants, nesting, tenants
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.object_namespaces import describe
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import Reconciler
from ansible_collections.clusternet.core.plugins.module_utils.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    DEPLOYMENTS,
    LEASES,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Resource,
)

_ACCOUNT_OF_TOKEN = "kubernetes.io/service-account.name"  # noqa: S105
_HELM_RELEASE = "meta.helm.sh/release-name"
_ROLE = "The role clusternet.core.agent removes it (clusternet_agent_state: absent)."


class Child(NamedTuple):
    """What there is of a registration on a child, in the order in which it goes, and what has to stay."""

    objects: list
    stays: list


def system_namespace(token: str) -> str:
    """Namespace of the ServiceAccount that a token belongs to, which is the agent's; the usual one if it doesn't say.

    Nothing is believed for it: the API server judges the token.
    """
    try:
        payload = token.split(".")[1]
        claims = nesting.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["sub"]).split(":")[2]
    except (IndexError, KeyError, TypeError, ValueError):
        return constants.SYSTEM_NAMESPACE


def left_on_child(why: str, namespace: str = constants.SYSTEM_NAMESPACE) -> list[dict[str, str]]:
    """What stays on a child that isn't cleaned up, and why."""
    return [
        _left(what, f"{why} {_ROLE}")
        for what in (
            f"Secret {namespace}/{constants.SECRET_AGENT_REGISTRATION}",
            f"Secret {namespace}/{constants.SECRET_PARENT_CLUSTER}",
            f"Lease {namespace}/{constants.LEASE_AGENT}",
            f"Namespace {namespace}, with the accounts of the agent and its deployer",
            f"ClusterRoleBinding {constants.AGENT_ADMIN}",
            f"ClusterRoleBinding {constants.CLUSTER_ROLE_BINDING_DEPLOYER_ADMIN}",
        )
    ]


def find(child: Client, namespace: str, cluster_id: str) -> Child:
    """What the registration of I(cluster_id) has made around I(namespace); raises ApiError, ClusternetError."""
    lease = child.get(LEASES.path(constants.LEASE_AGENT, namespace))
    identity = _identity(lease) if lease else cluster_id
    if identity != cluster_id:
        raise ClusternetError(f"The agent there is that of another cluster, {identity}.", "OtherIdentity")
    rbac = {resource: child.list(resource.path(namespace=namespace)) for resource in (ROLES, ROLE_BINDINGS)}
    inside = {**tenants.read(child, namespace), **rbac}
    cluster_wide = _cluster_wide(child, namespace)
    place = child.get(NAMESPACES.path(namespace))
    return assemble(namespace, lease, inside, cluster_wide, place)


def _identity(lease: Mapping[str, Any]) -> str:
    """Spec/02 §4."""
    metadata = lease["metadata"]
    return (metadata.get("annotations") or {}).get(constants.ANNOTATION_LEGACY_CLUSTER_ID) or metadata["uid"]


def _cluster_wide(child: Client, namespace: str) -> dict[str, list[tuple[Resource, dict]]]:
    """The cluster-wide permissions of each account, as far as no other namespace's account has them."""
    agent, deployer = constants.SERVICE_ACCOUNT_AGENT, constants.SERVICE_ACCOUNT_DEPLOYER
    found: dict[str, list[tuple[Resource, dict]]] = {agent: [], deployer: []}
    for account, name in (
        (agent, constants.AGENT_ADMIN),
        (deployer, constants.CLUSTER_ROLE_BINDING_DEPLOYER),
        (deployer, constants.CLUSTER_ROLE_BINDING_DEPLOYER_ADMIN),
    ):
        binding = child.get(CLUSTER_ROLE_BINDINGS.path(name))
        if binding is not None and _binds(binding, namespace, account):
            found[account].append((CLUSTER_ROLE_BINDINGS, binding))
            role = child.get(CLUSTER_ROLES.path(name)) if name == constants.AGENT_ADMIN else None
            if role is not None:
                found[account].append((CLUSTER_ROLES, role))
    return found


def _binds(binding: Mapping[str, Any], namespace: str, account: str) -> bool:
    return any(
        (subject.get("kind"), subject.get("namespace"), subject.get("name")) == ("ServiceAccount", namespace, account)
        for subject in binding.get("subjects") or ()
    )


def assemble(
    namespace: str,
    lease: Optional[dict[str, Any]],
    inside: Mapping[Resource, list],
    cluster_wide: Mapping[str, list],
    place: Optional[dict[str, Any]],
) -> Child:
    """Put what was found in the order of its removal.

    :param inside: what is in the namespace, by kind
    :param cluster_wide: ClusterRoleBindings and ClusterRoles by account
    :param place: the namespace itself
    """
    agent, deployer = constants.SERVICE_ACCOUNT_AGENT, constants.SERVICE_ACCOUNT_DEPLOYER

    def named(resource: Resource, *names: str) -> list[tuple[Resource, dict]]:
        return [(resource, item) for item in inside[resource] if item["metadata"]["name"] in names]

    def tokens_of(account: str) -> list[tuple[Resource, dict]]:
        return [(SECRETS, item) for item in inside[SECRETS] if _annotation(item, _ACCOUNT_OF_TOKEN) == account]

    programs = [item for item in inside[DEPLOYMENTS] if _runs_as(item, agent)]
    releases = {_annotation(item, _HELM_RELEASE) for item in programs} - {None}
    objects: list[tuple[Resource, dict]] = [
        *named(SECRETS, constants.SECRET_AGENT_REGISTRATION),
        *named(ROLE_BINDINGS, constants.AGENT_ADMIN),
        *cluster_wide[agent],
        *named(ROLES, constants.AGENT_ADMIN),
        *tokens_of(agent),
        *named(SERVICE_ACCOUNTS, agent),
        *named(SECRETS, constants.SECRET_PARENT_CLUSTER),
        *((SECRETS, item) for item in inside[SECRETS] if _release(item) in releases),
        *([(LEASES, lease)] if lease else []),
        *((DEPLOYMENTS, item) for item in programs),
    ]
    own = [*named(SERVICE_ACCOUNTS, deployer), *cluster_wide[deployer]]
    known = {_key(*found) for found in (*objects, *own, *tokens_of(deployer))}
    stays = []
    if place is not None and namespace not in tenants.KUBERNETES_OWN:
        reason = tenants.in_use(namespace, inside, known)
        if reason:
            stays.append(_left(f"Namespace {namespace}", reason))
        else:
            objects.append((NAMESPACES, place))
    if lease and not programs:
        stays.append(_process(lease, can_register=not (named(SECRETS, constants.SECRET_AGENT_REGISTRATION))))
    return Child([*objects, *own], stays)


def _annotation(obj: Mapping[str, Any], key: str) -> Optional[str]:
    return (obj["metadata"].get("annotations") or {}).get(key)


def _runs_as(deployment: Mapping[str, Any], account: str) -> bool:
    return deployment["spec"]["template"]["spec"].get("serviceAccountName") == account


def _release(secret: Mapping[str, Any]) -> Optional[str]:
    """Name of the Helm release that a Secret keeps."""
    labels = secret["metadata"].get("labels") or {}
    return labels.get("name") if labels.get("owner") == "helm" else None


def _key(resource: Resource, obj: Mapping[str, Any]) -> tuple[str, str]:
    return resource.kind, obj["metadata"]["name"]


def _process(lease: Mapping[str, Any], can_register: bool) -> dict[str, str]:
    """An agent that is no Deployment, which nobody can stop through the API."""
    host = ((lease.get("spec") or {}).get("holderIdentity") or "an unknown host").partition("_")[0]
    fate = (
        "it wasn't installed by the role clusternet.core.agent, so stop it, or it may register anew"
        if can_register
        else "without its accounts and its registration it only waits"
    )
    return {
        "where": "host",
        "what": f"the agent's process on {host}",
        "why": f"It runs outside of the cluster, where nothing can stop it through the API; {fate}. {_ROLE}",
    }


def _left(what: str, why: str) -> dict[str, str]:
    return {"where": "child", "what": what, "why": why}


class Cleanup:
    """Removes what was found on a child.

    C(removed) and C(kept) say what went and what couldn't, and why; C(stays) what has to stay.
    """

    def __init__(self, reconciler: Reconciler, child: Child):
        self.reconciler = reconciler
        self._objects = child.objects
        self.stays = child.stays
        self.removed: list[dict[str, str]] = []
        self.kept: list[dict[str, str]] = []

    def run(self) -> None:
        """Remove all; what the credential may not remove is kept, and all the rest once the child isn't reached."""
        lost = None
        for resource, obj in self._objects:
            what = describe({"kind": resource.kind, **obj})
            if lost is not None:
                self.kept.append(_left(what, lost))
                continue
            try:
                if self.reconciler.delete(resource, obj).changed:
                    self.removed.append({"where": "child", "what": what})
            except ClusternetError as error:
                self.kept.append(_left(what, error.msg))
                if not _is_about_one(error):
                    lost = f"the way to the child was lost before: {error.msg}"


def _is_about_one(error: ClusternetError) -> bool:
    """Whether the child itself refused: by its rules for this object, or because it is another one by now."""
    return isinstance(error, ApiError) and error.status in (403, 409, 422)
