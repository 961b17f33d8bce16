# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Choosing and reading Subscriptions and Descriptions, each sort of object by one list."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants, publication, validate
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.feeds import is_chart
from ansible_collections.clusternet.core.plugins.module_utils.resources import (
    DESCRIPTIONS,
    GLOBALIZATIONS,
    HELM_RELEASES,
    LOCALIZATIONS,
    SUBSCRIPTIONS,
    Resource,
)
from ansible_collections.clusternet.core.plugins.module_utils.subscription_wait import of_subscriptions


class Selection(NamedTuple):
    """Which objects are meant: by names, label selector and namespace; None means any."""

    names: Optional[list]
    label_selector: Optional[str]
    namespace: Optional[str]


def selection(params: Mapping[str, Any]) -> Selection:
    """The module's options C(names), C(label_selector) and C(namespace), checked; raises ConfigError."""
    names, selector, namespace = params["names"], params["label_selector"], params["namespace"]
    return Selection(
        None if names is None else [validate.object_name("names", name) for name in names],
        validate.label_selector("label_selector", selector) if selector else None,
        validate.dns_label("namespace", namespace) if namespace else None,
    )


def read(client: Client, resource: Resource, chosen: Selection) -> list[dict[str, Any]]:
    """The chosen objects, by namespace and name; raises ApiError, ClusternetError when the kind isn't served."""
    if chosen.namespace and chosen.names is not None and len(chosen.names) == 1 and not chosen.label_selector:
        obj = client.get(resource.path(chosen.names[0], chosen.namespace))
        return [obj] if obj else []
    try:
        found = client.list(resource.path(namespace=chosen.namespace), chosen.label_selector)
    except ApiError as error:
        if error.status != 404:
            raise
        raise ClusternetError(
            f"This cluster doesn't serve {resource.kind}s, so it is no Clusternet parent. "
            "The role clusternet.core.hub makes it one.",
            "NoParent",
        ) from error
    return [obj for obj in found if chosen.names is None or obj["metadata"]["name"] in chosen.names]


def overrides(client: Client) -> Optional[list[dict[str, Any]]]:
    """All Localizations and Globalizations but those that divide replicas; None for users who may not read them."""
    selector = f"{constants.LABEL_CREATED_BY}!={constants.CREATED_BY_CONTROLLER_MANAGER}"
    found: list[dict[str, Any]] = []
    for resource in (LOCALIZATIONS, GLOBALIZATIONS):
        try:
            found += client.list(resource.path(), selector)
        except ApiError as error:
            if error.status == 403:
                return None
            if error.status != 404:
                raise
    return found


def publications(client: Client, chosen: Selection) -> list[publication.Publication]:
    """The chosen Subscriptions with what was made of them."""
    subscriptions = read(client, SUBSCRIPTIONS, chosen)
    if not subscriptions:
        return []
    selector = of_subscriptions(item["metadata"]["uid"] for item in subscriptions)
    with_charts = any(is_chart(feed) for item in subscriptions for feed in item["spec"]["feeds"])
    descriptions = client.list(DESCRIPTIONS.path(), selector)
    with_charts = with_charts or any(item["spec"]["deployer"] == "Helm" for item in descriptions)
    releases = client.list(HELM_RELEASES.path(), selector) if with_charts else []
    return publication.join(subscriptions, descriptions, releases)
