"""Changed variables of a cluster that is registered: they reach the agent and the parent, or they are refused."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployment import CLUSTERS, Deployment

pytestmark = pytest.mark.usefixtures("nothing_is_forbidden")

ROLES = """
- hosts: clusternet_parent
  gather_facts: false
  roles:
    - role: clusternet.core.hub
      vars:
        clusternet_hub_kubeconfig: "{{ kubeconfig_of_the_parent }}"
        clusternet_hub_bootstrap_token: true
- hosts: child1
  gather_facts: false
  roles:
    - role: clusternet.core.agent
"""


@pytest.fixture
def playbook(deployment: Deployment, tmp_path: Path) -> Path:
    """The roles as their READMEs show them, with the kubeconfig as a variable of the role alone."""
    content = yaml.safe_load(deployment.inventory.read_text())
    parent: dict[str, Any] = content["all"]["children"]["clusternet_parent"]["hosts"]["parent"]
    parent["kubeconfig_of_the_parent"] = parent.pop("clusternet_hub_kubeconfig")
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(content))
    path = tmp_path / "roles.yml"
    path.write_text(ROLES)
    return path


@pytest.mark.timeout(600)
def test_sync_mode_and_parent_reach_the_agent_and_the_rest_is_refused(
    deployment: Deployment, playbook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("K8S_AUTH_", "KUBECONFIG"))]:
        monkeypatch.delenv(name)
    registered = deployment.managed_cluster("child1")
    process = deployment.process("child1")
    url = deployment.lab.cluster("parent").server.replace("127.0.0.1", "localhost")
    changes = {"clusternet_agent_sync_mode": "Push", "clusternet_agent_parent_url": url}

    def apply(**variables: Any) -> str:
        extra = yaml.safe_dump(variables, default_flow_style=True, width=1000).strip()
        return deployment.run("ansible-playbook", "-i", playbook.with_name("inventory.yml"), playbook, "-e", extra)

    deployment.deployed = False
    apply(**changes)
    cluster = deployment.managed_cluster("child1")
    assert cluster["metadata"]["uid"] == registered["metadata"]["uid"]
    assert cluster["spec"]["syncMode"] == "Push"
    assert not process.is_running()
    assert deployment.credential("child1")["apiserver-advertise-url"] == url
    assert "changed=0" in apply(**changes).partition("child1 ")[2], "the second time nothing changes"
    with pytest.raises(
        AssertionError, match=r"registered with the type 'StandardCluster', which can't become 'EdgeCluster'"
    ):
        apply(**changes, clusternet_agent_cluster_type="EdgeCluster")

    deployment.playbook("clusternet.core.teardown", "--limit", "child1", "-e", "clusternet_agent_cluster_name=renamed")
    clusters = deployment.parent.items(f"{CLUSTERS}/managedclusters")
    assert [item["metadata"]["name"] for item in clusters] == ["child2"]
