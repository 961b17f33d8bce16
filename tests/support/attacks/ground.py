"""A parent with a hub and the role's objects, an honest child, and everybody who attacks them."""

import asyncio
import base64
import json
import os
import ssl
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from agent_site import AgentSite
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.resources import SOCKETS as SOCKETS_KIND
from clusternet_engine.kube.tls import client_context
from clusternet_engine.model.constants import SHADOW_GROUP
from clusternet_lab import Cluster, Lab
from hub_site import USUAL_LEASE, HubProcess, account_kubeconfig, install, install_api_services, remove_api_services
from tunnel_site import TunnelSite

from attacks.caller import Answer, Caller
from attacks.honest import EMPTIED, NAME, OBSERVED, Honest, registration, status_of
from attacks.listener import Listener
from attacks.paths import APPS, CLUSTERS, CORE, RBAC, REQUESTS, SHADOW, SOCKETS, within

PLANTED = "hunter2-payments-" + uuid.uuid4().hex
"""The value of a Secret that is published to the honest child only."""
PULL_PASSWORD = "s3cret-of-ops-" + uuid.uuid4().hex
"""The password in a Secret of namespace `ops` on the parent, which nobody has released."""
TEAM, CHARTS = "team-a", "team-b"
"""Namespaces of users: who may use the shadow API for ConfigMaps, and who may make HelmCharts."""
FLEET = {"ground": "shared"}
"""Label of the clusters to which the Subscription `shared` publishes: the honest one, and all hostile ones."""
_REPOSITORY = "127.0.0.3"
"""Where the attacker's own server is: the only special address that the hub is told to allow."""
_GATES = "SocketConnection,ShadowAPI,Deployer,FeedInventory,FeedInUseProtection,Predictor"


@dataclass
class Child:
    """A hostile child: what it was told at its registration, and nothing else.

    Attributes:
        id: its cluster ID.
        name: of its ManagedCluster.
        namespace: its dedicated namespace.
        ask: requests to the parent with its credential.
        account: its ServiceAccount.
        narrow: whether it has only the rights that the hub gives. The other one has all rights in its namespace, as
            children of former hubs and of Clusternet's own have.
    """

    id: str
    name: str
    namespace: str
    ask: Caller
    account: str
    narrow: bool = True

    def path(self, group: str, plural: str, name: str = "") -> str:
        """Return the path of something in its namespace."""
        return within(group, self.namespace, plural, name)

    @property
    def managed_cluster(self) -> str:
        """The path of its ManagedCluster."""
        return self.path(CLUSTERS, "managedclusters", self.name)

    def tries(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Send a request that the narrow child must be refused; of the other one only the effect matters."""
        answer = self.ask(method, path, body, **options)
        if self.narrow:
            assert answer.status in (401, 403), f"{method} {path} isn't refused: {answer.status} {answer.text[:300]}"
        return answer

    def report(self, **status: Any) -> Answer:
        """Write its ManagedCluster's status, as an agent does with each heartbeat."""
        return self.ask(
            "PATCH",
            f"{self.managed_cluster}/status",
            {"status": {**healthy(), **status}},
            content_type="application/merge-patch+json",
        )


@dataclass
class Ground:
    """What attacks have at hand.

    Attributes:
        lab: the clusters.
        hub: the hub's process.
        port: at which it serves.
        admin: the administrator of the parent; looks at effects only.
        honest: what honest users do meanwhile.
        victim: the honest child: cluster ID, name and namespace.
        children: hostile ones, the narrow one and the other.
        user: may use the shadow API for ConfigMaps in namespace `TEAM`.
        chart_user: may make HelmCharts in namespace `CHARTS`.
        registrant: the holder of a bootstrap token.
        stranger: nobody, at the hub's own port.
        listener: a server in the parent's own network, which attackers would like to reach.
        repository: the attacker's own server, from which charts may be fetched.
        folder: for files.
        agent: makes what agents need.
        kubeconfig: the hub's.
        proxy: path of the honest child behind its tunnel.
        headers: by which the administrator is somebody there.
        audited: bytes that the parent's audit log had before: others use the lab, too.
    """

    lab: Lab
    hub: HubProcess
    port: int
    admin: Caller
    honest: Honest
    victim: Child
    children: list[Child]
    user: Caller
    chart_user: Caller
    registrant: Caller
    stranger: Caller
    listener: Listener
    repository: Listener
    folder: Path
    agent: AgentSite
    kubeconfig: Path
    proxy: str
    headers: dict[str, str]
    audited: int
    made: list[str] = field(default_factory=list)

    @property
    def parent(self) -> Cluster:
        """The parent cluster."""
        return self.lab.cluster("parent")

    def memory(self) -> float:
        """Return the resident memory of the hub, in MiB."""
        return psutil.Process(self.hub.process.pid).memory_info().rss / 2**20

    def register(self, prefix: str, **spec: Any) -> Child:
        """Register a hostile child by the bootstrap token and label it for the Subscription `shared`."""
        child = register(self.parent, self.registrant, self.admin, prefix, **spec)
        self.admin.merge(child.managed_cluster, {"metadata": {"labels": FLEET}})
        assert child.report().status == 200
        return child

    def description(self, child: Child) -> dict[str, Any]:
        """Return the Description by which `shared` is published to a child, once it is there."""

        uid = self.admin.get(within(APPS, "default", "subscriptions", "shared"))["metadata"]["uid"]
        selector = f"?labelSelector=apps.clusternet.io/subs.uid%3D{uid}"

        def found() -> dict[str, Any] | None:
            there = self.admin.items(child.path(APPS, "descriptions") + selector)
            return there[0] if there else None

        return wait(found, f"a Description in {child.namespace}")


def register(parent: Cluster, registrant: Caller, admin: Caller, prefix: str, **spec: Any) -> Child:
    """Register a child without an agent; return it with its credential."""
    identity = str(uuid.uuid4())
    name = f"{prefix}-{identity[:8]}"
    wanted = {"clusterId": identity, "clusterName": name, "clusterType": "EdgeCluster", "syncMode": "Dual", **spec}
    registrant.create(REQUESTS, registration(f"clusternet-{identity}", **wanted))

    def approved() -> dict[str, Any] | None:
        status = status_of(admin.get(f"{REQUESTS}/clusternet-{identity}"))
        return status if status.get("token") else None

    status = wait(approved, f"{name} is approved")
    token = base64.b64decode(status["token"]).decode()
    account = claims(token)["sub"].rpartition(":")[2]
    ask = Caller(parent.server, parent.ca, token)
    return Child(identity, status["managedClusterName"], status["dedicatedNamespace"], ask, account)


def claims(token: str) -> dict[str, Any]:
    """Return what a ServiceAccount's token says of its owner."""
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def healthy() -> dict[str, Any]:
    """Return the status of a cluster that is well and sends no further heartbeats."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "ManagedClusterReady",
        "message": "as the attacker says",
        "lastTransitionTime": now,
    }
    health = dict.fromkeys(("healthz", "livez", "readyz"), True)
    return {**health, "conditions": [condition], "heartbeatFrequencySeconds": 10**7, "lastObservedTime": now}


def wait(condition: Any, why: str, timeout: float = 30.0) -> Any:
    """Return the first true result of a condition."""
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{why}: not within {timeout:g} s"
        time.sleep(0.05)
    return result


def administrator(cluster: Cluster) -> Caller:
    """Return the administrator of a cluster."""
    return Caller(cluster.server, context=_context(cluster))


def _context(cluster: Cluster) -> ssl.SSLContext:
    config = ClusterConfig.from_kubeconfig(cluster.kubeconfig)
    return client_context(config.ca_data, certificate=config.client_certificate, key=config.client_key)


@asynccontextmanager
async def ground(lab: Lab, folder: Path, *flags: str) -> AsyncIterator[Ground]:
    """Make the ground in a lab, and take everything away again.

    Args:
        lab: with a parent and a child.
        folder: for logs and files.
        flags: of the hub.
    """
    parent = lab.cluster("parent")
    admin = administrator(parent)
    audited = parent.audit_log.stat().st_size
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(ClusterConfig.from_kubeconfig(parent.kubeconfig), qps=0))
        child = await stack.enter_async_context(
            Client(ClusterConfig.from_kubeconfig(lab.cluster(AgentSite.cluster).kubeconfig), qps=0)
        )
        await install(client, parent.engine_port)
        kubeconfig = folder / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(await account_kubeconfig(client, lab))
        gates = ",".join(f"{gate}=true" for gate in _GATES.split(","))
        hub = HubProcess(
            kubeconfig,
            folder / "hub.log",
            "--bind-address=127.0.0.1",
            f"--secure-port={parent.engine_port}",
            f"--feature-gates={gates}",
            "--push-addresses=",
            *USUAL_LEASE,
            f"--repository-addresses={_REPOSITORY}",
            *flags,
        )
        stack.callback(hub.end)
        stack.push_async_callback(remove_api_services, client, parent.engine_port)
        await install_api_services(client, parent.engine_port, SHADOW_GROUP, SOCKETS_KIND.group)
        site = AgentSite(lab, child, client, folder)
        stack.push_async_callback(site.clean_up)
        tunnel = TunnelSite(lab, site, folder)
        await tunnel.start(
            "--feature-gates=SocketConnection=true,AppPusher=true,Deployer=true", "--cluster-sync-mode=Dual"
        )
        stack.push_async_callback(tunnel.end)
        token = await site.bootstrap_token()
        listener = stack.enter_context(Listener())
        repository = stack.enter_context(Listener(_REPOSITORY))
        made = await asyncio.to_thread(
            _populate, lab, hub, admin, token, site, tunnel, listener, repository, folder, kubeconfig, audited
        )
        made.honest.start()
        try:
            yield made
        finally:
            await asyncio.to_thread(made.honest.stop)
            await asyncio.to_thread(_take_away, made)


def _populate(
    lab: Lab,
    hub: HubProcess,
    admin: Caller,
    token: str,
    site: AgentSite,
    tunnel: TunnelSite,
    listener: Listener,
    repository: Listener,
    folder: Path,
    kubeconfig: Path,
    audited: int,
) -> Ground:
    """Register hostile children, make users, and publish to the honest child and to the fleet."""
    parent = lab.cluster("parent")
    registrant = Caller(parent.server, parent.ca, token)
    [cluster] = admin.items(f"{CLUSTERS}/managedclusters?labelSelector=clusters.clusternet.io/cluster-id%3D{tunnel.id}")
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    account = admin.items(within(CORE, namespace, "serviceaccounts") + "?labelSelector=clusternet.io/created-by")
    victim = Child(tunnel.id, name, namespace, admin, account[0]["metadata"]["name"])
    proxy = f"{SOCKETS}/{tunnel.id}/proxy/direct"
    made = Ground(
        lab=lab,
        hub=hub,
        port=parent.engine_port,
        admin=admin,
        honest=Honest(admin, administrator(lab.cluster(site.cluster)), registrant, proxy, tunnel.headers()),
        proxy=proxy,
        headers=tunnel.headers(),
        victim=victim,
        children=[],
        user=_user(parent, admin, TEAM, [{"apiGroups": ["shadow"], "resources": ["configmaps"], "verbs": ["*"]}]),
        chart_user=_user(
            parent, admin, CHARTS, [{"apiGroups": ["apps.clusternet.io"], "resources": ["helmcharts"], "verbs": ["*"]}]
        ),
        registrant=registrant,
        stranger=Caller(f"https://127.0.0.1:{parent.engine_port}"),
        listener=listener,
        repository=repository,
        folder=folder,
        agent=site,
        kubeconfig=kubeconfig,
        audited=audited,
    )
    admin.merge(victim.managed_cluster, {"metadata": {"labels": {**FLEET, NAME: "yes"}}})
    ensure_namespace(admin, "ops")
    pull_secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "postgres"},
        "stringData": {"username": "admin", "password": PULL_PASSWORD},
    }
    admin("POST", within(CORE, "ops", "secrets"), pull_secret)
    _publish(made)
    for narrow in (True, False):
        hostile = made.register("evil" if narrow else "loose")
        hostile.narrow = narrow
        if not narrow:
            _grant_everything(admin, hostile)
        made.children.append(hostile)
        made.description(hostile)
    return made


def _publish(made: Ground) -> None:
    """Publish a ConfigMap and a Secret to the honest child, and another ConfigMap to the whole fleet."""
    admin = made.admin
    for kind, name, content in (
        ("ConfigMap", NAME, {"data": {"value": "begin"}}),
        ("ConfigMap", OBSERVED, {"data": {"value": "begin"}}),
        ("ConfigMap", "shared", {"data": {"value": "for all"}}),
        ("Secret", "planted", {"data": {"password": base64.b64encode(PLANTED.encode()).decode()}}),
    ):
        body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, **content}
        admin.create(within(SHADOW, "default", f"{kind.lower()}s"), body)
        made.made.append(within(SHADOW, "default", f"{kind.lower()}s", name))
    for name, labels, feeds in (
        (NAME, {NAME: "yes"}, (("ConfigMap", NAME), ("ConfigMap", OBSERVED), ("Secret", "planted"))),
        ("shared", FLEET, (("ConfigMap", "shared"),)),
    ):
        body = {
            "apiVersion": "apps.clusternet.io/v1alpha1",
            "kind": "Subscription",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "subscribers": [{"clusterAffinity": {"matchLabels": labels}}],
                "feeds": [
                    {"apiVersion": "v1", "kind": kind, "name": feed, "namespace": "default"} for kind, feed in feeds
                ],
            },
        }
        admin.create(within(APPS, "default", "subscriptions"), body)
        made.made.insert(0, within(APPS, "default", "subscriptions", name))


def _user(parent: Cluster, admin: Caller, namespace: str, rules: list[dict[str, Any]]) -> Caller:
    """Make a user with these rights in a namespace of their own."""
    ensure_namespace(admin, namespace)
    admin("POST", within(CORE, namespace, "serviceaccounts"), {"metadata": {"name": "user"}})
    _grant(admin, namespace, "user", rules)
    request = {"spec": {"expirationSeconds": 7200}}
    token = admin.create(f"{within(CORE, namespace, 'serviceaccounts', 'user')}/token", request)["status"]["token"]
    return Caller(parent.server, parent.ca, token)


def _grant_everything(admin: Caller, child: Child) -> None:
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    _grant(admin, child.namespace, child.account, everything)


def _grant(admin: Caller, namespace: str, account: str, rules: list[dict[str, Any]]) -> None:
    role = {"metadata": {"name": "ground"}, "rules": rules}
    binding = {
        "metadata": {"name": "ground"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "ground"},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }
    admin("POST", within(RBAC, namespace, "roles"), role)
    admin("POST", within(RBAC, namespace, "rolebindings"), binding)


def ensure_namespace(admin: Caller, name: str) -> None:
    """Make a namespace, unless it is there."""
    answer = admin("POST", f"{CORE}/namespaces", {"metadata": {"name": name}})
    assert answer.status in (201, 409), answer.text


def _take_away(made: Ground) -> None:
    """Remove everything from the parent that was made on this ground."""
    for path in made.made:
        made.admin("DELETE", path)
    for child in made.children:
        forget(made.admin, child)
    left = [one["metadata"]["name"] for one in made.admin.items(f"{CORE}/namespaces?labelSelector={EMPTIED}")]
    for namespace in ("ops", TEAM, CHARTS, *left):
        made.admin("DELETE", f"{CORE}/namespaces/{namespace}")


def forget(admin: Caller, child: Child) -> None:
    """Remove a child; nobody is there who could do what its finalizers wait for."""
    admin("DELETE", f"{REQUESTS}/clusternet-{child.id}")
    for group, plural in (
        (APPS, "subscriptions"),
        (APPS, "helmcharts"),
        (APPS, "helmreleases"),
        (APPS, "bases"),
        (APPS, "descriptions"),
        (CLUSTERS, "managedclusters"),
        (CORE, "secrets"),
    ):
        listed = admin("GET", child.path(group, plural)).body.get("items") or ()
        for obj in listed:
            path = child.path(group, plural, obj["metadata"]["name"])
            admin("DELETE", path)
            if obj["metadata"].get("finalizers"):
                admin("PATCH", path, {"metadata": {"finalizers": None}}, content_type="application/merge-patch+json")
    admin("DELETE", f"{CORE}/namespaces/{child.namespace}")


def module_environment(folder: Path) -> dict[str, str]:
    """Return the environment in which Ansible finds the collection, and nothing of the user's settings."""
    (folder / "ansible.cfg").touch()
    root = Path(__file__).parents[3]
    return {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(root / ".build" / "collections"),
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
    }
