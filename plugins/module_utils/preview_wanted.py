# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the options of C(render) to what would be applied, and which Subscriptions that concerns."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping

from ansible_collections.clusternet.core.plugins.module_utils import definitions, manifests, overrides
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.cluster_namespaces import located
from ansible_collections.clusternet.core.plugins.module_utils.custom_objects import place_of, places
from ansible_collections.clusternet.core.plugins.module_utils.helm_chart import helm_chart
from ansible_collections.clusternet.core.plugins.module_utils.object_namespaces import default_namespace
from ansible_collections.clusternet.core.plugins.module_utils.preview import Preview, Wanted, references
from ansible_collections.clusternet.core.plugins.module_utils.resources import (
    GLOBALIZATIONS,
    HELM_CHARTS,
    LOCALIZATIONS,
    SUBSCRIPTIONS,
)
from ansible_collections.clusternet.core.plugins.module_utils.subscription import subscription


def wanted(params: Mapping[str, Any], connect: Callable[[], Client]) -> Wanted:
    """What the options say would be applied; raises ConfigError, and ClusternetError for unknown clusters."""
    places(SUBSCRIPTIONS, "subscriptions", params["subscriptions"])
    places(HELM_CHARTS, "charts", params["charts"])
    places(GLOBALIZATIONS, "globalizations", params["globalizations"])
    overrides.check("localizations", params["localizations"])
    native = definitions.all_of(params["definitions"], params["src"])
    namespace = default_namespace("namespace", params["namespace"])
    manifests.check("definitions", native, namespace)
    subscriptions = [subscription("subscriptions", given) for given in params["subscriptions"] if not _as_it_is(given)]
    charts = [helm_chart("charts", given) for given in params["charts"]]
    globalizations = [overrides.globalization("globalizations", given) for given in params["globalizations"]]
    found, _lost = located(connect, "localizations", params["localizations"], all_needed=True)
    places(LOCALIZATIONS, "localizations", found)
    return Wanted(
        subscriptions,
        charts,
        [overrides.localization("localizations", given) for given in found],
        globalizations,
        manifests.in_namespaces(connect, native, namespace),
    )


def chosen(parent: Preview, applied: Wanted, given: Iterable[Mapping[str, Any]]) -> list[tuple]:
    """Namespaces and names of the Subscriptions that are I(given), and of those that publish what is I(applied)."""
    named = {tuple(place) for place in places(SUBSCRIPTIONS, "subscriptions", given)}
    return sorted(
        named | set(parent.publishing(references(applied))) | {place_of(obj) for obj in applied.subscriptions}
    )


def _as_it_is(given: Mapping[str, Any]) -> bool:
    """Whether only the name of a Subscription was given."""
    return given["feeds"] is None and given["subscribers"] is None
