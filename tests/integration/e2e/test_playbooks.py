"""The playbooks find the parent in every inventory and by every credential, or say what they need."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployment import Deployment, changes, refusal

NAME = "found-by-itself"
CONFIG_MAP = f"/api/v1/namespaces/default/configmaps/{NAME}"
FEED = {"api_version": "v1", "kind": "ConfigMap", "namespace": "default", "name": NAME}
EVERYWHERE = {"cluster_affinity": {"match_labels": {"clusternet.io/created-by": "clusternet-agent"}}}


def config_map(**data: str) -> dict[str, Any]:
    """Return a native object."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": "default"}, "data": data}


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """An inventory of the clusters themselves, as a job of AWX has it: no host is the parent's."""
    path = tmp_path / "clusternet.yml"
    path.write_text(yaml.safe_dump({"plugin": "clusternet.core.managed_clusters"}))
    return path


@pytest.fixture
def by_token(deployment: Deployment) -> Iterator[dict[str, str]]:
    """The environment that the credential type of AWX for bearer tokens makes."""
    parent, cluster = deployment.parent, deployment.lab.cluster("parent")
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subjects = [{"kind": "ServiceAccount", "name": NAME, "namespace": "default"}]
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    assert parent("POST", accounts, {"metadata": {"name": NAME}}).status == 201
    binding = {"metadata": {"name": NAME}, "roleRef": role, "subjects": subjects}
    assert parent("POST", bindings, binding).status == 201
    token = parent("POST", f"{accounts}/{NAME}/token", {"spec": {}}).body["status"]["token"]
    yield {
        "K8S_AUTH_HOST": cluster.server,
        "K8S_AUTH_API_KEY": token,
        "K8S_AUTH_VERIFY_SSL": "True",
        "K8S_AUTH_SSL_CA_CERT": str(cluster.ca),
    }
    parent("DELETE", f"{bindings}/{NAME}")
    parent("DELETE", f"{accounts}/{NAME}")


@pytest.fixture
def credentials(deployment: Deployment, by_token: dict[str, str], tmp_path: Path) -> dict[str, dict[str, str]]:
    """Credentials for the parent as they stand in an environment."""
    kubeconfig = deployment.lab.cluster("parent").kubeconfig
    user = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]
    for name in ("client-certificate", "client-key"):
        (tmp_path / name).write_bytes(base64.b64decode(user[f"{name}-data"]))
    by_certificate = {
        "K8S_AUTH_HOST": by_token["K8S_AUTH_HOST"],
        "K8S_AUTH_CERT_FILE": str(tmp_path / "client-certificate"),
        "K8S_AUTH_KEY_FILE": str(tmp_path / "client-key"),
        "K8S_AUTH_SSL_CA_CERT": by_token["K8S_AUTH_SSL_CA_CERT"],
    }
    return {"token": by_token, "certificate": by_certificate}


@pytest.fixture
def forgotten(deployment: Deployment) -> Iterator[None]:
    """Removes what a test has put onto the children."""
    yield
    for child in deployment.children.values():
        child("DELETE", CONFIG_MAP)


@pytest.mark.parametrize("kind", ["token", "certificate"])
def test_every_credential_does_for_all_playbooks(
    deployment: Deployment, credentials: dict[str, dict[str, str]], fleet: Path, kind: str, forgotten: None
) -> None:
    def run(playbook: str, **variables: Any) -> str:
        command = ("ansible-playbook", "-i", fleet, f"clusternet.core.{playbook}", "-e", json.dumps(variables))
        return deployment.run(*command, **credentials[kind])

    assert "2 clusters: 2 ready, 0 not ready, 0 unknown" in run("status")
    subscription = {"name": NAME, "namespace": "default", "subscribers": [EVERYWHERE], "feeds": [FEED]}
    published = {"definitions": [config_map(by="hub")], "subscriptions": [subscription], "wait_timeout": 90}
    variables = {f"clusternet_publish_{name}": value for name, value in published.items()}
    assert f"default/{NAME}: as it should be on 2 of 2 clusters" in run("publish", **variables)
    assert [child.get(CONFIG_MAP)["data"] for child in deployment.children.values()] == [{"by": "hub"}] * 2
    run("publish", **variables, clusternet_publish_state="absent")
    assert [child("GET", CONFIG_MAP).status for child in deployment.children.values()] == [404, 404]
    output = run("run_on_children", clusternet_run_definitions=[config_map(by="tasks")])
    assert "2 clusters: 2 ok" in output
    assert [child.get(CONFIG_MAP)["data"] for child in deployment.children.values()] == [{"by": "tasks"}] * 2
    assert deployment.parent("GET", CONFIG_MAP).status == 404, "the tasks have worked on the parent"
    token = credentials["token"]["K8S_AUTH_API_KEY"]
    assert not [path for path in deployment.transcripts if token in path.read_text()]


def test_a_limit_holds_for_tasks_on_children(
    deployment: Deployment, by_token: dict[str, str], fleet: Path, forgotten: None
) -> None:
    wanted = json.dumps({"clusternet_run_definitions": [config_map(by="limit")]})
    command = ("ansible-playbook", "-i", fleet, "clusternet.core.run_on_children", "-e", wanted)
    assert "2 clusters: 1 ok, 1 not run" in deployment.run(*command, "--limit", "child1,localhost", **by_token)
    assert [child("GET", CONFIG_MAP).status for child in deployment.children.values()] == [200, 404]


def test_a_kubeconfig_that_is_given_counts_more_than_the_environment(
    deployment: Deployment, fleet: Path, forgotten: None
) -> None:
    given = {
        "clusternet_run_kubeconfig": str(deployment.lab.cluster("parent").kubeconfig),
        "clusternet_run_definitions": [config_map(by="kubeconfig")],
    }
    other = {"K8S_AUTH_HOST": deployment.lab.cluster("child1").server, "K8S_AUTH_API_KEY": "of-another-cluster"}
    deployment.run("ansible-playbook", "clusternet.core.run_on_children", "-e", json.dumps(given), **other)
    assert [child.get(CONFIG_MAP)["data"] for child in deployment.children.values()] == [{"by": "kubeconfig"}] * 2


@pytest.fixture
def refused(deployment: Deployment, credentials: dict[str, dict[str, str]], fleet: Path) -> Callable[..., str]:
    """``refused(playbook, option, …)`` returns why a playbook can't work with the inventory of clusters."""

    def run(playbook: str, *options: str) -> str:
        command = ("ansible-playbook", "-i", fleet, f"clusternet.core.{playbook}", *options)
        return refusal(deployment.run(*command, code=2, **credentials["token"]))

    return run


@pytest.mark.parametrize("playbook", ["status", "publish", "run_on_children"])
def test_a_limit_without_the_host_that_asks_is_refused(refused: Callable[..., str], playbook: str) -> None:
    assert refused(playbook, "--limit", "child1") == (
        "The limit 'child1' leaves out localhost, from where the parent is asked, so nothing would be done. "
        "Let it in: --limit 'child1,localhost'."
    )


@pytest.mark.parametrize("playbook", ["deploy", "teardown"])
def test_an_inventory_without_hosts_to_work_on_is_refused(refused: Callable[..., str], playbook: str) -> None:
    rest = (
        "the groups clusternet_parent and clusternet_children, so nothing would be done. They are the machines "
        "from where the parent cluster and the child clusters are reached; an inventory of the plugin "
        "clusternet.core.managed_clusters has the clusters themselves. The README of clusternet.core shows an "
        "inventory under Deploy."
    )
    assert refused(playbook) == f"This inventory has no hosts in {rest}"
    assert refused(playbook, "--limit", "child1") == f"The limit 'child1' leaves no hosts of {rest}"


@pytest.mark.parametrize("tag", ["hub", "agents", "verify"])
def test_a_part_of_a_deployment_knows_of_the_rest_and_leaves_it_alone(deployment: Deployment, tag: str) -> None:
    output = deployment.playbook("clusternet.core.deploy", "--tags", tag)
    assert changes(output) == []
    assert ("TASK [See that a hub runs]" in output) == (tag == "verify")
    assert ("is registered" in output or "Ready, Kubernetes" in output) == (tag != "hub")


@pytest.mark.timeout(600)
def test_a_limit_to_one_cluster_asks_the_parent_for_what_its_agent_needs(deployment: Deployment) -> None:
    deployment.playbook("clusternet.core.teardown", "--limit", "child1")
    deployment.deployed = False
    assert refusal(deployment.playbook("clusternet.core.deploy", "--tags", "verify", code=2)) == (
        "No agent has ever run for child1. Run clusternet.core.deploy with --limit child1."
    )
    predicted = changes(deployment.playbook("clusternet.core.deploy", "--limit", "child1", "--check"))
    made = changes(deployment.playbook("clusternet.core.deploy", "--limit", "child1"))
    deployment.deployed = True
    assert predicted == made
    assert made
    assert deployment.managed_cluster("child1")["metadata"]["name"] == "child1"
    assert changes(deployment.playbook("clusternet.core.deploy")) == []
