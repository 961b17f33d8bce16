"""The Manifests of the parent with the values of their Secrets, as everything in the hub sees them.

Two informers are put together: Manifests, and the Secrets with values in the reserved namespace. A change of either
wakes whoever follows this one. What can go wrong: the two are watched apart, so a Manifest may be known a moment before
its values, and somebody may remove a Secret with values. Values that were known stay. A Manifest whose newer values
aren't known yet keeps the former ones, marked as late; one without any is marked as lost: it can be deleted, but it
isn't rendered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from clusternet_engine.kube.cache import Cache, Change, IndexFunction
from clusternet_engine.kube.informer import Handler, Informer
from clusternet_engine.kube.nesting import is_incomplete
from clusternet_engine.kube.resources import Object, make_key, object_key
from clusternet_engine.model import constants as names
from clusternet_engine.model.secret_values import (
    INCOMPLETE,
    LATE,
    LOST,
    MalformedValues,
    is_secret,
    joined,
    values_in,
    values_name,
)

_BY_VALUES = "values"

log = logging.getLogger(__name__)


class Manifests:
    """Looks like an informer of Manifests.

    Args:
        stored: the Manifests as they are stored.
        values: the Secrets with values in the same namespace.
    """

    def __init__(self, stored: Informer, values: Informer) -> None:
        self._stored = stored
        self._values = values
        self._cache = Cache()
        self._handlers: list[Handler] = []
        stored.add_index(_BY_VALUES, lambda manifest: [name] if (name := values_name(manifest)) else [])
        stored.add_handler(self._on_stored)
        values.add_handler(self._on_values)

    @property
    def synced(self) -> bool:
        """Whether both have been listed."""
        return self._stored.synced and self._values.synced

    @property
    def last_error(self) -> Exception | None:
        """Why the last attempt failed."""
        return self._stored.last_error or self._values.last_error

    @property
    def resource_version(self) -> str:
        """Of the last change of a Manifest; a change that waits for its values may be shown with a later one."""
        return self._stored.resource_version

    def get(self, name: str, namespace: str | None = None) -> Object | None:
        """Return the Manifest as last seen, or None."""
        return self._cache.get(make_key(name, namespace))

    def items(self) -> list[Object]:
        """Return all Manifests as last seen."""
        return self._cache.items()

    def add_index(self, name: str, func: IndexFunction) -> None:
        """Make Manifests findable by the values that a function gives for them."""
        self._cache.add_index(name, func)

    def by_index(self, name: str, value: str) -> list[Object]:
        """Return the Manifests with this value in an index."""
        return self._cache.by_index(name, value)

    def add_handler(self, handler: Callable[[Change], None]) -> None:
        """Call a handler for every change from now on, and with `ADDED` for every Manifest already known."""
        self._handlers.append(handler)
        for manifest in self._cache.items():
            self._stored.call(handler, Change("ADDED", None, manifest))

    def _on_stored(self, change: Change) -> None:
        if change.new is None:
            known = self._cache.get(object_key(change.object))
            gone = {**change.object, "template": known["template"]} if known else change.object
            self._emit(self._cache.remove(gone))
        else:
            self._emit(self._cache.put(self._whole(change.new)))

    def _on_values(self, change: Change) -> None:
        """Values are known now; those that are gone stay in the cache."""
        for manifest in self._stored.by_index(_BY_VALUES, change.object["metadata"]["name"]):
            before, now = self._cache.get(object_key(manifest)), self._whole(manifest)
            if before is not None and before != now:
                self._cache.put(now)
                self._emit([Change("MODIFIED", before, now)])

    def _whole(self, manifest: Object) -> Object:
        name = values_name(manifest)
        if name is None or is_incomplete(manifest) or not is_secret(manifest.get("template")):
            return manifest
        secret = self._values.get(name, manifest["metadata"]["namespace"])
        try:
            if secret is not None:
                values = values_in(secret, names.MANIFEST_VALUES_TYPE)
                return {**manifest, "template": joined(manifest["template"], values)}
        except MalformedValues as error:
            log.warning("%s: %s", object_key(manifest), error)
        known = self._cache.get(object_key(manifest))
        if not known or known["metadata"]["uid"] != manifest["metadata"]["uid"] or known.get(INCOMPLETE) == LOST:
            return {**manifest, INCOMPLETE: LOST}
        late = {} if values_name(known) == name and INCOMPLETE not in known else {INCOMPLETE: LATE}
        return {**manifest, "template": known["template"], **late}

    def _emit(self, changes: list[Change]) -> None:
        for change in changes:
            for handler in self._handlers:
                self._stored.call(handler, change)
