"""Charts in repositories: finding one in an index or among tags, and where it is to be had (spec/03 §1.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from clusternet_engine.kube.resources import Object
from clusternet_engine.model.versions import Version, is_strict, parse_version, satisfies

OCI = "oci://"


class ChartMissing(Exception):
    """A repository doesn't have a chart, or not in that version; the text says which."""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A chart in the index of an HTTP repository; `digest` is the SHA-256 of its archive, "" where it isn't told."""

    version: str
    url: str
    digest: str


@dataclass(frozen=True, slots=True)
class OciChart:
    """A chart in an OCI registry.

    Attributes:
        host: with its port.
        name: of the image repository in the registry.
        scheme: `https`, or `http` where that was asked for.
    """

    host: str
    name: str
    scheme: str

    @property
    def url(self) -> str:
        """The root of the registry's API for this chart."""
        return f"{self.scheme}://{self.host}/v2/{self.name}"


def is_oci(spec: Object) -> bool:
    """Return whether a chart comes from an OCI registry."""
    return str(spec["repo"]).startswith(OCI)


def oci_chart(spec: Object) -> OciChart:
    """Return where an OCI chart is: `oci://host:port/path` and `chart` make `host:port/path/chart` (spec/06 B6.6)."""
    host, _, path = str(spec["repo"]).removeprefix(OCI).strip("/").partition("/")
    name = f"{path}/{spec['chart']}" if path else str(spec["chart"])
    return OciChart(host, name, "http" if spec.get("plainHTTP") else "https")


def index_url(repo: str) -> str:
    """Return the URL of the index of an HTTP repository."""
    return repo.rstrip("/") + "/index.yaml"


def find_in_index(index: Any, repo: str, chart: str, version: str) -> IndexEntry:
    """Return the newest chart of an index that a version, a range or nothing asks for.

    Raises:
        ChartMissing: there is none.
    """
    entries = index.get("entries") if isinstance(index, dict) else None
    if not isinstance(entries, dict):
        raise ChartMissing(f"{index_url(repo)} is not the index of a chart repository")
    found: list[tuple[Version, Object]] = []
    listed = entries.get(chart)
    for entry in listed if isinstance(listed, list) else ():
        text = str(entry.get("version") or "") if isinstance(entry, dict) else ""
        parsed = parse_version(text)
        if parsed is not None and satisfies(text, version):
            found.append((parsed, entry))
    if not found:
        if not listed:
            raise ChartMissing(f"chart {chart} is not in {index_url(repo)}")
        raise ChartMissing(f"chart {chart} has no version {version or 'that is released'} in {index_url(repo)}")
    _, newest = max(found, key=lambda pair: pair[0])
    urls = newest.get("urls")
    if not (isinstance(urls, list) and urls and isinstance(urls[0], str)):
        raise ChartMissing(f"chart {chart} in {index_url(repo)} has no URL in the newest version that fits")
    digest = str(newest.get("digest") or "").removeprefix("sha256:")
    return IndexEntry(str(newest["version"]), urljoin(repo.rstrip("/") + "/", urls[0]), digest)


def find_tag(tags: Iterable[str], chart: OciChart, version: str) -> str:
    """Return the tag of a version: only whole semantic versions count, and `_` in a tag stands for `+`.

    Raises:
        ChartMissing: there is none, or no version is asked for.
    """
    if not version:
        raise ChartMissing(f"a chart in an OCI registry ({chart.host}/{chart.name}) needs spec.version")
    for tag in tags:
        plain = tag.replace("_", "+")
        if is_strict(plain) and plain == version:
            return tag
    raise ChartMissing(f"{chart.host}/{chart.name} has no tag {version}")


def repository_host(repo: str) -> str:
    """Return the server of a repository, as far as its URL tells one."""
    try:
        return urlsplit(repo).netloc.lower()
    except ValueError:
        return repo


def same_origin(one: str, other: str) -> bool:
    """Return whether two URLs lead to the same server: credentials for one may be sent to the other."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.netloc) == (second.scheme, second.netloc)
