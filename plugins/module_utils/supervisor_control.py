# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts, watches and ends the supervisord of one process, by XML-RPC over its UNIX socket."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import stat
import subprocess
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable

from ansible_collections.clusternet.core.plugins.module_utils.process_logs import (
    quote,
    read_end,
    shown_lines,
    size_of,
)
from ansible_collections.clusternet.core.plugins.module_utils.supervisor_config import STOP_SECONDS, Files

RUNNING_STATES = ("STARTING", "RUNNING")
_CALL_TIMEOUT = 5
_START_TIMEOUT = 20
_KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class SupervisorError(Exception):
    """supervisord did not do what was asked; the text says what and why."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_CALL_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: str) -> http.client.HTTPConnection:
        return _UnixConnection(self._path)


class Supervisor:
    """One supervisord with its one process.

    :param name: name of the process.
    :param files: where its files stand.
    """

    def __init__(self, name: str, files: Files) -> None:
        self.name = name
        self.files = files
        self._log_start = 0

    def process(self) -> dict | None:
        """What supervisord says of it (``statename``, ``pid``, ``spawnerr`` …), None when it does not answer."""
        try:
            return self._call("getProcessInfo", self.name)
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return None

    def launch(self, program: str) -> None:
        """Start supervisord with the configuration on disk; returns when it listens.

        :param program: path of supervisord.
        :raises SupervisorError: the program is missing or ends with an error.
        """
        self._log_start = size_of(self.files.log)
        environment = {key: os.environ[key] for key in _KEPT_ENVIRONMENT if key in os.environ}
        try:
            result = subprocess.run(
                [program, "-c", self.files.config],
                env=environment,
                cwd=self.files.directory,
                umask=0o077,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_START_TIMEOUT,
                check=False,
            )
        except OSError as error:
            raise SupervisorError("cannot start {0}: {1}".format(program, error.strerror)) from error
        except subprocess.TimeoutExpired as error:
            raise SupervisorError(
                "{0} did not go to the background within {1} s".format(program, _START_TIMEOUT)
            ) from error
        if result.returncode != 0:
            raise SupervisorError(
                "{0} ended with code {1}: {2}".format(
                    program, result.returncode, " | ".join(shown_lines(result.stdout.decode(errors="replace")))
                )
            )

    def wait_running(self) -> dict:
        """Wait until the process has stayed up for a second.

        :returns: description of the process.
        :raises SupervisorError: it ended, could not be spawned, or the deadline passed.
        """
        deadline = time.monotonic() + _START_TIMEOUT
        info = self.process()
        while info is not None and info["statename"] == "STARTING" and time.monotonic() < deadline:
            time.sleep(0.05)
            info = self.process()
        if info is None:
            raise SupervisorError(
                "supervisord of {0} stopped answering. {1}".format(
                    self.name, quote(read_end(self.files.supervisord_log), self.files.supervisord_log)
                )
            )
        if info["statename"] != "RUNNING":
            reason = info["spawnerr"] or "state {0}".format(info["statename"])
            raise SupervisorError(
                "{0} does not stay up ({1}). {2}".format(self.name, reason, quote(self._new_log(), self.files.log))
            )
        return info

    def log_tail(self) -> list[str]:
        """Return the last lines that the process has written since its launch, as they may be shown."""
        return shown_lines(self._new_log())

    def _new_log(self) -> str:
        return read_end(self.files.log, self._log_start)

    def stop(self) -> None:
        """End the process and its supervisord, also such as were left without one another by a crash.

        :raises SupervisorError: something survives SIGKILL.
        """
        try:
            self._call("shutdown")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            self._signal(self.left_over(), signal.SIGTERM)
        if not self._wait_gone(STOP_SECONDS + 5):
            self._signal(self.left_over(), signal.SIGKILL)
            if not self._wait_gone(5):
                raise SupervisorError("processes {0} of {1} cannot be ended".format(self.left_over(), self.name))

    def left_over(self) -> list[int]:
        """Ids of all processes of this configuration: supervisord and what it started, with or without it."""
        own = _ancestors()
        return [pid for pid in _matching(self._belongs) if pid not in own]

    def _belongs(self, command: list[bytes], environment: list[bytes]) -> bool:
        started_by = b"SUPERVISOR_SERVER_URL=unix://" + os.fsencode(self.files.socket)
        return started_by in environment or command[-2:] == [b"-c", os.fsencode(self.files.config)]

    def _call(self, method: str, *arguments: object):
        server = xmlrpc.client.ServerProxy("http://localhost", transport=_UnixTransport(self.files.socket))
        with server:
            return getattr(server.supervisor, method)(*arguments)

    @staticmethod
    def _signal(pids: list[int], number: int) -> None:
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def _wait_gone(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.left_over():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def runtime_directory() -> str:
    """Short folder for sockets whose own folder has too long a path."""
    return os.path.join(tempfile.gettempdir(), "clusternet-{0}".format(os.geteuid()))


def make_private(directory: str) -> None:
    """Make I(directory) with mode 0700, or make sure that an existing one is ours alone.

    :raises SupervisorError: somebody else owns or may enter it.
    """
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        found = os.lstat(directory)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise SupervisorError("{0} must be a folder of this user with mode 0700".format(directory)) from None


def _matching(predicate: Callable[[list[bytes], list[bytes]], bool]) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if predicate(_strings(entry, "cmdline"), _strings(entry, "environ")):
                found.append(int(entry))
        except OSError:
            continue
    return found


def _strings(pid: str, name: str) -> list[bytes]:
    with open("/proc/{0}/{1}".format(pid, name), "rb") as file:
        return file.read().split(b"\0")[:-1]


def _ancestors() -> set[int]:
    """This process and those above it."""
    chain = set()
    pid = os.getpid()
    while pid > 0:
        chain.add(pid)
        with open("/proc/{0}/stat".format(pid), "rb") as file:
            pid = int(file.read().rpartition(b")")[2].split()[1])
    return chain
