"""What is in the archive of a chart, as far as it matters before Helm sees it (spec/03 §8.3).

Archives come from foreign servers: nothing is written to disk, an archive is unpacked as far as Helm itself would, and
what is read of it has one limit for all its files.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from dataclasses import dataclass, field
from typing import Any, cast

from clusternet_engine.kube.resources import Object
from clusternet_engine.model.documents import DocumentError, read_documents
from clusternet_engine.model.limits import Limits

_METADATA = re.compile(r"[^/]+/Chart\.yaml")
_CRDS = re.compile(r"[^/]+/(?:charts/[^/]+/)*crds/.+\.(?:ya?ml|json)")
_UNPACKED_LIMIT = 100 * 2**20
"""Bytes of an archive, unpacked, as in Helm."""
_FILES_LIMIT = 10_000
_HEADER_LIMIT = 2**16
"""Bytes of what describes a file: tarfile reads that at once."""
_LIMITS = Limits(size=10 * 2**20, nodes=500_000)
"""Of Chart.yaml and all CustomResourceDefinitions together."""


class BadArchive(Exception):
    """An archive holds no chart that can be installed; the text says why."""


@dataclass(slots=True)
class Archive:
    """The chart's metadata and its CustomResourceDefinitions."""

    metadata: Object = field(default_factory=dict)
    crds: list[Object] = field(default_factory=list)


def read_archive(content: bytes) -> Archive:
    """Read the archive of a chart; it takes up to some seconds, so it is done in a thread.

    Raises:
        BadArchive: it can't be read, holds a library, or is too large.
    """
    left = _LIMITS
    metadata: list[Any] = []
    crds: list[Any] = []
    try:
        with (
            gzip.open(io.BytesIO(content)) as unpacked,
            tarfile.open(fileobj=cast("Any", _Limited(unpacked)), mode="r|", tarinfo=_Member) as members,
        ):
            for number, member in enumerate(members):
                if number == _FILES_LIMIT:
                    raise BadArchive(f"the archive has more than {_FILES_LIMIT} files")
                if not (member.isfile() and (wanted := _list_for(member.name, metadata, crds)) is not None):
                    continue
                documents = _documents(members, member, left)
                left = left.without(left.check_value(documents))
                wanted += documents
    except DocumentError as error:
        raise BadArchive(f"the chart's archive can't be read: Chart.yaml or a file in crds/ is {error}") from None
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error):
        raise BadArchive("the chart's archive can't be read: it is no tar archive packed by gzip") from None
    archive = Archive(metadata[0] if metadata else {}, [crd for crd in crds if crd])
    if not isinstance(archive.metadata, dict) or not archive.metadata.get("name"):
        raise BadArchive("the archive holds no chart")
    if archive.metadata.get("type") == "library":
        raise BadArchive("a library chart can't be installed")
    return archive


class _Member(tarfile.TarInfo):
    """A file of an archive, whose description is not too long."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        described = self.type not in tarfile.REGULAR_TYPES and self.size > _HEADER_LIMIT
        if described or self.type == tarfile.GNUTYPE_SPARSE:
            raise BadArchive("the archive has files that no chart has")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


class _Limited:
    """A stream that ends in an error where it is longer than allowed."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._left = _UNPACKED_LIMIT

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise BadArchive(f"the archive has more than {_UNPACKED_LIMIT // 2**20} MiB unpacked")
        return data


def _list_for(name: str, metadata: list[Any], crds: list[Any]) -> list[Any] | None:
    """Return where the documents of a file belong; None if it doesn't matter."""
    if _METADATA.fullmatch(name):
        return metadata
    return crds if _CRDS.fullmatch(name) else None


def _documents(members: tarfile.TarFile, member: tarfile.TarInfo, limits: Limits) -> list[Any]:
    file = members.extractfile(member)
    return read_documents(file.read(limits.size + 1), limits) if file else []
