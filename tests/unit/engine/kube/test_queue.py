"""The work queue against a model, with virtual time."""

from __future__ import annotations

import asyncio
import selectors

import pytest
from clusternet_engine.kube.queue import BASE_DELAY, MAX_DELAY, ShutDown, WorkQueue, retry_delay
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

KEYS = st.sampled_from(["a", "b", "c", "d"])


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves only when told."""

    def __init__(self) -> None:
        super().__init__(selectors.SelectSelector())
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def settle(self) -> None:
        """Run what is due."""

        async def pause() -> None:
            for _ in range(5):
                await asyncio.sleep(0)

        self.run_until_complete(pause())


class QueueMachine(RuleBasedStateMachine):
    """Model: ready keys in order, keys being worked on, keys added meanwhile, delays, failures."""

    @initialize()
    def start(self) -> None:
        self.loop = VirtualLoop()
        self.queue: WorkQueue[str] = WorkQueue()
        self.ready: list[str] = []
        self.due: dict[str, float] = {}  # of ready keys that were delayed: keys due at one instant come in any order
        self.processing: set[str] = set()
        self.again: set[str] = set()
        self.delays: dict[str, float] = {}
        self.failures: dict[str, int] = {}
        self.closed = False

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()

    def model_add(self, key: str) -> None:
        if self.closed or key in self.ready:
            return
        if key in self.processing:
            self.again.add(key)
        else:
            self.ready.append(key)

    def model_delay(self, key: str, seconds: float) -> None:
        if self.closed:
            return
        due = self.loop.now + seconds
        if seconds <= 0:
            self.model_add(key)
        elif key not in self.delays or due < self.delays[key]:
            self.delays[key] = due

    def in_loop(self, function: object, *args: object, **named: object) -> None:
        async def call() -> None:
            function(*args, **named)  # type: ignore[operator]

        self.loop.run_until_complete(call())

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.model_add(key)

    @rule(key=KEYS, seconds=st.sampled_from([-1.0, 0.0, 0.5, 1.0, 7.0]))
    def add_after(self, key: str, seconds: float) -> None:
        self.in_loop(self.queue.add_after, key, seconds)
        self.model_delay(key, seconds)

    @rule(key=KEYS, at_least=st.sampled_from([0.0, 3.0]))
    def add_rate_limited(self, key: str, at_least: float) -> None:
        self.in_loop(self.queue.add_rate_limited, key, at_least=at_least)
        self.failures[key] = self.failures.get(key, 0) + 1
        self.model_delay(key, max(at_least, min(BASE_DELAY * 2 ** (self.failures[key] - 1), MAX_DELAY)))

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.queue.forget(key)
        self.failures.pop(key, None)

    @rule(seconds=st.sampled_from([0.001, 0.02, 1.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.loop.now += seconds
        self.loop.settle()
        for due, key in sorted((due, key) for key, due in self.delays.items() if due <= self.loop.now):
            del self.delays[key]
            if key not in self.ready and key not in self.processing and not self.closed:
                self.due[key] = due
            self.model_add(key)

    @precondition(lambda self: self.ready)
    @rule()
    def get(self) -> None:
        key = self.loop.run_until_complete(self.queue.get())
        assert key == self.ready[0] or (key in self.ready and self.due.get(key, -1.0) == self.due.get(self.ready[0]))
        assert key not in self.processing
        self.ready.remove(key)
        self.due.pop(key, None)
        self.processing.add(key)

    @precondition(lambda self: not self.ready)
    @rule(key=KEYS, cancel=st.booleans())
    def get_when_empty(self, key: str, cancel: bool) -> None:
        async def wait() -> str | None:
            task = asyncio.ensure_future(self.queue.get())
            for _ in range(3):
                await asyncio.sleep(0)
            if self.closed:
                with pytest.raises(ShutDown):
                    await task
                return None
            assert not task.done()
            self.queue.add(key)
            if cancel or key in self.processing:
                task.cancel()
                await asyncio.wait((task,))
                assert task.cancelled()
                return None
            return await task

        got = self.loop.run_until_complete(wait())
        self.model_add(key)
        if got is not None:
            assert got == key
            self.ready.remove(key)
            self.processing.add(key)

    @rule(key=KEYS)
    def done(self, key: str) -> None:
        self.queue.done(key)
        if key in self.processing:
            self.processing.remove(key)
            if key in self.again:
                self.again.remove(key)
                if not self.closed:
                    self.ready.append(key)

    @rule()
    def shut_down(self) -> None:
        self.queue.shut_down()
        self.closed = True
        self.delays.clear()

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "queue"):
            return
        assert len(self.queue) == len(self.ready)
        for key in "abcd":
            assert self.queue.failures(key) == self.failures.get(key, 0)


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestQueue = QueueMachine.TestCase


@given(st.integers(min_value=1, max_value=10**6))
def test_retry_delay_grows_to_its_limit(failures: int) -> None:
    delay = retry_delay(failures)
    assert BASE_DELAY <= delay <= MAX_DELAY
    assert delay <= retry_delay(failures + 1)
    if failures <= 13:
        assert delay == pytest.approx(BASE_DELAY * 2 ** (failures - 1))


async def test_many_workers_never_share_a_key() -> None:
    queue: WorkQueue[int] = WorkQueue()
    working: set[int] = set()
    worked: list[int] = []

    async def worker() -> None:
        while True:
            try:
                key = await queue.get()
            except ShutDown:
                return
            assert key not in working
            working.add(key)
            await asyncio.sleep(0.001)
            working.remove(key)
            worked.append(key)
            queue.done(key)

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(worker())
        for round_ in range(20):
            for key in range(10):
                queue.add(key)
            await asyncio.sleep(0.001 * (round_ % 3))
        while len(queue) or working:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        queue.shut_down()
    assert set(worked) == set(range(10))
    assert len(worked) <= 200


async def test_ready_keys_are_given_out_after_shut_down() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add_after("b", 0.001)
    queue.shut_down()
    queue.add("c")
    assert await queue.get() == "a"
    for _ in range(3):
        with pytest.raises(ShutDown):
            await queue.get()


async def test_b3_15_the_highest_priority_comes_first_and_of_equal_ones_the_oldest():
    priorities = {"low": 0, "high": 1000, "middle": 100, "other": 100}
    queue = WorkQueue(priorities.__getitem__)
    for key in ("low", "middle", "high", "other"):
        queue.add(key)
    assert [await queue.get() for _ in priorities] == ["high", "middle", "other", "low"]


async def test_b3_15_a_key_whose_priority_changes_is_reordered_and_given_out_once():
    priorities = {"a": 0, "b": 0, "c": 0}
    queue = WorkQueue(priorities.__getitem__)
    for key in priorities:
        queue.add(key)
    for priority in (1, 0, 1):
        priorities["c"] = priority
        queue.add("c")
    priorities["b"] = -1
    queue.add("b")
    assert [await queue.get() for _ in priorities] == ["c", "a", "b"]
    assert len(queue) == 0
    queue.shut_down()
    with pytest.raises(ShutDown):
        await queue.get()


async def test_b3_15_a_key_that_failed_comes_after_fresh_ones():
    queue = WorkQueue()
    queue.add("failed")
    queue.add("fresh")
    failed = await queue.get()
    queue.add(failed)
    queue.done(failed)
    assert [await queue.get(), await queue.get()] == ["fresh", "failed"]


GROUPED = st.tuples(st.sampled_from("ABCDE"), st.integers(0, 5)).map(lambda pair: f"{pair[0]}{pair[1]}")


def by_first_letter(key: str) -> tuple[str, ...]:
    return (key[0],)


async def taken(queue: WorkQueue[str]) -> str | None:
    """Return the next key; None if there is none for now."""
    task = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait((task,))
    return None


@given(st.lists(GROUPED, unique=True, min_size=1), st.lists(st.lists(GROUPED, max_size=3), max_size=30))
def test_every_group_has_its_turn(first: list[str], later: list[list[str]]) -> None:
    """However many keys others add meanwhile, a group waits for at most one key of each of the others."""

    async def work() -> None:
        queue: WorkQueue[str] = WorkQueue(groups=by_first_letter)
        waiting = dict.fromkeys(first)
        patience: dict[str, int] = {}
        for key in first:
            queue.add(key)
        for added in [*later, *([[]] * 60)]:
            for key in added:
                queue.add(key)
                waiting.setdefault(key)
            key = await taken(queue)
            if key is None:
                assert not waiting
                continue
            assert key == next(one for one in waiting if one[0] == key[0]), "within a group the oldest comes first"
            del waiting[key]
            queue.done(key)
            groups = {one[0] for one in waiting}
            patience = {group: patience.get(group, 0) + 1 for group in groups if group != key[0]}
            assert all(waited <= 5 for waited in patience.values())
        assert not waiting

    asyncio.run(work())


@given(st.integers(1, 12), st.lists(st.tuples(st.sampled_from(["add", "get", "done"]), GROUPED), max_size=120))
def test_a_group_holds_half_of_what_others_leave_free(workers: int, steps: list[tuple[str, str]]) -> None:
    async def work() -> None:
        queue: WorkQueue[str] = WorkQueue(groups=by_first_letter, workers=workers)
        waiting: set[str] = set()
        processing: list[str] = []
        again: set[str] = set()
        for step, key in steps:
            if step == "add":
                queue.add(key)
                (again if key in processing else waiting).add(key)
            elif step == "done" and processing:
                done = processing.pop(0)
                queue.done(done)
                if done in again:
                    again.remove(done)
                    waiting.add(done)
            elif step == "get" and len(processing) < workers:
                held = [one[0] for one in processing]
                free = workers - len(processing)
                may = {one for one in waiting if not held.count(one[0]) or held.count(one[0]) < free // 2}
                got = await taken(queue)
                assert (got in may) if may else got is None
                if got is not None:
                    assert got not in processing
                    waiting.remove(got)
                    processing.append(got)
                    held = [one[0] for one in processing]
                    assert all(held.count(group) <= max(1, (workers + 2) // 3) for group in held)
            assert len(queue) == len(waiting)

    asyncio.run(work())


async def test_who_waits_for_a_key_gets_one_when_its_group_may_have_a_worker_again() -> None:
    queue: WorkQueue[str] = WorkQueue(groups=by_first_letter, workers=3)
    for key in ("A1", "A2", "A3"):
        queue.add(key)
    assert [await taken(queue), await taken(queue)] == ["A1", None]
    others = [asyncio.ensure_future(queue.get()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.add("B1")
    async with asyncio.timeout(5):
        assert await others[0] == "B1"
        assert not others[1].done()
        queue.done("A1")
        assert await others[1] == "A2"


async def test_a_key_of_two_groups_counts_for_both() -> None:
    queue: WorkQueue[str] = WorkQueue(groups=lambda key: tuple(key.split("@")), workers=4)
    for key in ("ns1@host", "ns2@host", "ns3@host", "ns4@other"):
        queue.add(key)
    assert [await taken(queue) for _ in range(4)] == ["ns1@host", "ns4@other", None, None]
    queue.done("ns1@host")
    assert await taken(queue) == "ns2@host"


async def test_all_who_wait_hear_of_the_end() -> None:
    queue: WorkQueue[str] = WorkQueue(groups=by_first_letter, workers=3)
    waiting = [asyncio.ensure_future(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.shut_down()
    async with asyncio.timeout(5):
        assert [type(result) for result in await asyncio.gather(*waiting, return_exceptions=True)] == [ShutDown] * 3
