"""Releases as Helm records them in Secrets, and whether one is still what is wanted (spec/03 §8.3)."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.documents import read_json
from clusternet_engine.model.limits import Limits
from clusternet_engine.model.versions import satisfies

PENDING = ("pending-install", "pending-upgrade", "pending-rollback")
UNINSTALLING = "uninstalling"

_LIMITS = Limits(size=16 * 2**20, nodes=500_000)
"""Of a record, unpacked: it holds the whole chart. Packed, a Secret has up to 1 MiB."""


@dataclass(frozen=True, slots=True)
class Record:
    """One revision of a release.

    Attributes:
        secret: the name of the Secret that holds it.
        first_deployed, last_deployed: as Go writes times.
    """

    secret: str
    revision: int
    status: str
    chart: str
    chart_version: str
    values: Object
    first_deployed: str
    last_deployed: str
    description: str
    notes: str


def selector(release: str) -> str:
    """Return the label selector of the Secrets that record a release."""
    return f"owner=helm,name={release}"


def newest_first(secrets: Iterable[Object]) -> list[Record]:
    """Return the records in Secrets; those that can't be read are left out."""
    records = [record for secret in secrets if (record := _record(secret)) is not None]
    return sorted(records, key=lambda record: record.revision, reverse=True)


def _record(secret: Object) -> Record | None:
    try:
        packed = base64.b64decode(base64.b64decode((secret.get("data") or {})["release"]))
        return record_of(read_json(_unpacked(packed), _LIMITS), secret["metadata"]["name"])
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error):
        return None


def _unpacked(packed: bytes) -> bytes:
    """Return what was packed by gzip, or never was; no more than is read of it."""
    if packed[:2] != b"\x1f\x8b":
        return packed
    return zlib.decompressobj(wbits=31).decompress(packed, _LIMITS.size + 1)


def record_of(release: Any, secret: str = "") -> Record:
    """Return a release in Helm's own JSON as a record.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    info, metadata = release["info"], release["chart"]["metadata"]
    return Record(
        secret=secret,
        revision=int(release["version"]),
        status=str(info["status"]),
        chart=str(metadata["name"]),
        chart_version=str(metadata["version"]),
        values=release.get("config") or {},
        first_deployed=go_time(info.get("first_deployed") or ""),
        last_deployed=go_time(info.get("last_deployed") or ""),
        description=str(info.get("description") or ""),
        notes=str(info.get("notes") or ""),
    )


def go_time(text: str) -> str:
    """Return a time of RFC 3339 as Go prints it: `2026-01-02 03:04:05 +0000 UTC`."""
    day, _, rest = text.partition("T")
    if not rest:
        return text
    if rest.endswith("Z"):
        return f"{day} {rest[:-1]} +0000 UTC"
    offset = rest[-6:].replace(":", "")
    return f"{day} {rest[:-6]} {offset} {offset}"


def needs_upgrade(record: Record, spec: Object, values: Object) -> bool:
    """Return whether a deployed release differs from a HelmRelease in chart, version or values.

    An empty version and a range are content with what they would take, `v1.2.0` with `1.2.0` (spec/06 C3.19).
    """
    if record.chart != str(spec["chart"]).rpartition("/")[2] or record.values != values:
        return True
    version = str(spec.get("version") or "")
    if "+" in version:
        return record.chart_version.removeprefix("v") != version.removeprefix("v")
    return bool(version) and not satisfies(record.chart_version, version)


def status_of(record: Record, generation: int) -> Object:
    """Return the status of a HelmRelease that stands as recorded."""
    return {
        "phase": record.status,
        "description": record.description,
        "notes": record.notes,
        "version": record.revision,
        "firstDeployed": record.first_deployed,
        "lastDeployed": record.last_deployed,
        "observedGeneration": generation,
    }


def failed_status(reason: str, record: Record | None, generation: int) -> Object:
    """Return the status of a HelmRelease that could not be brought to its cluster."""
    status = status_of(record, generation) if record else {"observedGeneration": generation}
    return {**status, "phase": names.RELEASE_FAILED, "description": reason}
