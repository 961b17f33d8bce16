"""The role `hub` hides the bootstrap token, but not why there is none."""

from pathlib import Path

import yaml
from play import ROOT, run_tasks


def test_a_failure_says_why(tmp_path: Path) -> None:
    tasks = yaml.safe_load((ROOT / "roles" / "hub" / "tasks" / "bootstrap_token.yml").read_text())
    chosen, empty = tmp_path / "tasks.yml", tmp_path / "play"
    empty.mkdir()
    chosen.write_text(yaml.safe_dump([task for task in tasks if "bootstrap token" in task["name"]]))
    include = {
        "ansible.builtin.include_tasks": {"file": str(chosen), "apply": {"ignore_errors": True}},
        "vars": {"clusternet_hub_bootstrap_token": True, "clusternet_hub_bootstrap_token_ttl": "1h"},
    }
    output = " ".join(run_tasks([include], "/nowhere/kubeconfig", empty).output.split())
    assert "There is no kubeconfig at /nowhere/kubeconfig." in output
