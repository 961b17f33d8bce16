"""Keeps native objects as Manifests: names, labels, templates, and what a dry run says of them."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from clusternet_engine.kube.resources import MANIFESTS, Object, Resource
from clusternet_engine.model import constants as names
from clusternet_engine.model.apply import Manager, managed_fields, managers_of
from clusternet_engine.model.documents import DocumentError, read_json
from clusternet_engine.model.labels import digested, label_form
from clusternet_engine.model.names import is_dns_label, is_dns_subdomain

SHADOW_API_VERSION = f"{names.SHADOW_GROUP}/{names.SHADOW_VERSION}"

MAX_NAME = 1024
"""Characters of a name; some kinds have no limit of their own."""

_OF_MANIFEST = (
    "generation",
    "creationTimestamp",
    "resourceVersion",
    "uid",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
"""Metadata that a shadow object has from its Manifest (spec/04 §8.3)."""
_JOB_UID_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid")
_JOB_LABELS = (*_JOB_UID_LABELS, "batch.kubernetes.io/job-name")


def manifest_name(plural: str, name: str, namespace: str | None = None) -> str:
    """Return the name of the Manifest of an object: `deployments.foo.web` or `namespaces.foo`.

    A name that Manifests can't have, such as `system:node`, becomes its beginning and a digest.
    """
    found = ".".join(filter(None, (plural, namespace, name)))
    if is_dns_subdomain(found):
        return found
    return ".".join(filter(None, (plural, namespace, digested(re.sub("[^a-z0-9]", "-", name.lower()), name))))


def legacy_manifest_name(plural: str, name: str, namespace: str | None = None) -> str:
    """Return the name that old hubs gave to the Manifest of an object."""
    return "-".join(filter(None, (plural, namespace, name)))


def name_problem(name: str, namespace: str | None = None) -> str | None:
    """Return why an object of this name can't be kept as a Manifest; None if it can.

    Names that Kubernetes takes for some kind are taken; which kind takes which is judged by the dry run.
    """
    if namespace is not None and not is_dns_label(namespace):
        return f"{namespace!r} is not the name of a namespace"
    if not name:
        return "is required"
    if name in (".", "..") or "/" in name or "%" in name:
        return "may not be '.' or '..', nor contain '/' or '%'"
    if len(name) > MAX_NAME:
        return f"must be no more than {MAX_NAME} characters"
    return None


def manifest_labels(obj: Object, resource: Resource) -> dict[str, str]:
    """Return the labels of an object's Manifest: all labels of the object, and what it is (spec/04 §8.2)."""
    metadata = obj["metadata"]
    return {**(metadata.get("labels") or {}), **config_labels(resource, metadata["name"], metadata.get("namespace"))}


def config_labels(resource: Resource, name: str, namespace: str | None) -> dict[str, str]:
    """Return the labels that tell which object a Manifest holds."""
    return {
        names.CONFIG_GROUP_LABEL: label_form(resource.group),
        names.CONFIG_VERSION_LABEL: resource.version,
        names.CONFIG_KIND_LABEL: resource.kind,
        names.CONFIG_NAME_LABEL: label_form(name),
        names.CONFIG_NAMESPACE_LABEL: namespace or "",
    }


def make_manifest(obj: Object, resource: Resource, reserved_namespace: str, uid: str) -> Object:
    """Return the Manifest of a new object.

    Args:
        obj: as it is kept.
        resource: its kind.
        reserved_namespace: where Manifests are kept.
        uid: for the object in the Manifest. Clusternet's hub takes an object without one for one that isn't there
            whenever somebody patches it. Users see the Manifest's own UID instead.
    """
    metadata = obj["metadata"]
    return {
        "apiVersion": MANIFESTS.api_version,
        "kind": MANIFESTS.kind,
        "metadata": {
            "name": manifest_name(resource.plural, metadata["name"], metadata.get("namespace")),
            "namespace": reserved_namespace,
            "labels": manifest_labels(obj, resource),
        },
        "template": {**obj, "metadata": {**metadata, "uid": uid}},
    }


def updated_manifest(manifest: Object, obj: Object, resource: Resource) -> Object:
    """Return a Manifest whose object is replaced.

    Labels that the object had and no longer has leave the Manifest, too; all others of the Manifest's own stay. The
    object keeps its UID; one that has none, as former hubs stored them, gets the Manifest's.
    """
    metadata, before = manifest["metadata"], manifest["template"].get("metadata") or {}
    gone = set(before.get("labels") or {})
    kept = {key: value for key, value in (metadata.get("labels") or {}).items() if key not in gone}
    labels = kept | manifest_labels(obj, resource)
    uid = before.get("uid") or metadata["uid"]
    template = {**obj, "metadata": {**obj["metadata"], "uid": uid}}
    return {**manifest, "metadata": {**metadata, "labels": labels}, "template": template}


def shadow_object(manifest: Object) -> Object:
    """Return the object that a Manifest holds, as the shadow API shows it: with the Manifest's own identity."""
    template, outer = manifest["template"], manifest["metadata"]
    metadata = {**(template.get("metadata") or {})}
    metadata |= {field: outer[field] for field in _OF_MANIFEST if field in outer}
    if managers := owners(manifest):
        metadata["managedFields"] = managed_fields(managers)
    if told := (outer.get("annotations") or {}).get(names.FEED_PROTECTION_ANNOTATION):
        metadata["annotations"] = {**(metadata.get("annotations") or {}), names.FEED_PROTECTION_ANNOTATION: told}
    return {**template, "metadata": metadata}


def owners(manifest: Object) -> list[Manager]:
    """Return who owns which field of a Manifest's object; nobody is known as long as nobody has applied it."""
    text = (manifest["metadata"].get("annotations") or {}).get(names.MANAGED_FIELDS_ANNOTATION)
    try:
        return managers_of(read_json(text)) if text else []
    except (DocumentError, LookupError, TypeError, AttributeError):
        return []


def with_owners(manifest: Object, managers: list[Manager]) -> Object:
    """Return a Manifest that remembers who owns which field of its object."""
    metadata = manifest["metadata"]
    text = json.dumps(managed_fields(managers), separators=(",", ":"))
    annotations = {**(metadata.get("annotations") or {}), names.MANAGED_FIELDS_ANNOTATION: text}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def without_nulls(value: Any) -> Any:
    """Return a value without the fields that are null."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nulls(inner) for inner in value]
    return value


def template_of(obj: Object) -> Object:
    """Return an object as it is kept, out of what somebody sent: without identity, status and what the hub adds."""
    kept = {field: value for field, value in obj.items() if field != "status"}
    metadata = {field: value for field, value in obj["metadata"].items() if field not in _NOT_KEPT}
    annotations = dict(metadata.pop("annotations", None) or {})
    annotations.pop(names.FEED_PROTECTION_ANNOTATION, None)
    if annotations:
        metadata["annotations"] = annotations
    metadata["labels"] = {**(metadata.get("labels") or {}), names.CREATED_BY_LABEL: names.CREATED_BY_HUB}
    return {**kept, "metadata": metadata}


_NOT_KEPT = frozenset({*_OF_MANIFEST, "managedFields", "selfLink", "generateName"})


def skips_validation(obj: Object) -> bool:
    """Return whether an object asks to be stored as it is, without a dry run."""
    annotations = obj["metadata"].get("annotations") or {}
    return bool(annotations.get(names.SKIP_VALIDATING_ANNOTATION) == "true")


def dry_run_object(obj: Object, reserved_namespace: str, name: str) -> Object:
    """Return what is sent to the parent to check an object, under a name and in the reserved namespace.

    Of a Service it leaves out what only has a meaning on the child: addresses, and node ports in the range of ports,
    which may be taken on the parent.
    """
    metadata = {**obj["metadata"], "name": name}
    if "namespace" in metadata:
        metadata["namespace"] = reserved_namespace
    sent = copy.deepcopy({**obj, "metadata": metadata})
    if _is(sent, "", "Service") and isinstance(spec := sent.get("spec"), dict):
        _drop_addresses(spec)
        for holder in _port_holders(spec):
            for field in ("nodePort", "healthCheckNodePort"):
                if _is_port(holder.get(field)):
                    del holder[field]
    return sent


def published_object(given: Object, answer: Object) -> Object:
    """Return the object to keep, out of what somebody sent and the parent has accepted.

    What the parent would have filled in is no part of it: its defaults and its admission are those of another cluster.
    Only fields that are null go where the parent reads them as absent, and `trimmed` what belongs to one cluster.

    Args:
        given: what was asked for.
        answer: of the dry run.
    """
    obj = trimmed(given)
    return {key: _without_nulls_but(value, answer.get(key)) for key, value in obj.items()}


def trimmed(obj: Object) -> Object:
    """Return an object without what only has a meaning on the cluster that it was read from.

    These are the addresses of a Service, and the labels by which a Job knows its pods. Of another type than they should
    be, they stay as they are.
    """
    obj = copy.deepcopy(obj)
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        return obj
    if _is(obj, "", "Service"):
        _trim_service(spec)
    template = spec.get("template")
    inner = template.get("metadata") if isinstance(template, dict) else None
    if _is(obj, "batch", "Job"):
        _trim_job(spec, inner if isinstance(inner, dict) else {}, obj["metadata"].get("name"))
    if isinstance(inner, dict):
        inner.pop("creationTimestamp", None)
    return obj


def covers(live: Any, given: Any) -> bool:
    """Return whether a live value is the given one with defaults filled in."""
    if isinstance(given, dict):
        return isinstance(live, dict) and all(key in live and covers(live[key], value) for key, value in given.items())
    if isinstance(given, list):
        return (
            isinstance(live, list)
            and len(live) == len(given)
            and all(covers(one, other) for one, other in zip(live, given, strict=True))
        )
    return bool(live == given)


def replicas_of(obj: Object, replicas_path: tuple[str, ...]) -> int | None:
    """Return the number of replicas that an object asks for; None if it leaves that to others."""
    value: Any = obj
    for part in replicas_path:
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def scale_of(obj: Object, replicas_path: tuple[str, ...], default: int) -> Object:
    """Return the `scale` of an object, as API group autoscaling/v1 has it.

    Args:
        obj: the object.
        replicas_path: where its number of replicas stands.
        default: the number where it asks for none.
    """
    metadata = obj["metadata"]
    fields = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    asked = replicas_of(obj, replicas_path)
    replicas = default if asked is None else asked
    selector = (obj.get("spec") or {}).get("selector") or {}
    labels = selector.get("matchLabels", selector) if isinstance(selector, dict) else {}
    text = ",".join(f"{key}={value}" for key, value in labels.items() if isinstance(value, str))
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {field: metadata[field] for field in fields if field in metadata},
        "spec": {"replicas": replicas},
        "status": {"replicas": replicas, **({"selector": text} if text else {})},
    }


def with_replicas(obj: Object, replicas_path: tuple[str, ...], replicas: int) -> Object:
    """Return an object with another number of replicas."""
    scaled = copy.deepcopy(obj)
    holder = scaled
    for part in replicas_path[:-1]:
        holder = holder.setdefault(part, {})
    holder[replicas_path[-1]] = replicas
    return scaled


def _is(obj: Mapping[str, Any], group: str, kind: str) -> bool:
    found, _, _ = str(obj.get("apiVersion")).rpartition("/")
    return obj.get("kind") == kind and found == group


def _is_port(value: object) -> bool:
    return isinstance(value, int) and 0 < value < 65536


def _port_holders(spec: Object) -> Iterator[Object]:
    yield spec
    ports = spec.get("ports")
    yield from (port for port in ports if isinstance(port, dict)) if isinstance(ports, list) else ()


def _drop_addresses(spec: Object) -> None:
    if spec.get("clusterIP") != "None":
        spec.pop("clusterIP", None)
        spec.pop("clusterIPs", None)


def _trim_service(spec: Object) -> None:
    """Take away addresses; ports on nodes that somebody chose stay."""
    _drop_addresses(spec)
    for holder in _port_holders(spec):
        for field in ("nodePort", "healthCheckNodePort"):
            if field in holder and not _is_port(holder[field]):
                del holder[field]


def _trim_job(spec: Object, template: Object, name: object) -> None:
    """Take away the labels that a cluster made; `job-name` stays, with the job's own name."""
    selector = spec.get("selector")
    selector = selector if isinstance(selector, dict) else {}
    for holder, field, made in (
        (selector, "matchLabels", _JOB_UID_LABELS),
        (template, "labels", _JOB_LABELS),
    ):
        labels = holder.get(field)
        if not isinstance(labels, dict):
            continue
        for label in made:
            labels.pop(label, None)
        if not labels:
            holder.pop(field)
    if "selector" in spec and not selector:
        spec.pop("selector")
    labels = template.get("labels")
    if isinstance(labels, dict) and "job-name" in labels:
        labels["job-name"] = name


def _without_nulls_but(value: Any, kept: Any) -> Any:
    """Return a value without the fields that are null, but for those that are null in another value, too."""
    if isinstance(value, dict):
        other = kept if isinstance(kept, dict) else {}
        return {
            key: _without_nulls_but(inner, other.get(key))
            for key, inner in value.items()
            if inner is not None or (key in other and other[key] is None)
        }
    if isinstance(value, list):
        others = kept if isinstance(kept, list) and len(kept) == len(value) else [None] * len(value)
        return [_without_nulls_but(inner, other) for inner, other in zip(value, others, strict=True)]
    return value
