"""Runs module tasks by a real ansible-playbook process."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
TIMEOUT = 240.0


class Run(NamedTuple):
    """How a playbook went: its exit code, what it printed, and what each task returned."""

    code: int
    output: str
    results: list[dict[str, Any]]


def run_tasks(tasks: Sequence[dict[str, Any]], kubeconfig: str, folder: Path, arguments: Sequence[str] = ()) -> Run:
    """Run tasks on localhost with the action group's connection defaults; those after a failing one run, too.

    Args:
        tasks: as in a playbook.
        kubeconfig: of the cluster that the modules talk to.
        folder: an empty one, for the playbook and what its tasks return.
        arguments: of ansible-playbook.
    """
    answers = folder / "results.json"
    names = [f"result_{number}" for number in range(len(tasks))]
    playbook = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "module_defaults": {"group/clusternet.core.clusternet": {"kubeconfig": kubeconfig}},
            "tasks": [
                *({**task, "register": name, "ignore_errors": True} for task, name in zip(tasks, names, strict=True)),
                {
                    "ansible.builtin.copy": {
                        "content": "{{ [" + ", ".join(names) + "] | to_json }}",
                        "dest": str(answers),
                        "mode": "0600",
                    },
                    "check_mode": False,
                    "diff": False,
                    "no_log": True,
                },
            ],
        }
    ]
    path = folder / "play.yml"
    path.write_text(yaml.safe_dump(playbook, sort_keys=False))
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("K8S_AUTH_", "KUBE"))}
    process = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), str(path), *arguments],
        env={
            **environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
            "NO_COLOR": "1",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    output = process.stdout + process.stderr
    assert answers.exists(), output
    return Run(process.returncode, output, json.loads(answers.read_text()))
