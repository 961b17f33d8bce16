# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a server-side apply would change nothing, judged from the object's managed fields (one GET, no write)."""

from __future__ import annotations

import json
from typing import Any, Mapping, Optional

_UNTRACKED_METADATA = ("name", "namespace")


def is_applied(desired: Mapping[str, Any], live: Mapping[str, Any], manager: str) -> bool:
    """True when I(manager) has applied just the fields of I(desired) and I(live) still has their values.

    False means that an apply is needed to find out: the answer errs on that side only, as for quantities that the
    server writes in another form.
    """
    owned = _owned_fields(live, manager)
    return owned is not None and _same(owned, _tracked(desired), live)


def _owned_fields(live: Mapping[str, Any], manager: str) -> Optional[dict[str, Any]]:
    for entry in live.get("metadata", {}).get("managedFields", ()):
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return entry.get("fieldsV1", {})
    return None


def _tracked(desired: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of I(desired) that the server notes as applied: all but those that say which object it is."""
    tracked = {key: value for key, value in desired.items() if key not in ("apiVersion", "kind", "metadata")}
    metadata = {key: value for key, value in desired["metadata"].items() if key not in _UNTRACKED_METADATA}
    if metadata:
        tracked["metadata"] = metadata
    return tracked


def _same(owned: Mapping[str, Any], desired: Any, live: Any) -> bool:
    children = {key: value for key, value in owned.items() if key != "."}
    if isinstance(desired, dict) and isinstance(live, dict) and (children or not desired):
        return set(children) == {f"f:{key}" for key in desired} and all(
            key in live and _same(children[f"f:{key}"], value, live[key]) for key, value in desired.items()
        )
    if children and isinstance(desired, list) and isinstance(live, list):
        return len(children) == len(desired) and all(
            _same_item(path, child, desired, live) for path, child in children.items()
        )
    return not children and desired == live


def _same_item(path: str, owned: Mapping[str, Any], desired: list, live: list) -> bool:
    """One item of a list that is a map by keys (C(k:)) or a set of values (C(v:))."""
    kind, _colon, text = path.partition(":")
    if kind == "v":
        value = json.loads(text)
        return value in desired and value in live
    if kind != "k":
        return False
    keys = json.loads(text)
    wanted = [item for item in desired if all(item.get(key, value) == value for key, value in keys.items())]
    found = [item for item in live if all(item.get(key) == value for key, value in keys.items())]
    return len(wanted) == 1 and len(found) == 1 and _same(owned, wanted[0], found[0])
