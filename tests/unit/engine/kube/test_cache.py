"""The cache against a model: whatever happens, objects, indexes and the changes told agree."""

from __future__ import annotations

import itertools

import pytest
from clusternet_engine.kube.cache import Cache, Change
from clusternet_engine.kube.resources import Object, object_key
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
LABELS = st.lists(st.sampled_from(["red", "green", "blue"]), max_size=4)


def labels_of(obj: Object) -> list[str]:
    return list(obj["labels"])


class CacheMachine(RuleBasedStateMachine):
    """`world` is what the server holds; `replayed` is what a handler that only sees changes would hold."""

    @initialize()
    def start(self) -> None:
        self.cache = Cache()
        self.cache.add_index("label", labels_of)
        self.world: dict[str, Object] = {}
        self.replayed: dict[str, Object] = {}
        self.versions = itertools.count(1)
        self.late_indexes = 0

    def make(self, name: str, labels: list[str], uid: str | None = None) -> Object:
        version = str(next(self.versions))
        return {
            "metadata": {"name": name, "namespace": "ns", "uid": uid or f"uid-{version}", "resourceVersion": version},
            "labels": labels,
        }

    def told(self, changes: list[Change]) -> None:
        for change in changes:
            key = object_key(change.object)
            if change.type == "ADDED":
                assert key not in self.replayed
                assert change.old is None
                assert change.new is not None
                self.replayed[key] = change.new
            elif change.type == "MODIFIED":
                assert change.old == self.replayed[key]
                assert change.new is not None
                assert change.old["metadata"]["uid"] == change.new["metadata"]["uid"]
                assert change.old != change.new
                self.replayed[key] = change.new
            else:
                assert change.type == "DELETED"
                assert change.new is None
                del self.replayed[key]

    @rule(name=NAMES, labels=LABELS)
    def put(self, name: str, labels: list[str]) -> None:
        old = self.world.get(f"ns/{name}")
        obj = self.make(name, labels, old["metadata"]["uid"] if old else None)
        self.world[f"ns/{name}"] = obj
        self.told(self.cache.put(obj))

    @rule(name=NAMES)
    def see_again(self, name: str) -> None:
        if obj := self.world.get(f"ns/{name}"):
            assert self.cache.put({**obj}) == []

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        obj = self.world.pop(f"ns/{name}", None)
        last = self.make(name, [], obj["metadata"]["uid"] if obj else None)
        changes = self.cache.remove(last)
        assert len(changes) == (1 if obj else 0)
        self.told(changes)

    @rule(kept=st.sets(NAMES), recreated=st.dictionaries(NAMES, LABELS), changed=st.dictionaries(NAMES, LABELS))
    def relist(self, kept: set[str], recreated: dict[str, list[str]], changed: dict[str, list[str]]) -> None:
        world = {f"ns/{name}": self.world[f"ns/{name}"] for name in kept if f"ns/{name}" in self.world}
        for name, labels in changed.items():
            if old := world.get(f"ns/{name}"):
                world[f"ns/{name}"] = self.make(name, labels, old["metadata"]["uid"])
        for name, labels in recreated.items():
            world[f"ns/{name}"] = self.make(name, labels)
        self.world = world
        self.told(self.cache.replace([{**obj} for obj in world.values()]))

    @precondition(lambda self: self.late_indexes < 2)
    @rule()
    def index_later(self) -> None:
        self.late_indexes += 1
        self.cache.add_index(f"late-{self.late_indexes}", labels_of)

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "cache"):
            return
        assert self.replayed == self.world
        assert len(self.cache) == len(self.world)
        assert {object_key(obj): obj for obj in self.cache.items()} == self.world
        for key, obj in self.world.items():
            assert self.cache.get(key) == obj
        for index in ["label", *(f"late-{n + 1}" for n in range(self.late_indexes))]:
            for label in ("red", "green", "blue"):
                found = sorted(object_key(obj) for obj in self.cache.by_index(index, label))
                assert found == sorted(key for key, obj in self.world.items() if label in obj["labels"])


CacheMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestCache = CacheMachine.TestCase


def test_an_index_that_fails_on_an_object_does_not_lose_the_object() -> None:
    cache = Cache()
    cache.add_index("label", labels_of)
    good = {"metadata": {"name": "x", "resourceVersion": "1"}, "labels": ["red"]}
    bad = {"metadata": {"name": "x", "resourceVersion": "2"}}
    cache.put(good)
    assert cache.by_index("label", "red") == [good]
    assert [change.type for change in cache.put(bad)] == ["MODIFIED"]
    assert cache.by_index("label", "red") == []
    assert cache.get("x") == bad


def test_an_index_name_is_taken_once_and_must_exist() -> None:
    cache = Cache()
    cache.add_index("label", labels_of)
    with pytest.raises(ValueError, match="label"):
        cache.add_index("label", labels_of)
    with pytest.raises(KeyError):
        cache.by_index("other", "x")
