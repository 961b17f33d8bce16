"""Remembers what was written into statuses: a cache that lags behind says what was before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusternet_engine.kube.resources import Object


class Statuses:
    """The statuses that this process has written, by UID of their objects."""

    def __init__(self) -> None:
        self._written: dict[str, Mapping[str, Any]] = {}

    def says(self, obj: Object, wanted: Mapping[str, Any]) -> bool:
        """Return whether an object's status says what is wanted, as cached and as written last."""
        status = obj.get("status") or {}
        written = self._written.get(obj["metadata"]["uid"], wanted)
        return written == wanted and all(status.get(field, "") == value for field, value in wanted.items())

    def wrote(self, obj: Object, status: Mapping[str, Any]) -> None:
        """Note what was written."""
        self._written[obj["metadata"]["uid"]] = status

    def forget(self, obj: Object) -> None:
        """The object is gone."""
        self._written.pop(obj["metadata"]["uid"], None)
