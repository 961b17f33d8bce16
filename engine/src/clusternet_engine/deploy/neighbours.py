"""What else is to be on the same cluster: two Subscriptions may bring the same thing there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import Object, object_key
from clusternet_engine.model.applied import Identity, identity, references_of


class Neighbours:
    """The objects of one kind that are deployed to the same cluster.

    Args:
        informer: of the kind.
        index: the name of its index by namespace; each cluster has its own.
        wanted: whether an object of the kind is deployed at all.
        enqueue: has the object of a key deployed again soon.
    """

    def __init__(
        self, informer: Informer, index: str, wanted: Callable[[Object], bool], enqueue: Callable[[str], None]
    ) -> None:
        self._informer = informer
        self._index = index
        self._wanted = wanted
        self._enqueue = enqueue
        self._identities: dict[str, tuple[int, frozenset[Identity]]] = {}

    def of(self, obj: Object) -> Iterator[Object]:
        """Yield the others on its cluster that aren't being removed."""
        for other in filter(self._wanted, self._informer.by_index(self._index, obj["metadata"]["namespace"])):
            metadata = other["metadata"]
            if metadata["uid"] != obj["metadata"]["uid"] and not metadata.get("deletionTimestamp"):
                yield other

    def sharing(self, description: Object, references: Iterable[Object]) -> dict[Identity, Object]:
        """Return, for what other Descriptions have of these references, one that has it."""
        asked = {identity(entry) for entry in references}
        found: dict[Identity, Object] = {}
        for other in self.of(description):
            found |= dict.fromkeys(asked & self._identities_of(other), other)
        return found

    def wake(self, obj: Object) -> None:
        """Have an object deployed again soon."""
        self._enqueue(object_key(obj))

    def forget(self, obj: Object) -> None:
        """The object is gone."""
        self._identities.pop(obj["metadata"]["uid"], None)

    def _identities_of(self, description: Object) -> frozenset[Identity]:
        metadata = description["metadata"]
        generation, known = self._identities.get(metadata["uid"]) or (None, frozenset())
        if generation != metadata["generation"]:
            known = frozenset(map(identity, references_of(description).values()))
            self._identities[metadata["uid"]] = metadata["generation"], known
        return known
