# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files on the control node that variables name by relative paths.

Ansible itself looks for the files of a task beside its playbook. The playbooks of a collection are installed somewhere
else than the user's files, so what their variables name is looked for beside the files that set the variables. Which of
several variable files has set a variable isn't known, so all of them are tried, as Ansible tries all folders of its
search path. Nothing here fails; what wasn't found says where it was looked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Found(NamedTuple):
    """Tells what became of a path.

    Attributes:
        name: the path as it was given.
        path: the absolute path of the file, empty if there is none.
        folders: where it was looked for.
    """

    name: str
    path: str
    folders: list[str]


def folders_of_vars_files(extra_vars: Iterable[str]) -> list[str]:
    """Return the folders of the files among values of ``--extra-vars``, the last one first, as it counts most."""
    files = [value[1:] for value in extra_vars if value.startswith("@")]
    return list(dict.fromkeys(os.path.dirname(os.path.abspath(os.path.expanduser(file))) for file in reversed(files)))


def folders_of_playbooks(arguments: Iterable[str]) -> list[str]:
    """Return the folders of playbooks that are named as files, not by their collection."""
    files = [os.path.abspath(argument) for argument in arguments if os.path.isfile(argument)]
    return list(dict.fromkeys(map(os.path.dirname, files)))


def locate(name: str, folders: Sequence[str], subfolder: str) -> Found:
    """Return the first file of this name.

    Args:
        name: a path; ``~`` is the home folder.
        folders: where relative paths begin, in this order.
        subfolder: of each folder, in which is looked before the folder itself; empty for none.
    """
    path = os.path.expanduser(name)
    places = [""] if os.path.isabs(path) else [part for folder in folders for part in _both(folder, subfolder)]
    candidates = [os.path.normpath(os.path.join(place, path)) for place in places]
    return Found(name, next(filter(os.path.isfile, candidates), ""), [place for place in places if place])


def _both(folder: str, subfolder: str) -> list[str]:
    """Return a subfolder, if one is asked for, and its folder."""
    return [os.path.join(folder, subfolder), folder] if subfolder else [folder]
