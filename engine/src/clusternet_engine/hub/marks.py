"""Finalizers and labels on objects that others write, too."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from clusternet_engine.kube.client import Client, PatchType
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import Object, Resource


def lacks(obj: Object, finalizers: Collection[str], labels: Mapping[str, str]) -> bool:
    """Return whether an object has not all of these finalizers and labels."""
    metadata = obj["metadata"]
    there = metadata.get("labels") or {}
    return not (
        set(finalizers) <= set(metadata.get("finalizers") or ())
        and all(there.get(key) == value for key, value in labels.items())
    )


async def mark(
    client: Client, resource: Resource, obj: Object, finalizers: Collection[str], labels: Mapping[str, str], owner: str
) -> None:
    """Put finalizers and labels onto an object, in one request that can't collide with those of others.

    Args:
        client: of its cluster.
        resource: its kind.
        obj: the object; one of the same name with another UID isn't touched.
        finalizers: all that `owner` wants on it.
        labels: all that `owner` wants on it.
        owner: field manager.
    """
    metadata = obj["metadata"]
    identity = {key: metadata[key] for key in ("name", "namespace", "uid") if key in metadata}
    body = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {**identity, "finalizers": sorted(finalizers), "labels": dict(labels)},
    }
    await client.patch(
        resource,
        metadata["name"],
        body,
        metadata.get("namespace"),
        kind=PatchType.APPLY,
        field_manager=owner,
        force=True,
    )


async def release(client: Client, resource: Resource, obj: Object, finalizers: Collection[str]) -> None:
    """Take finalizers off an object; one that is gone needs none.

    Raises:
        Conflict: it has changed meanwhile.
    """
    metadata = obj["metadata"]
    rest = [finalizer for finalizer in metadata.get("finalizers") or () if finalizer not in finalizers]
    if len(rest) == len(metadata.get("finalizers") or ()):
        return
    patch = {"metadata": {"finalizers": rest, "resourceVersion": metadata["resourceVersion"]}}
    try:
        await client.patch(resource, metadata["name"], patch, metadata.get("namespace"))
    except NotFound:
        return
