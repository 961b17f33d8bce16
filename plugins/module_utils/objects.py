# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Applying and removing lists of native objects of any kind."""

from __future__ import annotations

import time
from typing import Any, Callable, Iterable, Optional

from ansible_collections.clusternet.core.plugins.module_utils import health, tenants
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, ClusternetError, WaitTimeout
from ansible_collections.clusternet.core.plugins.module_utils.object_namespaces import describe, placed
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import (
    CREATED,
    UNCHANGED,
    Outcome,
    Reconciler,
)
from ansible_collections.clusternet.core.plugins.module_utils.resources import (
    API_SERVICES,
    CUSTOM_RESOURCE_DEFINITIONS,
    KNOWN,
    NAMESPACES,
    Resource,
    group_version_path,
)
from ansible_collections.clusternet.core.plugins.module_utils.wait import (
    Deadline,
    Missing,
    condition_true,
    wait_until,
)


class Kinds:
    """Says how kinds are addressed: known ones, those of CRDs in the same task, else by one GET a group-version."""

    def __init__(self, client: Client, definitions: Iterable[dict[str, Any]]):
        self._client = client
        self._known = dict(KNOWN)
        self._asked: set[str] = set()
        for definition in definitions:
            if definition["kind"] == CUSTOM_RESOURCE_DEFINITIONS.kind:
                self._known.update(_defined(definition))

    def resource(self, definition: dict[str, Any]) -> Optional[Resource]:
        """The kind of I(definition), or None when the cluster doesn't serve it."""
        api_version, kind = definition["apiVersion"], definition["kind"]
        if (api_version, kind) not in self._known and api_version not in self._asked:
            self._asked.add(api_version)
            document = self._client.get(group_version_path(api_version)) or {}
            for item in document.get("resources", ()):
                if "/" not in item["name"]:
                    self._known.setdefault(
                        (api_version, item["kind"]),
                        Resource(api_version, item["kind"], item["name"], item["namespaced"]),
                    )
        return self._known.get((api_version, kind))


def _defined(crd: dict[str, Any]) -> dict[tuple[str, str], Resource]:
    spec = crd.get("spec") or {}
    names = spec.get("names") or {}
    return {
        (f"{spec.get('group')}/{version['name']}", names.get("kind")): Resource(
            f"{spec.get('group')}/{version['name']}",
            names.get("kind"),
            names.get("plural"),
            spec.get("scope") == "Namespaced",
        )
        for version in spec.get("versions") or ()
        if version.get("served")
    }


class Work:
    """Applies or removes prepared definitions one after the other and notes in I(result) what became of each.

    :param namespace: of objects that name none
    """

    def __init__(
        self,
        reconciler: Reconciler,
        definitions: list[dict[str, Any]],
        result: dict[str, Any],
        deadline: Deadline,
        namespace: Optional[str] = None,
    ):
        self._reconciler = reconciler
        self._client = reconciler.client
        self._definitions = definitions
        self._kinds = Kinds(self._client, definitions)
        self._result = result
        self._deadline = deadline
        self._namespace = namespace
        result["objects"] = []

    def apply(self, wait: bool) -> None:
        """Apply all; raises ApiError at the first object that the server refuses, WaitTimeout after the deadline."""
        self._write_all(self._reconciler.apply, wait)

    def create(self, wait: bool) -> None:
        """Create those that don't exist and leave the others alone; raises as :meth:`apply` does."""
        self._write_all(self._create, wait)

    def patch(self, wait: bool) -> None:
        """Merge all into objects that exist; raises as :meth:`apply` does, and when one doesn't exist."""
        self._write_all(self._patch, wait)

    def _create(self, resource: Resource, definition: dict[str, Any]) -> Outcome:
        before = self._client.get(resource.path_of(definition))
        return Outcome(UNCHANGED, before, before) if before else self._reconciler.create(resource, definition)

    def _patch(self, resource: Resource, definition: dict[str, Any]) -> Outcome:
        before = self._client.get(resource.path_of(definition))
        if before is None:
            raise _nothing_to_patch(definition)
        return self._reconciler.patch(resource, before, definition)

    def _write_all(self, write: Callable[[Resource, dict[str, Any]], Outcome], wait: bool) -> None:
        crds: list[Outcome] = []
        waiting: list[tuple[Resource, Outcome]] = []
        for definition in self._definitions:
            if definition["kind"] not in (NAMESPACES.kind, CUSTOM_RESOURCE_DEFINITIONS.kind):
                self._wait_served(crds)
                crds = []
            resource = self._kinds.resource(definition)
            if resource is None:
                if write == self._patch or not self._reconciler.check_mode:
                    raise _unknown_kind(definition)
                self._note(definition, Outcome(CREATED, None, definition, predicted=True))
                continue
            definition = placed(resource, definition, self._namespace)
            outcome = write(resource, definition)
            self._note(definition, outcome)
            if resource == CUSTOM_RESOURCE_DEFINITIONS:
                crds.append(outcome)
            elif resource in _READINESS or health.judged(resource.api_version, resource.kind):
                waiting.append((resource, outcome))
        self._wait_served(crds)
        for resource, outcome in waiting if wait else ():
            self._wait(resource, outcome.after, *_READINESS.get(resource, _WORKLOAD))

    def remove(self, wait: bool, keep_used: bool = False) -> None:
        """Remove all, last ones first; raises ApiError, WaitTimeout.

        With I(keep_used), namespaces stay in which there is more than what is removed.
        """
        going, unknown, notes = [], [], []
        for definition in reversed(self._definitions):
            resource = self._kinds.resource(definition)
            before = None
            if resource is None:
                unknown.append(f"{definition['apiVersion']} {definition['kind']}")
            else:
                definition = placed(resource, definition, self._namespace)
                before = self._client.get(resource.path_of(definition))
            if before and keep_used and resource == NAMESPACES:
                reason = self._in_use(definition["metadata"]["name"])
                if reason:
                    notes.append(f"{describe(definition)} stays, {reason}.")
                    before = None
            outcome = self._reconciler.delete(resource, before) if before else Outcome(UNCHANGED, None, None)
            self._note(definition, outcome)
            if before:
                going.append((resource, before))
        if unknown:
            kinds = ", ".join(sorted(set(unknown)))
            notes.append(f"The cluster doesn't serve {kinds}; there is nothing to remove.")
        if notes:
            self._result["msg"] = " ".join(notes)
        for resource, before in going if wait else ():
            self._wait(resource, before, still_there, "to be gone")

    def _in_use(self, namespace: str) -> Optional[str]:
        own = {
            (definition["kind"], definition["metadata"]["name"])
            for definition in self._definitions
            if (definition["metadata"].get("namespace") or self._namespace) == namespace
        }
        return tenants.in_use(namespace, tenants.read(self._client, namespace), own)

    def _note(self, definition: dict[str, Any], outcome: Outcome) -> None:
        self._result["changed"] = self._result["changed"] or outcome.changed
        self._result["objects"].append(
            {
                "api_version": definition["apiVersion"],
                "kind": definition["kind"],
                "namespace": definition["metadata"].get("namespace"),
                "name": definition["metadata"]["name"],
                "action": outcome.action,
                "predicted": outcome.predicted,
            }
        )

    def _wait(self, resource: Resource, obj: dict[str, Any], missing: Missing, what: str) -> None:
        if self._reconciler.check_mode:
            return
        wait_until(
            self._client,
            resource.path(namespace=obj["metadata"].get("namespace")),
            missing,
            self._deadline,
            f"Waiting for {describe(obj)} {what}",
            field_selector=f"metadata.name={obj['metadata']['name']}",
            start=obj,
        )

    def _wait_served(self, outcomes: Iterable[Outcome]) -> None:
        """After changes of CRDs, wait until they are established and their paths answer, which comes a moment later."""
        if self._reconciler.check_mode:
            return
        for outcome in outcomes:
            if outcome.changed or _not_established([outcome.after]):
                self._wait(CUSTOM_RESOURCE_DEFINITIONS, outcome.after, _not_established, "to be established")
                for resource in _defined(outcome.after).values():
                    self._wait_answering(resource)

    def _wait_answering(self, resource: Resource) -> None:
        pause = 0.02
        while not self._answers(resource):
            if not self._deadline.remaining():
                kind = f"{resource.api_version} {resource.kind}"
                raise WaitTimeout(
                    f"{kind} is established but was not served within {self._deadline.seconds:g} seconds", kind
                )
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def _answers(self, resource: Resource) -> bool:
        try:
            self._client.request("GET", resource.path(), {"limit": 1})
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True


def _unknown_kind(definition: dict[str, Any]) -> ClusternetError:
    kind = f"{definition['apiVersion']} {definition['kind']}"
    return ClusternetError(
        f"The cluster doesn't serve {kind}, which {describe(definition)} needs. Add its custom resource definition.",
        "UnknownKind",
        kind=kind,
    )


def _nothing_to_patch(definition: dict[str, Any]) -> ClusternetError:
    return ClusternetError(f"{describe(definition)} doesn't exist, so it can't be patched.", "NotFound")


def _not_active(namespaces: Iterable[dict[str, Any]]) -> list[str]:
    phases = [(item.get("status") or {}).get("phase") for item in namespaces]
    return [f"its phase is {phase}" for phase in phases or ["unknown, it is gone"] if phase != "Active"]


def _not_available(services: Iterable[dict[str, Any]]) -> list[str]:
    reasons = [condition_true(service, "Available") for service in services] or ["it is gone"]
    return [reason for reason in reasons if reason]


def unavailable(workloads: Iterable[dict[str, Any]]) -> list[str]:
    """Why workloads aren't available as they are defined now; a status of an earlier generation doesn't count."""
    reasons = []
    for obj in workloads:
        status, generation = obj.get("status") or {}, obj["metadata"].get("generation", 0)
        observed = status.get("observedGeneration", 0) if obj["apiVersion"].startswith("apps/") else generation
        if observed < generation:
            reasons.append(f"its status is about generation {observed}, the object has generation {generation}")
        else:
            reasons.append(health.unavailable(obj, status))
    return [reason for reason in reasons or ["it is gone"] if reason]


_WORKLOAD = (unavailable, "to become available")
_READINESS = {
    NAMESPACES: (_not_active, "to become active"),
    API_SERVICES: (_not_available, "to become available"),
}


def _not_established(crds: Iterable[dict[str, Any]]) -> list[str]:
    reasons = [condition_true(crd, "Established") for crd in crds] or ["it is gone"]
    return [reason for reason in reasons if reason]


def still_there(objects: Iterable[dict[str, Any]]) -> list[str]:
    """What holds objects that are to be gone."""
    reasons = []
    for obj in objects:
        finalizers = obj["metadata"].get("finalizers") or (obj.get("spec") or {}).get("finalizers") or []
        conditions = (obj.get("status") or {}).get("conditions") or []
        messages = [item["message"] for item in conditions if item.get("status") == "True" and item.get("message")]
        held = f"finalizers {', '.join(finalizers)}" if finalizers else "no finalizers"
        reasons.append(f"{describe(obj)} is still there, with {held}" + "".join(f"; {text}" for text in messages))
    return reasons
