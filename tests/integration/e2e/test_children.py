"""Modules, the lookup and kubectl on children that only their parent can reach, by hub and tunnels (spec/04 §7)."""

import json
import stat
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clusternet_lab import programs
from deployment import SYSTEM, Deployment
from play import Run, run_tasks

pytestmark = pytest.mark.usefixtures("nothing_is_forbidden")

BOTH = {"names": ["child1", "child2"]}


class Wanted:
    """Objects in a namespace of their own."""

    def __init__(self) -> None:
        self.place = f"reached-{uuid.uuid4().hex[:8]}"
        self.namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.place}}
        self.path = f"/api/v1/namespaces/{self.place}/configmaps/settings"
        self.viewer = {"name": "viewer", "namespace": self.place}

    def settings(self, colour: str = "blue") -> dict[str, Any]:
        """Return a ConfigMap, with a text that must not be taken for a template."""
        metadata = {"name": "settings", "namespace": self.place, "labels": {"app": self.place}}
        data = {"colour": colour, "text": "{{ not_a_template }}"}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}

    def password(self) -> dict[str, Any]:
        """Return a Secret."""
        metadata = {"name": "password", "namespace": self.place}
        data = {"password": "never-to-be-shown"}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}

    def deployment(self) -> dict[str, Any]:
        """Return a Deployment that is available as soon as the cluster has looked at it."""
        template = {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": self.place},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template},
        }

    def viewing(self) -> list[dict[str, Any]]:
        """Return a ServiceAccount that may read the namespace."""
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
        return [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": self.viewer},
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "viewer", "namespace": self.place},
                "roleRef": role,
                "subjects": [{"kind": "ServiceAccount", **self.viewer}],
            },
        ]


@pytest.fixture
def wanted(deployment: Deployment) -> Iterator[Wanted]:
    """Objects of a namespace that is on its way out afterwards."""
    made = Wanted()
    yield made
    for child in deployment.children.values():
        child("DELETE", f"/api/v1/namespaces/{made.place}")


@pytest.fixture
def play(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """``play(task, …)`` runs tasks with the parent's kubeconfig and shows all that Ansible can show."""
    kubeconfig = str(deployment.lab.cluster("parent").kubeconfig)
    return lambda *tasks: run_tasks(tasks, kubeconfig, tmp_path_factory.mktemp("play"), ("-vvv", "--diff"))


def objects(*definitions: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return a task for both children."""
    quoted = json.loads(json.dumps(definitions).replace("{{", "{{ '{{' }}"))
    return {"clusternet.core.child_object": {"definitions": list(quoted), **BOTH, **options}}


def actions(result: dict[str, Any]) -> list[list[str]]:
    """Return what became of each object on each child."""
    assert not result["failed"], result
    return [[item["action"] for item in cluster["objects"]] for cluster in result["clusters"]]


def test_objects_on_both_children_in_one_task(deployment: Deployment, play: Callable[..., Run], wanted: Wanted) -> None:
    every = (wanted.settings(), wanted.namespace, wanted.password(), wanted.deployment())
    red = wanted.settings("red")
    run = play(
        {**objects(*every), "check_mode": True},
        objects(*every, wait=True),
        objects(*every, wait=True),
        objects(red, state="created"),
        {**objects(red, state="patched"), "check_mode": True},
        objects(red, state="patched", names=["child2"]),
        objects(red, state="patched"),
        objects({**red, "metadata": {"name": "missing", "namespace": wanted.place}}, state="patched"),
        objects(wanted.settings(), wanted.password(), state="absent", wait=True),
        objects(wanted.settings(), wanted.password(), state="absent", wait=True),
    )
    predicted, first, second, created, foretold, one, other, missing, removed, gone = run.results
    assert actions(predicted) == [["created"] * 4] * 2
    assert [item["predicted"] for item in predicted["clusters"][0]["objects"]] == [False, True, True, True]
    assert actions(first) == [["created"] * 4] * 2
    assert {cluster["cluster_id"] for cluster in first["clusters"]} == set(map(deployment.cluster_id, BOTH["names"]))
    assert len(first["diff"]) == 8
    assert {item["after_header"].partition(":")[0] for item in first["diff"]} == set(BOTH["names"])
    for result in (second, created, gone):
        assert actions(result) == [["unchanged"] * len(result["clusters"][0]["objects"])] * 2
        assert result["changed"] is False
    assert actions(foretold) == [["updated"]] * 2
    assert actions(one) == [["updated"]]
    assert sorted(actions(other)) == [["unchanged"], ["updated"]]
    assert missing["failed"]
    assert "doesn't exist" in missing["msg"]
    assert missing["failure"]["details"] == {"names": [cluster["name"] for cluster in missing["clusters"]]}
    assert actions(removed) == [["deleted", "deleted"]] * 2
    for child in deployment.children.values():
        assert child("GET", wanted.path).status == 404
    for child in BOTH["names"]:
        cluster = deployment.managed_cluster(child)
        deployer = deployment.parent.secret(cluster["metadata"]["namespace"], "child-cluster-deployer")
        assert deployer["token"] not in run.output
    assert "never-to-be-shown" not in run.output


def test_one_child_that_refuses_keeps_nothing_from_the_other(
    deployment: Deployment, play: Callable[..., Run], wanted: Wanted
) -> None:
    first, second, unknown, as_viewer = play(
        objects(wanted.namespace, names=["child1"]),
        objects(wanted.settings()),
        objects(wanted.settings(), names=["child1", "nobody"]),
        objects(wanted.settings(), service_account={"name": "missing", "namespace": wanted.place}, names=["child1"]),
    ).results
    assert not first["failed"]
    assert second["failed"]
    assert second["changed"]
    found = {cluster["name"]: cluster for cluster in second["clusters"]}
    assert [item["action"] for item in found["child1"]["objects"]] == ["created"]
    assert found["child2"]["failed"]
    assert f'namespaces "{wanted.place}" not found' in found["child2"]["msg"]
    assert second["msg"].startswith("1 of 2 clusters failed: child2: ")
    assert deployment.children["child1"].get(wanted.path)["data"]["colour"] == "blue"
    assert unknown["failure"]["code"] == "NotFound"
    assert "nobody" in unknown["msg"]
    assert f"no ServiceAccount {wanted.place}/missing" in as_viewer["msg"]


def test_reading_by_module_and_lookup(deployment: Deployment, play: Callable[..., Run], wanted: Wanted) -> None:
    parent = deployment.lab.cluster("parent").kubeconfig
    queries = [
        {"kind": "ConfigMap", "namespace": wanted.place, "name": "settings"},
        {"kind": "ConfigMap", "namespace": wanted.place, "name": "missing"},
        {"kind": "ConfigMap", "label_selector": f"app={wanted.place}"},
        {"kind": "Namespace", "field_selector": f"metadata.name={wanted.place}"},
        {"api_version": "example.com/v1", "kind": "Widget"},
    ]
    one_line = f"kind='ConfigMap', namespace='{wanted.place}', name='settings'"
    _made, info, denied, one, both, unknown = play(
        objects(wanted.namespace, wanted.settings(), *wanted.viewing()),
        {"clusternet.core.child_object_info": {"objects": queries, **BOTH}, "check_mode": True},
        {
            "clusternet.core.child_object_info": {
                "objects": [queries[0], {"kind": "Node"}],
                "service_account": wanted.viewer,
                **BOTH,
            }
        },
        debug(parent, f"lookup('clusternet.core.child', 'child1', kubeconfig=parent, {one_line}).data"),
        debug(parent, f"query('clusternet.core.child', 'child1', 'child2', kubeconfig=parent, {one_line}) | length"),
        debug(parent, f"lookup('clusternet.core.child', 'nobody', kubeconfig=parent, {one_line})"),
    ).results
    for cluster in info["clusters"]:
        kinds = [item["kind"] for item in cluster["objects"]]
        assert kinds == ["ConfigMap", "ConfigMap", "Namespace"]
        assert all("managedFields" not in item["metadata"] for item in cluster["objects"])
        assert cluster["objects"][0]["data"] == wanted.settings()["data"]
        assert cluster["unknown_kinds"] == ["example.com/v1 Widget"]
    assert info["changed"] is False
    assert denied["failed"]
    assert all(f"system:serviceaccount:{wanted.place}:viewer" in cluster["msg"] for cluster in denied["clusters"])
    assert one["msg"] == wanted.settings()["data"]
    assert int(both["msg"]) == 2
    assert "No cluster is registered under the name nobody" in unknown["msg"]


def debug(parent: Path, expression: str) -> dict[str, Any]:
    """Return a task that shows an expression in which `parent` is the parent's kubeconfig."""
    return {"ansible.builtin.debug": {"msg": "{{ " + expression + " }}"}, "vars": {"parent": str(parent)}}


def test_kubectl_by_a_written_kubeconfig(
    deployment: Deployment, play: Callable[..., Run], wanted: Wanted, tmp_path: Path
) -> None:
    admin, viewer = tmp_path / "admin", tmp_path / "viewer"
    write = {"clusternet.core.child_kubeconfig": {**BOTH, "path": str(admin)}}
    limited = {"clusternet.core.child_kubeconfig": {**BOTH, "path": str(viewer), "service_account": wanted.viewer}}
    run = play(
        objects(wanted.namespace, wanted.settings(), *wanted.viewing()),
        {**write, "check_mode": True},
        write,
        write,
        {**limited, "check_mode": True},
        limited,
        limited,
        {"clusternet.core.child_kubeconfig": {"names": ["child2"]}, "no_log": True},
    )
    _made, foretold, written, again, limited_foretold, limited_written, limited_again, returned = run.results
    assert [item["changed"] for item in run.results] == [True, True, True, False, True, True, False, False]
    assert not any(item["failed"] for item in run.results)
    assert foretold["contexts"] == written["contexts"] == again["contexts"]
    assert [item["expires_at"] for item in limited_foretold["contexts"]] == [None, None]
    assert all(item["expires_at"] for item in limited_written["contexts"])
    assert limited_written["contexts"] == limited_again["contexts"]
    for path in (admin, viewer):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for item in json.loads(path.read_text())["users"]:
            assert item["user"]["as"] == "clusternet"
            assert item["user"]["as-user-extra"]["clusternet-token"][0] not in run.output
    for child in BOTH["names"]:
        get = ("get", "configmap", "settings", "-n", wanted.place, "-o", "jsonpath={.data.colour}")
        assert kubectl(admin, child, *get) == "blue"
        assert kubectl(viewer, child, *get) == "blue"
        assert (
            kubectl(viewer, child, "auth", "can-i", "delete", "configmap", "-n", wanted.place, code=1).strip() == "no"
        )
        applied = json.dumps(wanted.settings(child))
        assert "configured" in kubectl(admin, child, "apply", "-f", "-", given=applied)
        assert deployment.children[child].get(wanted.path)["data"]["colour"] == child
        assert SYSTEM in kubectl(admin, child, "get", "namespaces")
    (tmp_path / "returned").write_text(json.dumps(returned["kubeconfig"]))
    assert kubectl(tmp_path / "returned", "child2", *get) == "child2"


def kubectl(kubeconfig: Path, context: str, *arguments: str, given: str = "", code: int = 0) -> str:
    """Run kubectl and return what it prints."""
    done = subprocess.run(
        ["kubectl", f"--kubeconfig={kubeconfig}", f"--context={context}", "--warnings-as-errors=false", *arguments],
        executable=programs.paths()["kubectl"],
        input=given,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout
