"""What lands on one cluster: the feeds of a Base with the overrides of its namespace (spec/03 §6, §7)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from clusternet_engine.kube.nesting import MAX_DEPTH, is_incomplete
from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.applied import is_object
from clusternet_engine.model.feeds import chart_feed, feed_reference, feed_text, is_chart, manifest_references
from clusternet_engine.model.overrides import Override, OverrideError, applicable, override_chart, override_native
from clusternet_engine.model.secret_values import INCOMPLETE, LOST, is_secret, referring, shows_values
from clusternet_engine.model.uid_labels import without_uid_labels

FEED_MISSING = "FeedMissing"
VERIFYING_CHART = "VerifyingHelmChart"
CHART_NOT_FOUND = "HelmChartNotFound"
OVERRIDE_FAILED = "OverrideFailed"
MALFORMED = "Malformed"
TOO_LARGE = "TooLarge"
TOO_DEEP = "TooDeep"
VALUES_MISSING = "ValuesMissing"
VALUES_UNREADABLE = "ValuesUnreadable"

Find = Callable[[Object], list[Object]]
"""Gives the HelmChart, or the Manifests, that a feed means."""

_SYSTEM_ANNOTATIONS = (names.FEED_PROTECTION_ANNOTATION, names.KUBECTL_LAST_APPLIED_ANNOTATION)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why one feed can't be rendered.

    Attributes:
        feed: which.
        reason: one word, as in the condition Rendered.
        message: names the feed and says what to do.
    """

    feed: Object
    reason: str
    message: str

    @property
    def event(self) -> str:
        """The reason of the event that tells of it (spec/03 §6)."""
        if self.reason == FEED_MISSING:
            return f"Nonexistent{self.feed['kind']}"
        return "FailedApplyingOverrides" if self.reason == OVERRIDE_FAILED else self.reason


@dataclass(frozen=True, slots=True)
class RenderedObject:
    """A native object as it goes to the cluster, and the reference of the feed it comes from."""

    reference: str
    object: Object


@dataclass(frozen=True, slots=True)
class RenderedChart:
    """A HelmChart as it goes to the cluster, and its values."""

    chart: Object
    values: Object


@dataclass(slots=True)
class Rendering:
    """What could be rendered, in the order of the feeds, and what couldn't."""

    generic: list[RenderedObject] = field(default_factory=list)
    charts: list[RenderedChart] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def render(
    feeds: Iterable[Object],
    find: Find,
    localizations: Collection[Object],
    globalizations: Collection[Object],
    clusters_labels: Collection[Mapping[str, str]],
) -> Rendering:
    """Return what the feeds become on one cluster; a problem of one feed leaves the others alone.

    Args:
        feeds: of the Base.
        find: gives the objects that a feed means.
        localizations: of the dedicated namespace; those of other feeds don't matter.
        globalizations: likewise, of the whole parent.
        clusters_labels: labels of the ManagedClusters in the dedicated namespace.
    """
    rendering = Rendering()
    for feed in feeds:
        if problem := feed_problem(feed, find):
            rendering.problems.append(problem)
            continue
        sources = find(feed)
        if not is_chart(feed) and not all(is_object(source.get("template")) for source in sources):
            message = f"the Manifest of {feed_text(feed)} holds no object with apiVersion, kind and metadata.name."
            rendering.problems.append(Problem(feed, MALFORMED, message))
            continue
        try:
            overrides = [
                list(applicable(source_references(source), localizations, globalizations, clusters_labels))
                for source in sources
            ]
            if is_chart(feed):
                rendering.charts += map(_render_chart, sources, overrides)
            else:
                natives = list(map(_render_native, sources, overrides))
                rendering.generic += (RenderedObject(feed_reference(feed), native) for native in natives)
        except OverrideError as error:
            rendering.problems.append(Problem(feed, OVERRIDE_FAILED, f"{feed_text(feed)}: {error}"))
    return rendering


def withhold_secrets(rendering: Rendering, feeds: Iterable[Object], why: str) -> None:
    """Make a problem of every feed that brings Secrets with values.

    Args:
        rendering: of the feeds; it is changed.
        feeds: of the Base.
        why: they can't be deployed.
    """
    concerned = {part.reference for part in rendering.generic if is_secret(part.object) and shows_values(part.object)}
    rendering.problems += (
        Problem(feed, VALUES_UNREADABLE, f"{feed_text(feed)}: {why}")
        for feed in feeds
        if feed_reference(feed) in concerned
    )


def feed_problem(feed: Object, find: Find) -> Problem | None:
    """Return why a feed can't be rendered on any cluster, None if it can."""
    found = find(feed)
    if not found:
        return Problem(
            feed, FEED_MISSING, f"{feed_text(feed)} doesn't exist; create it, or take it out of the Subscription."
        )
    if any(map(is_incomplete, found)):
        text = f"{feed_text(feed)} is nested deeper than {MAX_DEPTH} levels, so it can't be published as it is."
        return Problem(feed, TOO_DEEP, text)
    if not is_chart(feed):
        if any(source.get(INCOMPLETE) == LOST for source in found):
            text = f"{feed_text(feed)} has lost its values: the Secret that kept them isn't there. Publish it anew."
            return Problem(feed, VALUES_MISSING, text)
        return None
    phase, status = chart_phase(found[0]), found[0].get("status") or {}
    if phase == names.CHART_FOUND:
        return None
    if phase == names.CHART_NOT_FOUND:
        why = status.get("reason") or "no reason was given"
        return Problem(feed, CHART_NOT_FOUND, f"{feed_text(feed)} can't be found in its repository: {why}")
    return Problem(feed, VERIFYING_CHART, f"{feed_text(feed)} is being looked up in its repository.")


def chart_phase(chart: Object) -> str | None:
    """Return whether a HelmChart was found, None while that isn't known of its present spec.

    Clusternet doesn't say which generation its status belongs to.
    """
    status = chart.get("status") or {}
    judged = status.get("observedGeneration") in (None, chart["metadata"].get("generation"))
    return status.get("phase") if judged else None


def source_references(source: Object) -> tuple[str, ...]:
    """Return the references by which feeds can mean a Manifest or HelmChart."""
    if source["kind"] == names.HELM_CHART_KIND:
        return (feed_reference(chart_feed(source)),)
    return tuple(manifest_references(source))


def _render_chart(chart: Object, overrides: Iterable[Override]) -> RenderedChart:
    return RenderedChart(*override_chart(rendered_chart_source(chart), overrides))


def _render_native(manifest: Object, overrides: Iterable[Override]) -> Object:
    return _without_system_fields(override_native(manifest["template"], overrides))


def rendered_chart_source(chart: Object) -> Object:
    """Return what rendering takes of a HelmChart: all but what the system adds and changes."""
    metadata = {key: chart["metadata"][key] for key in ("name", "namespace")}
    if labels := without_uid_labels(chart["metadata"].get("labels") or {}):
        metadata["labels"] = labels
    annotations = chart["metadata"].get("annotations") or {}
    if kept := {key: value for key, value in annotations.items() if key not in _SYSTEM_ANNOTATIONS}:
        metadata["annotations"] = kept
    return {"apiVersion": chart["apiVersion"], "kind": chart["kind"], "metadata": metadata, "spec": chart["spec"]}


def _without_system_fields(document: Object) -> Object:
    """Take off what three fixed removals take off every rendered object (spec/03 §7.1)."""
    if is_secret(document):
        document = referring(document, None)  # only the hub says where values are
    metadata = {key: value for key, value in document["metadata"].items() if key not in ("managedFields", "uid")}
    return {**{key: value for key, value in document.items() if key != "status"}, "metadata": metadata}
