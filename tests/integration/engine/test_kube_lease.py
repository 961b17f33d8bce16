"""Leader election on a real API server."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.lease import LeaderElector, micro_time
from clusternet_engine.kube.resources import LEASES, NAMESPACES, Object
from revival import revive_api_server

Until = Callable[[Callable[[], object], float], Awaitable[None]]


@pytest.fixture
async def client(child_kubeconfigs: dict[str, Path]) -> AsyncIterator[Client]:
    async with Client(ClusterConfig.from_kubeconfig(child_kubeconfigs["child1"]), qps=0) as opened:
        yield opened


@pytest.fixture
async def namespace(client: Client) -> AsyncIterator[str]:
    name = f"lease-{uuid.uuid4().hex[:8]}"
    await client.create(NAMESPACES, {"metadata": {"name": name}})
    yield name
    await client.delete(NAMESPACES, name)


@pytest.fixture
def until() -> Until:
    async def wait(condition: Callable[[], object], timeout: float) -> None:
        async with asyncio.timeout(timeout):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    return wait


class Candidate:
    """An elector and what it was seen doing."""

    def __init__(self, client: Client, namespace: str, identity: str, lease_duration: float = 3.0) -> None:
        self.elector = LeaderElector(
            client,
            namespace,
            "lock",
            identity,
            lease_duration=lease_duration,
            renew_deadline=lease_duration - 1,
            retry_period=0.2,
        )
        self.leases: list[Object] = []
        self.leading = False
        self.task = asyncio.create_task(self.elector.run(self.lead))

    async def lead(self, lease: Object) -> None:
        self.leases.append(lease)
        self.leading = True
        try:
            await asyncio.Event().wait()
        finally:
            self.leading = False

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


async def spec(client: Client, namespace: str) -> Object:
    return (await client.get(LEASES, "lock", namespace))["spec"]  # type: ignore[no-any-return]


async def test_one_leads_and_hands_over(client: Client, namespace: str, until: Until) -> None:
    first, second = (Candidate(client, namespace, identity) for identity in ("first", "second"))
    await until(lambda: first.leading or second.leading, 20)
    leader, waiting = (first, second) if first.leading else (second, first)
    before = await spec(client, namespace)
    assert before["leaseDurationSeconds"] == 3
    assert before["leaseTransitions"] == 0

    async def renewed() -> None:
        while (await spec(client, namespace))["renewTime"] == before["renewTime"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    await asyncio.wait_for(renewed(), 20)
    now = await spec(client, namespace)
    assert now["acquireTime"] == before["acquireTime"]
    assert not waiting.leading
    await leader.stop()
    assert not leader.leading
    await until(lambda: waiting.leading, 2.5)
    after = await spec(client, namespace)
    assert after["holderIdentity"] == ("second" if leader is first else "first")
    assert after["leaseTransitions"] == 1
    assert waiting.leases[0]["metadata"]["uid"] == leader.leases[0]["metadata"]["uid"]
    await waiting.stop()
    released = await spec(client, namespace)
    assert released.get("holderIdentity", "") == ""
    assert released["leaseDurationSeconds"] == 1


HOLDER = """
import asyncio, sys
from pathlib import Path
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.holders import own_identity
from clusternet_engine.kube.lease import LeaderElector

async def lead(lease):
    print("leading", flush=True)
    await asyncio.Event().wait()

async def main():
    async with Client(ClusterConfig.from_kubeconfig(Path(sys.argv[1]))) as client:
        identity = sys.argv[3] or own_identity()
        elector = LeaderElector(
            client, sys.argv[2], "lock", identity, lease_duration=8.0, renew_deadline=7.0, retry_period=0.2
        )
        await elector.run(lead)

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def other_process(kubeconfig: Path, namespace: str, identity: str) -> AsyncIterator[None]:
    """Let another process lead, and kill it in the end."""
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(kubeconfig), namespace, identity, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert await asyncio.wait_for(holder.stdout.readline(), 30) == b"leading\n"
        yield
    finally:
        holder.kill()
        await holder.wait()


@pytest.mark.parametrize(("identity", "at_once"), [("first", False), ("", True)])
async def test_a_killed_holder_is_succeeded(
    client: Client,
    namespace: str,
    until: Until,
    child_kubeconfigs: dict[str, Path],
    identity: str,
    at_once: bool,
) -> None:
    """When its time is over; at once if its identity tells that it was a process of this machine."""
    async with other_process(child_kubeconfigs["child1"], namespace, identity):
        second = Candidate(client, namespace, "second", lease_duration=8.0)
        await asyncio.sleep(1)
        assert not second.leading
    killed_at = asyncio.get_running_loop().time()
    await until(lambda: second.leading, 20)
    assert (asyncio.get_running_loop().time() - killed_at < 4) is at_once
    assert (await spec(client, namespace))["leaseTransitions"] == 1
    await second.stop()


async def test_gives_up_while_the_api_server_is_dead(lab: Any, client: Client, namespace: str, until: Until) -> None:
    candidate = Candidate(client, namespace, "engine")
    await until(lambda: candidate.leading, 20)
    await asyncio.to_thread(lab.kill, "child1", "kube-apiserver")
    killed_at = asyncio.get_running_loop().time()
    try:
        await until(lambda: not candidate.leading, 20)
        assert asyncio.get_running_loop().time() - killed_at < 3, "another could lead already"
    finally:
        await asyncio.to_thread(revive_api_server, lab, "child1")
    await until(lambda: candidate.leading, 60)
    uids = {lease["metadata"]["uid"] for lease in candidate.leases}
    assert len(uids) == 1
    await candidate.stop()


async def test_records_of_client_go(client: Client, namespace: str, until: Until) -> None:
    """A holder as client-go writes it, whose clock is an hour off, is waited for, then succeeded."""
    for offset in (timedelta(hours=1), timedelta(hours=-1)):
        stamp = micro_time(datetime.now(UTC) + offset)
        await client.create(
            LEASES,
            {
                "metadata": {"name": "lock", "annotations": {"kept": "yes"}},
                "spec": {
                    "holderIdentity": "host_uuid",
                    "leaseDurationSeconds": 2,
                    "acquireTime": stamp,
                    "renewTime": stamp,
                    "leaseTransitions": 7,
                },
            },
            namespace,
        )
        started = asyncio.get_running_loop().time()
        candidate = Candidate(client, namespace, "engine")
        await until(lambda candidate=candidate: candidate.leading, 20)
        assert asyncio.get_running_loop().time() - started >= 2
        lease = await client.get(LEASES, "lock", namespace)
        assert lease["spec"]["leaseTransitions"] == 8
        assert lease["spec"]["holderIdentity"] == "engine"
        assert lease["metadata"]["annotations"] == {"kept": "yes"}
        await candidate.stop()
        await client.delete(LEASES, "lock", namespace)


async def test_foreign_writes_to_the_lease_are_survived(client: Client, namespace: str, until: Until) -> None:
    candidate = Candidate(client, namespace, "engine")
    await until(lambda: candidate.leading, 20)
    for number in range(5):
        await client.patch(LEASES, "lock", {"metadata": {"labels": {"n": str(number)}}}, namespace)
        await asyncio.sleep(0.3)
    assert candidate.leading
    assert len(candidate.leases) == 1
    assert (await client.get(LEASES, "lock", namespace))["metadata"]["labels"] == {"n": "4"}
    await candidate.stop()


async def test_lost_when_taken_and_begun_anew_when_deleted(client: Client, namespace: str, until: Until) -> None:
    candidate = Candidate(client, namespace, "engine")
    await until(lambda: candidate.leading, 20)
    taken = {"holderIdentity": "thief", "leaseDurationSeconds": 1}
    await client.patch(LEASES, "lock", {"spec": taken}, namespace)
    await until(lambda: not candidate.leading, 5)
    await until(lambda: candidate.leading, 20)
    assert len(candidate.leases) == 2
    assert (await spec(client, namespace))["leaseTransitions"] == 1
    await client.delete(LEASES, "lock", namespace)
    await until(lambda: len(candidate.leases) == 3, 20)
    uids = [lease["metadata"]["uid"] for lease in candidate.leases]
    assert uids[0] == uids[1] != uids[2]
    await candidate.stop()


async def test_the_end_and_the_failure_of_the_work_are_passed_on(client: Client, namespace: str) -> None:
    elector = LeaderElector(client, namespace, "lock", "engine")

    async def end(lease: Object) -> None:
        assert elector.leading

    await asyncio.wait_for(elector.run(end), 20)
    assert not elector.leading

    async def fail(lease: Object) -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await asyncio.wait_for(elector.run(fail), 20)
    assert (await spec(client, namespace)).get("holderIdentity", "") == ""
