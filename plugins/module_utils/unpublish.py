# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ordered removal of everything that a parent publishes (spec/03 §9, spec/05 §10)."""

from __future__ import annotations

from typing import Any, Iterable

from ansible_collections.clusternet.core.plugins.module_utils.object_namespaces import describe
from ansible_collections.clusternet.core.plugins.module_utils.objects import still_there
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import Reconciler
from ansible_collections.clusternet.core.plugins.module_utils.removing import listed, release
from ansible_collections.clusternet.core.plugins.module_utils.resources import (
    BASES,
    DESCRIPTIONS,
    GLOBALIZATIONS,
    HELM_CHARTS,
    HELM_RELEASES,
    LOCALIZATIONS,
    MANIFESTS,
    SUBSCRIPTIONS,
    Resource,
)
from ansible_collections.clusternet.core.plugins.module_utils.unregister import deploys
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline, wait_until

_MADE = (BASES, DESCRIPTIONS, HELM_RELEASES)
"""What the hub makes of Subscriptions and removes after them, once the clusters are clean."""
_STEPS = (
    ((SUBSCRIPTIONS,), _MADE),
    ((LOCALIZATIONS, GLOBALIZATIONS), ()),
    ((HELM_CHARTS, MANIFESTS), ()),
)


class Unpublishing:
    """Removes what users have published, what the hub has made of it, and thereby what the clusters have of it.

    C(removed) and C(left) say what went and what nobody removes from the clusters any more.
    """

    def __init__(self, reconciler: Reconciler):
        self._reconciler = reconciler
        self._client = reconciler.client
        self.removed: list[dict[str, str]] = []
        self.left: list[dict[str, str]] = []

    def run(self, deadline: Deadline) -> None:
        """Remove all, each step once the hub is done with the one before; raises ApiError, WaitTimeout."""
        for resources, made in _STEPS:
            for resource, obj in self._found(resources):
                self._delete(resource, obj)
            for resource in (*resources, *made) if not self._reconciler.check_mode else ():
                what = f"Waiting for every {resource.kind} to be gone"
                wait_until(self._client, resource.path(), still_there, deadline, what)

    def give_up(self) -> None:
        """Remove all without the hub: what it hasn't removed from the clusters stays there; raises ApiError."""
        for resources, made in _STEPS:
            for resource, obj in self._found((*resources, *made)):
                self.left += [
                    {"where": "child", "what": f"{what} through namespace {obj['metadata']['namespace']}"}
                    for what in deploys(resource, obj)
                ]
                self._delete(resource, obj)
                release(self._reconciler, resource, obj)

    def _found(self, resources: Iterable[Resource]) -> list[tuple[Resource, dict[str, Any]]]:
        return [(resource, obj) for resource in resources for obj in listed(self._client, resource.path())]

    def _delete(self, resource: Resource, obj: dict[str, Any]) -> None:
        if self._reconciler.delete(resource, obj).changed:
            self.removed.append({"where": "parent", "what": describe({"kind": resource.kind, **obj})})
