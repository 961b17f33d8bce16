"""What one Ansible task costs above `ping`, ours beside those of kubernetes.core, with the requests that arrive."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from audit import RequestCounter
from measure import cheapest, run

LOOP = 10
PROGRAM = Path(sys.executable).with_name("ansible-playbook")
OBJECT = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "bench", "namespace": "default", "labels": {"app": "bench"}},
    "data": {"colour": "blue", "size": "large"},
}


@dataclass(frozen=True)
class Task:
    """The CPU seconds of one task above `ping` (of `ping` itself: above nothing), and its requests."""

    above_ping: float
    requests: float


def definitions(kubeconfig: Path, namespace: str, name: str) -> dict[str, dict[str, Any]]:
    """Return the tasks to compare, by what they are called in the table."""
    access = {"kubeconfig": str(kubeconfig)}
    return {
        "ping": {"ansible.builtin.ping": {}},
        "info": {
            "clusternet.core.managed_cluster_info": {**access, "namespace": namespace, "names": [name]},
        },
        "k8s_info": {
            "kubernetes.core.k8s_info": {
                **access,
                "api_version": "clusters.clusternet.io/v1beta1",
                "kind": "ManagedCluster",
                "namespace": namespace,
                "name": name,
            },
        },
        "apply": {"clusternet.core.objects": {**access, "definitions": [OBJECT]}},
        "k8s": {
            "kubernetes.core.k8s": {
                **access,
                "apply": True,
                "server_side_apply": {"field_manager": "kubernetes.core"},
                "definition": OBJECT,
            },
        },
    }


def costs(
    kubeconfig: Path, namespace: str, name: str, folder: Path, counter: RequestCounter, rounds: int
) -> dict[str, Task]:
    """Measure every task in a loop of `LOOP`, in rounds that take turns; an empty playbook is subtracted."""
    tasks = definitions(kubeconfig, namespace, name)
    playbooks = {"empty": _playbook(folder / "empty.yml", [])}
    for title, task in tasks.items():
        looped = {"name": title, **task, "loop": list(range(LOOP)), "loop_control": {"label": ""}}
        playbooks[title] = _playbook(folder / f"{title}.yml", [looped])
    usages: dict[str, list[Any]] = {title: [] for title in playbooks}
    requests = {}
    for title, command in playbooks.items():  # once unmeasured: creates the object, fills discovery caches
        run(command)
        counter.restart()
        run(command)
        requests[title] = counter.count()
    for _ in range(rounds):
        for title, command in playbooks.items():
            usages[title].append(run(command))
    cpu = {title: cheapest(taken).cpu for title, taken in usages.items()}
    ping = (cpu["ping"] - cpu["empty"]) / LOOP
    return {
        title: Task((cpu[title] - cpu["empty"]) / LOOP - ping, requests[title] / LOOP)
        for title in tasks
        if title != "ping"
    } | {"ping": Task(ping, requests["ping"] / LOOP)}


def _playbook(path: Path, tasks: list[dict[str, Any]]) -> list[str | Path]:
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": tasks,
    }
    path.write_text(yaml.safe_dump([play]))
    return [PROGRAM, "-i", "localhost,", path]
