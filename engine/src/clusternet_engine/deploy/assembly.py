"""The two controllers that deploy, put together for the side that runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from clusternet_engine.deploy.descriptions import Descriptions
from clusternet_engine.deploy.helm import Helm
from clusternet_engine.deploy.objects import Objects
from clusternet_engine.deploy.publisher import Publisher, Sources
from clusternet_engine.deploy.pull_secrets import PullSecrets
from clusternet_engine.deploy.releases import Releases
from clusternet_engine.deploy.repositories import Repositories
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.resources import DESCRIPTIONS, HELM_RELEASES, Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.sync_modes import Side

_RELEASE_TIMEOUT = 7200.0
"""Seconds for one release, waiting for a free run included; each run of Helm has a limit of its own."""


class Publishing:
    """Deploys the Descriptions and HelmReleases that are this side's.

    Args:
        side: which one this is.
        parent: client of the parent cluster.
        sources: what is known of the parent.
        reach: gives access to a ManagedCluster's child; raises Unreachable.
        recorder: of events.
        helm_binary: name or path of the program.
        repositories: where charts come from.
        secrets: the logins to them.
        workers: Descriptions, and releases, worked on at the same time.
    """

    def __init__(
        self,
        side: Side,
        *,
        parent: Client,
        sources: Sources,
        reach: Callable[[Object], Awaitable[Objects]],
        recorder: EventRecorder,
        helm_binary: str,
        repositories: Repositories,
        secrets: PullSecrets,
        workers: int,
    ) -> None:
        self._descriptions = Publisher(
            "description",
            side=side,
            resource=DESCRIPTIONS,
            informer=sources.descriptions,
            wanted=lambda description: description["spec"]["deployer"] == names.DEPLOYER_GENERIC,
            deployment=Descriptions(parent, recorder),
            parent=parent,
            sources=sources,
            reach=reach,
            recorder=recorder,
            workers=workers,
        )
        self._releases = Publisher(
            "release",
            side=side,
            resource=HELM_RELEASES,
            informer=sources.releases,
            wanted=lambda release: True,
            deployment=Releases(parent, Helm(helm_binary, shared=side == "hub"), repositories, secrets, recorder),
            parent=parent,
            sources=sources,
            reach=reach,
            recorder=recorder,
            workers=workers,
            timeout=_RELEASE_TIMEOUT,
        )

    async def run(self) -> None:
        """Work until cancelled; may be called again afterwards."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._descriptions.run(), name="descriptions")
            tasks.create_task(self._releases.run(), name="releases")

    def retry(self, namespace: str) -> None:
        """Try at once again what a cluster lacks: the way to it has changed."""
        self._descriptions.retry(namespace)
        self._releases.retry(namespace)
