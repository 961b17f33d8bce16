"""The hub's caches without an API server: a test puts into them what it wants to be known."""

from typing import Any

import pytest
from clusternet_engine.hub.caches import Caches
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import Object


class KnownCaches(Caches):
    """Caches that have been listed and were empty."""

    def __init__(self) -> None:
        nobody: Any = None
        super().__init__(nobody, reserved_namespace="clusternet-reserved")
        for informer in self._running.values():
            informer._synced.set()

    def put(self, informer: Informer, obj: Object) -> None:
        informer._emit(informer._cache.put(obj))

    def remove(self, informer: Informer, obj: Object) -> None:
        informer._emit(informer._cache.remove(obj))


@pytest.fixture
def caches() -> KnownCaches:
    return KnownCaches()
