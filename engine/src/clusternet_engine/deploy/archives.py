"""What is in the archive of a chart, as far as it matters before Helm sees it (spec/03 §8.3)."""

from __future__ import annotations

import io
import re
import tarfile
from dataclasses import dataclass, field
from typing import Any

import yaml

from clusternet_engine.kube.resources import Object

_METADATA = re.compile(r"[^/]+/Chart\.yaml")
_CRDS = re.compile(r"[^/]+/(?:charts/[^/]+/)*crds/.+\.(?:ya?ml|json)")
_MEMBER_LIMIT = 10 * 2**20


class BadArchive(Exception):
    """An archive holds no chart that can be installed; the text says why."""


@dataclass(slots=True)
class Archive:
    """The chart's metadata and its CustomResourceDefinitions."""

    metadata: Object = field(default_factory=dict)
    crds: list[Object] = field(default_factory=list)


def read_archive(content: bytes) -> Archive:
    """Read the archive of a chart.

    Raises:
        BadArchive: it can't be read, or holds a library.
    """
    archive = Archive()
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as members:
            for member in members:
                if not member.isfile() or member.size > _MEMBER_LIMIT:
                    continue
                if _METADATA.fullmatch(member.name):
                    archive.metadata = _documents(members, member)[0]
                elif _CRDS.fullmatch(member.name):
                    archive.crds += [document for document in _documents(members, member) if document]
    except (tarfile.TarError, OSError, EOFError, yaml.YAMLError, IndexError, UnicodeDecodeError) as error:
        raise BadArchive(f"the chart's archive can't be read: {error}") from None
    if not isinstance(archive.metadata, dict) or not archive.metadata.get("name"):
        raise BadArchive("the archive holds no chart")
    if archive.metadata.get("type") == "library":
        raise BadArchive("a library chart can't be installed")
    return archive


def _documents(members: tarfile.TarFile, member: tarfile.TarInfo) -> list[Any]:
    file = members.extractfile(member)
    return list(yaml.safe_load_all(file.read())) if file else []
