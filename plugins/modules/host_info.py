#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Say what keeps a host from running a hub or an agent
version_added: 0.6.0
author:
  - The clusternet.core authors (!UNKNOWN)
description:
  - Looks at Python, folders, disk, ports, what keeps processes running, and what the host reaches, and returns all that
    stands in the way of a process of the engine. It doesn't fail by what it finds, and writes nothing.
  - The roles clusternet.core.hub and clusternet.core.agent ask it before they write anything.
options:
  name:
    description: Name of the process. Ports that it has itself are free for it.
    type: str
    required: true
  directory:
    description: Folder of the process, which holds its kubeconfig.
    type: path
    required: true
  supervisor:
    description: What is to keep the process running.
    type: str
    choices: [auto, systemd, process]
    default: auto
  supervisor_setting:
    description: Name of the variable that chooses O(supervisor), for messages.
    type: str
    default: supervisor
  install:
    description: Whether the engine has to be installed, so that Python and a package index are needed.
    type: bool
    default: false
  python:
    description: Interpreter for the engine; empty means the one that runs this module.
    type: str
    default: ""
  python_setting:
    description: Name of the variable that chooses O(python), for messages.
    type: str
    default: python
  folders:
    description: Folders that are made, or written to.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The folder.
        type: path
        required: true
      setting:
        description: Name of the variable that chooses it, for messages.
        type: str
        required: true
      free:
        description: Megabytes that it needs.
        type: int
        default: 0
  ports:
    description: TCP ports that the process listens on.
    type: list
    elements: dict
    default: []
    suboptions:
      port:
        description: The port; V(0) is any, and isn't looked at.
        type: int
        required: true
      address:
        description: Address or DNS name that it listens at.
        type: str
        required: true
      port_setting:
        description: Name of the variable that chooses the port, for messages.
        type: str
        required: true
      address_setting:
        description: Name of the variable that chooses the address, for messages.
        type: str
        required: true
  urls:
    description: What the process has to reach by HTTPS; any answer will do.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: The URL.
        type: str
        required: true
      setting:
        description: Name of the variable that chooses it, for messages.
        type: str
        required: true
  advertised:
    description: By what others reach the process.
    type: dict
    suboptions:
      address:
        description: Address or DNS name.
        type: str
        required: true
      address_setting:
        description: Name of the variable that chooses it, for messages.
        type: str
        required: true
      bind_address:
        description: Address that the process listens at.
        type: str
        required: true
      bind_setting:
        description: Name of the variable that chooses that, for messages.
        type: str
        required: true
  helm:
    description: The program that installs charts. Where it is missing, RV(notes) says so.
    type: dict
    suboptions:
      program:
        description: Name or path.
        type: str
        required: true
      setting:
        description: Name of the variable that chooses it, for messages.
        type: str
        required: true
      purpose:
        description: Where charts can't be installed without it.
        type: str
        required: true
attributes:
  check_mode:
    description: Can run in check mode; it changes nothing.
    support: full
  diff_mode:
    description: Returns what was and what will be.
    support: none
  platform:
    description: Reads files of C(/proc).
    support: full
    platforms: Linux
seealso:
  - module: clusternet.core.access_info
"""

EXAMPLES = r"""
- name: See whether an agent could run
  clusternet.core.host_info:
    name: clusternet-agent-berlin
    directory: /var/lib/clusternet/berlin
    install: true
    folders:
      - {path: /opt/clusternet, setting: clusternet_engine_home, free: 200}
    ports:
      - port: 10650
        address: 127.0.0.1
        port_setting: clusternet_agent_secure_port
        address_setting: clusternet_agent_bind_address
  register: host

- name: Refuse a host that lacks something
  ansible.builtin.assert:
    that: host.problems == []
    fail_msg: "{{ host.problems | join(' ') }}"
"""

RETURN = r"""
problems:
  description: What keeps the process from running, a sentence each, which names the variable to set.
  returned: success
  type: list
  elements: str
  sample:
    - "clusternet_agent_secure_port: port 10650 at 127.0.0.1 is in use by python3 (process 4711). Set
      clusternet_agent_secure_port to a port that is free."
notes:
  description: What is missing without keeping the process from running, a sentence each.
  returned: success
  type: list
  elements: str
  sample: []
ports:
  description: Ports that O(ports) names, without V(0).
  returned: success
  type: list
  elements: int
  sample: [10650]
machine:
  description: The same text for all hosts whose ports are the same ones; empty if that isn't known.
  returned: success
  type: str
  sample: 6c0c3c0f7d5d4a0c8f7e1b1f2a3b4c5d_4026531840
"""

import importlib.util
import os
import sys
from typing import Any, Iterator
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.clusternet.core.plugins.module_utils import (
    host_folders,
    host_network,
    host_ports,
    host_python,
    host_supervisor,
)


def main() -> None:
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "name": text,
            "directory": {"type": "path", "required": True},
            "supervisor": {"type": "str", "choices": ["auto", "systemd", "process"], "default": "auto"},
            "supervisor_setting": {"type": "str", "default": "supervisor"},
            "install": {"type": "bool", "default": False},
            "python": {"type": "str", "default": ""},
            "python_setting": {"type": "str", "default": "python"},
            "folders": _list_of(
                path={"type": "path", "required": True}, setting=text, free={"type": "int", "default": 0}
            ),
            "ports": _list_of(
                port={"type": "int", "required": True}, address=text, port_setting=text, address_setting=text
            ),
            "urls": _list_of(url=text, setting=text),
            "advertised": {
                "type": "dict",
                "options": {"address": text, "address_setting": text, "bind_address": text, "bind_setting": text},
            },
            "helm": {"type": "dict", "options": {"program": text, "setting": text, "purpose": text}},
        },
        supports_check_mode=True,
    )
    params = module.params
    systemd = host_supervisor.version(module.run_command)
    module.exit_json(
        changed=False,
        problems=list(_problems(module, systemd)),
        notes=list(_notes(params, systemd)),
        ports=[item["port"] for item in params["ports"] if item["port"]],
        machine=host_ports.machine(),
    )


def _list_of(**options: Any) -> dict[str, Any]:
    return {"type": "list", "elements": "dict", "default": [], "options": options}


def _problems(module: AnsibleModule, systemd: int) -> Iterator[str]:
    params = module.params
    if params["install"]:
        yield from _installing(module)
    yield from host_folders.problems(params["folders"])
    yield from host_supervisor.problems(params["supervisor"], systemd, params["supervisor_setting"])
    own = (os.path.join(params["directory"], "kubeconfig"), f"/{params['name']}.service/kubeconfig")
    yield from host_ports.problems([item for item in params["ports"] if item["port"]], own)
    advertised = params["advertised"]
    if advertised:
        names = {"advertise": advertised["address_setting"], "bind": advertised["bind_setting"]}
        yield from host_network.advertised(advertised["address"], advertised["bind_address"], names)
    for item in params["urls"]:
        why = host_network.unreachable(item["url"])
        if why:
            yield (
                f"{item['setting']}: the host can't reach {item['url']}: {why}. Set {item['setting']} to an address "
                "that this host reaches, or let the connection through."
            )


def _installing(module: AnsibleModule) -> Iterator[str]:
    executable = module.params["python"] or sys.executable
    found = host_python.ask(module.run_command, executable)
    library = bool(importlib.util.find_spec(host_python.LIBRARY))
    yield from host_python.problems(found, executable, module.params["python_setting"], library)
    url = host_python.index(found["settings"] if found else [], os.environ)
    why = host_network.unreachable(url) if url else None
    if url and why:
        parts = urlsplit(url)
        yield (
            f"The host can't reach the package index {parts.scheme}://{parts.hostname or ''}{parts.path}, from which "
            f"pip gets the engine's packages: {why}. Name another one in the host's pip configuration (index-url), or "
            "a folder with the packages (find-links)."
        )


def _notes(params: dict[str, Any], systemd: int) -> Iterator[str]:
    helm = params["helm"]
    if helm and not host_supervisor.which(helm["program"], params["supervisor"], systemd):
        yield (
            f"There is no program {helm['program']} on the host. Without it {helm['purpose']}; everything else works. "
            f"Install Helm 3, or set {helm['setting']} to its path."
        )


if __name__ == "__main__":
    main()
