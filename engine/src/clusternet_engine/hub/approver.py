"""Approves registration requests and keeps what approved clusters need (spec/02 §6, §14).

Every reconcile goes the whole way from the request to its status, from the caches, and makes what is missing. Names of
generated objects follow from the cluster's identity, so a hub killed anywhere goes on with what it has made. As long
as a request exists, what is deleted of its objects comes back: to unregister a cluster, delete its request first.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from clusternet_engine.hub.caches import BY_CLUSTER, BY_NAMESPACE, Caches, cluster_ids
from clusternet_engine.hub.credentials import Credential, Credentials
from clusternet_engine.hub.settings import RegistrationSettings
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import (
    CLUSTER_REGISTRATION_REQUESTS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    MANAGED_CLUSTERS,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    Object,
    Resource,
    object_key,
)
from clusternet_engine.model import approval, rbac
from clusternet_engine.model import constants as names
from clusternet_engine.model import registration as rules
from clusternet_engine.model.handover import Handovers
from clusternet_engine.model.names import cluster_object_name, derived_names
from clusternet_engine.model.registration import Obstacle, Reason

NAME = "crrapprover"

_ROLE_DEADLINE = 2.0
_ROLE_PAUSE = 0.005
"""Seconds an API server may take to know a role that it has stored, and between attempts to bind it."""
_FIRST_RETRY = 0.5
_LAST_RETRY = 30.0
"""Seconds between looks at an obstacle that nothing has told us about."""

log = logging.getLogger(__name__)


class Approver:
    """The controller of ClusterRegistrationRequests.

    Args:
        client: of the parent cluster.
        caches: of the parent cluster.
        recorder: of events.
        workers: requests worked on at the same time.
        reserved_namespaces: namespaces no cluster may have for itself.
        initialization: whether new clusters have to be initialised first (feature gate ClusterInit).
        child_rights: what children may do in their dedicated namespaces.
        system_namespace: where the account is by which clusters register.
        settings: how clusters register.
    """

    def __init__(
        self,
        client: Client,
        caches: Caches,
        recorder: EventRecorder,
        *,
        workers: int,
        reserved_namespaces: frozenset[str],
        initialization: bool,
        child_rights: rbac.ChildRights,
        system_namespace: str,
        settings: RegistrationSettings,
    ) -> None:
        self._client = client
        self._caches = caches
        self._recorder = recorder
        self._reserved_namespaces = reserved_namespaces
        self._initialization = initialization
        self._child_rights = child_rights
        self._system_namespace = system_namespace
        self._settings = settings
        self._controller = Controller(NAME, self._reconcile, workers=workers, keys=self._keys)
        self._handovers = Handovers()
        self._obstructed: dict[str, int] = {}
        self._credentials = Credentials(
            client,
            caches,
            system_namespace=system_namespace,
            lifetime=settings.token_lifetime,
            make=self._made,
            confirm=self._confirm,
        )
        caches.requests.add_handler(self._on_request)
        caches.namespaces.add_handler(self._on_owned)
        caches.clusters.add_handler(self._on_owned)
        caches.clusters.add_handler(self._on_heartbeat)
        for informer in (caches.accounts, caches.tokens, caches.cluster_roles, caches.cluster_role_bindings):
            informer.add_handler(self._on_owned)
        for informer in (caches.cluster_roles, caches.cluster_role_bindings):
            informer.add_handler(self._on_readable)
        for informer in (caches.roles, caches.role_bindings):
            informer.add_handler(self._on_namespace_rbac)

    async def run(self) -> None:
        """Work until cancelled; begins with all requests there are."""
        self._obstructed.clear()
        self._credentials.reset()
        self._handovers = Handovers()
        await self._controller.run()

    def _keys(self) -> set[str]:
        """Return the names of all requests, also of those that are gone and may still be read, if they come back."""
        readable = (rbac.registrants_request(role["metadata"]["name"]) for role in self._caches.cluster_roles.items())
        return {*map(object_key, self._caches.requests.items()), *filter(None, readable)}

    def _on_request(self, change: Change) -> None:
        self._controller.enqueue(change.object["metadata"]["name"])

    def _on_owned(self, change: Change) -> None:
        """What is new was made by us or changes nothing; what is gone or has changed may have to be made good."""
        if change.type == "ADDED" or (change.type == "MODIFIED" and _identity(change.old) == _identity(change.new)):
            return
        for obj in (change.old, change.new):
            for cluster_id in cluster_ids(obj) if obj else ():
                self._controller.enqueue(cluster_object_name(cluster_id))
        for name in self._obstructed:
            self._controller.enqueue(name)

    def _on_readable(self, change: Change) -> None:
        if name := rbac.registrants_request(change.object["metadata"]["name"]):
            self._controller.enqueue(name)

    def _on_heartbeat(self, change: Change) -> None:
        name = cluster_object_name(change.object["spec"]["clusterId"])
        if name in self._handovers:
            self._controller.enqueue(name)

    def _on_namespace_rbac(self, change: Change) -> None:
        if change.type == "ADDED":
            return
        namespace = self._caches.namespaces.get(change.object["metadata"]["namespace"])
        for cluster_id in cluster_ids(namespace) if namespace else ():
            self._controller.enqueue(cluster_object_name(cluster_id))

    async def _reconcile(self, name: str) -> float | None:
        request = self._caches.requests.get(name)
        if request is not None and request["metadata"].get("deletionTimestamp"):
            request = None
        if request is None or rules.is_settled(request):
            self._obstructed.pop(name, None)
            self._credentials.forget(name)
            self._handovers.forget(name)
            await self._settle(name, request)
            if request is not None:
                await self._revoke(request)
            return None
        pause: float | None
        try:
            pause, _ = await _together(self._approve(request), self._settle(name, request))
        except Obstacle as obstacle:
            return await self._obstruct(request, obstacle)
        except (Forbidden, Invalid) as error:
            return await self._obstruct(request, Obstacle(Reason.REFUSED_BY_PARENT, str(error)))
        self._obstructed.pop(name, None)
        return pause

    async def _approve(self, request: Object) -> float | None:
        """Make what is missing and approve; return the seconds until the credential has to be looked at again."""
        rules.check_request(request, self._reserved_namespaces)
        if not approval.is_approved(request, self._settings.approval, self._settings.rules):
            raise Obstacle(
                Reason.WAITING_FOR_APPROVAL,
                "an administrator of the parent approves or denies it (clusternet.core.registration, result)",
            )
        namespace = await self._namespace(request)
        account = await self._account(request, namespace)
        account_name = account["metadata"]["name"]
        cluster, credential, *_ = await _together(
            self._managed_cluster_with_permissions(request, namespace, account_name),
            self._credentials.of(request, account),
            self._cluster_permissions(request, namespace, account_name),
        )
        if not isinstance(credential, Credential):
            return float(credential)
        handed_over = await self._handed_over(request, cluster, credential)
        given = (credential.token, credential.ca_certificate)
        status = rules.approved_status(namespace, cluster["metadata"]["name"], given, handed_over=handed_over)
        before = (request.get("status") or {}).get("result")
        if await self._write_status(request, status) and before != names.APPROVED:
            where = f"{namespace}/{cluster['metadata']['name']}"
            log.info("approved %s as ManagedCluster %s", request["metadata"]["name"], where)
            await self._recorder.event(request, "Normal", names.APPROVED, f"registered as ManagedCluster {where}")
        return None if handed_over else credential.look_again

    async def _handed_over(self, request: Object, cluster: Object, credential: Credential) -> bool:
        """Return whether the cluster has its token already; note it on the request when it has just shown it."""
        name = request["metadata"]["name"]
        if rules.handed_over(request) == credential.identity:
            self._handovers.forget(name)
            return True
        heartbeat, now = str((cluster.get("status") or {}).get("lastObservedTime") or ""), time.monotonic()
        if (request.get("status") or {}).get("token") != credential.token:
            self._handovers.offer(name, credential.identity, heartbeat, now)
        elif self._handovers.used(name, credential.identity, heartbeat, now):
            annotations = {names.HANDED_OVER_ANNOTATION: credential.identity}
            await self._client.patch(CLUSTER_REGISTRATION_REQUESTS, name, {"metadata": {"annotations": annotations}})
        return False

    async def _settle(self, name: str, request: Object | None) -> None:
        """Let whoever posted a request read it as long as there is something to fetch, and no longer."""
        registrant = ""
        if request is not None and rules.is_open(request):
            registrant = rules.registrant(request) or (
                names.ANY_REGISTRANT if self._settings.nameless_registrants else ""
            )
        if request is not None and registrant:
            binding = rbac.registrant_binding(name, registrant, self._system_namespace)
            await self._rbac(request, CLUSTER_ROLES, self._caches.cluster_roles, rbac.registrant_role(name))
            await self._bind(request, CLUSTER_ROLE_BINDINGS, self._caches.cluster_role_bindings, binding)
            return
        for resource, cache in (
            (CLUSTER_ROLE_BINDINGS, self._caches.cluster_role_bindings),
            (CLUSTER_ROLES, self._caches.cluster_roles),
        ):
            if cache.get(rbac.registrant_name(name)):
                with suppress(NotFound):
                    await self._client.delete(resource, rbac.registrant_name(name))

    async def _revoke(self, request: Object) -> None:
        """Take away what a cluster had whose request was denied: its account, its rights, the token in the request.

        What others have put into its namespace and the ManagedCluster stay, for whoever denied it to look at.
        """
        name, status = request["metadata"]["name"], request.get("status") or {}
        cluster_id = (request.get("spec") or {}).get("clusterId") or ""
        if name != cluster_object_name(cluster_id):
            return
        doomed: list[tuple[Resource, Object | None]] = []
        for namespace in self._caches.namespaces.by_index(BY_CLUSTER, cluster_id):
            where = namespace["metadata"]["name"]
            doomed.append((ROLE_BINDINGS, self._caches.role_bindings.get(names.MANAGED_CLUSTER_ROLE, where)))
            accounts = self._caches.accounts.by_index(BY_NAMESPACE, where)
            doomed += [(SERVICE_ACCOUNTS, one) for one in accounts if rules.is_labelled_for(one, cluster_id)]
        doomed.append((CLUSTER_ROLE_BINDINGS, self._caches.cluster_role_bindings.get(name)))
        for resource, obj in doomed:
            if obj is None:
                continue
            metadata = obj["metadata"]
            with suppress(NotFound):
                await self._client.delete(resource, metadata["name"], metadata.get("namespace"), uid=metadata["uid"])
                log.info("revoked %s %s of %s", resource.kind, metadata["name"], name)
        if status.get("token"):
            kept = {field: value for field, value in status.items() if field != "token"}
            await self._write_status(request, kept)

    async def _namespace(self, request: Object) -> str:
        spec, status = request["spec"], request.get("status") or {}
        cache = self._caches.namespaces
        owned = [
            namespace
            for namespace in cache.by_index(BY_CLUSTER, spec["clusterId"])
            if rules.is_labelled_for(namespace, spec["clusterId"])
            and not self._caches.dedicated_to_another(namespace["metadata"]["name"], request)
        ]
        chosen = rules.choose(owned, status.get("dedicatedNamespace"), spec.get("clusterNamespace"))
        if chosen:
            rules.check_namespace(chosen, request)
            return str(chosen["metadata"]["name"])
        fixed = bool(status.get("dedicatedNamespace") or spec.get("clusterNamespace"))
        for name in rules.namespace_names(request):
            namespace = cache.get(name) or await self._made(request, NAMESPACES, rules.make_namespace(request, name))
            try:
                if other := self._caches.dedicated_to_another(name, request):
                    message = f"namespace {name} belongs to {other}; ask for another one, or remove that cluster first"
                    raise Obstacle(Reason.NAMESPACE_TAKEN, message)
                if not rules.check_namespace(namespace, request):
                    patch = {"metadata": {"labels": rules.system_labels(request)}}
                    await self._client.patch(NAMESPACES, name, patch)
            except Obstacle:
                if fixed:
                    raise
            else:
                return name
        raise AssertionError("names never end")

    async def _managed_cluster_with_permissions(self, request: Object, namespace: str, account: str) -> Object:
        """Have the ManagedCluster, then the Role, which names it."""
        cluster = await self._managed_cluster(request, namespace)
        binding = rbac.namespace_role_binding(namespace, account)
        role = rbac.namespace_role(namespace, cluster["metadata"]["name"], account, self._child_rights)
        await self._rbac(request, ROLES, self._caches.roles, role)
        await self._bind(request, ROLE_BINDINGS, self._caches.role_bindings, binding)
        return cluster

    async def _managed_cluster(self, request: Object, namespace: str) -> Object:
        spec, status = request["spec"], request.get("status") or {}
        cache = self._caches.clusters
        owned = [
            cluster
            for cluster in cache.by_index(BY_NAMESPACE, namespace)
            if cluster["spec"]["clusterId"] == spec["clusterId"]
        ]
        cluster = rules.choose(owned, status.get("managedClusterName"), spec["clusterName"])
        if cluster is None:
            init = datetime.now(UTC) if self._initialization else None
            wished = spec.get("clusterLabels") or {}
            labels = approval.kept_labels(wished, self._settings.labels)
            wanted = rules.make_managed_cluster(request, namespace, labels, init)
            existing = cache.get(wanted["metadata"]["name"], namespace)
            cluster = existing or await self._made(request, MANAGED_CLUSTERS, wanted)
            rules.check_managed_cluster(cluster, request)
            if left_out := ", ".join(sorted(wished.keys() - labels.keys())):
                log.warning("%s wishes for labels that it doesn't get: %s", request["metadata"]["name"], left_out)
                message = f"not for clusters to choose: {left_out}"
                await self._recorder.event(request, "Warning", "LabelsLeftOut", message)
        if not rules.is_labelled_for(cluster, spec["clusterId"]):
            patch = {"metadata": {"labels": rules.system_labels(request)}}
            cluster = await self._client.patch(MANAGED_CLUSTERS, cluster["metadata"]["name"], patch, namespace)
        return cluster

    async def _account(self, request: Object, namespace: str) -> Object:
        cluster_id = request["spec"]["clusterId"]
        owned = [
            account
            for account in self._caches.accounts.by_index(BY_NAMESPACE, namespace)
            if rules.is_labelled_for(account, cluster_id)
        ]
        if chosen := rules.choose(owned):
            return chosen
        for name in derived_names(cluster_id):
            account = await self._made(request, SERVICE_ACCOUNTS, rules.make_service_account(request, namespace, name))
            if rules.is_labelled_for(account, cluster_id):
                return account
        raise AssertionError("names never end")

    async def _cluster_permissions(self, request: Object, namespace: str, account: str) -> None:
        cluster_id = request["spec"]["clusterId"]
        binding = rbac.cluster_role_binding(cluster_id, namespace, account)
        await self._rbac(request, CLUSTER_ROLES, self._caches.cluster_roles, rbac.cluster_role(cluster_id))
        await self._bind(request, CLUSTER_ROLE_BINDINGS, self._caches.cluster_role_bindings, binding)

    async def _bind(self, request: Object, resource: Resource, cache: Informer, wanted: Object) -> None:
        """As `_rbac`; waits for a role just made, which the API server looks up in a cache that lags behind."""
        deadline = time.monotonic() + _ROLE_DEADLINE
        while True:
            try:
                return await self._rbac(request, resource, cache, wanted)
            except NotFound:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_ROLE_PAUSE)

    async def _rbac(self, request: Object, resource: Resource, cache: Informer, wanted: Object) -> None:
        metadata = wanted["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace")
        existing = cache.get(name, namespace) or await self._made(request, resource, wanted)
        update = rbac.outdated(existing, wanted)
        if update is None:
            return
        log.info("bringing %s %s up to date", resource.kind, name)
        if existing.get("roleRef") == wanted.get("roleRef"):
            await self._client.update(resource, update)
        else:
            await self._client.delete(resource, name, namespace, uid=existing["metadata"]["uid"])
            await self._client.create(resource, wanted)

    async def _made(self, request: Object, resource: Resource, wanted: Object) -> Object:
        """Create an object, or read the one that has its name.

        Raises:
            Conflict: the request was approved, but has changed or gone since; what is missing may have been taken away.
        """
        if (request.get("status") or {}).get("result") == names.APPROVED:
            await self._confirm(request)
        try:
            return await self._client.create(resource, wanted)
        except AlreadyExists:
            return await self._client.get(resource, wanted["metadata"]["name"], wanted["metadata"].get("namespace"))

    async def _confirm(self, request: Object) -> None:
        """Compare the cached request with the API server's: caches of other kinds may be ahead of it."""
        try:
            current = await self._client.get(CLUSTER_REGISTRATION_REQUESTS, request["metadata"]["name"])
        except NotFound:
            current = None
        if current is None or current["metadata"]["resourceVersion"] != request["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", "the request is not what it was")

    async def _obstruct(self, request: Object, obstacle: Obstacle) -> float:
        """Tell of an obstacle; return the seconds until it is looked at again."""
        name = request["metadata"]["name"]
        attempts = self._obstructed[name] = self._obstructed.get(name, 0) + 1
        if await self._write_status(request, rules.obstructed_status(request.get("status") or {}, obstacle)):
            log.warning("%s can't be approved: %s", name, obstacle)
            await self._recorder.event(request, "Warning", obstacle.reason, obstacle.message)
        return float(min(_FIRST_RETRY * 2 ** min(attempts - 1, 16), _LAST_RETRY))

    async def _write_status(self, request: Object, status: Object) -> bool:
        """Write the status if it differs; a conflict is raised, so that the request is tried again."""
        if (request.get("status") or {}) == status:
            return False
        await self._client.update(CLUSTER_REGISTRATION_REQUESTS, {**request, "status": status}, subresource="status")
        return True


def _identity(obj: Object | None) -> tuple[Any, ...]:
    """What of an object matters here: not the status, which changes with every heartbeat."""
    if obj is None:
        return ()
    metadata = obj["metadata"]
    content = {field: value for field, value in obj.items() if field not in ("metadata", "status")}
    return metadata.get("labels"), metadata.get("annotations"), metadata.get("deletionTimestamp"), content


async def _together(*steps: Coroutine[Any, Any, Any]) -> list[Any]:
    """Do all steps at once; when all have ended, return what they return or raise what the first failed one raised."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
