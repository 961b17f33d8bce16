# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that are given as an empty text are not given.

Ansible itself makes of an empty text the current folder (C(path)), false (C(bool)) or a list with an empty element,
each instead of the default. AWX and shells set empty variables for what a user leaves out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible.plugins import AnsiblePlugin
from ansible_collections.clusternet.core.plugins.module_utils.validate import is_empty


class EmptyIsUnset(AnsiblePlugin):
    """Mixin of a plugin, before its base class: leaves out empty options and empty variables of the environment."""

    def set_options(
        self, task_keys: Any = None, var_options: Any = None, direct: Mapping[str, Any] | None = None
    ) -> None:
        """Take the options over as Ansible does, but for those that are empty texts."""
        given = {name: value for name, value in (direct or {}).items() if not is_empty(value)}
        with _without_empty(_variables(self.option_definitions)):
            super().set_options(task_keys=task_keys, var_options=var_options, direct=given)


def _variables(definitions: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the names of the environment variables of all options."""
    return {entry["name"] for definition in definitions.values() for entry in definition.get("env") or ()}


@contextmanager
def _without_empty(names: Iterable[str]) -> Iterator[None]:
    """Hide variables of the environment that are empty, so that the next spelling or the default counts."""
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ and is_empty(os.environ[name])}
    try:
        yield
    finally:
        os.environ.update(hidden)
