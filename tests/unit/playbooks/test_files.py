"""Files that variables of playbooks name, and what is said when they are missing or wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from play import ROOT, TIMEOUT


def run(folder: Path, playbook: str, *arguments: str) -> tuple[int, str]:
    """Run a playbook in a folder, without a cluster; return its exit code and what it printed."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("K8S_AUTH_", "KUBE"))}
    process = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), playbook, *arguments],
        env={
            **environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
            "KUBECONFIG": str(folder / "no-kubeconfig"),
            "NO_COLOR": "1",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    return process.returncode, process.stdout + process.stderr


def said(output: str) -> str:
    """Return what the failed task said."""
    (line,) = (line for line in output.splitlines() if line.startswith("fatal:"))
    return str(json.loads(line.partition("=> ")[2])["msg"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to work in, with files of variables in another one."""
    (tmp_path / "vars" / "files").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def write(path: Path, content: Any) -> str:
    """Write YAML; return the option that gives it as variables."""
    path.write_text(yaml.safe_dump(content))
    return f"@{path}"


def places(folder: Path, subfolder: str, *more: Path) -> list[str]:
    """Return where a playbook of the collection looks for relative paths."""
    return [str(path) for base in (*more, folder) for path in (base / subfolder, base)]


def test_all_files_that_publish_misses_are_named(folder: Path) -> None:
    files = {
        "clusternet_publish_files": ["there.yml", "web.yml", "/srv/db.yml"],
        "clusternet_publish_templates": ["a.j2"],
    }
    (folder.parent / "vars" / "there.yml").touch()
    vars_file = write(folder.parent / "vars" / "application.yml", files)
    code, output = run(folder, "clusternet.core.publish", "-e", vars_file)
    looked = [*places(folder, "files", folder.parent / "vars"), *places(folder, "templates", folder.parent / "vars")]
    assert code == 2
    assert said(output) == (
        "There is no file web.yml, no file /srv/db.yml, no file a.j2. Relative paths were looked for in "
        f"{', '.join(dict.fromkeys(looked))}. "
        "Correct the paths, or name the folder where they begin with clusternet_publish_folder."
    )


def test_a_file_of_tasks_that_is_missing_is_named(folder: Path) -> None:
    options = ("-e", "clusternet_run_tasks=quota.yml clusternet_run_folder=/srv/tasks")
    code, output = run(folder, "clusternet.core.run_on_children", *options)
    assert code == 2
    assert said(output) == (
        "There is no file quota.yml. Relative paths were looked for in /srv/tasks/tasks, /srv/tasks. "
        "Correct the paths, or name the folder where they begin with clusternet_run_folder."
    )


def test_a_template_that_fails_says_why(folder: Path) -> None:
    (folder / "web.j2").write_text("name: {{ nobody_has_set_this }}")
    options = {"clusternet_publish_templates": ["web.j2"]}
    code, output = run(folder, "clusternet.core.publish", "-e", json.dumps(options))
    assert code == 2
    assert "'nobody_has_set_this' is undefined" in output
    assert "can only concatenate" not in output


def test_files_beside_an_own_playbook(folder: Path) -> None:
    site = folder.parent / "site"
    (site / "files").mkdir(parents=True)
    (site / "files" / "web.yml").write_text("kind: ConfigMap")
    (site / "db.yml").write_text("kind: Secret")
    question = "{{ query('clusternet.core.locate', 'web.yml', 'db.yml', subfolder='files') | map(attribute='path') }}"
    tasks = [{"ansible.builtin.debug": {"msg": question}}]
    own = {"import_playbook": "clusternet.core.publish", "vars": {"clusternet_publish_files": ["web.yml", "gone.yml"]}}
    play = {"hosts": "localhost", "gather_facts": False, "tasks": tasks}
    (site / "site.yml").write_text(yaml.safe_dump([play, own]))
    code, output = run(folder, str(site / "site.yml"))
    assert code == 2
    assert f'"{site}/files/web.yml",' in output
    assert f'"{site}/db.yml"' in output
    assert said(output).startswith(
        f"There is no file gone.yml. Relative paths were looked for in {site}/files, {site}, "
    )
