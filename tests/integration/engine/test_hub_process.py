"""The hub as a program: start, health, leadership, sudden and graceful ends."""

import asyncio
import contextlib
import os
import random
import socket
import subprocess
import sys
from pathlib import Path
from resource import RLIMIT_NOFILE, prlimit

import pytest
from clusternet_engine.kube.errors import AlreadyExists, ConnectionFailed
from clusternet_engine.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    LEASES,
    MANAGED_CLUSTERS,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
)
from health import answers
from hub_site import SYSTEM, HubProcess, eventually
from revival import revive_api_server

ROLE = "clusternet-managedcluster-role"


async def holder(parent):
    return (await parent.get(LEASES, "clusternet-hub", SYSTEM))["spec"].get("holderIdentity")


@pytest.fixture
async def scrapers(parent):
    """Makes accounts and returns their tokens; the one called reader may read metrics."""
    namespace = f"scrapers-{random.randbytes(4).hex()}"
    reader = {
        "metadata": {"name": namespace},
        "roleRef": {"apiGroup": CLUSTER_ROLES.group, "kind": "ClusterRole", "name": "clusternet:metrics-reader"},
        "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": "reader"}],
    }

    async def token(name):
        await parent.create(SERVICE_ACCOUNTS, {"metadata": {"namespace": namespace, "name": name}})
        asked = {"metadata": {"namespace": namespace, "name": name}, "spec": {}}
        return (await parent.create(SERVICE_ACCOUNTS, asked, subresource="token"))["status"]["token"]

    await parent.create(NAMESPACES, {"metadata": {"name": namespace}})
    await parent.create(CLUSTER_ROLE_BINDINGS, reader)
    yield token
    await parent.delete(CLUSTER_ROLE_BINDINGS, namespace)
    await parent.delete(NAMESPACES, namespace)


async def test_health_and_metrics(hubs, lab, applicant, scrapers):
    port = lab.cluster("parent").engine_port
    hubs.start("--bind-address=127.0.0.1", f"--secure-port={port}")
    for path in ("/livez", "/readyz", "/healthz"):
        assert await answers(port, path) == "ok"
    child = applicant()
    await child.ask()
    await child.approved()
    wanted = (
        'clusternet_reconcile_total{controller="crrapprover",result="requeue"}',
        'clusternet_queue_depth{controller="clusterlifecycle"}',
        "clusternet_clusters_registered",
        "clusternet_clusters_ready",
        'clusternet_leader{lease="clusternet-system/clusternet-hub"} 1.0',
    )

    reader, other = await scrapers("reader"), await scrapers("other")
    assert "bearer token" in await answers(port, "/metrics", 401)
    assert "nobody knows" in await answers(port, "/metrics", 401, token="x" * 40)
    assert "cannot get path" in await answers(port, "/metrics", 403, token=other)

    async def told():
        metrics = await answers(port, "/metrics", token=reader)
        return all(line in metrics for line in wanted)

    await eventually(told, why=f"the metrics have {wanted}")


async def test_strangers_that_use_up_its_descriptors_keep_it_from_nothing(hubs, lab, applicant):
    port = lab.cluster("parent").engine_port
    hub = hubs.start("--bind-address=127.0.0.1", f"--secure-port={port}", "--feature-gates=ShadowAPI=true")
    await answers(port, "/readyz")
    assert "files and connections may be open" in hub.log
    pid = hub.process.pid
    most = len(os.listdir(f"/proc/{pid}/fd")) + 10
    prlimit(pid, RLIMIT_NOFILE, (most, most))
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stranger = stack.enter_context(socket.socket())
            stranger.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                stranger.connect(("127.0.0.1", port))
        await answers(port, "/readyz")
        child = applicant()
        await child.ask()
        await child.approved()
        await answers(port, "/livez")
    assert hub.process.poll() is None
    assert "no connection can be accepted: Too many open files" in hub.log
    assert "Traceback" not in hub.log
    assert len(hub.log.splitlines()) < 300


async def test_it_is_not_ready_before_it_has_listed_everything(hubs, lab):
    port = lab.cluster("parent").engine_port
    lab.kill("parent", "kube-apiserver")
    try:
        hubs.start("--bind-address=127.0.0.1", f"--secure-port={port}")
        assert "[-]informers failed" in await answers(port, "/readyz", 500)
        assert await answers(port, "/livez") == "ok"
    finally:
        revive_api_server(lab, "parent")
    await answers(port, "/readyz")


async def test_a_graceful_stop_releases_the_lease(hubs, parent):
    hub = hubs.start()

    async def leads():
        return hub.leads

    await eventually(leads)
    assert hub.stop() < 5
    assert not await holder(parent)


async def test_another_replica_takes_over(hubs, parent, applicant):
    first = hubs.start()

    async def leads():
        return await holder(parent)

    before = await eventually(leads)
    hubs.start()
    first.kill()

    async def other_leads():
        now = await holder(parent)
        return now and now != before

    await eventually(other_leads)
    child = applicant()
    await child.ask()
    await child.approved()


async def test_a_hub_killed_at_any_moment_leaves_no_duplicates(hubs, applicant):
    chance = random.Random(3)
    children = []
    for _ in range(8):
        hub = hubs.start("--leader-elect=false")
        children.append(applicant())
        await children[-1].ask()
        await eventually(children[-1].request)
        await asyncio.sleep(chance.uniform(0.2, 1.2))  # the moment of the kill
        hub.kill()
    hubs.start("--leader-elect=false")
    for child in children:
        await child.approved()
        for resource in (NAMESPACES, MANAGED_CLUSTERS, SERVICE_ACCOUNTS):
            await child.only(resource)


async def test_it_goes_on_after_the_api_server_was_down(hubs, lab, applicant):
    hub = hubs.start()
    before, after = applicant(), applicant()
    await before.ask()
    await before.approved()
    lab.kill("parent", "kube-apiserver")
    revive_api_server(lab, "parent")

    async def asked():
        try:
            await after.ask()
        except (ConnectionFailed, AlreadyExists):
            return (await after.request())["metadata"]["uid"]
        return True

    await eventually(asked)
    await after.approved()
    assert hub.process.poll() is None


async def test_a_second_look_writes_nothing(hubs, lab, applicant, parent):
    """A hub that starts finds an approved cluster as it should be."""
    first = hubs.start("--leader-elect=false")
    child = applicant()
    await child.ask()
    status = await child.approved()

    async def settled():
        return (await child.managed_cluster()).get("status")

    async def versions():
        namespace = status["dedicatedNamespace"]
        found = [await child.request(), await parent.get(ROLES, ROLE, namespace)]
        found.append(await parent.get(ROLE_BINDINGS, ROLE, namespace))
        for resource in (NAMESPACES, MANAGED_CLUSTERS, SERVICE_ACCOUNTS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS):
            found.append(await child.only(resource))
        return [(obj["metadata"]["uid"], obj["metadata"]["resourceVersion"]) for obj in found]

    await eventually(settled)
    first.stop()
    before = await versions()
    port = lab.cluster("parent").engine_port
    hubs.start("--leader-elect=false", "--bind-address=127.0.0.1", f"--secure-port={port}")
    await answers(port, "/readyz")
    witness = applicant()
    await witness.ask()
    await witness.approved()
    assert await versions() == before


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--no-such-flag"], 2, "--no-such-flag"),
        (["--controllers=nonsense"], 2, "unknown controller 'nonsense'"),
        (["--feature-gates=Nonsense=true"], 2, "unknown feature gate 'Nonsense'"),
        (["--kubeconfig=/does/not/exist"], 1, "/does/not/exist"),
        (["--tls-cert-file=x"], 2, "--tls-private-key-file"),
        (["--leader-elect-lease-duration=1s"], 2, "--leader-elect-renew-deadline"),
    ],
)
async def test_wrong_flags_are_named(flags, code, message):
    command = [Path(sys.executable).with_name("clusternet-hub"), *flags]
    result = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30)
    assert result.returncode == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr


async def test_a_port_that_is_taken_is_told(hubs, lab, tmp_path):
    port = lab.cluster("parent").engine_port
    flags = ("--bind-address=127.0.0.1", f"--secure-port={port}", "--leader-elect=false")
    hubs.start(*flags)
    await answers(port, "/livez")
    second = HubProcess(hubs.kubeconfig, tmp_path / "second.log", *flags)
    try:
        assert await asyncio.to_thread(second.process.wait, 20) == 1
        assert str(port) in second.log
    finally:
        second.end()
