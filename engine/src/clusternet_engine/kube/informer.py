"""A local copy of a resource's objects, kept fresh by list and watch."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable

from clusternet_engine import metrics
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.cache import Cache, Change, IndexFunction
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ConfigError
from clusternet_engine.kube.errors import ApiError, ConnectionFailed, Expired
from clusternet_engine.kube.faults import Faults
from clusternet_engine.kube.resources import Object, Resource, make_key, object_key
from clusternet_engine.kube.watch import WatchEvent

log = logging.getLogger(__name__)

FIRST_DELAY = 0.1
"""Seconds before the first new attempt after a failure."""
MAX_DELAY = 30.0
"""Seconds between attempts at most."""
SHORT_WATCH = 1.0
"""A watch without an event that ends or is cut within this many seconds counts as a failure, or it would spin."""

Handler = Callable[[Change], None]


class Informer:
    """Lists a resource once, then follows its changes; survives restarts of the API server.

    After a cut it resumes from the last version seen; when the server has forgotten that one (410), it lists again
    and derives the changes in between. Objects are shared with every reader and must not be changed; they lack
    ``metadata.managedFields``.

    An object that can't be read whole, or that an index or a handler fails on, stays known and harms no other one;
    ``faults`` tells of it.

    :param namespace: ``None`` = all namespaces.
    :param keep: whether an object shall be known, where no selector can tell the server.
    :param complete: adds to an object what its readers rely on, as it arrives; must not raise.
    :param metadata_only: know nothing but the objects' metadata, which is all that is asked for.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        keep: Callable[[Object], bool] = lambda obj: True,
        complete: Callable[[Object], None] = lambda obj: None,
        metadata_only: bool = False,
    ) -> None:
        self._metadata_only = metadata_only
        self._keep = keep
        self._complete = complete
        self._client = client
        self._resource = resource
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self.faults = Faults(resource.plural)
        """Objects that are nested too deeply to be read whole, or that an index or a handler has failed on."""
        self._cache = Cache(self.faults.failed)
        self._handlers: list[Handler] = []
        self._synced = asyncio.Event()
        self._last_error: Exception | None = None
        self._resource_version = ""

    @property
    def synced(self) -> bool:
        """Whether the first list has arrived."""
        return self._synced.is_set()

    @property
    def last_error(self) -> Exception | None:
        """Why the last attempt failed; ``None`` while the watch is healthy."""
        return self._last_error

    @property
    def resource_version(self) -> str:
        """Of the last change or bookmark seen; empty before the first list, and while a new one is due."""
        return self._resource_version

    def get(self, name: str, namespace: str | None = None) -> Object | None:
        """The object as last seen, or ``None``."""
        return self._cache.get(make_key(name, namespace))

    def items(self) -> list[Object]:
        """All objects as last seen."""
        return self._cache.items()

    def add_index(self, name: str, func: IndexFunction) -> None:
        """Make objects findable by the values ``func`` gives for them.

        :raises ValueError: the name is taken.
        """
        self._cache.add_index(name, func)

    def by_index(self, name: str, value: str) -> list[Object]:
        """The objects with this value in an index.

        :raises KeyError: no such index.
        """
        return self._cache.by_index(name, value)

    def add_handler(self, handler: Handler) -> None:
        """Call ``handler`` for every change from now on, and with ``ADDED`` for every object already known.

        The cache is up to date when a handler runs. Handlers must be quick; one that raises is a fault of the object.
        """
        self._handlers.append(handler)
        for obj in self._cache.items():
            self.call(handler, Change("ADDED", None, obj))

    async def wait_synced(self, timeout: float) -> None:
        """Wait until the first list has arrived.

        :param timeout: seconds.
        :raises TimeoutError: it has not; the text says why.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._synced.wait()
        except TimeoutError:
            reason = self._last_error or "no answer yet"
            raise TimeoutError(f"{self._resource.plural} not listed within {timeout:g} s: {reason}") from None

    async def run(self) -> None:
        """List and watch until cancelled."""
        try:
            await self._follow()
        finally:
            self.faults.clear()

    async def _follow(self) -> None:
        backoff = Backoff(FIRST_DELAY, MAX_DELAY)
        while True:
            try:
                if not self._resource_version:
                    await self._list()
                if await self._watch(backoff):
                    continue
                delay = backoff.next()
            except Expired as error:
                self._resource_version = ""
                delay = self._failed(error, backoff)
            except ApiError as error:
                if error.status not in (429, 503):
                    self._resource_version = ""
                delay = self._failed(error, backoff)
            except (ConnectionFailed, ConfigError) as error:
                delay = self._failed(error, backoff)
            await asyncio.sleep(delay)

    def _failed(self, error: Exception, backoff: Backoff) -> float:
        if self._last_error is None and not isinstance(error, Expired):
            log.warning("%s: watch interrupted: %s", self._resource.plural, error)
        else:
            log.debug("%s: %s", self._resource.plural, error)
        self._last_error = error
        return backoff.next()

    async def _list(self) -> None:
        listed = await self._client.list(
            self._resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            metadata_only=self._metadata_only,
        )
        metrics.INFORMER_LISTS.labels(self._resource.plural).inc()
        for obj in listed.items:
            obj["metadata"].pop("managedFields", None)
            self._complete(obj)
        changes = self._cache.replace(filter(self._keeps, listed.items))
        self._resource_version = listed.resource_version
        self._synced.set()
        self._recovered()
        self._emit(changes)

    async def _watch(self, backoff: Backoff) -> bool:
        """Follow one watch to its end; return whether it was worth its connection, which starts the backoff anew."""
        started = time.monotonic()
        events = 0

        def was_worth_it() -> bool:
            return events > 0 or time.monotonic() - started >= SHORT_WATCH

        watch = self._client.watch(
            self._resource,
            self._namespace,
            resource_version=self._resource_version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            metadata_only=self._metadata_only,
        )
        try:
            async with contextlib.aclosing(watch) as stream:
                async for event in stream:
                    events += 1
                    self._apply(event)
        except ConnectionFailed as error:
            if error.cause == "closed" and was_worth_it():
                backoff.reset()
            raise
        if was_worth_it():
            backoff.reset()
            return True
        return False

    def _apply(self, event: WatchEvent) -> None:
        self._recovered()
        self._resource_version = event.resource_version
        if event.type == "BOOKMARK":
            return
        event.object["metadata"].pop("managedFields", None)
        self._complete(event.object)
        gone = event.type == "DELETED" or not self._keeps(event.object)
        self._emit(self._cache.remove(event.object) if gone else self._cache.put(event.object))

    def _keeps(self, obj: Object) -> bool:
        try:
            return self._keep(obj)
        except Exception:
            log.exception("%s: can't tell whether to keep %s, so it isn't", self._resource.plural, object_key(obj))
            return False

    def _recovered(self) -> None:
        if self._last_error is not None:
            log.info("%s: watching again", self._resource.plural)
            self._last_error = None

    def _emit(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.new is None:
                self.faults.forget(change.object)
                self._hand_out(change)
            else:
                with self.faults.handling(change.new):
                    self._hand_out(change)

    def _hand_out(self, change: Change) -> None:
        for handler in self._handlers:
            self.call(handler, change)

    def call(self, handler: Handler, change: Change) -> None:
        """Tell a handler of a change of one of these objects; an exception in it is a fault of the object."""
        try:
            handler(change)
        except Exception as error:
            noted = self.faults.failed_on_removal if change.new is None else self.faults.failed
            noted(change.object, f"handler {getattr(handler, '__qualname__', 'of another kind')}", error)
