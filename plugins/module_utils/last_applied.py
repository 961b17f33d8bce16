# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judging and merging native objects by what was applied last, which the object itself remembers in an annotation.

It is the annotation of kubectl, so that objects which kubectl has applied go on without a break. Long texts and the
contents of Secrets stand in it as digests.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Mapping

from ansible_collections.clusternet.core.plugins.module_utils import nesting

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
_LONG = 1024  # characters of a text that is replaced by its digest


def remembering(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Copy of I(definition) that bears the annotation."""
    metadata = definition["metadata"]
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != ANNOTATION}
    bare = {**definition, "metadata": {**metadata, "annotations": annotations}}
    if not annotations:
        bare["metadata"] = {key: value for key, value in metadata.items() if key != "annotations"}
    text = json.dumps(_shortened(bare, definition["kind"] == "Secret"), sort_keys=True, separators=(",", ":"))
    return {**definition, "metadata": {**metadata, "annotations": {**annotations, ANNOTATION: text}}}


def _shortened(value: Any, secret: bool) -> Any:
    if isinstance(value, dict):
        return {
            key: {name: _digest(str(item)) for name, item in content.items()}
            if secret and key in ("data", "stringData") and isinstance(content, dict)
            else _shortened(content, False)
            for key, content in value.items()
        }
    if isinstance(value, list):
        return [_shortened(item, False) for item in value]
    return _digest(value) if isinstance(value, str) and len(value) > _LONG else value


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def is_as_wanted(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether I(wanted), made by C(remembering), was applied last and nothing of it has been changed since."""
    return _annotation(live) == _annotation(wanted) and contains(live, wanted)


def contains(live: Any, wanted: Any) -> bool:
    """Whether everything of I(wanted) is in I(live), which may have more fields in any mapping."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            key not in live if value is None else key in live and contains(live[key], value)
            for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(live, list)
            and len(live) == len(wanted)
            and all(contains(live[number], item) for number, item in enumerate(wanted))
        )
    return bool(live == wanted)


def merged(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What I(live) becomes: I(wanted) laid over it, without what was applied before and is no longer wanted.

    Fields that others have set stay, as they do with C(kubectl apply). Lists are taken apart only as long as their
    items can't have changed places.
    """
    try:
        before = nesting.loads(_annotation(live) or "{}")
    except ValueError:
        before = {}
    return _merge(live, wanted, before)


def _merge(live: Any, wanted: Any, before: Any) -> Any:
    if isinstance(live, dict) and isinstance(wanted, dict):
        before = before if isinstance(before, dict) else {}
        kept = {key: value for key, value in live.items() if key not in wanted and key not in before}
        return kept | {
            key: _merge(live.get(key), value, before.get(key)) for key, value in wanted.items() if value is not None
        }
    if isinstance(live, list) and isinstance(wanted, list) and len(live) == len(wanted):
        before = before if isinstance(before, list) and len(before) == len(wanted) else [{}] * len(wanted)
        if all(_same_item(live[number], item) for number, item in enumerate(wanted)):
            return [_merge(live[number], item, before[number]) for number, item in enumerate(wanted)]
    return wanted


def _same_item(live: Any, wanted: Any) -> bool:
    """Whether two items at the same place of two lists are the same thing, judged by its name."""
    return isinstance(live, dict) and isinstance(wanted, dict) and live.get("name") == wanted.get("name")


def _annotation(obj: Mapping[str, Any]) -> Any:
    return (obj["metadata"].get("annotations") or {}).get(ANNOTATION)
