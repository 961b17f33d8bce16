"""Feeds: references to native objects and charts, and how the objects they mean are found (spec/03 §1.1)."""

from __future__ import annotations

from collections.abc import Iterator

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.labels import label_form

CHART_API_VERSION = f"{names.APPS_GROUP}/v1alpha1"


def feed_key(feed: Object) -> str:
    """Return the key of a feed in `Subscription.status.replicas` (spec/01 §3.0): `apps/v1/Deployment/foo/nginx`."""
    return "/".join(filter(None, (feed["apiVersion"], feed["kind"], feed.get("namespace"), feed["name"])))


def feed_reference(feed: Object) -> str:
    """Return the text by which a feed and the objects it means are matched.

    It is the feed's key, except that every feed of kind HelmChart means a chart, whatever its apiVersion.
    """
    if is_chart(feed):
        return feed_key({**feed, "apiVersion": CHART_API_VERSION})
    return feed_key(feed)


def is_chart(feed: Object) -> bool:
    """Return whether a feed means a HelmChart."""
    return bool(feed["kind"] == names.HELM_CHART_KIND)


def feed_text(feed: Object) -> str:
    """Return how messages name a feed: `Deployment foo/nginx` or `Namespace foo` (spec/06 B6.9)."""
    namespace = feed.get("namespace")
    return f"{feed['kind']} {namespace}/{feed['name']}" if namespace else f"{feed['kind']} {feed['name']}"


def chart_feed(chart: Object) -> Object:
    """Return the feed that means this HelmChart."""
    metadata = chart["metadata"]
    return {
        "apiVersion": CHART_API_VERSION,
        "kind": names.HELM_CHART_KIND,
        "namespace": metadata["namespace"],
        "name": metadata["name"],
    }


def manifest_feed(manifest: Object) -> Object | None:
    """Return the feed that means the object in a Manifest, read from its labels; None when they are missing.

    Where a label holds but a digest, the object itself says what it is the digest of.
    """
    labels = manifest["metadata"].get("labels") or {}
    kind, name, version = (
        labels.get(key) for key in (names.CONFIG_KIND_LABEL, names.CONFIG_NAME_LABEL, names.CONFIG_VERSION_LABEL)
    )
    if not (kind and name and version):
        return None
    obj = manifest.get("template")
    obj = obj if isinstance(obj, dict) else {}
    metadata = obj.get("metadata")
    name = _whole(name, metadata.get("name") if isinstance(metadata, dict) else None)
    api_version = obj.get("apiVersion")
    own_group = api_version.rpartition("/")[0] if isinstance(api_version, str) else None
    group, namespace = _whole(labels.get(names.CONFIG_GROUP_LABEL), own_group), labels.get(names.CONFIG_NAMESPACE_LABEL)
    feed = {"apiVersion": f"{group}/{version}" if group else version, "kind": kind, "name": name}
    return {**feed, "namespace": namespace} if namespace else feed


def manifest_references(manifest: Object) -> Iterator[str]:
    """Yield the references that find a Manifest: a feed that leaves the namespace out matches in all of them."""
    feed = manifest_feed(manifest)
    if feed is None:
        return
    yield feed_reference(feed)
    if "namespace" in feed:
        yield feed_reference({key: value for key, value in feed.items() if key != "namespace"})


def feed_references(feeds: list[Object]) -> Iterator[str]:
    """Yield the references of a list of feeds, each once."""
    yield from dict.fromkeys(map(feed_reference, feeds))


def _whole(label: str | None, text: object) -> str | None:
    """Return the text that a label stands for, if it does stand for it, else what the label says."""
    return text if isinstance(text, str) and label is not None and label_form(text) == label else label
