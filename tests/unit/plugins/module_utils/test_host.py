"""Tests what keeps a host from running a process: each finding is a sentence that names the variable to set."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from ansible_collections.clusternet.core.plugins.module_utils import (
    host_folders,
    host_network,
    host_ports,
    host_python,
    host_supervisor,
)


def port_problems(port: int, address: str = "127.0.0.1", own: tuple[str, ...] = ()) -> list[str]:
    item = {"port": port, "address": address, "port_setting": "role_port", "address_setting": "role_address"}
    return list(host_ports.problems([item], own))


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_that_another_process_has(taken: int) -> None:
    name = Path("/proc/self/comm").read_text().strip()
    assert port_problems(taken, own=("/nobody/kubeconfig",)) == [
        f"role_port: port {taken} at 127.0.0.1 is in use by {name} (process {os.getpid()}). Set role_port to a port"
        " that is free."
    ]


def test_a_port_that_the_process_itself_has_is_free_for_it(taken: int) -> None:
    own = Path("/proc/self/cmdline").read_bytes().decode().replace("\0", " ").strip()
    assert port_problems(taken, own=("/nobody/kubeconfig", own)) == []


def test_an_everywhere_address_clashes_with_one_of_its_own(taken: int) -> None:
    assert len(port_problems(taken, "0.0.0.0")) == 1


def test_a_port_whose_holder_cannot_be_seen(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_ports, "_holder", lambda port: None)
    assert port_problems(taken) == [
        f"role_port: port {taken} at 127.0.0.1 is in use by another process. Set role_port to a port that is free."
    ]


def test_a_port_for_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_ports, "_try", lambda address, port: (13, "Permission denied"))
    assert port_problems(443) == [
        "role_port: port 443 at 127.0.0.1 is for root only. Set role_port to 1024 or above, or become root."
    ]


def test_an_address_that_is_not_the_hosts() -> None:
    assert port_problems(10650, "203.0.113.9") == [
        "role_address: this host can't listen at 203.0.113.9: Cannot assign requested address."
    ]
    (unknown,) = port_problems(10650, "no-such-host.invalid")
    assert unknown.startswith("role_address: this host can't listen at no-such-host.invalid: ")


def test_a_machine_is_the_same_for_all_its_processes() -> None:
    assert host_ports.machine() == host_ports.machine()
    assert re.fullmatch(r"[0-9a-f]{32}_\d+", host_ports.machine())


def python_problems(found: dict[str, Any] | None, library: bool = True) -> list[str]:
    return list(host_python.problems(found, "/usr/bin/python3", "role_python", library))


def test_this_python_is_asked() -> None:
    def run(command: list[str]) -> tuple[int, str, str]:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    found = host_python.ask(run, sys.executable)
    assert found is not None
    assert found["version"] == list(sys.version_info[:3])
    assert {"venv", "ensurepip"} <= set(found["modules"])
    assert host_python.ask(run, "/bin/true") is None
    assert host_python.ask(run, "/nowhere/python") is None


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (
            None,
            "role_python: /usr/bin/python3 is no Python that runs. Set role_python to the path of Python 3.11 or"
            " newer.",
        ),
        (
            {"version": [3, 9, 2], "modules": ["venv", "ensurepip"]},
            "role_python: /usr/bin/python3 is Python 3.9.2, and the engine needs 3.11 or newer. Install one on the host"
            " and set role_python to its path.",
        ),
        (
            {"version": [3, 11, 2], "modules": ["venv"]},
            "role_python: /usr/bin/python3 lacks ensurepip, by which virtual environments are made. Install them (on"
            " Debian and Ubuntu the package python3.11-venv).",
        ),
    ],
)
def test_a_python_that_will_not_do(found: dict[str, Any] | None, problem: str) -> None:
    assert python_problems(found) == [problem]


def test_what_ansibles_pip_needs() -> None:
    good = {"version": [3, 12, 0], "modules": ["venv", "ensurepip", "pip"]}
    assert python_problems(good) == []
    assert python_problems(good, library=False) == [
        f"{sys.executable}, by which Ansible runs modules on the host, lacks the package packaging, which its module"
        " pip needs. Install it (in most distributions python3-packaging), or set ansible_python_interpreter to a"
        " Python that has it."
    ]


@pytest.mark.parametrize(
    ("settings", "environ", "url"),
    [
        ([], {}, "https://pypi.org/simple/"),
        (["global.index-url='https://index.example.com/simple'"], {}, "https://index.example.com/simple"),
        (["global.index-url='https://a'"], {"PIP_INDEX_URL": "https://b"}, "https://b"),
        (["global.find-links='/srv/packages'"], {}, None),
        (["install.no-index='true'"], {}, None),
        ([], {"PIP_NO_INDEX": "1"}, None),
        (["global.proxy='http://proxy:3128'"], {}, None),
    ],
)
def test_where_pip_gets_packages_from(settings: list[str], environ: dict[str, str], url: str | None) -> None:
    assert host_python.index(settings, environ) == url


def folder_problems(path: object, free: int = 0) -> list[str]:
    return list(host_folders.problems([{"path": str(path), "setting": "role_home", "free": free}]))


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    assert folder_problems(tmp_path / "a" / "b", 1) == []
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
    assert folder_problems(tmp_path / "file" / "b") == [f"role_home: {tmp_path}/file is no folder."]
    left = shutil.disk_usage(tmp_path).free // 2**20
    (full,) = folder_problems(tmp_path, 10**9)
    assert re.fullmatch(
        rf"role_home: {tmp_path} needs 1000000000 MB and its disk has \d{{{len(str(left))}}} MB left. Make room, or set"
        " another one.",
        full,
    )
    monkeypatch.setattr(host_folders.os, "access", lambda path, mode: False)
    monkeypatch.setattr(host_folders, "user", lambda: "jane")
    assert folder_problems(tmp_path / "a" / "b") == [
        f"role_home: {tmp_path}/a/b can't be made, since {tmp_path} can't be written to by jane. Become root (become:"
        " true), or set role_home to a folder of that user."
    ]
    assert folder_problems(tmp_path) == [
        f"role_home: {tmp_path} can't be written to by jane. Become root (become: true), or set role_home to a folder"
        " of that user."
    ]


@pytest.fixture
def refusing() -> Iterator[str]:
    """The URL of a server that refuses every request."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_any_answer_is_one(refusing: str) -> None:
    assert host_network.unreachable(refusing) is None


def test_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert host_network.unreachable(f"https://127.0.0.1:{port}") == "Connection refused"
    assert host_network.unreachable("https://no-such-host.invalid")


@pytest.mark.parametrize(
    ("address", "bind", "problems"),
    [
        ("192.0.2.1", "0.0.0.0", []),
        ("hub.example.com", "192.0.2.1", []),
        ("localhost", "127.0.0.1", []),
        (
            "127.0.0.1",
            "0.0.0.0",
            [
                "advertise: Kubernetes takes no Service at 127.0.0.1. Set advertise to an address or DNS name of this"
                " host by which the parent's API server reaches it."
            ],
        ),
        (
            "192.0.2.1",
            "127.0.0.1",
            [
                "bind: the hub would listen at 127.0.0.1 only, where the parent's API server can't reach it by"
                " 192.0.2.1. Set bind to 0.0.0.0 or an address of this host."
            ],
        ),
    ],
)
def test_addresses_by_which_nobody_gets_here(address: str, bind: str, problems: list[str]) -> None:
    names = {"advertise": "advertise", "bind": "bind"}
    assert list(host_network.advertised(address, bind, names)) == problems


@pytest.mark.parametrize(
    ("chosen", "systemd", "user", "problems"),
    [
        ("auto", 0, 1000, []),
        ("process", 0, 1000, []),
        ("systemd", 252, 0, []),
        ("systemd", 0, 0, ["role_supervisor: no systemd runs on the host. Set role_supervisor to process."]),
        (
            "systemd",
            239,
            1000,
            [
                "role_supervisor: a systemd unit needs root. Become root (become: true), or set role_supervisor to"
                " process.",
                "role_supervisor: a unit needs systemd 247 or newer, which hands it its kubeconfig; the host has"
                " 239. Set role_supervisor to process.",
            ],
        ),
    ],
)
def test_what_keeps_processes_running(
    chosen: str, systemd: int, user: int, problems: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_supervisor.os, "geteuid", lambda: user)
    assert list(host_supervisor.problems(chosen, systemd, "role_supervisor")) == problems


def test_a_unit_finds_programs_where_systemd_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "helm-of-mine"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(host_supervisor.os, "geteuid", lambda: 0)
    assert host_supervisor.which("helm-of-mine", "auto", 0) == str(program)
    assert host_supervisor.which("helm-of-mine", "auto", 252) is None
    assert host_supervisor.which(str(program), "systemd", 252) == str(program)
