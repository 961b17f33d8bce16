# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Previews for people: as data, and as differences from what is there; secrets are hidden in both.

The values of overrides are hidden in what they change, as they are in the overrides themselves: all in an object that
isn't so before it is overridden.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ansible_collections.clusternet.core.plugins.module_utils.feeds import feed_text
from ansible_collections.clusternet.core.plugins.module_utils.preview import ClusterPreview, SubscriptionPreview
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import CREATED, DELETED, UNCHANGED, UPDATED
from ansible_collections.clusternet.core.plugins.module_utils.redact import Paths, Redactor


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
        plain = {_text(obj): obj for obj in cluster.plain}
        return {
            "name": cluster.name,
            "namespace": cluster.namespace,
            "objects": [
                self._object(obj, self._redactor.changed(obj, plain.get(_text(obj)))) for obj in cluster.objects
            ],
            "charts": [
                self._chart(chart, values, self._redactor.changed(chart, plain.get(_text(chart))))
                for chart, values in cluster.charts
            ],
            "changes": [
                {"what": text, "action": _action(before, after)} for text, before, after in self._pairs(cluster)
            ],
            "problems": [{"reason": reason, "message": message} for reason, message in cluster.problems],
        }

    def _object(self, obj: Mapping[str, Any], private: Paths) -> dict[str, Any]:
        return self._redactor.hide(self._redactor.without(obj, private))

    def _chart(self, chart: Mapping[str, Any], values: Mapping[str, Any], private: Paths) -> dict[str, Any]:
        shown = self._redactor.without(chart, private)
        return {
            "name": shown["metadata"]["name"],
            "namespace": shown["metadata"].get("namespace"),
            "labels": shown["metadata"].get("labels") or {},
            "spec": shown.get("spec") or {},
            "values": self._redactor.values(dict(values)),
        }

    def _pairs(self, cluster: ClusterPreview) -> list[tuple[str, Optional[dict], Optional[dict]]]:
        """What everything is now and would be, None where it isn't there.

        What is private on one side is hidden on the other, too, so that what stays equal looks equal.
        """
        now = {_text(obj): (obj, None) for obj in cluster.objects_now}
        now.update((_text(chart), (chart, values)) for chart, values in cluster.charts_now)
        wanted = {_text(obj): (obj, None) for obj in cluster.objects}
        wanted.update((_text(chart), (chart, values)) for chart, values in cluster.charts)
        sides = (
            (now, {_text(obj): obj for obj in cluster.plain_now}),
            (wanted, {_text(obj): obj for obj in cluster.plain}),
        )
        pairs = []
        for text in dict.fromkeys([*wanted, *now]):
            private = {
                path
                for found, plain in sides
                if text in found
                for path in self._redactor.changed(found[text][0], plain.get(text))
            }
            before, after = (self._shown(found.get(text), private) for found, _plain in sides)
            pairs.append((text, before, after))
        return pairs

    def _shown(self, found: Optional[tuple], private: Paths) -> Optional[dict[str, Any]]:
        if found is None:
            return None
        obj, values = found
        return self._object(obj, private) if values is None else self._chart(obj, values, private)


def _text(obj: Mapping[str, Any]) -> str:
    metadata = obj["metadata"]
    return feed_text({"kind": obj["kind"], "namespace": metadata.get("namespace"), "name": metadata["name"]})


def _action(before: Optional[dict], after: Optional[dict]) -> str:
    if before == after:
        return UNCHANGED
    if before is None:
        return CREATED
    return DELETED if after is None else UPDATED
