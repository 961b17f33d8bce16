"""Schemas of resources as OpenAPI v3 documents of API servers tell them, with Kubernetes' extensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

GVK = "x-kubernetes-group-version-kind"
PRESERVE_UNKNOWN = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"
EMBEDDED = "x-kubernetes-embedded-resource"
LIST_TYPE = "x-kubernetes-list-type"
LIST_MAP_KEYS = "x-kubernetes-list-map-keys"
MAP_TYPE = "x-kubernetes-map-type"
PATCH_STRATEGY = "x-kubernetes-patch-strategy"
PATCH_MERGE_KEY = "x-kubernetes-patch-merge-key"

_REFERENCE = "#/components/schemas/"
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


class Schema:
    """A schema within its document. What stands beside a reference counts more than what it refers to.

    Args:
        node: the schema as the document has it.
        definitions: `components.schemas` of the document.
    """

    def __init__(self, node: Mapping[str, Any], definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        merged: dict[str, Any] = {}
        while True:
            merged = {**node, **merged}
            target = _target(node)
            if target is None or target not in definitions:
                break
            merged.pop("$ref", None)
            merged.pop("allOf", None)
            node = definitions[target]
        self._node = merged

    @property
    def type(self) -> str | None:
        """The JSON type of values; None if any may come."""
        found = self._node.get("type")
        return None if self._node.get(INT_OR_STRING) else found

    def extension(self, name: str) -> Any:
        """Return the value of one of Kubernetes' extensions; None if it isn't there."""
        return self._node.get(name)

    def field(self, name: str) -> Schema | None:
        """Return the schema of a field; None if there is none for it."""
        properties = self._node.get("properties") or {}
        if name in properties:
            return Schema(properties[name], self._definitions)
        additional = self._node.get("additionalProperties")
        return Schema(additional, self._definitions) if isinstance(additional, Mapping) else None

    @property
    def items(self) -> Schema | None:
        """The schema of a list's elements; None if there is none."""
        items = self._node.get("items")
        return Schema(items, self._definitions) if isinstance(items, Mapping) else None

    @property
    def required(self) -> list[str]:
        """Names of the fields that must be there."""
        return list(self._node.get("required") or ())

    @property
    def is_open(self) -> bool:
        """Whether fields that the schema doesn't name are allowed."""
        node = self._node
        return bool(
            "properties" not in node
            or node.get("additionalProperties")
            or node.get(PRESERVE_UNKNOWN)
            or node.get(EMBEDDED)
        )


@dataclass(slots=True)
class Problems:
    """What is wrong with an object.

    Attributes:
        errors: what can't be stored.
        unknown: fields that the schema doesn't know.
    """

    errors: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def find_schema(document: Mapping[str, Any], group: str, version: str, kind: str) -> Schema | None:
    """Return the schema of a kind in an OpenAPI v3 document; None if it isn't there."""
    definitions = (document.get("components") or {}).get("schemas") or {}
    wanted = {"group": group, "version": version, "kind": kind}
    for node in definitions.values():
        if wanted in (node.get(GVK) or ()):
            return Schema(node, definitions)
    return None


def problems(schema: Schema, value: Any) -> Problems:
    """Return what is wrong with a value by its schema: types, missing and unknown fields."""
    found = Problems()
    _look(schema, value, "", found)
    return found


def without_unknown(schema: Schema, value: Any) -> Any:
    """Return a value without the fields that its schema doesn't know, as API servers drop them."""
    if isinstance(value, dict):
        kept = {}
        for name, inner in value.items():
            if field_schema := schema.field(name):
                kept[name] = without_unknown(field_schema, inner)
            elif schema.is_open:
                kept[name] = inner
        return kept
    if isinstance(value, list) and (items := schema.items):
        return [without_unknown(items, inner) for inner in value]
    return value


def _look(schema: Schema, value: Any, path: str, found: Problems) -> None:
    if value is None:
        return
    type_ = schema.type
    if type_ is not None and not _is_a(value, type_):
        found.errors.append(f"{path or '<object>'}: must be of type {type_}")
        return
    if isinstance(value, dict):
        for name in schema.required:
            if name not in value:
                found.errors.append(f"{_join(path, name)}: Required value")
        for name, inner in value.items():
            if field_schema := schema.field(name):
                _look(field_schema, inner, _join(path, name), found)
            elif not schema.is_open:
                found.unknown.append(f'unknown field "{_join(path, name)}"')
    elif isinstance(value, list) and (items := schema.items):
        for number, inner in enumerate(value):
            _look(items, inner, f"{path}[{number}]", found)


def _is_a(value: Any, type_: str) -> bool:
    if isinstance(value, bool):
        return type_ == "boolean"
    return isinstance(value, _TYPES.get(type_, object))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _target(node: Mapping[str, Any]) -> str | None:
    """Return the name of the definition that a schema refers to."""
    reference = node.get("$ref")
    if reference is None and len(node.get("allOf") or ()) == 1:
        reference = node["allOf"][0].get("$ref")
    return reference.removeprefix(_REFERENCE) if isinstance(reference, str) else None
