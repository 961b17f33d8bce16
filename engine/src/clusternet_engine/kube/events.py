"""Events (core/v1) that tell users what happened to an object."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Literal

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ConfigError
from clusternet_engine.kube.errors import ApiError, ClientClosed, ConnectionFailed, NotFound
from clusternet_engine.kube.resources import EVENTS, Object

log = logging.getLogger(__name__)

REMEMBERED = 1000
"""Events kept in mind to count repetitions instead of writing new ones."""
MAX_MESSAGE = 1024
"""Characters of a message; API servers refuse longer ones."""
EVENT_TIMEOUT = 10.0
"""Seconds to write an event."""
MAX_NOTES = 4
"""Events written at the same time by :meth:`EventRecorder.note`, so that they don't hold up what matters."""
MAX_NOTES_WAITING = 1000
"""Events that wait for that; further ones that tell of nothing wrong are dropped."""


class EventRecorder:
    """Writes events; a repetition raises the count of the one already written.

    :param component: who reports, e.g. ``clusternet-hub``.
    """

    def __init__(self, client: Client, component: str) -> None:
        self._client = client
        self._component = component
        self._instance = socket.gethostname()
        self._written: OrderedDict[tuple[str, ...], tuple[str, int]] = OrderedDict()
        self._notes: set[asyncio.Task[None]] = set()
        self._writers = asyncio.Semaphore(MAX_NOTES)

    def note(self, obj: Object, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Tell of something as :meth:`event` does, but don't wait until it is written."""
        if type == "Normal" and len(self._notes) >= MAX_NOTES_WAITING:
            log.debug("event %s of %s dropped: too many wait", reason, obj["metadata"].get("name"))
            return
        task = asyncio.create_task(self._note(obj, type, reason, message))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _note(self, obj: Object, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        async with self._writers:
            # At the end of the program what still waits is lost.
            with contextlib.suppress(ClientClosed):
                await self.event(obj, type, reason, message)

    async def event(self, obj: Object, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Tell of something that happened to ``obj``. Never raises: an event that can't be written is logged.

        Events of cluster-scoped objects go to the namespace ``default``.

        :param obj: with ``apiVersion``, ``kind`` and ``metadata``.
        :param reason: in CamelCase, for machines.
        :param message: a sentence; cut at :data:`MAX_MESSAGE` characters.
        """
        message = message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
        try:
            async with asyncio.timeout(EVENT_TIMEOUT):
                await self._write(obj, type, reason, message)
        except (ApiError, ConnectionFailed, ConfigError, TimeoutError) as error:
            log.warning("event %s of %s not written: %s", reason, obj["metadata"].get("name"), error or "out of time")

    async def _write(self, obj: Object, type: str, reason: str, message: str) -> None:
        metadata = obj["metadata"]
        namespace = metadata.get("namespace") or "default"
        key = (namespace, metadata["name"], metadata.get("uid", ""), type, reason, message)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if key in self._written:
            name, count = self._written[key]
            self._remember(key, name, count + 1)
            try:
                await self._client.patch(EVENTS, name, {"count": count + 1, "lastTimestamp": now}, namespace)
                return
            except NotFound:
                log.debug("event %s expired, writing it anew", name)
        name = f"{metadata['name'][:220]}.{time.time_ns():x}"
        self._remember(key, name, 1)
        event: Object = {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": obj["apiVersion"],
                "kind": obj["kind"],
                **{
                    field: metadata[field]
                    for field in ("name", "namespace", "uid", "resourceVersion")
                    if field in metadata
                },
            },
            "type": type,
            "reason": reason,
            "message": message,
            "source": {"component": self._component, "host": self._instance},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        await self._client.create(EVENTS, event)

    def _remember(self, key: tuple[str, ...], name: str, count: int) -> None:
        self._written[key] = (name, count)
        self._written.move_to_end(key)
        if len(self._written) > REMEMBERED:
            self._written.popitem(last=False)
