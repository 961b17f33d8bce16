"""A tunnel that is cut at random under load: errors at once, no hanging, and back within seconds.

What is killed counts as up again when it could serve: a hub when it is ready, an agent when it leads, an API server
when it is ready. Leases have their usual, long times here.
"""

import asyncio
import hashlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

import aiohttp
import pytest
from agent_site import AgentSite
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.resources import API_SERVICES
from clusternet_engine.tunnel.session import SILENCE
from clusternet_lab import Lab
from hub_site import condition_is_true, eventually
from stand_in import StandIn, stand_in
from tunnel_site import TunnelHub, TunnelSite, Wire

API_SERVICE = "v1alpha1.proxies.clusternet.io"
CUTS = ("wire",) * 7 + ("hub",) * 5 + ("agent",) * 5 + ("parent",) * 3
LONGEST_WAIT = 10.0
RECONNECT = 6.0

T = TypeVar("T")


class Load:
    """Requests of every kind, again and again.

    Attributes:
        good: how many were answered.
        failures: what became of the others.
        wrong: what should never have come.
        longest: seconds that somebody waited for an answer, the next line or an error.
    """

    def __init__(self, tunnel: TunnelSite, server: StandIn) -> None:
        self._tunnel = tunnel
        self._path = server.path(tunnel.path)
        self.good = 0
        self.failures: list[str] = []
        self.wrong: list[str] = []
        self.longest = 0.0

    async def run(self) -> None:
        """Ask until cancelled."""
        async with self._tunnel.caller(headers=self._tunnel.headers()) as caller, asyncio.TaskGroup() as tasks:
            for _ in range(6):
                tasks.create_task(self._repeat(lambda: self._wait(self._echo(caller))))
                tasks.create_task(self._repeat(lambda: self._wait(self._version(caller))))
            for _ in range(4):
                tasks.create_task(self._repeat(lambda: self._follow(caller)))

    async def _repeat(self, ask: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await ask()
                self.good += 1
            except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
                self.failures.append(type(error).__name__)
            await asyncio.sleep(0.1)

    async def _wait(self, answer: Awaitable[T]) -> T:
        began = time.monotonic()
        try:
            async with asyncio.timeout(3 * LONGEST_WAIT):
                return await answer
        finally:
            self.longest = max(self.longest, time.monotonic() - began)

    async def _echo(self, caller: aiohttp.ClientSession) -> None:
        sent = os.urandom(100_000)
        async with caller.post(f"{self._path}/echo", data=sent) as answer:
            answer.raise_for_status()
            if hashlib.sha256(await answer.read()).digest() != hashlib.sha256(sent).digest():
                self.wrong.append("another body came back")

    async def _version(self, caller: aiohttp.ClientSession) -> None:
        async with caller.get(f"{self._tunnel.path}/version") as answer:
            answer.raise_for_status()
            if (await answer.json())["major"] != "1":
                self.wrong.append("another answer came back")

    async def _follow(self, caller: aiohttp.ClientSession) -> None:
        """Read lines until they break off: none is missing, and each comes soon after the one before."""
        name = f"n{random.getrandbits(32)}"
        async with await self._wait(caller.get(f"{self._path}/lines/{name}")) as answer:
            answer.raise_for_status()
            expected = 0
            while (line := await self._wait(answer.content.readline())).endswith(b"\n"):
                if line.decode().split() != [name, str(expected)]:
                    self.wrong.append(f"{line!r} instead of line {expected} of {name}")
                expected += 1


class Site:
    """A tunnel under load whose every part can be killed."""

    def __init__(self, lab: Lab, hub: TunnelHub, tunnel: TunnelSite, wire: Wire, load: Load) -> None:
        self.load = load
        self.tunnel = tunnel
        self.hub = hub
        self._lab = lab
        self._wire = wire

    async def cut(self, victim: str) -> None:
        """Kill something and return when it is up again."""
        match victim:
            case "wire":
                self._wire.cut()
            case "hub":
                self.hub.process.kill()
                self.hub.start()
                await self.hub.is_ready()
            case "agent":
                self.tunnel.agent.kill()
                led = self.tunnel.site.log.count("leading;")
                self.tunnel.start_agent()
                await self.tunnel.site.eventually(lambda: self._leads_again(led), 60)
            case "parent":
                await asyncio.to_thread(self._lab.kill, "parent", "kube-apiserver")
                await asyncio.to_thread(self._lab.restart, "parent", "kube-apiserver")

    async def _leads_again(self, before: int) -> bool:
        return self.tunnel.site.log.count("leading;") > before

    async def answers(self) -> float:
        """Return the seconds until the child answers; no request hangs."""
        began = time.monotonic()
        async with self.tunnel.caller(headers=self.tunnel.headers()) as caller:
            while True:
                try:
                    async with asyncio.timeout(LONGEST_WAIT), caller.get(f"{self.tunnel.path}/version") as answer:
                        if answer.status == 200:
                            return time.monotonic() - began
                except aiohttp.ClientError:
                    pass
                assert time.monotonic() - began < 60, self.tunnel.site.log
                await asyncio.sleep(0.05)


@pytest.fixture
async def cuttable(lab: Lab, tunnel_hub: TunnelHub, site: AgentSite, tmp_path: Path) -> AsyncIterator[Site]:
    """A tunnel through a wire, with load on it."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(stand_in())
        wire = await stack.enter_async_context(Wire(int(lab.cluster("parent").server.rpartition(":")[2])))
        tunnel = TunnelSite(lab, site, tmp_path)
        stack.push_async_callback(tunnel.end)
        await tunnel.start(server.flag, url=f"https://127.0.0.1:{wire.port}")
        load = Load(tunnel, server)
        running = asyncio.create_task(load.run())
        yield Site(lab, tunnel_hub, tunnel, wire, load)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.to_thread(lab.restart, "parent", "kube-controller-manager")


async def test_twenty_cuts_under_load(cuttable: Site) -> None:
    victims = list(CUTS)
    random.shuffle(victims)
    back: dict[str, list[float]] = {victim: [] for victim in set(CUTS)}
    for victim in victims:
        await asyncio.sleep(random.uniform(0, 1))
        good = cuttable.load.good
        await cuttable.cut(victim)
        back[victim].append(await cuttable.answers())
        await eventually(lambda good=good: more(cuttable.load, good), 20, f"load goes on after the loss of {victim}")
    print(f"longest wait {cuttable.load.longest:.1f} s; seconds until requests worked again: {back}")
    assert not cuttable.load.wrong
    assert cuttable.load.failures
    assert cuttable.load.longest < LONGEST_WAIT
    assert max(map(max, back.values())) < RECONNECT, back
    assert "is held by" not in cuttable.tunnel.site.log, "no agent waits for the lease of one that was killed"


async def more(load: Load, good: int) -> bool:
    return load.good > good


async def test_a_hub_that_was_away_for_long_is_back_at_once(cuttable: Site, parent: Client) -> None:
    """The parent's API server has noticed, and would look again after as long as the hub was away."""

    async def is_available() -> bool:
        return condition_is_true(await parent.get(API_SERVICES, API_SERVICE), "Available")

    async def is_noticed() -> bool:
        await parent.patch(API_SERVICES, API_SERVICE, {"metadata": {"annotations": {"look": str(time.time())}}})
        return not await is_available()

    hub = cuttable.hub
    hub.process.kill()
    await eventually(is_noticed)
    await asyncio.sleep(12)
    assert not await is_available()
    hub.start()
    await hub.is_ready()
    assert await cuttable.answers() < RECONNECT


async def test_a_frozen_agent_is_an_error_within_seconds(cuttable: Site) -> None:
    """It holds its connections but does nothing: as if its machine were lost."""
    tunnel = cuttable.tunnel
    async with tunnel.caller(headers=tunnel.headers()) as caller:
        async with caller.get(f"{tunnel.path}/version") as answer:
            assert answer.status == 200
        os.kill(tunnel.agent.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            async with caller.get(f"{tunnel.path}/version") as answer:
                assert answer.status in (400, 502)
            assert time.monotonic() - began < SILENCE + 4
            async with caller.get(f"{tunnel.path}/version") as answer:
                assert answer.status == 400
                assert "agent is disconnected" in await answer.text()
        finally:
            os.kill(tunnel.agent.pid, signal.SIGCONT)
    assert await cuttable.answers() < RECONNECT
    assert cuttable.load.longest < SILENCE + 4
