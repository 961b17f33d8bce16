#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: child_kubeconfig
short_description: Write a kubeconfig for children, through their parent
version_added: 0.3.0
description:
  - Makes a kubeconfig with a context for each chosen cluster, by which C(kubectl), C(helm) and programs with client-go
    reach it through the parent, from wherever the parent can be reached.
  - A context has the name of its cluster; where clusters in several namespaces have the same name, the namespace
    follows after a dot. They stand in the order of O(names), else in that of the clusters' namespaces. The current
    context is the first one.
  - The kubeconfig holds the credentials of the parent's user, as they are given to this module, and the token that is
    shown to the cluster. Anybody who can read it can do what these may do.
  - The Python package C(kubernetes), and so the modules of C(kubernetes.core), don't heed the impersonation in a
    kubeconfig by which this works. For those there is M(clusternet.core.gateway).
options:
  path:
    description:
      - The kubeconfig file on the host, which only its owner may read then (mode 0600). Its folder must exist. What is
        in the file already is replaced.
      - If not given, the kubeconfig is returned; set C(no_log) on the task then.
    type: path
  expiration_seconds:
    description:
      - For how long a token made for O(service_account) is good, from 600 seconds on. The cluster may shorten it.
      - A file whose token has at least half of its time before it is left as it is.
    type: int
    default: 3600
attributes:
  check_mode:
    description: Can run in check mode and predict the result without changing anything.
    support: full
  diff_mode:
    description: Shows clusters and contexts. Credentials are replaced by digests.
    support: full
seealso:
  - module: clusternet.core.child_object
  - module: clusternet.core.gateway
  - module: clusternet.core.managed_cluster_info
extends_documentation_fragment:
  - clusternet.core.children
  - kubernetes.core.k8s_auth_options
author:
  - The clusternet.core authors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Reach two clusters with kubectl --context edge-1 and edge-2
  clusternet.core.child_kubeconfig:
    names: [edge-1, edge-2]
    path: ~/.kube/edge

- name: Let a team look at the clusters of a region for a day
  clusternet.core.child_kubeconfig:
    label_selector: region=north
    service_account: {name: viewer, namespace: team-blue}
    expiration_seconds: 86400
    path: /srv/team-blue/kubeconfig

- name: Get a kubeconfig for other tasks of this play
  clusternet.core.child_kubeconfig:
    names: [edge-1]
  register: edge
  no_log: true
"""

RETURN = r"""
path:
  description: The kubeconfig file; null without O(path).
  returned: success
  type: str
  sample: /root/.kube/edge
kubeconfig:
  description: The kubeconfig.
  returned: without O(path)
  type: dict
  sample: {"apiVersion": "v1", "kind": "Config", "current-context": "edge-1"}
contexts:
  description: The contexts of the kubeconfig, in its order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the context.
      type: str
      sample: edge-1
    cluster:
      description: Name of the cluster.
      type: str
      sample: edge-1
    namespace:
      description: The cluster's namespace on the parent.
      type: str
      sample: clusternet-x7k2p
    cluster_id:
      description: Identity of the cluster.
      type: str
      sample: 5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21
    server:
      description: Where the parent offers the cluster's API.
      type: str
      sample: https://203.0.113.7:6443/apis/proxies.clusternet.io/v1alpha1/sockets/5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21/proxy/direct
    expires_at:
      description: Until when the token made for O(service_account) is good; null for others, and for one that check
        mode doesn't make.
      type: str
      sample: "2026-11-24T10:00:00Z"
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "NotFound", "message": "No cluster is registered under the name edge-1.", "details": {}}
"""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any, Optional

from ansible_collections.clusternet.core.plugins.module_utils import (
    access,
    child_access,
    child_kubeconfig,
    fleet,
    managed_cluster,
    private_file,
    validate,
)
from ansible_collections.clusternet.core.plugins.module_utils.auth import (
    AUTH_ARGUMENTS,
    ConnectionSettings,
    connection_settings,
)
from ansible_collections.clusternet.core.plugins.module_utils.children import CHILDREN_ARGUMENTS, WHICH
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.errors import ClusternetError, ConfigError
from ansible_collections.clusternet.core.plugins.module_utils.kubeconfig_sections import user_section, visible
from ansible_collections.clusternet.core.plugins.module_utils.paths import is_path
from ansible_collections.clusternet.core.plugins.module_utils.redact import Redactor
from ansible_collections.clusternet.core.plugins.module_utils.report import Report, report
from ansible_collections.clusternet.core.plugins.module_utils.resources import SERVICE_ACCOUNTS

_AT_ONCE = 8


def main():
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            **CHILDREN_ARGUMENTS,
            "path": {"type": "path"},
            "expiration_seconds": {"type": "int", "default": 3600},
        },
        required_one_of=[WHICH],
        supports_check_mode=True,
    )
    with report(module) as doing:
        ensure(module, doing)


def ensure(module: ClusternetModule, doing: Report) -> None:
    """Put the kubeconfig into its file if it isn't there, or into the result."""
    params = module.params
    chosen = fleet.selection(params)
    account = child_access.service_account("service_account", params["service_account"])
    if params["expiration_seconds"] < child_access.SHORTEST_TOKEN:
        raise validate.invalid("expiration_seconds", f"it must be at least {child_access.SHORTEST_TOKEN}")
    settings = connection_settings(params)
    parent = doing.connect()
    clusters = fleet.existing(parent, chosen)
    if not clusters:
        raise ClusternetError("There is no such cluster, so there is nothing to make a kubeconfig of.", "NotFound")
    if chosen.names is not None:
        clusters.sort(key=lambda cluster: chosen.names.index(cluster["metadata"]["name"]))
    child_access.require_served(parent)
    path = params["path"]
    text = _read(path) if path else ""
    before = child_kubeconfig.parse(text)
    tokens = Tokens(parent, settings, account, params["expiration_seconds"], make=not (path and module.check_mode))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        children = list(pool.map(lambda pair: tokens.child(before, *pair), child_kubeconfig.contexts(clusters)))
    user = user_section(parent.access, access.renewing_credentials(settings))
    config = child_kubeconfig.build(parent.access, user, children)
    doing.result.update(
        path=path,
        contexts=[
            {
                "name": child.context,
                "cluster": child.cluster["metadata"]["name"],
                "namespace": child.cluster["metadata"]["namespace"],
                "cluster_id": managed_cluster.cluster_id(child.cluster),
                "server": parent.server + child_access.path(managed_cluster.cluster_id(child.cluster)),
                "expires_at": expires_at(child.token) if account else None,
            }
            for child in children
        ],
    )
    if path:
        _write(module, doing, path, text, config)
        return
    doing.result["kubeconfig"] = config
    # Ansible would hide the credentials in what was asked for; so they must not stand in the invocation either.
    module.no_log_values.clear()
    for name, item in AUTH_ARGUMENTS.items():
        is_public = name == "kubeconfig" and isinstance(params[name], str) and is_path(params[name])
        if item.get("no_log") and params[name] and not is_public:
            params[name] = "hidden"
    if params["proxy_headers"]:
        params["proxy_headers"] = {}


def _write(module: ClusternetModule, doing: Report, path: str, text: str, config: dict[str, Any]) -> None:
    wanted = json.dumps(config, indent=1)
    if text == wanted and not os.stat(path).st_mode & 0o077:
        return
    doing.result["changed"] = True
    redactor = Redactor()
    before = child_kubeconfig.parse(text)
    doing.reconciler().diffs.append(
        {
            "before_header": path,
            "after_header": path,
            "before": visible(before, redactor) if before else {},
            "after": visible(config, redactor),
        }
    )
    if module.check_mode:
        return
    try:
        private_file.write(path, wanted)
    except OSError as error:
        raise ConfigError("path", f"Cannot write {path}: {error.strerror}") from error


def _read(path: str) -> str:
    try:
        return private_file.read(path)
    except UnicodeDecodeError:
        return "not a text"
    except OSError as error:
        raise ConfigError("path", f"Cannot read {path}: {error.strerror}") from error


class Tokens:
    """The tokens to show to the children.

    :param make: whether to make tokens for a ServiceAccount where none is kept
    """

    def __init__(
        self,
        parent: Client,
        settings: ConnectionSettings,
        account: Optional[child_access.ServiceAccount],
        seconds: int,
        make: bool,
    ) -> None:
        self._parent = parent
        self._settings = settings
        self._account = account
        self._seconds = seconds
        self._make = make

    def child(self, before: dict[str, Any], context: str, cluster: dict[str, Any]) -> child_kubeconfig.Child:
        """The cluster with its token, the one kept in I(before) as long as it is good; raises ClusternetError."""
        token = self._token(before, context, cluster)
        return child_kubeconfig.Child(context, cluster, token or "not made in check mode")

    def _token(self, before: dict[str, Any], context: str, cluster: dict[str, Any]) -> Optional[str]:
        account = self._account
        if account is None:
            return child_access.deployer_token(self._parent, cluster)
        child = child_access.client_as_deployer(self._parent, self._settings, cluster)
        found = child.get(SERVICE_ACCOUNTS.path(account.name, account.namespace))
        if found is None:
            raise child_access.no_account(account)
        kept = None
        if before:
            kept = child_kubeconfig.kept_token(before, managed_cluster.cluster_id(cluster), context)
        if child_kubeconfig.is_good(kept, account, found["metadata"]["uid"], time.time()):
            return kept
        return child_access.make_token(child, account, self._seconds) if self._make else None


def expires_at(token: str) -> Optional[str]:
    """Until when a token of a ServiceAccount is good."""
    expires = child_kubeconfig.claims(token).get("exp")
    return datetime.fromtimestamp(expires, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if expires else None


if __name__ == "__main__":
    main()
