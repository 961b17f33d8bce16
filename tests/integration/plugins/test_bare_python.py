"""Modules need nothing beyond Python on a target, as long as they aren't given YAML to read."""

import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from play import Run


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A Python without any package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True, timeout=120)
    return tmp_path / "bare" / "bin" / "python"


@pytest.mark.timeout(600)
def test_modules_without_packages(
    bare: Path, crds: None, parent: Client, parent_kubeconfig: Path, play: Callable[..., Run], tmp_path: Path
) -> None:
    in_json = tmp_path / "kubeconfig.json"
    in_json.write_text(json.dumps(yaml.safe_load(parent_kubeconfig.read_text())))
    name = f"bare-{uuid.uuid4().hex[:8]}"

    def config_map(value: str) -> dict[str, Any]:
        metadata = {"name": name, "namespace": "default"}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": value}}

    run = play(
        {"clusternet.core.objects": {"definitions": [config_map("b: c")]}},
        {"clusternet.core.objects": {"definitions": [config_map("b: d")]}},
        {"clusternet.core.objects": {"definitions": [config_map("")], "state": "absent"}},
        {"clusternet.core.hub_info": {}},
        {"clusternet.core.managed_cluster_info": {}},
        {"clusternet.core.subscription_info": {}},
        {"clusternet.core.objects": {"src": [str(parent_kubeconfig)]}},
        {"clusternet.core.hub_info": {"kubeconfig": str(parent_kubeconfig)}},
        kubeconfig=str(in_json),
        arguments=["--diff", "-e", f"ansible_python_interpreter={bare}"],
    )
    assert [result["failed"] for result in run.results] == [False] * 6 + [True] * 2, run.output
    assert [result["changed"] for result in run.results[:4]] == [True, True, True, False]
    assert parent.get(f"/api/v1/namespaces/default/configmaps/{name}") is None
    for result in run.results[6:]:
        assert result["failure"]["code"] == "MissingLibrary"
        assert result["msg"].endswith(
            f"{bare}, by which Ansible runs modules on the host, lacks the package PyYAML, which reading YAML takes."
            " Install it (in most distributions python3-yaml), set ansible_python_interpreter to a Python that has it,"
            " or give JSON."
        )
