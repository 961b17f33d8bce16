# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sees whether ports can be listened on, and who has them.

A port is tried by binding to it, as the process will. Where that fails because somebody listens there, the files of
C(/proc) say who: a process that is to be started anew gives its own port back, so it isn't in its own way.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from typing import Iterator, Mapping, Optional

_LISTENING = "0A"
_PRIVILEGED = 1024


def problems(ports: list[Mapping[str, object]], own: tuple) -> Iterator[str]:
    """Yield a sentence for each port that the process couldn't listen on.

    Args:
        ports: each with C(port), C(address), and the names of variables C(port_setting) and C(address_setting).
        own: texts of which one is in the arguments of the process whose ports they are.
    """
    for item in ports:
        address, port = str(item["address"]), int(str(item["port"]))
        setting = f"{item['port_setting']}: port {port} at {address}"
        number, text = _try(address, port)
        if number == errno.EADDRINUSE:
            holder = _holder(port)
            if holder is None or not any(text in holder[1] for text in own):
                who = f"by {holder[0]} (process {holder[2]})" if holder else "by another process"
                yield f"{setting} is in use {who}. Set {item['port_setting']} to a port that is free."
        elif number == errno.EACCES and port < _PRIVILEGED:
            yield f"{setting} is for root only. Set {item['port_setting']} to {_PRIVILEGED} or above, or become root."
        elif number:
            yield f"{item['address_setting']}: this host can't listen at {address}: {text}."


def _try(address: str, port: int) -> tuple[int, str]:
    """Return the number and the text of the error of listening at an address; 0 for none."""
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        return -1, getattr(error, "strerror", None) or str(error)
    for family, kind, protocol, _name, target in found:
        try:
            with socket.socket(family, kind, protocol) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                tried.bind(target)
                tried.listen(1)
        except OSError as error:
            return error.errno or -1, error.strerror or str(error)
    return 0, ""


def _holder(port: int) -> Optional[tuple[str, str, int]]:
    """Return name, arguments and number of a process that listens on a port; None if that can't be seen."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    for entry in os.listdir("/proc") if sockets else ():
        if entry.isdigit() and sockets & set(_links(f"/proc/{entry}/fd")):
            arguments = _read(f"/proc/{entry}/cmdline").replace("\0", " ").strip()
            return _read(f"/proc/{entry}/comm").strip() or "a process", arguments, int(entry)
    return None


def _inodes(port: int) -> Iterator[str]:
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _read(file).splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _links(folder: str) -> Iterator[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            yield os.readlink(os.path.join(folder, name))
        except OSError:
            continue


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def machine() -> str:
    """Return what all hosts have in common whose ports are the same ones: a start of a kernel, and its network."""
    boot = re.sub(r"[^0-9a-f]", "", _read("/proc/sys/kernel/random/boot_id"))
    try:
        network = os.stat("/proc/self/ns/net").st_ino
    except OSError:
        network = 0
    return f"{boot}_{network}" if boot else ""
