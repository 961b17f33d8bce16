"""In which form answers are wanted: whole objects, or only their metadata, as the garbage collector wants them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web

from clusternet_engine.kube.resources import Object, Resource

_META = "meta.k8s.io"


@dataclass(frozen=True, slots=True)
class Representation:
    """The form of answers: whole, or with `metadata_only`."""

    metadata_only: bool

    def object(self, obj: Object) -> Object:
        """Return an object in this form."""
        if not self.metadata_only:
            return obj
        # Owners live on the children: the parent's garbage collector, which reads this form, would miss them.
        metadata = {key: value for key, value in obj["metadata"].items() if key != "ownerReferences"}
        return {"kind": "PartialObjectMetadata", "apiVersion": f"{_META}/v1", "metadata": metadata}

    def list(self, objects: Iterable[Object], metadata: Object, resource: Resource) -> Object:
        """Return a list of objects in this form."""
        items = [self.object(obj) for obj in objects]
        if self.metadata_only:
            kind, api_version = "PartialObjectMetadataList", f"{_META}/v1"
        else:
            kind, api_version = f"{resource.kind}List", resource.api_version
        return {"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items}


def wanted_representation(request: web.Request) -> Representation:
    """Return the first form that a request accepts and the hub can give."""
    for clause in request.headers.get("Accept", "").replace(" ", "").split(","):
        media, *parameters = clause.split(";")
        form = dict(parameter.partition("=")[::2] for parameter in parameters).get("as")
        if media in ("application/json", "application/*", "*/*") and form != "Table":
            return Representation(form in ("PartialObjectMetadata", "PartialObjectMetadataList"))
    return Representation(metadata_only=False)
