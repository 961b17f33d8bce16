"""Runs the inventory plugin as Ansible does, on a file, against a real server."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.cli.inventory import InventoryCLI  # noqa: F401 - initialises what InventoryManager expects
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from fleet_server import FleetServer

COLLECTIONS = Path(__file__).parents[4] / ".build" / "collections"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No connection settings of the person who runs the tests."""
    for name in list(os.environ):
        if name.startswith(("K8S_AUTH_", "CLUSTERNET_INVENTORY_", "KUBE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def server() -> Iterator[FleetServer]:
    """An empty fleet over plain HTTP."""
    with FleetServer() as running:
        yield running


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., InventoryManager]:
    """Parse a source: ``inventory(host=server.url, …)`` returns the InventoryManager; a source that fails raises."""
    monkeypatch.setattr("ansible.constants.INVENTORY_ENABLED", ["clusternet.core.managed_clusters"])
    monkeypatch.setattr("ansible.constants.INVENTORY_ANY_UNPARSED_IS_FAILED", True)

    def parse(file: str = "fleet.clusternet.yml", read_cache: bool = True, **options: Any) -> InventoryManager:
        path = tmp_path / file
        path.write_text(yaml.safe_dump({"plugin": "clusternet.core.managed_clusters", **options}))
        manager = InventoryManager(loader=DataLoader(), sources=[str(path)], parse=False)
        manager.parse_sources(cache=read_cache)
        return manager

    return parse


@pytest.fixture
def failure(inventory: Callable[..., InventoryManager], capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Parse a source that fails and return all that Ansible prints about it, in one line."""

    def parse(**options: Any) -> str:
        with pytest.raises(AnsibleError):
            inventory(**options)
        return " ".join(capfd.readouterr().err.split())

    return parse


@pytest.fixture
def ansible_inventory(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``ansible-inventory -i source`` as a process."""

    def run(source: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(source), *arguments],
            cwd=tmp_path,
            env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "NO_COLOR": "1", **environ},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the plugin warns of."""
    texts: list[str] = []
    monkeypatch.setattr("ansible.utils.display.Display.warning", lambda self, msg, **_: texts.append(str(msg)))
    return texts


@pytest.fixture
def listed(ansible_inventory: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """The parsed output of ``ansible-inventory --list``."""

    def run(source: Path, **environ: str) -> dict[str, Any]:
        result = ansible_inventory(source, "--list", **environ)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return run
