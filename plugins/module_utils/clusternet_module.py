# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An AnsibleModule with connection options: empty ones are not given, paths show, contents and credentials don't.

The option C(kubeconfig) takes a path or a dictionary with credentials, so it has C(no_log), and Ansible hides all its
texts in everything that a module returns. A message about a missing file must name the file, though. Options that take
only paths have no C(no_log), and would show the key or token that somebody gives in place of its path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.clusternet.core.plugins.module_utils import kubeconfig
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.paths import is_path
from ansible_collections.clusternet.core.plugins.module_utils.validate import is_empty

_NAMES = {name for option, spec in AUTH_ARGUMENTS.items() for name in (option, *spec.get("aliases", ()))}


class ClusternetModule(AnsibleModule):
    """Leaves out connection options that are empty texts; of the others, hides what is secret, and only that.

    Ansible itself would refuse an empty boolean or dictionary, and take an empty list for one with an empty element.
    """

    def __init__(self, argument_spec: dict[str, Any], **further: Any) -> None:
        super().__init__(argument_spec, **further)
        self._hide_only_secrets()

    def fail_json(self, msg: str, **result: Any) -> NoReturn:
        """End with an error, of checking the options, too."""
        self._hide_only_secrets()
        super().fail_json(msg, **result)

    def _load_params(self) -> None:
        super()._load_params()
        for name in _NAMES & set(self.params):
            if is_empty(self.params[name]):
                del self.params[name]

    def _hide_only_secrets(self) -> None:
        params = getattr(self, "params", None) or {}
        secrets = set(_secret_texts(self.argument_spec, params)) | set(_contents(params))
        self.no_log_values -= kubeconfig.public_texts(params.get("kubeconfig")) - secrets
        self.no_log_values |= secrets


def _secret_texts(spec: Mapping[str, Any], values: Any) -> Iterator[str]:
    """Yield the texts of all options with C(no_log) but the kubeconfig."""
    for name, item in spec.items() if isinstance(values, Mapping) else ():
        value = values.get(name)
        if item.get("no_log") and name != "kubeconfig" and isinstance(value, str) and value:
            yield value
        yield from _secret_texts(item.get("options") or {}, value)


def _contents(params: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was given to connection options for paths and is none."""
    for name, item in AUTH_ARGUMENTS.items():
        value = params.get(name)
        if item["type"] == "path" and isinstance(value, str) and not is_path(value):
            yield value
