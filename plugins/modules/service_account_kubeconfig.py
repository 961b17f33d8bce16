#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_account_kubeconfig
short_description: Write a kubeconfig that holds the token of a ServiceAccount
version_added: 0.1.0
author:
  - The clusternet.core authors (!UNKNOWN)
description:
  - Reads the token Secret of a ServiceAccount and writes a kubeconfig with it, for a process that runs
    outside of the cluster.
  - The kubeconfig reaches the cluster as this module does (URL, certificate authority, proxy), but as the
    ServiceAccount.
  - The file is readable for its owner only. Its content never appears in the output, in diffs neither.
options:
  path:
    description: The kubeconfig file on the host. Its folder must exist.
    type: path
    required: true
  namespace:
    description: Namespace of the ServiceAccount.
    type: str
    required: true
  service_account:
    description: Name of the ServiceAccount.
    type: str
    required: true
  secret:
    description:
      - Name of its Secret of type C(kubernetes.io/service-account-token), which must exist.
      - The default is the name of the ServiceAccount.
    type: str
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    description: Can run in check mode and predict the result without changing anything.
    support: full
  diff_mode:
    description: Returns what was and what will be.
    support: none
    details: The only file it writes is a secret.
seealso:
  - module: clusternet.core.objects
"""

EXAMPLES = r"""
- name: Let the hub's process act as its ServiceAccount
  clusternet.core.service_account_kubeconfig:
    kubeconfig: ~/.kube/parent.yaml
    namespace: clusternet-system
    service_account: clusternet-hub
    path: /var/lib/clusternet/hub/kubeconfig
"""

RETURN = r"""
path:
  description: The kubeconfig file.
  returned: success
  type: str
  sample: /var/lib/clusternet/hub/kubeconfig
checksum:
  description: SHA-256 of the kubeconfig, empty when check mode cannot know the token yet.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
server:
  description: URL of the cluster's API server.
  returned: success
  type: str
  sample: https://203.0.113.7:6443
certificate_authority:
  description: Certificate authority of the API server (PEM), empty when it is one of the system's.
  returned: success
  type: str
  sample: "-----BEGIN CERTIFICATE-----\n..."
"""

import base64
import hashlib
import json
from typing import Any, Iterable, Optional

from ansible_collections.clusternet.core.plugins.module_utils.access import Access, resolve
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS, connection_settings
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError
from ansible_collections.clusternet.core.plugins.module_utils.kubeconfig_sections import cluster_section
from ansible_collections.clusternet.core.plugins.module_utils.private_file import read, write
from ansible_collections.clusternet.core.plugins.module_utils.report import report
from ansible_collections.clusternet.core.plugins.module_utils.resources import SECRETS
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline, wait_until

_TOKEN_SECONDS = 30  # until Kubernetes has filled the Secret


def main() -> None:
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            "path": {"type": "path", "required": True},
            "namespace": {"type": "str", "required": True},
            "service_account": {"type": "str", "required": True},
            "secret": {"type": "str", "no_log": False},
        },
        supports_check_mode=True,
    )
    with report(module) as doing:
        doing.result.update(ensure(module, doing.connect()))


def ensure(module: ClusternetModule, client: Client) -> dict[str, Any]:
    """Write the kubeconfig if it is not what it should be."""
    params = module.params
    access = resolve(connection_settings(params))
    secret = params["secret"] or params["service_account"]
    token = read_token(client, params["namespace"], secret, params["service_account"], module.check_mode)
    text = kubeconfig(access, params["namespace"], params["service_account"], token) if token else None
    changed = text is None or read(params["path"]) != text
    if changed and not module.check_mode:
        try:
            write(params["path"], text)
        except OSError as error:
            raise ConfigError("path", "Cannot write {0}: {1}".format(params["path"], error.strerror)) from error
    return {
        "changed": changed,
        "path": params["path"],
        "checksum": hashlib.sha256(text.encode()).hexdigest() if text else "",
        "server": access.server,
        "certificate_authority": access.ca or "",
    }


def read_token(client: Client, namespace: str, secret: str, service_account: str, check_mode: bool) -> Optional[str]:
    """The token in the Secret, once Kubernetes has put it there; None when check mode finds no token.

    :raises WaitTimeout: there is none after 30 seconds.
    """
    collection = SECRETS.path(namespace=namespace)
    if check_mode:
        found = client.get(SECRETS.path(secret, namespace))
        return token_of(found) if found else None

    def missing(objects: Iterable[dict[str, Any]]) -> list[str]:
        filled = [item for item in objects if token_of(item)]
        return [] if filled else ["the Secret {0}/{1} holds no token".format(namespace, secret)]

    found = wait_until(
        client,
        collection,
        missing,
        Deadline(_TOKEN_SECONDS),
        "A token for the ServiceAccount {0}/{1}".format(namespace, service_account),
        field_selector="metadata.name={0}".format(secret),
    )
    return token_of(found[0])


def token_of(secret: dict[str, Any]) -> Optional[str]:
    """The token of a Secret, None while it has none."""
    token = (secret.get("data") or {}).get("token")
    return base64.b64decode(token).decode() if token else None


def kubeconfig(access: Access, namespace: str, service_account: str, token: str) -> str:
    """A kubeconfig as JSON, which is YAML too."""
    context = {"cluster": "default", "user": service_account, "namespace": namespace}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "default", "cluster": cluster_section(access)}],
            "users": [{"name": service_account, "user": {"token": token}}],
            "contexts": [{"name": "default", "context": context}],
            "current-context": "default",
        },
        indent=1,
    )


if __name__ == "__main__":
    main()
