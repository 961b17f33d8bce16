"""Hubs that are killed while they deploy, and hubs without Helm; each test has hubs of its own."""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from random import randbytes

import pytest
from charts import ChartServer
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import NAMESPACES, SECRETS, Resource
from deploying import Deployed, Release, exists, pushed_cluster
from hub_site import eventually
from publishing import config_map, native_namespace, remove_cluster

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet", namespaced=True)


@pytest.fixture(scope="module")
def charts() -> Iterator[ChartServer]:
    with ChartServer() as server:
        server.add_example("hello")
        server.add_example("mysql")
        yield server


@pytest.fixture
async def target(child: Client) -> AsyncIterator[str]:
    """A namespace to deploy to."""
    name = f"faults-{randbytes(4).hex()}"
    yield name
    with suppress(NotFound):
        await child.delete(NAMESPACES, name)


async def test_a_hub_that_is_killed_leaves_nothing_behind(hubs, parent, child, target):
    """What was applied is known before it is applied, so that the next hub prunes what the killed one has made."""
    cluster = await pushed_cluster(parent, child)
    deployed = Deployed(parent, cluster)
    flags = ("--controllers=description", "--feature-gates=Deployer=true")
    first = hubs.start(*flags)
    await deployed.create(native_namespace(target), *(config_map(f"c{n}", target) for n in range(30)))
    await exists(child, CONFIG_MAPS, "c1", target)
    first.kill()
    await deployed.change(native_namespace(target), config_map("c0", target))
    hubs.start(*flags)
    await deployed.reaches("Success")

    async def only_one() -> bool:
        found = (await child.list(CONFIG_MAPS, target)).items
        return [one["metadata"]["name"] for one in found if one["metadata"]["name"] != "kube-root-ca.crt"] == ["c0"]

    await eventually(only_one)
    await deployed.delete()
    await remove_cluster(parent, cluster)


async def test_a_run_that_was_killed_does_not_block_the_next(hubs, helm, parent, child, charts, target):
    """Helm refuses to work on a release that is pending; a hub that is killed takes its runs along."""
    cluster = await pushed_cluster(parent, child)
    flags = ("--controllers=description", "--feature-gates=Deployer=true", f"--helm-binary={helm}")
    first = hubs.start(*flags)
    release = Release(parent, cluster)
    await release.create(
        {"primary": {"persistence": {"enabled": False}}},
        repo=charts.repo, chart="mysql", targetNamespace=target, wait=True, timeoutSeconds=60,
    )  # fmt: skip

    async def pending() -> bool:
        return bool((await child.list(SECRETS, target, label_selector="owner=helm,status=pending-install")).items)

    await eventually(pending)
    first.kill()
    hubs.start(*flags)
    await release.change(wait=False)
    await release.reaches("deployed")
    await release.delete()
    await remove_cluster(parent, cluster)


async def test_what_a_killed_run_has_made_goes_even_if_it_never_ends_well(hubs, helm, parent, child, charts, target):
    """The record of the killed run is all that tells what it has made."""
    cluster = await pushed_cluster(parent, child)
    flags = ("--controllers=description", "--feature-gates=Deployer=true", f"--helm-binary={helm}")
    first = hubs.start(*flags)
    release = Release(parent, cluster)
    await release.create(
        {"primary": {"persistence": {"enabled": False}}},
        repo=charts.repo, chart="mysql", targetNamespace=target, createNamespace=True, wait=True, timeoutSeconds=60,
    )  # fmt: skip

    async def made() -> bool:
        return bool((await child.list(STATEFUL_SETS, target)).items)

    await eventually(made)
    first.kill()
    hubs.start(*flags)
    await release.change(version="99.0.0")
    await release.reaches("failed")
    await release.delete()
    assert not await made()
    await remove_cluster(parent, cluster)


async def test_a_missing_program_is_named(hubs, parent, child, charts, target):
    cluster = await pushed_cluster(parent, child)
    hubs.start("--controllers=description", "--feature-gates=Deployer=true", "--helm-binary=no-such-helm")
    release = Release(parent, cluster)
    await release.create(repo=charts.repo, chart="hello", targetNamespace=target)
    assert "no-such-helm" in (await release.reaches("failed"))["description"]
    await release.delete()
    await remove_cluster(parent, cluster)
