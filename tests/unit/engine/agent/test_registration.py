import asyncio
import base64
import re
from argparse import Namespace
from contextlib import asynccontextmanager

import pytest
from clusternet_engine.agent import registration
from clusternet_engine.agent.progress import Reason
from clusternet_engine.agent.registration import Approval, Registrar, registration_request, verdict
from clusternet_engine.agent.secrets import ParentCredential, parent_cluster_secret
from clusternet_engine.kube.errors import AlreadyExists, Forbidden

URL = "https://parent"
ID = "8f1a2f0e-3f3b-4b0e-9a53-0d9b6f0c1e2d"


def wanted(**changes):
    values = {
        "cluster_name": "child1",
        "cluster_name_prefix": "clusternet-cluster",
        "cluster_namespace": "",
        "cluster_type": "StandardCluster",
        "sync_mode": "Dual",
        "cluster_labels": {},
    }
    return Namespace(**(values | changes))


def request(**status):
    return {
        "metadata": {"name": f"clusternet-{ID}", "labels": {"clusters.clusternet.io/cluster-name": "child1"}},
        "status": status,
    }


def approved(**changes):
    return request(
        **{
            "result": "Approved",
            "token": base64.b64encode(b"sa-token").decode(),
            "caCertificate": base64.b64encode(b"CA").decode(),
            "dedicatedNamespace": "clusternet-x7k2b",
            "managedClusterName": "child1",
        }
        | changes
    )


def test_the_request_is_the_one_of_clusternet():
    body = registration_request(wanted(cluster_labels={"env": "prod"}, cluster_namespace="fleet-1"), ID)
    assert body == {
        "apiVersion": "clusters.clusternet.io/v1beta1",
        "kind": "ClusterRegistrationRequest",
        "metadata": {
            "name": f"clusternet-{ID}",
            "labels": {
                "clusters.clusternet.io/registered-by": "clusternet-agent",
                "clusters.clusternet.io/cluster-id": ID,
                "clusters.clusternet.io/cluster-name": "child1",
            },
        },
        "spec": {
            "clusterId": ID,
            "clusterType": "StandardCluster",
            "clusterName": "child1",
            "clusterNamespace": "fleet-1",
            "syncMode": "Dual",
            "clusterLabels": {"env": "prod"},
        },
    }


def test_what_was_not_asked_for_is_left_out():
    assert set(registration_request(wanted(), ID)["spec"]) == {"clusterId", "clusterType", "clusterName", "syncMode"}


def test_a_name_is_made_from_the_prefix():
    body = registration_request(wanted(cluster_name="", cluster_name_prefix="edge"), ID)
    name = body["spec"]["clusterName"]
    assert re.fullmatch(r"edge-[bcdfghjklmnpqrstvwxz2456789]{5}", name)
    assert body["metadata"]["labels"]["clusters.clusternet.io/cluster-name"] == name


def test_an_approval_gives_the_credential():
    credential = ParentCredential(URL, "clusternet-x7k2b", "sa-token", b"CA")
    assert verdict(approved(), URL) == Approval(credential, "child1", "child1", "")


@pytest.mark.parametrize("missing", ["token", "caCertificate", "dedicatedNamespace", "managedClusterName"])
def test_an_approval_without_a_whole_credential_is_waited_for(missing):
    assert verdict(approved(**{missing: ""}), URL).reason is Reason.REGISTRATION_PENDING


def test_a_stored_credential_stays_when_the_request_has_none_any_more():
    stored = ParentCredential(URL, "clusternet-x7k2b", "stored", b"old CA")
    decision = verdict(approved(token=None), URL, stored)
    assert decision == Approval(ParentCredential(URL, "clusternet-x7k2b", "stored", b"CA"), "child1", "child1", "")
    assert verdict(approved(), URL, stored).credential.token == "sa-token"
    elsewhere = ParentCredential(URL, "clusternet-other", "stored", b"CA")
    assert verdict(approved(token=None), URL, elsewhere).reason is Reason.REGISTRATION_PENDING


def test_the_request_names_who_posts_it():
    body = registration_request(wanted(), ID, "system:bootstrap:abcdef")
    assert body["metadata"]["annotations"] == {"clusternet.io/registrant": "system:bootstrap:abcdef"}


def test_an_approval_that_is_not_base64_is_waited_for():
    assert verdict(approved(token="%%%"), URL).reason is Reason.REGISTRATION_PENDING


@pytest.mark.parametrize("result", ["Denied", "Failed"])
def test_a_denial_says_why(result):
    decision = verdict(request(result=result, errorMessage="the ids differ"), URL)
    assert decision.reason is Reason.REGISTRATION_DENIED
    assert f"{result}: the ids differ" in decision.message


def test_no_answer_of_the_hub():
    decision = verdict({"metadata": {"name": f"clusternet-{ID}"}}, URL)
    assert decision.reason is Reason.REGISTRATION_PENDING
    assert "is it running?" in decision.message


def test_the_hub_says_why_it_cannot_approve_yet():
    decision = verdict(request(errorMessage="namespace fleet-1 belongs to another cluster"), URL)
    assert decision.reason is Reason.REGISTRATION_PENDING
    assert "namespace fleet-1 belongs to another cluster" in decision.message


class StartingParent:
    """A parent whose API server has just started: it doesn't know for a moment what the stored credential may do."""

    def __init__(self):
        self.tokens = []

    async def trusted_ca(self, source, stored):
        return b"CA"

    @asynccontextmanager
    async def client(self, url, token, ca_certificate):
        self.tokens.append(token)
        yield Namespace(get=self.get, create=self.create)

    async def get(self, resource, name):
        if self.tokens.count("sa-token") < 3 or self.tokens[-1] != "sa-token":
            raise Forbidden(403, "Forbidden", "clusterregistrationrequests is forbidden")
        return approved(token="")

    async def create(self, resource, body):
        if resource.kind == "SelfSubjectReview":
            return {}
        raise AlreadyExists(409, "AlreadyExists", "it exists")


async def test_a_credential_that_was_refused_for_a_moment_is_tried_again(monkeypatch):
    monkeypatch.setattr(registration, "_PENDING_TOLD_AFTER", 0.0)
    stored = ParentCredential(URL, "clusternet-x7k2b", "sa-token", b"CA")
    settings = Namespace(**vars(wanted()), parent_url=URL, token="07401b.f395accd246ae52d", ca_file=None)
    settings.system_namespace = "clusternet-system"
    secret = parent_cluster_secret(stored, secret_namespace="clusternet-system", cluster_id=ID, cluster_name="child1")
    told = []

    async def get(resource, name, namespace):
        return secret

    progress = Namespace(
        failed=lambda track, reason, message: told.append(reason), approved=lambda message: told.append(message)
    )
    parent = StartingParent()
    registrar = Registrar(Namespace(get=get), parent, settings, ID, progress)
    async with asyncio.timeout(30):
        membership = await registrar.run()
    assert membership.credential == stored
    assert parent.tokens.count("sa-token") == 3
    assert told[:-1] == [Reason.REGISTERED_BEFORE] * 2
