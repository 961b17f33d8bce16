"""The OpenAPI v3 document of the shadow API, out of those of the resources it stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from clusternet_engine.kube.resources import Object, Resource
from clusternet_engine.model import constants as names
from clusternet_engine.model.schemas import GVK
from clusternet_engine.model.shadow import SHADOW_API_VERSION
from clusternet_engine.model.shadow_resources import ShadowResource

PATCH_TYPES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")


def make_document(definitions: Mapping[str, Any], served: Iterable[ShadowResource]) -> Object:
    """Return the document.

    Args:
        definitions: `components.schemas` of the native resources' documents together.
        served: the resources of the shadow API.
    """
    schemas = dict(definitions)
    paths: dict[str, Any] = {}
    for one in served:
        resource = one.resource
        native = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        name = next((name for name, schema in schemas.items() if native in (schema.get(GVK) or ())), None)
        if name is None:
            continue
        schemas[name] = {**schemas[name], GVK: [_kind(resource)]}
        paths |= _paths(resource, f"#/components/schemas/{name}")
    return {
        "openapi": "3.0.0",
        "info": {"title": "Clusternet shadow API", "version": names.SHADOW_VERSION},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _kind(resource: Resource) -> dict[str, str]:
    return {"group": names.SHADOW_GROUP, "version": names.SHADOW_VERSION, "kind": resource.kind}


def _paths(resource: Resource, reference: str) -> dict[str, Any]:
    prefix = f"/apis/{SHADOW_API_VERSION}" + ("/namespaces/{namespace}" if resource.namespaced else "")
    content = {"application/json": {"schema": {"$ref": reference}}}

    def operation(action: str, body: Mapping[str, Any] | None = None, parameters: Iterable[str] = ()) -> Object:
        made: Object = {
            "responses": {"200": {"description": "OK", "content": content}},
            "x-kubernetes-action": action,
            GVK: _kind(resource),
            "parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in parameters],
        }
        return {**made, "requestBody": {"content": body}} if body else made

    patch = {type_: {"schema": {"type": "object"}} for type_ in PATCH_TYPES}
    return {
        f"{prefix}/{resource.plural}": {
            "get": operation("list"),
            "post": operation("post", content, _WRITE_PARAMETERS),
        },
        f"{prefix}/{resource.plural}/{{name}}": {
            "get": operation("get"),
            "put": operation("put", content, _WRITE_PARAMETERS),
            "patch": operation("patch", patch, (*_WRITE_PARAMETERS, "force")),
            "delete": operation("delete", None, ("dryRun",)),
        },
    }
