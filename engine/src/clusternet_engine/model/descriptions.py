"""Descriptions: what one cluster gets of a Base, ready to be deployed (spec/03 §6)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from clusternet_engine.kube.resources import DESCRIPTIONS, Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.bases import identity_labels, owner_reference
from clusternet_engine.model.documents import DocumentError, read_json
from clusternet_engine.model.feeds import chart_feed, feed_reference, feed_text, is_chart
from clusternet_engine.model.rendering import TOO_LARGE, Problem, Rendering
from clusternet_engine.model.secret_values import Seal, is_secret, shows_values, values_name

GENERIC_SUFFIX = "-generic"
HELM_SUFFIX = "-helm"

_NO_VALUES = base64.b64encode(b" ").decode()
"""What Clusternet writes where a chart has no values."""
_COLUMNS = {"chart": "charts", "chartRaw": "chartRaw", "raw": "raw"}
"""What a part of a Description is made of, and where the spec keeps it."""
_SUBSCRIPTION_LABELS = (names.SUBSCRIPTION_NAMESPACE_LABEL, names.SUBSCRIPTION_UID_LABEL)
"""Taken over from the Base; the Subscription's name is not among them (spec/03 §6)."""


MAX_RAW = 1_300_000
"""Bytes of encoded content in a Description; with its metadata and status it must fit into the store (1.5 MiB)."""
MAX_NOTES = 250_000
"""Bytes of annotations that name what is in a Description and what was applied; an object may have 256 KiB of them."""
_NOTE = 53
"""Bytes of these annotations for each object, besides its feed's reference twice."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a Description holds of one feed: an object, or a chart with its values."""

    reference: str
    content: Object


@dataclass(frozen=True, slots=True)
class Built:
    """A Description as it should be, what had to be left out of it, and the Secrets with values it refers to, by name.

    Of those that are in it as they were only the names are known.
    """

    description: Object
    problems: list[Problem]
    values: Mapping[str, Object | None] = field(default_factory=dict)


def generic_name(base: Object) -> str:
    """Return the name of the Description of a Base's native objects."""
    return str(base["metadata"]["name"]) + GENERIC_SUFFIX


def helm_name(base: Object) -> str:
    """Return the name of the Description of a Base's charts."""
    return str(base["metadata"]["name"]) + HELM_SUFFIX


def build_generic(base: Object, rendering: Rendering, before: Object | None, seal: Seal | None = None) -> Built:
    """Return the Description of the native objects.

    Args:
        base: the Base.
        rendering: of its feeds. One with a problem stays as it was.
        before: the Description that is there.
        seal: takes the values out of Secrets; None leaves them in.
    """
    taken: dict[str, Object] = {}

    def part(reference: str, obj: Object) -> Part:
        if seal is not None and is_secret(obj):
            obj, values = seal.take(obj, reference)
            if values is not None:
                taken[values["metadata"]["name"]] = values
        return Part(reference, {"raw": _encode(obj)})

    fresh = [part(one.reference, one.object) for one in rendering.generic]
    kept = _kept(before)
    if seal is not None:
        kept = [part(one.reference, obj) if _is_open(obj := decode(one.content["raw"])) else one for one in kept]
    parts, problems = _arranged(base, rendering, fresh, kept, charts=False)
    spec = {"deployer": names.DEPLOYER_GENERIC, "raw": [part.content["raw"] for part in parts]}
    description = _description(base, generic_name(base), parts, spec)
    return Built(description, problems, {name: taken.get(name) for name in referred_values(description)})


def referred_values(description: Object) -> list[str]:
    """Return the names of the Secrets with values that a Description refers to."""
    if description["spec"]["deployer"] == names.DEPLOYER_HELM:
        return []
    objects = map(decode, description["spec"].get("raw") or ())
    return [name for obj in objects if is_secret(obj) and (name := values_name(obj))]


def build_helm(base: Object, rendering: Rendering, before: Object | None) -> Built:
    """Return the Description of the charts; see `build_generic`."""
    fresh = []
    for part in rendering.charts:
        metadata = part.chart["metadata"]
        content = {
            "chart": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "chartRaw": _encode(part.chart),
            "raw": _encode(part.values) if part.values else _NO_VALUES,
        }
        fresh.append(Part(feed_reference(chart_feed(part.chart)), content))
    parts, problems = _arranged(base, rendering, fresh, _kept(before), charts=True)
    spec = {"deployer": names.DEPLOYER_HELM} | {
        plural: [part.content[field] for part in parts] for field, plural in _COLUMNS.items()
    }
    return Built(_description(base, helm_name(base), parts, spec), problems)


def difference(before: Object, wanted: Object) -> Object:
    """Return the merge patch that makes a Description the wanted one; empty if it is."""
    patch: Object = {}
    metadata = {
        field: changed
        for field in ("labels", "annotations")
        if (changed := _missing(before["metadata"].get(field) or {}, wanted["metadata"][field]))
    }
    if metadata:
        patch["metadata"] = metadata
    if before["spec"] != wanted["spec"]:
        patch["spec"] = dict.fromkeys(before["spec"].keys() - wanted["spec"].keys()) | wanted["spec"]
    return patch


def is_empty(description: Object) -> bool:
    """Return whether a Description holds nothing to deploy."""
    return not description["spec"].get("raw")


def made_from(description: Object, base: Object) -> bool:
    """Return whether a Description belongs to a Base."""
    uid = base["metadata"]["uid"]
    return any(owner["uid"] == uid for owner in description["metadata"].get("ownerReferences") or ())


def rendered_feeds(description: Object) -> list[str]:
    """Return the references of the feeds that a Description's `raw` comes from, in the same order."""
    spec = description["spec"]
    if spec["deployer"] == names.DEPLOYER_HELM:
        charts = spec.get("charts") or ()
        return [feed_reference({"kind": names.HELM_CHART_KIND, "apiVersion": "", **chart}) for chart in charts]
    raw = spec.get("raw") or []
    noted = (description["metadata"].get("annotations") or {}).get(names.RENDERED_FEEDS_ANNOTATION)
    if noted is not None:
        try:
            references = read_json(noted)
        except DocumentError:
            references = None
        if isinstance(references, list) and len(references) == len(raw):
            return [reference if isinstance(reference, str) else "" for reference in references]
    return [_reference_of(decode(text)) for text in raw]


def decode(raw: str) -> Any:
    """Return what an entry of `raw` or `chartRaw` holds; None stands for what is blank or no JSON."""
    try:
        return read_json(base64.b64decode(raw))
    except ValueError:
        return None


def _is_open(obj: Any) -> bool:
    """Return whether an entry of a Description is a Secret with values in it."""
    return is_secret(obj) and isinstance(obj["metadata"].get("name"), str) and shows_values(obj)


def _arranged(
    base: Object, rendering: Rendering, fresh: list[Part], kept: list[Part], *, charts: bool
) -> tuple[list[Part], list[Problem]]:
    """Return the parts of a Description in the order of the feeds, and the feeds that don't fit into it.

    A feed with a problem keeps the form it had, and so does one that has become too large.
    """
    feeds = {feed_reference(feed): feed for feed in base["spec"]["feeds"] if is_chart(feed) is charts}
    faulty = {feed_reference(problem.feed) for problem in rendering.problems}
    new, old = _by_reference(fresh), _by_reference(kept)
    chosen = {reference: old.get(reference, []) for reference in feeds}
    measures = ((_size, MAX_RAW), (_notes, MAX_NOTES))
    sizes = [sum(map(measure, chosen.values())) for measure, _ in measures]
    problems = []
    for reference, feed in feeds.items():
        if reference in faulty:
            continue
        growths = [measure(new.get(reference, [])) - measure(chosen[reference]) for measure, _ in measures]
        grown = [size + growth for size, growth in zip(sizes, growths, strict=True)]
        if any(growth > 0 and size > limit for size, growth, (_, limit) in zip(grown, growths, measures, strict=True)):
            problems.append(_too_large(feed))
        else:
            chosen[reference] = new.get(reference, [])
            sizes = grown
    return [part for parts in chosen.values() for part in parts], problems


def _too_large(feed: Object) -> Problem:
    text = (
        f"{feed_text(feed)} doesn't fit: what one Subscription brings to a cluster is limited to {MAX_RAW} bytes, as "
        f"base64, and what names the objects to {MAX_NOTES} bytes. Publish it by a Subscription of its own, or make it "
        "smaller."
    )
    return Problem(feed, TOO_LARGE, text)


def _by_reference(parts: list[Part]) -> dict[str, list[Part]]:
    found: dict[str, list[Part]] = {}
    for part in parts:
        found.setdefault(part.reference, []).append(part)
    return found


def _size(parts: list[Part]) -> int:
    return sum(len(part.content["raw"]) + len(part.content.get("chartRaw", "")) for part in parts)


def _notes(parts: list[Part]) -> int:
    return sum(2 * len(part.reference) + _NOTE for part in parts)


def _kept(before: Object | None) -> list[Part]:
    """Return the parts of the Description that is there."""
    if before is None:
        return []
    columns = {
        field: before["spec"].get(plural) or []
        for field, plural in _COLUMNS.items()
        if field == "raw" or before["spec"]["deployer"] == names.DEPLOYER_HELM
    }
    rows = zip(*columns.values(), strict=False)
    contents = [dict(zip(columns, row, strict=True)) for row in rows]
    return [Part(*pair) for pair in zip(rendered_feeds(before), contents, strict=False)]


def _description(base: Object, name: str, parts: list[Part], spec: Object) -> Object:
    metadata = base["metadata"]
    labels = metadata.get("labels") or {}
    return {
        "apiVersion": DESCRIPTIONS.api_version,
        "kind": DESCRIPTIONS.kind,
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": {
                names.CREATED_BY_LABEL: names.CREATED_BY_CONTROLLER_MANAGER,
                names.CONFIG_KIND_LABEL: names.BASE_KIND,
                names.CONFIG_NAMESPACE_LABEL: metadata["namespace"],
                names.CONFIG_UID_LABEL: metadata["uid"],
                **identity_labels(labels),
                **{key: labels[key] for key in _SUBSCRIPTION_LABELS if key in labels},
            },
            "annotations": {names.RENDERED_FEEDS_ANNOTATION: orjson.dumps([part.reference for part in parts]).decode()},
            "finalizers": [names.FINALIZER],
            "ownerReferences": [owner_reference(base)],
        },
        "spec": spec,
    }


def _reference_of(obj: Any) -> str:
    """Return the reference of the feed that means a native object by its full name; empty if it isn't one."""
    try:
        metadata = obj["metadata"]
        feed = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": metadata["name"]}
        return feed_reference({**feed, "namespace": metadata.get("namespace")})
    except (KeyError, TypeError):
        return ""


def _encode(content: Object) -> str:
    return base64.b64encode(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).decode()


def _missing(there: Object, wanted: Object) -> Object:
    return {key: value for key, value in wanted.items() if there.get(key) != value}
