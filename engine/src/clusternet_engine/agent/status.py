"""Collects what the ManagedCluster's status says about the child (spec/02 §8)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from clusternet_engine.agent.settings import Settings
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import ApiError, ConnectionFailed
from clusternet_engine.kube.resources import NODES, PODS, Object, Resource
from clusternet_engine.model.cidrs import cluster_cidr, service_cidr
from clusternet_engine.model.conditions import ready_condition
from clusternet_engine.model.documents import read_json
from clusternet_engine.model.labels import aggregate_labels
from clusternet_engine.model.nodes import node_statistics, sum_resources
from clusternet_engine.model.times import format_time

NODE_METRICS = Resource("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", False)
POD_METRICS = Resource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics", True)

_PROBE_TIMEOUT = 5.0
_COMPONENT_SELECTORS = (
    "component in (kube-apiserver,kube-controller-manager)",
    "app.kubernetes.io/component in (kube-apiserver,kube-controller-manager)",
    "k8s-app=kube-proxy",
)
"""Where Kubernetes distributions show the flags of their control plane."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Observation:
    """One collection: the status without conditions, the Ready condition, and the labels aggregated from the nodes."""

    status: Mapping[str, Any]
    condition: Object
    node_labels: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """Whether the child answered its health probes."""
        return bool(self.condition["status"] == "True")


class Collector:
    """Collects every `collect_frequency` seconds and keeps the newest observation.

    It collects at least as often as heartbeats are posted: the hub judges silence by the time of the observation, not
    of the post (spec/02 §9). A part that cannot be read keeps what it was before; a child that answers nothing is
    observed as not ready.

    Args:
        child: client of the child cluster.
        settings: the agent's flags.
        static: the status fields that never change while the agent runs.
    """

    def __init__(self, child: Client, settings: Settings, static: Mapping[str, Any]) -> None:
        self._child = child
        self._settings = settings
        self._status: dict[str, Any] = dict(static)
        self._node_labels: Mapping[str, str] = {}
        self._latest: Observation | None = None
        self._collected = asyncio.Condition()
        self._parts: list[Callable[[], Awaitable[dict[str, Any]]]] = [self._version, self._nodes, self._networks]
        if settings.use_metrics_server:
            self._parts += [self._pod_metrics, self._node_metrics]

    async def run(self) -> None:
        """Collect until cancelled."""
        while True:
            observation = await self._collect()
            async with self._collected:
                self._latest = observation
                self._collected.notify_all()
            await asyncio.sleep(min(self._settings.collect_frequency, self._settings.update_frequency))

    async def latest(self) -> Observation:
        """Return the newest observation; waits for the first."""
        async with self._collected:
            await self._collected.wait_for(lambda: self._latest is not None)
        assert self._latest is not None
        return self._latest

    async def readiness_other_than(self, ready: bool, timeout: float) -> None:
        """Return when an observation says something else than `ready`, or after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout), self._collected:
                await self._collected.wait_for(lambda: self._latest is not None and self._latest.ready != ready)
        except TimeoutError:
            return

    async def _collect(self) -> Observation:
        """Ask for one part after the other: over one connection that costs the child less than all at once."""
        health = await self._health()
        self._status |= health
        if any(health.values()):
            for part in self._parts:
                try:
                    self._status |= await part()
                except (ApiError, ConnectionFailed, ValueError) as error:
                    log.warning("a part of the status could not be collected: %s", error)
        now = datetime.now(UTC)
        self._status["lastObservedTime"] = format_time(now)
        healthy = (health["livez"] and health["readyz"]) or health["healthz"]
        return Observation(dict(self._status), ready_condition(healthy, now), self._node_labels)

    async def _version(self) -> dict[str, Any]:
        response = await self._child.raw("GET", "/version", timeout=_PROBE_TIMEOUT)
        if response.status != 200:
            raise ApiError(response.status, method="GET", path="/version")
        version = read_json(response.body)
        if not isinstance(version, dict):
            raise ValueError("/version is not an object")
        return {"k8sVersion": version.get("gitVersion", ""), "platform": version.get("platform", "")}

    async def _health(self) -> dict[str, bool]:
        return {name: await self._probe(f"/{name}") for name in ("healthz", "livez", "readyz")}

    async def _probe(self, path: str) -> bool:
        try:
            return (await self._child.raw("GET", path, timeout=_PROBE_TIMEOUT)).status == 200
        except ConnectionFailed as error:
            log.warning("%s of the child: %s", path, error)
            return False

    async def _nodes(self) -> dict[str, Any]:
        nodes = (await self._child.list(NODES)).items
        self._node_labels = aggregate_labels(
            nodes, self._settings.aggregate_prefixes, self._settings.aggregate_threshold
        )
        return {
            "nodeStatistics": node_statistics(nodes),
            "capacity": sum_resources(_amounts(node, "capacity") for node in nodes),
            "allocatable": sum_resources(_amounts(node, "allocatable") for node in nodes),
        }

    async def _networks(self) -> dict[str, Any]:
        pods: list[Object] = []
        for selector in _COMPONENT_SELECTORS:
            pods += (await self._child.list(PODS, label_selector=selector)).items
        return {
            "serviceCIDR": service_cidr(pods) or os.environ.get("SERVICE_CIDR", ""),
            "clusterCIDR": cluster_cidr(pods) or os.environ.get("CLUSTER_CIDR", ""),
        }

    async def _pod_metrics(self) -> dict[str, Any]:
        pods = (await self._child.list(POD_METRICS)).items
        return {
            "podStatistics": {
                "totalPods": len(pods),
                "runningPods": sum(1 for pod in pods if pod.get("containers")),
            }
        }

    async def _node_metrics(self) -> dict[str, Any]:
        usage = sum_resources(node.get("usage", {}) for node in (await self._child.list(NODE_METRICS)).items)
        return {"resourceUsage": {"cpuUsage": usage["cpu"], "memoryUsage": usage["memory"]}}


def _amounts(node: Object, field: str) -> Mapping[str, str]:
    return (node.get("status") or {}).get(field) or {}
