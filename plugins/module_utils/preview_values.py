# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values of published Secrets, which the hub keeps apart from Manifests and Descriptions, for previews.

They are read where the user may read them. Where not, a text says so in the place of each, on both sides of a
comparison: what can't be seen isn't told as a change.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError
from ansible_collections.clusternet.core.plugins.module_utils.resources import SECRETS

try:
    from clusternet_engine.model import secret_values
except ImportError:
    secret_values = None

UNKNOWN = "unknown, because its Secret can't be read"
"""Stands for a value."""


class PublishedValues:
    """Completes objects; the Secrets with values of Manifests are read at once, those of Descriptions one by one."""

    def __init__(self, client: Client, reserved_namespace: str):
        self._client = client
        self._reserved = reserved_namespace
        self._of_manifests: Optional[dict[str, dict[str, Any]]] = None

    def manifest(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """I(manifest) with its values; raises ApiError."""
        name = secret_values.values_name(manifest)
        if name is None:
            return manifest
        if self._of_manifests is None:
            path, selector = SECRETS.path(namespace=self._reserved), f"type={constants.MANIFEST_VALUES_TYPE}"
            found = self._read(lambda: self._client.list(path, field_selector=selector)) or []
            self._of_manifests = {item["metadata"]["name"]: item for item in found}
        secret = self._of_manifests.get(name)
        template = _joined(manifest["template"], secret, constants.MANIFEST_VALUES_TYPE)
        return {**secret_values.referring(manifest, None), "template": template}

    def entry(self, obj: dict[str, Any], namespace: str) -> dict[str, Any]:
        """An object of a Description in I(namespace) with its values; raises ApiError."""
        name = secret_values.values_name(obj) if isinstance(obj.get("metadata"), dict) else None
        if name is None or not secret_values.is_secret(obj):
            return obj
        secret = self._read(lambda: self._client.get(SECRETS.path(name, namespace)))
        bare = secret_values.referring(obj, None)
        return _joined(bare, secret, constants.DESCRIPTION_VALUES_TYPE)

    @staticmethod
    def _read(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except ApiError as error:
            if error.status != 403:
                raise
            return None


def _joined(bare: dict[str, Any], secret: Optional[dict[str, Any]], kind: str) -> dict[str, Any]:
    try:
        if secret is not None:
            return secret_values.joined(bare, secret_values.values_in(secret, kind))
    except secret_values.MalformedValues:
        pass
    return {**bare, "data": dict.fromkeys(bare.get("data") or {}, UNKNOWN)}


def evened(objects: Iterable[dict[str, Any]], others: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """I(objects), in which values are unknown, too, that are unknown in the same object of the I(others)."""
    unknown = {_identity(obj): obj["data"] for obj in others if UNKNOWN in (obj.get("data") or {}).values()}
    return [
        {
            **obj,
            "data": {key: UNKNOWN if key in unknown[_identity(obj)] else value for key, value in obj["data"].items()},
        }
        if _identity(obj) in unknown and isinstance(obj.get("data"), dict)
        else obj
        for obj in objects
    ]


def _identity(obj: dict[str, Any]) -> tuple:
    metadata = obj.get("metadata") or {}
    return obj.get("apiVersion"), obj.get("kind"), metadata.get("namespace"), metadata.get("name")
