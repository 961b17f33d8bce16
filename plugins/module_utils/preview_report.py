# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Previews for people: as data, and as differences from what is there; secrets are hidden in both."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

from ansible_collections.clusternet.core.plugins.module_utils.feeds import feed_text
from ansible_collections.clusternet.core.plugins.module_utils.preview import ClusterPreview, SubscriptionPreview
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import CREATED, DELETED, UNCHANGED, UPDATED
from ansible_collections.clusternet.core.plugins.module_utils.redact import Redactor


class PreviewReport:
    """Shows previews as far as the I(redactor) lets them show."""

    def __init__(self, redactor: Redactor):
        self._redactor = redactor

    def view(self, preview: SubscriptionPreview) -> dict[str, Any]:
        """What modules return of a Subscription's preview."""
        return {
            "name": preview.name,
            "namespace": preview.namespace,
            "reason": preview.reason,
            "message": preview.message,
            "replicas": preview.replicas,
            "clusters": [self._cluster(cluster) for cluster in preview.clusters],
        }

    def diffs(self, preview: SubscriptionPreview) -> list[dict[str, Any]]:
        """The differences of each object and chart on each cluster."""
        return [
            {
                "before_header": f"{cluster.name}: {text}",
                "after_header": f"{cluster.name}: {text}",
                "before": before or {},
                "after": after or {},
            }
            for cluster in preview.clusters
            for text, before, after in self._pairs(cluster)
            if before != after
        ]

    def changes(self, preview: SubscriptionPreview) -> bool:
        """Whether anything would be another than it is."""
        return bool(self.diffs(preview))

    def _cluster(self, cluster: ClusterPreview) -> dict[str, Any]:
        return {
            "name": cluster.name,
            "namespace": cluster.namespace,
            "objects": [self._redactor.hide(obj) for obj in cluster.objects],
            "charts": [self._chart(chart, values) for chart, values in cluster.charts],
            "changes": [
                {"what": text, "action": _action(before, after)} for text, before, after in self._pairs(cluster)
            ],
            "problems": [{"reason": reason, "message": message} for reason, message in cluster.problems],
        }

    def _chart(self, chart: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "name": chart["metadata"]["name"],
            "namespace": chart["metadata"].get("namespace"),
            "labels": chart["metadata"].get("labels") or {},
            "spec": chart.get("spec") or {},
            "values": self._redactor.values(dict(values)),
        }

    def _pairs(self, cluster: ClusterPreview) -> list[tuple[str, Optional[dict], Optional[dict]]]:
        """What everything is now and would be, None where it isn't there."""
        now = {_text(obj): self._redactor.hide(obj) for obj in cluster.objects_now}
        now.update(self._chart_texts(cluster.charts_now))
        wanted = {_text(obj): self._redactor.hide(obj) for obj in cluster.objects}
        wanted.update(self._chart_texts(cluster.charts))
        return [(text, now.get(text), wanted.get(text)) for text in dict.fromkeys([*wanted, *now])]

    def _chart_texts(self, charts: Iterable[tuple]) -> dict[str, dict[str, Any]]:
        shown = [self._chart(chart, values) for chart, values in charts]
        return {f"HelmChart {chart['namespace']}/{chart['name']}": chart for chart in shown}


def _text(obj: Mapping[str, Any]) -> str:
    metadata = obj["metadata"]
    return feed_text({"kind": obj["kind"], "namespace": metadata.get("namespace"), "name": metadata["name"]})


def _action(before: Optional[dict], after: Optional[dict]) -> str:
    if before == after:
        return UNCHANGED
    if before is None:
        return CREATED
    return DELETED if after is None else UPDATED
