"""HelmReleases: one for each chart of a Description (spec/03 §8.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from clusternet_engine.kube.resources import HELM_RELEASES, Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.bases import identity_labels, owner_reference
from clusternet_engine.model.descriptions import decode
from clusternet_engine.model.labels import is_label_key, is_label_value, label_form
from clusternet_engine.model.merging import merge_difference
from clusternet_engine.model.names import NAME_LIMIT
from clusternet_engine.model.uid_labels import without_uid_labels

_PHASES = {
    "deployed": names.DESCRIPTION_SUCCESS,
    "pending-install": names.DESCRIPTION_INSTALLING,
    "pending-upgrade": names.DESCRIPTION_UPGRADING,
    "uninstalling": names.DESCRIPTION_UNINSTALLING,
    "superseded": names.DESCRIPTION_SUPERSEDED,
    "failed": names.DESCRIPTION_FAILURE,
}
_DEFAULTED = frozenset({"createNamespace", "timeoutSeconds"})
"""Fields that the API server fills in."""
_GRAVEST_FIRST = (
    names.DESCRIPTION_FAILURE,
    names.DESCRIPTION_UNKNOWN,
    names.DESCRIPTION_UNINSTALLING,
    names.DESCRIPTION_SUPERSEDED,
    names.DESCRIPTION_INSTALLING,
    names.DESCRIPTION_UPGRADING,
    names.DESCRIPTION_PENDING,
)


class UnreadableChart(ValueError):
    """An entry of a Description is no HelmChart."""


def release_name(description: Object, chart: Object) -> str:
    """Return `<description>-<chart namespace>-<chart name>`; cut where that is too long, with a hash at its end."""
    name = f"{description['metadata']['name']}-{chart['namespace']}-{chart['name']}"
    if len(name) <= NAME_LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    return f"{name[: NAME_LIMIT - len(digest) - 1].rstrip('-.')}-{digest}"


def wanted_releases(description: Object) -> Iterator[Object]:
    """Yield the HelmRelease of each chart of a Description.

    Raises:
        UnreadableChart: the entry of a chart is no HelmChart.
    """
    spec = description["spec"]
    charts, raw = spec.get("chartRaw") or (), spec.get("raw") or ()
    for index, reference in enumerate(spec.get("charts") or ()):
        chart = decode(charts[index]) if index < len(charts) else None
        if not isinstance(chart, dict) or not isinstance(chart.get("spec"), dict):
            raise UnreadableChart(f"chart {reference['namespace']}/{reference['name']} is not a HelmChart")
        values = raw[index] if index < len(raw) else ""
        yield build_release(description, reference, chart, values)


def build_release(description: Object, reference: Object, chart: Object, values: str) -> Object:
    """Return the HelmRelease of one chart.

    Args:
        description: the Description that lists the chart.
        reference: name and namespace of the HelmChart.
        chart: the HelmChart after its overrides.
        values: as the Description has them, base64.
    """
    metadata = description["metadata"]
    spec = {**chart["spec"], "releaseName": reference["name"]}
    if decode(values) is not None:
        spec["overrides"] = values
    annotations = (chart.get("metadata") or {}).get("annotations") or {}
    return {
        "apiVersion": HELM_RELEASES.api_version,
        "kind": HELM_RELEASES.kind,
        "metadata": {
            "name": release_name(description, reference),
            "namespace": metadata["namespace"],
            "labels": release_labels(description, (chart.get("metadata") or {}).get("labels") or {}),
            **({"annotations": annotations} if annotations else {}),
            "finalizers": [names.FINALIZER],
            "ownerReferences": [owner_reference(description)],
        },
        "spec": spec,
    }


def release_labels(description: Object, chart_labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of a HelmRelease: those of the chart as far as they are any, and whose it is."""
    metadata = description["metadata"]
    labels = metadata.get("labels") or {}
    kept = {
        key: value
        for key, value in without_uid_labels(chart_labels).items()
        if isinstance(value, str) and is_label_key(key) and is_label_value(value)
    }
    return {
        **kept,
        names.CREATED_BY_LABEL: names.CREATED_BY_CONTROLLER_MANAGER,
        names.CONFIG_KIND_LABEL: names.DESCRIPTION_KIND,
        names.CONFIG_NAME_LABEL: label_form(metadata["name"]),
        names.CONFIG_NAMESPACE_LABEL: metadata["namespace"],
        names.CONFIG_UID_LABEL: metadata["uid"],
        **identity_labels(labels),
        names.SUBSCRIPTION_NAME_LABEL: "",
        names.SUBSCRIPTION_NAMESPACE_LABEL: labels.get(names.SUBSCRIPTION_NAMESPACE_LABEL, ""),
        names.SUBSCRIPTION_UID_LABEL: labels.get(names.SUBSCRIPTION_UID_LABEL, ""),
    }


def description_name(release: Object) -> str:
    """Return the name of the Description that a HelmRelease was made for; empty if it doesn't say one.

    Its label may hold a digest; then the reference to its owner says it.
    """
    metadata = release["metadata"]
    label = (metadata.get("labels") or {}).get(names.CONFIG_NAME_LABEL) or ""
    for owner in metadata.get("ownerReferences") or ():
        name = str(owner.get("name"))
        if owner.get("kind") == names.DESCRIPTION_KIND and label_form(name) == label:
            return name
    return str(label)


def place_of(release: Object) -> tuple[str, str]:
    """Return namespace and name of a HelmRelease on its cluster; Helm has one release there, whoever asks for it."""
    spec = release["spec"]
    return spec["targetNamespace"], spec.get("releaseName") or release["metadata"]["name"]


def difference(before: Object, wanted: Object) -> Object:
    """Return the merge patch that makes a HelmRelease the wanted one; empty if it is."""
    there, metadata = before["metadata"], wanted["metadata"]
    kept = {key: value for key, value in before["spec"].items() if key in _DEFAULTED}
    after = {
        "metadata": {
            field: {**(there.get(field) or {}), **metadata[field]}
            for field in ("labels", "annotations")
            if field in metadata
        },
        "spec": kept | wanted["spec"],
    }
    mine = {
        "metadata": {field: there.get(field) or {} for field in after["metadata"]},
        "spec": before["spec"],
    }
    return merge_difference(mine, after)


def helm_status(description: Object, releases: Mapping[str, Object]) -> Object:
    """Return phase and reason of a Description of charts; of several charts the gravest phase counts.

    Args:
        description: the Description.
        releases: its HelmReleases, by name.
    """
    phases: dict[str, str] = {}
    for chart in description["spec"].get("charts") or ():
        release = releases.get(release_name(description, chart))
        phase, reason = _phase(release)
        phases.setdefault(phase, f"{chart['namespace']}/{chart['name']}: {reason}" if reason else "")
    for phase in _GRAVEST_FIRST:
        if phase in phases:
            return {"phase": phase, "reason": phases[phase]}
    return {"phase": names.DESCRIPTION_SUCCESS, "reason": ""}


def _phase(release: Object | None) -> tuple[str, str]:
    status = (release or {}).get("status") or {}
    word = status.get("phase")
    if not word:
        return names.DESCRIPTION_PENDING, ""
    if status.get("observedGeneration") not in (None, (release or {})["metadata"]["generation"]):
        return names.DESCRIPTION_UPGRADING, ""
    phase = _PHASES.get(word, names.DESCRIPTION_UNKNOWN)
    return phase, "" if phase == names.DESCRIPTION_SUCCESS else status.get("description") or word
