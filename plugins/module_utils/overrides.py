# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Localizations and Globalizations: from the modules' options to the objects (spec/01 §3.4)."""

from __future__ import annotations

import json
from typing import Any, Iterable, Mapping

from ansible_collections.clusternet.core.plugins.module_utils import constants
from ansible_collections.clusternet.core.plugins.module_utils.custom_objects import custom_object
from ansible_collections.clusternet.core.plugins.module_utils.feeds import FEED_ARGUMENTS, feed
from ansible_collections.clusternet.core.plugins.module_utils.resources import GLOBALIZATIONS, LOCALIZATIONS
from ansible_collections.clusternet.core.plugins.module_utils.subscription import SELECTOR_ARGUMENTS, selector
from ansible_collections.clusternet.core.plugins.module_utils.validate import invalid

_LOWEST, _HIGHEST = 0, 1000

_COMMON_ARGUMENTS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "labels": {"type": "dict"},
    "annotations": {"type": "dict"},
    "override_policy": {"type": "str", "choices": list(constants.OVERRIDE_POLICIES), "default": "ApplyNow"},
    "priority": {"type": "int", "default": 500},
    "feed": {"type": "dict", "options": FEED_ARGUMENTS},
    "overrides": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str"},
            "type": {"type": "str", "choices": list(constants.OVERRIDE_TYPES), "required": True},
            "value": {"type": "raw", "required": True},
            "override_chart": {"type": "bool", "default": False},
            "field_path": {"type": "str"},
            "field_format": {"type": "str", "choices": list(constants.FIELD_FORMATS)},
        },
    },
}

LOCALIZATION_ARGUMENTS: dict[str, dict[str, Any]] = {
    **_COMMON_ARGUMENTS,
    "cluster": {"type": "str"},
    "namespace": {"type": "str"},
}
"""Suboptions of one Localization."""

GLOBALIZATION_ARGUMENTS: dict[str, dict[str, Any]] = {**_COMMON_ARGUMENTS, "cluster_affinity": SELECTOR_ARGUMENTS}
"""Suboptions of one Globalization."""


def localization(option: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The object for its suboptions, of which C(namespace) must be set; raises ConfigError."""
    return custom_object(LOCALIZATIONS, option, given, _spec(option, given))


def globalization(option: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The object for its suboptions; raises ConfigError."""
    spec = _spec(option, given)
    if given["cluster_affinity"] is not None:
        spec["clusterAffinity"] = selector(option, given["cluster_affinity"])
    return custom_object(GLOBALIZATIONS, option, given, spec)


def check(option: str, given: Iterable[Mapping[str, Any]]) -> None:
    """Raise ConfigError when any of the suboptions is wrong, before the parent is asked for clusters."""
    for item in given:
        _spec(option, item)


def _spec(option: str, given: Mapping[str, Any]) -> dict[str, Any]:
    name, priority = given["name"], given["priority"]
    if not given["feed"]:
        raise invalid(option, f"{name} needs the feed that it overrides")
    if not _LOWEST <= priority <= _HIGHEST:
        raise invalid(option, f"the priority {priority} of {name} must be from {_LOWEST} to {_HIGHEST}")
    wanted = feed(option, given["feed"])
    return {
        "overridePolicy": given["override_policy"],
        "priority": priority,
        "feed": wanted,
        "overrides": [
            _override(option, f"override {number} of {name}", item, wanted["kind"])
            for number, item in enumerate(given["overrides"] or (), start=1)
        ],
    }


def _override(option: str, place: str, given: Mapping[str, Any], kind: str) -> dict[str, Any]:
    of_field = given["type"].startswith("Field")
    if of_field and not (given["field_path"] and given["field_format"]):
        raise invalid(option, f"{place} needs field_path and field_format, because its type is {given['type']}")
    if not of_field and (given["field_path"] or given["field_format"]):
        raise invalid(option, f"{place} has field_path or field_format, which only Field types take")
    if of_field and not given["field_path"].startswith("/"):
        raise invalid(option, f"field_path of {place} must begin with a slash")
    if given["override_chart"] and kind != constants.HELM_CHART_KIND:
        raise invalid(option, f"{place} has override_chart, but its feed is no HelmChart")
    fields = {
        "name": given["name"],
        "type": given["type"],
        "value": _text(option, place, given["value"], given["type"]),
        "overrideChart": given["override_chart"] or None,
        "fieldPath": given["field_path"],
        "fieldFormat": given["field_format"],
    }
    return {key: value for key, value in fields.items() if value is not None}


def _text(option: str, place: str, value: Any, kind: str) -> str:
    """The text of the API for a value: text as it is, data as JSON, which reads the same as YAML of any version."""
    patch = kind in ("JSONPatch", "FieldJSONPatch")
    if isinstance(value, str):
        return value
    if not isinstance(value, list if patch else dict):
        raise invalid(option, f"the value of {place} must be a {'list of operations' if patch else 'mapping'} or text")
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
