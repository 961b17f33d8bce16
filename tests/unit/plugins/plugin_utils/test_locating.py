"""Tests where files are looked for that variables name."""

from pathlib import Path

import pytest
from ansible_collections.clusternet.core.plugins.plugin_utils.locating import (
    Found,
    folders_of_playbooks,
    folders_of_vars_files,
    locate,
)


def test_the_folders_of_files_with_variables_the_last_one_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/jane")
    given = ("@/srv/one/a.yml", "region=eu", "@b.yml", '{"a": "@c"}', "@~/d.yml", "@/srv/one/e.yml", "@vars/../f.yml")
    assert folders_of_vars_files(given) == [str(tmp_path), "/srv/one", "/home/jane"]
    assert folders_of_vars_files(()) == []


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """Two folders with some files."""
    for name in ("one/files/a.yml", "one/a.yml", "two/files/b.yml", "two/a.yml", "two/manifests/c.yml", "one/d.yml/x"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return [str(tmp_path / "one"), str(tmp_path / "two")]


def test_the_folders_of_playbooks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folders: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    given = ("one/a.yml", "clusternet.core.publish", "gone.yml", f"{tmp_path}/one/files/../a.yml", "two/a.yml")
    assert folders_of_playbooks(given) == folders


@pytest.mark.parametrize(
    ("name", "subfolder", "found"),
    [
        ("a.yml", "files", "one/files/a.yml"),
        ("a.yml", "", "one/a.yml"),
        ("b.yml", "files", "two/files/b.yml"),
        ("files/b.yml", "", "two/files/b.yml"),
        ("manifests/c.yml", "files", "two/manifests/c.yml"),
        ("../two/a.yml", "files", "two/a.yml"),
    ],
)
def test_the_first_file_of_that_name(tmp_path: Path, folders: list[str], name: str, subfolder: str, found: str) -> None:
    assert locate(name, folders, subfolder).path == str(tmp_path / found)


def test_what_is_missing_tells_where_it_was_looked_for(folders: list[str]) -> None:
    places = [f"{folders[0]}/files", folders[0], f"{folders[1]}/files", folders[1]]
    for name in ("b.yaml", "d.yml", ""):
        assert locate(name, folders, "files") == Found(name, "", places)


def test_an_absolute_path_is_looked_for_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folders: list[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate("~/one/a.yml", folders, "files") == Found("~/one/a.yml", f"{tmp_path}/one/a.yml", [])
    assert locate("/nowhere/a.yml", folders, "files") == Found("/nowhere/a.yml", "", [])
