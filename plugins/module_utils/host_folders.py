# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sees whether folders can be made or written to, and have room; nothing is written to find out."""

from __future__ import annotations

import os
import pwd
import shutil
from typing import Iterator, Mapping

_MEGABYTE = 2**20


def problems(folders: list[Mapping[str, object]]) -> Iterator[str]:
    """Yield a sentence for each folder that can't be used.

    Args:
        folders: each with its C(path), the name of the variable C(setting), and C(free), megabytes that it needs.
    """
    for folder in folders:
        path, setting, free = str(folder["path"]), folder["setting"], int(str(folder["free"]))
        there = existing(path)
        if not os.path.isdir(there):
            yield f"{setting}: {there} is no folder."
        elif not os.access(there, os.W_OK | os.X_OK):
            what = path if there == path else f"{path} can't be made, since {there}"
            yield (
                f"{setting}: {what} can't be written to by {user()}. Become root (become: true), or set {setting} to a "
                "folder of that user."
            )
        elif shutil.disk_usage(there).free < free * _MEGABYTE:
            left = shutil.disk_usage(there).free // _MEGABYTE
            yield f"{setting}: {path} needs {free} MB and its disk has {left} MB left. Make room, or set another one."


def existing(path: str) -> str:
    """Return a path, or the nearest one above it that exists."""
    path = os.path.abspath(path)
    while not os.path.lexists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return path


def user() -> str:
    """Return the name of the user who would write."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"user {os.geteuid()}"
