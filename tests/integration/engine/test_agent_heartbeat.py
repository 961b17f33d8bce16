"""What an agent reports once it is registered, through restarts of everything around it."""

from contextlib import suppress
from dataclasses import replace

import pytest
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import ApiError, NotFound, Unauthorized
from clusternet_engine.kube.resources import (
    CLUSTER_REGISTRATION_REQUESTS,
    LEASES,
    MANAGED_CLUSTERS,
    NODES,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from revival import revive_api_server

pytestmark = pytest.mark.usefixtures("hub")


async def test_heartbeats_go_on_after_the_parent_was_down(site, lab):
    await site.prepare()
    site.start("--cluster-status-update-frequency=1s")
    await site.reaches("Registered")
    lab.kill("parent", "kube-apiserver")
    try:
        await site.reaches("HeartbeatFailed")
    finally:
        revive_api_server(lab, "parent")
    await site.beats_again()
    await site.reaches("Registered")


async def test_the_agent_survives_its_own_api_server(site, lab):
    await site.prepare()
    site.start("--cluster-status-update-frequency=1s")
    await site.reaches("Registered")
    lab.kill(site.cluster, "kube-apiserver")
    revive_api_server(lab, site.cluster)
    await site.beats_again()


async def test_conditions_of_others_stay(site, query):
    await site.prepare()
    site.start("--cluster-status-update-frequency=1s")
    await site.reaches("Registered")
    cluster = await site.managed_cluster()
    metadata = cluster["metadata"]
    foreign = {
        "type": "Foreign",
        "status": "True",
        "reason": "Test",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    conditions = [*cluster["status"]["conditions"], foreign]
    await site.parent.patch(
        MANAGED_CLUSTERS,
        metadata["name"],
        {"status": {"conditions": conditions}},
        metadata["namespace"],
        subresource="status",
    )
    await site.beats_again()
    await site.beats_again()
    cluster = await site.managed_cluster()
    assert foreign in cluster["status"]["conditions"]
    assert query(cluster, "status.conditions[?type=='Ready'] | length(@)") == 1


@pytest.fixture
async def nodes(site):
    """Makes nodes on the child and removes them at the end."""
    made = []

    async def make(name, labels, ready=True, cpu="4", memory="8Gi"):
        name = f"{site.name}-{name}"
        await site.child.create(
            NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        )
        made.append(name)
        status = {
            "capacity": {"cpu": cpu, "memory": memory},
            "allocatable": {"cpu": cpu, "memory": memory},
            "conditions": [{"type": "Ready", "status": "True" if ready else "False", "reason": "Test", "message": ""}],
        }
        await site.child.patch(NODES, name, {"status": status}, subresource="status")

    yield make
    for name in made:
        await site.child.delete(NODES, name)


async def test_nodes_are_counted_and_their_labels_summed_up(site, nodes):
    await site.prepare()
    zone, disk = "node.clusternet.io/zone", "node.clusternet.io/disk"
    for number in range(4):
        await nodes(f"w{number}", {zone: "a", disk: "ssd" if number else "hdd"})
    await nodes("master", {zone: "b", "node-role.kubernetes.io/control-plane": ""}, ready=False)
    site.start("--cluster-status-update-frequency=1s")
    await site.reaches("Registered")
    cluster = await site.managed_cluster()
    assert cluster["status"]["nodeStatistics"] == {"readyNodes": 4, "notReadyNodes": 1}
    assert cluster["status"]["capacity"] == {"cpu": "20", "memory": "40Gi"}
    assert cluster["metadata"]["labels"][zone] == "a"
    assert disk not in cluster["metadata"]["labels"]

    metadata = cluster["metadata"]
    changes = {"labels": {"node.clusternet.io/by-hand": "x", "team": "blue"}}
    await site.parent.patch(MANAGED_CLUSTERS, metadata["name"], {"metadata": changes}, metadata["namespace"])
    await nodes("w4", {zone: "a", disk: "ssd"})

    async def follows():
        labels = (await site.managed_cluster())["metadata"]["labels"]
        return labels if labels.get(disk) == "ssd" and "node.clusternet.io/by-hand" not in labels else None

    labels = await site.eventually(follows)
    assert labels["team"] == "blue"
    assert labels["clusters.clusternet.io/cluster-name"] == site.name


async def test_a_deleted_managed_cluster_comes_back(site):
    await site.prepare()
    site.start("--cluster-status-update-frequency=1s")
    await site.reaches("Registered")
    metadata = (await site.managed_cluster())["metadata"]
    await site.parent.delete(MANAGED_CLUSTERS, metadata["name"], metadata["namespace"])
    await site.is_registered_anew(metadata["uid"])


async def test_a_parent_that_forgot_the_cluster_is_registered_with_anew(site):
    await site.prepare()
    site.start("--cluster-status-update-frequency=1s")
    await site.reaches("Registered")
    first = await site.managed_cluster()
    identity = await site.identity()
    await site.forget(identity)

    assert (await registrant(site, identity)).startswith("system:bootstrap:"), "the old account goes with its namespace"
    await site.is_registered_anew(first["metadata"]["uid"])


async def registrant(site, identity):
    """Return who has posted the registration request that is there."""

    async def posted():
        with suppress(NotFound):
            request = await site.parent.get(CLUSTER_REGISTRATION_REQUESTS, f"clusternet-{identity}")
            return request["metadata"]["annotations"]["clusternet.io/registrant"]

    return await site.eventually(posted)


async def test_without_a_valid_token_a_request_that_is_gone_is_posted_by_the_stored_credential(site):
    token = await site.bootstrap_token()
    await site.prepare(token=token)
    agent = site.start("--cluster-status-update-frequency=1s")
    await site.reaches("Registered")
    agent.stop()
    await site.parent.delete(SECRETS, f"bootstrap-token-{token.partition('.')[0]}", "kube-system")
    config = replace(site.parent.config, token=token, client_certificate=None, client_key=None)

    async def refused():
        """API servers remember tokens for ten seconds."""
        async with Client(config, qps=0) as client:
            try:
                await client.get(CLUSTER_REGISTRATION_REQUESTS, "nobody-has-posted-it")
            except Unauthorized:
                return True
            except ApiError:
                return False

    await site.eventually(refused, 60)
    identity = await site.identity()
    await site.parent.delete(CLUSTER_REGISTRATION_REQUESTS, f"clusternet-{identity}")
    site.start("--cluster-status-update-frequency=1s")
    assert (await registrant(site, identity)).startswith("system:serviceaccount:")

    async def approved():
        request = await site.parent.get(CLUSTER_REGISTRATION_REQUESTS, f"clusternet-{identity}")
        return request.get("status", {}).get("result") == "Approved"

    await site.eventually(approved)
    await site.beats_again()


async def test_a_rotated_credential_of_the_deployer_reaches_the_parent_after_a_restart(site):
    await site.prepare()
    agent = site.start()
    await site.reaches("Registered")
    agent.stop()
    await site.child.delete(SERVICE_ACCOUNTS, "clusternet-app-deployer", site.namespace)

    async def removed():
        """Kubernetes removes the Secret of an account that is gone, and would remove a new one of its name, too."""
        with suppress(NotFound):
            return not await site.child.get(SECRETS, "clusternet-app-deployer", site.namespace)
        return True

    await site.eventually(removed)
    await site.create_deployer()
    site.start()
    await site.reaches("Registered")
    namespace = (await site.managed_cluster())["metadata"]["namespace"]

    async def handed_over():
        given = await site.parent.get(SECRETS, "child-cluster-deployer", namespace)
        own = await site.child.get(SECRETS, "clusternet-app-deployer", site.namespace)
        return given["data"]["token"] == own.get("data", {}).get("token")

    await site.eventually(handed_over)


async def test_stopping_is_quick_and_gives_the_lease_back(site):
    await site.prepare()
    agent = site.start("--leader-elect-lease-duration=90s", "--leader-elect-renew-deadline=80s")
    await site.reaches("Registered")
    assert agent.stop() < 5
    lease = await site.child.get(LEASES, "clusternet-agent", site.namespace)
    assert not lease["spec"].get("holderIdentity")
    site.start()
    await site.beats_again()
