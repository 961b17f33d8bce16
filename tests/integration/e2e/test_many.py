"""Many clusters register at once."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from api import Api
from deployment import CLUSTERS

pytestmark = pytest.mark.usefixtures("nothing_is_forbidden")

REQUESTS = 200
PREFIX = "many"


def request(identity: str, number: int) -> dict:
    return {
        "apiVersion": "clusters.clusternet.io/v1beta1",
        "kind": "ClusterRegistrationRequest",
        "metadata": {
            "name": f"clusternet-{identity}",
            "labels": {
                "clusters.clusternet.io/registered-by": "clusternet-agent",
                "clusters.clusternet.io/cluster-id": identity,
                "clusters.clusternet.io/cluster-name": f"{PREFIX}-{number}",
            },
        },
        "spec": {
            "clusterId": identity,
            "clusterName": f"{PREFIX}-{number}",
            "clusterType": "StandardCluster",
            "syncMode": "Dual",
            "clusterLabels": {"fleet": PREFIX},
        },
    }


def test_200_requests_at_once_are_approved(deployment, wait_for):
    lab = deployment.lab.cluster("parent")
    agents = Api.with_token(lab.server, lab.ca, deployment.bootstrap_token())
    requests = [request(str(uuid.uuid4()), number) for number in range(REQUESTS)]
    with ThreadPoolExecutor(32) as pool:
        posted = list(pool.map(lambda body: agents("POST", f"{CLUSTERS}/clusterregistrationrequests", body), requests))
    assert {answer.status for answer in posted} == {201}
    ours = {body["spec"]["clusterId"] for body in requests}

    def answered():
        found = deployment.parent.items(f"{CLUSTERS}/clusterregistrationrequests")
        mine = [item for item in found if item["spec"]["clusterId"] in ours]
        return len(mine) == REQUESTS and all(item.get("status", {}).get("result") for item in mine) and mine

    approved = wait_for(answered, timeout=120, why=f"not all of {REQUESTS} requests are answered")
    try:
        statuses = [item["status"] for item in approved]
        assert {status["result"] for status in statuses} == {"Approved"}
        for part in ("token", "dedicatedNamespace", "managedClusterName"):
            assert len({status.get(part) for status in statuses} - {None, ""}) == REQUESTS, part
        assert len({status["caCertificate"] for status in statuses}) == 1
        clusters = deployment.parent.items(f"{CLUSTERS}/managedclusters", labelSelector=f"fleet={PREFIX}")
        assert {(c["metadata"]["namespace"], c["metadata"]["name"]) for c in clusters} == {
            (status["dedicatedNamespace"], status["managedClusterName"]) for status in statuses
        }
    finally:
        for item in approved:
            deployment.parent("DELETE", f"{CLUSTERS}/clusterregistrationrequests/{item['metadata']['name']}")
            deployment.parent("DELETE", f"/api/v1/namespaces/{item['status'].get('dedicatedNamespace')}")
            for kind in ("clusterroles", "clusterrolebindings"):
                deployment.parent("DELETE", f"/apis/rbac.authorization.k8s.io/v1/{kind}/{item['metadata']['name']}")
