# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The namespaces of native objects, and a default for objects that name none.

An object that names a namespace keeps it, and a kind without namespaces gets none, whatever the default is. References
inside of objects stay as they are: only the objects themselves are put into the namespace.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, Optional

from ansible_collections.clusternet.core.plugins.module_utils import validate
from ansible_collections.clusternet.core.plugins.module_utils.resources import Resource
from ansible_collections.clusternet.core.plugins.module_utils.validate import invalid


def default_namespace(option: str, value: Optional[str]) -> Optional[str]:
    """Check the namespace for objects that name none; None and an empty text mean that there is no default.

    Raises:
        ConfigError: no namespace can have this name; the message names I(option).
    """
    return validate.dns_label(option, value) if value else None


def named(option: str, definition: Mapping[str, Any]) -> Optional[str]:
    """Return the namespace that a definition names; null and an empty text name none.

    Raises:
        ConfigError: it is no text; the message names I(option) and the object.
    """
    namespace = definition["metadata"].get("namespace")
    if namespace is not None and not isinstance(namespace, str):
        name = f"{definition['kind']} {definition['metadata']['name']}"
        raise invalid(option, f"metadata.namespace of {name} must be a text; quote it")
    return namespace or None


def placed(resource: Resource, definition: dict[str, Any], default: Optional[str] = None) -> dict[str, Any]:
    """Return I(definition) with a namespace exactly when its kind has them: its own one, else the default.

    Raises:
        ConfigError: its kind has namespaces, and there is neither.
    """
    metadata = definition["metadata"]
    if not resource.namespaced:
        if "namespace" not in metadata:
            return definition
        return {**definition, "metadata": {key: value for key, value in metadata.items() if key != "namespace"}}
    if metadata.get("namespace"):
        return definition
    if not default:
        raise invalid(
            "definitions",
            f"{describe(definition)} needs a metadata.namespace. Give it one, or a default for all that name none",
        )
    return {**definition, "metadata": {**metadata, "namespace": default}}


def refuse_twice(
    option: str,
    definitions: Iterable[dict[str, Any]],
    default: Optional[str],
    version: Callable[[dict[str, Any]], str],
) -> None:
    """Make sure that every object is there once, also when the default is the namespace that another one names.

    The scope of kinds needn't be known: those without namespaces are told apart by their names all the same.

    Args:
        option: named in the message.
        definitions: prepared ones.
        default: namespace of those that name none.
        version: returns the part of C(apiVersion) that tells kinds apart.

    Raises:
        ConfigError: an object is there twice.
    """
    seen = set()
    for item in definitions:
        metadata = item["metadata"]
        identity = (version(item), item["kind"], metadata.get("namespace") or default, metadata["name"])
        if identity in seen:
            why = f", as the default namespace is {default}" if default else ""
            raise invalid(option, f"{describe(item)} is defined twice{why}")
        seen.add(identity)


def describe(obj: Mapping[str, Any]) -> str:
    """Return how messages call an object: kind, namespace and name."""
    namespace = obj["metadata"].get("namespace")
    return f"{obj['kind']} {namespace + '/' if namespace else ''}{obj['metadata']['name']}"
