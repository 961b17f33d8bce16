"""What a registration leaves on parent and child has the shapes that Clusternet's own agents and hubs read.

The expectations restate what a running Clusternet shows (spec/02 §6–§8). Where this implementation differs on
purpose, the test says so.
"""

import base64

import pytest
from clusternet_engine.model.constants import READS_VALUES_ANNOTATION
from clusternet_engine.model.rbac import namespace_rules
from deployment import CLUSTERS, HEARTBEAT, SYSTEM

RBAC = "/apis/rbac.authorization.k8s.io/v1"
CREATED_BY = "clusternet.io/created-by"
BOOTSTRAPPING = "clusters.clusternet.io/bootstrapping"
ID = "clusters.clusternet.io/cluster-id"
NAME = "clusters.clusternet.io/cluster-name"
SYNC_MODES = {"child1": "Dual", "child2": "Pull"}
AUTOUPDATE = {"clusternet.io/autoupdate": "true"}
ROLE = "clusternet-managedcluster-role"


@pytest.fixture(params=["child1", "child2"])
def child(request) -> str:
    return request.param


@pytest.fixture
def cluster(deployment, child) -> dict:
    return deployment.managed_cluster(child)


@pytest.fixture
def cluster_id(deployment, child) -> str:
    return deployment.cluster_id(child)


@pytest.fixture
def namespace(cluster) -> str:
    return cluster["metadata"]["namespace"]


@pytest.fixture
def account(deployment, cluster_id) -> dict:
    [found] = deployment.parent.items("/api/v1/serviceaccounts", labelSelector=f"{ID}={cluster_id}")
    return found


@pytest.fixture
def ours(cluster_id, child) -> dict[str, str]:
    """The labels of what belongs to a cluster."""
    return {CREATED_BY: "clusternet-agent", ID: cluster_id, NAME: child}


@pytest.fixture
def given(deployment, child) -> dict[str, str]:
    """The labels that the deployment asked for."""
    [request] = [
        item["spec"]["clusterLabels"]
        for item in deployment.parent.items(f"{CLUSTERS}/clusterregistrationrequests", labelSelector=f"{NAME}={child}")
        if item["spec"]["clusterId"] == deployment.cluster_id(child)
    ]
    assert set(request) == {"env", "region"}
    return request


def shown(metadata: dict, key: str) -> dict:
    return metadata.get(key) or {}


def test_request(deployment, child, cluster_id, cluster, given, wait_for):
    path = f"{CLUSTERS}/clusterregistrationrequests/clusternet-{cluster_id}"
    wait_for(lambda: "token" not in deployment.parent.get(path)["status"], 30, "the cluster has its token")
    request = deployment.parent.get(path)
    assert request["metadata"]["labels"] == {
        "clusters.clusternet.io/registered-by": "clusternet-agent",
        ID: cluster_id,
        NAME: child,
    }
    assert "finalizers" not in request["metadata"]
    assert request["spec"] == {
        "clusterId": cluster_id,
        "clusterName": child,
        "clusterType": "StandardCluster",
        "clusterLabels": given,
        "syncMode": SYNC_MODES[child],
    }
    status = request["status"]
    # The reference leaves the token there for ever.
    assert set(status) == {"caCertificate", "dedicatedNamespace", "managedClusterName", "result"}
    assert status["result"] == "Approved"
    assert status["dedicatedNamespace"] == cluster["metadata"]["namespace"]
    assert status["managedClusterName"] == cluster["metadata"]["name"] == child


def test_managed_cluster(cluster, cluster_id, child, ours, given):
    metadata = cluster["metadata"]
    assert metadata["name"] == child
    assert metadata["labels"] == {**ours, **given}
    # The reference's agent writes none; this one says that it reads the values of published Secrets.
    assert shown(metadata, "annotations") == {READS_VALUES_ANNOTATION: "true"}
    assert "finalizers" not in metadata
    spec = {key: value for key, value in cluster["spec"].items() if value != []}  # no taints, if ever there were any
    assert spec == {"clusterId": cluster_id, "clusterType": "StandardCluster", "syncMode": SYNC_MODES[child]}


def test_managed_cluster_status(deployment, child, cluster):
    status = cluster["status"]
    version = deployment.children[child].get("/version")
    expected = {
        "k8sVersion": version["gitVersion"],
        "platform": version["platform"],
        "healthz": True,
        "livez": True,
        "readyz": True,
        "kubeQPS": 50,
        "kubeBurst": 100,
        "heartbeatFrequencySeconds": HEARTBEAT,
        "predictorDirectAccess": False,
    }
    assert {key: status.get(key) for key in expected} == expected
    assert set(status["allocatable"]) == set(status["capacity"]) == {"cpu", "memory"}
    assert status["agentVersion"]
    assert status["apiserverURL"] == deployment.lab.cluster(child).server
    assert isinstance(status["appPusher"], bool), "without it the hub of the reference does not push"
    assert isinstance(status["useSocket"], bool)
    assert {(c["type"], c["status"], c["reason"]) for c in status["conditions"]} == {
        ("ClusterInit", "True", "ClusterInitDisabled"),
        ("Ready", "True", "ManagedClusterReady"),
    }
    assert all(c["message"] and c["lastTransitionTime"] for c in status["conditions"])


def test_dedicated_namespace(deployment, namespace, ours):
    metadata = deployment.parent.get(f"/api/v1/namespaces/{namespace}")["metadata"]
    assert metadata["labels"] == {**ours, "kubernetes.io/metadata.name": namespace}
    assert namespace.startswith("clusternet-")
    assert shown(metadata, "annotations") == {}


def test_service_account_and_token(deployment, namespace, account, ours, cluster_id):
    metadata = account["metadata"]
    assert metadata["namespace"] == namespace
    assert metadata["labels"] == ours
    assert metadata["name"].startswith("clusternet-")
    # The reference keeps a token that never expires in a Secret of the account's name.
    assert deployment.parent("GET", f"/api/v1/namespaces/{namespace}/secrets/{metadata['name']}").status == 404
    request = deployment.parent.get(f"{CLUSTERS}/clusterregistrationrequests/clusternet-{cluster_id}")
    published = deployment.parent.get("/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt")
    assert base64.b64decode(request["status"]["caCertificate"]).decode() == published["data"]["ca.crt"]


@pytest.mark.parametrize("kind", ["clusterroles", "clusterrolebindings"])
def test_cluster_wide_rights(deployment, cluster_id, account, namespace, kind):
    found = deployment.parent.get(f"{RBAC}/{kind}/clusternet-{cluster_id}")
    assert found["metadata"]["labels"] == {
        CREATED_BY: "clusternet-controller-manager",
        BOOTSTRAPPING: "rbac-defaults",
        ID: cluster_id,
    }
    assert found["metadata"]["annotations"] == AUTOUPDATE
    if kind == "clusterrolebindings":
        assert_binds(found, "ClusterRole", f"clusternet-{cluster_id}", account, namespace)


def test_cluster_role_is_narrower(deployment, cluster_id):
    """The reference grants `get` of all requests and Secrets; here a cluster reads its own request and no Secret."""
    rules = deployment.parent.get(f"{RBAC}/clusterroles/clusternet-{cluster_id}")["rules"]
    granted = {
        (group, resource, tuple(sorted(rule["verbs"])), tuple(rule.get("resourceNames", [])))
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert granted == {
        ("clusters.clusternet.io", "clusterregistrationrequests", ("create",), ()),
        ("clusters.clusternet.io", "clusterregistrationrequests", ("get",), (f"clusternet-{cluster_id}",)),
        ("proxies.clusternet.io", "sockets", ("*",), (cluster_id,)),
    }


@pytest.mark.parametrize("kind", ["roles", "rolebindings"])
def test_rights_in_the_namespace(deployment, child, namespace, account, kind):
    """The reference grants everything in the namespace; here a cluster has the rights that its agent uses."""
    found = deployment.parent.get(f"{RBAC}/namespaces/{namespace}/{kind}/{ROLE}")
    assert found["metadata"]["labels"] == {
        CREATED_BY: "clusternet-controller-manager",
        BOOTSTRAPPING: "rbac-defaults",
    }
    assert found["metadata"]["annotations"] == AUTOUPDATE
    if kind == "roles":
        assert found["rules"] == namespace_rules(child, account["metadata"]["name"])
    else:
        assert_binds(found, "Role", ROLE, account, namespace)


def assert_binds(binding: dict, kind: str, name: str, account: dict, namespace: str) -> None:
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": namespace}
    ]


def test_parent_credential_on_the_child(deployment, child, cluster_id, namespace):
    secret = deployment.children[child].get(f"/api/v1/namespaces/{SYSTEM}/secrets/parent-cluster")
    assert secret["type"] == "Opaque"
    assert secret["metadata"]["labels"] == {BOOTSTRAPPING: "credentials-auto", ID: cluster_id, NAME: child}
    assert shown(secret["metadata"], "annotations") == {}
    assert set(secret["data"]) == {"apiserver-advertise-url", "ca.crt", "namespace", "token"}
    content = deployment.credential(child)
    registration = deployment.children[child].secret(SYSTEM, "clusternet-agent-cluster-registration")
    assert content["namespace"] == namespace
    assert content["apiserver-advertise-url"] == registration["parentURL"]
    assert deployment.as_child(child)("GET", f"{CLUSTERS}/namespaces/{namespace}/managedclusters").status == 200


def test_child_credential_on_the_parent(deployment, child, cluster_id, namespace):
    path = f"/api/v1/namespaces/{namespace}/secrets/child-cluster-deployer"
    secret = deployment.parent.get(path)
    assert secret["type"] == "Opaque"
    assert secret["metadata"]["labels"] == {
        CREATED_BY: "clusternet-agent",
        BOOTSTRAPPING: "credentials-auto",
        ID: cluster_id,
    }
    assert secret["metadata"]["annotations"] == AUTOUPDATE
    assert secret["metadata"]["finalizers"] == ["apps.clusternet.io/finalizer"]
    assert set(secret["data"]) == {
        "apiserver-advertise-url",
        "ca.crt",
        "service-account.name",
        "service-account.uid",
        "token",
    }
    content = deployment.parent.secret(namespace, "child-cluster-deployer")
    account = deployment.children[child].get(f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/clusternet-app-deployer")
    assert content["service-account.name"] == "clusternet-app-deployer"
    assert content["service-account.uid"] == account["metadata"]["uid"]
    assert content["apiserver-advertise-url"] == deployment.lab.cluster(child).server
    assert content["token"] == deployment.children[child].secret(SYSTEM, "clusternet-app-deployer")["token"]
