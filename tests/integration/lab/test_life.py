"""Labs come up, break, are repaired, stand side by side, and go without a trace."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from clusternet_lab import Lab, LabError, labs
from clusternet_lab.folders import cache_home


def processes(folder: Path) -> list[psutil.Process]:
    """Every process with a file of ``folder`` on its command line, but this one and its tools."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(f"={folder}/" in argument for argument in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def pids(lab: Lab) -> dict[tuple[str, str], int | None]:
    return {
        (cluster.name, component): process.pid if (process := cluster.process(component)) else None
        for cluster in lab.clusters.values()
        for component in cluster.components
    }


def cli(home: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "clusternet_lab", *arguments],
        env={**os.environ, "CLUSTERNET_LAB_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_up_again_changes_nothing(own_lab: Lab, home: Path) -> None:
    before = pids(own_lab)
    files = {path: path.stat().st_mtime_ns for path in own_lab.folder.glob("*/pki/*")}
    again = Lab.up("own", home=home)
    assert pids(again) == before
    assert {path: path.stat().st_mtime_ns for path in own_lab.folder.glob("*/pki/*")} == files


@pytest.mark.parametrize("component", ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"])
def test_a_killed_component_is_restarted_alone(own_lab: Lab, component: str) -> None:
    before = pids(own_lab)
    own_lab.kill("child1", component)
    assert own_lab.cluster("child1").missing() == [component]
    own_lab.restart("child1", component)
    changed = {key for key, pid in pids(own_lab).items() if pid != before[key]}
    assert changed == {("child1", component)}


def test_restarting_a_running_component_replaces_it(own_lab: Lab) -> None:
    before = pids(own_lab)[("parent", "kube-scheduler")]
    own_lab.restart("parent", "kube-scheduler")
    assert pids(own_lab)[("parent", "kube-scheduler")] not in (before, None)


def test_up_repairs_after_everything_was_killed_and_keeps_the_objects(own_lab: Lab, home: Path) -> None:
    with own_lab.cluster("child1").api() as api:
        assert api.request("POST", "/api/v1/namespaces", {"metadata": {"name": "kept"}})[0] == 201
    killed = processes(own_lab.folder)
    for process in killed:
        process.kill()
    psutil.wait_procs(killed, timeout=10)
    with Lab.up("own", home=home).cluster("child1").api() as api:
        assert api.get("/api/v1/namespaces/kept")


def test_a_component_without_a_record_does_not_block_its_successor(own_lab: Lab, home: Path) -> None:
    before = pids(own_lab)[("child1", "etcd")]
    (own_lab.cluster("child1").folder / "run" / "etcd.json").unlink()
    repaired = Lab.up("own", home=home)
    assert pids(repaired)[("child1", "etcd")] not in (before, None)
    assert len(processes(own_lab.folder)) == len(pids(repaired))


def test_a_taken_port_is_named(own_lab: Lab, home: Path) -> None:
    child = own_lab.cluster("child1")
    own_lab.kill("child1", "kube-apiserver")
    with (
        socket.create_server(("127.0.0.1", child.layout.ports["kube-apiserver"])),
        pytest.raises(LabError, match=r"child1: kube-apiserver ended: .*address already in use") as failure,
    ):
        Lab.up("own", home=home)
    assert "\n" not in str(failure.value)
    own_lab.wait_ready()
    assert child.missing() == []


def test_a_lab_grows(own_lab: Lab, home: Path) -> None:
    before = pids(own_lab)
    grown = Lab.up("own", children=2, nodes=3, home=home)
    assert list(grown.clusters) == ["parent", "child1", "child2"]
    assert before.items() <= pids(grown).items()
    with grown.cluster("child2").api() as api:
        nodes = api.get("/api/v1/nodes")
        assert nodes
        assert len(nodes["items"]) == 3


def test_labs_side_by_side_and_down_without_a_trace(own_lab: Lab, home: Path) -> None:
    other = Lab.up("other", children=1, home=home)
    mine, theirs = (
        {port for cluster in lab.clusters.values() for port in cluster.layout.ports.values()}
        for lab in (own_lab, other)
    )
    assert not mine & theirs
    assert [lab.name for lab in labs(home)] == ["other", "own"]
    before = pids(own_lab)
    assert len(processes(other.folder)) == len(pids(other))
    other.down()
    assert processes(other.folder) == []
    assert not other.folder.exists()
    assert str(other.folder) not in json.loads((cache_home() / "ports.json").read_text()).values()
    assert pids(own_lab) == before


def test_down_ends_the_engines_in_the_lab(home: Path) -> None:
    lab = Lab.up("hosts", children=1, home=home)
    bin_folder = lab.folder / "engine" / "venv" / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "clusternet-agent").symlink_to("/bin/sleep")
    with subprocess.Popen([bin_folder / "clusternet-agent", "600"]) as agent:
        lab.down()
        assert not psutil.pid_exists(agent.pid)
    assert not lab.folder.exists()


def test_an_interrupted_up_leaves_nothing(home: Path, wait_for: Callable[..., Any]) -> None:
    folder = home / "interrupted"
    with cli(home, "up", "--name", "interrupted", "--children", "1") as up:
        wait_for(lambda: processes(folder), timeout=60, why="no component starts")
        up.send_signal(signal.SIGINT)
        _, errors = up.communicate(timeout=60)
    assert up.returncode == 130
    assert errors.splitlines()[-1] == "clusternet-lab: interrupted"
    assert processes(folder) == []
    assert not folder.exists()


def test_up_repairs_after_an_up_that_was_killed(home: Path, wait_for: Callable[..., Any]) -> None:
    folder = home / "killed"
    with cli(home, "up", "--name", "killed", "--children", "1") as up:
        wait_for(lambda: processes(folder), timeout=60, why="no component starts")
        up.kill()
    lab = Lab.up("killed", home=home)
    assert all(pids(lab).values())
    assert len(processes(folder)) == len(pids(lab))
    lab.down()
    assert processes(folder) == []


def test_the_command_line_from_up_to_down(home: Path) -> None:
    def run(*arguments: str) -> str:
        with cli(home, *arguments) as command:
            output, errors = command.communicate(timeout=200)
        assert command.returncode == 0, errors
        return output

    assert "child1" in run("up", "--name", "told", "--children", "1")
    assert run("kubectl", "--name", "told", "child1", "get", "ns", "default", "-o", "name") == "namespace/default\n"
    assert run("kubeconfig", "--name", "told", "parent").strip() == str(home / "told" / "parent" / "admin.kubeconfig")
    assert "not ready" not in run("status", "--name", "told")
    assert "told" in run("list")
    run("kill", "--name", "told", "child1", "kube-scheduler")
    with cli(home, "status", "--name", "told") as status:
        output, _ = status.communicate(timeout=60)
    assert status.returncode == 1
    assert [line.split()[1:] for line in output.splitlines() if "ended" in line] == [["kube-scheduler", "ended"]]
    run("restart", "--name", "told", "child1", "kube-scheduler")
    run("status", "--name", "told")
    run("down", "--name", "told")
    assert not (home / "told").exists()


def test_two_ups_at_once_make_one_lab(home: Path) -> None:
    arguments = ("up", "--name", "twice", "--children", "1")
    with cli(home, *arguments) as first, cli(home, *arguments) as second:
        outputs = [command.communicate(timeout=200) for command in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert outputs[0][0] == outputs[1][0]
    lab = Lab.open("twice", home=home)
    assert len(processes(lab.folder)) == len(pids(lab))
    lab.down()
