#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: process_log_info
short_description: Quote the last error in the log of a background process
version_added: 0.6.0
author:
  - The clusternet.core authors (@clusternet)
description:
  - Reads the log of a process that M(clusternet.core.supervised_process) or a systemd unit runs, and returns its last
    error, so that a message can say why the process isn't ready.
  - Tokens, passwords and keys that the log may hold are hidden.
options:
  name:
    description: Name of the process, or of the systemd unit without C(.service).
    type: str
    required: true
  directory:
    description: Folder of the process. Required with O(supervisor=process).
    type: path
  supervisor:
    description:
      - V(process) reads C(<name>.log) in O(directory), as M(clusternet.core.supervised_process) writes it.
      - V(systemd) reads the journal. The task's user must be allowed to.
    type: str
    choices: [process, systemd]
    default: process
attributes:
  check_mode:
    description: Can run in check mode; it changes nothing.
    support: full
  diff_mode:
    description: Returns what was and what will be.
    support: none
  platform:
    description: Reads files and the journal.
    support: full
    platforms: Linux
seealso:
  - module: clusternet.core.supervised_process
"""

EXAMPLES = r"""
- name: Learn why the hub isn't ready
  clusternet.core.process_log_info:
    name: clusternet-hub
    directory: /var/lib/clusternet/hub
  register: log

- name: Say it
  ansible.builtin.fail:
    msg: "The hub is not ready. {{ log.quote }}"
"""

RETURN = r"""
last_error:
  description: Last line that tells of an error, else of a warning, else the last one; empty for an empty log.
  returned: success
  type: str
  sample: "E1126 10:18:17.123456 clusternet_engine.program] [Errno 98] address already in use"
log:
  description: Path of the log, or the command that shows it.
  returned: success
  type: str
  sample: /var/lib/clusternet/hub/clusternet-hub.log
quote:
  description: Sentences that quote the last error and say where the whole log is.
  returned: success
  type: str
  sample: 'The last error in its log is "[Errno 98] address already in use". The whole log: /srv/hub/clusternet-hub.log'
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.clusternet.core.plugins.module_utils.process_logs import last_error, quote, read_end
from ansible_collections.clusternet.core.plugins.module_utils.supervisor_config import Files, problem

_LINES = 500


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "directory": {"type": "path"},
            "supervisor": {"type": "str", "choices": ["process", "systemd"], "default": "process"},
        },
        required_if=[("supervisor", "process", ("directory",))],
        supports_check_mode=True,
    )
    name, directory = module.params["name"], module.params["directory"]
    wrong = problem(name, directory or "/", [])
    if wrong:
        module.fail_json(msg="{0} {1}".format(*wrong))
    if module.params["supervisor"] == "process":
        place = Files(directory, name, "").log
        text = read_end(place)
    else:
        place = f"journalctl --unit={name}.service"
        text = journal(module, name)
    module.exit_json(changed=False, last_error=last_error(text)[0], log=place, quote=quote(text, place))


def journal(module: AnsibleModule, name: str) -> str:
    """Return what the processes of a unit said last; if nothing, what systemd said of the unit."""
    program = module.get_bin_path("journalctl", required=True)
    for chosen in (f"_SYSTEMD_UNIT={name}.service", f"--unit={name}.service"):
        command = [program, chosen, "--output=cat", "--no-pager", "--quiet", f"--lines={_LINES}"]
        code, output, errors = module.run_command(command, errors="replace")
        if code != 0:
            module.fail_json(msg=f"Cannot read the journal of {name}: {errors.strip()}")
        if output.strip():
            return output
    return ""


if __name__ == "__main__":
    main()
