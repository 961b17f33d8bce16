# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sections of kubeconfigs that the collection writes, and how people may see them."""

from __future__ import annotations

import base64
from typing import Any, Mapping

from ansible_collections.clusternet.core.plugins.module_utils.access import PLUGIN_FIELDS, Access
from ansible_collections.clusternet.core.plugins.module_utils.redact import Redactor
from ansible_collections.clusternet.core.plugins.module_utils.transport import uses_proxy

_SECRETS = ("token", "password", "client-key-data", "as-user-extra", "exec", "auth-provider")


def cluster_section(access: Access) -> dict[str, Any]:
    """The section of a cluster that is reached as I(access) reaches it."""
    cluster: dict[str, Any] = {"server": access.server}
    if not access.verify:
        cluster["insecure-skip-tls-verify"] = True
    elif access.ca:
        cluster["certificate-authority-data"] = _encoded(access.ca)
    if access.tls_server_name:
        cluster["tls-server-name"] = access.tls_server_name
    if uses_proxy(access):
        cluster["proxy-url"] = access.proxy
    return cluster


def user_section(access: Access, renewing: Mapping[str, Any]) -> dict[str, Any]:
    """The section of a user with the credentials of I(access).

    :param renewing: see :func:`~.access.renewing_credentials`
    """
    if any(name in renewing for name in PLUGIN_FIELDS):
        return dict(renewing)
    user: dict[str, Any] = dict(renewing)
    if access.client_cert:
        user["client-certificate-data"] = _encoded(access.client_cert)
        user["client-key-data"] = _encoded(access.client_key or "")
    kind, _space, credential = access.headers.get("authorization", "").partition(" ")
    if kind == "Bearer" and not renewing:
        user["token"] = credential
    elif kind == "Basic":
        user["username"], _colon, user["password"] = base64.b64decode(credential).decode().partition(":")
    return user


def visible(config: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """I(config) as a diff may show it: secrets, and what may contain some, as digests."""
    return {
        **config,
        "users": [
            {
                "name": item["name"],
                "user": {
                    name: redactor.digest(value) if name in _SECRETS else value for name, value in item["user"].items()
                },
            }
            for item in config.get("users") or ()
        ],
    }


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
