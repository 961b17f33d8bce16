# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects as people may see them: without what only the server sets, and with secret values as keyed digests."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import Any, Mapping, Optional

# Fields that hold secret text, by kind; a path ends at the map, list or value to hide.
_SECRET_PATHS = {
    "Secret": (("data",), ("stringData",)),
    "ClusterRegistrationRequest": (("status", "token"), ("status", "caCertificate")),
    "Description": (("spec", "raw"), ("spec", "chartRaw")),
    "HelmRelease": (("spec", "overrides"),),
}
_COPIES_OF_THE_OBJECT = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "clusternet.io/last-applied-configuration",
)
SERVER_METADATA = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")


class Redactor:
    """Hides secret values; equal values of one run get equal digests, which nobody can compute again afterwards."""

    def __init__(self, key: Optional[bytes] = None):
        self._key = key or secrets.token_bytes(32)

    def digest(self, value: Any) -> str:
        """Stand-in for one secret value."""
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        return "hidden, digest " + hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:16]

    def hide(self, value: Any) -> Any:
        """Copy of any JSON value in which the secrets of every contained object are hidden."""
        if isinstance(value, list):
            return [self.hide(item) for item in value]
        if not isinstance(value, dict):
            return value
        copy = {key: self.hide(item) for key, item in value.items()}
        paths = _SECRET_PATHS.get(value.get("kind"), ()) if isinstance(value.get("kind"), str) else ()
        for path in paths:
            self._hide_path(copy, path)
        if paths:
            self._hide_path(copy, ("metadata", "annotations"), _COPIES_OF_THE_OBJECT)
        return copy

    def _hide_path(self, obj: dict, path: tuple, only: Optional[tuple] = None) -> None:
        """Hide, in place, what stands at I(path); of a map the values, with I(only) just those of these keys."""
        for key in path[:-1]:
            obj = obj.get(key)
            if not isinstance(obj, dict):
                return
        value = obj.get(path[-1])
        if isinstance(value, dict):
            obj[path[-1]] = {
                key: self.digest(item) if only is None or key in only else item for key, item in value.items()
            }
        elif isinstance(value, list):
            obj[path[-1]] = [self.digest(item) for item in value]
        elif value is not None:
            obj[path[-1]] = self.digest(value)

    def visible(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """What a diff shows of I(obj): its secrets hidden, server-set fields and status left out."""
        shown = {key: value for key, value in self.hide(dict(obj)).items() if key != "status"}
        shown["metadata"] = {key: value for key, value in shown["metadata"].items() if key not in SERVER_METADATA}
        return shown
