"""Published Secrets without their values: how values are taken out of an object, kept in a real Secret, and put back.

Clusternet keeps what is published in custom resources, which clusters don't encrypt at rest. So the values of a Secret,
and the annotations that repeat them, stand in a Secret of their own, and the custom resource only names it. A Secret
with values never changes: whatever has its name has its content. That of a Manifest has a random name; that of a
Description has a name made of what is in it and a key that only the hub knows, so that the Description changes exactly
when a value does, and nobody can guess a value by the name.

Values of any form are kept, those that no API server would take, too: as compressed JSON under one key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import orjson

from clusternet_engine.kube.resources import SECRETS, Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.documents import DocumentError, read_json
from clusternet_engine.model.sync_modes import cluster_deployer

CONTENT_KEY = "values"
"""Key of a Secret with values."""
INCOMPLETE = "valuesMissing"
"""Field of a Manifest in a cache, never on a server: its values aren't known; they are late, or lost."""
LATE, LOST = "late", "lost"
MAX_CONTENT = 4 * 2**20
"""Bytes of values at most, uncompressed; a Secret may have 1 MiB of data, which is 1.4 MiB as base64."""

_FIELDS = ("data", "stringData")
_COPIES = (names.KUBECTL_LAST_APPLIED_ANNOTATION, names.LAST_APPLIED_ANNOTATION)
"""Annotations that hold a copy of the object."""
_NAME_LENGTH = 40


class MalformedValues(Exception):
    """A Secret doesn't hold the values of a published Secret; the text says why, without its content."""


def is_secret(obj: Any) -> TypeGuard[Object]:
    """Return whether something, which may be of any form, is a Secret of Kubernetes' own."""
    return (
        isinstance(obj, dict)
        and obj.get("kind") == SECRETS.kind
        and obj.get("apiVersion") == SECRETS.api_version
        and isinstance(obj.get("metadata"), dict)
    )


def parted(secret: Object) -> tuple[Object, Object]:
    """Return a Secret without its values, and these values; `joined` puts them together again.

    Keys stay, with empty texts in the place of their values.
    """
    bare, values = dict(secret), {}
    for field in _FIELDS:
        content = secret.get(field)
        if isinstance(content, dict):
            bare[field] = {key: value if value is None else "" for key, value in content.items()}
        elif content is not None:
            bare[field] = ""
        if bare.get(field) != content:
            values[field] = content
    annotations = _annotations(secret)
    if copies := {key: annotations[key] for key in _COPIES if key in annotations}:
        values["annotations"] = copies
        bare["metadata"] = _annotated(secret["metadata"], {**annotations, **dict.fromkeys(copies)})
    return bare, values


def joined(bare: Object, values: Mapping[str, Any]) -> Object:
    """Return a Secret with its values.

    A value that somebody has written into the bare one since counts; a key that was taken out of it stays away.
    """
    secret = dict(bare)
    for field in _FIELDS:
        shown, kept = bare.get(field), values.get(field)
        if shown == "" and kept is not None:
            secret[field] = kept
        elif isinstance(shown, dict) and isinstance(kept, dict):
            secret[field] = {key: kept.get(key, "") if value == "" else value for key, value in shown.items()}
    if copies := values.get("annotations"):
        secret["metadata"] = _annotated(bare["metadata"], {**copies, **_annotations(bare)})
    return secret


def without_data(bare: Object) -> Object:
    """Return a Secret whose values are lost: without the keys, too, so that nobody takes empty values for real ones."""
    return {field: value for field, value in bare.items() if field not in _FIELDS}


def shows_values(secret: Object) -> bool:
    """Return whether anything in a Secret has to be taken out of it."""
    return bool(parted(secret)[1])


def values_name(obj: Object) -> str | None:
    """Return the name of the Secret that an object says to have its values in; None if it has them itself."""
    name = _annotations(obj).get(names.VALUES_ANNOTATION)
    return name if isinstance(name, str) and name else None


def referring(obj: Object, name: str | None) -> Object:
    """Return an object that says to have its values in the Secret of this name, or doesn't."""
    if values_name(obj) == name:
        return obj
    return {**obj, "metadata": _annotated(obj["metadata"], {**_annotations(obj), names.VALUES_ANNOTATION: name})}


def unreadable(cluster: Object | None) -> str | None:
    """Return why whoever deploys to a ManagedCluster can't read values in Secrets of their own; None if it can.

    The hub can, and so can agents that say so; Clusternet's own don't.
    """
    if cluster is None or _annotations(cluster).get(names.READS_VALUES_ANNOTATION) == "true":
        return None
    metadata, deployer = cluster["metadata"], cluster_deployer(cluster)
    if deployer == "hub" or cluster["spec"].get("syncMode") == names.PUSH:
        return None
    if deployer is None or not (cluster.get("status") or {}).get("lastObservedTime"):
        return f"waits for the first heartbeat of {metadata['name']}, whose agent says then whether it can read Secrets"
    return (
        f"the agent of {metadata['name']} can't read the values of Secrets where this hub keeps them. Install this "
        "project's agent in the hub's version, let the hub push, or start the hub with --published-secrets=inline "
        "(variable clusternet_hub_published_secrets), which leaves the values readable in custom resources."
    )


def values_secret(
    name: str, namespace: str, kind: str, *, of: str, values: Object, owners: Iterable[Object] = ()
) -> Object:
    """Return the Secret that keeps values.

    Args:
        name: of the Secret.
        namespace: of the Secret.
        kind: the type of the Secret: values of a Manifest, or of a Description.
        of: name of the Manifest, or reference of the object in the Description.
        values: from `parted`.
        owners: references to what it goes with.
    """
    metadata: Object = {
        "name": name,
        "namespace": namespace,
        "labels": {names.CREATED_BY_LABEL: names.CREATED_BY_HUB},
        "annotations": {names.VALUES_OF_ANNOTATION: of},
    }
    if references := list(owners):
        metadata["ownerReferences"] = references
    content = base64.b64encode(zlib.compress(orjson.dumps(values, option=orjson.OPT_SORT_KEYS))).decode()
    return {
        "apiVersion": SECRETS.api_version,
        "kind": SECRETS.kind,
        "metadata": metadata,
        "type": kind,
        "immutable": True,
        "data": {CONTENT_KEY: content},
    }


def values_in(secret: Object, kind: str) -> Object:
    """Return the values that a Secret keeps.

    Raises:
        MalformedValues: it is of another type, or holds something else.
    """
    if secret.get("type") != kind:
        raise MalformedValues(f"Secret {secret['metadata']['name']} is not of the type {kind}")
    try:
        packed = base64.b64decode((secret.get("data") or {})[CONTENT_KEY], validate=True)
        unpacking = zlib.decompressobj()
        values = read_json(unpacking.decompress(packed, MAX_CONTENT))
    except (DocumentError, KeyError, TypeError, ValueError, zlib.error):
        values = None
    if not isinstance(values, dict) or not isinstance(values.get("annotations", {}), dict):
        raise MalformedValues(f"Secret {secret['metadata']['name']} doesn't hold values")
    return values


@dataclass(frozen=True, slots=True)
class Seal:
    """Takes the values out of the Secrets in the Description of a Base.

    Attributes:
        key: random bytes that only the hub knows.
        namespace: of the Description.
        owner: the reference to the Base, with which the values go.
    """

    key: bytes
    namespace: str
    owner: Object

    def take(self, secret: Object, reference: str) -> tuple[Object, Object | None]:
        """Return a Secret as it stands in a Description, and the Secret with its values; None if it has none.

        Args:
            secret: as rendered.
            reference: of the feed that it comes from.
        """
        bare, values = parted(secret)
        if not values:
            return secret, None
        metadata = secret["metadata"]
        what = [self.owner["uid"], reference, metadata.get("namespace"), metadata["name"], values]
        text = orjson.dumps(what, option=orjson.OPT_SORT_KEYS)
        digest = hmac.new(self.key, text, hashlib.sha256).hexdigest()[:_NAME_LENGTH]
        name = f"{names.VALUES_PREFIX}{digest}"
        owner = {field: value for field, value in self.owner.items() if field != "controller"}
        kept = values_secret(
            name, self.namespace, names.DESCRIPTION_VALUES_TYPE, of=reference, values=values, owners=[owner]
        )
        return referring(bare, name), kept


def _annotations(obj: Object) -> Object:
    """Return the annotations of an object; none if they are of a wrong form."""
    annotations = obj["metadata"].get("annotations")
    return annotations if isinstance(annotations, dict) else {}


def _annotated(metadata: Object, annotations: Mapping[str, Any]) -> Object:
    """Return metadata with these annotations; those that are None are left out."""
    kept = {key: value for key, value in annotations.items() if value is not None}
    rest = {key: value for key, value in metadata.items() if key != "annotations"}
    return {**rest, "annotations": kept} if kept else rest
