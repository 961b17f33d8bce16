"""The teardown of a parent that publishes, of one of two hubs, and of namespaces in which others live."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from clusternet_lab.ports import reserve
from deployment import CLUSTERS, SYSTEM, Deployment, refusal
from hub_site import USUAL_LEASE, HubProcess
from play import Run, run_tasks

APPS = "/apis/apps.clusternet.io/v1alpha1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
API_SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.shadow"
CONFIG_MAP = "/api/v1/namespaces/default/configmaps/torn-down"
OTHERS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "of-others"}}
FORCE = ("-e", "clusternet_teardown_force=true")
FEED = {"api_version": "v1", "kind": "ConfigMap", "namespace": "default", "name": "torn-down"}


@pytest.fixture
def play(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """``play(task, …)`` runs tasks with the parent's kubeconfig."""
    kubeconfig = str(deployment.lab.cluster("parent").kubeconfig)
    return lambda *tasks: run_tasks(tasks, kubeconfig, tmp_path_factory.mktemp("play"))


def publish(play: Callable[..., Run]) -> None:
    """Put a ConfigMap onto both children, with an override."""
    shadowed = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "torn-down", "namespace": "default"}}
    everywhere = {"cluster_affinity": {"match_labels": {"clusternet.io/created-by": "clusternet-agent"}}}
    subscription = {"name": "torn-down", "namespace": "default", "subscribers": [everywhere], "feeds": [FEED]}
    patch = {"type": "MergePatch", "value": {"data": {"a": "b"}}}
    override = {"name": "torn-down", "feed": FEED, "overrides": [patch]}
    results = play(
        {"clusternet.core.manifest": {"definitions": [shadowed]}},
        {"clusternet.core.globalization": {"globalizations": [override]}},
        {"clusternet.core.subscription": {"subscriptions": [subscription], "wait_for": "deployed", "wait_timeout": 90}},
    ).results
    assert not any(result["failed"] for result in results), results


def crds(deployment: Deployment) -> list[str]:
    """Return the names of Clusternet's CRDs on the parent."""
    return [item["metadata"]["name"] for item in deployment.parent.items(CRDS) if "clusternet" in item["spec"]["group"]]


@pytest.fixture
def inhabited(deployment: Deployment) -> Iterator[None]:
    """Somebody else has something in the namespaces of the hub and of an agent."""
    clusters = (deployment.parent, deployment.children["child1"])
    path = f"/api/v1/namespaces/{SYSTEM}/configmaps"
    for api in clusters:
        assert api("POST", path, OTHERS).status == 201
    yield
    for api in clusters:
        api("DELETE", f"{path}/of-others")


@pytest.mark.timeout(600)
def test_what_is_published_goes_and_what_others_have_stays(
    deployment: Deployment, play: Callable[..., Run], inhabited: None
) -> None:
    publish(play)
    for child in deployment.children.values():
        assert child.get(CONFIG_MAP)["data"] == {"a": "b"}
    deployment.teardown()
    for child in deployment.children.values():
        assert child("GET", CONFIG_MAP).status == 404
    assert crds(deployment) == []
    assert deployment.parent("GET", "/api/v1/namespaces/clusternet-reserved").status == 404
    for api, account in ((deployment.parent, "clusternet-hub"), (deployment.children["child1"], "clusternet-agent")):
        assert api.get(f"/api/v1/namespaces/{SYSTEM}")["status"]["phase"] == "Active"
        assert [item["metadata"]["name"] for item in api.items(f"/api/v1/namespaces/{SYSTEM}/secrets")] == []
        assert api("GET", f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{account}").status == 404
    assert deployment.children["child2"]("GET", f"/api/v1/namespaces/{SYSTEM}").status == 404
    assert "ConfigMap of-others" in deployment.transcripts[-1].read_text()
    deployment.ensure()
    publish(play)


@pytest.mark.timeout(600)
def test_a_parent_without_a_hub_is_torn_down_all_the_same(deployment: Deployment, play: Callable[..., Run]) -> None:
    publish(play)
    deployment.playbook("clusternet.core.teardown", "--limit", "clusternet_parent", *FORCE)
    assert "clusters.clusternet.io" in json.dumps(crds(deployment))
    subscription = deployment.parent.get(f"{APPS}/namespaces/default/subscriptions/torn-down")
    assert subscription["metadata"]["finalizers"]
    assert deployment.parent.items(f"{APPS}/namespaces/clusternet-reserved/manifests"), "they stay with the clusters"
    deployment.teardown()
    for child in deployment.children.values():
        child("DELETE", CONFIG_MAP)
    assert crds(deployment) == []
    assert deployment.parent("GET", "/api/v1/namespaces/clusternet-reserved").status == 404


def standing(deployment: Deployment) -> list[int]:
    """Return the processes of a parent that publishes to its clusters."""
    assert len(deployment.parent.items(f"{CLUSTERS}/managedclusters")) == len(deployment.children)
    assert deployment.parent.get(API_SERVICE)
    for child in deployment.children.values():
        assert child.get(CONFIG_MAP)["data"] == {"a": "b"}
    return [deployment.process(name).pid for name in ("parent", *deployment.children)]


@pytest.fixture
def without_child2(deployment: Deployment, tmp_path: Path) -> Path:
    """The inventory of somebody who doesn't know of child2."""
    content = yaml.safe_load(deployment.inventory.read_text())
    del content["all"]["children"]["clusternet_children"]["hosts"]["child2"]
    path = tmp_path / "inventory.yml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_clusters_that_are_not_in_the_inventory_keep_the_hub(
    deployment: Deployment, play: Callable[..., Run], without_child2: Path
) -> None:
    publish(play)
    before = standing(deployment)

    def refused(playbook: str | Path, *options: str) -> str:
        told = refusal(deployment.run("ansible-playbook", "-i", without_child2, playbook, *options, code=2))
        assert standing(deployment) == before
        return told

    told = refused("clusternet.core.teardown")
    assert told == (
        "This run removes the parent's last hub, but not these clusters, which are registered there: child2. "
        "Without a hub nothing is published to them any more, they can't be reached, and what they got stays "
        "there. Nothing was changed. Let their hosts be in the group clusternet_children, or unregister them "
        "with the module clusternet.core.managed_cluster and state=absent, or go on with -e "
        "clusternet_teardown_force=true: then they are unregistered, too, and what is published to them is "
        "removed, as far as they can be reached."
    )
    assert refused("clusternet.core.teardown", "--check") == told
    limited = refused("clusternet.core.teardown", "--limit", "clusternet_parent")
    assert "registered there: child1, child2. Without" in limited
    assert "in the group clusternet_children and the limit, or unregister" in limited
    assert limited.endswith("=true: then they are left without a hub, with what is published to them.")
    role = without_child2.with_name("play.yml")
    variables = {"clusternet_hub_state": "absent"}
    role.write_text(
        yaml.safe_dump([{"hosts": "clusternet_parent", "roles": ["clusternet.core.hub"], "vars": variables}])
    )
    told = refused(role)
    assert told == (
        "Clusters are registered, and no other hub runs for this parent: child1, child2. Without a hub nothing "
        "is published to them any more, they can't be reached, and what they got stays there. Nothing was "
        "changed. Unregister them first, by the playbook clusternet.core.teardown or the module "
        "clusternet.core.managed_cluster with state=absent, or remove the hub all the same with "
        "clusternet_hub_force=true."
    )
    assert refused(role, "--check") == told


@pytest.mark.timeout(600)
def test_whoever_insists_takes_the_hub_from_all_clusters(
    deployment: Deployment, play: Callable[..., Run], without_child2: Path
) -> None:
    publish(play)
    before = standing(deployment)
    command = ("ansible-playbook", "-i", without_child2, "clusternet.core.teardown", *FORCE)
    deployment.run(*command, "--check")
    assert standing(deployment) == before
    deployment.run(*command)
    deployment.deployed = False
    assert crds(deployment) == []
    for child in deployment.children.values():
        assert child("GET", CONFIG_MAP).status == 404
        assert child("GET", f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/clusternet-agent").status == 404
    deployment.playbook("clusternet.core.teardown", "--limit", "child2")


@pytest.fixture
def second_hub(deployment: Deployment, tmp_path: Path, wait_for: Callable[..., Any]) -> Iterator[HubProcess]:
    """Another hub of the same parent, which waits until the first one doesn't lead any more."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text((deployment.lab.folder / "hosts" / "parent" / "kubeconfig").read_text())
    (port,) = reserve(tmp_path, 1)
    flags = ("--bind-address=127.0.0.1", f"--secure-port={port}", "--feature-gates=SocketConnection=true", *USUAL_LEASE)
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases"

    def hubs() -> int:
        found = [item for item in deployment.parent.items(leases) if "clusternet-hub-peer-" in item["metadata"]["name"]]
        return len([item for item in found if item["spec"].get("holderIdentity")])

    before = hubs()
    hub = HubProcess(kubeconfig, tmp_path / "hub.log", *flags)
    wait_for(lambda: hubs() > before, why="the second hub doesn't tell of itself")
    yield hub
    hub.end()


@pytest.mark.timeout(600)
def test_one_of_two_hubs_leaves_to_the_other_what_it_needs(deployment: Deployment, second_hub: HubProcess) -> None:
    output = deployment.playbook("clusternet.core.teardown", "--limit", "clusternet_parent")
    assert "Other hubs run for this parent" in output
    assert not (deployment.lab.folder / "hosts" / "parent").exists()
    assert deployment.parent("GET", API_SERVICE).status == 200
    assert deployment.parent("GET", f"/api/v1/namespaces/{SYSTEM}/secrets/clusternet-hub").status == 200
    assert len(deployment.parent.items(f"{CLUSTERS}/managedclusters")) == len(deployment.children)
    second_hub.end()
    deployment.deployed = False
