"""Hub and agent as processes, for the tests of the engine against the lab."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from agent_site import AgentSite
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.errors import AlreadyExists, NotFound
from clusternet_engine.kube.resources import CLUSTER_ROLE_BINDINGS, SOCKETS
from clusternet_lab import Lab, programs
from clusternet_lab.progress import Silent
from hub_site import (
    Applicant,
    HubProcess,
    Hubs,
    account_kubeconfig,
    install,
    install_api_services,
    remove_api_services,
)
from publishing import FakeCluster
from publishing_site import PublishingSite
from tunnel_site import TunnelHub, TunnelSite


@pytest.fixture(scope="session")
def hub_kubeconfig(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig of the account that the role `hub` makes for the hub; the role's other objects are there too."""
    path = tmp_path_factory.mktemp("hub") / "kubeconfig"

    async def prepare() -> str:
        async with Client(ClusterConfig.from_kubeconfig(lab.cluster("parent").kubeconfig), qps=0) as admin:
            await install(admin, lab.cluster("parent").engine_port)
            return await account_kubeconfig(admin, lab)

    path.touch(mode=0o600)
    path.write_text(asyncio.run(prepare()))
    return path


@pytest.fixture(scope="session")
def helm() -> Path:
    """The program `helm`; built the first time, which takes minutes."""
    programs.ensure(nodes=False, helm=True, progress=Silent())
    return programs.HELM.path


@pytest.fixture(scope="module")
def hub(hub_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub for all tests of a module."""
    process = HubProcess(hub_kubeconfig, tmp_path_factory.mktemp("hub") / "hub.log")
    yield process
    process.end()


@pytest.fixture(scope="module")
def publishing_hub(
    hub_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory, wait_for: Callable[..., Any]
) -> Iterator[HubProcess]:
    """A hub that publishes, for all tests of a module. It takes the tests' word for which charts there are."""
    gates = "--feature-gates=Deployer=true,FeedInventory=true,FeedInUseProtection=true"
    log = tmp_path_factory.mktemp("hub") / "hub.log"
    process = HubProcess(hub_kubeconfig, log, gates, "--controllers=*,-helmchart")
    wait_for(lambda: process.leads, 60, "the hub leads")
    yield process
    process.end()


@pytest.fixture
async def publishing(publishing_hub: HubProcess, parent: Client) -> AsyncIterator[PublishingSite]:
    """What one test publishes; gone at its end."""
    site = PublishingSite(parent)
    yield site
    await site.clean_up()


@pytest.fixture
def hubs(hub_kubeconfig: Path, tmp_path: Path) -> Iterator[Hubs]:
    """Starts hubs for one test."""
    started = Hubs(hub_kubeconfig, tmp_path)
    yield started
    started.end()


@pytest.fixture
async def parent(lab: Lab) -> AsyncIterator[Client]:
    """The parent cluster, as its administrator."""
    async with Client(ClusterConfig.from_kubeconfig(lab.cluster("parent").kubeconfig), qps=0) as client:
        yield client


@pytest.fixture
async def child(lab: Lab) -> AsyncIterator[Client]:
    """A child cluster, as its administrator."""
    async with Client(ClusterConfig.from_kubeconfig(lab.cluster("child1").kubeconfig), qps=0) as client:
        yield client


@pytest.fixture
async def applicant(parent: Client) -> AsyncIterator[Callable[..., Applicant]]:
    """Makes clusters that ask for registration: ``applicant(clusterNamespace="x")``; they leave at the end."""
    made: list[Applicant] = []

    def make(**spec: Any) -> Applicant:
        made.append(Applicant(parent, **spec))
        return made[-1]

    yield make
    for one in made:
        await one.leave()


@pytest.fixture
async def site(lab: Lab, tmp_path: Path) -> AsyncIterator[AgentSite]:
    """A place for an agent on a child cluster, cleaned up at the end."""
    async with (
        Client(ClusterConfig.from_kubeconfig(lab.cluster(AgentSite.cluster).kubeconfig)) as child,
        Client(ClusterConfig.from_kubeconfig(lab.cluster("parent").kubeconfig)) as parent,
    ):
        site = AgentSite(lab, child, parent, tmp_path)
        yield site
        await site.clean_up()


@pytest.fixture
async def pulled(hub: Any, site: AgentSite) -> AsyncIterator[Callable[..., Any]]:
    """Starts an agent whose cluster is registered; returns the cluster."""

    async def start(*flags: str) -> FakeCluster:
        await site.prepare()
        await _grant(site)
        site.start(*flags)
        await site.is_ready()
        cluster = await site.managed_cluster()
        metadata = cluster["metadata"]
        return FakeCluster(metadata["name"], metadata["namespace"], cluster["spec"]["clusterId"])

    yield start
    with suppress(NotFound):
        await site.child.delete(CLUSTER_ROLE_BINDINGS, site.name)


async def _grant(site: AgentSite) -> None:
    """Let the deployer's account do everything, as the role `agent` does."""
    body = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": site.name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "clusternet-app-deployer", "namespace": site.namespace}],
    }
    with suppress(AlreadyExists):
        await site.child.create(CLUSTER_ROLE_BINDINGS, body)


@pytest.fixture(scope="module")
def tunnel_hub(hub_kubeconfig: Path, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TunnelHub]:
    """A hub that serves the tunnels through the parent's API server."""
    port = lab.cluster("parent").engine_port
    hub = TunnelHub(hub_kubeconfig, tmp_path_factory.mktemp("hub") / "hub.log", port)

    async def as_admin(work: Any, *arguments: str) -> None:
        async with Client(ClusterConfig.from_kubeconfig(lab.cluster("parent").kubeconfig), qps=0) as admin:
            await work(admin, port, *arguments)

    try:
        asyncio.run(as_admin(install_api_services, SOCKETS.group))
        yield hub
    finally:
        asyncio.run(as_admin(remove_api_services))
        hub.process.end()


@pytest.fixture
async def tunnel(lab: Lab, tunnel_hub: TunnelHub, site: AgentSite, tmp_path: Path) -> AsyncIterator[TunnelSite]:
    """A child with a tunnel, for one test."""
    async with AsyncExitStack() as stack:
        tunnel = TunnelSite(lab, site, tmp_path)
        stack.push_async_callback(tunnel.end)
        await tunnel.start()
        yield tunnel
