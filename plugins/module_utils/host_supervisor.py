# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds what would keep a process running on a host, as the role C(engine) chooses it, and where it finds programs."""

from __future__ import annotations

import os
import re
import shutil
from typing import Callable, Iterator, Optional

LEAST_SYSTEMD = 247
"""The version that hands a unit its kubeconfig (LoadCredential)."""
_RUNNING = "/run/systemd/system"
_UNIT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"

Run = Callable[[list], tuple]


def version(run: Run) -> int:
    """Return the version of the systemd that runs on this host; 0 if none does.

    Args:
        run: starts a command and returns its exit code, output and errors.
    """
    program = shutil.which("systemctl")
    if not program or not os.path.isdir(_RUNNING):
        return 0
    code, output, _errors = run([program, "--version"])
    found = re.search(r"[0-9]+", output)
    return int(found.group()) if code == 0 and found else 0


def problems(chosen: str, systemd: int, setting: str) -> Iterator[str]:
    """Yield a sentence for each thing that keeps systemd from running a process, where it is chosen by name.

    Args:
        chosen: C(auto), C(systemd) or C(process).
        systemd: version of the systemd that runs; 0 if none does.
        setting: name of the variable that chooses.
    """
    if chosen != "systemd":
        return
    if os.geteuid() != 0:
        yield f"{setting}: a systemd unit needs root. Become root (become: true), or set {setting} to process."
    if systemd == 0:
        yield f"{setting}: no systemd runs on the host. Set {setting} to process."
    elif systemd < LEAST_SYSTEMD:
        yield (
            f"{setting}: a unit needs systemd {LEAST_SYSTEMD} or newer, which hands it its kubeconfig; the host has "
            f"{systemd}. Set {setting} to process."
        )


def which(program: str, chosen: str, systemd: int) -> Optional[str]:
    """Return the path of a program as the process will find it; None if it won't."""
    unit = chosen == "systemd" or (chosen == "auto" and systemd >= LEAST_SYSTEMD and os.geteuid() == 0)
    return shutil.which(program, path=_UNIT_PATH if unit else None)
