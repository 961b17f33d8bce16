# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Native objects at the parent's shadow API, where they are kept to be published (spec/04 §8)."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants, last_applied, validate
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.custom_objects import Items, Place, place_of, read
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.following import (
    Collection,
    Mirrors,
    Standing,
    wait_for_each,
)
from ansible_collections.clusternet.core.plugins.module_utils.foresight import Foresight
from ansible_collections.clusternet.core.plugins.module_utils.object_namespaces import describe, placed, refuse_twice
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import UNCHANGED, Outcome, Reconciler
from ansible_collections.clusternet.core.plugins.module_utils.redact import SERVER_METADATA
from ansible_collections.clusternet.core.plugins.module_utils.resources import KNOWN, Resource, group_version_path
from ansible_collections.clusternet.core.plugins.module_utils.validate import invalid
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline

_OWN_GROUPS = (".clusternet.io", constants.SHADOW_API_VERSION.partition("/")[0])
_PROTECTION = "apps.clusternet.io/feed-protection"
_NO_SHADOW_API = (
    "This cluster doesn't serve the shadow API, so it is no Clusternet parent, or its hub doesn't run. "
    "The role clusternet.core.hub installs one."
)


def check(option: str, definitions: Iterable[dict[str, Any]], namespace: Optional[str] = None) -> None:
    """Raise ConfigError where a definition can't be published: by its kind or name, or because it is there twice.

    :param namespace: of objects that name none
    """
    for item in definitions:
        if _group(item).endswith(_OWN_GROUPS):
            raise invalid(option, f"{describe(item)} is no native object; there are own modules for those kinds")
        validate.path_segment(option, item["metadata"]["name"])
    refuse_twice(option, definitions, namespace, _group)


def _group(definition: Mapping[str, Any]) -> str:
    return str(definition["apiVersion"].rpartition("/")[0])


def in_namespaces(
    connect: Callable[[], Client], definitions: Iterable[dict[str, Any]], default: Optional[str]
) -> list[dict[str, Any]]:
    """Return checked definitions with the namespaces that they get at the shadow API.

    One of a kind that the parent doesn't serve stays as it is, if its scope needn't be known.

    Raises:
        ConfigError: an object needs a namespace, and there is no default.
        ClusternetError: an object names no namespace, and whether its kind has them isn't known.
    """
    found = []
    kinds: Optional[ShadowKinds] = None
    for definition in definitions:
        kinds = kinds or ShadowKinds(connect())
        try:
            resource = kinds.resource(definition)
        except ClusternetError:
            if default and not definition["metadata"].get("namespace"):
                raise
            found.append(definition)
            continue
        found.append(placed(resource, definition, default))
    return found


class ShadowKinds:
    """Says how kinds are addressed at the shadow API: known ones without, others by one request for all of them."""

    def __init__(self, client: Client):
        self._client = client
        self._discovered: Optional[list[dict[str, Any]]] = None
        self._missing = False

    def resource(self, definition: Mapping[str, Any]) -> Resource:
        """The kind of I(definition); raises ClusternetError when the parent doesn't serve it."""
        api_version, kind = definition["apiVersion"], definition["kind"]
        native = KNOWN.get((api_version, kind)) or self._discover(api_version, kind)
        return native._replace(api_version=constants.SHADOW_API_VERSION)

    def _discover(self, api_version: str, kind: str) -> Resource:
        if self._discovered is None:
            document = self._client.get(group_version_path(constants.SHADOW_API_VERSION))
            self._missing = document is None
            self._discovered = [item for item in (document or {}).get("resources") or () if "/" not in item["name"]]
        if self._missing:
            raise ClusternetError(_NO_SHADOW_API, "NoShadowAPI")
        group, _slash, version = api_version.rpartition("/")
        served = [item for item in self._discovered if item["kind"] == kind and item.get("group", group) == group]
        for item in served:
            if item.get("version", version) == version:
                return Resource(api_version, kind, item["name"], item["namespaced"])
        if served:
            versions = ", ".join(f"{group}/{item['version']}".lstrip("/") for item in served)
            msg = f"The parent serves {kind} as {versions}, not as {api_version}."
        else:
            msg = (
                f"The parent doesn't know the kind {api_version} {kind}. Install its custom resource definition there."
            )
        raise ClusternetError(msg, "UnknownKind", kind=f"{api_version} {kind}")


class Work:
    """Puts definitions into the shadow API or removes them; what became of each goes to I(items).

    With I(foresee), diffs also show what changes on the clusters. Objects that name no namespace get I(namespace).
    """

    def __init__(
        self,
        reconciler: Reconciler,
        items: Items,
        foresee: Optional[Foresight] = None,
        namespace: Optional[str] = None,
    ):
        self._reconciler = reconciler
        self._client = reconciler.client
        self._items = items
        self._kinds = ShadowKinds(self._client)
        self._foresee = foresee
        self._namespace = namespace

    def present(self, definitions: Iterable[dict[str, Any]]) -> None:
        """Bring all to what is wanted."""
        found = [
            (item, resource, last_applied.remembering(definition), live)
            for item, resource, definition, live in self._each(definitions)
        ]
        foreseen = []
        if self._foresee and any(
            live is None or not last_applied.is_as_wanted(live, wanted) for _item, _resource, wanted, live in found
        ):
            foreseen = self._foresee(self._client, [wanted for _item, _resource, wanted, _live in found])
        for item, resource, wanted, live in found:
            self._items.attempt(item, self._apply, resource, live, wanted)
        self._reconciler.diffs += foreseen

    def absent(self, definitions: Iterable[dict[str, Any]], wait: Optional[Deadline]) -> None:
        """Remove all, and wait until they are gone."""
        going = []
        for item, resource, _definition, live in self._each(definitions):
            if self._items.attempt(item, self._remove, resource, live) and live:
                going.append((item, resource, live))
        if wait and going and not self._reconciler.check_mode:
            self._wait_gone(going, wait)

    def _each(self, definitions: Iterable[dict[str, Any]]) -> list[tuple]:
        """The definitions of kinds that are served, with what is there; one list for many of a kind in a namespace."""
        found: list[tuple] = []
        places: dict[Resource, list[Place]] = {}
        for definition in definitions:
            metadata = definition["metadata"]
            item = self._items.add(
                api_version=definition["apiVersion"],
                kind=definition["kind"],
                namespace=metadata.get("namespace"),
                name=metadata["name"],
            )
            try:
                resource = self._kinds.resource(definition)
                definition = placed(resource, definition, self._namespace)
            except ClusternetError as error:
                self._items.fail(item, error.msg)
                continue
            item["namespace"] = definition["metadata"].get("namespace")
            found.append((item, resource, definition))
            places.setdefault(resource, []).append(place_of(definition))
        live = {resource: read(self._client, resource, wanted) for resource, wanted in places.items()}
        return [
            (item, resource, definition, live[resource].get(place_of(definition)))
            for item, resource, definition in found
        ]

    def _apply(self, resource: Resource, live: Optional[dict[str, Any]], wanted: dict[str, Any]) -> Outcome:
        if live is None:
            return self._create(resource, wanted)
        if live["metadata"].get("deletionTimestamp"):
            held = (live["metadata"].get("annotations") or {}).get(_PROTECTION)
            raise ClusternetError(
                f"It is being removed; wait until it is gone.{f' {held}' if held else ''}", "Terminating"
            )
        if last_applied.is_as_wanted(live, wanted):
            return Outcome(UNCHANGED, live, live)
        desired = last_applied.merged(_bare(live), wanted)
        if self._reconciler.check_mode:
            return self._reconciler.predict(resource, live, desired)
        return self._reconciler.replace(resource, live, desired)

    def _remove(self, resource: Resource, live: Optional[dict[str, Any]]) -> Outcome:
        if self._reconciler.check_mode and live and not live["metadata"].get("deletionTimestamp"):
            return self._reconciler.predict(resource, live, None)
        return self._reconciler.delete(resource, live)

    def _create(self, resource: Resource, wanted: dict[str, Any]) -> Outcome:
        if self._reconciler.check_mode:
            return self._reconciler.predict(resource, None, wanted)
        try:
            return self._reconciler.create(resource, wanted)
        except ApiError as error:
            # Not every 404 says that: the hub also answers so where something is missing that the object refers to.
            if error.status != 404 or self._client.get(group_version_path(constants.SHADOW_API_VERSION)):
                raise
            raise ClusternetError(_NO_SHADOW_API, "NoShadowAPI") from error

    def _wait_gone(self, going: list[tuple], deadline: Deadline) -> None:
        mirrors = Mirrors(self._client, deadline)
        for _item, resource, live in going:
            path = resource.path(namespace=live["metadata"].get("namespace"))
            mirrors.follow(path, Collection(path))

        def judge() -> list[Standing]:
            there = {}
            for _item, resource, live in going:
                path = resource.path(namespace=live["metadata"].get("namespace"))
                there[path] = {obj["metadata"]["uid"]: obj for obj in mirrors.objects(path)}
            return [_gone(there, resource, live) for _item, resource, live in going]

        verdicts = wait_for_each(mirrors, judge, deadline)
        for number, (item, _resource, _live) in enumerate(going):
            if verdicts[number]:
                self._items.fail(item, verdicts[number])


def _gone(there: Mapping[str, Mapping[str, Any]], resource: Resource, live: Mapping[str, Any]) -> Standing:
    path = resource.path(namespace=live["metadata"].get("namespace"))
    obj = there[path].get(live["metadata"]["uid"])
    if obj is None:
        return Standing([], [])
    held = (obj["metadata"].get("annotations") or {}).get(_PROTECTION)
    return Standing([held or "it is still there"], [held] if held else [])


def _bare(live: Mapping[str, Any]) -> dict[str, Any]:
    """I(live) without what the server sets."""
    metadata = {key: value for key, value in live["metadata"].items() if key not in SERVER_METADATA}
    return {**{key: value for key, value in live.items() if key != "status"}, "metadata": metadata}
