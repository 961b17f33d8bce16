"""Native objects pushed to child clusters (spec/03 §8.2, §9); Descriptions are made by hand."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import randbytes

import aiohttp
import pytest
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import (
    BASES,
    CLUSTER_ROLES,
    CUSTOM_RESOURCE_DEFINITIONS,
    MANAGED_CLUSTERS,
    NAMESPACES,
    Object,
    Resource,
)
from clusternet_lab.ports import reserve
from deploying import Deployed, exists, hand_over, is_gone, pushed_cluster
from hub_site import HubProcess, condition_is_true, eventually
from publishing import (
    FakeCluster,
    config_map,
    deployment,
    fake_cluster,
    native_namespace,
    remove_cluster,
    set_ready,
)

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", namespaced=True)
OWNED = "apps.clusternet.io/owned-by-description"
LAST = "clusternet.io/last-applied-configuration"
FINALIZER = "apps.clusternet.io/finalizer"
STATUS = {"appPusher": True, "useSocket": False}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Where the hub tells its metrics."""
    return reserve(tmp_path_factory.mktemp("port"), 1)[0]


@pytest.fixture(scope="module")
def hub(hub_kubeconfig: Path, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub that does nothing but push."""
    log = tmp_path_factory.mktemp("hub") / "hub.log"
    serving = ("--bind-address=127.0.0.1", f"--secure-port={port}", "--authorization-always-allow-paths=/metrics")
    process = HubProcess(hub_kubeconfig, log, "--controllers=description", "--feature-gates=Deployer=true", *serving)
    yield process
    process.end()


@pytest.fixture
def has_seen_the_clusters(hub: HubProcess, port: int, parent: Client) -> Callable[[], Awaitable[object]]:
    """Waits until the hub knows which clusters there are, and which of them are Ready."""

    async def seen() -> bool:
        clusters = (await parent.list(MANAGED_CLUSTERS)).items
        ready = [one for one in clusters if condition_is_true(one, "Ready")]
        url = f"https://127.0.0.1:{port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url, ssl=False) as answer:
            metrics = (await answer.text()).splitlines()
        return {
            f"clusternet_clusters_registered {float(len(clusters))}",
            f"clusternet_clusters_ready {float(len(ready))}",
        } <= set(metrics)

    return lambda: eventually(seen)


@pytest.fixture
async def cluster(hub: HubProcess, parent: Client, child: Client) -> AsyncIterator[FakeCluster]:
    made = await pushed_cluster(parent, child)
    yield made
    await remove_cluster(parent, made)


@pytest.fixture
async def namespace(child: Client) -> AsyncIterator[str]:
    """The name of a namespace that a test may publish."""
    name = f"app-{randbytes(4).hex()}"
    yield name
    with suppress(NotFound):
        await child.delete(NAMESPACES, name)


async def test_objects_come_and_go_with_their_description(parent, child, cluster, namespace):
    deployed = Deployed(parent, cluster)
    await deployed.create(
        deployment("web", namespace), config_map("settings", namespace, a="1"), native_namespace(namespace)
    )
    status = await deployed.reaches("Success")
    assert status["reason"] == ""
    live = await child.get(DEPLOYMENTS, "web", namespace)
    annotations = live["metadata"]["annotations"]
    assert annotations[OWNED] == f"{cluster.namespace}.{deployed.name}"
    applied = json.loads(annotations[LAST])
    assert applied["metadata"]["annotations"] == {OWNED: annotations[OWNED]}
    assert applied["spec"] == deployment("web", namespace)["spec"]

    await deployed.change(config_map("settings", namespace, b="2"), native_namespace(namespace))
    await deployed.reaches("Success")
    await is_gone(child, DEPLOYMENTS, "web", namespace)
    assert (await child.get(CONFIG_MAPS, "settings", namespace))["data"] == {"b": "2"}

    await deployed.delete()
    await deployed.gone()
    await is_gone(child, CONFIG_MAPS, "settings", namespace)
    await is_gone(child, NAMESPACES, namespace)
    assert {"SuccessfullyDeployed", "SuccessfullyPruningFeed"} <= await deployed.events()


def crd(group: str) -> Object:
    """A CustomResourceDefinition of Widgets."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [version],
        },
    }


def cluster_role(name: str) -> Object:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def service(name: str, namespace: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
    }


async def test_what_others_need_comes_first_without_a_failed_attempt(lab, parent, child, cluster, namespace):
    """Row 2 of the issue: as in app-demo, the feeds stand in an order that doesn't work."""
    group = f"{namespace}.example.org"
    widget = {
        "apiVersion": f"{group}/v1",
        "kind": "Widget",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"size": 1},
    }
    deployed = Deployed(parent, cluster)
    await deployed.create(
        widget,
        deployment("my-nginx", namespace, replicas=3),
        service("my-nginx-svc", namespace),
        cluster_role(namespace),
        crd(group),
        native_namespace(namespace),
    )
    await deployed.reaches("Success")

    def mine(event: Object) -> bool:
        reference = event.get("objectRef") or {}
        ours = event["user"].get("username") == "system:serviceaccount:kube-system:test-deployer"
        here = namespace in (reference.get("namespace"), reference.get("name")) or group in reference.get("name", "")
        return ours and here and event["verb"] in ("create", "patch", "update")

    events = [json.loads(line) for line in lab.cluster("child1").audit_log.read_text().splitlines()]
    writes = [event for event in events if mine(event)]
    assert {event["responseStatus"]["code"] for event in writes} <= {200, 201}
    order = [
        event["objectRef"]["resource"] for event in sorted(writes, key=lambda event: event["requestReceivedTimestamp"])
    ]
    assert len(order) == 6
    assert set(order[:3]) == {"namespaces", "customresourcedefinitions", "clusterroles"}
    assert order[3:] == ["services", "deployments", "widgets"]
    done = max(event["stageTimestamp"] for event in writes if event["objectRef"]["resource"] in order[:3])
    begun = min(event["requestReceivedTimestamp"] for event in writes if event["objectRef"]["resource"] in order[3:])
    assert done < begun
    await deployed.delete()
    await deployed.gone()
    await is_gone(child, CLUSTER_ROLES, namespace)
    await is_gone(child, CUSTOM_RESOURCE_DEFINITIONS, f"widgets.{group}")


async def test_one_bad_object_does_not_stop_the_others(parent, child, cluster, namespace):
    """C3.9 and bad input: what the child refuses has its reason in the status; the rest is deployed."""
    unknown = {"apiVersion": "example.org/v9", "kind": "Gadget", "metadata": {"name": "x", "namespace": namespace}}
    refused = deployment("UPPER", namespace)
    deployed = Deployed(parent, cluster)
    await deployed.create(native_namespace(namespace), unknown, refused, config_map("fine", namespace, a="1"))
    reason = (await deployed.reaches("Failure"))["reason"]
    assert "Gadget" in reason
    assert "CustomResourceDefinition" in reason
    assert f"Deployment {namespace}/UPPER: " in reason
    assert "ConfigMap" not in reason
    await exists(child, CONFIG_MAPS, "fine", namespace)

    async def told() -> bool:
        return "UnSuccessfullyDeployed" in await deployed.events()

    await eventually(told)

    job = {"containers": [{"name": "c", "image": "i:1"}], "restartPolicy": "Never"}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once", "namespace": namespace}}
    await deployed.change(native_namespace(namespace), {**body, "spec": {"template": {"spec": job}}})
    await deployed.reaches("Success")
    changed = {"containers": [{"name": "c", "image": "i:2"}], "restartPolicy": "Never"}
    await deployed.change(native_namespace(namespace), {**body, "spec": {"template": {"spec": changed}}})
    reason = (await deployed.reaches("Failure"))["reason"]
    assert "immutable" in reason
    await deployed.delete()


async def test_an_object_without_its_namespace_says_so(parent, cluster, namespace):
    deployed = Deployed(parent, cluster)
    await deployed.create(config_map("lonely", namespace))
    assert f'namespaces "{namespace}" not found' in (await deployed.reaches("Failure"))["reason"]
    await deployed.change(config_map("lonely", namespace), native_namespace(namespace))
    await deployed.reaches("Success")
    await deployed.delete()


async def test_foreign_objects_are_taken_over_and_those_of_others_stay(parent, child, cluster, namespace):
    await child.create(NAMESPACES, native_namespace(namespace))
    await child.create(CONFIG_MAPS, config_map("adopted", namespace, mine="old"))
    deployed = Deployed(parent, cluster)
    await deployed.create(config_map("adopted", namespace, a="1"), config_map("lost", namespace))
    await deployed.reaches("Success")
    assert (await child.get(CONFIG_MAPS, "adopted", namespace))["data"] == {"a": "1", "mine": "old"}

    async def told() -> bool:
        return "Adopted" in await deployed.events()

    await eventually(told)
    await child.patch(CONFIG_MAPS, "lost", {"metadata": {"annotations": {OWNED: "another.one-generic"}}}, namespace)
    await deployed.delete()
    await deployed.gone()
    await is_gone(child, CONFIG_MAPS, "adopted", namespace)
    await child.get(CONFIG_MAPS, "lost", namespace)


async def test_what_clusternet_has_deployed_is_taken_over_with_its_fields(parent, child, cluster, namespace):
    """Fields that its own deployer has applied, and that are wanted no more, go with the first apply."""
    await child.create(NAMESPACES, native_namespace(namespace))
    deployed = Deployed(parent, cluster)
    before = deployment("web", namespace, extra="gone")
    before["spec"]["template"]["spec"]["containers"].append({"name": "second", "image": "i:1"})
    before["metadata"]["annotations"] = {OWNED: f"{cluster.namespace}.{deployed.name}"}
    before["metadata"]["annotations"][LAST] = json.dumps(before)
    await child.create(DEPLOYMENTS, before)
    await deployed.create(deployment("web", namespace))
    await deployed.reaches("Success")
    live = await child.get(DEPLOYMENTS, "web", namespace)
    assert live["metadata"]["labels"] == {"app": "web"}
    assert [one["name"] for one in live["spec"]["template"]["spec"]["containers"]] == ["main"]
    assert "Adopted" not in await deployed.events()
    await deployed.delete()
    await deployed.gone()


async def test_fields_that_are_wanted_no_more_go_and_those_of_others_stay(parent, child, cluster, namespace):
    deployed = Deployed(parent, cluster)
    await deployed.create(native_namespace(namespace), config_map("settings", namespace, a="1", b="2"))
    await deployed.reaches("Success")
    await child.patch(CONFIG_MAPS, "settings", {"data": {"c": "3"}}, namespace)
    await deployed.change(native_namespace(namespace), config_map("settings", namespace, a="1"))
    await deployed.reaches("Success")
    assert (await child.get(CONFIG_MAPS, "settings", namespace))["data"] == {"a": "1", "c": "3"}
    await deployed.delete()


async def test_row_4_a_cluster_that_was_away_loses_what_was_removed_meanwhile(
    parent, child, cluster, namespace, has_seen_the_clusters
):
    deployed = Deployed(parent, cluster)
    await deployed.create(native_namespace(namespace), config_map("settings", namespace, a="1"))
    await deployed.reaches("Success")
    await set_ready(parent, cluster, ready=False, status=STATUS | {"apiserverURL": child.config.server})
    await has_seen_the_clusters()
    await deployed.delete()

    async def waits() -> bool:
        return "WaitingForCluster" in await deployed.events()

    await eventually(waits)
    assert (await deployed.get())["metadata"]["finalizers"] == [FINALIZER]
    await child.get(CONFIG_MAPS, "settings", namespace)
    await set_ready(parent, cluster, status=STATUS | {"apiserverURL": child.config.server})
    await deployed.gone()
    await is_gone(child, CONFIG_MAPS, "settings", namespace)
    await is_gone(child, NAMESPACES, namespace)


async def test_c2_3_a_flapping_cluster_keeps_its_workloads(parent, child, cluster, namespace, has_seen_the_clusters):
    """Lost, unbound, back, bound again: what the new Base asks for is adopted, the rest goes."""
    kept = [native_namespace(namespace), config_map("kept", namespace, a="1")]
    deployed = Deployed(parent, cluster)
    await deployed.create(*kept, config_map("dropped", namespace))
    await deployed.reaches("Success")
    before = await child.get(CONFIG_MAPS, "kept", namespace)
    away, back = (STATUS | {"apiserverURL": child.config.server} for _ in range(2))
    await set_ready(parent, cluster, ready=False, status=away)
    await has_seen_the_clusters()
    await deployed.delete()
    await is_gone(parent, BASES, deployed.base, cluster.namespace)
    await set_ready(parent, cluster, status=back)
    base = await deployed.create_base(kept)
    await deployed.gone()
    await deployed.describe(base, *kept)
    await deployed.reaches("Success")
    after = await child.get(CONFIG_MAPS, "kept", namespace)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    await is_gone(child, CONFIG_MAPS, "dropped", namespace)
    await deployed.delete()


async def test_without_a_cluster_nothing_waits(hub, parent, child, namespace, has_seen_the_clusters):
    cluster = await pushed_cluster(parent, child)
    deployed = Deployed(parent, cluster)
    await deployed.create(native_namespace(namespace))
    await deployed.reaches("Success")
    await parent.delete(MANAGED_CLUSTERS, cluster.name, cluster.namespace)
    await is_gone(parent, MANAGED_CLUSTERS, cluster.name, cluster.namespace)
    await has_seen_the_clusters()
    await deployed.delete()
    await deployed.gone()
    await child.get(NAMESPACES, namespace)
    await remove_cluster(parent, cluster)


async def test_a_credential_that_comes_late_is_used_at_once(hub, parent, child, namespace):
    status = STATUS | {"apiserverURL": child.config.server}
    cluster = await fake_cluster(parent, sync_mode="Push", status=status)
    deployed = Deployed(parent, cluster)
    await deployed.create(native_namespace(namespace))
    assert "hasn't handed over" in (await deployed.reaches("Failure"))["reason"]
    await hand_over(parent, child, cluster)
    await deployed.reaches("Success")
    await deployed.delete()
    await remove_cluster(parent, cluster)


async def test_c3_10_the_hub_leaves_alone_what_is_not_its_own(hub, parent, child, namespace):
    """The ManagedCluster decides: as long as it says Pull, the hub does nothing; from Dual on, it deploys."""
    status = STATUS | {"apiserverURL": child.config.server}
    cluster = await fake_cluster(parent, sync_mode="Pull", status=status)
    await hand_over(parent, child, cluster)
    deployed = Deployed(parent, cluster)
    await deployed.create(native_namespace(namespace))
    other = Deployed(parent, await pushed_cluster(parent, child))
    await other.create(config_map(namespace, "default"))
    await other.reaches("Success")
    assert "phase" not in ((await deployed.get()).get("status") or {})
    await parent.patch(MANAGED_CLUSTERS, cluster.name, {"spec": {"syncMode": "Dual"}}, cluster.namespace)
    await deployed.reaches("Success")
    for one in (deployed, other):
        await one.delete()
        await remove_cluster(parent, one.cluster)


async def test_large_objects_are_deployed_and_too_large_ones_have_a_reason(parent, child, cluster, namespace):
    large = config_map("large", namespace, text="x" * 900_000)
    huge = config_map("huge", namespace, text="x" * 1_060_000)
    deployed = Deployed(parent, cluster)
    await deployed.create(native_namespace(namespace), large)
    await deployed.reaches("Success")
    live = await child.get(CONFIG_MAPS, "large", namespace)
    assert LAST not in live["metadata"]["annotations"]
    await deployed.change(native_namespace(namespace), huge)
    reason = (await deployed.reaches("Failure"))["reason"]
    assert "ConfigMap" in reason
    assert len(reason) <= 4096
    await deployed.delete()


async def test_too_many_objects_have_a_reason(parent, cluster):
    """Their names don't fit into the annotation that says what was applied."""
    deployed = Deployed(parent, cluster)
    await deployed.create(*(config_map(f"{'x' * 240}{number}") for number in range(900)))
    reason = (await deployed.reaches("Failure"))["reason"]
    assert reason.startswith("900 objects, those to be removed included, are too many")
    await deployed.delete()
    await deployed.gone(60)
