"""Work done side by side, and events that nobody waits for."""

import asyncio

import pytest
from clusternet_engine.kube import events
from clusternet_engine.kube.errors import ClientClosed
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.parallel import all_of, run_all


async def test_so_much_at_once_and_no_more():
    running, most, done = 0, 0, []

    def work(number):
        async def do():
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            done.append(number)

        return do

    await run_all(map(work, range(20)), at_once=3)
    assert (most, sorted(done)) == (3, list(range(20)))
    await run_all([], at_once=3)


async def test_a_failure_stops_nothing_and_is_raised_at_the_end():
    done = []

    def work(number):
        async def do():
            if number in (1, 3):
                raise ValueError(str(number))
            done.append(number)

        return do

    with pytest.raises(ValueError, match="1"):
        await run_all(map(work, range(6)), at_once=2)
    assert done == [0, 2, 4, 5]


class SlowClient:
    """Takes events, a few at a time."""

    def __init__(self):
        self.reasons, self.gate, self.running, self.most = [], asyncio.Event(), 0, 0

    async def create(self, resource, body):
        self.running += 1
        self.most = max(self.most, self.running)
        await self.gate.wait()
        self.running -= 1
        if body["reason"] == "Late":
            raise ClientClosed
        self.reasons.append(body["reason"])


async def test_notes_are_written_later_and_only_warnings_are_sure(monkeypatch):
    monkeypatch.setattr(events, "MAX_NOTES_WAITING", 10)
    client = SlowClient()
    recorder = EventRecorder(client, "me")
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}}
    for number in range(20):
        recorder.note(obj, "Normal", f"Reason{number}", "m")
    recorder.note(obj, "Warning", "Sure", "m")
    recorder.note(obj, "Warning", "Late", "m")
    await asyncio.sleep(0)
    assert client.reasons == []
    client.gate.set()
    await asyncio.wait_for(asyncio.gather(*recorder._notes), 5)
    assert client.most == events.MAX_NOTES
    assert sorted(client.reasons) == sorted([*(f"Reason{number}" for number in range(10)), "Sure"])


async def test_the_first_failure_ends_the_others_before_it_is_raised():
    ended = []

    async def endless(number):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(number)

    async def fail():
        await asyncio.sleep(0)
        raise ValueError("no way")

    with pytest.raises(ValueError, match="no way"):
        await all_of([endless(1), fail(), endless(2)])
    assert sorted(ended) == [1, 2]


async def test_results_come_in_the_order_of_the_works():
    async def work(number):
        await asyncio.sleep(0.01 - number / 1000)
        return number

    assert await all_of(map(work, range(5))) == list(range(5))
