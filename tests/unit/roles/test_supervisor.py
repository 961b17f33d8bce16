"""By what a process of the engine is kept running, depending on the host's systemd."""

from pathlib import Path

import pytest
from play import run_tasks


def process(folder: Path, version: int, supervisor: str, state: str = "absent") -> str:
    """Run the role on a host with such a systemd and return the output, in one line."""
    programs, empty = folder / "bin", folder / "play"
    for made in (programs, empty):
        made.mkdir()
    systemctl = programs / "systemctl"
    systemctl.write_text(f"#!/bin/sh\necho 'systemd {version} ({version}.1-2+deb)'\n")
    systemctl.chmod(0o755)
    environment = {"PATH": f"{programs}:/usr/bin:/bin"}
    include = {
        "ansible.builtin.include_role": {
            "name": "clusternet.core.engine",
            "tasks_from": "process.yml",
            "apply": {"environment": environment, "ignore_errors": True},
        },
        "vars": {
            "clusternet_engine_process_name": "clusternet-test",
            "clusternet_engine_process_directory": str(folder / "process"),
            "clusternet_engine_process_supervisor": supervisor,
            "clusternet_engine_process_state": state,
        },
    }
    facts = {"service_mgr": "systemd", "user_uid": 0, "python": {}, "cacheable": True}
    return " ".join(run_tasks([{"ansible.builtin.set_fact": facts}, include], "", empty).output.split())


@pytest.mark.parametrize(
    ("version", "supervisor", "task"),
    [
        (246, "auto", "Stop the background process"),
        (247, "auto", "Look for the systemd unit"),
        (246, "systemd", "Look for the systemd unit"),
        (252, "process", "Stop the background process"),
    ],
)
def test_auto_takes_a_systemd_that_knows_credentials(tmp_path: Path, version: int, supervisor: str, task: str) -> None:
    assert f"{task}]" in process(tmp_path, version, supervisor)


def test_an_older_systemd_that_was_asked_for_is_refused(tmp_path: Path) -> None:
    assert "needs systemd 247 or newer, which hands it its kubeconfig (LoadCredential); localhost has 246." in process(
        tmp_path, 246, "systemd", "started"
    )
