# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Definitions of native objects: reading, checking and ordering them."""

from __future__ import annotations

import base64
import copy
from typing import Any, Iterable, Optional

from ansible_collections.clusternet.core.plugins.module_utils import object_namespaces
from ansible_collections.clusternet.core.plugins.module_utils.kubernetes_yaml import YamlError, read_all
from ansible_collections.clusternet.core.plugins.module_utils.object_namespaces import describe
from ansible_collections.clusternet.core.plugins.module_utils.validate import invalid

# What others depend on comes first; kinds not named here come last, removal goes the other way round.
_ORDER = (
    "Namespace",
    "CustomResourceDefinition",
    "PriorityClass",
    "ResourceQuota",
    "LimitRange",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Secret",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Service",
    "DaemonSet",
    "Deployment",
    "StatefulSet",
    "Job",
    "CronJob",
    "Ingress",
    "APIService",
)
_RANK = {kind: rank for rank, kind in enumerate(_ORDER)}


def from_text(option: str, text: str) -> list[Any]:
    """Every document of a YAML or JSON text; raises ConfigError naming I(option)."""
    try:
        return read_all(text)
    except YamlError as error:
        raise invalid(option, f"a text is not YAML: {error}") from None


def from_files(option: str, paths: Iterable[str]) -> list[dict[str, Any]]:
    """Every document of the YAML or JSON files at I(paths); raises ConfigError naming I(option) and the file."""
    definitions = []
    for path in paths:
        try:
            with open(path, encoding="utf-8-sig") as file:
                definitions += read_all(file.read())
        except OSError as error:
            raise invalid(option, f"cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError:
            raise invalid(option, f"{path} is not text in UTF-8") from None
        except YamlError as error:
            raise invalid(option, f"{path} is not YAML: {error}") from None
    return definitions


def all_of(given: Iterable[Any], src: Iterable[str]) -> list[dict[str, Any]]:
    """The objects of the options C(definitions), mappings and texts, and C(src), prepared; raises ConfigError."""
    found = []
    for item in given:
        found += prepare("definitions", from_text("definitions", item) if isinstance(item, str) else [item])
    return found + prepare("src", from_files("src", src))


def prepare(option: str, definitions: Iterable[Any]) -> list[dict[str, Any]]:
    """Checked copies of I(definitions); lists are taken apart.

    Status and empty creation times are left out, C(stringData) of Secrets becomes C(data), so that an object can be
    compared with what the server stores. Raises ConfigError naming the I(option) and the object.
    """
    return [_prepare(option, item) for definition in definitions for item in _flat(definition)]


def ordered(definitions: Iterable[dict[str, Any]], namespace: Optional[str] = None) -> list[dict[str, Any]]:
    """Prepared I(definitions) in the order in which they can be created; raises ConfigError when one is there twice.

    :param namespace: of objects that name none
    """
    object_namespaces.refuse_twice("definitions", definitions, namespace, lambda item: item["apiVersion"])
    return sorted(definitions, key=lambda item: _RANK.get(item["kind"], len(_RANK)))


def _flat(definition: Any) -> list[Any]:
    if isinstance(definition, dict) and str(definition.get("kind", "")).endswith("List") and "items" in definition:
        return definition["items"]
    return [definition]


def _prepare(option: str, definition: Any) -> dict[str, Any]:
    if not isinstance(definition, dict):
        raise invalid(option, "every definition must be an object with apiVersion, kind and metadata.name")
    metadata = definition.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    fields = {
        "apiVersion": definition.get("apiVersion"),
        "kind": definition.get("kind"),
        "metadata.name": metadata.get("name"),
    }
    for field, value in fields.items():
        if not isinstance(value, str) or not value:
            known = ", ".join(f"{key} {item}" for key, item in fields.items() if item) or "no other fields to name it"
            raise invalid(option, f"a definition ({known}) needs a text in {field}")
    item = copy.deepcopy(definition)
    item.pop("status", None)
    if not object_namespaces.named(option, item):
        item["metadata"].pop("namespace", None)
    if item["metadata"].get("creationTimestamp", "") is None:
        del item["metadata"]["creationTimestamp"]
    if (item["apiVersion"], item["kind"]) == ("v1", "Secret"):
        _encode_secret(option, item)
    return item


def _encode_secret(option: str, secret: dict[str, Any]) -> None:
    """Turn C(stringData) into C(data), as the server does; check that C(data) is base64."""
    for key, value in (secret.get("data") or {}).items():
        try:
            base64.b64decode(value, validate=True)
        except (TypeError, ValueError):
            raise invalid(option, f"data.{key} of {describe(secret)} is not base64") from None
    for key, value in (secret.pop("stringData", None) or {}).items():
        if not isinstance(value, str):
            raise invalid(option, f"stringData.{key} of {describe(secret)} must be a string; quote it")
        secret.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()
