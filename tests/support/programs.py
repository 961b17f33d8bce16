"""Hub and agents of a deployment, taken over from their supervisors, to be started and killed at will."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil
from clusternet_lab import hosts
from deployment import SYSTEM, Deployment


class Programs:
    """Hub (``parent``) and agents with the command lines, accounts and folders that the roles gave them.

    Args:
        deployment: where they run; it counts as not deployed afterwards.
        flags: added to every command line.

    Attributes:
        running: the processes by cluster.
    """

    def __init__(self, deployment: Deployment, flags: Sequence[str] = ()) -> None:
        self._deployment = deployment
        self._log = (deployment.folder / "programs.log").open("ab")
        self._commands: dict[str, tuple[list[str], str]] = {}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        for name in deployment.lab.clusters:
            process = deployment.process(name)
            self._commands[name] = [*process.cmdline(), *flags], process.cwd()
        deployment.deployed = False
        hosts.end(deployment.lab.folder)

    def command(self, name: str) -> list[str]:
        """Return the command line of a program."""
        return self._commands[name][0]

    def log(self) -> Path:
        """Return the file with the output of all programs."""
        return Path(self._log.name)

    def start(self, name: str) -> None:
        """Start a program."""
        command, folder = self._commands[name]
        self.running[name] = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )

    def kill(self, name: str) -> None:
        """Kill a program (SIGKILL) and return when it is gone."""
        process = self.running.pop(name)
        process.kill()
        process.wait(10)

    def end(self) -> None:
        """Kill all that run."""
        for name in list(self.running):
            self.kill(name)
        self._log.close()

    def memory(self, name: str) -> float:
        """Return the resident memory of a running program in MiB."""
        return psutil.Process(self.running[name].pid).memory_info().rss / 2**20

    def forget(self, child: str) -> None:
        """Take a child's identity and credential away, so that its agent registers a new cluster when it starts."""
        api = self._deployment.children[child]
        api("DELETE", f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/clusternet-agent")
        api("DELETE", f"/api/v1/namespaces/{SYSTEM}/secrets/parent-cluster")
