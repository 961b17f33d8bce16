# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one supervised process looks like as a configuration of PyPI's ``supervisor``: text in, text out."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Sequence

SOCKET_PATH_MAX = 107
"""Bytes that fit into ``sun_path`` of a UNIX socket address, without the closing NUL."""

STOP_SECONDS = 10
"""Seconds between SIGTERM and SIGKILL."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_UNSAFE_PATH = re.compile(r"[\x00-\x1f]|\s[;#]")
_COMMENT_START = re.compile(r"(\s)([;#])")

_TEMPLATE = """\
; Written by clusternet.core.supervised_process, changes are overwritten.
; revision: {revision}
[supervisord]
logfile={base}.supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile={base}.pid
umask=077
identifier={name}

[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[program:{name}]
command={command}
directory={directory}
autorestart=true
startsecs=1
startretries=1000000
stopwaitsecs={stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile={base}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""


class Files:
    """Where the files of one process stand.

    :param directory: absolute folder of the process.
    :param name: name of the process.
    :param runtime_directory: short folder that takes the socket when its path under I(directory) would be too long.
    """

    def __init__(self, directory: str, name: str, runtime_directory: str) -> None:
        self.directory = directory
        self.config = os.path.join(directory, name + ".conf")
        self.log = os.path.join(directory, name + ".log")
        self.supervisord_log = os.path.join(directory, name + ".supervisord.log")
        self.pid = os.path.join(directory, name + ".pid")
        self.socket = os.path.join(directory, name + ".sock")
        if len(os.fsencode(self.socket)) > SOCKET_PATH_MAX:
            digest = hashlib.sha256(os.fsencode(self.socket)).hexdigest()[:16]
            self.socket = os.path.join(runtime_directory, digest + ".sock")

    def all(self) -> list[str]:
        """Every file that supervisord or the module may have made, rotated logs too."""
        rotated = ["{0}.{1}".format(self.log, number) for number in (1, 2, 3)]
        return [
            self.config,
            self.socket,
            self.pid,
            self.supervisord_log,
            self.supervisord_log + ".1",
            self.log,
            *rotated,
        ]


def problem(name: str, directory: str, command: Sequence[str]) -> tuple[str, str] | None:
    """The first option that supervisord's configuration format cannot carry, and why.

    :returns: option name and sentence, or None when all is well.
    """
    if not NAME.fullmatch(name):
        return "name", "may hold letters, digits, '_', '.' and '-' only and begins with a letter or digit"
    if not os.path.isabs(directory) or _UNSAFE_PATH.search(directory):
        return "directory", "must be an absolute path without control characters and without a blank before ';' or '#'"
    for argument in command:
        if any(ord(character) < 32 and character != "\t" for character in argument):
            return "command", "may not hold control characters such as line breaks"
    return None


def render(name: str, files: Files, command: Sequence[str], revision: str) -> str:
    """The configuration of a supervisord that runs this one process.

    :param command: program and arguments, passed on unchanged.
    :param revision: any text; it becomes part of the configuration, so that a change of it restarts the process.
    """
    return _TEMPLATE.format(
        revision=json.dumps(revision),
        base=_escape(os.path.join(files.directory, name)),
        name=name,
        socket=_escape(files.socket),
        command=_escape(join_command(command)),
        directory=_escape(files.directory),
        stop_seconds=STOP_SECONDS,
    )


def join_command(command: Sequence[str]) -> str:
    """One line that supervisord splits back into the same arguments.

    A blank before ``;`` or ``#`` begins a comment for supervisord, even inside quotes: an empty pair of quotes keeps
    them apart.
    """
    return " ".join(_COMMENT_START.sub(r"\1''\2", shlex.quote(argument)) for argument in command)


def _escape(text: str) -> str:
    return text.replace("%", "%%")
