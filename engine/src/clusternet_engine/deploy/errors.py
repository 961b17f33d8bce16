"""Why something isn't on its cluster as it should be."""

from __future__ import annotations


class DeployFailed(Exception):
    """A Description or HelmRelease isn't on its cluster as it should be; its status says so, too."""


class Unreachable(Exception):
    """There is no way to a cluster; the text says why."""
