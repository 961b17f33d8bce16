"""Objects that an informer or its handlers can't make use of, each told of once.

An object may be nested too deeply to be read whole, or hold something that an index or a handler doesn't expect. It
stays in the cache, everything else goes on, and whoever looks for the reason finds it: in the log, in the metrics, and
in an event if somebody listens who may write one. What is wrong with the next version, too, isn't told again: somebody
may write many of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from clusternet_engine import metrics
from clusternet_engine.kube.nesting import MAX_DEPTH, is_incomplete
from clusternet_engine.kube.resources import Object, object_key

log = logging.getLogger(__name__)

TOO_DEEP = f"it is nested deeper than {MAX_DEPTH} levels; what is deeper is left out"

Listener = Callable[[Object, str], None]
"""Takes an object and a sentence about it."""


@dataclass(slots=True)
class _Fault:
    obj: Object
    told: frozenset[str] = frozenset()
    """Places where something was wrong with the version before."""
    messages: dict[str, str] = field(default_factory=dict)
    """What is wrong, by the place where it was noticed."""


class Faults:
    """The faults of the objects in one informer's cache.

    :param resource: plural name, for logs and metrics.
    """

    def __init__(self, resource: str) -> None:
        self._resource = resource
        self._faults: dict[str, _Fault] = {}
        self._listeners: list[Listener] = []

    def __len__(self) -> int:
        """Objects with a fault."""
        return len(self._faults)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` for every fault there is and those to come; return how to end that."""
        self._listeners.append(listener)
        for fault in self._faults.values():
            for message in fault.messages.values():
                listener(fault.obj, message)
        return lambda: self._listeners.remove(listener)

    @contextmanager
    def handling(self, obj: Object) -> Iterator[None]:
        """Hand an object's present version to the handlers; what was wrong with former versions is over then."""
        if is_incomplete(obj):
            self._note(obj, "nesting", TOO_DEEP, None)
        yield
        fault = self._faults.get(object_key(obj))
        if fault is not None and _version(fault.obj) != _version(obj):
            self.forget(obj)

    def failed(self, obj: Object, where: str, error: Exception) -> None:
        """Note that an index or a handler has failed on an object that exists.

        :param where: names the index or handler.
        :param error: how; the log alone tells more than its type, since its text may hold content of the object.
        """
        metrics.HANDLER_FAILURES.labels(self._resource).inc()
        self._note(obj, where, f"{where} can't make use of it ({type(error).__name__})", error)

    def failed_on_removal(self, obj: Object, where: str, error: Exception) -> None:
        """Note that a handler has failed on an object that is gone."""
        metrics.HANDLER_FAILURES.labels(self._resource).inc()
        log.error("%s %s: %s failed on its removal", self._resource, object_key(obj), where, exc_info=error)

    def forget(self, obj: Object) -> None:
        """An object is gone, or nothing is wrong with it any more."""
        if self._faults.pop(object_key(obj), None):
            metrics.MALFORMED_OBJECTS.labels(self._resource).dec()

    def clear(self) -> None:
        """Nobody follows the objects any more."""
        metrics.MALFORMED_OBJECTS.labels(self._resource).dec(len(self._faults))
        self._faults.clear()

    def _note(self, obj: Object, where: str, message: str, error: Exception | None) -> None:
        key = object_key(obj)
        fault = self._faults.get(key)
        if fault is None:
            metrics.MALFORMED_OBJECTS.labels(self._resource).inc()
            fault = self._faults[key] = _Fault(obj)
        elif _version(fault.obj) != _version(obj):
            fault = self._faults[key] = _Fault(obj, frozenset(fault.messages))
        if where in fault.messages:
            return
        fault.messages[where] = message
        if where in fault.told:
            return
        log.warning("%s %s: %s", self._resource, key, message, exc_info=error)
        for listener in self._listeners:
            listener(obj, message)


def _version(obj: Object) -> object:
    return obj["metadata"].get("uid"), obj["metadata"].get("resourceVersion")
