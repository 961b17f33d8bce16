# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sees whether a host's Python can make the engine's virtual environment, and where pip gets packages from."""

from __future__ import annotations

import json
import sys
from typing import Any, Callable, Iterator, Mapping, Optional

NEEDED = (3, 11)
LIBRARY = "packaging"
"""Of the interpreter that runs modules: Ansible's own module C(pip) needs it."""
DEFAULT_INDEX = "https://pypi.org/simple/"
_QUESTION = """
import importlib.util, json, subprocess, sys
found = [name for name in ("venv", "ensurepip", "pip") if importlib.util.find_spec(name)]
settings = []
if "pip" in found:
    asked = subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
    settings = asked.stdout.splitlines()
print(json.dumps({"version": list(sys.version_info[:3]), "modules": found, "settings": settings}))
"""

Run = Callable[[list], tuple]
"""Runs a command and returns its exit code, output and errors."""


def ask(run: Run, executable: str) -> Optional[dict[str, Any]]:
    """Return version, modules and pip's settings of an interpreter; None if there is none.

    Args:
        run: by which it is started.
        executable: its name or path.
    """
    try:
        code, output, _errors = run([executable, "-I", "-c", _QUESTION])
        return dict(json.loads(output)) if code == 0 else None
    except (OSError, ValueError):
        return None


def problems(found: Optional[Mapping[str, Any]], executable: str, setting: str, library: bool) -> Iterator[str]:
    """Yield a sentence for each thing that keeps an interpreter from making the engine's virtual environment.

    Args:
        found: what C(ask) returned.
        executable: of the interpreter.
        setting: name of the variable that chooses it.
        library: whether the interpreter that runs modules has what Ansible's module C(pip) needs.
    """
    needed = ".".join(map(str, NEEDED))
    if found is None:
        yield f"{setting}: {executable} is no Python that runs. Set {setting} to the path of Python {needed} or newer."
    elif tuple(found["version"]) < NEEDED:
        version = ".".join(map(str, found["version"]))
        yield (
            f"{setting}: {executable} is Python {version}, and the engine needs {needed} or newer. Install one on the "
            f"host and set {setting} to its path."
        )
    elif missing := [name for name in ("venv", "ensurepip") if name not in found["modules"]]:
        yield (
            f"{setting}: {executable} lacks {' and '.join(missing)}, by which virtual environments are made. Install "
            f"them (on Debian and Ubuntu the package python{'.'.join(map(str, found['version'][:2]))}-venv)."
        )
    if not library:
        yield (
            f"{sys.executable}, by which Ansible runs modules on the host, lacks the package {LIBRARY}, which its "
            f"module pip needs. Install it (in most distributions python3-{LIBRARY}), or set "
            "ansible_python_interpreter to a Python that has it."
        )


def index(settings: list, environ: Mapping[str, str]) -> Optional[str]:
    """Return the URL of the package index that pip asks; None if it needs none, or a proxy of its own leads there.

    Args:
        settings: lines of C(pip config list).
        environ: the environment.
    """
    found = dict(_setting(line) for line in settings)
    for key, value in environ.items():
        if key.startswith("PIP_"):
            found[key[4:].lower().replace("_", "-")] = value
    if found.get("find-links") or found.get("proxy") or found.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        return None
    return found.get("index-url") or DEFAULT_INDEX


def _setting(line: str) -> tuple[str, str]:
    name, _equals, value = line.partition("=")
    return name.strip().rpartition(".")[2].replace("_", "-"), value.strip().strip("'\"")
