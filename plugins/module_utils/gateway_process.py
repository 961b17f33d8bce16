# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The background process of a gateway, known by the kubeconfig that it writes: start, find and end it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Optional
from urllib.parse import unquote, urlsplit

from ansible_collections.clusternet.core.plugins.module_utils import private_file
from ansible_collections.clusternet.core.plugins.module_utils.errors import ClusternetError, ConfigError
from ansible_collections.clusternet.core.plugins.module_utils.process_logs import quote, read_end

EXTENSION = "proxies.clusternet.io/gateway"
"""Name of the part of a kubeconfig in which a gateway tells about itself."""
_START_SECONDS = 60
_STOP_SECONDS = 10
_ANSWER_SECONDS = 5
_PAUSE = 0.05


class Running(NamedTuple):
    """A gateway as its kubeconfig tells of it."""

    url: str
    pid: int
    command: list
    parent: str
    config: dict

    def contexts(self) -> list[dict[str, Any]]:
        """The children that it offers, in the order of its kubeconfig."""
        found = []
        for item in self.config["clusters"]:
            namespace, name = urlsplit(item["cluster"]["server"]).path.strip("/").split("/")
            found.append(
                {
                    "name": item["name"],
                    "cluster": unquote(name),
                    "namespace": unquote(namespace),
                    "server": item["cluster"]["server"],
                }
            )
        return found

    def offers(self, places: Collection[str]) -> bool:
        """Whether all these clusters, as C(namespace/name), are among its children."""
        return set(places) <= {f"{item['namespace']}/{item['cluster']}" for item in self.contexts()}

    def answers(self) -> bool:
        """Whether it is there and knows its token."""
        authority = base64.b64decode(_about(self.config)["certificate-authority-data"]).decode()
        token = self.config["users"][0]["user"]["token"]
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            urlsplit(self.url).port,
            timeout=_ANSWER_SECONDS,
            context=ssl.create_default_context(cadata=authority),
        )
        try:
            connection.request("GET", "/", headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class GatewayProcess:
    """The gateway that writes one kubeconfig.

    :param path: of the kubeconfig
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.log = f"{path}.log"
        self.parent = f"{path}.parent"

    def running(self) -> Optional[Running]:
        """The gateway, None when there is none that answers; raises ConfigError when the file is somebody else's."""
        found = self._read()
        return found if found and found.answers() else None

    def start(self, command: Sequence[str], parent: str, places: Collection[str]) -> Running:
        """Start it and wait until it answers and offers these clusters.

        :param parent: kubeconfig of the parent; it is in a file only until the gateway has read it
        :raises ClusternetError: it doesn't stay up, with the last error in its log
        """
        try:
            private_file.write(self.parent, parent)
        except OSError as error:
            raise ConfigError("path", f"Cannot write {self.parent}: {error.strerror}") from error
        try:
            with open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as log:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    start_new_session=True,
                )
            return self._wait_started(process, places)
        except OSError as error:
            raise ConfigError("executable", f"Cannot start {command[0]}: {error.strerror}") from error
        finally:
            os.unlink(self.parent)

    def wait_offering(self, running: Running, places: Collection[str]) -> Running:
        """Wait until a running gateway offers these clusters, of which it hears by itself; raises ClusternetError."""
        deadline = time.monotonic() + _START_SECONDS
        while not running.offers(places):
            if time.monotonic() > deadline:
                raise ClusternetError(
                    f"The gateway doesn't offer all of {', '.join(places)} within {_START_SECONDS} s. {self._tail()}",
                    "Timeout",
                )
            time.sleep(_PAUSE)
            running = self._read() or running
        return running

    def stop(self, running: Running) -> None:
        """End it; its kubeconfigs go with it. Raises ClusternetError when it can't be ended."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.kill(running.pid, number)
            except ProcessLookupError:
                pass
            except PermissionError as error:
                raise ClusternetError(f"The gateway (process {running.pid}) is another user's.", "Forbidden") from error
            deadline = time.monotonic() + _STOP_SECONDS
            while running.answers():
                if time.monotonic() > deadline:
                    break
                time.sleep(_PAUSE)
            else:
                return
        raise ClusternetError(f"The gateway (process {running.pid}) can't be ended.", "Timeout")

    def remains(self) -> list[str]:
        """The files that a gateway which isn't there any more has left."""
        folder = f"{self.path}.d"
        inside = [os.path.join(folder, name) for name in os.listdir(folder)] if os.path.isdir(folder) else []
        found = [path for path in (self.path, *inside) if _gateways(_text(path))]
        return [*found, *(path for path in (self.log, self.parent) if os.path.lexists(path))]

    def remove(self, files: Sequence[str]) -> None:
        """Remove these files, and their folder if nothing else is in it."""
        for path in files:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        with contextlib.suppress(OSError):
            os.rmdir(f"{self.path}.d")

    def _read(self) -> Optional[Running]:
        text = _text(self.path)
        config = _gateways(text)
        if config:
            about = _about(config)
            return Running(about["url"], about["pid"], about["command"], about["parent"], config)
        if text:
            raise ConfigError(
                "path", f"{self.path} was not written by a gateway and is left as it is. Choose another path."
            )
        return None

    def _wait_started(self, process: subprocess.Popen, places: Collection[str]) -> Running:
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None:
            found = self._read()
            if found and found.pid == process.pid and found.offers(places) and found.answers():
                return found
            if time.monotonic() > deadline:
                process.kill()
                raise ClusternetError(
                    f"The gateway doesn't answer within {_START_SECONDS} s. {self._tail()}", "Timeout"
                )
            time.sleep(_PAUSE)
        raise ClusternetError(f"The gateway ended with code {process.returncode}. {self._tail()}", "NotStarted")

    def _tail(self) -> str:
        return quote(read_end(self.log), self.log)


def digest(parent: str) -> str:
    """By what a gateway tells the kubeconfig of its parent from another one."""
    return hashlib.sha256(parent.encode()).hexdigest()


def _text(path: str) -> str:
    try:
        return private_file.read(path)
    except UnicodeDecodeError:
        return "not a text"
    except OSError as error:
        raise ConfigError("path", f"Cannot read {path}: {error.strerror}") from error


def _gateways(text: str) -> Optional[dict[str, Any]]:
    """The kubeconfig in a text, None if it isn't one that a gateway has written."""
    try:
        config = json.loads(text)
        _about(config)
    except (ValueError, KeyError, TypeError, StopIteration):
        return None
    return config


def _about(config: Mapping[str, Any]) -> dict[str, Any]:
    return next(item["extension"] for item in config["extensions"] if item["name"] == EXTENSION)
