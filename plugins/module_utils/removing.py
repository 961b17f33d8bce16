# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What removals share: kinds that aren't there, and finalizers whose owner doesn't take them off any more."""

from __future__ import annotations

from typing import Any, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import Reconciler
from ansible_collections.clusternet.core.plugins.module_utils.resources import Resource

_CONFLICTS = 5  # attempts when others change an object at the same time
_FINALIZERS = {constants.FINALIZER, constants.FINALIZER_FEED_PROTECTION}


def listed(client: Client, path: str, label_selector: Optional[str] = None) -> list[dict[str, Any]]:
    """The objects of a collection; none when the cluster doesn't serve the kind."""
    try:
        return client.list(path, label_selector)
    except ApiError as error:
        if error.status != 404:
            raise
        return []


def release(reconciler: Reconciler, resource: Resource, obj: dict[str, Any]) -> None:
    """Take Clusternet's finalizers off an object that was deleted: while it is going nobody can put them back."""
    for _attempt in range(_CONFLICTS):
        going = None if reconciler.check_mode else reconciler.client.get(resource.path_of(obj))
        finalizers = (going or {}).get("metadata", {}).get("finalizers") or []
        if going is None or not _FINALIZERS & set(finalizers):
            return
        kept = [item for item in finalizers if item not in _FINALIZERS]
        patch = {"metadata": {"finalizers": kept, "resourceVersion": going["metadata"]["resourceVersion"]}}
        try:
            reconciler.patch(resource, going, patch)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
