"""One control plane: its files, its processes, its readiness."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Event

import psutil

from clusternet_lab import kubeconfig, pki, process, simulation
from clusternet_lab.api import ApiServer
from clusternet_lab.components import CONTROL, NODES, STORAGE, Layout, arguments
from clusternet_lab.errors import LabError
from clusternet_lab.files import write_private

_AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    resources:
      - group: proxies.clusternet.io
        resources: [sockets/proxy]
  - level: Metadata
"""
"""The same as the role `hub` recommends: the log holds no credential by which somebody reaches a child."""
_GRACE = 5.0  # seconds from SIGTERM to SIGKILL
# Collecting garbage half as often as by default: a cluster starts with a quarter less work, for 40 MiB more memory.
_ENVIRONMENT = {"PATH": os.defpath, "GOGC": "200"}


class Cluster:
    """A parent or child cluster of a lab.

    Args:
        name: ``parent``, ``child1`` …
        folder: its folder.
        ports: its ports by the names of `components.PORTS`.
        nodes: how many simulated nodes it has.
        audit: whether its API server writes an audit log.
        programs: the files to run by component.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        ports: Mapping[str, int],
        *,
        nodes: int,
        audit: bool,
        programs: Mapping[str, Path],
    ) -> None:
        self.name = name
        self.folder = folder
        self.nodes = nodes
        self.layout = Layout(name, folder, ports, audit)
        self._programs = programs

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig file."""
        return self.layout.kubeconfig("admin")

    @property
    def server(self) -> str:
        """The URL of the API server, on 127.0.0.1."""
        return self.layout.server

    @property
    def ca(self) -> Path:
        """The PEM file with the authority that signed the API server's certificate."""
        return self.layout.pki / "ca.crt"

    @property
    def engine_port(self) -> int:
        """The port kept for the health endpoint of this cluster's hub or agent."""
        return self.layout.ports["engine"]

    @property
    def audit_log(self) -> Path:
        """The audit log (one JSON object a line; empty unless the lab was made with ``audit``)."""
        return self.layout.audit_log

    @property
    def components(self) -> tuple[str, ...]:
        """The names of the components, in the order of starting."""
        return (*STORAGE, *CONTROL, *((NODES,) if self.nodes else ()))

    def api(self) -> ApiServer:
        """Return a connection to the API server as its administrator."""
        return ApiServer(self.server, self.layout.pki)

    def process(self, component: str) -> psutil.Process | None:
        """Return the running process of ``component``, None when it isn't running."""
        try:
            identity = process.Identity(**json.loads(self._record(component).read_text()))
        except FileNotFoundError:
            return None
        return identity.find()

    def missing(self) -> list[str]:
        """Return the components that are not running."""
        return [component for component in self.components if not self.process(component)]

    def up(self, deadline: float, cancelled: Event) -> None:
        """Start what isn't running, and wait until the cluster is ready.

        Args:
            deadline: until when (`time.monotonic`).
            cancelled: set to make it return early with an error.

        Raises:
            LabError: a component ended, or the cluster isn't ready in time.
        """
        self._prepare()
        missing = self.missing()
        for component in missing:
            self._record(component).unlink(missing_ok=True)
        self._start([component for component in STORAGE if component in missing])
        with self.api() as api:
            self._wait(api.is_ready, "its API server is not ready", deadline, cancelled)
            self._start([component for component in (*CONTROL, NODES) if component in missing])
            account = "/api/v1/namespaces/default/serviceaccounts/default"
            self._wait(lambda: api.get(account), "it has no default ServiceAccount", deadline, cancelled)
            if self.nodes:
                exist, ready = f"it doesn't take {self.nodes} nodes", f"its {self.nodes} nodes are not Ready"
                self._wait(lambda: simulation.create_nodes(api, self.nodes), exist, deadline, cancelled)
                self._wait(lambda: simulation.ready_nodes(api) >= self.nodes, ready, deadline, cancelled)
        self._check_running(self.components)

    def kill(self, component: str) -> None:
        """Kill ``component`` (SIGKILL), if it runs, and return when it is gone."""
        process.kill(self._running([component]))

    def stop(self, component: str) -> None:
        """End ``component`` gracefully, if it runs."""
        process.end(self._running([component]), _GRACE)

    def down(self) -> None:
        """Kill every component; their data is not needed any more."""
        process.kill([*self._running(self.components), *self._strays(self.components)])

    def _strays(self, components: Sequence[str]) -> list[psutil.Process]:
        """Return components that run without a record, as whoever started them was killed before writing it."""
        recorded = {running.pid for running in self._running(components)}
        return [
            found
            for component in components
            for found in process.by_command(component, f"={self.folder}{os.sep}")
            if found.pid not in recorded
        ]

    def _running(self, components: Sequence[str]) -> list[psutil.Process]:
        return [running for component in components if (running := self.process(component))]

    def _prepare(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / "run").mkdir(mode=0o700, exist_ok=True)
        pki.ensure(self.layout.pki, self.name)
        for client in pki.CLIENTS:
            path = self.layout.kubeconfig(client.file)
            if not path.exists():
                kubeconfig.write(path, cluster=self.name, server=self.server, pki=self.layout.pki, client=client.file)
        if self.layout.audit and not self.layout.audit_policy.exists():
            write_private(self.layout.audit_policy, _AUDIT_POLICY)
        if self.nodes and not self.layout.stages.exists():
            write_private(self.layout.stages, simulation.stages())

    def _start(self, components: Sequence[str]) -> None:
        if components:
            process.kill(self._strays(components))
        for component in components:
            identity = process.spawn(
                self._programs[component],
                arguments(component, self.layout),
                self.layout.log(component),
                _ENVIRONMENT,
            )
            write_private(self._record(component), json.dumps(asdict(identity)))

    def _record(self, component: str) -> Path:
        return self.folder / "run" / f"{component}.json"

    def _check_running(self, components: Sequence[str]) -> None:
        for component in components:
            if not self.process(component):
                raise LabError(f"{self.name}: {component} ended: {self._last_words(component)}")

    def _last_words(self, component: str) -> str:
        log = self.layout.log(component)
        lines = log.read_text(errors="replace").split("\n")[-50:] if log.exists() else []
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
        return f"{last[-300:]} (log: {log})"

    def _wait(self, condition: Callable[[], object], reason: str, deadline: float, cancelled: Event) -> None:
        pause = 0.02
        while not condition():
            self._check_running([component for component in self.components if self._record(component).exists()])
            if time.monotonic() >= deadline:
                raise LabError(f"{self.name}: {reason} in time; see the logs in {self.folder}")
            if cancelled.wait(pause):
                raise LabError(f"{self.name}: cancelled while {reason}")
            pause = min(pause * 1.5, 0.2)
