"""The program `helm`, and what goes to it: nothing secret stands in its arguments or on a disk."""

from __future__ import annotations

import asyncio
import base64
import ctypes
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

import orjson

from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.resources import Object
from clusternet_engine.kube.slots import Slots
from clusternet_engine.memory_files import descriptor_path, memory_file

HISTORY = 5
"""Revisions of a release that are kept (spec/03 §8.3)."""
_GRACE = 30.0
"""Seconds a run may take beyond the release's own limit."""
_STOP_TIMEOUT = 3.0
"""Seconds that a run gets to end by itself when it is stopped."""
_RUNS = 8
"""Runs at the same time; each takes some 70 MB."""
_PR_SET_PDEATHSIG = 1
_NO_HOME = "/proc/self/none"
"""A home that isn't there and that nobody can make: Helm does without its caches then."""

log = logging.getLogger(__name__)


class HelmFailed(Exception):
    """Helm could not do it; the text is what it says."""


class Helm:
    """Runs Helm against clusters.

    Args:
        binary: name or path of the program.
        shared: whether it works for many clusters, of which none may hold all runs.
    """

    def __init__(self, binary: str, *, shared: bool = False) -> None:
        self._binary = binary
        self._runs = Slots(_RUNS, shared=shared)
        self._home: tempfile.TemporaryDirectory[str] | None = None
        self._told = False

    async def run(
        self,
        config: ClusterConfig,
        arguments: Sequence[str],
        *,
        subject: str,
        timeout: float,
        archive: bytes | None = None,
        values: Object | None = None,
    ) -> str:
        """Run one command and return what it prints.

        Args:
            config: how to reach the cluster.
            arguments: of the command; `{chart}` stands for the archive.
            subject: for whom it is done; they take turns.
            timeout: seconds that Helm itself is told.
            archive: of the chart.
            values: given to the chart.

        Raises:
            HelmFailed: the program is missing, fails, or takes too long.
        """
        program = shutil.which(self._binary)
        if program is None:
            raise HelmFailed(
                f"the program {self._binary} is not on the host of the hub or agent that deploys; "
                "install Helm 3 there, or name it with --helm-binary (clusternet_hub_helm_binary, "
                "clusternet_agent_helm_binary)"
            )
        async with self._runs.of(subject):
            try:
                with ExitStack() as stack:
                    files = [stack.enter_context(memory_file("kubeconfig", kubeconfig(config)))]
                    command = [program, *arguments, "--kubeconfig", descriptor_path(files[0])]
                    if archive is not None:
                        files.append(stack.enter_context(memory_file("chart", archive)))
                        chart = descriptor_path(files[-1])
                        command = [chart if argument == "{chart}" else argument for argument in command]
                    if values:
                        files.append(stack.enter_context(memory_file("values", orjson.dumps(values))))
                        command += ["--values", descriptor_path(files[-1])]
                    return await self._execute(command, files, timeout + _GRACE)
            except OSError as error:
                raise HelmFailed(f"{program} can't be run: {error.strerror}") from None

    async def _execute(self, command: list[str], files: list[int], timeout: float) -> str:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            env=self._environment(),
            pass_fds=files,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        try:
            async with asyncio.timeout(timeout):
                output, errors = await process.communicate()
        except TimeoutError:
            raise HelmFailed(f"helm {command[1]} did not end within {timeout:.0f} s and was stopped") from None
        finally:
            if process.returncode is None:
                await _stop(process)
        if process.returncode:
            raise HelmFailed(complaint(errors.decode("utf-8", "replace"), process.returncode))
        return output.decode("utf-8", "replace")

    def _environment(self) -> dict[str, str]:
        """Return an environment without the user's own settings of Helm; its caches live as long as this process."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
        home = self._caches()
        return kept | {
            "HOME": home,
            "HELM_CACHE_HOME": f"{home}/cache",
            "HELM_CONFIG_HOME": f"{home}/config",
            "HELM_DATA_HOME": f"{home}/data",
        }

    def _caches(self) -> str:
        """Return the folder for Helm's caches, which only spare it requests: it works without."""
        if self._home is None:
            try:
                self._home = tempfile.TemporaryDirectory(prefix="clusternet-helm-home-")
            except OSError as error:
                if not self._told:
                    log.warning(
                        "no temporary folder can be written to (%s), so Helm works without caches, more slowly; mount "
                        "one at /tmp, or set TMPDIR to one",
                        error.strerror,
                    )
                    self._told = True
                return _NO_HOME
        return self._home.name


def complaint(errors: str, code: int) -> str:
    """Return what Helm says of its failure."""
    lines = [line for line in errors.strip().splitlines() if not line.startswith(("WARNING:", "W0", "W1"))]
    text = "\n".join(lines)
    _, found, message = text.rpartition("Error: ")
    return (message if found else text).strip() or f"helm ended with exit status {code}"


def kubeconfig(config: ClusterConfig) -> bytes:
    """Return a kubeconfig, as JSON, for the identity and cluster of a client."""
    cluster: dict[str, Any] = {"server": config.server}
    if config.ca_data:
        cluster["certificate-authority-data"] = base64.b64encode(config.ca_data).decode()
    if config.insecure_skip_tls_verify:
        cluster["insecure-skip-tls-verify"] = True
    if config.tls_server_name:
        cluster["tls-server-name"] = config.tls_server_name
    if config.proxy_url:
        cluster["proxy-url"] = config.proxy_url
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "child", "cluster": cluster}],
        "users": [{"name": "deployer", "user": {"token": config.token}}],
        "contexts": [{"name": "child", "context": {"cluster": "child", "user": "deployer"}}],
        "current-context": "child",
    }
    return orjson.dumps(document)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End a run with all it has started: an interrupted one notes in its record that it failed."""
    for number, seconds in ((signal.SIGTERM, _STOP_TIMEOUT), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            continue
        return


def _die_with_parent() -> None:
    """See that a run doesn't outlive a hub or agent that is killed: the next one would meet it at work."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
