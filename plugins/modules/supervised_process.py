#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: supervised_process
short_description: Run a background process where no systemd runs
version_added: 0.1.0
author:
  - The clusternet.core authors (!UNKNOWN)
description:
  - Keeps one process running in the background under its own C(supervisord), for hosts without systemd and
    for users without root.
  - A process that ends is started again, at once after it had been up for a second, else with a pause that
    grows by a second each time.
  - When it does not stay up, the message quotes the last error in its log.
  - The output goes to C(<name>.log) in O(directory), rotated at 10 MB, three old files are kept.
  - A process that lost its C(supervisord) (after a SIGKILL, say) is found and ended before a new one starts,
    so it never runs twice.
notes:
  - The process doesn't come back when the host starts anew; run the task again then.
options:
  name:
    description:
      - Name of the process. Names its files in O(directory).
    type: str
    required: true
  directory:
    description:
      - Working folder of the process; its configuration, log and socket stand here. Made with mode V(0700),
        its parent must exist.
      - Where the path of the socket would be longer than the 107 bytes that a UNIX socket may have,
        the socket goes to a private folder among the temporary files.
    type: path
    required: true
  command:
    description:
      - Program (absolute path) and arguments. No shell is involved.
      - Required with O(state=started). Must not hold secrets, since every user of the host can see arguments.
    type: list
    elements: str
  supervisord:
    description:
      - Path of the program C(supervisord), version 4.2 or newer.
      - Required with O(state=started).
    type: path
  revision:
    description:
      - Any text, for example a checksum of the program or of a file that it reads only once.
      - A changed text restarts the process.
    type: str
    default: ""
  state:
    description:
      - V(started) - the process runs with exactly this O(command). A change restarts it.
      - V(stopped) - neither the process nor its C(supervisord) runs; files stay.
      - V(absent) - as V(stopped), and the configuration, logs and socket are removed. O(directory) itself stays.
    type: str
    choices: [started, stopped, absent]
    default: started
attributes:
  check_mode:
    description: Can run in check mode and predict the result without changing anything.
    support: full
  diff_mode:
    description: Returns what was and what will be.
    support: full
  platform:
    description: Finds processes in C(/proc).
    support: full
    platforms: Linux
requirements:
  - supervisor >= 4.2 (program C(supervisord), in any Python environment of the host)
"""

EXAMPLES = r"""
- name: Keep an agent running
  clusternet.core.supervised_process:
    name: clusternet-agent
    directory: /home/operator/clusternet/agent
    command:
      - /opt/clusternet/venv/bin/clusternet-agent
      - --kubeconfig=/home/operator/clusternet/agent/kubeconfig
    supervisord: /opt/clusternet/venv/bin/supervisord

- name: Stop it and remove its files
  clusternet.core.supervised_process:
    name: clusternet-agent
    directory: /home/operator/clusternet/agent
    state: absent
"""

RETURN = r"""
pid:
  description: Process id, V(0) when it does not run or in check mode.
  returned: success
  type: int
  sample: 4711
log:
  description: File with the output of the process.
  returned: always
  type: str
  sample: /home/operator/clusternet/agent/clusternet-agent.log
log_tail:
  description: Last lines that the process wrote when it does not stay up, without tokens, passwords and keys.
  returned: failure
  type: list
  elements: str
  sample: ["clusternet-agent: error: unrecognized arguments: --clutser-name"]
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.clusternet.core.plugins.module_utils.private_file import read, write
from ansible_collections.clusternet.core.plugins.module_utils.supervisor_config import Files, problem, render
from ansible_collections.clusternet.core.plugins.module_utils.supervisor_control import (
    RUNNING_STATES,
    Supervisor,
    SupervisorError,
    make_private,
    runtime_directory,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "command": {"type": "list", "elements": "str"},
            "supervisord": {"type": "path"},
            "revision": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["started", "stopped", "absent"], "default": "started"},
        },
        required_if=[("state", "started", ("command", "supervisord"))],
        supports_check_mode=True,
    )
    params = module.params
    wrong = problem(params["name"], params["directory"], params["command"] or [])
    if wrong:
        module.fail_json(msg="{0} {1}".format(*wrong))
    files = Files(params["directory"], params["name"], runtime_directory())
    supervisor = Supervisor(params["name"], files)
    try:
        result = started(module, supervisor) if params["state"] == "started" else ended(module, supervisor)
    except SupervisorError as error:
        module.fail_json(msg=str(error), log=files.log, log_tail=supervisor.log_tail())
    module.exit_json(log=files.log, **result)


def started(module: AnsibleModule, supervisor: Supervisor) -> dict:
    """Bring the process up with the wanted configuration; a running one with the same configuration is left alone."""
    files = supervisor.files
    wanted = render(supervisor.name, files, module.params["command"], module.params["revision"])
    current = read(files.config)
    info = supervisor.process()
    running = info is not None and info["statename"] in RUNNING_STATES
    changed = not running or current != wanted
    if changed and not module.check_mode:
        supervisor.stop()
        if not os.path.isdir(files.directory):
            os.mkdir(files.directory, 0o700)
        if os.path.dirname(files.socket) != files.directory:
            make_private(os.path.dirname(files.socket))
        write(files.config, wanted)
        supervisor.launch(module.params["supervisord"])
        info = supervisor.wait_running()
    return {
        "changed": changed,
        "pid": info["pid"] if running or not module.check_mode else 0,
        "diff": {
            "before": description(running, current),
            "after": description(True, wanted),
            "before_header": files.config,
            "after_header": files.config,
        },
    }


def ended(module: AnsibleModule, supervisor: Supervisor) -> dict:
    """Stop everything of this process; with state absent remove its files too."""
    files = supervisor.files
    running = bool(supervisor.left_over())
    unwanted = [path for path in files.all() if os.path.lexists(path)] if module.params["state"] == "absent" else []
    current = read(files.config)
    if not module.check_mode:
        if running:
            supervisor.stop()
        for path in unwanted:
            if os.path.lexists(path):
                os.unlink(path)
    return {
        "changed": running or bool(unwanted),
        "pid": 0,
        "diff": {
            "before": description(running, current),
            "after": description(False, "" if module.params["state"] == "absent" else current),
            "before_header": files.config,
            "after_header": files.config,
        },
    }


def description(running: bool, config: str) -> str:
    """What a diff shows: whether the process runs, then its configuration."""
    return "; {0}\n{1}".format("running" if running else "stopped", config)


if __name__ == "__main__":
    main()
