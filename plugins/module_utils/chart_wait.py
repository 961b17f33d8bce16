# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting until the hub has found charts, or until HelmCharts are gone."""

from __future__ import annotations

from typing import Any

from ansible_collections.clusternet.core.plugins.module_utils import constants
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.custom_objects import Items, place_of
from ansible_collections.clusternet.core.plugins.module_utils.following import (
    Collection,
    Mirrors,
    Standing,
    wait_for_each,
)
from ansible_collections.clusternet.core.plugins.module_utils.helm_chart import not_found, tells_generation, verdict
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import UPDATED
from ansible_collections.clusternet.core.plugins.module_utils.resources import HELM_CHARTS
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline

_CHARTS = "charts"
_PROTECTION = "apps.clusternet.io/feed-protection"


class ChartWait:
    """Waits for the HelmCharts that were just handled; what goes wrong is noted in their items."""

    def __init__(self, client: Client, items: Items, done: list[tuple], deadline: Deadline):
        self._items = items
        self._done = [(item, outcome) for item, outcome in done if outcome.after or outcome.before]
        self._deadline = deadline
        self._mirrors = Mirrors(client, deadline)

    def until_found(self) -> None:
        """Wait until every chart is found."""
        self._wait(self._found)

    def until_gone(self) -> None:
        """Wait until every HelmChart is gone."""
        self._wait(self._gone)

    def _wait(self, judge: Any) -> None:
        if not self._done:
            return
        namespaces = {item["namespace"] for item, _outcome in self._done}
        namespace = namespaces.pop() if len(namespaces) == 1 else None
        self._mirrors.follow(_CHARTS, Collection(HELM_CHARTS.path(namespace=namespace)))
        problems = wait_for_each(self._mirrors, lambda: self._judged(judge), self._deadline)
        for number, (item, _outcome) in enumerate(self._done):
            if problems[number]:
                self._items.fail(item, problems[number])

    def _judged(self, judge: Any) -> list[Standing]:
        charts = {place_of(chart): chart for chart in self._mirrors.objects(_CHARTS)}
        return [judge(charts.get(place_of(outcome.after or outcome.before)), outcome) for _item, outcome in self._done]

    @staticmethod
    def _found(chart: Any, outcome: Any) -> Standing:
        if chart is None:
            return Standing(["it was removed meanwhile"], ["it was removed meanwhile"])
        if verdict(chart) == constants.PHASE_FOUND:
            doubtful = outcome.action == UPDATED and not tells_generation(chart)
            return Standing([], [], chart["metadata"]["resourceVersion"] if doubtful else None)
        reason = not_found(chart)
        return Standing([reason or "the hub has not looked for the chart yet"], [reason] if reason else [])

    @staticmethod
    def _gone(chart: Any, outcome: Any) -> Standing:
        if chart is None or chart["metadata"]["uid"] != outcome.before["metadata"]["uid"]:
            return Standing([], [])
        held = (chart["metadata"].get("annotations") or {}).get(_PROTECTION)
        return Standing([held or "it is still there"], [held] if held else [])
