# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Subscriptions: from the module's options to the object (spec/01 §3.1)."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants, validate
from ansible_collections.clusternet.core.plugins.module_utils.custom_objects import custom_object
from ansible_collections.clusternet.core.plugins.module_utils.feeds import FEED_ARGUMENTS, feed, feed_text
from ansible_collections.clusternet.core.plugins.module_utils.resources import SUBSCRIPTIONS
from ansible_collections.clusternet.core.plugins.module_utils.validate import invalid

SELECTOR_ARGUMENTS: dict[str, Any] = {
    "type": "dict",
    "options": {
        "match_labels": {"type": "dict"},
        "match_expressions": {
            "type": "list",
            "elements": "dict",
            "options": {
                "key": {"type": "str", "required": True, "no_log": False},
                "operator": {"type": "str", "choices": list(constants.SELECTOR_OPERATORS), "required": True},
                "values": {"type": "list", "elements": "str"},
            },
        },
    },
}

SUBSCRIPTION_ARGUMENTS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "default": "default"},
    "labels": {"type": "dict"},
    "annotations": {"type": "dict"},
    "scheduler_name": {"type": "str", "default": "default"},
    "scheduling_strategy": {
        "type": "str",
        "choices": list(constants.SCHEDULING_STRATEGIES),
        "default": "Replication",
    },
    "scheduling_by_sub_group": {"type": "bool", "default": False},
    "dividing_scheduling": {
        "type": "dict",
        "options": {
            "type": {"type": "str", "choices": list(constants.DIVIDING_TYPES), "default": "Static"},
            "dynamic_dividing": {
                "type": "dict",
                "options": {
                    "strategy": {"type": "str", "choices": list(constants.DYNAMIC_STRATEGIES), "default": "Spread"},
                    "topology_spread_constraints": {"type": "list", "elements": "dict"},
                    "preferred_clusters": {"type": "list", "elements": "dict"},
                    "min_clusters": {"type": "int"},
                    "max_clusters": {"type": "int"},
                },
            },
        },
    },
    "priority": {"type": "int", "default": 0},
    "preemption_policy": {
        "type": "str",
        "choices": list(constants.PREEMPTION_POLICIES),
        "default": "PreemptLowerPriority",
    },
    "subscribers": {
        "type": "list",
        "elements": "dict",
        "options": {
            "cluster_affinity": {**SELECTOR_ARGUMENTS, "required": True},
            "weight": {"type": "int"},
            "sub_group_strategy": {"type": "dict", "options": {"min_clusters": {"type": "int", "required": True}}},
        },
    },
    "cluster_tolerations": {
        "type": "list",
        "elements": "dict",
        "options": {
            "key": {"type": "str", "no_log": False},
            "operator": {"type": "str", "choices": ["Equal", "Exists"]},
            "value": {"type": "str"},
            "effect": {"type": "str", "choices": list(constants.TAINT_EFFECTS)},
            "toleration_seconds": {"type": "int"},
        },
    },
    "feeds": {"type": "list", "elements": "dict", "options": FEED_ARGUMENTS},
}
"""Suboptions of one Subscription."""


def subscription(option: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The object for its suboptions, with every default that the server would set; raises ConfigError."""
    name = given["name"]
    if not given["feeds"]:
        raise invalid(option, f"{name} needs feeds, what it publishes")
    if not given["subscribers"]:
        raise invalid(option, f"{name} needs subscribers, the clusters to which it publishes")
    feeds = [feed(option, item) for item in given["feeds"]]
    for number, item in enumerate(feeds):
        if item in feeds[:number]:
            raise invalid(option, f"{name} has the feed {feed_text(item)} twice")
    by_sub_group = given["scheduling_by_sub_group"]
    spec = {
        "schedulerName": given["scheduler_name"],
        "schedulingStrategy": given["scheduling_strategy"],
        "schedulingBySubGroup": by_sub_group or None,
        "dividingScheduling": _dividing(option, name, given),
        "priority": given["priority"] or None,
        "preemptionPolicy": given["preemption_policy"],
        "subscribers": [_subscriber(option, name, item, by_sub_group) for item in given["subscribers"]],
        "clusterTolerations": [_toleration(item) for item in given["cluster_tolerations"] or ()] or None,
        "feeds": feeds,
    }
    return custom_object(SUBSCRIPTIONS, option, given, spec)


def _dividing(option: str, name: str, given: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    dividing = given["dividing_scheduling"]
    if given["scheduling_strategy"] != "Dividing":
        if dividing:
            raise invalid(option, f"{name} has dividing_scheduling, which needs scheduling_strategy Dividing")
        return None
    dividing = dividing or {"type": "Static"}
    dynamic = dividing.get("dynamic_dividing")
    if dividing["type"] == "Static":
        if dynamic:
            raise invalid(option, f"{name} has dynamic_dividing, which needs dividing_scheduling.type Dynamic")
        return {"type": "Static"}
    dynamic = dynamic or {"strategy": "Spread"}
    fields = {
        "strategy": dynamic["strategy"],
        "topologySpreadConstraints": dynamic.get("topology_spread_constraints"),
        "preferredClusters": dynamic.get("preferred_clusters"),
        "minClusters": dynamic.get("min_clusters"),
        "maxClusters": dynamic.get("max_clusters"),
    }
    return {"type": "Dynamic", "dynamicDividing": _set(fields)}


def _subscriber(option: str, name: str, given: Mapping[str, Any], by_sub_group: bool) -> dict[str, Any]:
    group = given.get("sub_group_strategy")
    if by_sub_group and not group:
        raise invalid(option, f"every subscriber of {name} needs sub_group_strategy with scheduling_by_sub_group")
    weight = given.get("weight")
    if weight is not None:
        validate.count(option, weight)
    return _set(
        {
            "clusterAffinity": selector(option, given["cluster_affinity"]),
            "weight": weight,
            "subGroupStrategy": {"minClusters": validate.count(option, group["min_clusters"])} if group else None,
        }
    )


def _toleration(given: Mapping[str, Any]) -> dict[str, Any]:
    return _set(
        {
            "key": given.get("key"),
            "operator": given.get("operator"),
            "value": given.get("value"),
            "effect": given.get("effect"),
            "tolerationSeconds": given.get("toleration_seconds"),
        }
    )


def selector(option: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The label selector of the API for its suboptions; raises ConfigError."""
    expressions = []
    for item in given.get("match_expressions") or ():
        values = item.get("values") or []
        if bool(values) != (item["operator"] in ("In", "NotIn")):
            need = "needs values" if not values else "takes no values"
            raise invalid(option, f"the operator {item['operator']} for the label {item['key']} {need}")
        key = validate.label_key(option, item["key"])
        expressions.append(_set({"key": key, "operator": item["operator"], "values": values or None}))
    return _set(
        {
            "matchLabels": validate.labels(option, given.get("match_labels")) or None,
            "matchExpressions": expressions or None,
        }
    )


def _set(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {key: value for key, value in fields.items() if value is not None}
