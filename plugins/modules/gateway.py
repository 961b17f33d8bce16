#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gateway
short_description: Offer the APIs of children on this host to every Kubernetes program
version_added: 0.3.0
description:
  - Runs the program C(clusternet-gateway) in the background of the host. It passes requests on to the parent and adds
    what it takes to get through there, which the Python client of Kubernetes can't send. So the modules of
    C(kubernetes.core), C(helm), C(oc) and C(kubectl) work on children as on every other cluster.
  - It listens on the loopback address only, with a certificate and a random token of its own. Both are in the
    kubeconfig that it writes to O(path), which has a context for each child, named as by
    M(clusternet.core.child_kubeconfig).
  - Beside it, in the folder C(<path>.d), is a kubeconfig for each child alone, named C(<namespace>.<name>), for
    programs that can't be told a context. The option
    O(clusternet.core.managed_clusters#inventory:gateway_kubeconfig) of the inventory makes use of it.
  - Without O(names), O(label_selector) and O(namespace) all children are offered. Clusters that are registered while it
    runs appear in the kubeconfig by themselves.
  - The kubeconfigs are removed when it ends. Its output is in C(<path>.log).
options:
  state:
    description:
      - V(started) - it runs with these settings. A change restarts it.
      - V(stopped) - it doesn't run, and its files are removed.
    type: str
    choices: [started, stopped]
    default: started
  path:
    description:
      - The kubeconfig for the children on the host, which only its owner may read (mode 0600). Its folder must exist. A
        file that no gateway has written is left alone.
      - It is the name of the gateway, too; for each there is one process at most.
    type: path
    required: true
  port:
    description: The port to listen on. V(0) takes a free one.
    type: int
    default: 0
  idle_timeout:
    description:
      - Seconds without a request after which it ends by itself. V(0) lets it run until it is stopped.
    type: int
    default: 3600
  executable:
    description:
      - The program C(clusternet-gateway), which the role P(clusternet.core.engine#role) and the Python package
        C(clusternet-engine) bring along.
      - If not given, it is looked for on the search path, beside the Python interpreter that runs the module, and in
        C(/opt/clusternet/venv/bin).
    type: path
attributes:
  check_mode:
    description: Can run in check mode and predict the result without changing anything.
    support: full
  diff_mode:
    description: Shows the command. The credential of the parent is replaced by a digest.
    support: full
requirements:
  - The program C(clusternet-gateway).
notes:
  - The parent's credentials are handed to the program by a file (mode 0600), which is removed as soon as it has read
    it. User and password are not supported.
  - Everybody who can read the kubeconfig can do on the children what the gateway may do there.
  - The gateway refuses requests that impersonate somebody, since it can't pass that on. Use O(service_account).
seealso:
  - module: clusternet.core.child_kubeconfig
  - module: clusternet.core.child_object
  - plugin: clusternet.core.managed_clusters
    plugin_type: inventory
extends_documentation_fragment:
  - clusternet.core.children
  - kubernetes.core.k8s_auth_options
author:
  - The clusternet.core authors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Offer all children on this machine
  clusternet.core.gateway:
    path: ~/.kube/children
  register: gateway

- name: Use one of them with a module of another collection
  kubernetes.core.k8s_info:
    kind: Namespace
    kubeconfig: "{{ gateway.path }}"
    context: edge-1

- name: Use all of them with any program
  ansible.builtin.command: helm list --all-namespaces
  environment: "{{ item.environment }}"
  loop: "{{ gateway.contexts }}"
  changed_when: false

- name: Offer the clusters of a region as a ServiceAccount of theirs, for ten minutes without a request at most
  clusternet.core.gateway:
    path: /srv/team-blue/kubeconfig
    label_selector: region=north
    service_account: {name: viewer, namespace: team-blue}
    idle_timeout: 600

- name: End it
  clusternet.core.gateway:
    path: ~/.kube/children
    state: stopped
"""

RETURN = r"""
path:
  description: The kubeconfig for the children.
  returned: always
  type: str
  sample: /root/.kube/children
log:
  description: File with the output of the gateway.
  returned: always
  type: str
  sample: /root/.kube/children.log
url:
  description: Where it listens; null when it doesn't run, and in check mode before it does.
  returned: success
  type: str
  sample: https://127.0.0.1:40123
pid:
  description: Process id, V(0) when it doesn't run.
  returned: success
  type: int
  sample: 4711
contexts:
  description: The contexts of the kubeconfig; none when it doesn't run.
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
    server:
      description: Where the gateway offers the cluster's API; null in check mode before it runs.
      type: str
      sample: https://127.0.0.1:40123/clusternet-x7k2p/edge-1
    environment:
      description: Environment variables by which modules of C(kubernetes.core), C(kubectl), C(helm) and C(oc) reach the
        cluster. They name files and hold no secrets.
      type: dict
      sample: {"KUBECONFIG": "/root/.kube/children.d/clusternet-x7k2p.edge-1"}
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "NotStarted", "message": "The gateway ended with code 1.", "details": {}}
"""

import json
import os
import sys
from typing import Any, Optional

from ansible_collections.clusternet.core.plugins.module_utils import (
    access,
    child_access,
    fleet,
    managed_cluster,
    validate,
)
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS, connection_settings
from ansible_collections.clusternet.core.plugins.module_utils.child_kubeconfig import contexts
from ansible_collections.clusternet.core.plugins.module_utils.children import CHILDREN_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError
from ansible_collections.clusternet.core.plugins.module_utils.gateway_environment import environment
from ansible_collections.clusternet.core.plugins.module_utils.gateway_process import GatewayProcess, Running, digest
from ansible_collections.clusternet.core.plugins.module_utils.kubeconfig_sections import cluster_section, user_section
from ansible_collections.clusternet.core.plugins.module_utils.redact import Redactor
from ansible_collections.clusternet.core.plugins.module_utils.report import Report, report

PROGRAM = "clusternet-gateway"
ENGINE = "/opt/clusternet/venv/bin"


def main():
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            **CHILDREN_ARGUMENTS,
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "path": {"type": "path", "required": True},
            "port": {"type": "int", "default": 0},
            "idle_timeout": {"type": "int", "default": 3600},
            "executable": {"type": "path"},
        },
        supports_check_mode=True,
    )
    with report(module) as doing:
        path = os.path.abspath(module.params["path"])
        process = GatewayProcess(path)
        doing.result.update(path=path, log=process.log)
        if module.params["state"] == "started":
            started(module, doing, process)
        else:
            stopped(module, doing, process)


def started(module: ClusternetModule, doing: Report, process: GatewayProcess) -> None:
    """Have it run with these settings; one that runs with them already is left alone."""
    chosen = fleet.selection(module.params)
    told = arguments(module.params, process)
    command = [executable(module), *told]
    settings = connection_settings(module.params)
    parent = doing.connect()
    child_access.require_own_user(parent.access)
    clusters = fleet.existing(parent, chosen)
    child_access.require_served(parent)
    places = [managed_cluster.place(cluster) for cluster in clusters]
    config = kubeconfig(parent.access, user_section(parent.access, access.renewing_credentials(settings)))
    running = process.running()
    same = running is not None and running.command == command and running.parent == digest(config)
    if same:
        running = process.wait_offering(running, places)
    else:
        doing.result["changed"] = True
        redactor = Redactor()
        show(module, doing, description(running, redactor), state(command, digest(config), redactor))
        if not module.check_mode:
            if running:
                process.stop(running)
            running = process.start(command, config, places)
    if running and (same or not module.check_mode):
        doing.result.update(url=running.url, pid=running.pid)
        offered = running.contexts()
    else:
        doing.result.update(url=None, pid=0)
        offered = [predicted(name, cluster) for name, cluster in contexts(clusters)]
    doing.result["contexts"] = [
        {**item, "environment": environment(process.path, item["namespace"], item["cluster"])} for item in offered
    ]


def stopped(module: ClusternetModule, doing: Report, process: GatewayProcess) -> None:
    """Have it not run, and its files removed."""
    running, remains = process.running(), process.remains()
    doing.result.update(changed=bool(running or remains), url=None, pid=0, contexts=[])
    if not doing.result["changed"]:
        return
    show(module, doing, {**description(running, Redactor()), "files": remains}, {"state": "stopped", "files": []})
    if not module.check_mode:
        if running:
            process.stop(running)
        process.remove(remains)


def arguments(params: dict[str, Any], process: GatewayProcess) -> list[str]:
    """What the program is told; raises ConfigError."""
    if not 0 <= params["port"] <= 65535:
        raise validate.invalid("port", "it must be from 0 to 65535")
    if params["idle_timeout"] < 0:
        raise validate.invalid("idle_timeout", "it must not be negative")
    account = child_access.service_account("service_account", params["service_account"])
    wanted = {
        "kubeconfig": process.parent,
        "write-kubeconfig": process.path,
        "bind-port": str(params["port"]),
        "idle-timeout": f"{params['idle_timeout']}s" if params["idle_timeout"] else None,
        "names": ",".join(params["names"] or []),
        "label-selector": params["label_selector"],
        "namespace": params["namespace"],
        "service-account": f"{account.namespace}/{account.name}" if account else None,
    }
    return [f"--{name}={value}" for name, value in wanted.items() if value]


def executable(module: ClusternetModule) -> str:
    """The path of the program; raises ConfigError when there is none."""
    given = module.params["executable"]
    if given:
        if not os.access(given, os.X_OK):
            raise ConfigError("executable", f"There is no program {given}, which executable names.")
        return given
    beside = os.path.dirname(sys.executable)
    found = module.get_bin_path(PROGRAM, opt_dirs=[beside, ENGINE])
    if found is None:
        raise ConfigError(
            "executable",
            f"There is no program {PROGRAM} on the search path, in {beside} or in {ENGINE}. The role "
            "clusternet.core.engine installs it; if it is elsewhere, name it with executable.",
        )
    return found


def kubeconfig(parent: access.Access, user: dict[str, Any]) -> str:
    """The kubeconfig by which the gateway reaches the parent."""
    name = "parent"
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster_section(parent)}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        },
        sort_keys=True,
    )


def predicted(name: str, cluster: dict[str, Any]) -> dict[str, Any]:
    """A context that the kubeconfig is going to have."""
    metadata = cluster["metadata"]
    return {"name": name, "cluster": metadata["name"], "namespace": metadata["namespace"], "server": None}


def description(running: Optional[Running], redactor: Redactor) -> dict[str, Any]:
    """What a diff shows of what there was."""
    return state(running.command, running.parent, redactor) if running else {"state": "stopped"}


def state(command: list[str], parent: str, redactor: Redactor) -> dict[str, Any]:
    """What a diff shows of a gateway that runs."""
    return {"state": "started", "command": command, "parent": redactor.digest(parent)}


def show(module: ClusternetModule, doing: Report, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Put the difference into the result, if it is asked for."""
    if module._diff:
        headers = dict.fromkeys(("before_header", "after_header"), doing.result["path"])
        doing.result["diff"] = {**headers, "before": before, "after": after}


if __name__ == "__main__":
    main()
