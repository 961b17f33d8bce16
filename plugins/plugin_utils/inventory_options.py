# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the inventory plugin, typed: the one place that knows that text comes from the environment."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from ansible_collections.clusternet.core.plugins.module_utils.auth import (
    AUTH_ARGUMENTS,
    ConnectionSettings,
    connection_settings,
    strict_bool,
)
from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError
from ansible_collections.clusternet.core.plugins.plugin_utils.managed_cluster import SCHEMA_VERSION
from ansible_collections.clusternet.core.plugins.plugin_utils.trust import trust_as_template


@dataclass(frozen=True)
class InventoryOptions:
    """What to list and how to show it."""

    connection: ConnectionSettings
    label_selector: str | None
    namespaces: tuple[str, ...]
    strict_permissions: bool
    hostname: str | None
    default_groups: tuple[str, ...]
    full_object: bool
    set_local_connection: bool
    gateway_kubeconfig: str | None
    compose: Mapping[str, Any]
    groups: Mapping[str, Any]
    keyed_groups: list[Any]
    strict: bool
    cache: bool

    def digest(self, server: str) -> str:
        """Name the answer of the server that these options lead to, for the key of the cache.

        :param server: URL of the parent
        """
        facts = [
            SCHEMA_VERSION,
            server,
            self.connection.context,
            self.connection.username,
            self.connection.impersonate_user,
            self.connection.impersonate_groups,
            self.label_selector,
            self.namespaces,
            self.strict_permissions,
            self.full_object,
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def inventory_options(get_option: Callable[[str], Any]) -> InventoryOptions:
    """Read the options of the plugin; an empty string is unset.

    :raises ConfigError: a value is of the wrong kind, naming the option
    """

    def flag(name: str) -> bool:
        return bool(strict_bool(name, get_option(name)))

    return InventoryOptions(
        connection=connection_settings({name: _text(get_option(name)) for name in AUTH_ARGUMENTS}),
        label_selector=get_option("label_selector") or None,
        namespaces=tuple(_words(get_option("namespaces"))),
        strict_permissions=flag("strict_permissions"),
        hostname=_trusted(get_option("hostname")) or None,
        default_groups=tuple(_words(get_option("default_groups"))),
        full_object=flag("full_object"),
        set_local_connection=flag("set_local_connection"),
        gateway_kubeconfig=_path(get_option("gateway_kubeconfig")),
        compose=_structure("compose", get_option("compose"), dict),
        groups=_structure("groups", get_option("groups"), dict),
        keyed_groups=_structure("keyed_groups", get_option("keyed_groups"), list),
        strict=flag("strict"),
        cache=flag("cache"),
    )


def _text(value: Any) -> Any:
    """Plain values: vaulted and tagged strings become ``str``, structures given as text become structures."""
    if value is None or isinstance(value, (bool, list)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _text(item) for key, item in value.items()}
    text = str(value)
    return json.loads(text) if text.startswith("{") else text


def _path(value: Any) -> str | None:
    return os.path.abspath(os.path.expanduser(str(value))) if value else None


def _words(value: list[Any] | None) -> list[str]:
    return [str(word).strip() for word in value or [] if str(word).strip()]


def _structure(name: str, value: Any, kind: type) -> Any:
    if isinstance(value, str):
        try:
            value = _trusted(yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise ConfigError(name, f"{name} is not YAML: {error}") from error
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise ConfigError(name, f"{name} must be a {'dictionary' if kind is dict else 'list'}.")
    return value


def _trusted(value: Any) -> Any:
    """Expressions of the user, also from the environment, may be evaluated."""
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {key: _trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_trusted(item) for item in value]
    return value
