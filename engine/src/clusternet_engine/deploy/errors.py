"""Why something isn't on its cluster as it should be."""

from __future__ import annotations


class DeployFailed(Exception):
    """A Description or HelmRelease isn't on its cluster as it should be; its status says so, too.

    Args:
        message: why.
        retry_after: seconds until the next attempt; None leaves that to the queue.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(Exception):
    """There is no way to a cluster; the text says why."""
