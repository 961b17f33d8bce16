# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Doing the same on many children at once, with a result for each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Mapping, Optional

from ansible_collections.clusternet.core.plugins.module_utils import child_access, fleet, managed_cluster
from ansible_collections.clusternet.core.plugins.module_utils.auth import connection_settings
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import Reconciler
from ansible_collections.clusternet.core.plugins.module_utils.report import Report

_AT_ONCE = 8

CHILDREN_ARGUMENTS: dict[str, dict[str, Any]] = {
    "names": {"type": "list", "elements": "str"},
    "label_selector": {"type": "str"},
    "namespace": {"type": "str"},
    "service_account": {
        "type": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
        },
    },
}
"""Which children, and as whom: the options of the doc fragment C(children)."""

WHICH = ("names", "label_selector", "namespace")

Action = Callable[[Reconciler, dict], None]
"""What is done on one child: it fills the child's item and raises ClusternetError when it fails."""


class Children:
    """The children that the options choose; what becomes of each goes to the result's C(clusters).

    :param params: the module's options, those of :data:`CHILDREN_ARGUMENTS` among them
    """

    def __init__(self, doing: Report, params: Mapping[str, Any], check_mode: bool) -> None:
        self._doing = doing
        self._chosen = fleet.selection(params)
        self._account = child_access.service_account("service_account", params["service_account"])
        self._settings = connection_settings(params)
        self._check_mode = check_mode

    def each(self, action: Action, **further: Any) -> None:
        """Run I(action) on every child, several at a time.

        One that fails doesn't keep the others from being handled; in the end it raises ClusternetError.

        :param further: keys that every item has besides, with what they are at first; a list is a new one for each
        """
        parent = self._doing.connect()
        result = self._doing.result
        items = result["clusters"] = []
        clusters = fleet.existing(parent, self._chosen)
        if not clusters:
            result["msg"] = "There is no such cluster."
            return
        child_access.require_served(parent)
        work = []
        for cluster in clusters:
            items.append(
                {
                    "name": cluster["metadata"]["name"],
                    "namespace": cluster["metadata"]["namespace"],
                    "cluster_id": managed_cluster.cluster_id(cluster),
                    "failed": False,
                    "msg": None,
                    **{key: list(value) if isinstance(value, list) else value for key, value in further.items()},
                }
            )
            work.append((cluster, items[-1]))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            writers = list(pool.map(lambda pair: self._try(parent, action, *pair), work))
        for number, reconciler in enumerate(writers):
            self._report(items[number]["name"], reconciler)
        result["changed"] = any(item.get("changed") for item in items)
        failed = [item for item in items if item["failed"]]
        if failed:
            raise ClusternetError(
                f"{len(failed)} of {len(items)} clusters failed: "
                + "; ".join(f"{item['name']}: {item['msg']}" for item in failed),
                "SomeFailed",
                names=[item["name"] for item in failed],
            )

    def _try(
        self, parent: Client, action: Action, cluster: dict[str, Any], item: dict[str, Any]
    ) -> Optional[Reconciler]:
        """Run the action; the writer that it used, None when the child can't be spoken to."""
        reconciler = None
        try:
            if self._account:
                client = child_access.client_as_account(
                    parent, self._settings, cluster, self._account, self._check_mode
                )
            else:
                client = child_access.client_as_deployer(parent, self._settings, cluster, self._check_mode)
            reconciler = Reconciler(client, self._check_mode)
            action(reconciler, item)
        except ClusternetError as error:
            item.update(failed=True, msg=error.msg)
        return reconciler

    def _report(self, name: str, reconciler: Optional[Reconciler]) -> None:
        """Hand the diffs of a child and what its API server warned of on."""
        if reconciler is None:
            return
        for diff in reconciler.diffs:
            headers = {key: f"{name}: {diff[key]}" for key in ("before_header", "after_header")}
            self._doing.reconciler().diffs.append({**diff, **headers})
        self._doing.connect().warnings.extend(f"{name}: {text}" for text in reconciler.client.warnings)
