# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bringing whole lists of Clusternet's own objects to what is wanted, with a result for each.

A spec is just what is given, whoever has changed it meanwhile; of labels and annotations only those given are looked
at, because the hub writes some, too.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils import validate
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.foresight import Foresight
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import UNCHANGED, Outcome, Reconciler
from ansible_collections.clusternet.core.plugins.module_utils.resources import Resource
from ansible_collections.clusternet.core.plugins.module_utils.validate import invalid

_ABSENT = object()
_FEW, _AT_ONCE = 10, 8  # fewer objects than the first are handled one by one, others so many at a time


class Place(NamedTuple):
    """Namespace, None for kinds that have none, and name of an object."""

    namespace: Optional[str]
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def place_of(obj: Mapping[str, Any]) -> Place:
    """The place of an object."""
    return Place(obj["metadata"].get("namespace"), obj["metadata"]["name"])


def places(resource: Resource, option: str, given: Iterable[Mapping[str, Any]]) -> list[Place]:
    """The checked places of the suboptions C(name) and C(namespace), each once; raises ConfigError."""
    found: dict[Place, None] = {}
    for item in given:
        namespace = validate.dns_label(option, item["namespace"]) if resource.namespaced else None
        place = Place(namespace, validate.object_name(option, item["name"]))
        if place in found:
            raise invalid(option, f"{resource.kind} {place} is given twice")
        found[place] = None
    return list(found)


def custom_object(resource: Resource, option: str, given: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """The object with the suboptions C(name), C(namespace), C(labels) and C(annotations) of I(given).

    Fields of I(spec) that are None are left out; labels and annotations that are None are to be removed. Raises
    ConfigError.
    """
    metadata: dict[str, Any] = {"name": validate.object_name(option, given["name"])}
    if resource.namespaced:
        metadata["namespace"] = validate.dns_label(option, given["namespace"])
    if given["labels"]:
        metadata["labels"] = {
            validate.label_key(option, key): None if value is None else validate.label_value(option, key, value)
            for key, value in given["labels"].items()
        }
    if given["annotations"]:
        metadata["annotations"] = {
            validate.label_key(option, key): None if value is None else str(value)
            for key, value in given["annotations"].items()
        }
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata,
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def change(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch that makes I(live) what is I(wanted), empty when it is."""
    patch: dict[str, Any] = {}
    metadata = {}
    for field in ("labels", "annotations"):
        now = live["metadata"].get(field) or {}
        differing = {key: value for key, value in wanted["metadata"].get(field, {}).items() if now.get(key) != value}
        if differing:
            metadata[field] = differing
    if metadata:
        patch["metadata"] = metadata
    spec = _merge_patch(live.get("spec") or {}, wanted["spec"])
    if spec:
        patch["spec"] = spec
    return patch


def _merge_patch(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = {key: None for key in live if key not in wanted}
    for key, value in wanted.items():
        now = live.get(key, _ABSENT)
        if now != value:
            patch[key] = _merge_patch(now, value) if isinstance(now, dict) and isinstance(value, dict) else value
    return patch


def _new(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What is sent to create I(wanted): without the labels and annotations that are to be removed."""
    metadata = {
        key: {name: text for name, text in value.items() if text is not None} if isinstance(value, dict) else value
        for key, value in wanted["metadata"].items()
    }
    return {**wanted, "metadata": metadata}


def _going(resource: Resource, obj: Mapping[str, Any]) -> dict[str, Any]:
    """I(obj) as it will be once it is deleted."""
    metadata = {**obj["metadata"], "deletionTimestamp": "1970-01-01T00:00:00Z"}
    return {"apiVersion": resource.api_version, "kind": resource.kind, **obj, "metadata": metadata}


def read(client: Any, resource: Resource, wanted: Iterable[Place]) -> dict[Place, dict[str, Any]]:
    """Those of the I(wanted) objects that exist: one GET for the only one of a namespace, else one list of it.

    A kind that isn't served has no objects. Raises ApiError.
    """
    by_namespace: dict[Optional[str], list[Place]] = {}
    for place in wanted:
        by_namespace.setdefault(place.namespace, []).append(place)
    found: dict[Place, dict[str, Any]] = {}
    for namespace, members in by_namespace.items():
        if len(members) == 1:
            obj = client.get(resource.path(members[0].name, namespace))
            if obj is not None:
                found[members[0]] = obj
            continue
        try:
            listed = client.list(resource.path(namespace=namespace))
        except ApiError as error:
            if error.status != 404:
                raise
            continue
        listed_by_place = {place_of(obj): obj for obj in listed}
        found.update((place, listed_by_place[place]) for place in members if place in listed_by_place)
    return found


class Items:
    """What becomes of each object: fills I(result) under I(key) and says in the end how many have failed.

    I(further) are keys that every item has besides, with what they are at first.
    """

    def __init__(self, result: dict[str, Any], key: str, what: str, **further: Any):
        self._result = result
        self._what = what
        self._further = further
        self.items: list[dict[str, Any]] = []
        result[key] = self.items

    def add(self, **fields: Any) -> dict[str, Any]:
        """A new item, so far unchanged."""
        item = {**fields, "action": UNCHANGED, "predicted": False, "failed": False, "msg": None, **self._further}
        self.items.append(item)
        return item

    def attempt(self, item: dict[str, Any], action: Callable[..., Outcome], *arguments: Any) -> Optional[Outcome]:
        """Note in I(item) what I(action) did; None when it failed, which doesn't keep the others from being handled."""
        try:
            outcome = action(*arguments)
        except ClusternetError as error:
            self.fail(item, error.msg)
            return None
        item.update(action=outcome.action, predicted=outcome.predicted)
        self._result["changed"] = self._result["changed"] or outcome.changed
        return outcome

    @staticmethod
    def fail(item: dict[str, Any], msg: str) -> None:
        """Note that the item has failed."""
        item.update(failed=True, msg=msg)

    def finish(self) -> None:
        """Raise ClusternetError when any item has failed."""
        failed = [item for item in self.items if item["failed"]]
        if failed:
            raise ClusternetError(
                f"{len(failed)} of {len(self.items)} {self._what} failed: "
                + "; ".join(f"{Place(item.get('namespace'), item['name'])}: {item['msg']}" for item in failed),
                "SomeFailed",
                names=[item["name"] for item in failed],
            )


class Work:
    """Creates, changes and removes objects of one kind; what became of each goes to I(items).

    With I(foresee), diffs also show what changes on the clusters.
    """

    def __init__(self, reconciler: Reconciler, resource: Resource, items: Items, foresee: Optional[Foresight] = None):
        self._reconciler = reconciler
        self._resource = resource
        self._items = items
        self._foresee = foresee

    def present(self, wanted: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any], Outcome]]:
        """Bring all to what is wanted; the items and outcomes of those that didn't fail. Raises ApiError on reading."""
        by_place = {place_of(obj): obj for obj in wanted}
        live = read(self._reconciler.client, self._resource, by_place)
        foreseen = []
        if self._foresee and any(place not in live or change(live[place], by_place[place]) for place in by_place):
            foreseen = self._foresee(self._reconciler.client, list(by_place.values()))
        done = self._each(by_place, lambda place: self._apply(live.get(place), by_place[place]))
        self._reconciler.diffs += foreseen
        return done

    def absent(self, doomed: list[Place]) -> list[tuple[dict[str, Any], Outcome]]:
        """Remove all; the items and outcomes of those that didn't fail. Raises ApiError on reading."""
        live = read(self._reconciler.client, self._resource, doomed)
        going = [_going(self._resource, obj) for obj in live.values() if not obj["metadata"].get("deletionTimestamp")]
        foreseen = self._foresee(self._reconciler.client, going) if self._foresee and going else []
        done = self._each(doomed, lambda place: self._reconciler.delete(self._resource, live.get(place)))
        self._reconciler.diffs += foreseen
        return done

    def _each(self, wanted: Iterable[Place], action: Callable[[Place], Outcome]) -> list:
        handled = []
        for place in wanted:
            namespace = {"namespace": place.namespace} if self._resource.namespaced else {}
            handled.append((self._items.add(name=place.name, **namespace), place))
        if len(handled) < _FEW:
            outcomes = [self._items.attempt(item, action, place) for item, place in handled]
        else:
            outcomes = self._at_once(handled, action)
        return [(handled[number][0], outcome) for number, outcome in enumerate(outcomes) if outcome is not None]

    def _at_once(self, handled: list[tuple], action: Callable[[Place], Outcome]) -> list[Optional[Outcome]]:
        """Handle many, several at a time; the diffs come in the order of the places nevertheless."""
        from concurrent.futures import ThreadPoolExecutor

        before = len(self._reconciler.diffs)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            outcomes = list(pool.map(lambda pair: self._items.attempt(pair[0], action, pair[1]), handled))
        order = {f"{self._resource.kind}/{place}": number for number, (_item, place) in enumerate(handled)}
        self._reconciler.diffs[before:] = sorted(
            self._reconciler.diffs[before:], key=lambda diff: order[diff["after_header"]]
        )
        return outcomes

    def _apply(self, live: Optional[dict[str, Any]], wanted: dict[str, Any]) -> Outcome:
        if live is None:
            return self._create(wanted)
        if live["metadata"].get("deletionTimestamp"):
            raise ClusternetError("It is being removed; wait until it is gone.", "Terminating")
        return self._reconciler.patch(self._resource, live, change(live, wanted))

    def _create(self, wanted: dict[str, Any]) -> Outcome:
        try:
            return self._reconciler.create(self._resource, _new(wanted))
        except ApiError as error:
            if error.status != 404:
                raise
            missing = error.details.get("api") or {}
            if missing.get("kind") == "namespaces":
                msg = f"The parent has no namespace {wanted['metadata']['namespace']}."
            elif missing.get("name"):  # something else isn't there, and the error names it
                raise
            else:
                msg = (
                    f"This cluster doesn't serve {self._resource.kind}s, so it is no Clusternet parent. "
                    "The role clusternet.core.hub makes it one."
                )
            raise ClusternetError(msg, "NotFound") from error
