"""The programs of the clusters: built once from the Go modules in ``lab/programs``, then kept in the user's cache."""

import hashlib
import os
import platform
import re
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from clusternet_lab import toolchain
from clusternet_lab.components import CONTROL, NODES, STORAGE
from clusternet_lab.errors import LabError
from clusternet_lab.files import locked
from clusternet_lab.folders import cache_home
from clusternet_lab.progress import Progress

_BUILD_TIMEOUT = 3600.0  # seconds to wait for a build that another command is running
_SOURCES = Path(__file__).parents[2] / "programs"


@dataclass(frozen=True)
class Program:
    """A Go program: its Go module's folder, the package to build, and whose version is stamped into which variables."""

    folder: Path
    package: str
    module: str
    version_variables: tuple[str, ...]

    @property
    def name(self) -> str:
        """The program's name."""
        return self.folder.name

    @property
    def go_version(self) -> str:
        """The oldest Go that can build it."""
        return self._in_go_mod(r"^go (\S+)$")

    @property
    def linker_flags(self) -> str:
        """The flags for ``go build -ldflags``: no debug information, the version stamped in."""
        version = self._in_go_mod(rf"^\s*{re.escape(self.module)} (v\S+)")
        major, minor, _ = version.removeprefix("v").split(".", 2)
        values = {
            "gitVersion": version, "gitMajor": major, "gitMinor": minor, "Version": version, "version": version
        }  # fmt: skip
        stamps = (f"-X {variable}={values[variable.rpartition('.')[2]]}" for variable in self.version_variables)
        return " ".join(["-s", "-w", *stamps])

    @property
    def path(self) -> Path:
        """Where the built program is kept; another source has another path."""
        digest = hashlib.sha256()
        for source in sorted((*self.folder.glob("*.go"), *self.folder.glob("go.*"))):
            digest.update(source.name.encode() + b"\0" + source.read_bytes())
        digest.update(f"{self.package} {self.linker_flags} {platform.system()} {platform.machine()}".encode())
        return cache_home() / "programs" / f"{self.name}-{digest.hexdigest()[:16]}" / self.name

    def _in_go_mod(self, pattern: str) -> str:
        found = re.search(pattern, (self.folder / "go.mod").read_text(), re.MULTILINE)
        if not found:
            raise LabError(f"{self.folder / 'go.mod'} has no line like {pattern}")
        return found[1]


KUBERNETES = Program(
    _SOURCES / "kubernetes",
    ".",
    "k8s.io/kubernetes",
    (
        "k8s.io/component-base/version.gitVersion",
        "k8s.io/component-base/version.gitMajor",
        "k8s.io/component-base/version.gitMinor",
        "k8s.io/client-go/pkg/version.gitVersion",
    ),
)
KWOK = Program(
    _SOURCES / "kwok", "sigs.k8s.io/kwok/cmd/kwok", "sigs.k8s.io/kwok", ("sigs.k8s.io/kwok/pkg/consts.Version",)
)
HELM = Program(
    _SOURCES / "helm", "helm.sh/helm/v3/cmd/helm", "helm.sh/helm/v3", ("helm.sh/helm/v3/internal/version.version",)
)


@cache
def paths() -> dict[str, Path]:
    """Return the file to run for each component and for ``kubectl``."""
    return {**dict.fromkeys((*STORAGE, *CONTROL, "kubectl"), KUBERNETES.path), NODES: KWOK.path}


def ensure(*, nodes: bool, helm: bool = False, progress: Progress) -> None:
    """Build what isn't built yet; with ``nodes`` also what simulates nodes, with ``helm`` the program `helm`.

    Raises:
        LabError: the build failed, in one line; most often there is no network.
    """
    for program in (KUBERNETES, *([KWOK] if nodes else []), *([HELM] if helm else [])):
        if not program.path.exists():
            _build(program, progress)


def _build(program: Program, progress: Progress) -> None:
    store = cache_home() / "programs"
    store.mkdir(parents=True, exist_ok=True)
    lock = store / f"{program.name}.lock"
    lock.touch()
    progress.say(f"building {program.name} (once; waits if another command is at it)")
    with locked(lock, timeout=_BUILD_TIMEOUT, busy=f"another command has been building {program.name} for an hour"):
        if program.path.exists():
            return
        for leftover in store.glob(f"{program.name}-*.making*"):
            shutil.rmtree(leftover)
        go = toolchain.find(program.go_version, KWOK.go_version, progress)
        making = Path(tempfile.mkdtemp(dir=store, prefix=f"{program.path.parent.name}.making"))
        try:
            toolchain.build(go, program.folder, program.package, making / program.name, program.linker_flags, progress)
            os.rename(making, program.path.parent)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    progress.say(f"built {program.name}")
