"""Which resources the shadow API serves, under which group and version (spec/04 §8.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from clusternet_engine.kube.resources import Object, Resource
from clusternet_engine.model import constants as names

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
SCALE_VERBS = ("get", "patch", "update")
REPLICAS_PATH = ("spec", "replicas")

_LEFT_OUT_GROUPS = frozenset({names.SHADOW_GROUP, "metrics.k8s.io", "custom.metrics.k8s.io"})
_LEFT_OUT_RESOURCES = frozenset({"apiservices"})
_NEEDED_VERBS = frozenset({"create", "delete", "get", "list"})
_VERSION = re.compile(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?")
_STABILITY = {"alpha": 0, "beta": 1, None: 2}


@dataclass(frozen=True, slots=True)
class ShadowResource:
    """One plural of the shadow API.

    Attributes:
        resource: the native resource that it stands for.
        replicas_path: where the number of replicas stands; None if it can't be scaled.
    """

    resource: Resource
    singular: str
    short_names: tuple[str, ...] = ()
    replicas_path: tuple[str, ...] | None = None

    def documents(self) -> list[Object]:
        """Return its entries in the discovery document of the group."""
        resource = self.resource
        verbs = [verb for verb in VERBS if verb != "deletecollection" or _may_be_collected(resource)]
        entry: Object = {
            "name": resource.plural,
            "singularName": self.singular,
            "namespaced": resource.namespaced,
            "group": resource.group,
            "version": resource.version,
            "kind": resource.kind,
            "verbs": verbs,
            "categories": [names.SHADOW_CATEGORY],
        }
        if self.short_names:
            entry["shortNames"] = list(self.short_names)
        if self.replicas_path is None:
            return [entry]
        scale = {
            **entry,
            "name": f"{resource.plural}/scale",
            "group": "autoscaling",
            "version": "v1",
            "kind": "Scale",
            "verbs": list(SCALE_VERBS),
        }
        scale.pop("shortNames", None)
        return [entry, scale]


@dataclass(frozen=True, slots=True)
class GroupVersionResources:
    """What discovery says of one version of one API group.

    Attributes:
        priority: `groupPriorityMinimum` of its APIService.
        preferred: whether it is its group's preferred version.
        resources: entries of the APIResourceList.
    """

    group: str
    version: str
    priority: int
    preferred: bool
    resources: tuple[Object, ...]


def is_left_out(group: str) -> bool:
    """Return whether a group is none of native objects."""
    return group in _LEFT_OUT_GROUPS or group.endswith(".clusternet.io")


def version_rank(version: str) -> tuple[int, int, int, str]:
    """Return a key that sorts versions as Kubernetes does: v2 above v1 above v1beta2 above v1alpha1 above others."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return -1, 0, 0, version
    return _STABILITY[match[2]], int(match[1]), int(match[3] or 0), version


def choose(discovered: Iterable[GroupVersionResources]) -> dict[str, ShadowResource]:
    """Return the resource that each plural stands for.

    Per group and plural the preferred version counts, else the highest; of several groups that with the highest
    priority, the later one of equals.
    """
    chosen: dict[str, tuple[int, bool, tuple[int, int, int, str], ShadowResource]] = {}
    for found in discovered:
        if is_left_out(found.group):
            continue
        scalable = {entry["name"].partition("/")[0] for entry in found.resources if entry["name"].endswith("/scale")}
        rank = version_rank(found.version)
        for entry in found.resources:
            plural = entry["name"]
            if "/" in plural or plural in _LEFT_OUT_RESOURCES or not set(entry["verbs"]) >= _NEEDED_VERBS:
                continue
            other = chosen.get(plural)
            if other is not None and not _wins(found, rank, *other):
                continue
            resource = Resource(found.group, found.version, plural, entry["kind"], entry["namespaced"])
            served = ShadowResource(
                resource,
                entry.get("singularName") or entry["kind"].lower(),
                tuple(entry.get("shortNames") or ()),
                REPLICAS_PATH if plural in scalable else None,
            )
            chosen[plural] = (found.priority, found.preferred, rank, served)
    return {plural: served for plural, (*_, served) in chosen.items()}


def of_definition(definition: Object, priority: int) -> GroupVersionResources | None:
    """Return what a CustomResourceDefinition adds to discovery; None if it isn't served.

    Its storage version counts if it is served, else the highest one that is.
    """
    spec = definition["spec"]
    served = [version for version in spec["versions"] if version["served"]]
    if not served or not _is_established(definition):
        return None
    accepted = definition["status"]["acceptedNames"]
    version = max(served, key=lambda one: (one["storage"], version_rank(one["name"])))
    entry = {
        "name": accepted["plural"],
        "singularName": accepted.get("singular") or "",
        "namespaced": spec["scope"] == "Namespaced",
        "kind": accepted["kind"],
        "verbs": VERBS,
        "shortNames": accepted.get("shortNames") or (),
    }
    entries = [entry]
    if (version.get("subresources") or {}).get("scale"):
        entries.append({**entry, "name": f"{entry['name']}/scale"})
    return GroupVersionResources(spec["group"], version["name"], priority, preferred=True, resources=tuple(entries))


def replicas_path(definition: Object, version: str) -> tuple[str, ...]:
    """Return where the number of replicas stands in a custom resource whose definition has a `scale`."""
    for one in definition["spec"]["versions"]:
        if one["name"] == version and (scale := (one.get("subresources") or {}).get("scale")):
            return tuple(scale["specReplicasPath"].strip(".").split("."))
    return REPLICAS_PATH


def with_replicas_path(served: ShadowResource, path: tuple[str, ...]) -> ShadowResource:
    """Return a resource whose number of replicas stands elsewhere."""
    return replace(served, replicas_path=path)


def _may_be_collected(resource: Resource) -> bool:
    return (resource.group, resource.plural) != ("", "namespaces")


def _wins(
    found: GroupVersionResources,
    rank: tuple[int, int, int, str],
    priority: int,
    preferred: bool,
    other_rank: tuple[int, int, int, str],
    other: ShadowResource,
) -> bool:
    if found.group == other.resource.group:
        return (found.preferred, rank) > (preferred, other_rank)
    return found.priority >= priority


def _is_established(definition: Object) -> bool:
    conditions: list[dict[str, Any]] = (definition.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == names.TRUE for one in conditions)
