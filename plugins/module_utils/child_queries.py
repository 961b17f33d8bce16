# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be read from a cluster: objects of any kind by name, or lists of them."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils import validate
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError
from ansible_collections.clusternet.core.plugins.module_utils.objects import Kinds
from ansible_collections.clusternet.core.plugins.module_utils.resources import Resource
from ansible_collections.clusternet.core.plugins.module_utils.validate import invalid


class Query(NamedTuple):
    """One object with I(name), else a list."""

    api_version: str
    kind: str
    name: Optional[str]
    namespace: Optional[str]
    label_selector: Optional[str]
    field_selector: Optional[str]


def query(option: str, given: Mapping[str, Any]) -> Query:
    """The checked query with these fields; raises ConfigError naming I(option)."""
    found = Query(*(given.get(field) or None for field in Query._fields))
    if found.namespace:
        validate.dns_label(option, found.namespace)
    if found.label_selector:
        validate.label_selector(option, found.label_selector)
    if found.name and (found.label_selector or found.field_selector):
        raise invalid(option, f"{found.kind} {found.name} is chosen by its name, so selectors have no sense")
    return found


def read(client: Client, queries: Iterable[Query]) -> tuple[list[dict[str, Any]], list[str]]:
    """What I(queries) find, in their order, and the kinds which the cluster doesn't serve.

    Raises ApiError; ConfigError when a name has no namespace but its kind needs one.
    """
    kinds = Kinds(client, ())
    objects: list[dict[str, Any]] = []
    unknown: dict[str, None] = {}
    for wanted in queries:
        resource = kinds.resource({"apiVersion": wanted.api_version, "kind": wanted.kind})
        found = None if resource is None else _read(client, resource, wanted)
        if found is None:
            unknown[f"{wanted.api_version} {wanted.kind}"] = None
        else:
            objects += found
    return objects, list(unknown)


def _read(client: Client, resource: Resource, wanted: Query) -> Optional[list[dict[str, Any]]]:
    """The objects, bearing their kind; None when the kind isn't served after all."""
    if not wanted.name:
        try:
            found = client.list(
                resource.path(namespace=wanted.namespace),
                wanted.label_selector,
                field_selector=wanted.field_selector,
            )
        except ApiError as error:
            if error.status != 404:
                raise
            return None
        return [{"apiVersion": resource.api_version, "kind": resource.kind, **obj} for obj in found]
    if resource.namespaced and not wanted.namespace:
        raise invalid("namespace", f"{wanted.kind} {wanted.name} needs one")
    obj = client.get(resource.path(wanted.name, wanted.namespace))
    if obj is None:
        return []
    obj["metadata"].pop("managedFields", None)
    return [obj]
