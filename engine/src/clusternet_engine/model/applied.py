"""The objects of a Description as they are applied to a cluster, and how both sides remember them (spec/03 §8.2)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

import orjson

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.documents import DocumentError, read_json

APPLIED_OBJECTS_ANNOTATION = f"{names.APPS_GROUP}/applied-objects"
"""On Descriptions, not in Clusternet's own API: references of all objects that were or may have been applied.

Those of objects that go by themselves tell in which form they were (`model/expiring.py`).
"""
MAX_LAST_APPLIED = 200_000
"""Bytes of the annotation with the last applied configuration; all annotations together may have 256 KiB."""

_SYSTEM_METADATA = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "managedFields",
    "selfLink",
)
_REFERENCE = ("apiVersion", "kind", "namespace", "name")

Identity = tuple[str, str, str, str]
"""What makes a reference one object: group, kind, namespace, name; versions are views of the same."""


class MalformedObject(Exception):
    """An entry of a Description is no Kubernetes object."""


def parse_objects(raw: Iterable[str]) -> list[Object]:
    """Return the objects of `Description.spec.raw`.

    Raises:
        MalformedObject: an entry is not the base64 of a JSON object with apiVersion, kind and name.
    """
    objects = []
    for number, text in enumerate(raw):
        try:
            obj = read_json(base64.b64decode(text, validate=True))
        except ValueError as error:
            raise MalformedObject(f"entry {number} of spec.raw is {error}") from None
        if not is_object(obj):
            raise MalformedObject(f"entry {number} of spec.raw lacks apiVersion, kind or metadata.name")
        objects.append(obj)
    return objects


def is_object(obj: object) -> bool:
    """Return whether a value is a Kubernetes object."""
    if not (isinstance(obj, dict) and isinstance(obj.get("metadata"), dict)):
        return False
    texts = (obj.get("apiVersion"), obj.get("kind"), obj["metadata"].get("name"))
    return all(isinstance(text, str) and text for text in texts)


def owner_text(namespace: str, name: str) -> str:
    """Return how an object on a cluster names the Description that it belongs to."""
    return f"{namespace}.{name}"


def owner_of(obj: Object) -> tuple[str, str] | None:
    """Return namespace and name of the Description that an object belongs to; namespaces have no dots, names may."""
    text = (obj["metadata"].get("annotations") or {}).get(names.OWNED_BY_DESCRIPTION_ANNOTATION) or ""
    namespace, dot, name = text.partition(".")
    return (namespace, name) if dot and namespace and name else None


def prepare(obj: Object, owner: str) -> Object:
    """Return an object as it is applied: without what the system keeps, with the annotations that mark it.

    Args:
        obj: the object of a Description.
        owner: the `owner_text` of that Description.
    """
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _SYSTEM_METADATA}
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if key not in (names.KUBECTL_LAST_APPLIED_ANNOTATION, names.LAST_APPLIED_ANNOTATION)
    }
    annotations[names.OWNED_BY_DESCRIPTION_ANNOTATION] = owner
    prepared = {key: value for key, value in _with_plain_data(obj).items() if key != "status"}
    prepared["metadata"] = {**metadata, "annotations": annotations}
    text = orjson.dumps(prepared, option=orjson.OPT_SORT_KEYS)
    if len(text) <= MAX_LAST_APPLIED:
        marked = {**annotations, names.LAST_APPLIED_ANNOTATION: text.decode()}
        prepared["metadata"] = {**metadata, "annotations": marked}
    return prepared


def _with_plain_data(obj: Object) -> Object:
    """Return a Secret with its `stringData` in `data`, where it is compared and owned; other objects as they are."""
    if (obj["apiVersion"], obj["kind"]) != ("v1", "Secret") or not obj.get("stringData"):
        return obj
    encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in obj["stringData"].items()}
    rest = {key: value for key, value in obj.items() if key != "stringData"}
    return {**rest, "data": {**(obj.get("data") or {}), **encoded}}


def reference(obj: Object) -> Object:
    """Return `{apiVersion, kind, namespace, name}` of an object; cluster-scoped ones have no namespace."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        **({"namespace": namespace} if namespace else {}),
        "name": metadata["name"],
    }


def references_of(description: Object) -> dict[int, Object]:
    """Return references to the objects of a Description by their place in `spec.raw`; none if one is malformed."""
    try:
        return dict(enumerate(map(reference, parse_objects(description["spec"].get("raw") or ()))))
    except MalformedObject:
        return {}


def identity(reference: Mapping[str, str]) -> Identity:
    """Return the identity of a reference."""
    group = reference["apiVersion"].rpartition("/")[0]
    return group, reference["kind"], reference.get("namespace") or "", reference["name"]


def remembered(description: Object) -> list[Object]:
    """Return the references that a Description's annotation holds; entries that are none are left out."""
    text = (description["metadata"].get("annotations") or {}).get(APPLIED_OBJECTS_ANNOTATION) or "[]"
    try:
        entries = read_json(text)
    except DocumentError:
        return []
    return [entry for entry in entries if _is_reference(entry)] if isinstance(entries, list) else []


def _is_reference(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and all(isinstance(entry.get(key), str) for key in _REFERENCE if key != "namespace")
        and isinstance(entry.get("namespace", ""), str)
    )


def to_annotation(references: Iterable[Object]) -> str:
    """Return the annotation's text for these references."""
    return orjson.dumps(list(references)).decode()


def unlisted(description: Object) -> list[Object]:
    """Return references to what a Description has had and doesn't list any more; none if it can't be read."""
    listed = _listed(description)
    return without(remembered(description), listed) if listed is not None else []


def remembering(references: Iterable[Object]) -> dict[str, str]:
    """Return the annotation of a Description that has, or has had, these references."""
    return {APPLIED_OBJECTS_ANNOTATION: to_annotation(references)}


def remembering_lost(before: Object, after: Object) -> Object:
    """Return a Description that remembers what it loses by a change.

    Args:
        before: the Description that is there.
        after: as it is to be.
    """
    was, stays = _listed(before) or [], _listed(after)
    if stays is None or not without(was, stays):
        return after
    metadata = after["metadata"]
    noted = {identity(entry): entry for entry in remembered(before)}
    entries = [{**noted.get(identity(entry), {}), **entry} for entry in union(noted.values(), was, stays)]
    annotations = {**(metadata.get("annotations") or {}), **remembering(entries)}
    return {**after, "metadata": {**metadata, "annotations": annotations}}


def _listed(description: Object) -> list[Object] | None:
    """Return references to what a Description lists; None if it can't be read."""
    found = references_of(description)
    return list(found.values()) if len(found) == len(description["spec"].get("raw") or ()) else None


def union(*groups: Iterable[Object]) -> list[Object]:
    """Return all references, each object once; later ones replace earlier ones of the same object."""
    return list({identity(entry): entry for group in groups for entry in group}.values())


def without(references: Iterable[Object], others: Iterable[Object]) -> list[Object]:
    """Return the references to objects that the others don't mean."""
    kept = {identity(entry) for entry in others}
    return [entry for entry in references if identity(entry) not in kept]
