"""Clusters are unregistered on the parent and, through their tunnels, in themselves (spec/02 §11)."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from deployment import CLUSTERS, SYSTEM, Deployment
from play import Run, run_tasks
from programs import Programs

CHILDREN = ("child1", "child2")  # pushed to, and pulling
RBAC = "/apis/rbac.authorization.k8s.io/v1"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/clusternet-agent"
MADE = (
    f"/api/v1/namespaces/{SYSTEM}",
    f"{RBAC}/clusterroles/clusternet:agent:admin",
    f"{RBAC}/clusterrolebindings/clusternet:agent:admin",
    f"{RBAC}/clusterrolebindings/clusternet:app:deployer:admin",
)
"""What the role has made on a child, as far as it is cluster-wide."""
PUBLISHED = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "published-before", "namespace": "default"},
    "data": {"a": "b"},
}
SUBSCRIPTION = {"name": "published-before", "namespace": "default"}
CONFIG_MAP = "/api/v1/namespaces/default/configmaps/published-before"


@pytest.fixture
def play(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """``play(task, …)`` runs tasks with the parent's kubeconfig and shows all that Ansible can show."""
    kubeconfig = str(deployment.lab.cluster("parent").kubeconfig)
    return lambda *tasks: run_tasks(tasks, kubeconfig, tmp_path_factory.mktemp("play"), ("-vvv", "--diff"))


@pytest.fixture
def published(deployment: Deployment, play: Callable[..., Run]) -> Iterator[None]:
    """A ConfigMap on both children, put there by a Subscription."""
    feed = {"api_version": "v1", "kind": "ConfigMap", "namespace": "default", "name": "published-before"}
    everywhere = {"cluster_affinity": {"match_labels": {"clusternet.io/created-by": "clusternet-agent"}}}
    subscription = {**SUBSCRIPTION, "subscribers": [everywhere], "feeds": [feed]}
    made = play(
        {"clusternet.core.manifest": {"definitions": [PUBLISHED]}},
        {"clusternet.core.subscription": {"subscriptions": [subscription], "wait_for": "deployed", "wait_timeout": 90}},
    ).results
    assert not any(result["failed"] for result in made), made
    yield
    play(
        {"clusternet.core.subscription": {"subscriptions": [SUBSCRIPTION], "state": "absent"}},
        {"clusternet.core.manifest": {"definitions": [PUBLISHED], "state": "absent"}},
    )
    for child in deployment.children.values():
        child("DELETE", CONFIG_MAP)


def absent(*names: str, **options: Any) -> dict[str, Any]:
    """Return the task that unregisters clusters."""
    wanted = {"names": list(names), "state": "absent", "wait": True, "wait_timeout": 90, **options}
    return {"clusternet.core.managed_cluster": wanted}


def gone(deployment: Deployment, child: str) -> bool:
    """Return whether a child has nothing of Clusternet any more."""
    found = [path for path in MADE if deployment.children[child]("GET", path).status != 404]
    assert found == []
    return True


def unregistered(deployment: Deployment, identity: str) -> bool:
    """Return whether the parent has nothing of a cluster any more."""
    selector = f"clusters.clusternet.io/cluster-id={identity}"
    for path in ("/api/v1/namespaces", f"{CLUSTERS}/managedclusters", f"{CLUSTERS}/clusterregistrationrequests"):
        found = deployment.parent.items(path, labelSelector=selector)
        assert not found, [item["metadata"]["name"] for item in found]
    for kind in ("clusterroles", "clusterrolebindings"):
        assert deployment.parent("GET", f"{RBAC}/{kind}/clusternet-{identity}").status == 404
    return True


def places(items: list[dict[str, str]], where: str) -> list[str]:
    """Return what was removed, or left, somewhere."""
    return [item["what"] for item in items if item["where"] == where]


@pytest.mark.timeout(600)
def test_a_cluster_that_is_reached_is_left_without_a_trace(
    deployment: Deployment, play: Callable[..., Run], published: None, wait_for: Callable[..., Any]
) -> None:
    identities = {child: deployment.cluster_id(child) for child in CHILDREN}
    processes = {child: deployment.process(child) for child in CHILDREN}
    tokens = [deployment.credential(child)["token"] for child in CHILDREN]
    run = play(
        absent(*CHILDREN),
        {**absent(*CHILDREN, force=True, clean_child="required"), "check_mode": True},
        absent(*CHILDREN, force=True, clean_child="required"),
        absent(*CHILDREN),
    )
    deployment.deployed = False
    refused, predicted, removed, again = run.results
    assert refused["failed"]
    assert not refused["changed"]
    assert all("still deployed" in cluster["msg"] for cluster in refused["clusters"])
    for result in (predicted, removed):
        assert not result["failed"], result["msg"]
        assert result["changed"]
    for foretold, done in zip(predicted["clusters"], removed["clusters"], strict=True):
        assert sorted(map(str, foretold["removed"])) == sorted(map(str, done["removed"]))
        assert foretold["left"] == done["left"]
    assert {diff["before_header"] for diff in predicted["diff"]} == {diff["before_header"] for diff in removed["diff"]}
    assert "child1: Lease/clusternet-system/clusternet-agent" in {diff["before_header"] for diff in removed["diff"]}
    for cluster in removed["clusters"]:
        child = places(cluster["removed"], "child")
        assert child[0] == f"Secret {SYSTEM}/clusternet-agent-cluster-registration"
        assert child[-3:] == [
            f"Namespace {SYSTEM}",
            f"ServiceAccount {SYSTEM}/clusternet-app-deployer",
            "ClusterRoleBinding clusternet:app:deployer:admin",
        ]
        assert places(cluster["left"], "child") == ["ConfigMap default/published-before"]
        assert len(places(cluster["left"], "host")) == 1
        assert places(cluster["left"], "parent") == []
        assert unregistered(deployment, cluster["cluster_id"])
    assert {cluster["cluster_id"] for cluster in removed["clusters"]} == set(identities.values())
    assert not again["changed"]
    for child, api in deployment.children.items():
        wait_for(lambda name=child: gone(deployment, name), why=f"{child} still has something")
        assert api.get(CONFIG_MAP)["data"] == {"a": "b"}, "what was given up stays"
    for token in tokens:
        assert token not in run.output

    for child, process in processes.items():
        log = deployment.lab.folder / "hosts" / child / f"clusternet-agent-{child}.log"
        wait_for(lambda path=log: "can't acquire" in path.read_text(), why=f"the agent of {child} still leads")
        assert process.is_running()
        assert deployment.children[child]("GET", LEASE).status == 404
        assert unregistered(deployment, identities[child]), "the agent has registered again"
    requests = deployment.parent.items(f"{CLUSTERS}/clusterregistrationrequests")
    assert not {item["spec"]["clusterName"] for item in requests} & set(CHILDREN)

    deployment.playbook("clusternet.core.teardown", "--limit", "clusternet_children")
    for process in processes.values():
        assert not process.is_running()


@pytest.fixture
def programs(deployment: Deployment) -> Iterator[Programs]:
    """The hub alone."""
    programs = Programs(deployment)
    programs.start("parent")
    yield programs
    programs.end()


@pytest.mark.timeout(600)
def test_a_cluster_that_is_not_reached(
    deployment: Deployment, play: Callable[..., Run], programs: Programs, wait_for: Callable[..., Any]
) -> None:
    identity = deployment.cluster_id("child1")

    def says_so() -> bool:
        path = f"/apis/proxies.clusternet.io/v1alpha1/sockets/{identity}/proxy/direct/version"
        return "disconnected" in json.dumps(deployment.parent("GET", path).body)

    wait_for(says_so, why="the hub doesn't serve")
    predicted, refused = play(
        {**absent("child1", clean_child="required"), "check_mode": True}, absent("child1", clean_child="required")
    ).results
    for result in (predicted, refused):
        assert result["failed"]
        assert not result["changed"]
        assert "disconnected" in result["clusters"][0]["msg"]
    assert deployment.managed_cluster("child1")["spec"]["clusterId"] == identity

    foretold, done = play({**absent("child1"), "check_mode": True}, absent("child1")).results
    for result in (foretold, done):
        assert not result["failed"], result
        (cluster,) = result["clusters"]
        assert places(cluster["removed"], "child") == []
        assert f"Lease {SYSTEM}/clusternet-agent" in places(cluster["left"], "child")
        assert all("disconnected" in item["why"] for item in cluster["left"])
    assert foretold["clusters"] == done["clusters"]
    assert unregistered(deployment, identity)
    assert deployment.cluster_id("child1") == identity, "nothing happens there"


@pytest.mark.timeout(600)
def test_rights_that_are_not_enough(deployment: Deployment, play: Callable[..., Run]) -> None:
    child = deployment.children["child1"]
    path = f"{RBAC}/clusterrolebindings/clusternet:app:deployer:admin"
    binding = child.get(path)

    def rebind(role: str) -> None:
        metadata = {"name": binding["metadata"]["name"]}
        body = {**binding, "metadata": metadata, "roleRef": {**binding["roleRef"], "name": role}}
        assert child("DELETE", path).status == 200
        assert child("POST", path.rpartition("/")[0], body).status == 201

    rebind("view")
    try:
        (limited,) = play(absent("child1", clean_child="required")).results
    finally:
        rebind("cluster-admin")
    assert limited["failed"]
    assert not limited["changed"]
    assert "forbidden" in limited["msg"]
    assert deployment.managed_cluster("child1")


@pytest.mark.timeout(600)
def test_an_agent_in_the_cluster_and_a_namespace_that_others_use(
    deployment: Deployment, play: Callable[..., Run]
) -> None:
    """The agent of Clusternet's chart is a Deployment; here one stands for it beside the process on the host."""
    child = deployment.children["child1"]
    labels = {"app": "clusternet-agent"}
    pod = {"serviceAccountName": "clusternet-agent", "containers": [{"name": "agent", "image": "agent:1"}]}
    agent = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "my-agent", "annotations": {"meta.helm.sh/release-name": "my-agent"}},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }
    release = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "sh.helm.release.v1.my-agent.v1", "labels": {"owner": "helm", "name": "my-agent"}},
        "type": "helm.sh/release.v1",
    }
    others = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "of-others"}}
    assert child("POST", f"/apis/apps/v1/namespaces/{SYSTEM}/deployments", agent).status == 201
    assert child("POST", f"/api/v1/namespaces/{SYSTEM}/secrets", release).status == 201
    assert child("POST", f"/api/v1/namespaces/{SYSTEM}/configmaps", others).status == 201
    (done,) = play(absent("child1", clean_child="required")).results
    deployment.deployed = False
    try:
        assert not done["failed"], done["msg"]
        (cluster,) = done["clusters"]
        (stays,) = cluster["left"]
        assert stays == {"where": "child", "what": f"Namespace {SYSTEM}", "why": "it is in use: ConfigMap of-others"}
        removed = places(cluster["removed"], "child")
        assert f"Deployment {SYSTEM}/my-agent" in removed
        assert f"Secret {SYSTEM}/sh.helm.release.v1.my-agent.v1" in removed
        assert removed[-1] == "ClusterRoleBinding clusternet:app:deployer:admin"
        assert child.get(f"/api/v1/namespaces/{SYSTEM}")["status"]["phase"] == "Active"
        assert child("GET", LEASE).status == 404
        assert child("GET", f"{RBAC}/clusterrolebindings/clusternet:app:deployer:admin").status == 404
    finally:
        child("DELETE", f"/api/v1/namespaces/{SYSTEM}/configmaps/of-others")
