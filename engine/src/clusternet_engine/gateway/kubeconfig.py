"""The kubeconfigs that a gateway writes: one for all children, and one for each."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import orjson

from clusternet_engine.kube.config import ConfigError
from clusternet_engine.kube.resources import Object
from clusternet_engine.model.gateway import Entrance, about_gateway, contexts, file_names, kubeconfig


class Kubeconfigs:
    """The file with a context for each child, and beside it the folder `<file>.d` with a file for each child.

    The folder is for programs that can't be told a context, such as `kubectl` by `$KUBECONFIG`; its files are named
    `<namespace>.<name>`. All are for their owner only (0600, 0700).

    Args:
        path: of the file; see :func:`check_replaceable`.
        entrance: to the gateway.
    """

    def __init__(self, path: Path, entrance: Entrance) -> None:
        self._path = path
        self._folder = folder_of(path)
        self._entrance = entrance

    def write(self, clusters: Sequence[Object]) -> None:
        """Make the files what they should be for these ManagedClusters; that of all children comes last."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        wanted = file_names(clusters)
        for name, key in wanted.items():
            _write(self._folder / name, kubeconfig(self._entrance, {name: key}))
        for file in self._folder.iterdir():
            if file.name not in wanted and about_gateway(file.read_bytes()) is not None:
                file.unlink()
        _write(self._path, kubeconfig(self._entrance, contexts(clusters)))

    def remove(self) -> None:
        """Remove the files, unless another gateway has written them since."""
        for file in (self._path, *self._folder.glob("*")):
            with contextlib.suppress(OSError):
                if (about_gateway(file.read_bytes()) or {}).get("url") == self._entrance.url:
                    file.unlink()
        with contextlib.suppress(OSError):
            self._folder.rmdir()


def folder_of(path: Path) -> Path:
    """Return the folder with the files for single children."""
    return path.with_name(path.name + ".d")


def check_replaceable(path: Path) -> None:
    """Make sure that nobody's kubeconfig would be overwritten, and that nobody else may write into the folder.

    Raises:
        ConfigError: the file isn't one that a gateway has written, or the folder isn't this user's alone.
    """
    folder = folder_of(path)
    with contextlib.suppress(FileNotFoundError):
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise ConfigError(f"{folder} must be a folder of this user with mode 0700, or not be there")
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return
    if about_gateway(text) is None:
        raise ConfigError(f"{path} was not written by a gateway and is left as it is: name another file")


def _write(path: Path, config: Object) -> None:
    text = orjson.dumps(config, option=orjson.OPT_INDENT_2)
    with contextlib.suppress(OSError):
        if path.read_bytes() == text:
            return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
    temporary.replace(path)
