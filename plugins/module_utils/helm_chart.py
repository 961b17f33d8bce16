# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HelmCharts: from the module's options to the object, and whether the hub has found the chart (spec/01 §3.2)."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants, validate
from ansible_collections.clusternet.core.plugins.module_utils.custom_objects import custom_object
from ansible_collections.clusternet.core.plugins.module_utils.resources import HELM_CHARTS
from ansible_collections.clusternet.core.plugins.module_utils.validate import invalid

_SWITCHES = {
    "plain_http": "plainHTTP",
    "wait": "wait",
    "wait_for_job": "waitForJob",
    "replace": "replace",
    "atomic": "atomic",
    "upgrade_atomic": "upgradeAtomic",
    "skip_crds": "skipCRDs",
    "replace_crds": "replaceCRDs",
    "disable_hooks": "disableHooks",
    "force": "force",
}

CHART_ARGUMENTS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "default": "default"},
    "labels": {"type": "dict"},
    "annotations": {"type": "dict"},
    "repo": {"type": "str"},
    "chart": {"type": "str"},
    "version": {"type": "str"},
    "target_namespace": {"type": "str"},
    "pull_secret": {
        "type": "dict",
        "no_log": False,
        "options": {"name": {"type": "str", "required": True}, "namespace": {"type": "str", "required": True}},
    },
    "create_namespace": {"type": "bool", "default": True},
    "timeout_seconds": {"type": "int", "default": 300},
    **{name: {"type": "bool", "default": False} for name in _SWITCHES},
}
"""Suboptions of one HelmChart."""


def helm_chart(option: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The object for its suboptions, with every default that the server would set; raises ConfigError."""
    name = validate.object_name(option, given["name"], validate.DNS_LABEL_LENGTH)
    for field in ("repo", "chart", "target_namespace"):
        if not given[field]:
            raise invalid(option, f"{name} needs {field}")
    scheme = given["repo"].partition("://")[0]
    if scheme not in ("http", "https", "oci"):
        raise invalid(option, f"repo of {name} must begin with https://, http:// or oci://")
    if scheme == "oci" and not given["version"]:
        raise invalid(option, f"{name} needs version, because its repo is an OCI registry")
    secret = given["pull_secret"]
    spec = {
        "repo": given["repo"],
        "chart": given["chart"],
        "version": given["version"],
        "targetNamespace": validate.dns_label(option, given["target_namespace"]),
        "chartPullSecret": {"name": secret["name"], "namespace": secret["namespace"]} if secret else None,
        "createNamespace": given["create_namespace"],
        "timeoutSeconds": given["timeout_seconds"],
        **{field: given[switch] or None for switch, field in _SWITCHES.items()},
    }
    return custom_object(HELM_CHARTS, option, given, spec)


def verdict(chart: Mapping[str, Any]) -> Optional[str]:
    """Phase of the chart, C(Found) or C(NotFound); None while the hub looks, or when it has judged an older spec."""
    status, generation = chart.get("status") or {}, chart["metadata"].get("generation", 0)
    return status.get("phase") if status.get("observedGeneration", generation) >= generation else None


def tells_generation(chart: Mapping[str, Any]) -> bool:
    """Whether the hub says which generation its verdict is about."""
    return "observedGeneration" in (chart.get("status") or {})


def not_found(chart: Mapping[str, Any]) -> Optional[str]:
    """Why the hub can't take the chart; None when it has found it or is still looking."""
    if verdict(chart) != constants.PHASE_NOT_FOUND:
        return None
    spec = chart["spec"]
    return (
        f"chart {spec['chart']} {spec.get('version') or '(newest version)'} is not in {spec['repo']}: "
        f"{chart['status'].get('reason') or 'no reason given'}"
    )
