"""The health endpoints of an agent on its way to a registered cluster."""

import socket

import pytest
from agent_site import AgentSite
from clusternet_engine.kube.resources import CLUSTER_REGISTRATION_REQUESTS, MANAGED_CLUSTERS
from health import answers, ask

pytestmark = pytest.mark.usefixtures("hub")


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def test_an_agent_is_ready_when_it_is_registered_but_lives_without_a_parent(site: AgentSite, port: int) -> None:
    await site.prepare(url="https://127.0.0.1:1")
    site.start(f"--secure-port={port}")
    await site.reaches("ParentUnreachable")
    assert (await answers(port, "/readyz", 500)).splitlines() == [
        "[+]ping ok",
        "[+]leader-election ok",
        "[-]credential failed: reason withheld",
        "[-]managed-cluster failed: reason withheld",
        "readyz check failed",
    ]
    assert [ask(port, path) for path in ("/livez", "/healthz")] == [(200, "ok")] * 2
    await site.register_with(await site.bootstrap_token())
    assert await answers(port, "/readyz") == "ok"
    await site.is_ready()


async def test_an_agent_whose_registration_is_lost_is_not_ready_until_it_is_registered_again(
    site: AgentSite, port: int
) -> None:
    await site.prepare()
    agent = site.start(f"--secure-port={port}")
    await answers(port, "/readyz")
    metadata = (await site.managed_cluster())["metadata"]
    request = f"clusternet-{await site.identity()}"
    await site.parent.delete(CLUSTER_REGISTRATION_REQUESTS, request)
    await site.parent.delete(MANAGED_CLUSTERS, metadata["name"], metadata["namespace"])
    assert "[-]managed-cluster failed" in await answers(port, "/readyz", 500)
    assert ask(port, "/healthz") == (200, "ok")
    assert await answers(port, "/readyz") == "ok"
    assert "check managed-cluster failed: the status has not been posted" in agent.log


async def test_a_standby_is_ready(site: AgentSite, port: int) -> None:
    await site.prepare(url="https://127.0.0.1:1")
    leader = site.start()
    await site.lease_is_held()
    site.start(f"--secure-port={port}")
    assert await answers(port, "/readyz") == "ok"
    leader.stop()
    assert "[-]credential failed" in await answers(port, "/readyz", 500)


async def test_an_agent_that_wants_a_tunnel_is_not_ready_without(site: AgentSite, port: int) -> None:
    await site.prepare()
    site.start(f"--secure-port={port}", "--feature-gates=SocketConnection=true")
    await site.reaches("Registered")
    found = await answers(port, "/readyz", 500, missing="[-]managed-cluster")
    assert [line for line in found.splitlines() if line.startswith("[-]")] == ["[-]tunnel failed: reason withheld"]
