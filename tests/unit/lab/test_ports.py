"""Ports are one lab's own."""

import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from clusternet_lab import ports
from clusternet_lab.errors import LabError


def folder(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    path.mkdir()
    return path


def test_labs_that_reserve_at_once_get_different_ports(tmp_path: Path) -> None:
    labs = [folder(tmp_path, f"lab{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        taken = [port for reserved in pool.map(lambda lab: ports.reserve(lab, 20), labs) for port in reserved]
    assert len(set(taken)) == 8 * 20


def test_ports_are_none_the_kernel_gives_to_outgoing_connections(tmp_path: Path) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(first, 32_768) > ports.HIGHEST
    assert all(ports.LOWEST <= port <= ports.HIGHEST for port in ports.reserve(tmp_path, 50))


def test_a_port_in_use_is_not_reserved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        used = server.getsockname()[1]
        monkeypatch.setattr(ports, "LOWEST", used)
        monkeypatch.setattr(ports, "HIGHEST", used)
        with pytest.raises(LabError, match="no 1 free ports"):
            ports.reserve(tmp_path, 1)


@pytest.mark.parametrize("give_back", [ports.release, shutil.rmtree], ids=["released", "its folder is gone"])
def test_ports_of_a_lab_can_be_had_again(give_back: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = folder(tmp_path, "first"), folder(tmp_path, "second")
    [port] = ports.reserve(first, 1)
    monkeypatch.setattr(ports, "LOWEST", port)
    monkeypatch.setattr(ports, "HIGHEST", port)
    with pytest.raises(LabError):
        ports.reserve(second, 1)
    give_back(first)  # type: ignore[operator]
    assert ports.reserve(second, 1) == [port]
