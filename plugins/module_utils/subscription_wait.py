# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting until Subscriptions are scheduled, deployed or healthy, or until nothing of them is left."""

from __future__ import annotations

from typing import Any, Iterable, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants, publication
from ansible_collections.clusternet.core.plugins.module_utils.auth import ConnectionSettings
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.custom_objects import Items
from ansible_collections.clusternet.core.plugins.module_utils.following import (
    Collection,
    Mirrors,
    Standing,
    wait_for_each,
)
from ansible_collections.clusternet.core.plugins.module_utils.hidden_statuses import PERIOD, HiddenStatuses
from ansible_collections.clusternet.core.plugins.module_utils.managed_cluster import ready_condition
from ansible_collections.clusternet.core.plugins.module_utils.resources import (
    DESCRIPTIONS,
    HELM_RELEASES,
    MANAGED_CLUSTERS,
    SUBSCRIPTIONS,
)
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline

_SUBSCRIPTIONS, _DESCRIPTIONS, _RELEASES, _CLUSTERS = "subscriptions", "descriptions", "releases", "clusters"
_LONGEST_SELECTOR = 100  # UIDs, which keeps the URL below what servers and proxies take


def of_subscriptions(uids: Iterable[str]) -> str:
    """The label selector for what was made of Subscriptions: of these, or of any when they are many."""
    listed = sorted(uids)
    if len(listed) > _LONGEST_SELECTOR:
        return constants.LABEL_SUBSCRIPTION_UID
    return f"{constants.LABEL_SUBSCRIPTION_UID} in ({','.join(listed)})"


class SubscriptionWait:
    """Waits for the Subscriptions that were just handled; what comes of it is noted in their items."""

    def __init__(
        self, client: Client, settings: ConnectionSettings, items: Items, done: list[tuple], deadline: Deadline
    ):
        self._items = items
        self._handled = [(item, outcome.after or outcome.before) for item, outcome in done]
        self._handled = [(item, obj) for item, obj in self._handled if obj is not None]
        self._deadline = deadline
        self._mirrors = Mirrors(client, deadline)
        self._hidden = HiddenStatuses(client, settings)
        self._uids = {obj["metadata"]["uid"] for _item, obj in self._handled}

    def until(self, stage: str) -> None:
        """Wait until every Subscription has reached the I(stage), or has been failing for a while."""
        if not self._handled:
            return
        self._follow_subscriptions()
        if stage != "scheduled":
            self._follow_made()
        verdicts = wait_for_each(
            self._mirrors,
            lambda: self._standings(stage),
            self._deadline,
            lambda: PERIOD if self._hidden.found else float("inf"),
        )
        joined = self._joined(stage)
        for number, (item, obj) in enumerate(self._handled):
            if verdicts[number]:
                self._items.fail(item, verdicts[number])
            found = joined.get(obj["metadata"]["uid"])
            if found is not None:
                item["clusters"] = [name for _namespace, name in publication.bound_clusters(found.subscription)]
                item["problems"] = [
                    {"cluster": problem.cluster, "reason": problem.text, "failed": problem.failed}
                    for problem in publication.problems(found, stage)
                ]

    def until_gone(self) -> None:
        """Wait until neither the Subscriptions nor any Description or HelmRelease of them is left."""
        if not self._handled:
            return
        self._follow_subscriptions()
        self._follow_made()
        self._mirrors.follow(_CLUSTERS, Collection(MANAGED_CLUSTERS.path()))
        verdicts = wait_for_each(self._mirrors, self._leftovers, self._deadline)
        for number, (item, _obj) in enumerate(self._handled):
            if verdicts[number]:
                self._items.fail(item, verdicts[number])

    def _follow_subscriptions(self) -> None:
        namespaces = {obj["metadata"]["namespace"] for _item, obj in self._handled}
        namespace = namespaces.pop() if len(namespaces) == 1 else None
        name = self._handled[0][1]["metadata"]["name"] if len(self._handled) == 1 else None
        field_selector = f"metadata.name={name}" if name else None
        self._mirrors.follow(_SUBSCRIPTIONS, Collection(SUBSCRIPTIONS.path(namespace=namespace), None, field_selector))

    def _follow_made(self) -> None:
        selector = of_subscriptions(self._uids)
        self._mirrors.follow(_DESCRIPTIONS, Collection(DESCRIPTIONS.path(), selector))
        self._mirrors.follow(_RELEASES, Collection(HELM_RELEASES.path(), selector))

    def _joined(self, stage: str) -> dict[str, publication.Publication]:
        joined = publication.join(
            self._mirrors.objects(_SUBSCRIPTIONS),
            self._mirrors.objects(_DESCRIPTIONS),
            self._mirrors.objects(_RELEASES),
        )
        return {
            found.subscription["metadata"]["uid"]: self._hidden.completed(found) if stage == "healthy" else found
            for found in joined
            if found.subscription["metadata"]["uid"] in self._uids
        }

    def _standings(self, stage: str) -> list[Standing]:
        joined = self._joined(stage)
        return [self._standing(joined.get(obj["metadata"]["uid"]), stage) for _item, obj in self._handled]

    @staticmethod
    def _standing(found: Optional[publication.Publication], stage: str) -> Standing:
        if found is None:
            return Standing(["it was removed meanwhile"], ["it was removed meanwhile"])
        wrong = publication.problems(found, stage)
        state = None
        if not publication.has_conditions(found.subscription):
            objects = (found.subscription, *found.descriptions, *found.releases)
            state = " ".join(sorted(obj["metadata"]["resourceVersion"] for obj in objects))
        return Standing(
            [str(problem) for problem in wrong], [str(problem) for problem in wrong if problem.failed], state
        )

    def _leftovers(self) -> list[Standing]:
        left: dict[str, list[str]] = {uid: [] for uid in self._uids}
        ready = {
            cluster["metadata"]["namespace"]: ready_condition(cluster).get("status") == "True"
            for cluster in self._mirrors.objects(_CLUSTERS)
        }
        for kind, name in ((DESCRIPTIONS.kind, _DESCRIPTIONS), (HELM_RELEASES.kind, _RELEASES)):
            for obj in self._mirrors.objects(name):
                uid = obj["metadata"]["labels"][constants.LABEL_SUBSCRIPTION_UID]
                if uid in left:
                    left[uid].append(_leftover(kind, obj, ready))
        for obj in self._mirrors.objects(_SUBSCRIPTIONS):
            if obj["metadata"]["uid"] in left:
                left[obj["metadata"]["uid"]].append("the Subscription is still there")
        return [Standing(left[obj["metadata"]["uid"]], []) for _item, obj in self._handled]


def _leftover(kind: str, obj: dict[str, Any], ready: dict[str, bool]) -> str:
    """What is left and why."""
    metadata = obj["metadata"]
    cluster = metadata["labels"].get(constants.LABEL_CLUSTER_NAME) or metadata["namespace"]
    text = f"{cluster}: {kind} {metadata['name']} is still there"
    if not ready.get(metadata["namespace"], True):
        return f"{text}, because the cluster isn't ready; it goes when the cluster is back or unregistered"
    reason = (obj.get("status") or {}).get("reason")
    return f"{text} ({reason})" if reason else text
