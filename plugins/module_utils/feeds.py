# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Feeds, the references by which Subscriptions and overrides name what is published (spec/01 §3.0)."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.clusternet.core.plugins.module_utils import constants
from ansible_collections.clusternet.core.plugins.module_utils.validate import invalid

FEED_ARGUMENTS: dict[str, dict[str, Any]] = {
    "api_version": {"type": "str"},
    "kind": {"type": "str", "required": True},
    "namespace": {"type": "str"},
    "name": {"type": "str", "required": True},
}
"""Suboptions that name one feed."""


def feed(option: str, given: Mapping[str, Any]) -> dict[str, str]:
    """The feed of the API for its suboptions; raises ConfigError.

    C(api_version) may be left out for HelmCharts, whose namespace it is that can't.
    """
    kind, name = given["kind"], given["name"]
    api_version = given.get("api_version")
    if kind == constants.HELM_CHART_KIND:
        api_version = api_version or constants.APPS_API_VERSION
        if not given.get("namespace"):
            raise invalid(option, f"the feed {kind} {name} needs the namespace of the chart")
    if not api_version:
        raise invalid(option, f"the feed {kind} {name} needs an api_version")
    found = {"apiVersion": api_version, "kind": kind, "name": name}
    return {**found, "namespace": given["namespace"]} if given.get("namespace") else found


def is_chart(item: Mapping[str, Any]) -> bool:
    """Whether a feed of the API means a HelmChart: its kind alone says that."""
    return bool(item["kind"] == constants.HELM_CHART_KIND)


def feed_text(item: Mapping[str, Any]) -> str:
    """How messages name a feed of the API: C(Deployment foo/nginx) or C(Namespace foo)."""
    namespace = item.get("namespace")
    return f"{item['kind']} {namespace}/{item['name']}" if namespace else f"{item['kind']} {item['name']}"
