"""What the clusters of a lab can do."""

import base64
import json
import ssl
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psutil
import pytest
import yaml
from clusternet_lab import Cluster, Lab
from clusternet_lab.inventory import inventory


def post(cluster: Cluster, path: str, body: dict[str, Any]) -> dict[str, Any]:
    with cluster.api() as api:
        status, answer = api.request("POST", path, body)
    assert status == 201, answer
    return json.loads(answer)


def get(cluster: Cluster, path: str) -> dict[str, Any] | None:
    with cluster.api() as api:
        return api.get(path)


def test_a_deployment_becomes_available_and_a_job_completes(
    own_lab: Lab, wait_for: Callable[..., Any], query: Callable[[Any, str], Any]
) -> None:
    child = own_lab.cluster("child1")
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    spec = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    post(child, deployments, {"metadata": {"name": "web"}, "spec": spec})
    pod = {"restartPolicy": "Never", "containers": [{"name": "work", "image": "work:1"}]}
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    post(child, jobs, {"metadata": {"name": "work"}, "spec": {"template": {"spec": pod}}})
    wait_for(
        lambda: query(get(child, f"{deployments}/web"), "status.availableReplicas") == 3,
        why="the Deployment has no 3 available replicas",
    )
    wait_for(
        lambda: query(get(child, f"{jobs}/work"), "status.conditions[?type=='Complete'].status") == ["True"],
        why="the Job isn't complete",
    )
    with child.api() as api:
        api.request("DELETE", f"{deployments}/web?propagationPolicy=Background")
    pods = "/api/v1/namespaces/default/pods?labelSelector=app%3Dweb"
    wait_for(lambda: not query(get(child, pods), "items"), why="the pods of the deleted Deployment stay")


def test_nodes_have_capacity_and_leases(
    own_lab: Lab, query: Callable[[Any, str], Any], wait_for: Callable[..., Any]
) -> None:
    child = own_lab.cluster("child1")
    assert query(get(child, "/api/v1/nodes"), "items[].status.capacity.cpu") == ["8", "8"]
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    wait_for(
        lambda: query(get(child, leases), "items[].metadata.name") == ["node-1", "node-2"], why="leases are missing"
    )
    wait_for(lambda: not query(get(child, "/api/v1/nodes"), "items[].spec.taints[]"), why="a node stays tainted")


def test_a_bootstrap_token_authenticates(
    lab: Lab, wait_for: Callable[..., Any], query: Callable[[Any, str], Any]
) -> None:
    parent = lab.cluster("parent")
    expiration = (datetime.now(UTC) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    token = {
        "token-id": "lab123",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:lab-test",
        "expiration": expiration,
    }
    path = "/api/v1/namespaces/kube-system/secrets"
    metadata = {"name": "bootstrap-token-lab123"}
    post(parent, path, {"metadata": metadata, "type": "bootstrap.kubernetes.io/token", "stringData": token})
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": "lab123.0123456789abcdef"},
    }

    def user() -> Any:
        answer = post(parent, "/apis/authentication.k8s.io/v1/tokenreviews", review)
        return query(answer, "status.authenticated && status.user")

    found = wait_for(user, why="the token is not accepted")
    assert found["username"] == "system:bootstrap:lab123"
    assert "system:bootstrappers:lab-test" in found["groups"]
    with parent.api() as api:
        assert api.request("DELETE", f"{path}/bootstrap-token-lab123")[0] == 200


@pytest.fixture
def aggregated(lab: Lab) -> Iterator[tuple[int, list[dict[str, str]]]]:
    """An API server of ours on loopback: its port, and the headers of the requests it got."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(dict(self.headers))
            body = json.dumps(
                {"kind": "APIResourceList", "groupVersion": "lab.example.org/v1", "resources": []}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    pki = lab.cluster("parent").layout.pki
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "kube-apiserver.crt", pki / "kube-apiserver.key")
    context.load_verify_locations(pki / "front-proxy-ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, seen
    server.shutdown()
    thread.join(10)
    server.server_close()


def test_an_api_server_behind_localhost_is_aggregated(
    lab: Lab, aggregated: tuple[int, list[dict[str, str]]], wait_for: Callable[..., Any]
) -> None:
    parent = lab.cluster("parent")
    port, seen = aggregated
    post(
        parent,
        "/api/v1/namespaces/default/services",
        {"metadata": {"name": "lab-test"}, "spec": {"type": "ExternalName", "externalName": "localhost"}},
    )
    group = {"group": "lab.example.org", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100}
    service = {"namespace": "default", "name": "lab-test", "port": port}
    services = "/apis/apiregistration.k8s.io/v1/apiservices"
    name = "v1.lab.example.org"
    spec = {**group, "service": service, "insecureSkipTLSVerify": True}
    try:
        post(parent, services, {"metadata": {"name": name}, "spec": spec})
        answer = wait_for(lambda: get(parent, "/apis/lab.example.org/v1"), why="the aggregated API does not answer")
    finally:
        with parent.api() as api:
            api.request("DELETE", f"{services}/{name}")
            api.request("DELETE", "/api/v1/namespaces/default/services/lab-test")
    assert answer["groupVersion"] == "lab.example.org/v1"
    assert "kubernetes-admin" in [headers.get("X-Remote-User") for headers in seen]


def test_everything_listens_on_loopback_only(own_lab: Lab) -> None:
    for cluster in own_lab.clusters.values():
        for component in cluster.components:
            process = cluster.process(component)
            assert process
            listening = [c.laddr for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
            assert {address.ip for address in listening} <= {"127.0.0.1"}
            assert {address.port for address in listening} <= set(cluster.layout.ports.values())


def test_requests_are_logged(lab: Lab, wait_for: Callable[..., Any]) -> None:
    parent = lab.cluster("parent")
    get(parent, "/api/v1/namespaces/default/configmaps/asked-by-a-lab-test")

    def logged() -> list[dict[str, Any]]:
        events = map(json.loads, parent.audit_log.read_text().splitlines())
        return [event for event in events if event["requestURI"].endswith("/asked-by-a-lab-test")]

    [event] = wait_for(logged, why="the request is not in the audit log")
    assert (event["level"], event["verb"], event["responseStatus"]["code"]) == ("Metadata", "get", 404)


def test_the_kubeconfig_is_private_and_complete(lab: Lab, child_kubeconfigs: dict[str, Any]) -> None:
    for name, path in child_kubeconfigs.items():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        [entry] = yaml.safe_load(path.read_text())["clusters"]
        assert entry["cluster"]["server"] == lab.cluster(name).server
        assert base64.b64decode(entry["cluster"]["certificate-authority-data"]) == lab.cluster(name).ca.read_bytes()


def test_the_inventory_has_both_groups(lab: Lab) -> None:
    groups = inventory(lab)["all"]["children"]
    assert list(groups["clusternet_parent"]["hosts"]) == ["parent"]
    children = groups["clusternet_children"]["hosts"]
    assert list(children) == ["child1", "child2"]
    assert (
        children["child1"]["clusternet_agent_cluster_labels"] != children["child2"]["clusternet_agent_cluster_labels"]
    )
    ports = [host["clusternet_agent_secure_port"] for host in children.values()]
    assert len({*ports, groups["clusternet_parent"]["hosts"]["parent"]["clusternet_hub_secure_port"]}) == 3
