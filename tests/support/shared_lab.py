"""The lab that integration tests and hostile tests run against.

``CLUSTERNET_TEST_LAB=<name>`` takes an existing lab (made by ``python -m clusternet_lab up --name <name>``) and leaves
it running: quick while developing. Otherwise one lab is made for the whole run and removed at its end.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from clusternet_lab import Lab, LabError


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A running lab with a parent and two children."""
    if name := os.environ.get("CLUSTERNET_TEST_LAB"):
        existing = Lab.open(name)
        existing.wait_ready()
        yield existing
        return
    name = f"test-{os.getpid()}"
    try:
        yield Lab.up(name, children=2, audit=True)
    finally:
        with suppress(LabError):
            Lab.open(name).down()


@pytest.fixture(scope="session")
def parent_kubeconfig(lab: Lab) -> Path:
    """The administrator's kubeconfig of the parent cluster."""
    return lab.cluster("parent").kubeconfig


@pytest.fixture(scope="session")
def child_kubeconfigs(lab: Lab) -> dict[str, Path]:
    """The administrators' kubeconfigs of the child clusters, by cluster name."""
    return {name: cluster.kubeconfig for name, cluster in lab.clusters.items() if name != "parent"}
