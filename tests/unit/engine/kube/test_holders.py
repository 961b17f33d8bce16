"""Identities that tell whether their process still runs."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from clusternet_engine.kube import holders
from clusternet_engine.kube.holders import has_ended, own_identity

TELL = "from clusternet_engine.kube.holders import own_identity as i; print(i(), flush=True); input()"


@pytest.fixture
def process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process and its identity."""
    with subprocess.Popen([sys.executable, "-c", TELL], stdin=-1, stdout=-1, text=True) as running:
        assert running.stdout is not None
        yield running, running.stdout.readline().strip()
        running.kill()


def test_a_process_that_is_killed_has_ended(process: tuple[subprocess.Popen[str], str]) -> None:
    running, identity = process
    assert identity != own_identity()
    assert not has_ended(identity)
    running.kill()
    deadline = time.monotonic() + 20
    while not has_ended(identity):
        assert time.monotonic() < deadline, "it counts as ended before its parent takes notice"
    running.wait()
    assert has_ended(identity)


def test_one_that_took_over_the_number_is_another() -> None:
    identity = own_identity()
    assert not has_ended(identity)
    assert has_ended(re.sub(r"\d+$", "7", identity))


@pytest.mark.parametrize("identity", ["", "host_0e5c", "host_0e5c-1_2", "elsewhere_0e5c-1_999999999-1"])
def test_others_may_still_run(identity: str) -> None:
    assert not has_ended(identity)


def test_other_machines_are_not_judged() -> None:
    host, boot, rest = own_identity().rsplit("_", 2)
    gone = re.sub(r"^\d+", "999999999", rest)
    assert has_ended(f"{host}_{boot}_{gone}")
    assert not has_ended(f"other_{boot}_{gone}")
    assert not has_ended(f"{host}_x{boot}_{gone}")


def test_a_process_of_another_user_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", kill)
    assert not has_ended(own_identity())


def test_machines_that_do_not_tell_of_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    known = own_identity()
    monkeypatch.setattr(holders, "_PROC", tmp_path)
    assert own_identity() != own_identity()
    assert not has_ended(own_identity())
    assert not has_ended(known)
