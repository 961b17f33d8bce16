"""Building the programs: caching, progress, and errors in one line."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from clusternet_lab import programs, toolchain
from clusternet_lab.errors import LabError
from clusternet_lab.progress import Silent
from hypothesis import given
from hypothesis import strategies as st

HELLO = 'package main\n\nimport "fmt"\n\nvar Version = "none"\n\nfunc main() { fmt.Println(Version) }\n'


class Notes(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.counted: list[tuple[str, int, int]] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def count(self, what: str, done: int, total: int, item: str) -> None:
        self.counted.append((what, done, total))


@pytest.fixture(scope="session")
def found_go() -> tuple[Path, str]:
    """The Go that the user's labs are built with, and its cache of compiled packages."""
    go = toolchain.find(programs.KWOK.go_version, programs.KWOK.go_version, Silent())
    return go, subprocess.run([go, "env", "GOCACHE"], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(autouse=True)
def go(found_go: tuple[Path, str], cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{found_go[0].parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GOCACHE", found_go[1])
    return found_go[0]


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A Go module without dependencies."""
    folder = tmp_path / "sources" / "hello"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text("module example.org/hello\n\ngo 1.24.0\n\n// example.org/hello v1.2.3\n")
    (folder / "main.go").write_text(HELLO)
    return folder


@pytest.fixture
def hello(module: Path) -> programs.Program:
    return programs.Program(module, ".", "// example.org/hello", ("main.Version",))


def test_a_program_is_built_once_by_many_at_once(hello: programs.Program) -> None:
    notes = Notes()
    with ThreadPoolExecutor(4) as pool:
        for built in [pool.submit(programs._build, hello, notes) for _ in range(4)]:
            built.result()
    assert notes.said.count("built hello") == 1
    assert subprocess.run([hello.path], capture_output=True, text=True, check=True).stdout == "v1.2.3\n"
    assert [path.name for path in hello.path.parent.parent.iterdir() if "making" in path.name] == []


def test_another_source_is_another_program(hello: programs.Program) -> None:
    before = hello.path
    (hello.folder / "main.go").write_text(HELLO + "// more\n")
    assert hello.path != before


def test_a_failed_build_leaves_nothing(hello: programs.Program) -> None:
    (hello.folder / "main.go").write_text("package main\n\nfunc main() { missing() }\n")
    with pytest.raises(LabError) as failure:
        programs._build(hello, Silent())
    assert "undefined: missing" in str(failure.value)
    assert "\n" not in str(failure.value)
    assert list(hello.path.parent.parent.iterdir()) == [hello.path.parent.parent / "hello.lock"]


def test_without_network_the_error_says_so(
    go: Path, module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOPROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modules"))
    for file in ("go.mod", "go.sum", "main.go"):
        shutil.copy(programs.KUBERNETES.folder / file, module)
    with pytest.raises(LabError, match="no network") as failure:
        toolchain.build(go, module, ".", tmp_path / "hello", "-s", Silent())
    assert "\n" not in str(failure.value)


def test_progress_counts_up_to_the_packages_there_are(go: Path, module: Path, tmp_path: Path) -> None:
    notes = Notes()
    toolchain.build(go, module, ".", tmp_path / "hello", "-s -w", notes)
    assert [what for what, _, _ in notes.counted] == ["packages compiled"] * len(notes.counted)
    assert [done for _, done, _ in notes.counted] == list(range(1, len(notes.counted) + 1))
    assert all(done <= total for _, done, total in notes.counted)


def test_the_programs_of_the_lab_are_stamped_with_their_version() -> None:
    assert "-X k8s.io/component-base/version.gitVersion=v1.34.4" in programs.KUBERNETES.linker_flags
    assert "-X k8s.io/component-base/version.gitMinor=34" in programs.KUBERNETES.linker_flags


@given(st.lists(st.integers(0, 99), min_size=1, max_size=3))
def test_versions_compare_as_numbers(numbers: list[int]) -> None:
    text = ".".join(map(str, numbers))
    assert toolchain._numbers(f"go{text} X:nocoverageredesign") == toolchain._numbers(text) == tuple(numbers)


def test_no_version_is_older_than_any() -> None:
    assert toolchain._numbers("devel") < toolchain._numbers("1.0")
