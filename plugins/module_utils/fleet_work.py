# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changing and unregistering many clusters, one after the other, with a result for each."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ansible_collections.clusternet.core.plugins.module_utils import fleet, managed_cluster, unregister
from ansible_collections.clusternet.core.plugins.module_utils.auth import ConnectionSettings
from ansible_collections.clusternet.core.plugins.module_utils.errors import ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import Reconciler
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline


class FleetWork:
    """Handles the chosen clusters; waits at most I(timeout) seconds, not at all with None; fills I(result).

    What goes wrong with one cluster doesn't keep the others from being handled; in the end it raises ClusternetError.
    """

    def __init__(self, reconciler: Reconciler, chosen: fleet.Selection, result: dict[str, Any], timeout: Optional[int]):
        self._reconciler = reconciler
        self._client = reconciler.client
        self._chosen = chosen
        self._timeout = None if reconciler.check_mode else timeout
        self._result = result
        self._items: list[dict[str, Any]] = []
        result["clusters"] = self._items

    def change(self, wanted: fleet.Wanted) -> None:
        """Bring the clusters to what is wanted, then wait until they are ready."""
        clusters = fleet.existing(self._client, self._chosen)
        for cluster in clusters:
            metadata = cluster["metadata"]
            item = self._item(metadata["name"], metadata["namespace"], managed_cluster.cluster_id(cluster))
            outcome = self._try(item, fleet.change, self._reconciler, cluster, wanted)
            if outcome is not None:
                item.update(changed=outcome.changed, cluster=managed_cluster.view(outcome.after))
        self._finish()
        if self._timeout is not None and clusters:
            ready = fleet.wait_these_ready(self._client, self._chosen, clusters, self._timeout)
            views = {managed_cluster.place(cluster): managed_cluster.view(cluster) for cluster in ready}
            for item in self._items:
                item["cluster"] = views[f"{item['namespace']}/{item['name']}"]

    def unregister(self, force: bool, settings: ConnectionSettings, clean_child: str) -> None:
        """Remove the clusters, in the children and on the parent, then wait until their namespaces there are gone."""
        found = unregister.find(self._client, self._chosen)
        fleet.refuse_ambiguous(self._chosen, ((item.name, item.namespace_name) for item in found if not item.leaving))
        removals = []
        for registered in found:
            removal = unregister.Removal(self._reconciler, registered, settings, clean_child)
            item = self._item(registered.name, registered.namespace_name, registered.cluster_id)
            self._try(item, removal.run, force)
            item.update(removed=removal.removed, left=removal.left, changed=bool(removal.removed))
            removals.append((item, removal))
        if not found:
            self._result["msg"] = "There is no such cluster; there is nothing to remove."
        if self._timeout is not None:
            deadline = Deadline(self._timeout)
            for item, removal in removals:
                if not item["failed"]:
                    self._try(item, removal.wait_gone, deadline)
        self._finish()

    def _item(self, name: str, namespace: Optional[str], cluster_id: str) -> dict[str, Any]:
        item = {
            "name": name,
            "namespace": namespace,
            "cluster_id": cluster_id,
            "changed": False,
            "failed": False,
            "msg": None,
            "cluster": None,
            "removed": [],
            "left": [],
        }
        self._items.append(item)
        return item

    def _try(self, item: dict[str, Any], action: Callable[..., Any], *arguments: Any) -> Any:
        """The action's result; None, and the error in I(item), when it fails."""
        try:
            return action(*arguments)
        except ClusternetError as error:
            item.update(failed=True, msg=error.msg)
            return None

    def _finish(self) -> None:
        """Sum the items up; raises ClusternetError when any has failed."""
        self._result["changed"] = any(item["changed"] for item in self._items)
        failed = [item for item in self._items if item["failed"]]
        if failed:
            raise ClusternetError(
                f"{len(failed)} of {len(self._items)} clusters failed: "
                + "; ".join(f"{item['name']}: {item['msg']}" for item in failed),
                "SomeFailed",
                names=[item["name"] for item in failed],
            )
