"""Threads for work that keeps a processor busy: shared out by subject, with a deadline."""

import asyncio
import threading

import pytest
from clusternet_engine.threads import SIZE, Busy, Overdue, Threads

LONG = 30.0


class Work:
    """Works that wait until they are let go."""

    def __init__(self):
        self.started, self.gate, self._begun = [], threading.Event(), threading.Semaphore(0)

    def do(self, name):
        self.started.append(name)
        self._begun.release()
        assert self.gate.wait(LONG)
        return name

    async def begun(self, count=1):
        for _ in range(count):
            assert await asyncio.to_thread(self._begun.acquire, timeout=LONG)


@pytest.fixture
def work():
    one = Work()
    yield one
    one.gate.set()


async def test_work_is_done_and_its_errors_come_back():
    threads = Threads("test")
    assert await threads.run("a", LONG, sorted, [2, 1], reverse=True) == [2, 1]
    with pytest.raises(ZeroDivisionError):
        await threads.run("a", LONG, divmod, 1, 0)
    assert await threads.run("a", LONG, max, 1, 2) == 2


async def test_one_subject_never_has_all_threads(work):
    threads = Threads("test")
    waiting = [asyncio.create_task(threads.run("greedy", LONG, work.do, f"greedy {n}")) for n in range(5)]
    await work.begun()
    assert await threads.run("modest", LONG, str, 1) == "1"
    assert work.started == ["greedy 0"]
    work.gate.set()
    assert await asyncio.gather(*waiting) == [f"greedy {n}" for n in range(5)]


async def test_subjects_take_turns(work):
    threads = Threads("test")
    order = []
    first = [asyncio.create_task(threads.run(f"s{n}", LONG, work.do, f"s{n}")) for n in range(SIZE)]
    await work.begun(SIZE)
    tasks = [asyncio.create_task(threads.run(one, LONG, order.append, one)) for one in ["a"] * 4 + ["b"]]
    await asyncio.sleep(0)
    work.gate.set()
    await asyncio.gather(*first, *tasks)
    assert order.index("b") <= 2


async def test_a_deadline_ends_the_wait_not_the_work(work):
    threads = Threads("test")
    with pytest.raises(Overdue, match=r"after 0\.05 s"):
        await threads.run("a", 0.05, work.do, "first")
    with pytest.raises(Overdue):
        await threads.run("a", 0.05, work.do, "second")
    assert work.started == ["first"]
    assert await threads.run("b", LONG, str, 1) == "1"
    work.gate.set()
    assert await threads.run("a", LONG, str, 2) == "2"
    assert work.started == ["first"]


async def test_a_cancelled_wait_leaves_its_place_to_others(work):
    threads = Threads("test")
    first = asyncio.create_task(threads.run("a", LONG, work.do, "first"))
    await work.begun()
    second = asyncio.create_task(threads.run("a", LONG, work.do, "second"))
    third = asyncio.create_task(threads.run("a", LONG, work.do, "third"))
    await asyncio.sleep(0)
    second.cancel()
    work.gate.set()
    assert await asyncio.gather(first, third) == ["first", "third"]
    assert work.started == ["first", "third"]
    assert second.cancelled()


async def test_one_cancelled_at_the_moment_of_its_turn_holds_up_nobody():
    """A cancelled task takes its place away only when it runs again; its turn may come before."""
    threads = Threads("test")
    await threads._turn("a")
    waiting = [asyncio.create_task(threads._turn(subject)) for subject in ("a", "a", "b", "b")]
    await asyncio.sleep(0)
    for one in (waiting[0], waiting[3]):
        one.cancel()
    threads._free("a")
    threads._free("b")
    async with asyncio.timeout(LONG):
        await asyncio.gather(*waiting, return_exceptions=True)
    assert [one.cancelled() for one in waiting] == [True, False, False, True]
    threads._free("a")
    assert await threads.run("a", LONG, str, 1) == "1"
    assert await threads.run("b", LONG, str, 1) == "1"


async def test_only_so_much_may_wait_for_one_subject(work):
    threads = Threads("test", waiting=2)
    tasks = [asyncio.create_task(threads.run("a", LONG, work.do, n)) for n in range(3)]
    await work.begun()
    with pytest.raises(Busy):
        await threads.run("a", LONG, work.do, "more")
    assert await threads.run("b", LONG, str, 1) == "1"
    work.gate.set()
    assert await asyncio.gather(*tasks) == [0, 1, 2]


async def test_a_timeout_of_the_work_itself_is_no_deadline():
    def late():
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await Threads("test").run("a", LONG, late)
