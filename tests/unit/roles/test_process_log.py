"""Roles quote the log of a process that doesn't start, or doesn't become ready."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from play import ROOT, run_tasks

ERROR = "E1126 10:18:17.123456 clusternet_engine.program] [Errno 98] address already in use"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
SYSTEMCTL = """#!/bin/sh
case "$*" in
  *show*) echo LoadState=loaded; echo ActiveState=inactive; echo UnitFileState=enabled;;
  *is-enabled*) echo enabled;;
  *start*) echo "Job for clusternet-test.service failed." >&2; exit 1;;
  *--version*) echo "systemd 252 (252.1)";;
esac
"""


def output_of(tasks: list[dict[str, Any]], folder: Path, variables: dict[str, Any]) -> str:
    """Run tasks of a role with a systemd of its own, show how they fail, and return the output, in one line."""
    programs, empty = folder / "bin", folder / "play"
    for made in (programs, empty):
        made.mkdir()
    for name, text in (
        ("systemctl", SYSTEMCTL),
        ("journalctl", f"#!/bin/sh\necho '{ERROR} {TOKEN}'\necho I1126 10:18:18.1 main] ready\n"),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    said = {"ansible.builtin.debug": {"msg": "{{ ansible_failed_result.msg }}"}}
    role_tasks = folder / "tasks"
    shutil.copytree(ROOT / "roles" / "engine" / "tasks", role_tasks)
    (role_tasks / "chosen.yml").write_text(yaml.safe_dump([{"block": tasks, "rescue": [said]}], sort_keys=False))
    include = {
        "ansible.builtin.include_tasks": {
            "file": str(role_tasks / "chosen.yml"),
            "apply": {"environment": {"PATH": f"{programs}:/usr/bin:/bin"}},
        },
        "vars": variables,
    }
    return " ".join(run_tasks([include], "/nowhere/kubeconfig", empty).output.replace("\\", "").split())


def include_role(name: str, tasks_from: str) -> dict[str, Any]:
    return {"ansible.builtin.include_role": {"name": f"clusternet.core.{name}", "tasks_from": tasks_from}}


def tasks_named(file: str, name: str) -> list[dict[str, Any]]:
    tasks = yaml.safe_load((ROOT / "roles" / file).read_text())
    return [task for task in tasks if task["name"] == name]


def write_log(folder: Path, name: str) -> Path:
    log = folder / f"{name}.log"
    log.write_text(f"{ERROR} {TOKEN}\nI1126 10:18:18.1 main] stopping\n")
    return log


def quoted(place: object) -> str:
    return f'The last error in its log is "{ERROR} ***". The whole log: {place}'


def test_a_unit_that_does_not_start(tmp_path: Path) -> None:
    chosen = tasks_named("engine/tasks/systemd_started.yml", "Run the process")
    variables = {
        "__clusternet_engine_unit": {"changed": True},
        "__clusternet_engine_supervisor": "systemd",
        "clusternet_engine_process_name": "clusternet-test",
        "clusternet_engine_process_directory": str(tmp_path),
    }
    output = output_of(chosen, tmp_path, variables)
    assert "clusternet-test does not run: " in output
    assert quoted("journalctl --unit=clusternet-test.service") in output


@pytest.mark.parametrize("supervisor", ["process", "systemd"])
def test_a_hub_that_does_not_become_ready(tmp_path: Path, supervisor: str) -> None:
    log = write_log(tmp_path, "clusternet-hub")
    chosen = tasks_named("hub/tasks/host/present.yml", "See the hub become ready")
    variables = {
        "__clusternet_hub_address": "127.0.0.1",
        "clusternet_hub_secure_port": 1,
        "clusternet_hub_wait_timeout": 1,
        "clusternet_hub_home": str(tmp_path),
        "clusternet_hub_supervisor": supervisor,
    }
    output = output_of(chosen, tmp_path, variables)
    assert "The hub is not ready, the task 'Wait until the hub is ready' says: " in output
    assert quoted(log if supervisor == "process" else "journalctl --unit=clusternet-hub.service") in output


def test_a_hub_that_the_parent_does_not_reach(tmp_path: Path) -> None:
    write_log(tmp_path, "clusternet-hub")
    (ready,) = tasks_named("hub/tasks/host/present.yml", "See the hub become ready")
    serving = next(task["name"] for task in ready["block"] if "APIs served" in task["name"])
    chosen = [{**ready, "block": [{"name": serving, "ansible.builtin.fail": {"msg": "no route to host"}}]}]
    role = yaml.safe_load((ROOT / "roles" / "hub" / "vars" / "main.yml").read_text())
    variables = {
        "__clusternet_hub_way": role["__clusternet_hub_way"],
        "__clusternet_hub_advertise_address": "192.0.2.1",
        "clusternet_hub_secure_port": 443,
        "clusternet_hub_home": str(tmp_path),
        "clusternet_hub_supervisor": "process",
    }
    assert (
        f"The hub is not ready, the task '{serving}' says: no route to host The parent's API server must reach this"
        " host by TCP at 192.0.2.1 (clusternet_hub_advertise_address), port 443 (clusternet_hub_secure_port). Set them"
        " to what it reaches, or let it through the firewall. The last error in its log"
    ) in output_of(chosen, tmp_path, variables)


@pytest.mark.parametrize("supervisor", ["process", "systemd"])
def test_an_agent_that_does_not_become_ready(tmp_path: Path, supervisor: str) -> None:
    log = write_log(tmp_path, "clusternet-agent-localhost")
    variables = {"clusternet_agent_home": str(tmp_path), "clusternet_agent_supervisor": supervisor}
    output = output_of([include_role("agent", "wait.yml")], tmp_path, variables)
    assert "localhost is not Ready at the parent" in output
    assert quoted(log if supervisor == "process" else "journalctl --unit=clusternet-agent-localhost.service") in output


def test_a_missing_log_hides_no_other_message(tmp_path: Path) -> None:
    variables = {"clusternet_agent_home": str(tmp_path / "nowhere"), "clusternet_agent_supervisor": "process"}
    output = output_of([include_role("agent", "wait.yml")], tmp_path, variables)
    assert "The child cannot be asked: There is no kubeconfig at" in output
    assert "Its log is empty" in output
