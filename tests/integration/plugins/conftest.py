"""Runs module tasks by real ansible-playbook processes against the lab's parent cluster."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.clusternet.core.plugins.module_utils.auth import connection_settings
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from clusternet_engine.kube.client import Client as EngineClient
from clusternet_engine.kube.config import ClusterConfig
from clusternet_lab import Lab
from hub_site import HubProcess, account_kubeconfig, install, install_api_services, remove_api_services
from play import Run, run_tasks

ROOT = Path(__file__).parents[3]
CLUSTERS = "/apis/clusters.clusternet.io/v1beta1"


@pytest.fixture(scope="session")
def parent(parent_kubeconfig: Path) -> Client:
    """A client of the parent cluster, for arranging and looking."""
    return Client(connection_settings({"kubeconfig": str(parent_kubeconfig)}))


@pytest.fixture(scope="session")
def play(parent_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """``play(task, …, arguments=["--check"])`` runs tasks on localhost with the action group's connection defaults."""

    def run(*tasks: dict[str, Any], arguments: list[str] | None = None, kubeconfig: str | None = None) -> Run:
        return run_tasks(tasks, kubeconfig or str(parent_kubeconfig), tmp_path_factory.mktemp("play"), arguments or ())

    return run


@pytest.fixture(scope="session")
def crds(play: Callable[..., Run]) -> None:
    """Clusternet's kinds are served by the parent."""
    files = [str(path) for path in sorted((ROOT / "roles" / "hub" / "files" / "crds").glob("*.yaml"))]
    result = play({"clusternet.core.objects": {"src": files}}).results[0]
    assert not result["failed"], result


class Fleet:
    """Makes registered clusters as a parent has them, without any hub or agent."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.namespaces: list[str] = []
        self.requests: list[str] = []

    def add(
        self, name: str, ready: str | None = "True", labels: dict[str, str] | None = None, request: bool = True
    ) -> dict[str, Any]:
        """A cluster with a namespace, a request and credentials of its own; returns its ManagedCluster.

        A hub that runs would approve the request.
        """
        cluster_id = str(uuid.uuid4())
        namespace = f"clusternet-{cluster_id[:5]}"
        own = {
            "clusternet.io/created-by": "clusternet-agent",
            "clusters.clusternet.io/cluster-id": cluster_id,
            "clusters.clusternet.io/cluster-name": name,
        }
        create = self._client.request
        create("POST", "/api/v1/namespaces", None, {"metadata": {"name": namespace, "labels": own}})
        self.namespaces.append(namespace)
        self.requests.append(f"clusternet-{cluster_id}")
        if request:
            create(
                "POST",
                f"{CLUSTERS}/clusterregistrationrequests",
                None,
                {
                    "apiVersion": "clusters.clusternet.io/v1beta1",
                    "kind": "ClusterRegistrationRequest",
                    "metadata": {"name": f"clusternet-{cluster_id}", "labels": own},
                    "spec": {"clusterId": cluster_id, "clusterName": name, "syncMode": "Pull"},
                },
            )
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        meta = {"name": f"clusternet-{cluster_id}"}
        create("POST", f"{rbac}/clusterroles", None, {"metadata": meta, "rules": []})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": meta["name"]}
        create("POST", f"{rbac}/clusterrolebindings", None, {"metadata": meta, "roleRef": role})
        create(
            "POST",
            f"/api/v1/namespaces/{namespace}/secrets",
            None,
            {
                "metadata": {"name": "child-cluster-deployer", "finalizers": ["apps.clusternet.io/finalizer"]},
                "stringData": {"token": "planted-deployer-token"},
            },
        )
        create(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts",
            None,
            {"metadata": {"name": "clusternet-abcde", "labels": own}},
        )
        cluster = create(
            "POST",
            f"{CLUSTERS}/namespaces/{namespace}/managedclusters",
            None,
            {
                "apiVersion": "clusters.clusternet.io/v1beta1",
                "kind": "ManagedCluster",
                "metadata": {
                    "name": name,
                    "labels": {**own, **(labels or {})},
                    "annotations": {"clusters.clusternet.io/reads-secret-values": "true"},
                },
                "spec": {"clusterId": cluster_id, "syncMode": "Pull"},
            },
        )
        return self.report(cluster, ready) if ready else cluster

    def report(self, cluster: dict[str, Any], ready: str) -> dict[str, Any]:
        """What the heartbeat of an agent writes that need not send another soon."""
        metadata = cluster["metadata"]
        condition = {
            "type": "Ready",
            "status": ready,
            "reason": "ManagedClusterReady" if ready == "True" else "ManagedClusterNotReady",
            "message": f"reported {ready}",
            "lastTransitionTime": "2026-11-23T10:00:00Z",
        }
        status = {
            "lastObservedTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "heartbeatFrequencySeconds": 365 * 24 * 3600,
            "k8sVersion": "v1.34.4",
            "conditions": [condition],
        }
        path = f"{CLUSTERS}/namespaces/{metadata['namespace']}/managedclusters/{metadata['name']}/status"
        return self._client.request("PATCH", path, None, {"status": status}, "application/merge-patch+json")

    def clear(self) -> None:
        """Remove what the tests have left."""
        merge = "application/merge-patch+json"
        for namespace in self.namespaces:
            secret = f"/api/v1/namespaces/{namespace}/secrets/child-cluster-deployer"
            if self._client.get(secret):
                self._client.request("PATCH", secret, None, {"metadata": {"finalizers": []}}, merge)
            if self._client.get(f"/api/v1/namespaces/{namespace}"):
                self._client.request("DELETE", f"{CLUSTERS}/namespaces/{namespace}/managedclusters")
                self._client.request("DELETE", f"/api/v1/namespaces/{namespace}")
        for name in self.requests:
            rbac = "/apis/rbac.authorization.k8s.io/v1"
            for collection in (f"{CLUSTERS}/clusterregistrationrequests", f"{rbac}/clusterroles"):
                if self._client.get(f"{collection}/{name}"):
                    self._client.request("DELETE", f"{collection}/{name}")
            if self._client.get(f"{rbac}/clusterrolebindings/{name}"):
                self._client.request("DELETE", f"{rbac}/clusterrolebindings/{name}")


@pytest.fixture
def fleet(crds: None, parent: Client) -> Iterator[Fleet]:
    """An empty fleet on the parent; what a test adds is removed afterwards."""
    made = Fleet(parent)
    yield made
    made.clear()


@pytest.fixture(scope="module")
def publishing_parent(lab: Lab, parent: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A hub that schedules and renders, and serves the shadow API; an existing lab may have one already."""
    if parent.get("/apis/shadow/v1alpha1"):
        yield
        return
    folder = tmp_path_factory.mktemp("hub")
    port = lab.cluster("parent").engine_port

    async def as_admin(work: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        async with EngineClient(ClusterConfig.from_kubeconfig(lab.cluster("parent").kubeconfig), qps=0) as admin:
            return await work(admin, *arguments)

    asyncio.run(as_admin(install, port))
    kubeconfig = folder / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(asyncio.run(as_admin(account_kubeconfig, lab)))
    gates = "--feature-gates=ShadowAPI=true,Deployer=true,FeedInventory=true,FeedInUseProtection=true"
    hub = HubProcess(kubeconfig, folder / "hub.log", "--bind-address=127.0.0.1", f"--secure-port={port}", gates)
    asyncio.run(as_admin(install_api_services, port))
    yield
    asyncio.run(as_admin(remove_api_services, port))
    hub.end()
