"""What the credentials of a registration may do on the parent, and what not (spec/02 §2, §6.2; narrowed on purpose).

Every row is asked twice: as an access review, and as the request itself.
"""

import re

import pytest
from api import Api
from deployment import CLUSTERS

APPS = "/apis/apps.clusternet.io/v1alpha1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
SOCKETS = "/apis/proxies.clusternet.io/v1alpha1/sockets"
REQUESTS = f"{CLUSTERS}/clusterregistrationrequests"
NEW_ID = "00000000-0000-4000-8000-000000000000"
REQUEST = {
    "apiVersion": "clusters.clusternet.io/v1beta1",
    "kind": "ClusterRegistrationRequest",
    "metadata": {"name": f"clusternet-{NEW_ID}"},
    "spec": {"clusterId": NEW_ID},
}
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "access-test"}, "data": {"a": "b"}}
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "access-test"}, "stringData": {"a": "b"}}

CHILD_MAY = [
    ("GET", f"{REQUESTS}/clusternet-{{id}}"),
    ("GET", f"{CLUSTERS}/namespaces/{{ns}}/managedclusters"),
    ("GET", f"{CLUSTERS}/namespaces/{{ns}}/managedclusters/{{name}}"),
    ("WATCH", f"{CLUSTERS}/namespaces/{{ns}}/managedclusters"),
    (
        "PATCH",
        f"{CLUSTERS}/namespaces/{{ns}}/managedclusters/{{name}}",
        {"metadata": {"labels": {"node.clusternet.io/a": "b"}}},
    ),
    ("PATCH", f"{CLUSTERS}/namespaces/{{ns}}/managedclusters/{{name}}/status", {"status": {"platform": "linux/amd64"}}),
    ("GET", f"{APPS}/namespaces/{{ns}}/descriptions"),
    ("PATCH", f"{APPS}/namespaces/{{ns}}/descriptions/missing/status", {"status": {"phase": "Success"}}),
    ("GET", f"{APPS}/namespaces/{{ns}}/helmreleases"),
    ("GET", "/api/v1/namespaces/{ns}/secrets/child-cluster-deployer"),
    ("GET", f"{SOCKETS}/{{id}}"),
    ("POST", f"{SOCKETS}/{{id}}", {}),
]
CHILD_IS_REFUSED_BY_POLICIES = [
    ("POST", REQUESTS, REQUEST),
    ("PATCH", f"{CLUSTERS}/namespaces/{{ns}}/managedclusters/{{name}}", {"metadata": {"labels": {"a": "b"}}}),
    ("POST", "/api/v1/namespaces/{ns}/secrets", SECRET),
]
CHILD_MAY_NOT = [
    # other requests, and its own beyond reading it
    ("GET", f"{REQUESTS}/clusternet-{{other_id}}"),
    ("GET", f"{REQUESTS}/clusternet-{NEW_ID}"),
    ("GET", REQUESTS),
    ("WATCH", REQUESTS),
    ("PATCH", f"{REQUESTS}/clusternet-{{id}}", {"metadata": {"labels": {"a": "b"}}}),
    ("DELETE", f"{REQUESTS}/clusternet-{{id}}"),
    ("PATCH", f"{REQUESTS}/clusternet-{{id}}/status", {"status": {"result": "Denied"}}),
    ("PATCH", f"{REQUESTS}/clusternet-{{other_id}}/status", {"status": {"result": "Denied"}}),
    # what an agent doesn't do in its own namespace
    ("GET", "/api/v1/namespaces/{ns}/secrets"),
    ("POST", "/api/v1/namespaces/{ns}/configmaps", CONFIG_MAP),
    ("POST", f"{APPS}/namespaces/{{ns}}/subscriptions", {}),
    ("POST", f"{APPS}/namespaces/{{ns}}/bases", {}),
    # Secrets elsewhere
    ("GET", "/api/v1/secrets"),
    ("GET", "/api/v1/namespaces/{other_ns}/secrets"),
    ("GET", "/api/v1/namespaces/{other_ns}/secrets/child-cluster-deployer"),
    ("GET", "/api/v1/namespaces/{other_ns}/secrets/{other_account}"),
    ("GET", "/api/v1/namespaces/clusternet-system/secrets/clusternet-hub"),
    ("GET", "/api/v1/namespaces/kube-system/secrets"),
    ("GET", "/api/v1/namespaces/kube-system/secrets/{bootstrap_secret}"),
    ("GET", "/api/v1/namespaces/default/secrets/any"),
    ("POST", "/api/v1/namespaces/{other_ns}/secrets", SECRET),
    # other dedicated namespaces, and all at once
    ("GET", f"{CLUSTERS}/managedclusters"),
    ("GET", f"{CLUSTERS}/namespaces/{{other_ns}}/managedclusters"),
    ("GET", f"{CLUSTERS}/namespaces/{{other_ns}}/managedclusters/{{other_name}}"),
    ("PATCH", f"{CLUSTERS}/namespaces/{{other_ns}}/managedclusters/{{other_name}}/status", {"status": {}}),
    ("DELETE", f"{CLUSTERS}/namespaces/{{other_ns}}/managedclusters/{{other_name}}"),
    ("GET", f"{APPS}/subscriptions"),
    ("GET", f"{APPS}/namespaces/{{other_ns}}/descriptions"),
    ("POST", "/api/v1/namespaces/{other_ns}/configmaps", CONFIG_MAP),
    ("GET", "/api/v1/namespaces/{other_ns}/configmaps"),
    ("POST", "/api/v1/namespaces/{other_ns}/serviceaccounts/{other_account}/token", {}),
    ("POST", "/api/v1/namespaces/clusternet-system/serviceaccounts/clusternet-hub/token", {}),
    # the parent itself
    ("GET", "/api/v1/namespaces"),
    ("POST", "/api/v1/namespaces", {"metadata": {"name": "access-test"}}),
    ("DELETE", "/api/v1/namespaces/{other_ns}"),
    ("GET", "/api/v1/nodes"),
    ("GET", "/api/v1/pods"),
    ("GET", f"{RBAC}/clusterroles"),
    ("PATCH", f"{RBAC}/clusterroles/clusternet-{{id}}", {"rules": []}),
    ("POST", f"{RBAC}/clusterrolebindings", {}),
    ("POST", f"{RBAC}/namespaces/{{other_ns}}/rolebindings", {}),
    ("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"),
    ("GET", "/apis/coordination.k8s.io/v1/namespaces/clusternet-system/leases/clusternet-hub"),
    ("GET", "/apis/coordination.k8s.io/v1/namespaces/clusternet-system/leases"),
    # tunnels of others
    ("GET", f"{SOCKETS}/{{other_id}}"),
    ("GET", f"{SOCKETS}/{{other_id}}/proxy"),
    ("GET", f"{SOCKETS}/{{id}}/proxy"),
    ("GET", SOCKETS),
]
BOOTSTRAP_MAY = [
    ("POST", REQUESTS, REQUEST),
]
BOOTSTRAP_MAY_NOT = [
    ("GET", f"{REQUESTS}/clusternet-{{id}}"),
    ("GET", REQUESTS),
    ("WATCH", REQUESTS),
    ("PATCH", f"{REQUESTS}/clusternet-{{id}}", {"spec": {"clusterType": "EdgeCluster"}}),
    ("PATCH", f"{REQUESTS}/clusternet-{{id}}/status", {"status": {"result": "Approved"}}),
    ("DELETE", f"{REQUESTS}/clusternet-{{id}}"),
    ("GET", f"{CLUSTERS}/managedclusters"),
    ("GET", f"{CLUSTERS}/namespaces/{{ns}}/managedclusters/{{name}}"),
    ("PATCH", f"{CLUSTERS}/namespaces/{{ns}}/managedclusters/{{name}}/status", {"status": {}}),
    ("POST", f"{CLUSTERS}/namespaces/{{ns}}/managedclusters", {}),
    ("GET", "/api/v1/namespaces/{ns}/secrets/child-cluster-deployer"),
    ("GET", "/api/v1/namespaces/kube-system/secrets/{bootstrap_secret}"),
    ("GET", "/api/v1/namespaces"),
    ("GET", f"{SOCKETS}/{{id}}"),
]
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "WATCH": "watch"}
PATH = re.compile(
    r"/apis?/(?:(?P<group>[^/]+\.[^/]+)/)?(?P<version>[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/))?"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<subresource>[^/]+))?"
)


def attributes(method: str, path: str) -> dict[str, str]:
    """Return a request as the authorizer sees it."""
    found = {key: value or "" for key, value in PATH.fullmatch(path).groupdict().items()}
    verb = VERBS.get(method) or ("get" if found["name"] else "list")
    if method == "DELETE":
        verb = "delete"
    if found["resource"] == "namespaces":
        found["namespace"] = found["name"]
    return {**found, "verb": verb}


def send(api: Api, method: str, path: str, body=None) -> int:
    """Send a request that changes nothing, and return the status."""
    if method == "WATCH":
        return api("GET", path, watch="true", timeoutSeconds="1", limit="1").status
    query = {} if method == "GET" or "/sockets" in path else {"dryRun": "All"}
    return api(
        method,
        path,
        body,
        content_type="application/merge-patch+json" if method == "PATCH" else "application/json",
        **query,
    ).status


def review(api: Api, method: str, path: str) -> bool:
    answer = api(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes(method, path)},
        },
    )
    return answer.body["status"]["allowed"]


@pytest.fixture
def facts(deployment) -> dict[str, str]:
    """What the rows' paths are filled with: child1's own names, and child2's as the other's."""
    found = {}
    for prefix, child in (("", "child1"), ("other_", "child2")):
        metadata = deployment.managed_cluster(child)["metadata"]
        selector = f"clusters.clusternet.io/cluster-id={deployment.cluster_id(child)}"
        [account] = deployment.parent.items("/api/v1/serviceaccounts", labelSelector=selector)
        found |= {
            f"{prefix}id": deployment.cluster_id(child),
            f"{prefix}ns": metadata["namespace"],
            f"{prefix}name": metadata["name"],
            f"{prefix}account": account["metadata"]["name"],
        }
    return {**found, "bootstrap_secret": f"bootstrap-token-{deployment.bootstrap_token().partition('.')[0]}"}


@pytest.fixture
def identities(deployment) -> dict[str, Api]:
    parent = deployment.lab.cluster("parent")
    return {
        "child": deployment.as_child("child1"),
        "bootstrap": Api.with_token(parent.server, parent.ca, deployment.bootstrap_token()),
    }


def rows(identity: str, table: list[tuple]) -> list:
    return [pytest.param(identity, row, id=f"{identity}-{row[0]}-{row[1]}") for row in table]


@pytest.mark.parametrize(("identity", "row"), [*rows("child", CHILD_MAY), *rows("bootstrap", BOOTSTRAP_MAY)])
def test_may(identities, facts, identity, row):
    method, path, *body = row
    path = path.format(**facts)
    assert review(identities[identity], method, path)
    answers = {200, 201, 404}
    if path.startswith(SOCKETS):
        answers.add(400)  # no websocket is asked for
    assert send(identities[identity], method, path, *body) in answers


@pytest.mark.parametrize(("identity", "row"), [*rows("child", CHILD_MAY_NOT), *rows("bootstrap", BOOTSTRAP_MAY_NOT)])
def test_may_not(identities, facts, identity, row):
    method, path, *body = row
    path = path.format(**facts)
    assert not review(identities[identity], method, path)
    assert send(identities[identity], method, path, *body) == 403


@pytest.mark.parametrize(("identity", "row"), rows("child", CHILD_IS_REFUSED_BY_POLICIES))
def test_policies_refuse(identities, facts, identity, row):
    method, path, *body = row
    path = path.format(**facts)
    assert review(identities[identity], method, path)
    assert send(identities[identity], method, path, *body) in {403, 422}


def test_a_stranger_may_nothing(deployment):
    parent = deployment.lab.cluster("parent")
    token = deployment.bootstrap_token()
    wrong = f"{token[:7]}{'a' * 16}"
    for stranger in (Api.with_token(parent.server, parent.ca, wrong), Api.with_token(parent.server, parent.ca, "x")):
        assert send(stranger, "POST", REQUESTS, REQUEST) == 401
