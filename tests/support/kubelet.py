"""A node with one pod whose logs, exec, attach and port-forward work, though no container runs.

KWOK serves them: logs come from a file, commands run on this machine, connections go to a port of it. Its port asks
nobody who he is, so it exists for one test only, and the pod's name can't be guessed.
"""

import asyncio
import ctypes
import json
import os
import secrets
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.resources import NODES, PODS
from clusternet_lab import Lab, ports, programs
from clusternet_lab.progress import Silent
from hub_site import eventually

ANYWHERE = {"operator": "Exists"}


class Kubelet:
    """Use as ``async with``.

    Args:
        lab: with the cluster.
        cluster: whose node it is.
        client: of this cluster, as its administrator.
        namespace: of the pod.
        target: port of this machine to which port 80 of the pod leads.
        folder: for files.
    """

    def __init__(self, lab: Lab, cluster: str, client: Client, namespace: str, target: int, folder: Path) -> None:
        self.node = f"node-{secrets.token_hex(4)}"
        self.pod = f"pod-{secrets.token_hex(16)}"
        self.namespace = namespace
        self._layout = lab.cluster(cluster).layout
        self._port = ports.reserve(lab.folder, 1)[0]
        self._client = client
        self._target = target
        self._folder = folder
        self._log = folder / "container.log"
        self._log.touch()

    def say(self, text: str) -> None:
        """Add a line to the pod's log."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        with self._log.open("a") as log:
            log.write(f"{now} stdout F {text}\n")

    async def __aenter__(self) -> "Kubelet":
        programs.ensure(nodes=True, progress=Silent())
        await eventually(follows_files, 120, "an inotify instance is free (fs.inotify.max_user_instances)")
        self._start()
        await eventually(self._serves)
        await self._client.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.node}})
        await self._client.patch(NODES, self.node, {"status": self._node_status()}, subresource="status")
        await self._client.create(PODS, self._pod_object(), self.namespace)
        running = {"status": {"phase": "Running"}}
        await self._client.patch(PODS, self.pod, running, self.namespace, subresource="status")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.delete(NODES, self.node)
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        config = self._folder / "kwok.yaml"
        config.touch(mode=0o600)
        config.write_text("\n---\n".join(map(json.dumps, self._config())))
        with (self._folder / "kwok.log").open("ab") as output:
            self._process = subprocess.Popen(
                [
                    programs.paths()["kwok"],
                    f"--kubeconfig={self._layout.kubeconfig('kwok')}",
                    f"--config={config}",
                    f"--manage-single-node={self.node}",
                    f"--server-address=127.0.0.1:{self._port}",
                ],
                stdout=output,
                stderr=output,
            )

    async def _serves(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            assert self._process.poll() is None, (self._folder / "kwok.log").read_text()
            return False
        writer.close()
        return True

    def _config(self) -> list[dict[str, Any]]:
        nothing = {"matchLabels": {"of": "nobody"}}
        stage = {"resourceRef": {"apiGroup": "v1", "kind": "Pod"}, "selector": nothing, "next": {}}
        log = {"logsFile": str(self._log)}
        forward = {"ports": [80], "target": {"address": "127.0.0.1", "port": self._target}}
        specs = {
            "Stage": stage,
            "Logs": {"logs": [log]},
            "Attach": {"attaches": [log]},
            "Exec": {"execs": [{"local": {"workDir": str(self._folder)}}]},
            "PortForward": {"forwards": [forward]},
        }
        metadata = {"name": self.pod, "namespace": self.namespace}
        return [
            {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
            for kind, spec in specs.items()
        ]

    def _node_status(self) -> dict[str, Any]:
        return {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
        }

    def _pod_object(self) -> dict[str, Any]:
        spec = {"nodeName": self.node, "tolerations": [ANYWHERE], "containers": [{"name": "main", "image": "main:1"}]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.pod}, "spec": spec}


async def follows_files() -> bool:
    """Return whether files can be followed now: a user has few means for that, and every API server takes some."""
    descriptor = ctypes.CDLL(None).inotify_init()
    if descriptor < 0:
        return False
    os.close(descriptor)
    return True
