# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What modules return of a Description (spec/01 §3.7)."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.clusternet.core.plugins.module_utils import constants
from ansible_collections.clusternet.core.plugins.module_utils.publication import decoded, malformed, natives
from ansible_collections.clusternet.core.plugins.module_utils.redact import Redactor


def view(description: Mapping[str, Any], content: bool, redactor: Redactor) -> dict[str, Any]:
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
        "generation": metadata.get("generation"),
        "deleting": bool(metadata.get("deletionTimestamp")),
        "objects": redactor.hide(natives(spec.get("raw"))) if content and not helm else [],
        "charts": charts(spec, redactor) if content and helm else [],
        "malformed": malformed(spec),
        "observed": redactor.hide(status.get("manifestStatuses") or []) if content else [],
    }


def charts(spec: Mapping[str, Any], redactor: Redactor) -> list[dict[str, Any]]:
    """The charts in the spec of a Description, with their values unless the I(redactor) hides them."""
    rendered, values = decoded(spec.get("chartRaw")), decoded(spec.get("raw"))
    return [
        {
            "name": chart["name"],
            "namespace": chart["namespace"],
            "spec": rendered[number].get("spec") or {} if number < len(rendered) else {},
            "values": redactor.values(values[number]) if number < len(values) and values[number] else None,
        }
        for number, chart in enumerate(spec.get("charts") or ())
    ]
