"""Every Kubernetes program on children that only their parent can reach, by the gateway (spec/04 §7)."""

import base64
import json
import os
import signal
import stat
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_lab import programs
from clusternet_lab.programs import HELM
from deployment import CLUSTERS, ROOT, Deployment
from documentation import ALWAYS, assert_documented, documentation
from kubelet import Kubelet
from kubernetes import client, config, watch
from play import Run, run_tasks

pytestmark = pytest.mark.usefixtures("nothing_is_forbidden")

CHILDREN = ["child1", "child2"]
ENVIRONMENT = "{{ clusternet_environment }}"


class Place:
    """A namespace of one test on both children."""

    def __init__(self) -> None:
        self.name = f"gateway-{uuid.uuid4().hex[:8]}"
        self.namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}}
        self.path = f"/api/v1/namespaces/{self.name}/configmaps/settings"

    def settings(self, **data: str) -> dict[str, Any]:
        metadata = {"name": "settings", "namespace": self.name}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


@pytest.fixture
def place(deployment: Deployment) -> Iterator[Place]:
    """A namespace that is on its way out afterwards."""
    made = Place()
    yield made
    for child in deployment.children.values():
        child("DELETE", f"/api/v1/namespaces/{made.name}")


@pytest.fixture
def play(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """``play(task, …)`` runs tasks with the parent's kubeconfig and shows all that Ansible can show."""
    kubeconfig = str(deployment.lab.cluster("parent").kubeconfig)
    return lambda *tasks: run_tasks(tasks, kubeconfig, tmp_path_factory.mktemp("play"), ("-vvv", "--diff"))


@pytest.fixture
def path(play: Callable[..., Run], tmp_path: Path) -> Iterator[Path]:
    """Where a gateway's kubeconfig may stand; the gateway is ended afterwards."""
    yield tmp_path / "children"
    play(gateway(tmp_path / "children", state="stopped"))


@pytest.fixture
def children(play: Callable[..., Run], path: Path) -> Path:
    """The kubeconfig of a gateway that runs."""
    started(play(gateway(path)))
    return path


def gateway(path: Path, **options: Any) -> dict[str, Any]:
    """Return a task."""
    return {"clusternet.core.gateway": {"path": str(path), **options}}


def started(run: Run) -> dict[str, Any]:
    """Return what the last task tells of a gateway that runs."""
    assert not run.results[-1]["failed"], run.results[-1]
    return run.results[-1]


def processes(path: Path) -> list[int]:
    """Return the gateways that write a kubeconfig."""
    wanted = f"--write-kubeconfig={path}".encode()
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if wanted in file.read_bytes().split(b"\0"):
                found.append(int(file.parent.name))
        except OSError:
            continue
    return found


def program(name: str, *arguments: str, given: str = "", code: int = 0, **environment: str) -> str:
    """Run kubectl or helm and return what it prints."""
    executable = HELM.path if name == "helm" else programs.paths()[name]
    done = subprocess.run(
        [name, *arguments],
        executable=executable,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment},
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def secrets_of(deployment: Deployment, children: Path) -> set[str]:
    """Return the token of the gateway, and what it has got from the parent."""
    found = {json.loads(children.read_text())["users"][0]["user"]["token"]}
    for child in CHILDREN:
        namespace = deployment.managed_cluster(child)["metadata"]["namespace"]
        found.add(deployment.parent.secret(namespace, "child-cluster-deployer")["token"])
    admin = yaml.safe_load(deployment.lab.cluster("parent").kubeconfig.read_text())["users"][0]["user"]
    found.add(base64.b64decode(admin["client-key-data"]).decode().splitlines()[1])
    found.add(admin["client-key-data"])
    return found


def test_plain_tasks_on_every_ready_child(deployment: Deployment, children: Path, place: Place, tmp_path: Path) -> None:
    inventory, playbook = tmp_path / "clusternet.yml", tmp_path / "play.yml"
    source = {
        "plugin": "clusternet.core.managed_clusters",
        "kubeconfig": str(deployment.lab.cluster("parent").kubeconfig),
        "gateway_kubeconfig": str(children),
    }
    inventory.write_text(yaml.safe_dump(source))
    colour = {"colour": "{{ clusternet_labels.region }}"}
    chart = {"chart_ref": str(ROOT / "examples" / "charts" / "hello"), "binary_path": str(HELM.path)}
    tasks = [
        {"kubernetes.core.k8s": {"definition": place.namespace}},
        {"kubernetes.core.k8s": {"definition": place.settings(**colour)}},
        {"kubernetes.core.helm": {"name": "hello", "release_namespace": place.name, **chart}},
    ]
    content = {"hosts": "clusternet_ready", "gather_facts": False, "environment": ENVIRONMENT, "tasks": tasks}
    playbook.write_text(yaml.safe_dump([content]))
    listed = deployment.run("ansible-inventory", "-i", inventory, "--list")
    first = deployment.run("ansible-playbook", "-i", inventory, playbook)
    for child, region in zip(CHILDREN, ("north", "south"), strict=True):
        assert deployment.children[child].get(place.path)["data"] == {"colour": region}
        assert deployment.children[child].get(place.path.replace("settings", "hello"))
    second = deployment.run("ansible-playbook", "-i", inventory, playbook)
    recap = [line for line in second.splitlines() if "changed=" in line]
    assert len(recap) == 2
    assert all("changed=0" in line and "failed=0" in line for line in recap)
    for secret in secrets_of(deployment, children):
        for text in (listed, first, second, children.with_name("children.log").read_text()):
            assert secret not in text
        assert not [line for line in deployment.command_lines if secret.encode() in line]


def test_the_python_client_with_a_watch(children: Path, place: Place) -> None:
    api = client.CoreV1Api(config.new_client_from_config(str(children), context="child1"))
    api.create_namespace(place.namespace)
    listed = api.list_namespaced_config_map(place.name)
    seen = []
    follow = watch.Watch()
    events = follow.stream(
        api.list_namespaced_config_map,
        place.name,
        resource_version=listed.metadata.resource_version,
        field_selector="metadata.name=settings",
        timeout_seconds=60,
    )
    api.create_namespaced_config_map(place.name, place.settings(colour="blue"))
    for event in events:
        seen.append((event["type"], event["object"].data))
        if len(seen) == 1:
            api.patch_namespaced_config_map("settings", place.name, {"data": {"colour": "red"}})
        else:
            follow.stop()
    assert seen == [("ADDED", {"colour": "blue"}), ("MODIFIED", {"colour": "red"})]
    wrong = json.loads(children.read_text())
    wrong["users"][0]["user"]["token"] = "wrong"
    with pytest.raises(client.ApiException) as refused:
        client.CoreV1Api(config.new_client_from_config_dict(wrong, context="child1")).list_namespace()
    assert refused.value.status == 401
    assert json.loads(refused.value.body)["kind"] == "Status"


def test_kubectl_and_helm(deployment: Deployment, children: Path, place: Place) -> None:
    assert stat.S_IMODE(children.stat().st_mode) == 0o600
    everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": [place.namespace, place.settings(a="b")]})
    for child in CHILDREN:
        chosen = (f"--kubeconfig={children}", f"--context={child}")
        assert "created" in program("kubectl", *chosen, "apply", "-f", "-", given=everything)
        assert "unchanged" in program("kubectl", *chosen, "apply", "-f", "-", given=everything)
        assert deployment.children[child].get(place.path)["data"] == {"a": "b"}
        cluster = deployment.managed_cluster(child)["metadata"]
        alone = f"{children}.d/{cluster['namespace']}.{cluster['name']}"
        chart = str(ROOT / "examples" / "charts" / "hello")
        program("helm", "install", "hello", chart, "--namespace", place.name, "--wait", KUBECONFIG=alone)
        assert "hello" in program("helm", "list", "--namespace", place.name, KUBECONFIG=alone)
        program("helm", "uninstall", "hello", "--namespace", place.name, "--wait", KUBECONFIG=alone)
        assert program("kubectl", "get", "node", "-o", "name", KUBECONFIG=alone).startswith("node/")
    refused = program("kubectl", *chosen, "get", "namespaces", "--as=somebody", code=1)
    assert "can't be told by its parent whom to impersonate" in refused


async def test_exec(deployment: Deployment, children: Path, place: Place, tmp_path: Path) -> None:
    admin = ClusterConfig.from_kubeconfig(deployment.lab.cluster("child1").kubeconfig)
    deployment.children["child1"]("POST", "/api/v1/namespaces", place.namespace)
    async with Client(admin) as child, Kubelet(deployment.lab, "child1", child, place.name, 9, tmp_path) as kubelet:
        chosen = (f"--kubeconfig={children}", "--context=child1", f"--namespace={place.name}")
        for switch in ("true", "false"):
            output = program(
                "kubectl",
                *chosen,
                "exec",
                "--stdin",
                kubelet.pod,
                "--",
                *("head", "-c", "14"),
                given="there and back",
                KUBECTL_REMOTE_COMMAND_WEBSOCKETS=switch,
            )
            assert "there and back" in output


def test_acting_as_a_service_account(play: Callable[..., Run], path: Path, place: Place) -> None:
    viewer = {"name": "viewer", "namespace": place.name}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    objects = [
        place.namespace,
        place.settings(a="b"),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": viewer},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": viewer,
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", **viewer}],
        },
    ]
    started(
        play(
            {"clusternet.core.child_object": {"definitions": objects, "names": ["child1"]}},
            gateway(path, names=["child1"], service_account=viewer),
        )
    )
    chosen = (f"--kubeconfig={path}", f"--namespace={place.name}")
    assert program("kubectl", *chosen, "get", "configmap", "settings", "-o", "jsonpath={.data.a}") == "b"
    refused = program("kubectl", *chosen, "delete", "configmap", "settings", code=1)
    assert f"system:serviceaccount:{place.name}:viewer" in refused


def test_the_life_of_a_gateway(
    deployment: Deployment, play: Callable[..., Run], path: Path, wait_for: Callable[..., Any]
) -> None:
    foretold, first, again, changed = play(
        {**gateway(path), "check_mode": True}, gateway(path), gateway(path), gateway(path, idle_timeout=120)
    ).results
    assert [item["changed"] for item in (foretold, first, again, changed)] == [True, True, False, True]
    assert (foretold["url"], foretold["pid"]) == (None, 0)
    assert [item["cluster"] for item in foretold["contexts"]] == [item["cluster"] for item in first["contexts"]]
    assert (first["url"], first["pid"]) == (again["url"], again["pid"])
    assert processes(path) == [changed["pid"]] != [first["pid"]]
    assert not path.with_name("children.parent").exists()
    os.kill(changed["pid"], signal.SIGKILL)
    wait_for(lambda: not processes(path))
    assert path.exists()
    revived, short = play(gateway(path, idle_timeout=120), gateway(path, idle_timeout=1)).results
    assert revived["changed"]
    wait_for(lambda: not processes(path), why="an idle gateway does not end")
    assert [file.name for file in path.parent.iterdir()] == ["children.log"]
    assert "nobody has used the gateway for 1 s" in path.with_name("children.log").read_text()
    assert short["changed"]
    stop = gateway(path, state="stopped")
    started_again, predicted, stopped, nothing = play(gateway(path), {**stop, "check_mode": True}, stop, stop).results
    assert [item["changed"] for item in (started_again, predicted, stopped, nothing)] == [True, True, True, False]
    assert not processes(path)
    assert not list(path.parent.iterdir())


def test_what_keeps_a_gateway_from_starting(deployment: Deployment, play: Callable[..., Run], path: Path) -> None:
    other = path.with_name("config")
    other.write_text("apiVersion: v1\nkind: Config\n")
    foreign, left, missing, unknown, port, taken = play(
        gateway(other),
        gateway(other, state="stopped"),
        gateway(path, executable="/nonexistent/clusternet-gateway"),
        gateway(path, names=["nobody"]),
        gateway(path, port=70000),
        gateway(path, port=deployment.lab.cluster("parent").server.rpartition(":")[2]),
    ).results
    for result in (foreign, left):
        assert result["failure"]["details"] == {"option": "path"}
    assert other.read_text().startswith("apiVersion")
    assert missing["failure"]["details"] == {"option": "executable"}
    assert "nobody" in unknown["msg"]
    assert port["failure"]["details"] == {"option": "port"}
    assert "address already in use" in taken["msg"].lower()
    assert not path.with_name("children.parent").exists()
    assert not processes(path)


def test_a_new_child_appears(deployment: Deployment, children: Path, wait_for: Callable[..., Any]) -> None:
    name = f"new-{uuid.uuid4().hex[:8]}"

    def contexts() -> list[str]:
        return [item["name"] for item in json.loads(children.read_text())["contexts"]]

    cluster = {
        "apiVersion": "clusters.clusternet.io/v1beta1",
        "kind": "ManagedCluster",
        "metadata": {"name": name, "namespace": name},
        "spec": {"clusterId": str(uuid.uuid4()), "clusterType": "EdgeCluster", "syncMode": "Pull"},
    }
    parent = deployment.parent
    try:
        assert parent("POST", "/api/v1/namespaces", {"metadata": {"name": name}}).status == 201
        answer = parent("POST", f"{CLUSTERS}/namespaces/{name}/managedclusters", cluster)
        assert answer.status == 201, answer
        wait_for(lambda: name in contexts())
        with pytest.raises(client.ApiException) as refused:
            client.VersionApi(config.new_client_from_config(str(children), context=name)).get_code()
        assert refused.value.status == 503
        assert f"{name}/child-cluster-deployer" in json.loads(refused.value.body)["message"]
    finally:
        parent("DELETE", f"{CLUSTERS}/namespaces/{name}/managedclusters/{name}")
        parent("DELETE", f"/api/v1/namespaces/{name}")
    wait_for(lambda: name not in contexts(), timeout=60)


def test_pain_14_examples_run_as_predicted_and_change_nothing_again(play: Callable[..., Run], path: Path) -> None:
    examples = [task for task in documentation("gateway", "EXAMPLES") if "clusternet.core.gateway" in task]
    for task in examples:
        task.pop("register", None)
        task["clusternet.core.gateway"]["path"] = str(path)
    runs = play(*(run for task in examples for run in ({**task, "check_mode": True}, task, task))).results
    described = documentation("gateway", "RETURN")
    promised = {key for key, value in described.items() if value["returned"] in ("always", "success")}
    files = {"gid", "group", "mode", "owner", "size", "state", "uid"}
    for number, task in enumerate(examples):
        for result in runs[3 * number : 3 * number + 3]:
            assert not result["failed"], (task, result)
            shown = {key: value for key, value in result.items() if key not in ALWAYS | files}
            assert_documented(shown, described, "gateway")
            assert promised <= set(result), task
        assert [item["changed"] for item in runs[3 * number : 3 * number + 3]] == [True, True, False], task


def test_the_playbook(deployment: Deployment, place: Place, tmp_path: Path) -> None:
    options = ("-e", f"@{ROOT}/examples/run-quota.yml")
    assert "100 pods for team-blue" in deployment.playbook("clusternet.core.run_on_children", *options)
    again = deployment.playbook("clusternet.core.run_on_children", *options)
    recap = [line for line in again.splitlines() if "changed=" in line]
    assert len(recap) == 3
    assert all("changed=0" in line for line in recap)
    for child, pods in zip(CHILDREN, ("100", "20"), strict=True):
        quota = deployment.children[child].get("/api/v1/namespaces/team-blue/resourcequotas/team-blue")
        assert quota["spec"]["hard"]["pods"] == pods
    tasks = tmp_path / "tasks.yml"
    fails = {"name": "Fail on one", "ansible.builtin.fail": {"msg": "not here"}, "when": "clusternet_name == 'child2'"}
    kubectl = {
        "name": "Use a program",
        "ansible.builtin.command": {
            "argv": ["{{ ansible_playbook_python }}", "-c", "import os; print(open(os.environ['KUBECONFIG']).read())"]
        },
        "no_log": True,
    }
    tasks.write_text(yaml.safe_dump([fails, kubectl]))
    wanted = {
        "clusternet_run_tasks": str(tasks),
        "clusternet_run_definitions": [place.namespace, place.settings(a="b")],
    }
    with pytest.raises(AssertionError, match="Failed on child2"):
        deployment.playbook("clusternet.core.run_on_children", "-e", json.dumps(wanted))
    for child in deployment.children.values():
        assert child.get(place.path)["data"] == {"a": "b"}
    only = {"clusternet_run_label_selector": "region=south", "clusternet_run_definitions": [place.settings(a="c")]}
    deployment.playbook("clusternet.core.run_on_children", "-e", json.dumps(only), "--check")
    assert deployment.children["child2"].get(place.path)["data"] == {"a": "b"}
    deployment.playbook("clusternet.core.run_on_children", "-e", json.dumps(only))
    found = [deployment.children[child].get(place.path)["data"]["a"] for child in CHILDREN]
    assert found == ["b", "c"]
    assert not [line for line in deployment.command_lines if b"--write-kubeconfig=" in line and b"token" in line]
    for child in deployment.children.values():
        child("DELETE", "/api/v1/namespaces/team-blue")
