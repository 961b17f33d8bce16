"""A lab: a parent cluster, its children, and what is kept of them between commands."""

import json
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event
from typing import Self

from clusternet_lab import hosts, ports, programs
from clusternet_lab.cluster import Cluster
from clusternet_lab.components import PORTS
from clusternet_lab.errors import LabError
from clusternet_lab.files import locked, write_private
from clusternet_lab.folders import labs_home
from clusternet_lab.progress import Progress, Silent

DEFAULT_NAME = "default"
DEFAULT_CHILDREN = 2
START_TIMEOUT = 180.0  # seconds until a cluster must be ready; five are usual, a busy machine takes its time
_LOCK_TIMEOUT = START_TIMEOUT + 30
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_STATE = "lab.json"


@dataclass
class _State:
    """What a lab's file ``lab.json`` holds."""

    children: int
    nodes: int
    audit: bool
    ports: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        try:
            return cls(**json.loads((folder / _STATE).read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise LabError(f"{folder / _STATE} is damaged: {error}") from None

    def grow(self, name: str, children: int | None, nodes: int | None, audit: bool) -> None:
        """Take over what `Lab.up` was asked for, as far as a lab can change while it exists."""
        for what, has, wanted in (("children", self.children, children), ("nodes", self.nodes, nodes)):
            if wanted is not None and wanted < has:
                raise LabError(f"lab {name} has {has} {what} and can only grow; `down` removes it")
        if audit and not self.audit:
            raise LabError(f"lab {name} was made without audit; `down` removes it")
        self.children = self.children if children is None else children
        self.nodes = self.nodes if nodes is None else nodes

    def cluster_names(self) -> list[str]:
        return ["parent", *(f"child{number}" for number in range(1, self.children + 1))]


class Lab:
    """A lab, running or not; get one by `Lab.up` or `Lab.open`.

    Attributes:
        name: its name.
        folder: everything it has on disk.
        clusters: ``parent``, ``child1`` … by name.
    """

    def __init__(self, name: str, folder: Path, state: _State) -> None:
        self.name = name
        self.folder = folder
        self._state = state
        paths = programs.paths()
        self.clusters = {
            cluster: Cluster(cluster, folder / cluster, claimed, nodes=state.nodes, audit=state.audit, programs=paths)
            for cluster, claimed in state.ports.items()
        }

    @classmethod
    def up(
        cls,
        name: str = DEFAULT_NAME,
        *,
        children: int | None = None,
        nodes: int | None = None,
        audit: bool = False,
        home: Path | None = None,
        progress: Progress | None = None,
        timeout: float = START_TIMEOUT,
    ) -> Self:
        """Make a lab, or repair and grow an existing one, and return it when all its clusters are ready.

        Interrupted, it removes a lab it was just making.

        Args:
            name: the lab's name.
            children: how many child clusters; default: what the lab has, or 2.
            nodes: how many simulated nodes a cluster; default: what the lab has, or 0.
            audit: let API servers log every request.
            home: the folder of labs; default: `folders.labs_home`.
            progress: told about building and starting.
            timeout: seconds the clusters may take to become ready, without building.

        Raises:
            LabError: it can't be done; the lab stays as far as it came, for its logs and for another try.
        """
        if not _NAME.fullmatch(name):
            raise LabError(f"{name!r} is no name for a lab: at most 40 small letters, digits and inner hyphens")
        progress = progress or Silent()
        folder = (home or labs_home()) / name
        known = _State.read(folder)
        programs.ensure(nodes=bool(nodes or (known and known.nodes)), progress=progress)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = False
        try:
            with cls._locked(name, folder):
                state = _State.read(folder)
                fresh = state is None
                state = state or _State(DEFAULT_CHILDREN if children is None else children, nodes or 0, audit)
                state.grow(name, children, nodes, audit)
                new = [cluster for cluster in state.cluster_names() if cluster not in state.ports]
                claimed = iter(ports.reserve(folder, len(new) * len(PORTS)))
                state.ports |= {cluster: {port: next(claimed) for port in PORTS} for cluster in new}
                write_private(folder / _STATE, json.dumps(asdict(state), indent=1))
                lab = cls(name, folder, state)
                lab._start(time.monotonic() + timeout, progress)
                return lab
        except LabError:
            raise
        except BaseException:
            if fresh and (made := _State.read(folder)):
                cls(name, folder, made).down()
            raise

    @classmethod
    def open(cls, name: str = DEFAULT_NAME, *, home: Path | None = None) -> Self:
        """Return an existing lab.

        Raises:
            LabError: there is none of this name.
        """
        folder = (home or labs_home()) / name
        if not (state := _State.read(folder)):
            raise LabError(f"there is no lab {name} in {folder.parent}")
        return cls(name, folder, state)

    def cluster(self, name: str) -> Cluster:
        """Return a cluster by its name.

        Raises:
            LabError: the lab has no such cluster.
        """
        try:
            return self.clusters[name]
        except KeyError:
            raise LabError(f"lab {self.name} has no cluster {name}, only {', '.join(self.clusters)}") from None

    def kill(self, cluster: str, component: str) -> None:
        """Kill a component (SIGKILL) and return when it is gone; `restart` or `Lab.up` starts it again.

        Raises:
            LabError: there is no such cluster or component.
        """
        self._component(cluster, component).kill(component)

    def restart(self, cluster: str, component: str, *, timeout: float = START_TIMEOUT) -> None:
        """End a component if it runs, start it, and return when its cluster is ready (``timeout`` in seconds).

        Raises:
            LabError: there is no such cluster or component, or the cluster isn't ready in time.
        """
        target = self._component(cluster, component)
        with self._locked(self.name, self.folder):
            target.stop(component)
            target.up(time.monotonic() + timeout, Event())

    def wait_ready(self, *, timeout: float = START_TIMEOUT) -> None:
        """Return when all clusters are ready, having started what wasn't running.

        Raises:
            LabError: a cluster isn't ready within ``timeout`` seconds.
        """
        with self._locked(self.name, self.folder):
            self._start(time.monotonic() + timeout, Silent())

    def down(self) -> None:
        """End every process of the lab and remove everything it had."""
        with suppress(FileNotFoundError), self._locked(self.name, self.folder):
            hosts.end(self.folder)
            with ThreadPoolExecutor(len(self.clusters) or 1) as pool:
                list(pool.map(Cluster.down, self.clusters.values()))
            ports.release(self.folder)
            shutil.rmtree(self.folder)
        with suppress(OSError):
            self.folder.parent.rmdir()

    def _start(self, deadline: float, progress: Progress) -> None:
        """Bring all clusters up side by side."""
        cancelled = Event()
        failures: list[LabError] = []
        progress.say(f"bringing up {', '.join(self.clusters)}")

        def bring_up(cluster: Cluster) -> None:
            try:
                cluster.up(deadline, cancelled)
                progress.say(f"{cluster.name} is ready")
            except LabError as error:
                failures.append(error)
                cancelled.set()

        with ThreadPoolExecutor(len(self.clusters)) as pool:
            try:
                list(pool.map(bring_up, self.clusters.values()))
            finally:
                cancelled.set()
        if failures:
            raise failures[0]  # the others were only cancelled

    def _component(self, cluster: str, component: str) -> Cluster:
        target = self.cluster(cluster)
        if component not in target.components:
            raise LabError(f"{cluster} has no component {component}, only {', '.join(target.components)}")
        return target

    @staticmethod
    def _locked(name: str, folder: Path) -> AbstractContextManager[None]:
        return locked(folder, timeout=_LOCK_TIMEOUT, busy=f"another command is working on lab {name}")


def labs(home: Path | None = None) -> list[Lab]:
    """Return all labs, by name."""
    folder = home or labs_home()
    found = sorted(path.parent for path in folder.glob(f"*/{_STATE}"))
    return [Lab.open(path.name, home=folder) for path in found]
