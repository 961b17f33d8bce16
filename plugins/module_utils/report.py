# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a module ends: one result, errors as C(failure), warnings of the API server, diffs when asked for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.clusternet.core.plugins.module_utils.client import Client, client_from_module
from ansible_collections.clusternet.core.plugins.module_utils.errors import ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import Reconciler


class Report:
    """What a module has done so far; C(result) is returned also when it fails later on."""

    def __init__(self, module: AnsibleModule):
        self._module = module
        self._client: Optional[Client] = None
        self._reconciler: Optional[Reconciler] = None
        self.result: dict[str, Any] = {"changed": False}

    def connect(self) -> Client:
        """The client for the module's connection options; made once, when every other option has been checked."""
        if self._client is None:
            self._client = client_from_module(self._module)
        return self._client

    def reconciler(self) -> Reconciler:
        """The writer over that client, in check mode a dry one."""
        if self._reconciler is None:
            show_values = bool(self._module.params.get("show_values"))
            self._reconciler = Reconciler(self.connect(), self._module.check_mode, show_values)
        return self._reconciler

    def finished(self) -> dict[str, Any]:
        """The result with its diff; hands the warnings of the API server on."""
        for warning in self._client.warnings if self._client else ():
            self._module.warn(warning)
        if self._reconciler and self._module._diff:
            self.result["diff"] = self._reconciler.diffs
        return self.result


@contextmanager
def report(module: AnsibleModule) -> Iterator[Report]:
    """End I(module) with what its body puts into the report, or with C(msg) and C(failure) when it raises."""
    doing = Report(module)
    try:
        yield doing
    except ClusternetError as error:
        module.fail_json(**{**doing.finished(), "msg": error.msg, "failure": error.failure})
    module.exit_json(**doing.finished())
