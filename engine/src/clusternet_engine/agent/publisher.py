"""Deploys what the parent has for this cluster, and keeps it as it was deployed (spec/03 §8, §11)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace

from clusternet_engine.agent.recovery import Recovery
from clusternet_engine.agent.secrets import service_account_token
from clusternet_engine.deploy.assembly import Publishing
from clusternet_engine.deploy.objects import BURST, QPS, Objects
from clusternet_engine.deploy.publisher import Sources
from clusternet_engine.deploy.pull_secrets import OwnPullSecrets
from clusternet_engine.deploy.repositories import Repositories
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import ApiError, ConnectionFailed
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import BASES, DESCRIPTIONS, HELM_RELEASES, MANAGED_CLUSTERS, SECRETS, Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.addresses import repository_rule
from clusternet_engine.model.dialling import Destination
from clusternet_engine.model.shapes import complete

_NAMESPACE_INDEX = "namespace"
_WORKERS = 20
"""Descriptions, and releases, worked on at the same time."""
_RECHECK = 60.0
"""Seconds after which a rotated token is noticed at the latest."""

log = logging.getLogger(__name__)


class _Renewed(Exception):
    """The deployer's token has changed."""


class AgentPublisher:
    """Works on the Descriptions and HelmReleases in the dedicated namespace of this cluster.

    It acts on the child as `clusternet-app-deployer`, on the parent as the approved cluster.

    Args:
        child: client of the child, as the agent.
        parent: client of the parent.
        child_namespace: where the deployer's account lives.
        parent_namespace: the dedicated namespace.
        recovery: feature gate Recovery.
        helm_binary: name or path of the program.
        repository_addresses: special ones at which chart repositories may be.
    """

    def __init__(
        self,
        child: Client,
        parent: Client,
        *,
        child_namespace: str,
        parent_namespace: str,
        recovery: bool,
        helm_binary: str,
        repository_addresses: tuple[Destination, ...],
    ) -> None:
        self._child = child
        self._parent = parent
        self._child_namespace = child_namespace
        self._parent_namespace = parent_namespace
        self._recovery = recovery
        self._helm_binary = helm_binary
        self._repository_addresses = repository_addresses

    async def run(self) -> None:
        """Work until cancelled."""
        backoff = Backoff(0.1, 5)
        while True:
            token = await self._token()
            if token is None:
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            try:
                await self._work(token)
            except* _Renewed:
                log.info("the token of ServiceAccount %s has changed", names.APP_DEPLOYER)

    async def _token(self) -> str | None:
        try:
            token = service_account_token(await self._child.get(SECRETS, names.APP_DEPLOYER, self._child_namespace))
        except (ApiError, ConnectionFailed) as error:
            log.debug("the token of ServiceAccount %s can't be read: %s", names.APP_DEPLOYER, error)
            return None
        return token.token.decode() if token else None

    async def _work(self, token: str) -> None:
        own = self._child.config
        config = replace(own, token=token, token_file=None, exec_command=None, client_certificate=None, client_key=None)
        informers = {
            resource: Informer(self._parent, resource, namespace=self._parent_namespace, complete=complete)
            for resource in (MANAGED_CLUSTERS, BASES, DESCRIPTIONS, HELM_RELEASES)
        }
        for resource in (MANAGED_CLUSTERS, DESCRIPTIONS, HELM_RELEASES):
            informers[resource].add_index(_NAMESPACE_INDEX, _namespaces)
        recorder = EventRecorder(self._parent, names.AGENT)
        async with Client(config, qps=QPS, burst=BURST, user_agent=names.AGENT) as client:
            objects = Objects(client)

            async def reach(cluster: Object) -> Objects:
                return objects

            publishing = Publishing(
                "agent",
                parent=self._parent,
                sources=Sources(
                    informers[MANAGED_CLUSTERS],
                    informers[BASES],
                    informers[DESCRIPTIONS],
                    informers[HELM_RELEASES],
                    _NAMESPACE_INDEX,
                    # The Role of this cluster lets it write this one only, and nobody registers a second one here.
                    lambda namespace: next(
                        iter(informers[MANAGED_CLUSTERS].by_index(_NAMESPACE_INDEX, namespace)), None
                    ),
                ),
                reach=reach,
                recorder=recorder,
                helm_binary=self._helm_binary,
                repositories=Repositories(repository_rule("agent", self._repository_addresses)),
                secrets=OwnPullSecrets(self._parent),
                workers=_WORKERS,
            )
            async with asyncio.TaskGroup() as tasks:
                for resource, informer in informers.items():
                    tasks.create_task(informer.run(), name=f"informer {resource.plural}")
                tasks.create_task(self._watch_token(token), name="deployer's token")
                await asyncio.gather(*(informer.wait_synced(3600) for informer in informers.values()))
                tasks.create_task(publishing.run(), name="publishing")
                if self._recovery:
                    recovery = Recovery(self._parent, objects, informers[DESCRIPTIONS], recorder)
                    tasks.create_task(recovery.run(), name="recovery")

    async def _watch_token(self, token: str) -> None:
        while True:
            await asyncio.sleep(_RECHECK)
            if await self._token() not in (token, None):
                raise _Renewed


def _namespaces(obj: Object) -> Iterable[str]:
    return (obj["metadata"]["namespace"],)
