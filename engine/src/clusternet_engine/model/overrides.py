"""What Localizations and Globalizations do to native objects, Helm values and HelmCharts (spec/03 §7)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.documents import DocumentError, read_document
from clusternet_engine.model.feeds import feed_reference
from clusternet_engine.model.field_patches import patch_field
from clusternet_engine.model.merging import PatchError, coalesce, json_patch, merge_patch
from clusternet_engine.model.selectors import selector_of

HELM = "Helm"
JSON_PATCH = "JSONPatch"
MERGE_PATCH = "MergePatch"
FIELD_JSON_PATCH = "FieldJSONPatch"
FIELD_MERGE_PATCH = "FieldMergePatch"

_FIXED_IN_CHARTS = (("metadata", "name"), ("metadata", "namespace"), ("spec", "chart"), ("spec", "targetNamespace"))
"""What no override of a HelmChart can change; the first two identify it, the others are spec/03 §7.2."""


class OverrideError(ValueError):
    """An override doesn't fit what it is meant for; the message names it."""


@dataclass(frozen=True, slots=True)
class Override:
    """One Localization or Globalization that applies."""

    text: str
    """How messages name it: `Localization ns/name`."""
    entries: Sequence[Object]
    """What it does, in order."""


def is_live(override: Object) -> bool:
    """Return whether a Localization or Globalization is not being deleted."""
    return not override["metadata"].get("deletionTimestamp")


def is_urgent(override: Object) -> bool:
    """Return whether the policy asks for rendering at once (spec/03 §7.3)."""
    return bool(override["spec"].get("overridePolicy") == names.APPLY_NOW)


def override_text(override: Object) -> str:
    """Return how messages name a Localization or Globalization."""
    metadata = override["metadata"]
    namespace = metadata.get("namespace")
    return (
        f"{override['kind']} {namespace}/{metadata['name']}" if namespace else f"{override['kind']} {metadata['name']}"
    )


def applicable(
    references: Iterable[str],
    localizations: Iterable[Object],
    globalizations: Iterable[Object],
    clusters_labels: Collection[Mapping[str, str]],
) -> Iterator[Override]:
    """Yield the overrides of an object in the order they apply; later ones win (spec/03 §7.1).

    First all Globalizations that select one of the clusters, then all Localizations, each by ascending priority; of
    equal ones the oldest first, since the reference leaves their order open. Those being deleted don't count.

    Args:
        references: by which feeds can mean the object.
        localizations: of the dedicated namespace.
        globalizations: all.
        clusters_labels: labels of the ManagedClusters in the dedicated namespace.

    Raises:
        OverrideError: the `clusterAffinity` of a Globalization is no selector.
    """
    wanted = frozenset(references)
    for candidates in (globalizations, localizations):
        meant = [override for override in candidates if is_live(override) and _reference(override) in wanted]
        for override in sorted(meant, key=_order):
            if selects(override, clusters_labels):
                yield Override(override_text(override), override["spec"].get("overrides") or ())


def selects(override: Object, clusters_labels: Collection[Mapping[str, str]]) -> bool:
    """Return whether an override is meant for one of these clusters; without `clusterAffinity` it is for all.

    Raises:
        OverrideError: the `clusterAffinity` is no selector.
    """
    affinity = override["spec"].get("clusterAffinity")
    if affinity is None:
        return True
    try:
        selector = selector_of(affinity)
    except ValueError as error:
        raise OverrideError(f"{override_text(override)}: clusterAffinity: {error}") from None
    return any(map(selector.matches, clusters_labels))


def selects_differently(override: Object, before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Return whether a change of a cluster's labels decides whether an override is meant for it."""
    try:
        return selects(override, (before,)) != selects(override, (after,))
    except OverrideError:
        return False


def override_native(document: Object, overrides: Iterable[Override]) -> Object:
    """Return a native object after its overrides; entries that are meant for charts do nothing.

    Raises:
        OverrideError: one doesn't fit, or leaves something that is no object.
    """
    for override, entry, value in _entries(overrides):
        if not entry.get("overrideChart"):
            document = _checked(override, entry, _apply(override, entry, value, document))
    return document


def override_chart(chart: Object, overrides: Iterable[Override]) -> tuple[Object, Object]:
    """Return a HelmChart and its values after the overrides.

    Entries with `overrideChart` change the chart, all others the values, which are empty at first.

    Raises:
        OverrideError: one doesn't fit.
    """
    overridden, values = chart, None
    for override, entry, value in _entries(overrides):
        if entry.get("overrideChart"):
            overridden = _checked(override, entry, _apply(override, entry, value, overridden))
        elif entry["type"] in (HELM, MERGE_PATCH) and values is None:
            values = _mapping(override, entry, value)
        elif entry["type"] == HELM:
            values = coalesce(values or {}, _mapping(override, entry, value))
        else:
            values = _mapping(override, entry, _apply(override, entry, value, values or {}))
    return _with_fixed_fields(overridden, chart), values or {}


def _reference(override: Object) -> str | None:
    feed = override["spec"].get("feed")
    return feed_reference(feed) if feed else None


def _entries(overrides: Iterable[Override]) -> Iterator[tuple[Override, Object, Any]]:
    """Yield every entry that says something, with its value read."""
    for override in overrides:
        for entry in override.entries:
            try:
                value = read_document(entry["value"])
            except DocumentError as error:
                raise _failed(override, entry, f"the value is {error}") from None
            if value is not None:
                yield override, entry, value


def _apply(override: Override, entry: Object, value: Any, document: Any) -> Any:
    """Return the document after one entry."""
    kind = entry["type"]
    try:
        if kind == JSON_PATCH:
            return json_patch(document, value)
        if kind in (HELM, MERGE_PATCH):
            return merge_patch(document, _mapping(override, entry, value))
        if kind in (FIELD_JSON_PATCH, FIELD_MERGE_PATCH):
            path, text_format = entry.get("fieldPath") or "", entry.get("fieldFormat") or ""
            return patch_field(document, path, text_format, value, merge=kind == FIELD_MERGE_PATCH)
    except PatchError as error:
        raise _failed(override, entry, str(error)) from None
    raise _failed(override, entry, f"type {kind!r} is none of {', '.join(names.OVERRIDE_TYPES)}")


def _mapping(override: Override, entry: Object, value: Any) -> Object:
    if not isinstance(value, dict):
        raise _failed(override, entry, "the value must be a mapping")
    return value


def _checked(override: Override, entry: Object, document: Any) -> Object:
    """Make sure that what an entry leaves is still an object."""
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if isinstance(metadata, dict):
        identity = (document.get("apiVersion"), document.get("kind"), metadata.get("name"))
        if all(isinstance(part, str) and part for part in identity):
            return document  # type: ignore[no-any-return]
    raise _failed(override, entry, "it leaves no apiVersion, kind or metadata.name")


def _with_fixed_fields(overridden: Object, chart: Object) -> Object:
    result = dict(overridden)
    for part, field in _FIXED_IN_CHARTS:
        there = result.get(part)
        result[part] = {**(there if isinstance(there, dict) else {}), field: chart[part][field]}
    return result


def _order(override: Object) -> tuple[int, str, str]:
    metadata = override["metadata"]
    priority = override["spec"].get("priority")
    return (
        names.DEFAULT_PRIORITY if priority is None else priority,
        metadata.get("creationTimestamp") or "",
        metadata["name"],
    )


def _failed(override: Override, entry: Object, why: str) -> OverrideError:
    name = entry.get("name")
    return OverrideError(f"{override.text}: override {name!r}: {why}" if name else f"{override.text}: {why}")
