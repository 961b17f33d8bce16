"""Many registered clusters, as far as the parent's API shows them: ManagedClusters with the status agents write."""

import asyncio
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.resources import MANAGED_CLUSTERS, NAMESPACES, Object

REGIONS = ("north", "south", "east", "west")
TYPES = ("StandardCluster", "EdgeCluster")
SYNC_MODES = ("Push", "Pull", "Dual")
CONCURRENCY = 32


def create(kubeconfig: Path, fleet: str, size: int) -> None:
    """Create `size` ManagedClusters of about 4 KB each, labelled `bench=<fleet>`, in namespaces of their own."""
    asyncio.run(_create(kubeconfig, fleet, range(size)))


async def _create(kubeconfig: Path, fleet: str, numbers: Iterable[int]) -> None:
    numbers = iter(numbers)
    async with Client(ClusterConfig.from_kubeconfig(kubeconfig), qps=0, user_agent="clusternet-hub") as client:

        async def create_some() -> None:
            for number in numbers:
                cluster = managed_cluster(fleet, number)
                await client.create(NAMESPACES, {"metadata": {"name": cluster["metadata"]["namespace"]}})
                created = await client.create(MANAGED_CLUSTERS, cluster)
                await client.update(MANAGED_CLUSTERS, {**created, "status": status(number)}, subresource="status")

        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONCURRENCY):
                tasks.create_task(create_some())


def managed_cluster(fleet: str, number: int) -> Object:
    """Return the ManagedCluster of one registered cluster of a fleet."""
    name = f"cluster-{number:05}"
    identity = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{fleet}"))
    return {
        "apiVersion": MANAGED_CLUSTERS.api_version,
        "kind": MANAGED_CLUSTERS.kind,
        "metadata": {
            "name": name,
            "namespace": f"{fleet}-{number:05}",
            "labels": {
                "bench": fleet,
                "clusternet.io/created-by": "clusternet-agent",
                "clusters.clusternet.io/cluster-id": identity,
                "clusters.clusternet.io/cluster-name": name,
                "region": REGIONS[number % len(REGIONS)],
                "env": "production" if number % 3 else "staging",
                "rack": f"rack-{number % 40}",
            },
        },
        "spec": {
            "clusterId": identity,
            "clusterType": TYPES[number % len(TYPES)],
            "syncMode": SYNC_MODES[number % len(SYNC_MODES)],
        },
    }


def status(number: int) -> Object:
    """Return the status the cluster's agent reports; one cluster in ten is not ready."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = number % 10 != 0
    return {
        "lastObservedTime": now,
        "k8sVersion": f"v1.{30 + number % 5}.4",
        "platform": "linux/amd64",
        "agentVersion": "v0.1.0",
        "apiserverURL": f"https://10.{number // 65536}.{number // 256 % 256}.{number % 256}:443",
        "healthz": ready,
        "livez": ready,
        "readyz": ready,
        "appPusher": True,
        "useSocket": True,
        "kubeQPS": 50,
        "kubeBurst": 100,
        "allocatable": {"cpu": str(number % 64 + 4), "memory": f"{number % 256 + 16}Gi"},
        "capacity": {"cpu": str(number % 64 + 4), "memory": f"{number % 256 + 16}Gi"},
        "clusterCIDR": "10.244.0.0/16",
        "serviceCIDR": "10.96.0.0/12",
        "nodeStatistics": {"readyNodes": number % 20 + 1, "notReadyNodes": number % 2},
        "heartbeatFrequencySeconds": 180,
        "predictorEnabled": True,
        "predictorAddress": "http://localhost:8080",
        "predictorDirectAccess": False,
        "conditions": [
            {
                "type": "Ready",
                "status": "True" if ready else "False",
                "reason": "ManagedClusterReady" if ready else "ManagedClusterNotReady",
                "message": "managed cluster is ready." if ready else "managed cluster is not ready.",
                "lastTransitionTime": now,
            },
            {
                "type": "ClusterInit",
                "status": "True",
                "reason": "ClusterInitDisabled",
                "message": "cluster initialisation is disabled.",
                "lastTransitionTime": now,
            },
        ],
    }
