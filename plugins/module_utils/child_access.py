# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API of a child as the parent offers it, and whose credential is shown there (spec/04 §5 to §7)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import Any, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants, managed_cluster, validate
from ansible_collections.clusternet.core.plugins.module_utils.access import Access
from ansible_collections.clusternet.core.plugins.module_utils.auth import ConnectionSettings
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, ClusternetError, ConfigError
from ansible_collections.clusternet.core.plugins.module_utils.resources import SECRETS, SERVICE_ACCOUNTS

SHORTEST_TOKEN = 600
"""Seconds for which Kubernetes makes tokens at least."""


class ServiceAccount(NamedTuple):
    """A ServiceAccount of a child."""

    namespace: str
    name: str


def service_account(option: str, value: Optional[Mapping[str, str]]) -> Optional[ServiceAccount]:
    """The checked suboptions C(namespace) and C(name), None if not given; raises ConfigError."""
    if value is None:
        return None
    return ServiceAccount(validate.dns_label(option, value["namespace"]), validate.object_name(option, value["name"]))


def path(cluster_id: str) -> str:
    """Where the parent offers the API of a child."""
    return f"{constants.PROXIES_API}/{constants.SOCKETS}/{cluster_id}/proxy/direct"


def require_own_user(parent: Access) -> None:
    """Raise ConfigError when the parent's user is an impersonated one, because a request can impersonate only one."""
    if any(name.startswith("impersonate-") for name in parent.headers):
        raise ConfigError(
            "impersonate_user",
            f"Children are reached by impersonating the user {constants.PROXY_USER} at the parent, so nobody else can "
            "be impersonated there. Leave impersonate_user and impersonate_groups, or `as` in the kubeconfig, out.",
        )


def through(parent: Access, cluster_id: str, token: str) -> Access:
    """Access to a child through its parent: by the parent's user, who shows the child this token.

    Raises ConfigError when that user is an impersonated one already.
    """
    require_own_user(parent)
    return replace(
        parent,
        server=parent.server + path(cluster_id),
        headers={
            **parent.headers,
            "impersonate-user": constants.PROXY_USER,
            f"impersonate-extra-{constants.PROXY_EXTRA_TOKEN}": token,
        },
    )


def require_served(parent: Client) -> None:
    """Raise ClusternetError when the parent doesn't offer its children's APIs.

    Every path below would be 404 then, as if the objects on the children weren't there.
    """
    if parent.get(constants.PROXIES_API) is None:
        raise ClusternetError(
            f"The parent {parent.server} doesn't offer the APIs of its children. "
            "The hub does that with its feature gate SocketConnection.",
            "NoProxy",
        )


def deployer_token(parent: Client, cluster: Mapping[str, Any]) -> str:
    """The token that a child's agent has handed to the parent; raises ClusternetError, ApiError."""
    place = managed_cluster.place(cluster)
    namespace = cluster["metadata"]["namespace"]
    name = constants.SECRET_CHILD_CLUSTER_DEPLOYER
    secret = parent.get(SECRETS.path(name, namespace)) or {}
    try:
        token = base64.b64decode((secret.get("data") or {}).get("token") or "").decode()
    except (binascii.Error, UnicodeDecodeError):
        token = ""
    if not token:
        raise ClusternetError(
            f"The parent holds no credential of {place}: the Secret {namespace}/{name} is missing or has no token. "
            "The agent puts it there when the cluster registers.",
            "NoCredential",
            cluster=place,
        )
    return token


def client_as_deployer(
    parent: Client, settings: ConnectionSettings, cluster: Mapping[str, Any], check_mode: bool = False
) -> Client:
    """A client of a child that acts by the credential which the parent holds; raises ClusternetError."""
    return Client(
        settings,
        check_mode,
        lambda access: through(access, managed_cluster.cluster_id(cluster), deployer_token(parent, cluster)),
    )


def client_as_account(
    parent: Client,
    settings: ConnectionSettings,
    cluster: Mapping[str, Any],
    account: ServiceAccount,
    check_mode: bool = False,
) -> Client:
    """A client of a child that acts by a token made for one of its ServiceAccounts; raises ClusternetError.

    The token is made in check mode, too, since nothing can be read without it and nothing on the child changes by it.
    """
    deployer = client_as_deployer(parent, settings, cluster)
    return Client(
        settings,
        check_mode,
        lambda access: through(
            access, managed_cluster.cluster_id(cluster), make_token(deployer, account, SHORTEST_TOKEN)
        ),
    )


def make_token(child: Client, account: ServiceAccount, seconds: int) -> str:
    """A new token of a ServiceAccount; raises ClusternetError when there is no such account, ApiError."""
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": seconds},
    }
    try:
        answer = child.request("POST", f"{SERVICE_ACCOUNTS.path(account.name, account.namespace)}/token", None, body)
    except ApiError as error:
        raise (no_account(account) if error.status == 404 else error) from error
    return answer["status"]["token"]


def no_account(account: ServiceAccount) -> ClusternetError:
    """The error for a ServiceAccount that a child doesn't have."""
    return ClusternetError(
        f"There is no ServiceAccount {account.namespace}/{account.name} on the cluster.",
        "NotFound",
        service_account=f"{account.namespace}/{account.name}",
    )
