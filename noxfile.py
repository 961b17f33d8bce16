"""Every check of this repository: `nox` runs them all, `nox --list` names them; `make` targets and .ci/run call them.

They run in the environment that `make` prepares (.venv, .build), so no session makes one of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"

ROOT = Path(__file__).parent
DIST = ROOT / ".build" / "dist"
COLLECTIONS = ROOT / ".build" / "collections"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clusternet.core"
BESIDE = (
    "tests/integration/crds",
    "tests/integration/engine",
    "tests/integration/lab",
    "tests/integration/plugins",
    "tests/hostile",
)
"""The half of the integration tests that runs beside the rest."""
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def archive(session: nox.Session) -> Path:
    """Build the collection's archive, as it is published, and return its path."""
    shutil.rmtree(DIST, ignore_errors=True)
    session.run("ansible-galaxy", "collection", "build", "--force", "--output-path", str(DIST), silent=True)
    return next(DIST.glob("clusternet-core-*.tar.gz"))


def collection_tree(archive_path: Path, folder: Path) -> Path:
    """Lay out the archive and the collections it depends on below `folder`; return the collection's own folder."""
    tree = folder / "ansible_collections" / "clusternet" / "core"
    with tarfile.open(archive_path) as content:
        content.extractall(tree, filter="data")
    for dependency in ("kubernetes", "community"):
        shutil.copytree(
            COLLECTIONS / "ansible_collections" / dependency,
            folder / "ansible_collections" / dependency,
            dirs_exist_ok=True,
        )
    return tree


def sanity_home() -> Path:
    """Make a home folder for `ansible-test` that holds the stand-in for its download and the user's pip settings."""
    home = CACHE / "ansible-test"
    bootstrap = home / ".ansible" / "test" / "cache"
    bootstrap.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "tests" / "sanity" / "get_pip.py", bootstrap / "get_pip_24_2.py")
    settings = home / ".config" / "pip"
    settings.parent.mkdir(exist_ok=True)
    settings.unlink(missing_ok=True)
    settings.symlink_to(Path.home() / ".config" / "pip")
    return home


@nox.session(tags=["lint"])
def ruff(session: nox.Session) -> None:
    """Style and common mistakes in Python."""
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session(tags=["lint"])
def mypy(session: nox.Session) -> None:
    """Types of the engine and the lab, strict."""
    session.run("mypy")


@nox.session(tags=["lint"])
def ansible_lint(session: nox.Session) -> None:
    """Roles, playbooks and plugin metadata against ansible-lint's production profile."""
    session.run(
        "ansible-lint",
        "--offline",
        "--profile",
        "production",
        "--strict",
        env={"ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)},
    )


@nox.session(tags=["lint"])
def licences(session: nox.Session) -> None:
    """Every file has a licence (REUSE)."""
    session.run("reuse", "lint", "--quiet")


@nox.session(tags=["lint"])
def changelog(session: nox.Session) -> None:
    """Changelog fragments are well-formed."""
    session.run("antsibull-changelog", "lint")


@nox.session(tags=["lint"])
def docs(session: nox.Session) -> None:
    """Documentation of modules, plugins and roles is complete and its markup is right."""
    with tempfile.TemporaryDirectory() as folder:
        tree = collection_tree(archive(session), Path(folder))
        with session.chdir(tree):
            session.run(
                "antsibull-docs",
                "lint-collection-docs",
                "--plugin-docs",
                "--skip-rstcheck",
                ".",
                env={"ANSIBLE_COLLECTIONS_PATH": folder},
            )


@nox.session(tags=["lint"])
def importer(session: nox.Session) -> None:
    """The archive passes the check that Galaxy makes at import."""
    session.run("python", "-m", "galaxy_importer.main", str(archive(session)), silent=False)


@nox.session(tags=["lint"])
def sanity(session: nox.Session) -> None:
    """`ansible-test sanity` on the archive's content."""
    home = sanity_home()
    with tempfile.TemporaryDirectory() as folder:
        tree = collection_tree(archive(session), Path(folder))
        shutil.copytree(ROOT / "tests" / "sanity", tree / "tests" / "sanity", ignore=shutil.ignore_patterns("*.py"))
        with session.chdir(tree):
            session.run(
                "ansible-test",
                "sanity",
                "--python",
                PYTHON,
                "--color",
                "no",
                env={"HOME": str(home), "XDG_CACHE_HOME": str(CACHE.parent)},
            )


@nox.session(tags=["unit"])
def unit(session: nox.Session) -> None:
    """Rules and single parts, without a cluster."""
    session.run("pytest", "tests/unit", *session.posargs)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Tunnels, and all places where foreign text comes in, against whatever may arrive; `-- --seconds` of each."""
    session.run("python", "tests/fuzz/tunnel.py", *(session.posargs or ("--seconds=120",)))
    session.run("python", "tests/fuzz/foreign.py", *(session.posargs or ("--seconds=480",)))


@nox.session(tags=["integration", "molecule"])
def programs(session: nox.Session) -> None:
    """The programs of the labs, compiled before a test's time limit runs; a moment where the cache has them."""
    session.run("python", "-m", "clusternet_lab", "build", "--helm")


@nox.session(tags=["integration"])
def integration(session: nox.Session) -> None:
    """Everything against the real API servers of labs: two halves side by side, since most of the time is waiting."""
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    with tempfile.TemporaryFile("w+") as output:
        beside = subprocess.Popen(["pytest", *BESIDE], stdout=output, stderr=subprocess.STDOUT)
        try:
            session.run("pytest", "tests/conformance", "tests/integration", *(f"--ignore={path}" for path in BESIDE))
        finally:
            failed = beside.wait()
            output.seek(0)
            print(output.read())
    if failed:
        session.error("tests that ran beside the others failed")


@nox.session(tags=["molecule"])
def molecule(session: nox.Session) -> None:
    """Deploy, idempotence, verify and teardown with the collection installed from its archive, outside the checkout."""
    with tempfile.TemporaryDirectory() as folder:
        only_there = {"ANSIBLE_COLLECTIONS_PATH": folder}
        session.run("ansible-galaxy", "collection", "install", "--no-deps", str(archive(session)), env=only_there)
        for dependency in ("kubernetes", "community"):
            os.symlink(COLLECTIONS / "ansible_collections" / dependency, f"{folder}/ansible_collections/{dependency}")
        with session.chdir(ROOT / "extensions"):
            session.run("molecule", "test", env=only_there)
