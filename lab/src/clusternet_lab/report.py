"""What the commands show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psutil
from rich.console import Console
from rich.table import Table

from clusternet_lab.cluster import Cluster
from clusternet_lab.lab import Lab

RUNNING = "running"


@dataclass(frozen=True)
class ComponentStatus:
    """One component: its process and memory (bytes) if it runs; state is ``running``, ``not ready`` or ``ended``."""

    cluster: str
    component: str
    state: str
    pid: int | None = None
    memory: int | None = None


def status(lab: Lab) -> list[ComponentStatus]:
    """Return the state of every component of a lab."""
    return [_component(cluster, component) for cluster in lab.clusters.values() for component in cluster.components]


def _component(cluster: Cluster, component: str) -> ComponentStatus:
    process = cluster.process(component)
    try:
        if process:
            state = RUNNING
            if component == "kube-apiserver":
                with cluster.api() as api:
                    state = RUNNING if api.is_ready() else "not ready"
            return ComponentStatus(cluster.name, component, state, process.pid, process.memory_info().rss)
    except psutil.NoSuchProcess:
        pass
    return ComponentStatus(cluster.name, component, "ended")


def status_table(rows: Iterable[ComponentStatus]) -> Table:
    """Return the states as a table."""
    table = _table("CLUSTER", "COMPONENT", "STATE", "PID", "MEMORY")
    for row in rows:
        memory = f"{row.memory / 2**20:.0f} MiB" if row.memory else ""
        table.add_row(row.cluster, row.component, row.state, str(row.pid or ""), memory)
    return table


def clusters_table(lab: Lab) -> Table:
    """Return a lab's clusters as a table."""
    table = _table("CLUSTER", "SERVER", "KUBECONFIG")
    for cluster in lab.clusters.values():
        table.add_row(cluster.name, cluster.server, str(cluster.kubeconfig))
    return table


def labs_table(labs: Sequence[Lab]) -> Table:
    """Return labs as a table."""
    table = _table("LAB", "CHILDREN", "STATE", "FOLDER")
    for lab in labs:
        missing = sum(len(cluster.missing()) for cluster in lab.clusters.values())
        table.add_row(lab.name, str(len(lab.clusters) - 1), f"{missing} ended" if missing else RUNNING, str(lab.folder))
    return table


def show(table: Table) -> None:
    """Print a table in its full width, also where the terminal is narrower: paths are there to be copied."""
    console = Console()
    width = console.measure(table, options=console.options.update(width=10_000)).maximum
    Console(width=max(width, console.width)).print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ignore")
    return table
