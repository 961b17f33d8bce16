# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What modules return of a Description (spec/01 §3.7).

Its objects are as they are on the cluster, with the values of overrides in them. These are hidden as they are in the
overrides themselves: what an object has in common with an override for it.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants
from ansible_collections.clusternet.core.plugins.module_utils.publication import decoded, malformed, natives
from ansible_collections.clusternet.core.plugins.module_utils.redact import (
    Redactor,
    overriding_fields,
    overriding_values,
)


class Shown:
    """Objects and charts as they may be seen.

    I(overrides) are all Localizations and Globalizations, without those that divide replicas; None if they can't be
    read: then all values are hidden.
    """

    def __init__(self, redactor: Redactor, overrides: Optional[Iterable[Mapping[str, Any]]]):
        self.redactor = redactor
        self._readable = overrides is not None
        self._values: dict[tuple, list[Any]] = {}
        self._fields: dict[tuple, set[tuple]] = {}
        self._untold: set[tuple] = set()
        for override in overrides or ():
            place, found = _place(override["spec"]["feed"]), overriding_values(override["spec"])
            self._fields.setdefault(place, set()).update(overriding_fields(override["spec"]))
            if found is None:
                self._untold.add(place)
            else:
                self._values.setdefault(place, []).extend(found)

    def obj(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """Copy of an object, or of a chart without its values."""
        metadata = obj.get("metadata")
        place = _place({**(metadata if isinstance(metadata, dict) else {}), "kind": obj.get("kind")})
        if self._readable and place not in self._untold:
            private = self.redactor.equal(obj, self._values.get(place, ()))
            private |= set() if self.redactor.show_values else self._fields.get(place, set())
        else:
            private = self.redactor.changed(obj, None)
        return self.redactor.hide(self.redactor.without(obj, private))


def _place(feed: Mapping[str, Any]) -> tuple:
    return feed.get("kind"), feed.get("namespace") or "", feed.get("name")


def view(description: Mapping[str, Any], content: bool, shown: Shown) -> dict[str, Any]:
    """The Description for people, with secrets hidden; without what it deploys unless I(content)."""
    metadata, spec, status = description["metadata"], description["spec"], description.get("status") or {}
    labels = metadata.get("labels") or {}
    helm = spec["deployer"] == "Helm"
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "cluster": labels.get(constants.LABEL_CLUSTER_NAME),
        "cluster_id": labels.get(constants.LABEL_CLUSTER_ID),
        "subscription_uid": labels.get(constants.LABEL_SUBSCRIPTION_UID),
        "deployer": spec["deployer"],
        "phase": status.get("phase"),
        "reason": status.get("reason"),
        "conditions": status.get("conditions") or [],
        "generation": metadata.get("generation"),
        "deleting": bool(metadata.get("deletionTimestamp")),
        "objects": [shown.obj(obj) for obj in natives(spec.get("raw"))] if content and not helm else [],
        "charts": charts(spec, shown) if content and helm else [],
        "malformed": malformed(spec),
        "observed": shown.redactor.hide(status.get("manifestStatuses") or []) if content else [],
    }


def charts(spec: Mapping[str, Any], shown: Shown) -> list[dict[str, Any]]:
    """The charts in the spec of a Description, with their values as far as they may be seen."""
    rendered, values = decoded(spec.get("chartRaw")), decoded(spec.get("raw"))
    return [
        {
            "name": chart["name"],
            "namespace": chart["namespace"],
            "spec": shown.obj(rendered[number]).get("spec") or {} if number < len(rendered) else {},
            "values": shown.redactor.values(values[number]) if number < len(values) and values[number] else None,
        }
        for number, chart in enumerate(spec.get("charts") or ())
    ]
