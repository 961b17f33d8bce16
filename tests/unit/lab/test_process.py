"""Starting, recognising and ending processes."""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from clusternet_lab import hosts, process

PYTHON = Path(sys.executable)
SLEEP = "import time; print('started', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


@pytest.fixture
def spawn(tmp_path: Path, wait_for: Callable[..., object]) -> Iterator[Callable[..., process.Identity]]:
    """Starts Python code and returns when it has said that it runs."""
    spawned: list[process.Identity] = []

    def start(code: str = SLEEP, name: str = "python", *arguments: str) -> process.Identity:
        log = tmp_path / f"{len(spawned)}.log"
        spawned.append(process.spawn(PYTHON, [name, "-c", code, *arguments], log, {"PATH": os.defpath}))
        wait_for(lambda: "started" in log.read_text(), why="the process doesn't start")
        return spawned[-1]

    yield start
    process.kill([found for identity in spawned if (found := identity.find())])


def test_a_process_has_a_session_of_its_own_and_a_private_log(
    spawn: Callable[..., process.Identity], tmp_path: Path
) -> None:
    identity = spawn()
    assert os.getsid(identity.pid) == identity.pid != os.getsid(0)
    assert stat.S_IMODE((tmp_path / "0.log").stat().st_mode) == 0o600


def test_it_is_found_by_number_and_start_time_together(spawn: Callable[..., process.Identity]) -> None:
    identity = spawn()
    assert identity.find() == psutil.Process(identity.pid)
    assert process.Identity(identity.pid, identity.started - 60).find() is None


def test_a_killed_process_is_not_found(spawn: Callable[..., process.Identity]) -> None:
    identity = spawn()
    process.kill([psutil.Process(identity.pid)])
    assert identity.find() is None


def test_a_zombie_is_not_found(spawn: Callable[..., process.Identity], wait_for: Callable[..., object]) -> None:
    identity = spawn()
    os.kill(identity.pid, 9)
    wait_for(lambda: identity.find() is None, why="the zombie counts as running")
    assert psutil.Process(identity.pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("code", [SLEEP, STUBBORN], ids=["obedient", "stubborn"])
def test_ending_takes_everybody_along(spawn: Callable[..., process.Identity], code: str) -> None:
    identity = spawn(code)
    process.end([psutil.Process(identity.pid)], 0.5)
    assert identity.find() is None


def test_ending_what_has_ended_is_fine(spawn: Callable[..., process.Identity]) -> None:
    running = psutil.Process(spawn().pid)
    process.kill([running])
    process.end([running], 0.5)


def test_a_command_is_found_by_its_name_and_an_argument(spawn: Callable[..., process.Identity]) -> None:
    wanted = spawn(SLEEP, "etcd", "--data-dir=/labs/one/etcd")
    spawn(SLEEP, "etcd", "--data-dir=/labs/two/etcd")
    spawn(SLEEP, "tail", "--data-dir=/labs/one/etcd")
    assert [found.pid for found in process.by_command("etcd", "=/labs/one/")] == [wanted.pid]


def test_hosts_are_the_engines_in_the_labs_folder(tmp_path: Path, spawn: Callable[..., process.Identity]) -> None:
    lab = tmp_path / "lab"
    engine = spawn(SLEEP, str(lab / "engine" / "venv" / "bin" / "clusternet-agent"))
    supervisor = spawn(SLEEP, "python", "-c", str(lab / "hosts" / "child1" / "clusternet-agent.conf"))
    spawn(SLEEP, "tail", "-f", str(lab / "hosts" / "child1" / "clusternet-agent.log"))
    spawn(SLEEP, str(tmp_path / "lab2" / "engine" / "venv" / "bin" / "clusternet-agent"))
    assert {found.pid for found in hosts.processes(lab)} == {engine.pid, supervisor.pid}
    hosts.end(lab)
    assert hosts.processes(lab) == []
    assert engine.find() is None


def test_hosts_are_what_a_killed_supervisor_left(tmp_path: Path, wait_for: Callable[..., object]) -> None:
    folder = tmp_path / "lab" / "hosts" / "child1"
    folder.mkdir(parents=True)
    command = ["python", "-c", f"import os; os.chdir({str(folder)!r}); {SLEEP}"]
    environment = {"PATH": os.defpath, "SUPERVISOR_SERVER_URL": "unix:///somewhere"}
    identity = process.spawn(PYTHON, command, tmp_path / "log", environment)
    wait_for(lambda: "started" in (tmp_path / "log").read_text(), why="the process doesn't start")
    hosts.end(tmp_path / "lab")
    assert identity.find() is None
