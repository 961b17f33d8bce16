"""The way of an agent to a Ready ManagedCluster, and what it says when it is stuck on the way."""

import base64
import json
import re
from contextlib import asynccontextmanager

import pytest
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.errors import Forbidden, NotFound
from clusternet_engine.kube.resources import (
    CLUSTER_REGISTRATION_REQUESTS,
    CLUSTER_ROLES,
    EVENTS,
    LEASES,
    MANAGED_CLUSTERS,
    SECRETS,
)
from hub_site import eventually
from revival import revive_api_server

pytestmark = pytest.mark.usefixtures("hub")


def decoded(secret):
    return {key: base64.b64decode(value) for key, value in secret["data"].items()}


def claims(token):
    """Return what a ServiceAccount's token says."""
    payload = token.split(b".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))


@asynccontextmanager
async def acting(lab, token):
    """A client of the parent with a token."""
    parent = lab.cluster("parent")
    async with Client(ClusterConfig(server=parent.server, ca_data=parent.ca.read_bytes(), token=token)) as client:
        yield client


async def forbidden(attempt):
    """Return whether a request is refused, not for want of a valid credential."""
    try:
        await attempt
    except Forbidden:
        return True
    return False


async def test_a_child_is_registered(site, lab):
    await site.prepare()
    site.start("--cluster-labels=env=prod", "--cluster-sync-mode=Dual", "--feature-gates=AppPusher=true")
    await site.reaches("Registered")
    lease = await site.child.get(LEASES, "clusternet-agent", site.namespace)
    identity = lease["metadata"]["uid"]

    request = await site.parent.get(CLUSTER_REGISTRATION_REQUESTS, f"clusternet-{identity}")
    assert request["spec"] == {
        "clusterId": identity,
        "clusterType": "StandardCluster",
        "clusterName": site.name,
        "syncMode": "Dual",
        "clusterLabels": {"env": "prod"},
    }
    assert request["metadata"]["labels"] == {
        "clusters.clusternet.io/registered-by": "clusternet-agent",
        "clusters.clusternet.io/cluster-id": identity,
        "clusters.clusternet.io/cluster-name": site.name,
    }

    namespace = request["status"]["dedicatedNamespace"]
    stored = await site.child.get(SECRETS, "parent-cluster", site.namespace)
    assert stored["metadata"]["labels"] == {
        "clusters.clusternet.io/bootstrapping": "credentials-auto",
        "clusters.clusternet.io/cluster-id": identity,
        "clusters.clusternet.io/cluster-name": site.name,
    }
    assert decoded(stored) == {
        "ca.crt": base64.b64decode(request["status"]["caCertificate"]),
        "token": decoded(stored)["token"],
        "namespace": namespace.encode(),
        "apiserver-advertise-url": lab.cluster("parent").server.encode(),
    }

    assert claims(decoded(stored)["token"])["sub"].startswith(f"system:serviceaccount:{namespace}:clusternet-")

    given = await site.parent.get(SECRETS, "child-cluster-deployer", namespace)
    own = await site.child.get(SECRETS, "clusternet-app-deployer", site.namespace)
    assert given["metadata"]["labels"] == {
        "clusternet.io/created-by": "clusternet-agent",
        "clusters.clusternet.io/cluster-id": identity,
        "clusters.clusternet.io/bootstrapping": "credentials-auto",
    }
    assert given["metadata"]["annotations"] == {"clusternet.io/autoupdate": "true"}
    assert given["metadata"]["finalizers"] == ["apps.clusternet.io/finalizer"]
    assert decoded(given) == {
        "token": decoded(own)["token"],
        "ca.crt": decoded(own)["ca.crt"],
        "service-account.name": b"clusternet-app-deployer",
        "service-account.uid": own["metadata"]["annotations"]["kubernetes.io/service-account.uid"].encode(),
        "apiserver-advertise-url": lab.cluster(site.cluster).server.encode(),
    }


async def test_the_whole_status_is_reported(site, lab, query):
    await site.prepare()
    site.start("--feature-gates=AppPusher=true,SocketConnection=true,Predictor=true", "--kube-api-qps=40")
    await site.reaches("Registered")
    status = (await site.managed_cluster())["status"]
    assert re.fullmatch(r"v1\.\d+\.\d+", status["k8sVersion"])
    assert status["platform"].startswith("linux/")
    assert status["agentVersion"]
    assert status["apiserverURL"] == lab.cluster(site.cluster).server
    assert (status["healthz"], status["livez"], status["readyz"]) == (True, True, True)
    assert status["heartbeatFrequencySeconds"] == 5
    assert (status["kubeQPS"], status["kubeBurst"]) == (40, 100)
    assert (status["appPusher"], status["useSocket"], status["predictorEnabled"]) == (True, True, True)
    assert set(status["capacity"]) >= {"cpu", "memory"}
    assert set(status["allocatable"]) >= {"cpu", "memory"}
    assert "nodeStatistics" in status
    assert query(status, "conditions[?type=='Ready'] | [0].[status, reason]") == ["True", "ManagedClusterReady"]


async def test_ready_does_not_wait_for_a_heartbeat_period(site):
    await site.prepare()
    site.start("--cluster-status-update-frequency=1h")
    await site.is_ready()


async def test_a_name_is_made_once(site):
    await site.prepare()
    agent = site.start("--cluster-reg-name=", "--cluster-reg-name-prefix=edge")
    await site.reaches("Registered")
    name = (await site.managed_cluster())["metadata"]["name"]
    assert re.fullmatch(r"edge-[bcdfghjklmnpqrstvwxz2456789]{5}", name)
    agent.kill()
    site.start("--cluster-reg-name=", "--cluster-reg-name-prefix=edge")
    await site.beats_again()
    assert (await site.managed_cluster())["metadata"]["name"] == name


async def test_an_agent_killed_and_started_again_is_the_same_cluster(site):
    await site.prepare()
    for _ in range(3):
        agent = site.start()
        await site.lease_is_held()
        agent.kill()
    site.start()
    await site.reaches("Registered", timeout=60)
    requests = await site.parent.list(
        CLUSTER_REGISTRATION_REQUESTS, label_selector=f"clusters.clusternet.io/cluster-name={site.name}"
    )
    clusters = await site.parent.list(
        MANAGED_CLUSTERS, label_selector=f"clusters.clusternet.io/cluster-name={site.name}"
    )
    assert (len(requests.items), len(clusters.items)) == (1, 1)


async def test_the_identity_of_the_lease_annotation_wins(site):
    legacy = "0c9a4c0e-5a43-4f0c-8f8e-3b4a6f1d2e90"
    await site.prepare()
    await site.child.create(
        LEASES,
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "clusternet-agent", "annotations": {"legacy-cluster-id": legacy}},
        },
        site.namespace,
    )
    site.start()
    await site.reaches("Registered")
    lease = await site.child.get(LEASES, "clusternet-agent", site.namespace)
    assert lease["metadata"]["annotations"]["legacy-cluster-id"] == legacy
    assert (await site.managed_cluster())["spec"]["clusterId"] == legacy
    await site.forget(legacy)


async def test_a_parent_that_is_down_is_waited_for(site, lab):
    await site.prepare()
    lab.kill("parent", "kube-apiserver")
    try:
        site.start()
        status = await site.reaches("ParentUnreachable")
        assert status["step"] == "connection"
        assert "refused" in status["message"]
    finally:
        revive_api_server(lab, "parent")
    await site.reaches("Registered", timeout=60)


async def test_an_unreachable_url_is_named(site):
    await site.prepare(url="https://127.0.0.1:1")
    site.start()
    status = await site.reaches("ParentUnreachable")
    assert "https://127.0.0.1:1" in status["message"]


async def test_a_wrong_ca_is_named_and_nothing_is_sent(site, lab):
    await site.prepare(ca=lab.cluster(site.cluster).ca)
    site.start()
    status = await site.reaches("ParentCertificateUntrusted")
    assert "ca.crt" in status["message"]


async def test_without_verification_the_agent_warns(site, lab):
    await site.prepare(ca=lab.cluster(site.cluster).ca)
    agent = site.start("--insecure-skip-tls-verify")
    await site.reaches("Registered")
    assert "not verified" in agent.log


async def test_a_wrong_token_is_named_and_a_right_one_taken_without_restart(site):
    await site.prepare(token="aaaaaa.bbbbbbbbbbbbbbbb")
    agent = site.start()
    status = await site.reaches("BootstrapTokenRejected")
    assert status["step"] == "authentication"

    async def told() -> bool:
        events = await site.child.list(EVENTS, site.namespace)
        return "BootstrapTokenRejected" in {event["reason"] for event in events.items}

    await eventually(told)
    assert "bbbbbbbbbbbbbbbb" not in agent.log
    await site.register_with(await site.bootstrap_token())
    await site.reaches("Registered")


async def test_an_expired_token_is_named(site):
    await site.prepare(token=await site.bootstrap_token(expiration="2020-01-01T00:00:00Z"))
    site.start()
    status = await site.reaches("BootstrapTokenRejected")
    assert "expired" in status["message"]


async def test_a_token_of_the_wrong_group_is_named(site):
    await site.prepare(token=await site.bootstrap_token(group="system:bootstrappers:others"))
    site.start()
    status = await site.reaches("RegistrationForbidden")
    assert "system:bootstrappers:clusternet:register-cluster-token" in status["message"]


async def test_a_missing_registration_secret_is_named(site):
    await site.prepare(registration=False)
    site.start()
    status = await site.reaches("RegistrationSecretInvalid")
    assert "clusternet-agent-cluster-registration" in status["message"]


async def test_a_missing_deployer_secret_is_named_while_the_cluster_is_ready(site):
    await site.prepare(deployer=False)
    site.start()
    await site.is_ready()
    status = await site.reaches("DeployerSecretMissing")
    assert "clusternet-app-deployer" in status["message"]
    await site.create_deployer()
    await site.reaches("Registered")


async def test_a_lost_credential_is_issued_again_when_the_request_is_removed(site):
    await site.prepare()
    agent = site.start()
    await site.reaches("Registered")
    before = await site.managed_cluster()
    name = f"clusternet-{await site.identity()}"
    await token_is_gone(site, name)
    assert agent.stop() < 5
    stored = await site.child.get(SECRETS, "parent-cluster", site.namespace)
    stored["data"]["token"] = base64.b64encode(b"no.such.token").decode()
    await site.child.update(SECRETS, stored)
    site.start()
    status = await site.reaches("RegisteredBefore")
    assert "state: absent" in status["message"]
    await site.parent.delete(CLUSTER_REGISTRATION_REQUESTS, name)
    await site.beats_again()
    assert (await site.managed_cluster())["metadata"]["uid"] == before["metadata"]["uid"]


async def token_is_gone(site, name):
    """Wait until the hub has taken the token out of a request that stays approved."""

    async def gone():
        request = await site.parent.get(CLUSTER_REGISTRATION_REQUESTS, name)
        assert request["status"]["result"] == "Approved"
        return "token" not in request["status"]

    await site.eventually(gone)


async def test_a_registration_token_reads_no_request_but_its_own_until_the_first_heartbeat(site, hub, lab):
    own, other = await site.bootstrap_token(), await site.bootstrap_token()
    await site.prepare(token=own)
    site.start()
    await site.lease_is_held()
    name = f"clusternet-{await site.identity()}"
    async with acting(lab, own) as registrant, acting(lab, other) as stranger:
        unseen, read = 0, 0

        async def registered():
            nonlocal unseen, read
            assert await forbidden(stranger.get(CLUSTER_REGISTRATION_REQUESTS, name))
            unseen += 1
            read += not await forbidden(registrant.get(CLUSTER_REGISTRATION_REQUESTS, name))
            return (await site.status()).get("reason") == "Registered"

        await site.eventually(registered)
        assert unseen
        await token_is_gone(site, name)
        await site.eventually(lambda: forbidden(registrant.get(CLUSTER_REGISTRATION_REQUESTS, name)))
        assert await forbidden(registrant.list(CLUSTER_REGISTRATION_REQUESTS))
        assert await forbidden(registrant.delete(CLUSTER_REGISTRATION_REQUESTS, name))
    roles = [role["metadata"]["name"] for role in (await site.parent.list(CLUSTER_ROLES)).items]
    assert f"{name}-registrant" not in roles
    stored = decoded(await site.child.get(SECRETS, "parent-cluster", site.namespace))
    async with acting(lab, stored["token"].decode()) as cluster:
        assert "token" not in (await cluster.get(CLUSTER_REGISTRATION_REQUESTS, name))["status"]


async def test_a_stored_credential_needs_no_valid_token(site):
    await site.prepare()
    agent = site.start()
    await site.reaches("Registered")
    agent.stop()
    await site.register_with("aaaaaa.bbbbbbbbbbbbbbbb")
    site.start()
    await site.beats_again()


async def test_a_deleted_request_is_posted_again(site):
    await site.prepare()
    site.start()
    await site.reaches("Registered")
    name = f"clusternet-{await site.identity()}"
    first = await site.parent.get(CLUSTER_REGISTRATION_REQUESTS, name)
    await site.parent.delete(CLUSTER_REGISTRATION_REQUESTS, name)

    async def posted_again():
        try:
            request = await site.parent.get(CLUSTER_REGISTRATION_REQUESTS, name)
        except NotFound:
            return False
        return request["metadata"]["uid"] != first["metadata"]["uid"] and request.get("status", {}).get("result")

    assert await site.eventually(posted_again, timeout=30) == "Approved"
    await site.beats_again()
