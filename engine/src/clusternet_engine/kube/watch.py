"""The watch stream: bytes in, events out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from clusternet_engine.kube.decoding import EVENT, NotJSON, decode, marked
from clusternet_engine.kube.errors import error_from_status
from clusternet_engine.kube.resources import Object

MAX_LINE = 64 * 2**20
"""Bytes of the longest event accepted; etcd objects end at a few MiB."""
EVENT_TYPES = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"})


class MalformedEvent(Exception):
    """The stream holds something that is not a watch event; the text says what, without the content."""


class WatchEvent(NamedTuple):
    """One event: ``ADDED``, ``MODIFIED``, ``DELETED``, or ``BOOKMARK`` (only a newer resource version)."""

    type: str
    object: Object

    @property
    def resource_version(self) -> str:
        """The version to resume from after this event."""
        return str(self.object["metadata"]["resourceVersion"])


class WatchDecoder:
    """Splits chunks into lines and parses each; a chunk may end anywhere, even inside a character.

    :param path: the watch's path, for errors.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._pending: list[bytes] = []
        self._pending_size = 0

    @property
    def partial(self) -> bool:
        """Whether the stream stands in the middle of an event."""
        return self._pending_size > 0

    def feed(self, chunk: bytes) -> Iterator[WatchEvent]:
        """The events that this chunk completes.

        :raises ApiError: the server sent an ``ERROR`` event (:class:`~clusternet_engine.kube.errors.Expired` for 410).
        :raises MalformedEvent: a line is not an event, or longer than :data:`MAX_LINE`.
        """
        for line in self.lines(chunk):
            try:
                value, cut = decode(line, EVENT)
            except NotJSON:
                raise not_json(line) from None
            yield self.event(line, value, cut)

    def lines(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that this chunk completes, without blank ones.

        :raises MalformedEvent: one is longer than :data:`MAX_LINE`.
        """
        *complete, rest = chunk.split(b"\n")
        for line in complete:
            if self._pending:
                line = b"".join((*self._pending, line))
                self._pending.clear()
                self._pending_size = 0
            if line and not line.isspace():
                yield line
        if rest:
            self._pending.append(rest)
            self._pending_size += len(rest)
            if self._pending_size > MAX_LINE:
                raise MalformedEvent(f"an event longer than {MAX_LINE} bytes")

    def event(self, line: bytes, event: Any, cut: bool) -> WatchEvent:
        """The event of a line.

        :param line: its text.
        :param event: its value.
        :param cut: whether parts of it were nested too deeply and are left out.
        :raises ApiError: the server sent an ``ERROR`` event (:class:`~clusternet_engine.kube.errors.Expired` for 410).
        :raises MalformedEvent: it is not an event.
        """
        type_, obj = (event.get("type"), event.get("object")) if isinstance(event, dict) else (None, None)
        if not isinstance(type_, str) or type_ not in EVENT_TYPES or not isinstance(obj, dict):
            raise MalformedEvent(f"a line of {len(line)} bytes that is not a watch event")
        if type_ == "ERROR":
            raise error_from_status(obj, method="WATCH", path=self._path)
        metadata = obj.get("metadata")
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        if not isinstance(metadata, dict) or not isinstance(version, str) or not version:
            raise MalformedEvent(f"{type_} event of an object without metadata.resourceVersion")
        if type_ != "BOOKMARK" and not isinstance(metadata.get("name"), str):
            raise MalformedEvent(f"{type_} event of an object without a name")
        return WatchEvent(type_, marked(obj) if cut else obj)


def not_json(line: bytes) -> MalformedEvent:
    """The error for a line that is no JSON."""
    return MalformedEvent(f"a line of {len(line)} bytes that is not JSON")
