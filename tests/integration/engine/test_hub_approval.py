"""Who may register: by rules, by an administrator, not at all; and what a cluster loses that is denied."""

import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.errors import ApiError, Forbidden, NotFound, Unauthorized
from clusternet_engine.kube.resources import (
    CLUSTER_REGISTRATION_REQUESTS,
    CLUSTER_ROLE_BINDINGS,
    MANAGED_CLUSTERS,
    SERVICE_ACCOUNTS,
)
from hub_site import HubProcess, eventually

NOBODY = "00000000-0000-4000-8000-000000000000"
RULES = json.dumps([{"names": ["allowed-*"], "labels": {"env": "test"}}])


@pytest.fixture(scope="module", autouse=True)
def hub(hub_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory):
    """A hub with rules, for all tests of this module."""
    flags = ("--approval=rules", f"--approval-rules={RULES}", "--child-labels=env,team/*", "--registration-readers=any")
    process = HubProcess(hub_kubeconfig, tmp_path_factory.mktemp("hub") / "hub.log", *flags)
    yield process
    process.end()


@asynccontextmanager
async def acting(lab, token):
    """A client of the parent with a token."""
    parent = lab.cluster("parent")
    async with Client(ClusterConfig(server=parent.server, ca_data=parent.ca.read_bytes(), token=token)) as client:
        yield client


async def decide(child, **status):
    """What an administrator writes who approves or denies a request."""
    await child.parent.patch(
        CLUSTER_REGISTRATION_REQUESTS, child.request_name, {"status": status}, subresource="status"
    )


async def test_a_rule_approves_and_labels_are_kept_to_the_list(applicant):
    wished = {"env": "test", "team/name": "blue", "tier": "gold", "clusters.clusternet.io/cluster-name": "other"}
    child = applicant(clusterName="allowed-1", clusterLabels=wished)
    await child.ask()
    await child.approved()
    labels = (await child.only(MANAGED_CLUSTERS))["metadata"]["labels"]
    own = child.labels | {"clusters.clusternet.io/cluster-name": "allowed-1"}
    assert labels == own | {"env": "test", "team/name": "blue"}

    async def told():
        return "LabelsLeftOut" in await child.events()

    await eventually(told)


async def test_what_no_rule_allows_waits_for_an_administrator(applicant):
    child, witness = (
        applicant(clusterName="allowed-2"),
        applicant(clusterName="allowed-3", clusterLabels={"env": "test"}),
    )
    await child.ask()
    assert "clusternet.core.registration" in await child.obstructed("WaitingForApproval")
    await witness.ask()
    await witness.approved()
    assert "result" not in await child.status()
    assert await child.all_of(SERVICE_ACCOUNTS) == await child.all_of(MANAGED_CLUSTERS) == []
    await decide(child, result="Approved", errorMessage=None)
    await eventually(lambda: child.all_of(MANAGED_CLUSTERS))
    await child.approved()


async def test_a_denied_cluster_waits_in_vain_until_it_is_approved(applicant):
    child, witness = applicant(), applicant(clusterName="allowed-4", clusterLabels={"env": "test"})
    await child.ask()
    await child.obstructed("WaitingForApproval")
    await decide(child, result="Denied", errorMessage="DeniedByAdministrator: unknown device")
    await witness.ask()
    await witness.approved()
    assert await child.status() == {"result": "Denied", "errorMessage": "DeniedByAdministrator: unknown device"}
    assert await child.all_of(MANAGED_CLUSTERS) == []
    await decide(child, result="Approved", errorMessage=None)
    await eventually(lambda: child.all_of(MANAGED_CLUSTERS))


async def test_who_is_denied_later_loses_everything(applicant, lab):
    child, witness = (applicant(clusterName=f"allowed-{n}", clusterLabels={"env": "test"}) for n in (5, 6))
    await child.ask()
    await witness.ask()
    namespace = (await child.approved())["dedicatedNamespace"]
    where = (await witness.approved())["dedicatedNamespace"]
    async with acting(lab, await child.token()) as cluster, acting(lab, await witness.token()) as other:
        for client, place in ((cluster, namespace), (other, where)):

            async def may(client=client, place=place):
                try:
                    return (await client.list(MANAGED_CLUSTERS, place)).items
                except Forbidden:
                    return False

            await eventually(may)
        await decide(child, result="Denied", errorMessage="DeniedByAdministrator: stolen", token=None)

        async def refused():
            try:
                await cluster.list(MANAGED_CLUSTERS, namespace)
            except (Unauthorized, Forbidden):
                return True
            return False

        await eventually(refused)

        async def gone():
            return await child.all_of(SERVICE_ACCOUNTS) == await child.all_of(CLUSTER_ROLE_BINDINGS) == []

        await eventually(gone)
        await child.only(MANAGED_CLUSTERS)
        await other.list(MANAGED_CLUSTERS, where)
    assert "token" not in await child.status()


async def test_a_nameless_request_is_read_by_every_registration_token_while_it_is_pending(applicant, site, lab):
    child = applicant()
    await child.ask()
    async with acting(lab, await site.bootstrap_token()) as stranger:

        async def read():
            try:
                return await stranger.get(CLUSTER_REGISTRATION_REQUESTS, child.request_name)
            except (Forbidden, NotFound):
                return None

        await eventually(read)
        with pytest.raises(ApiError):
            await stranger.list(CLUSTER_REGISTRATION_REQUESTS)
        annotations = {"clusternet.io/registrant": "system:bootstrap:others"}
        body = {
            "apiVersion": CLUSTER_REGISTRATION_REQUESTS.api_version,
            "kind": CLUSTER_REGISTRATION_REQUESTS.kind,
            "metadata": {"name": f"clusternet-{NOBODY}", "annotations": annotations},
            "spec": {"clusterId": NOBODY, "clusterName": "nobody", "clusterType": "StandardCluster"},
        }
        with pytest.raises(Forbidden, match="only the user who posts it"):
            await stranger.create(CLUSTER_REGISTRATION_REQUESTS, body)
