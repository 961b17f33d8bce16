"""Kills at random moments: hub, agents and API servers of a deployment, each brought back at once."""

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from deployment import Deployment
from programs import Programs
from revival import revive_api_server

QUICK_ELECTION = [
    "--leader-elect-lease-duration=3s",
    "--leader-elect-renew-deadline=2s",
    "--leader-elect-retry-period=500ms",
]


@dataclass(frozen=True)
class Kill:
    """One kill: seconds after the start of the round, and the victim.

    The victim is `parent` (the hub), the name of a child (its agent), or `kube-apiserver of <cluster>`.
    """

    at: float
    victim: str

    def __str__(self) -> str:
        return f"{self.victim} at {self.at:.2f} s"


def plan(generator: random.Random, victims: Sequence[str], window: float) -> list[Kill]:
    """Draw for each victim a moment within the first `window` seconds of the round; earliest first."""
    return sorted((Kill(generator.uniform(0, window), victim) for victim in victims), key=lambda kill: kill.at)


def disturb(deployment: Deployment, programs: Programs, kills: Sequence[Kill]) -> None:
    """Carry the kills out at their moments and bring every victim back at once."""
    start = time.monotonic()
    with ThreadPoolExecutor(1) as restarts:
        pending = []
        for kill in kills:
            time.sleep(max(0.0, start + kill.at - time.monotonic()))
            component, _, cluster = kill.victim.partition(" of ")
            if cluster:
                deployment.lab.kill(cluster, component)
                pending.append(restarts.submit(revive_api_server, deployment.lab, cluster))
            else:
                programs.kill(component)
                programs.start(component)
        for restart in pending:
            restart.result()
