"""What two Descriptions or HelmReleases have both, what moves, and what goes slowly (spec/03 §8, §9)."""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from random import randbytes

import pytest
from charts import ChartServer
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import BASES, CONFIG_MAPS, DESCRIPTIONS, NAMESPACES, SECRETS, Object, Resource
from clusternet_engine.model import constants as names
from deploying import Deployed, Release, encode, exists, is_gone, pushed_cluster
from hub_site import HubProcess, eventually
from publishing import FakeCluster, chart, config_map, remove_cluster

REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet", namespaced=True)
HELD = "example.org/held"


@pytest.fixture(scope="module")
def charts() -> Iterator[ChartServer]:
    with ChartServer() as server:
        server.add_example("hello", "1.0.0", "1.1.0")
        yield server


@pytest.fixture(scope="module")
def hub(hub_kubeconfig: Path, helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub that makes HelmReleases and pushes."""
    log = tmp_path_factory.mktemp("hub") / "hub.log"
    flags = ("--controllers=description,helmrelease", "--feature-gates=Deployer=true", f"--helm-binary={helm}")
    process = HubProcess(hub_kubeconfig, log, *flags)
    yield process
    process.end()


@pytest.fixture
async def cluster(hub: HubProcess, parent: Client, child: Client) -> AsyncIterator[FakeCluster]:
    made = await pushed_cluster(parent, child)
    yield made
    await remove_cluster(parent, made)


@pytest.fixture
async def target(child: Client) -> AsyncIterator[str]:
    """A namespace that is there already."""
    name = f"sharing-{randbytes(4).hex()}"
    await child.create(NAMESPACES, {"metadata": {"name": name}})
    yield name
    with suppress(NotFound):
        await child.delete(NAMESPACES, name)


async def owned_by(child: Client, deployed: Deployed, name: str, namespace: str) -> Object:
    """Wait until an object belongs to a Description."""
    wanted = f"{deployed.cluster.namespace}.{deployed.name}"

    async def owned() -> Object | None:
        found = await child.get(CONFIG_MAPS, name, namespace)
        annotations = found["metadata"].get("annotations") or {}
        return found if annotations.get(names.OWNED_BY_DESCRIPTION_ANNOTATION) == wanted else None

    found = await eventually(owned, why=f"{name} belongs to {wanted}")
    assert found is not None
    return found


async def test_what_another_description_has_too_outlives_the_one_that_goes(parent, child, cluster, target):
    first, second = Deployed(parent, cluster), Deployed(parent, cluster)
    shared, own = config_map("shared", target, a="1"), config_map("own", target)
    await first.create(shared)
    await first.reaches("Success")
    uid = (await owned_by(child, first, "shared", target))["metadata"]["uid"]
    await second.create(shared, own)
    await second.reaches("Success")
    await owned_by(child, second, "shared", target)
    await second.delete()
    await second.gone()
    found = await owned_by(child, first, "shared", target)
    assert found["metadata"]["uid"] == uid, "it was never away"
    await is_gone(child, CONFIG_MAPS, "own", target)
    await first.delete()
    await first.gone()
    await is_gone(child, CONFIG_MAPS, "shared", target)


async def test_what_another_description_has_too_outlives_a_change(parent, child, cluster, target):
    first, second = Deployed(parent, cluster), Deployed(parent, cluster)
    shared, own = config_map("shared", target, a="1"), config_map("own", target)
    await first.create(shared)
    await first.reaches("Success")
    await second.create(shared, own)
    await second.reaches("Success")
    await second.change(own)
    await second.reaches("Success")
    await owned_by(child, first, "shared", target)
    assert "UnsuccessfullyPruningFeed" not in await second.events()
    for deployed in (first, second):
        await deployed.delete()
        await deployed.gone()
    for name in ("shared", "own"):
        await is_gone(child, CONFIG_MAPS, name, target)


async def test_what_two_descriptions_have_goes_with_both(parent, child, cluster, target):
    both = [Deployed(parent, cluster) for _ in range(2)]
    for deployed in both:
        await deployed.create(config_map("shared", target))
        await deployed.reaches("Success")
    for deployed in both:
        await parent.delete(BASES, deployed.base, cluster.namespace)
        await parent.delete(DESCRIPTIONS, deployed.name, cluster.namespace)
    for deployed in both:
        await deployed.gone()
    await is_gone(child, CONFIG_MAPS, "shared", target)


async def test_a_release_that_another_one_has_too_stays(parent, child, cluster, charts, target):
    first, second = Release(parent, cluster), Release(parent, cluster)
    second.release = first.release
    for release, version in ((first, "1.0.0"), (second, "1.1.0")):
        await release.create(repo=charts.repo, chart="hello", version=version, targetNamespace=target)
        await release.reaches("deployed")
    await second.delete()

    async def back() -> bool:
        labels = f"owner=helm,name={first.release},status=deployed,version=3"
        return bool((await child.list(SECRETS, target, label_selector=labels)).items)

    await eventually(back, 30, "the other one has brought back its version")
    await first.delete()

    async def gone() -> bool:
        return not (await child.list(SECRETS, target, label_selector="owner=helm")).items

    await eventually(gone, 30, "it is uninstalled with the last one")


async def let_go(child: Client, name: str, namespace: str) -> None:
    await child.patch(CONFIG_MAPS, name, {"metadata": {"finalizers": None}}, namespace)


async def test_a_release_moves_with_its_target_namespace(parent, child, cluster, charts, target):
    """What was installed in the former namespace doesn't stay there."""
    body = chart(f"c-{randbytes(3).hex()}", repo=charts.repo, chart="hello", targetNamespace=target)
    moved = {**body, "spec": {**body["spec"], "targetNamespace": f"{target}-new", "createNamespace": True}}
    name = body["metadata"]["name"]
    deployed = Deployed(parent, cluster)
    base = await deployed.create_base([body])
    await deployed.describe_charts(base, body)
    await deployed.reaches("Success", 60)
    await child.get(CONFIG_MAPS, name, target)
    await parent.patch(DESCRIPTIONS, deployed.name, {"spec": {"chartRaw": [encode(moved)]}}, cluster.namespace)
    await exists(child, CONFIG_MAPS, name, f"{target}-new", 60)
    await is_gone(child, CONFIG_MAPS, name, target)
    assert not (await child.list(SECRETS, target, label_selector="owner=helm")).items
    await deployed.reaches("Success", 60)
    await deployed.delete()
    await deployed.gone(60)
    await child.delete(NAMESPACES, f"{target}-new")


async def test_an_object_that_is_being_removed_is_made_anew(parent, child, cluster, target):
    """Taken for applied, it would vanish afterwards, and the Description would still say Success."""
    body = config_map("going", target)
    await child.create(CONFIG_MAPS, {**body, "metadata": {**body["metadata"], "finalizers": [HELD]}})
    await child.delete(CONFIG_MAPS, "going", target)
    deployed = Deployed(parent, cluster)
    await deployed.create(body)
    status = await deployed.reaches("Pending")
    assert status["reason"] == f"ConfigMap {target}/going: it is being removed, and not gone yet"
    await let_go(child, "going", target)
    await deployed.reaches("Success")
    assert not (await child.get(CONFIG_MAPS, "going", target))["metadata"].get("deletionTimestamp")
    assert "UnSuccessfullyDeployed" not in await deployed.events()
    await deployed.delete()
    await deployed.gone()


def replica_set(name: str, namespace: str) -> Object:
    """A ReplicaSet without replicas, which somebody holds."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": namespace, "finalizers": [HELD]},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }


async def test_objects_are_gone_before_those_that_they_need_and_before_their_description(
    parent, child, cluster, target
):
    """A controller among the objects has to work until the end of what it serves."""
    deployed = Deployed(parent, cluster)
    web = replica_set("web", target)
    await deployed.create(config_map("needed", target), web)
    await deployed.reaches("Success")
    await deployed.delete()

    async def waits() -> bool:
        return "Waiting" in await deployed.events()

    await eventually(waits, 30, "it is told why the Description stays")
    assert not (await child.get(CONFIG_MAPS, "needed", target))["metadata"].get("deletionTimestamp")
    await child.patch(REPLICA_SETS, "web", {"metadata": {"finalizers": None}}, target)
    await deployed.gone()
    await is_gone(child, CONFIG_MAPS, "needed", target)
