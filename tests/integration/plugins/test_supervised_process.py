"""supervised_process with a real supervisord: what runs, what is restarted, what is left."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

COLLECTIONS = Path(__file__).parents[3] / ".build" / "collections"

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "process"


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Iterator[Run]:
    """Runs the module as Ansible does on a host; everything is stopped at the end."""
    supervisord = shutil.which("supervisord", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert supervisord, "the test environment lacks the package supervisor"
    arguments = tmp_path / "arguments.json"

    def call(*, check: bool = False, **options: Any) -> dict[str, Any]:
        wanted = {"name": "demo", "directory": str(folder), "supervisord": supervisord, **options}
        given = {"_ansible_check_mode": check, "_ansible_diff": True, **wanted}
        arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": given}))
        module = "ansible_collections.clusternet.core.plugins.modules.supervised_process"
        result = subprocess.run(
            [sys.executable, "-m", module, str(arguments)],
            env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.stdout, result.stderr
        answer: dict[str, Any] = json.loads(result.stdout)
        return answer

    yield call
    call(state="absent")


def sleeper(marker: Path) -> list[str]:
    """A process that notes each of its starts in a file and then waits."""
    return ["/bin/sh", "-c", f'echo $$ >> "{marker}"; exec sleep 600']


def starts(marker: Path) -> list[int]:
    return [int(line) for line in marker.read_text().split()] if marker.exists() else []


def running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_start_is_idempotent_and_predicted(run: Run, folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "starts"
    predicted = run(command=sleeper(marker), check=True)
    assert predicted["changed"]
    assert not folder.exists()

    first = run(command=sleeper(marker))
    assert first["changed"]
    assert starts(marker) == [first["pid"]]
    assert first["diff"]["before"] == predicted["diff"]["before"]
    assert first["diff"]["after"] == predicted["diff"]["after"]

    again = run(command=sleeper(marker))
    assert not again["changed"]
    assert again["pid"] == first["pid"]
    assert not run(command=sleeper(marker), check=True)["changed"]


def test_files_are_private(run: Run, folder: Path, tmp_path: Path) -> None:
    run(command=sleeper(tmp_path / "starts"))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o077 for path in folder.iterdir() if path.stat().st_mode & 0o077} == {}


@pytest.mark.parametrize("change", [{"revision": "2"}, {"command": None}])
def test_a_change_restarts(run: Run, tmp_path: Path, change: dict[str, Any]) -> None:
    marker = tmp_path / "starts"
    first = run(command=sleeper(marker))
    if "command" in change:
        change = {"command": ["/bin/sh", "-c", f'echo $$ >> "{marker}"; exec sleep 601']}
    second = run(**{"command": sleeper(marker), **change})
    assert second["changed"]
    assert starts(marker) == [first["pid"], second["pid"]]
    assert not running(first["pid"])


def test_a_killed_process_is_back(run: Run, tmp_path: Path, wait_for: Callable[..., Any]) -> None:
    marker = tmp_path / "starts"
    first = run(command=sleeper(marker))["pid"]
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: len(starts(marker)) == 2, why="the process was not started again")
    wait_for(lambda: not run(command=sleeper(marker))["changed"], why="the second start does not count as running")


def test_a_lost_supervisord_leaves_no_second_process(run: Run, folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "starts"
    orphan = run(command=sleeper(marker))["pid"]
    os.kill(int((folder / "demo.pid").read_text()), signal.SIGKILL)
    assert running(orphan)
    result = run(command=sleeper(marker))
    assert result["changed"]
    assert not running(orphan)
    assert running(result["pid"])


def test_a_lost_socket_leaves_no_second_supervisord(run: Run, folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "starts"
    first = run(command=sleeper(marker))["pid"]
    old = int((folder / "demo.pid").read_text())
    (folder / "demo.sock").unlink()
    assert run(command=sleeper(marker))["changed"]
    assert not running(first)
    assert not running(old)


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_the_end(run: Run, folder: Path, tmp_path: Path, state: str) -> None:
    pid = run(command=sleeper(tmp_path / "starts"))["pid"]
    supervisor = int((folder / "demo.pid").read_text())
    (folder / "foreign").touch()
    assert run(state=state, check=True)["changed"]
    assert running(pid)
    assert run(state=state)["changed"]
    assert not running(pid)
    assert not running(supervisor)
    names = {path.name for path in folder.iterdir()}
    assert names == ({"foreign"} if state == "absent" else {"foreign", "demo.conf", "demo.log", "demo.supervisord.log"})
    assert not run(state=state)["changed"]


def test_a_process_that_does_not_stay_up_is_reported_with_its_log(run: Run) -> None:
    run(command=["/bin/sh", "-c", "echo error: of an earlier process; exec sleep 600"])
    for said in ("cannot read the file", "E1126 10:18:17.123456 main] cannot read the file; bearer s3cret-token"):
        result = run(command=["/bin/sh", "-c", f"echo '{said}'; exit 3"])
        assert result["failed"]
        assert "does not stay up" in result["msg"]
        assert "cannot read the file" in result["msg"]
        assert result["msg"].endswith(f"The whole log: {result['log']}")
        assert "cannot read the file" in result["log_tail"][-1]
        assert "s3cret" not in json.dumps({"msg": result["msg"], "log_tail": result["log_tail"]})
        assert "earlier" not in result["msg"]


def test_a_missing_supervisord_is_named(run: Run) -> None:
    result = run(command=["/bin/true"], supervisord="/nowhere/supervisord")
    assert result["failed"]
    assert "/nowhere/supervisord" in result["msg"]


def test_a_folder_with_a_long_path(run: Run, tmp_path: Path) -> None:
    long = tmp_path / ("d" * 120)
    result = run(command=["/bin/sleep", "600"], directory=str(long))
    assert result["changed"]
    assert not run(command=["/bin/sleep", "600"], directory=str(long))["changed"]
    assert run(directory=str(long), state="absent")["changed"]
    assert not running(result["pid"])
