"""Files that exist in memory only, for what is read from a path alone: OpenSSL's key pairs, Helm's input.

Nothing secret reaches a disk, nobody has to clean up after a kill, and a full disk is no hindrance. Making one takes a
file descriptor, so it fails with an OSError when the process has none left.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def memory_file(name: str, content: bytes) -> Iterator[int]:
    """Give the descriptor of a file with this content for as long as the context is open.

    Args:
        name: for people who look at `/proc`.
        content: of the file.

    Raises:
        OSError: no file descriptor or no memory is left.
    """
    descriptor = os.memfd_create(name)
    try:
        os.fchmod(descriptor, 0o600)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield descriptor
    finally:
        os.close(descriptor)


def descriptor_path(descriptor: int) -> str:
    """Return by which path this process, or one that inherits the descriptor, opens the file from its beginning."""
    return f"/proc/self/fd/{descriptor}"
