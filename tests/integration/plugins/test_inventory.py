"""The inventory plugin on a real parent, run by ansible-inventory."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

COLLECTIONS = Path(__file__).parents[3] / ".build" / "collections"
CLUSTERS = "/apis/clusters.clusternet.io/v1beta1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture
def inventory(tmp_path: Path, parent_kubeconfig: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``inventory("--list", label_selector=…)`` on a source below the working directory."""

    def run(*arguments: str, cwd: Path = tmp_path, **options: Any) -> subprocess.CompletedProcess[str]:
        if "host" not in options:
            options.setdefault("kubeconfig", str(parent_kubeconfig))
        source = {"plugin": "clusternet.core.managed_clusters", **options}
        (tmp_path / "fleet.clusternet.yml").write_text(yaml.safe_dump(source))
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("K8S_AUTH_", "KUBE"))}
        return subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-inventory"),
                "-i",
                str(tmp_path / "fleet.clusternet.yml"),
                *arguments,
            ],
            cwd=cwd,
            env={**environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture
def mark() -> dict[str, str]:
    """A label that only the clusters of one test have."""
    return {"test": f"inventory-{uuid.uuid4().hex[:8]}"}


def selector(labels: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())


def test_clusters_are_hosts_with_groups_and_variables(fleet, inventory, mark):
    berlin = fleet.add("berlin", labels={**mark, "region": "eu"})
    fleet.add("austin", ready="False", labels={**mark, "region": "us"})
    fleet.add("lima", ready=None, labels=mark)
    result = inventory(
        "--list",
        label_selector=selector(mark),
        keyed_groups=[{"key": "clusternet_labels.region", "prefix": "region"}],
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    members = {name: group["hosts"] for name, group in found.items() if "hosts" in group}
    assert members == {
        "clusternet": ["austin", "berlin", "lima"],
        "clusternet_ready": ["berlin"],
        "clusternet_not_ready": ["austin"],
        "clusternet_unknown": ["lima"],
        "clusternet_sync_pull": ["austin", "berlin", "lima"],
        "region_eu": ["berlin"],
        "region_us": ["austin"],
    }
    host = found["_meta"]["hostvars"]["berlin"]
    assert host["clusternet_id"] == berlin["spec"]["clusterId"]
    assert host["clusternet_namespace"] == berlin["metadata"]["namespace"]
    assert host["clusternet_ready"] is True
    assert host["clusternet_status"]["version"] == "v1.34.4"
    assert "__ansible_unsafe" not in result.stdout
    assert "planted-deployer-token" not in result.stdout


def test_graph_with_a_relative_kubeconfig(fleet, inventory, mark, parent_kubeconfig):
    fleet.add("berlin", labels=mark)
    result = inventory(
        "--graph",
        cwd=parent_kubeconfig.parent,
        kubeconfig=parent_kubeconfig.name,
        label_selector=selector(mark),
    )
    assert result.returncode == 0, result.stderr
    assert "|--@clusternet_ready:\n  |  |--berlin" in result.stdout


def test_a_heartbeat_changes_no_byte(fleet, parent, inventory, mark):
    cluster = fleet.add("berlin", labels=mark)
    before = inventory("--list", label_selector=selector(mark))
    metadata = cluster["metadata"]
    beaten = parent.request(
        "PATCH",
        f"{CLUSTERS}/namespaces/{metadata['namespace']}/managedclusters/berlin/status",
        None,
        {"status": {"lastObservedTime": "2026-11-23T11:11:11Z"}},
        "application/merge-patch+json",
    )
    assert beaten["status"]["lastObservedTime"] != cluster["status"]["lastObservedTime"]
    after = inventory("--list", label_selector=selector(mark))
    assert before.returncode == 0, before.stderr
    assert after.stdout == before.stdout


def test_equal_names_in_different_namespaces_are_two_hosts(fleet, inventory, mark):
    namespaces = [fleet.add("twin", labels=mark)["metadata"]["namespace"] for _ in range(2)]
    result = inventory("--list", label_selector=selector(mark))
    hosts = json.loads(result.stdout)["_meta"]["hostvars"]
    assert sorted(hosts) == sorted(f"twin.{namespace}" for namespace in namespaces)
    assert "not unique" in " ".join(result.stderr.split())


def test_a_user_of_one_namespace(fleet, parent, inventory, mark):
    """Forbidden at the cluster scope, allowed in one namespace, skipped in the other."""
    own, other = (fleet.add(name, labels=mark)["metadata"]["namespace"] for name in ("own", "other"))
    accounts = f"/api/v1/namespaces/{own}/serviceaccounts"
    parent.request("POST", accounts, None, {"metadata": {"name": "lister"}})
    parent.request(
        "POST",
        f"{RBAC}/namespaces/{own}/roles",
        None,
        {
            "metadata": {"name": "lister"},
            "rules": [{"apiGroups": ["clusters.clusternet.io"], "resources": ["managedclusters"], "verbs": ["list"]}],
        },
    )
    parent.request(
        "POST",
        f"{RBAC}/namespaces/{own}/rolebindings",
        None,
        {
            "metadata": {"name": "lister"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lister"},
            "subjects": [{"kind": "ServiceAccount", "name": "lister", "namespace": own}],
        },
    )
    body = {"spec": {"expirationSeconds": 600}}
    token = parent.request("POST", f"{accounts}/lister/token", None, body)["status"]["token"]

    refused = inventory("--list", api_key=token)
    message = " ".join(refused.stderr.split())
    assert f'User "system:serviceaccount:{own}:lister" cannot list resource "managedclusters"' in message
    assert "at the cluster scope" in message
    assert token not in refused.stdout + refused.stderr
    skipped = inventory("--list", api_key=token, namespaces=[own, other], strict_permissions=False)
    assert list(json.loads(skipped.stdout)["_meta"]["hostvars"]) == ["own"]
    assert f'in the namespace "{other}"' in " ".join(skipped.stderr.split())


def test_wrong_token(inventory):
    result = inventory("--list", api_key="planted-wrong-token")
    assert "does not accept the credentials" in " ".join(result.stderr.split())
    assert "planted-wrong-token" not in result.stdout + result.stderr


def test_a_cluster_that_is_no_parent(inventory, child_kubeconfigs):
    result = inventory("--list", kubeconfig=str(child_kubeconfigs["child1"]))
    assert "it is not the parent, or Clusternet's CRDs are not installed" in " ".join(result.stderr.split())
