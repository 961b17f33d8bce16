"""Waiting for a registration ends when an agent says that it is refused, not at the end of the time."""

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_site import AgentSite
from clusternet_engine.kube.client import Client as EngineClient
from clusternet_engine.kube.config import ClusterConfig
from clusternet_lab import Lab
from play import Run

TOKEN = "aaaaaa.bbbbbbbbbbbbbbbb"


@pytest.mark.timeout(400)
def test_a_rejected_token_ends_the_wait(
    lab: Lab, crds: None, child_kubeconfigs: dict[str, Path], play: Callable[..., Run], tmp_path: Path
) -> None:
    def wait(namespace: str) -> Run:
        options = {"namespace": namespace, "wait": True, "wait_for": "registered", "wait_timeout": 240}
        return play({"clusternet.core.agent_info": options}, kubeconfig=str(child_kubeconfigs["child1"]))

    async def refused() -> tuple[Run, float]:
        child, parent = (
            EngineClient(ClusterConfig.from_kubeconfig(lab.cluster(name).kubeconfig), qps=0)
            for name in ("child1", "parent")
        )
        async with child, parent:
            site = AgentSite(lab, child, parent, tmp_path)
            try:
                await site.prepare(token=TOKEN)
                site.start()
                await site.reaches("BootstrapTokenRejected", 60)
                began = time.monotonic()
                run = await asyncio.to_thread(wait, site.namespace)
                return run, time.monotonic() - began
            finally:
                await site.clean_up()

    run, seconds = asyncio.run(refused())
    (result,) = run.results
    assert result["failure"]["code"] == "RegistrationRefused"
    assert result["failure"]["details"] == {"step": "authentication", "reason": "BootstrapTokenRejected"}
    assert re.fullmatch(
        r"The registration is refused \(BootstrapTokenRejected\): the parent https://[0-9.:]+ does not know the"
        r" registration token; it is wrong, has expired or was deleted",
        result["failure"]["message"],
    )
    assert seconds < 120, "it waited for the end of its time"
    assert TOKEN not in run.output
