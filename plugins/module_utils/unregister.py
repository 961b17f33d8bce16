# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ordered removal of a cluster (spec/02 §11), also of what is left when only a part was removed."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils import child_access, child_cleanup, constants
from ansible_collections.clusternet.core.plugins.module_utils.auth import ConnectionSettings
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.fleet import Selection
from ansible_collections.clusternet.core.plugins.module_utils.managed_cluster import cluster_id
from ansible_collections.clusternet.core.plugins.module_utils.object_namespaces import describe
from ansible_collections.clusternet.core.plugins.module_utils.publication import malformed, natives
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import Reconciler
from ansible_collections.clusternet.core.plugins.module_utils.registration import request_name
from ansible_collections.clusternet.core.plugins.module_utils.removing import listed, release
from ansible_collections.clusternet.core.plugins.module_utils.resources import (
    BASES,
    CLUSTER_REGISTRATION_REQUESTS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    DESCRIPTIONS,
    HELM_RELEASES,
    LOCALIZATIONS,
    MANAGED_CLUSTERS,
    NAMESPACES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Resource,
)
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline, wait_until

AUTO, REQUIRED, NEVER = "auto", "required", "never"
"""Whether children are cleaned up: if they can be reached; or nothing is removed; or not at all."""

_MALFORMED = (AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What an object that isn't what it should be makes of whoever reads it; a child may answer anything."""
_SHOWN = 5  # names in a message
_CONFLICTS = 5  # attempts when the parent makes anew what was given up
# Deployed through the cluster's namespace: while they are there, objects of theirs are in the child cluster.
_DEPLOYING = (BASES, DESCRIPTIONS, HELM_RELEASES)


class Registered(NamedTuple):
    """What the parent has of one cluster; None for what isn't there."""

    cluster_id: str
    name: str
    cluster: Optional[dict[str, Any]]
    namespace: Optional[dict[str, Any]]
    request: Optional[dict[str, Any]]

    @property
    def namespace_name(self) -> Optional[str]:
        """Name of the cluster's namespace."""
        if self.cluster is not None:
            return self.cluster["metadata"]["namespace"]
        return self.namespace["metadata"]["name"] if self.namespace is not None else None

    @property
    def leaving(self) -> bool:
        """Whether all that is left is a namespace that is being removed already."""
        if self.cluster is not None or self.request is not None or self.namespace is None:
            return False
        return bool(self.namespace["metadata"].get("deletionTimestamp"))


def find(client: Client, chosen: Selection) -> list[Registered]:
    """What there is of the chosen clusters, by name, also of those whose ManagedCluster is gone already.

    Without it they are only found by name or identity.

    Missing kinds count as empty. Raises ApiError.
    """
    clusters = listed(client, chosen.path(), chosen.label_selector)
    namespaces = listed(client, NAMESPACES.path(), f"{constants.LABEL_CREATED_BY}={constants.CREATED_BY_AGENT}")
    requests = listed(client, CLUSTER_REGISTRATION_REQUESTS.path())
    return assemble(chosen, clusters, namespaces, requests)


def assemble(
    chosen: Selection,
    clusters: Iterable[dict[str, Any]],
    namespaces: Iterable[dict[str, Any]],
    requests: Iterable[dict[str, Any]],
) -> list[Registered]:
    """Put together what belongs to the same identity; with a label selector only clusters that still are registered."""
    by_id = {cluster_id(cluster): cluster for cluster in clusters if chosen.matches(cluster)}
    names = {identity: cluster["metadata"]["name"] for identity, cluster in by_id.items()}
    spaces: dict[str, dict[str, Any]] = {}
    for namespace in namespaces:
        labels = namespace["metadata"].get("labels") or {}
        identity, name = labels.get(constants.LABEL_CLUSTER_ID, ""), labels.get(constants.LABEL_CLUSTER_NAME, "")
        spaces[identity] = namespace
        if _left(chosen, identity, name, namespace["metadata"]["name"]):
            names.setdefault(identity, name)
    posted: dict[str, dict[str, Any]] = {}
    for request in requests:
        spec, status = request.get("spec") or {}, request.get("status") or {}
        identity, name = spec.get("clusterId", ""), spec.get("clusterName", "")
        posted[identity] = request
        if _left(chosen, identity, name, status.get("dedicatedNamespace")):
            names.setdefault(identity, name)
    names.pop("", None)
    return [
        Registered(identity, name, by_id.get(identity), spaces.get(identity), posted.get(identity))
        for identity, name in sorted(names.items(), key=lambda item: (item[1], item[0]))
    ]


def _left(chosen: Selection, identity: str, name: str, namespace: Optional[str]) -> bool:
    """Whether something without a ManagedCluster is meant: by name or identity, and in the wanted namespace."""
    if chosen.label_selector or (chosen.names is None and chosen.cluster_ids is None):
        return False
    return chosen.means(identity, name) and chosen.namespace in (None, namespace)


class Removal:
    """Removes one cluster; C(removed) and C(left) say what went and what somebody else has to remove.

    :param settings: by which the parent is reached, and the child behind it
    :param clean_child: one of C(auto), C(required), C(never)
    """

    def __init__(self, reconciler: Reconciler, registered: Registered, settings: ConnectionSettings, clean_child: str):
        self._reconciler = reconciler
        self._client = reconciler.client
        self._registered = registered
        self._settings = settings
        self._clean = clean_child
        self.removed: list[dict[str, str]] = []
        self.left: list[dict[str, str]] = []

    def run(self, force: bool) -> None:
        """Remove everything in the child, then on the parent, in the order of spec/02 §11.

        The child goes first, because the way there is what the parent has of it, and because its agent would register
        again. On the parent the request goes first, because a parent that sees it without its cluster may register the
        cluster anew, and then the rights and credentials: nothing that a child has written may keep it from losing
        them. What was deployed is given up after the cluster, because a parent deploys to clusters that it has.
        Without I(force), raises ClusternetError while something is deployed through the namespace.
        """
        namespace = self._registered.namespace_name
        deployed = self._deployed(namespace, force) if namespace else []
        untouched = None if self._registered.leaving else self._clean_child()
        name = request_name(self._registered.cluster_id)
        self._delete_named(CLUSTER_REGISTRATION_REQUESTS, name)
        for resource in (CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES):
            self._delete_named(resource, name)
        if namespace:
            self._revoke(namespace)
        if self._registered.cluster is not None:
            self._delete(MANAGED_CLUSTERS, self._registered.cluster)
        if namespace:
            self._forget_child(namespace)
            self._give_up(namespace, deployed)
            self._delete_namespace(namespace)
        if untouched and self.removed:
            self.left += child_cleanup.left_on_child(untouched)

    def wait_gone(self, deadline: Deadline) -> None:
        """Wait until the namespace is gone; raises WaitTimeout with what holds it."""
        namespace = self._registered.namespace
        if namespace is None or self._reconciler.check_mode:
            return
        name = namespace["metadata"]["name"]
        wait_until(
            self._client,
            NAMESPACES.path(),
            _holding,
            deadline,
            f"Waiting for namespace {name} to be gone",
            field_selector=f"metadata.name={name}",
        )

    def _deployed(self, namespace: str, force: bool) -> list[tuple[Resource, dict[str, Any]]]:
        """What deploys through the namespace; raises ClusternetError if anything is deployed, without I(force)."""
        found = self._deploying(namespace)
        if found and not force:
            names = [f"{resource.kind} {item['metadata']['name']}" for resource, item in found]
            raise ClusternetError(
                f"Objects are still deployed to {self._registered.name} through namespace {namespace}: "
                f"{_shown(names)}. Make every Subscription stop selecting the cluster while it is "
                "ready and wait until they are gone; or set force if the cluster is dead or its objects may stay.",
                "StillDeployed",
                objects=names,
            )
        if force:
            found += [(LOCALIZATIONS, item) for item in listed(self._client, LOCALIZATIONS.path(namespace=namespace))]
        return found

    def _deploying(self, namespace: str) -> list[tuple[Resource, dict[str, Any]]]:
        return [
            (resource, item)
            for resource in _DEPLOYING
            for item in listed(self._client, resource.path(namespace=namespace))
        ]

    def _clean_child(self) -> Optional[str]:
        """Remove what is on the child; why that wasn't tried, None if it was.

        Raises ClusternetError, before anything on the parent is touched, when it is required and doesn't succeed.
        """
        if self._clean == NEVER:
            return "clean_child says so."
        try:
            cleanup = self._reach_child()
            cleanup.run()
        except ClusternetError as error:
            if self._clean == REQUIRED:
                raise self._unclean(error.msg) from error
            return f"The child can't be cleaned up through the parent: {error.msg}"
        except _MALFORMED as error:
            why = f"its answers are malformed ({type(error).__name__})."
            if self._clean == REQUIRED:
                raise self._unclean(why) from error
            return f"The child can't be cleaned up through the parent: {why}"
        self.removed += cleanup.removed
        self.left += cleanup.kept + cleanup.stays
        for diff in cleanup.reconciler.diffs:
            headers = {key: f"{self._registered.name}: {diff[key]}" for key in ("before_header", "after_header")}
            self._reconciler.diffs.append({**diff, **headers})
        if cleanup.kept and self._clean == REQUIRED:
            first = cleanup.kept[0]
            raise self._unclean(f"{_shown([item['what'] for item in cleanup.kept])} can't be removed: {first['why']}")
        return None

    def _reach_child(self) -> child_cleanup.Cleanup:
        """What removes all that there is on the child; raises ClusternetError when it isn't reached."""
        cluster = self._registered.cluster
        if cluster is None:
            raise ClusternetError("its ManagedCluster is gone, and with it the way there.", "NotFound")
        child_access.require_served(self._client)
        namespace = child_cleanup.system_namespace(child_access.deployer_token(self._client, cluster))
        client = child_access.client_as_deployer(self._client, self._settings, cluster, self._reconciler.check_mode)
        found = child_cleanup.find(client, namespace, self._registered.cluster_id)
        return child_cleanup.Cleanup(Reconciler(client, self._reconciler.check_mode), found)

    def _unclean(self, why: str) -> ClusternetError:
        return ClusternetError(
            f"{self._registered.name} can't be cleaned up through the parent, so nothing was removed there: {why} "
            "Set clean_child to auto to unregister it all the same.",
            "ChildNotClean",
        )

    def _give_up(self, namespace: str, deployed: list[tuple[Resource, dict[str, Any]]]) -> None:
        """Remove what deploys, also what the parent has just made anew; say what nobody looks after any more."""
        given_up = [what for resource, item in deployed for what in deploys(resource, item)]
        why = "force gave it up; nobody removes or updates it any more"
        self.left += [{"where": "child", "what": what, "why": why} for what in given_up]
        for _attempt in range(_CONFLICTS):
            for resource, item in deployed:
                try:
                    self._delete_for_good(resource, item)
                except ApiError as error:
                    if error.status != 409:
                        raise
            if not deployed or self._reconciler.check_mode:
                return
            deployed = self._deploying(namespace)

    def _revoke(self, namespace: str) -> None:
        """End the child's tokens on the parent, before anything is read that the child may have written."""
        selector = f"{constants.LABEL_CLUSTER_ID}={self._registered.cluster_id}"
        for account in listed(self._client, SERVICE_ACCOUNTS.path(namespace=namespace), selector):
            self._delete_named(SECRETS, account["metadata"]["name"], namespace)
            self._delete(SERVICE_ACCOUNTS, account)

    def _forget_child(self, namespace: str) -> None:
        """Remove the parent's credential on the child."""
        secret = self._client.get(SECRETS.path(constants.SECRET_CHILD_CLUSTER_DEPLOYER, namespace))
        if secret is not None:
            self._delete_for_good(SECRETS, secret)

    def _delete_namespace(self, name: str) -> None:
        """Remove the namespace when it is the cluster's own and nobody else's."""
        namespace = self._registered.namespace
        if namespace is None:
            why = f"it doesn't bear the labels of a namespace of cluster {self._registered.cluster_id}"
            what = f"Namespace {name} with what is in it, such as Role and RoleBinding {constants.ROLE_MANAGED_CLUSTER}"
            self.left.append({"where": "parent", "what": what, "why": why})
            return
        others = [
            item["metadata"]["name"]
            for item in listed(self._client, MANAGED_CLUSTERS.path(namespace=name))
            if cluster_id(item) != self._registered.cluster_id
        ]
        if others:
            why = f"other clusters live in it: {', '.join(others)}"
            self.left.append({"where": "parent", "what": f"Namespace {name}", "why": why})
            return
        self._delete(NAMESPACES, namespace)

    def _delete_named(self, resource: Resource, name: str, namespace: Optional[str] = None) -> None:
        self._delete(resource, self._client.get(resource.path(name, namespace)))

    def _delete(self, resource: Resource, obj: Optional[dict[str, Any]]) -> None:
        if obj is not None and self._reconciler.delete(resource, obj).changed:
            removed = {"where": "parent", "what": describe({"kind": resource.kind, **obj})}
            if removed not in self.removed:
                self.removed.append(removed)

    def _delete_for_good(self, resource: Resource, obj: dict[str, Any]) -> None:
        self._delete(resource, obj)
        release(self._reconciler, resource, obj)


def deploys(resource: Resource, item: Mapping[str, Any]) -> list[str]:
    """What a Description or HelmRelease has put on the child, as far as it can be read; never raises."""
    if resource == HELM_RELEASES:
        spec = item.get("spec") or {}
        return [f"Helm release {spec.get('targetNamespace')}/{spec.get('releaseName') or item['metadata']['name']}"]
    spec = item.get("spec") or {}
    if resource != DESCRIPTIONS or spec.get("deployer") == "Helm":
        return []
    unreadable = [f"{text} of {describe({'kind': resource.kind, **item})}" for text in malformed(spec)]
    return [describe(obj) for obj in natives(spec.get("raw"))] + unreadable


def _shown(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _holding(namespaces: Iterable[Mapping[str, Any]]) -> list[str]:
    """What keeps a namespace from going, in the server's words."""
    reasons = []
    for namespace in namespaces:
        conditions = (namespace.get("status") or {}).get("conditions") or ()
        held = [item["message"] for item in conditions if item.get("status") == "True" and item.get("message")]
        reasons += held or ["it is being removed"]
    return reasons
