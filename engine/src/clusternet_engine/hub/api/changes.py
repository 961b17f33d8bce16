"""The changes of Manifests for those who watch: a log of the last ones, and everybody who waits for the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple

import orjson

from clusternet_engine.answers import refuse
from clusternet_engine.hub.manifests import Manifests
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.resources import Object

REMEMBERED = 500
"""Changes kept for a watch that resumes, at most."""
REMEMBERED_SIZE = 4 * 2**20
"""Bytes that these changes have as JSON, at most; whoever publishes decides how large each of them is."""
BOOKMARK_SECONDS = 30.0
"""Pause between bookmarks; it is also the longest time a watch is silent."""

ADDED, MODIFIED, DELETED, BOOKMARK = "ADDED", "MODIFIED", "DELETED", "BOOKMARK"

Selects = Callable[[Object], bool]


class Event(NamedTuple):
    """One event of a watch; of a bookmark there is only the version."""

    type: str
    manifest: Object | None
    version: int
    initial_end: bool = False


class ChangeLog:
    """The last changes of the Manifests, in their order.

    Args:
        manifests: whose changes are followed.
    """

    def __init__(self, manifests: Manifests) -> None:
        self._manifests = manifests
        self._log: deque[tuple[int, Change, int]] = deque()
        self._size = 0
        self._count = 0
        self._latest = 0
        self._forgotten: int | None = None
        self._news = asyncio.Event()
        manifests.add_handler(self._record)

    def _record(self, change: Change) -> None:
        size = len(orjson.dumps(change.object))
        self._log.append((self.version(), change, size))
        self._size += size
        while len(self._log) > 1 and (len(self._log) > REMEMBERED or self._size > REMEMBERED_SIZE):
            self._forgotten, _, forgotten = self._log.popleft()
            self._size -= forgotten
        self._count += 1
        news, self._news = self._news, asyncio.Event()
        news.set()

    def version(self) -> int:
        """Return the version up to which everything is known."""
        self._latest = int(self._manifests.resource_version or self._latest)
        if self._forgotten is None:
            self._forgotten = self._latest
        return self._latest

    async def follow(self, selects: Selects, since: int | None) -> AsyncGenerator[Event, None]:
        """Yield what happens to the Manifests selected; a bookmark after a while of silence.

        Args:
            selects: whether a Manifest is meant.
            since: version after which changes are wanted; None begins with all there are and a bookmark.

        Raises:
            ApiError: 410, when changes since then are no longer known.
        """
        seen, known = self._count, self.version()
        if since is None:
            since = known
            for manifest in self._manifests.items():
                if selects(manifest):
                    yield Event(ADDED, manifest, int(manifest["metadata"]["resourceVersion"]))
            yield Event(BOOKMARK, None, since, initial_end=True)
        else:
            if since < (self._forgotten or 0):
                raise refuse(410, f"too old resource version: {since} ({self._forgotten})")
            seen -= len(self._log)
        while True:
            news = self._news
            pending = self._count - seen
            if pending > len(self._log):
                raise refuse(410, "too old resource version: the watch can't keep up")
            for version, change, _ in list(self._log)[len(self._log) - pending :] if pending else ():
                if version > since and (event := _event(change, version, selects)):
                    yield event
            seen += pending
            if self._count != seen:
                continue
            try:
                async with asyncio.timeout(BOOKMARK_SECONDS):
                    await news.wait()
            except TimeoutError:
                if self._count == seen:
                    yield Event(BOOKMARK, None, max(since, self.version()))


def _event(change: Change, version: int, selects: Selects) -> Event | None:
    """Return what a change means for those who see only the Manifests selected."""
    before = change.old is not None and selects(change.old)
    after = change.new is not None and selects(change.new)
    if after:
        return Event(MODIFIED if before else ADDED, change.new, version)
    if not before:
        return None
    gone = change.object
    return Event(DELETED, {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(version)}}, version)
