"""Writing files whole or not at all, and locking."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusternet_lab.errors import LabError


def write_private(path: Path, content: str | bytes) -> None:
    """Write ``content`` to ``path`` atomically, readable by its owner only (mode 0600)."""
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def locked(path: Path, *, timeout: float, busy: str) -> Iterator[None]:
    """Hold an exclusive lock on the existing file or folder ``path``; it is free again when the process ends, however.

    Args:
        path: what to lock.
        timeout: seconds to wait for another holder.
        busy: the message of the error when the holder doesn't let go in time.

    Raises:
        LabError: another process held the lock for ``timeout`` seconds, or removed ``path`` meanwhile.
    """
    deadline = time.monotonic() + timeout
    handle = os.open(path, os.O_RDONLY)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LabError(busy) from None
                time.sleep(0.05)
        if not path.exists() or not os.path.samestat(os.fstat(handle), path.stat()):
            raise LabError(f"{path} was removed meanwhile")
        yield
    finally:
        os.close(handle)
