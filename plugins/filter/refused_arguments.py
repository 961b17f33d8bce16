# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter C(refused_arguments): what the engine would say to arguments, asked before it is on any host.

The engine's wheel travels in this collection, and its parsers need no packages. They run in a process of their own,
without the control node's packages, so that no other engine that may be installed here answers.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.clusternet.core.plugins.module_utils import validate
from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError

_WHEELS = Path(__file__).resolve().parents[2] / "roles" / "engine" / "files"
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from clusternet_engine.arguments import main; main()"
_TIMEOUT = 120
_RULES: dict[str, Callable[[str, Any], Any]] = {
    "duration": lambda variable, value: validate.duration(variable, str(value)),
    "timeout": lambda variable, value: validate.wait_timeout(variable, int(value)),
}
"""Rules of the collection's modules, for what no program of the engine has a flag for."""


def refused_arguments(
    settings: Sequence[Mapping[str, Any]], program: str, variable: str, further: Sequence[str] = ()
) -> list[str]:
    """Return what a program of the engine would refuse, one sentence for each setting, by the names of variables.

    Args:
        settings: each with C(variable), C(flag) or C(rule), and C(value) or C(items).
        program: C(hub) or C(agent).
        variable: that holds I(further).
        further: arguments that the user gives as they are.

    Raises:
        AnsibleFilterError: the engine can't be asked.
    """
    wheels = sorted(_WHEELS.glob("*.whl"))
    if not wheels:
        raise AnsibleFilterError(
            f"The engine's wheel is missing in {_WHEELS}. Install the collection from an archive that was made with "
            "'make build' before."
        )
    question = {
        "program": program,
        "settings": [_plain(setting) for setting in settings if "flag" in setting],
        "variable": str(variable),
        "further": [str(argument) for argument in further],
    }
    process = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _PROGRAM, str(wheels[-1])],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    if process.returncode:
        raise AnsibleFilterError(f"The engine can't judge arguments: {process.stderr.strip()[-1000:]}")
    return [*json.loads(process.stdout), *_refused_by_rules(settings)]


def _refused_by_rules(settings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for setting in settings:
        if "rule" in setting:
            try:
                _RULES[setting["rule"]](str(setting["variable"]), setting["value"])
            except ConfigError as error:
                yield error.msg


def _plain(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Return a setting with texts of no other type than text."""
    content = (
        {"items": [str(item) for item in setting["items"]]} if "items" in setting else {"value": str(setting["value"])}
    )
    return {"flag": str(setting["flag"]), "variable": str(setting["variable"]), **content}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by their names."""
        return {"refused_arguments": refused_arguments}
