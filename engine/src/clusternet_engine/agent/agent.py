"""The agent while it leads: registers, then reports, and registers again when the parent has forgotten the cluster."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from typing import Any

from clusternet_engine.agent.deployer import DeployerCredential
from clusternet_engine.agent.heartbeat import Heartbeat, MembershipLost
from clusternet_engine.agent.parent import Parent
from clusternet_engine.agent.predictor import Predictor
from clusternet_engine.agent.progress import Progress, Reason, Track
from clusternet_engine.agent.publisher import AgentPublisher
from clusternet_engine.agent.readiness import Readiness
from clusternet_engine.agent.registration import Membership, Registrar
from clusternet_engine.agent.renewal import Renewal
from clusternet_engine.agent.settings import Settings
from clusternet_engine.agent.status import Collector
from clusternet_engine.agent.tunnel import Tunnel
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.credentials import RenewedToken
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.dialling import Destinations

_STEADY = 60.0
"""Seconds of membership after which its loss is a new story."""

log = logging.getLogger(__name__)


def cluster_id(lease: Object) -> str:
    """Return the identity of the child: the Lease's annotation `legacy-cluster-id`, else its UID (spec/02 §4)."""
    metadata = lease["metadata"]
    return str((metadata.get("annotations") or {}).get(names.LEGACY_CLUSTER_ID_ANNOTATION) or metadata["uid"])


def static_status(settings: Settings, child_url: str, version: str, built_in_predictor: str = "") -> dict[str, Any]:
    """Return the status fields that never change while the agent runs (spec/01 §2.2).

    Args:
        settings: the agent's flags.
        child_url: the URL of the child's API server.
        version: of this agent.
        built_in_predictor: its address, if it serves.
    """
    address = settings.predictor_address or built_in_predictor
    predictor = settings.predictor and bool(address)
    return {
        "agentVersion": version,
        "apiserverURL": child_url,
        "appPusher": settings.app_pusher,
        "useSocket": settings.socket_connection,
        "kubeQPS": settings.qps,
        "kubeBurst": settings.burst,
        "heartbeatFrequencySeconds": math.ceil(settings.update_frequency),
        "predictorEnabled": predictor,
        "predictorAddress": address if predictor else "",
        "predictorDirectAccess": predictor and settings.predictor_direct_access,
    }


class Agent:
    """Serves one child cluster.

    Args:
        child: client of the child cluster.
        child_url: the URL of the child's API server, told to the parent.
        settings: the agent's flags.
        version: version of this agent.

    Attributes:
        readiness: what it has of what it needs.
    """

    def __init__(self, child: Client, child_url: str, settings: Settings, version: str) -> None:
        self._child = child
        self._child_url = child_url
        self._settings = settings
        self._parent = Parent(settings)
        self._recorder = EventRecorder(child, names.AGENT)
        self._version = version
        self._predictor_address = settings.predictor_address
        self.readiness = Readiness(tunnel=settings.socket_connection)

    async def lead(self, lease: Object) -> None:
        """Do the agent's work for as long as the Lease is held; runs until cancelled."""
        identity = cluster_id(lease)
        log.info("leading; the identity of this cluster is %s", identity)
        progress = Progress(self._child, self._recorder, lease)
        async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            static = await self._predict(stack)
            collector = Collector(self._child, self._settings, static)
            tasks.create_task(progress.run(), name="progress")
            tasks.create_task(collector.run(), name="collector")
            tasks.create_task(self._stay_registered(identity, collector, progress), name="registration")

    async def _predict(self, stack: contextlib.AsyncExitStack) -> dict[str, Any]:
        """Serve predictions if that was asked for; return the status that tells of it."""
        settings = self._settings
        if settings.predictor and not settings.predictor_address:
            server = Predictor(self._child, settings.predictor_host, settings.predictor_port)
            await stack.enter_async_context(server)
            self._predictor_address = server.address
        return static_status(settings, self._child_url, self._version, self._predictor_address)

    async def _stay_registered(self, identity: str, collector: Collector, progress: Progress) -> None:
        registrar = Registrar(self._child, self._parent, self._settings, identity, progress)
        backoff = Backoff(0.1, 30)
        while True:
            membership = await registrar.run()
            began = time.monotonic()
            try:
                with self.readiness.membership():
                    await self._report(membership, identity, collector, progress)
            except* MembershipLost as losses:
                loss = losses.exceptions[0]
                progress.failed(Track.HEARTBEAT, Reason.HEARTBEAT_FAILED, f"{loss}; registering again")
            if time.monotonic() - began > _STEADY:
                backoff.reset()
            await asyncio.sleep(backoff.next())

    async def _report(self, membership: Membership, identity: str, collector: Collector, progress: Progress) -> None:
        credential = membership.credential
        token = RenewedToken(credential.token)
        async with (
            self._parent.client(credential.parent_url, token, membership.trusted_ca) as parent,
            asyncio.TaskGroup() as tasks,
        ):
            heartbeat = Heartbeat(
                parent,
                membership,
                cluster_id=identity,
                collector=collector,
                update_frequency=self._settings.update_frequency,
                aggregate_prefixes=self._settings.aggregate_prefixes,
                progress=progress,
                readiness=self.readiness,
            )
            deployer = DeployerCredential(
                self._child,
                parent,
                child_namespace=self._settings.system_namespace,
                parent_namespace=credential.namespace,
                cluster_id=identity,
                child_url=self._child_url,
                progress=progress,
            )
            renewal = Renewal(
                self._child,
                child_namespace=self._settings.system_namespace,
                parent=parent,
                source=token,
                share=self._settings.token_renewal,
            )
            tasks.create_task(heartbeat.run(), name="heartbeat")
            tasks.create_task(renewal.run(), name="renewal")
            publisher = AgentPublisher(
                self._child,
                parent,
                child_namespace=self._settings.system_namespace,
                parent_namespace=credential.namespace,
                recovery=self._settings.recovery,
                helm_binary=self._settings.helm_binary,
                repository_addresses=self._settings.repository_addresses,
            )
            tasks.create_task(deployer.run(), name="deployer")
            tasks.create_task(publisher.run(), name="publisher")
            if self._settings.socket_connection:
                tunnel = Tunnel(parent, identity, self._destinations(), self.readiness)
                tasks.create_task(tunnel.run(), name="tunnel")

    def _destinations(self) -> Destinations:
        """Return what the hub may connect to: this cluster's API server, its predictor, what the operator lists."""
        urls = [self._child_url]
        if self._settings.predictor and self._predictor_address:
            address = self._predictor_address
            urls.append(address if "://" in address else f"http://{address}")
        return Destinations(urls, self._settings.socket_destinations)
