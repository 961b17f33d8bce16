"""Following several collections until many things are there, or have failed for a while."""

import queue
import time

import pytest
from ansible_collections.clusternet.core.plugins.module_utils import following
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, WaitTimeout
from ansible_collections.clusternet.core.plugins.module_utils.following import (
    Collection,
    Mirrors,
    Standing,
    wait_for_each,
)
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline


class FakeClient:
    """Serves objects by path, and watch events as they are put."""

    def __init__(self, **objects):
        self.objects = {f"/{path}": items for path, items in objects.items()}
        self.events = {path: queue.Queue() for path in self.objects}
        self.error = None

    def request(self, _method, path, _query=None):
        if self.error:
            raise self.error
        return {"metadata": {"resourceVersion": "1"}, "items": self.objects[path]}

    def watch(self, path, _version, timeout, *_selectors):
        while True:
            try:
                yield self.events[path].get(timeout=timeout)
            except queue.Empty:
                return


def obj(name, **more):
    return {"metadata": {"name": name}, **more}


def ready(mirrors, name="a"):
    return lambda: [
        Standing([], []) if item.get("ready") else Standing(["not ready"], []) for item in mirrors.objects(name)
    ]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Short times."""
    monkeypatch.setattr(following, "PATIENCE", 0.2)
    monkeypatch.setattr(following, "SETTLING", 0.1)


def followed(client, seconds=5.0, *names):
    deadline = Deadline(seconds)
    mirrors = Mirrors(client, deadline)
    for name in names or ("a",):
        mirrors.follow(name, Collection(f"/{name}"))
    return mirrors, deadline


def test_what_is_there_already_needs_no_event():
    mirrors, deadline = followed(FakeClient(a=[obj("x", ready=True)]))
    assert wait_for_each(mirrors, ready(mirrors), deadline) == [None]


def test_an_event_is_seen_at_once():
    client = FakeClient(a=[obj("x")])
    mirrors, deadline = followed(client)
    client.events["/a"].put(("MODIFIED", obj("x", ready=True)))
    started = time.monotonic()
    assert wait_for_each(mirrors, ready(mirrors), deadline) == [None]
    assert time.monotonic() - started < 1


def test_what_is_looked_at_elsewhere_is_looked_at_again_without_an_event():
    mirrors, deadline = followed(FakeClient(a=[obj("x")]))
    looks = []

    def judge():
        looks.append(1)
        return [Standing([] if len(looks) > 2 else ["not yet"], [])]

    assert wait_for_each(mirrors, judge, deadline, lambda: 0.01) == [None]


def test_several_collections_are_joined():
    client = FakeClient(a=[obj("x")], b=[])
    mirrors, deadline = followed(client, 5.0, "a", "b")
    client.events["/b"].put(("ADDED", obj("y")))
    both = lambda: [Standing([] if mirrors.objects("b") else ["no b"], [])]  # noqa: E731
    assert wait_for_each(mirrors, both, deadline) == [None]
    client.events["/b"].put(("DELETED", obj("y")))
    none = lambda: [Standing(["a b"] if mirrors.objects("b") else [], [])]  # noqa: E731
    assert wait_for_each(mirrors, none, deadline) == [None]


def test_a_failure_that_lasts_is_given_up_before_the_time_is_over():
    mirrors, deadline = followed(FakeClient(a=[obj("x")]), 30.0)
    started = time.monotonic()
    failing = lambda: [Standing(["broken", "missing"], ["broken"]), Standing([], [])]  # noqa: E731
    assert wait_for_each(mirrors, failing, deadline) == ["broken", None]
    assert 0.2 <= time.monotonic() - started < 5


def test_a_failure_that_heals_is_not_given_up():
    client = FakeClient(a=[obj("x")])
    mirrors, deadline = followed(client)

    def judge():
        (item,) = mirrors.objects("a")
        if not item.get("ready"):
            client.events["/a"].put(("MODIFIED", obj("x", ready=True)))
            return [Standing(["broken"], ["broken"])]
        return [Standing([], [])]

    assert wait_for_each(mirrors, judge, deadline) == [None]


def test_a_state_of_unknown_age_counts_when_it_lasts():
    mirrors, deadline = followed(FakeClient(a=[obj("x")]))
    started = time.monotonic()
    assert wait_for_each(mirrors, lambda: [Standing([], [], "7")], deadline) == [None]
    assert time.monotonic() - started >= 0.1


def test_a_timeout_says_what_is_missing():
    mirrors, deadline = followed(FakeClient(a=[obj("x")]), 0.1)
    assert wait_for_each(mirrors, ready(mirrors), deadline) == ["not within 0.1 seconds: not ready"]


def test_a_refusal_is_raised():
    client = FakeClient(a=[])
    client.error = ApiError(403, "Forbidden", "no")
    mirrors, deadline = followed(client)
    with pytest.raises(ApiError):
        wait_for_each(mirrors, ready(mirrors), deadline)


def test_a_server_that_never_answers_ends_in_a_timeout():
    client = FakeClient(a=[])
    client.error = ApiError(503, "ServiceUnavailable", "later")
    mirrors, deadline = followed(client, 0.2)
    with pytest.raises(WaitTimeout, match="has not answered"):
        wait_for_each(mirrors, ready(mirrors), deadline)
