# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connection options, as in ``kubernetes.core``: from module or plugin options and the environment to settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError

AUTH_ARGUMENTS: dict[str, dict[str, Any]] = {
    "kubeconfig": {"type": "raw", "no_log": True},
    "context": {"type": "str"},
    "host": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "client_cert": {"type": "path", "aliases": ["cert_file"]},
    "client_key": {"type": "path", "aliases": ["key_file"], "no_log": False},
    "ca_cert": {"type": "path", "aliases": ["ssl_ca_cert"]},
    "validate_certs": {"type": "bool", "aliases": ["verify_ssl"]},
    "proxy": {"type": "str"},
    "no_proxy": {"type": "str"},
    "proxy_headers": {
        "type": "dict",
        "options": {
            "proxy_basic_auth": {"type": "str", "no_log": True},
            "basic_auth": {"type": "str", "no_log": True},
            "user_agent": {"type": "str"},
        },
    },
    "persist_config": {"type": "bool"},
    "impersonate_user": {"type": "str"},
    "impersonate_groups": {"type": "list", "elements": "str"},
}
"""Argument specification of every module, the same names, aliases and types as ``kubernetes.core``."""

_OTHER_SPELLINGS = {
    "client_cert": "CERT_FILE",
    "client_key": "KEY_FILE",
    "ca_cert": "SSL_CA_CERT",
    "validate_certs": "VERIFY_SSL",
}
_PROXY_HEADERS = ("proxy_basic_auth", "basic_auth", "user_agent")
_TRUE = frozenset(("1", "true", "yes", "on", "y", "t"))
_FALSE = frozenset(("0", "false", "no", "off", "n", "f"))


@dataclass(frozen=True)
class ConnectionSettings:
    """What the options say about the connection; ``None`` or empty means not given. Secrets don't show in ``repr``."""

    kubeconfig: Union[str, dict[str, Any], None] = field(default=None, repr=False)
    context: Optional[str] = None
    host: Optional[str] = None
    api_key: Optional[str] = field(default=None, repr=False)
    username: Optional[str] = None
    password: Optional[str] = field(default=None, repr=False)
    client_cert: Optional[str] = None
    client_key: Optional[str] = None
    ca_cert: Optional[str] = None
    validate_certs: Optional[bool] = None
    proxy: Optional[str] = field(default=None, repr=False)
    no_proxy: Optional[str] = None
    proxy_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    persist_config: bool = False
    impersonate_user: Optional[str] = None
    impersonate_groups: tuple[str, ...] = ()


def connection_settings(options: Mapping[str, Any], environ: Optional[Mapping[str, str]] = None) -> ConnectionSettings:
    """Resolve options, then the environment variables ``K8S_AUTH_*`` in both spellings; an empty string is unset.

    :param options: values by the names of :data:`AUTH_ARGUMENTS`; other keys are ignored
    :param environ: environment to fall back to; ``None`` means the process's own
    :raises ConfigError: a boolean or a dictionary cannot be read as such
    """
    environ = os.environ if environ is None else environ
    values = {name: _value(name, options, environ) for name in AUTH_ARGUMENTS if name != "proxy_headers"}
    groups = values["impersonate_groups"] or ()
    return ConnectionSettings(
        **{
            **values,
            "validate_certs": strict_bool("validate_certs", values["validate_certs"]),
            "persist_config": bool(strict_bool("persist_config", values["persist_config"])),
            "impersonate_groups": tuple(_words(groups) if isinstance(groups, str) else groups),
            "proxy_headers": _proxy_headers(options.get("proxy_headers"), environ),
        }
    )


def strict_bool(option: str, value: Any) -> Optional[bool]:
    """Read a boolean; ``None`` and empty are ``None``.

    :raises ConfigError: the text is neither true nor false, naming `option`
    """
    if value is None or isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if not text:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ConfigError(option, f"{option} must be a boolean (true or false), not '{value}'.")


def _value(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    given = options.get(name)
    if isinstance(given, list):
        given = [item for item in given if item != ""]
    if given not in (None, "", [], {}):
        return given
    spellings = [name.upper()] + ([_OTHER_SPELLINGS[name]] if name in _OTHER_SPELLINGS else [])
    return next((text for text in (environ.get(f"K8S_AUTH_{spelling}") for spelling in spellings) if text), None)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _proxy_headers(given: Any, environ: Mapping[str, str]) -> dict[str, str]:
    if given and not isinstance(given, Mapping):
        raise ConfigError("proxy_headers", f"proxy_headers must be a dictionary with {', '.join(_PROXY_HEADERS)}.")
    values = {
        name: (given or {}).get(name) or environ.get(f"K8S_AUTH_PROXY_HEADERS_{name.upper()}")
        for name in _PROXY_HEADERS
    }
    return {name: value for name, value in values.items() if value}
