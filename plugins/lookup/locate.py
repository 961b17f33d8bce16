# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: locate
short_description: Find files that variables name by relative paths
version_added: 0.6.0
author:
  - The clusternet.core authors (@clusternet)
description:
  - Finds files on the control node. Relative paths are looked for in the folders of the files given with C(-e @file),
    the last one first; in that of the playbook on the command line; at last in the current folder.
  - It is how playbooks of this collection find what their variables name, since the user's files are not beside them.
  - A file that isn't there is no error, so that all that are missing can be named at once.
options:
  _terms:
    description: Paths of files. V(~) is the home folder.
    type: list
    elements: str
    required: true
  folder:
    description: Look for relative paths only in this folder. An empty text counts as not given.
    type: str
  subfolder:
    description: Look into this subfolder of each folder before the folder itself, as Ansible does it with C(files).
    type: str
"""

EXAMPLES = r"""
- name: See that the files are there
  ansible.builtin.assert:
    that: missing | length == 0
    fail_msg: "These files are missing: {{ missing | map(attribute='name') | join(', ') }}"
  vars:
    missing: "{{ query('clusternet.core.locate', 'web.yml', 'db.yml', subfolder='files') | rejectattr('path') }}"
"""

RETURN = r"""
_list:
  description: What was found, in the order of the paths.
  type: list
  elements: dict
  contains:
    name:
      description: The path as it was given.
      type: str
      sample: web.yml
    path:
      description: The absolute path; empty if there is no such file.
      type: str
      sample: /home/jane/shop/files/web.yml
    folders:
      description: Where it was looked for; empty for an absolute path.
      type: list
      elements: str
      sample: [/home/jane/shop/files, /home/jane/shop]
"""

import os
from typing import Any

from ansible import context
from ansible.plugins.lookup import LookupBase
from ansible_collections.clusternet.core.plugins.plugin_utils.locating import (
    folders_of_playbooks,
    folders_of_vars_files,
    locate,
)


class LookupModule(LookupBase):
    """Files on the control node."""

    def run(self, terms: list[Any], variables: Any = None, **kwargs: Any) -> list[Any]:
        """Look for what the terms name."""
        self.set_options(var_options=variables, direct=kwargs)
        folders = [os.path.abspath(os.path.expanduser(str(self.get_option("folder"))))]
        if not self.get_option("folder"):
            given = folders_of_vars_files(context.CLIARGS.get("extra_vars") or ())
            playbooks = folders_of_playbooks(context.CLIARGS.get("args") or ())
            folders = list(dict.fromkeys([*given, *playbooks, os.getcwd()]))
        subfolder = str(self.get_option("subfolder") or "")
        return [locate(str(term), folders, subfolder)._asdict() for term in terms]
