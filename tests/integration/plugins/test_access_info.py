"""Tests that the cluster itself tells what a user may not do, before anything is written."""

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from clusternet_lab import Lab
from play import Run

RBAC = "rbac.authorization.k8s.io"


def cluster_role(name: str, verbs: list[str]) -> dict[str, Any]:
    rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": verbs}]
    return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}


@pytest.fixture
def writer(parent: Client, lab: Lab, tmp_path: Path, wait_for: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    """A user who may write ConfigMaps in one namespace, and roles of what is no more than that; its kubeconfig."""
    name = f"writer-{uuid.uuid4().hex[:8]}"
    space, roles = f"/api/v1/namespaces/{name}", f"/apis/{RBAC}/v1"
    subject = {"kind": "ServiceAccount", "name": "writer", "namespace": name}
    every = ["get", "list", "watch", "create", "patch"]
    rules = [{"apiGroups": [RBAC], "resources": ["clusterroles"], "verbs": every}]
    parent.request("POST", "/api/v1/namespaces", None, {"metadata": {"name": name}})
    parent.request("POST", f"{space}/serviceaccounts", None, {"metadata": {"name": "writer"}})
    parent.request("POST", f"{roles}/clusterroles", None, {"metadata": {"name": name}, "rules": rules})
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
    body = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
    parent.request("POST", f"{roles}/clusterrolebindings", None, body)
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": every}]
    parent.request("POST", f"{roles}/namespaces/{name}/roles", None, {"metadata": {"name": "writer"}, "rules": rules})
    reference = {"apiGroup": RBAC, "kind": "Role", "name": "writer"}
    body = {"metadata": {"name": "writer"}, "roleRef": reference, "subjects": [subject]}
    parent.request("POST", f"{roles}/namespaces/{name}/rolebindings", None, body)
    token = parent.request("POST", f"{space}/serviceaccounts/writer/token", None, {"spec": {}})["status"]["token"]
    cluster = lab.cluster("parent")
    authority = base64.b64encode(cluster.ca.read_bytes()).decode()
    path = tmp_path / "writer.kubeconfig"
    path.write_text(
        json.dumps(
            {
                "clusters": [
                    {"name": "c", "cluster": {"server": cluster.server, "certificate-authority-data": authority}}
                ],
                "users": [{"name": "u", "user": {"token": token}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    yield name, str(path)
    for place in (f"{roles}/clusterrolebindings/{name}", f"{roles}/clusterroles/{name}", space):
        parent.request("DELETE", place)


def test_what_is_missing(
    writer: tuple[str, str], parent: Client, play: Callable[..., Run], wait_for: Callable[..., Any]
) -> None:
    name, kubeconfig = writer
    wanted = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{name}-more"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": name}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}},
        cluster_role(f"{name}-nodes", ["get"]),
        {"apiVersion": "example.com/v1", "kind": "Unknown", "metadata": {"name": "a"}},
    ]
    task = {"clusternet.core.access_info": {"definitions": wanted}}

    def told() -> dict[str, Any]:
        (result,) = play(task, kubeconfig=kubeconfig, arguments=["--check"]).results
        # Rights take a moment to get to the API server's caches.
        assert result["missing"] == [
            "get, list, watch, create, patch namespaces",
            "get, list, watch, create, patch configmaps in the namespace default",
            f"grant what the ClusterRole {name}-nodes holds",
        ]
        return result

    result = wait_for(told, why="the rights aren't told")
    assert result["user"] == f"system:serviceaccount:{name}:writer"
    assert not result["changed"]
    assert parent.get(f"/apis/{RBAC}/v1/clusterroles/{name}-nodes") is None


def test_an_administrator_lacks_nothing(play: Callable[..., Run]) -> None:
    (result,) = play({"clusternet.core.access_info": {"definitions": [cluster_role("more", ["get"])]}}).results
    assert (result["missing"], result["user"], result["changed"]) == ([], "", False)
