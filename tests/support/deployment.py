"""The whole of clusternet.core at work: deployed by its playbooks to a lab of its own."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from api import Api
from clusternet_lab import Lab, hosts, programs
from clusternet_lab.inventory import inventory
from clusternet_lab.progress import Silent

ROOT = Path(__file__).parents[2]
HEARTBEAT = 3.0
"""Seconds between the heartbeats of agents in tests."""
BEHIND = "127.0.0.2"
"""An address of this machine that stands for one in the children's networks, to which their agents may connect."""
RUN_TIMEOUT = 240.0
CLUSTERS = "/apis/clusters.clusternet.io/v1beta1"
SYSTEM = "clusternet-system"


@dataclass
class Deployment:
    """A lab and what the playbooks made of it.

    Attributes:
        lab: a parent and its children.
        folder: for inventories and transcripts.
        transcripts: the output of every playbook run, by its order.
        command_lines: the command lines of all processes seen during those runs.
    """

    lab: Lab
    folder: Path
    transcripts: list[Path] = field(default_factory=list)
    command_lines: set[bytes] = field(default_factory=set)
    deployed: bool = False
    broken: bool = False

    def __post_init__(self) -> None:
        self.inventory = self.folder / "inventory.yml"
        content = inventory(self.lab)
        children = content["all"]["children"]["clusternet_children"]
        children["vars"]["clusternet_agent_status_update_frequency"] = f"{HEARTBEAT:g}s"
        children["vars"]["clusternet_agent_socket_destinations"] = [BEHIND, "*.example.com:8443"]
        self.inventory.write_text(yaml.safe_dump(content))
        (self.folder / "ansible.cfg").touch()  # nothing of the user's own settings
        self.parent = Api.from_kubeconfig(self.lab.cluster("parent").kubeconfig)
        self.children = {
            name: Api.from_kubeconfig(cluster.kubeconfig)
            for name, cluster in self.lab.clusters.items()
            if name != "parent"
        }

    def run(self, *command: str | Path, code: int = 0, **environ: str) -> str:
        """Run a program of Ansible at -vvv and return its output, which also becomes a transcript.

        Args:
            command: the program, without its folder, and its arguments.
            code: that it has to end with.
            environ: variables of its environment.
        """
        transcript = self.folder / f"transcript-{len(self.transcripts)}.txt"
        self.transcripts.append(transcript)
        with transcript.open("wb") as output:
            process = subprocess.Popen(
                [Path(sys.executable).with_name(str(command[0])), "-vvv", *map(str, command[1:])],
                env={
                    **os.environ,
                    "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
                    "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
                    "ANSIBLE_NOCOLOR": "1",
                    **environ,
                },
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
            ended = self._watch(process)
        text = transcript.read_text(errors="replace")
        assert ended == code, f"{command} ended with {ended}:\n{text[-4000:]}"
        return text

    def _watch(self, process: subprocess.Popen[bytes]) -> int:
        """Note the command lines on the machine until a process ends; return its exit code."""
        deadline = time.monotonic() + RUN_TIMEOUT
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"{process.args} takes longer than {RUN_TIMEOUT:g} s; see {self.transcripts[-1]}")
            for found in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    self.command_lines.add(found.read_bytes())
            time.sleep(0.05)
        return process.returncode

    def playbook(self, name: str | Path, *options: str, code: int = 0) -> str:
        """Run a playbook on the lab's inventory with diffs and return its output; it has to end with this code."""
        return self.run("ansible-playbook", "--diff", "-i", self.inventory, name, *options, code=code)

    def ensure(self) -> None:
        """Deploy, unless it is deployed. A deployment that failed isn't tried again for every test."""
        assert not self.broken, "the deployment failed before"
        if not self.deployed:
            self.broken = True
            self.playbook("clusternet.core.deploy")
            self.broken, self.deployed = False, True

    def teardown(self) -> None:
        """Remove all that was deployed."""
        self.playbook("clusternet.core.teardown")
        self.deployed = False

    def process(self, cluster: str) -> psutil.Process:
        """Return the running hub (of ``parent``) or agent."""
        home = self.lab.folder / "hosts" / cluster
        program = "clusternet-hub" if cluster == "parent" else "clusternet-agent"
        return next(
            found
            for found in hosts.processes(self.lab.folder)
            if any(Path(word).name == program for word in found.cmdline()[:2])
            and any(word.startswith(f"--kubeconfig={home}/") for word in found.cmdline())
        )

    def cluster_id(self, child: str) -> str:
        """Return the identity of a child: the UID of its agent's Lease."""
        lease = self.children[child].get(f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/clusternet-agent")
        return lease["metadata"]["uid"]

    def managed_cluster(self, child: str) -> dict[str, Any]:
        """Return the one ManagedCluster of a child."""
        selector = f"clusters.clusternet.io/cluster-id={self.cluster_id(child)}"
        clusters = self.parent.items(f"{CLUSTERS}/managedclusters", labelSelector=selector)
        assert len(clusters) == 1, f"{child} has {len(clusters)} ManagedClusters"
        return clusters[0]

    def credential(self, child: str) -> dict[str, str]:
        """Return what a child keeps in its Secret ``parent-cluster``."""
        return self.children[child].secret(SYSTEM, "parent-cluster")

    def as_child(self, child: str) -> Api:
        """Return requests to the parent with a child's credential."""
        parent = self.lab.cluster("parent")
        return Api.with_token(parent.server, parent.ca, self.credential(child)["token"])

    def bootstrap_token(self) -> str:
        """Return the token that new agents register with."""
        secret = self.children["child1"].secret(SYSTEM, "clusternet-agent-cluster-registration")
        return secret["regToken"]


@pytest.fixture(scope="session")
def lab_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A lab of its own for whole deployments; ``CLUSTERNET_TEST_DEPLOYMENT=<name>`` takes a lab that stays.

    Hub and agents get the program `helm`, which is built the first time.
    """
    programs.ensure(nodes=False, helm=True, progress=Silent())
    folder = tmp_path_factory.mktemp("deployment")
    if name := os.environ.get("CLUSTERNET_TEST_DEPLOYMENT"):
        yield Deployment(Lab.up(name), folder)
        return
    name = f"deployment-{os.getpid()}"
    try:
        yield Deployment(Lab.up(name, children=2, nodes=2, audit=True), folder)
    finally:
        Lab.open(name).down()


@pytest.fixture
def deployment(lab_deployment: Deployment) -> Deployment:
    """A parent and two children to which clusternet.core.deploy was applied."""
    lab_deployment.ensure()
    return lab_deployment


def changes(output: str) -> list[str]:
    """Return the tasks that reported a change, with their host, in order."""
    found, task = [], ""
    for line in output.splitlines():
        if heading := re.match(r"TASK \[(.*)\] \*", line):
            task = heading[1]
        elif host := re.match(r"changed: \[([^\] ]+)", line):
            found.append(f"{task} ({host[1]})")
    return found


def refusal(output: str) -> str:
    """Return what the last task that failed in a run said."""
    _, _, result = output.rpartition("\nfatal: [")
    found = re.search(r'^    "msg": (".+")$', result, re.MULTILINE)
    assert found, output[-4000:]
    return str(json.loads(found[1]))


def ready(cluster: dict[str, Any]) -> dict[str, Any]:
    """Return the Ready condition of a ManagedCluster; empty when there is none."""
    conditions = cluster.get("status", {}).get("conditions", [])
    return next((condition for condition in conditions if condition["type"] == "Ready"), {})


@pytest.fixture(scope="module")
def nothing_is_forbidden(lab_deployment: Deployment) -> Iterator[None]:
    """Hub and agents have the permissions for all that they do while a module's tests run."""
    lab_deployment.ensure()
    folder = lab_deployment.lab.folder / "hosts"
    before = {log: log.stat().st_size for log in folder.rglob("*.log")}
    assert len(before) >= 3, "hub and two agents"
    yield
    for log in folder.rglob("*.log"):
        text = log.read_bytes()[before.get(log, 0) :].decode(errors="replace")
        assert not [line for line in text.splitlines() if " 403 " in line], log
