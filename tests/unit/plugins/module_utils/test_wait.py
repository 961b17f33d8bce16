"""Waiting: watches from the version it knows, falls back to lists, ends at the deadline with the reason."""

import pytest
from ansible_collections.clusternet.core.plugins.module_utils import wait
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, ConnectionFailed, WaitTimeout


def obj(version, ready=False):
    return {"metadata": {"name": "a", "resourceVersion": str(version)}, "ready": ready}


def missing(objects):
    return [] if any(item["ready"] for item in objects) else ["not ready"]


class Script:
    """A client whose answers are written down beforehand."""

    def __init__(self, lists=(), watches=()):
        self._lists, self._watches = list(lists), list(watches)
        self.calls = []

    def request(self, method, path, query):
        self.calls.append("list")
        items = self._lists.pop(0) if len(self._lists) > 1 else self._lists[0]
        return {"items": items, "metadata": {"resourceVersion": "100"}}

    def watch(self, path, version, timeout, field_selector, label_selector):
        self.calls.append(f"watch from {version}")
        events = self._watches.pop(0) if self._watches else []
        if isinstance(events, Exception):
            raise events
        yield from events


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(wait, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(wait, "_LONGEST_PAUSE", 0.01)


def run(client, seconds=5.0, start=None):
    return wait.wait_until(client, "/things", missing, wait.Deadline(seconds), "Waiting", start=start)


def test_pain_9_it_watches_from_the_returned_version_and_never_lists():
    client = Script(watches=[[("MODIFIED", obj(8)), ("MODIFIED", obj(9, True))]])
    assert run(client, start=obj(7)) == [obj(9, True)]
    assert client.calls == ["watch from 7"]


def test_what_is_there_already_costs_nothing():
    client = Script()
    run(client, start=obj(7, True))
    assert client.calls == []


@pytest.mark.parametrize(
    "broken", [ApiError(410, "Expired", "too old"), ConnectionFailed("https://x", "reset"), ApiError(503, "x", "y")]
)
def test_a_broken_watch_is_begun_again_from_a_list(broken):
    client = Script(lists=[[obj(50)]], watches=[broken, [("MODIFIED", obj(101, True))]])
    assert run(client, start=obj(7)) == [obj(101, True)]
    assert client.calls == ["watch from 7", "list", "watch from 100"]


def test_a_refusal_is_not_waited_for():
    with pytest.raises(ApiError):
        run(Script(watches=[ApiError(403, "Forbidden", "no")]), start=obj(7))


def test_pain_7_the_deadline_brings_the_reason_and_the_last_object():
    with pytest.raises(WaitTimeout) as caught:
        run(Script(lists=[[obj(50)]]), seconds=0.05, start=obj(7))
    assert caught.value.missing == "not ready"
    assert caught.value.last_object == obj(50)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({}, "not there yet"),
        ({"conditions": [{"type": "Ready", "status": "False", "reason": "Why"}]}, "False (Why)"),
        ({"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 1}]}, "about generation 1"),
        ({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}, "about generation 1"),
    ],
)
def test_pain_7_a_condition_about_an_older_generation_does_not_count(status, reason):
    assert reason in wait.condition_true({"metadata": {"generation": 2}, "status": status}, "Ready")


def test_a_true_condition_of_the_present_generation_counts():
    status = {"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 2}]}
    assert wait.condition_true({"metadata": {"generation": 2}, "status": status}, "Ready") is None
