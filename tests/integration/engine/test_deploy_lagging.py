"""Deploying while one cache of the parent is older than another, as after watches that were cut (spec/03 §9)."""

import asyncio
import random
from contextlib import suppress

import pytest
from clusternet_engine.deploy.assembly import Publishing
from clusternet_engine.deploy.objects import Objects
from clusternet_engine.deploy.publisher import Sources
from clusternet_engine.deploy.pull_secrets import OwnPullSecrets
from clusternet_engine.deploy.repositories import Repositories
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import (
    BASES,
    CONFIG_MAPS,
    DESCRIPTIONS,
    HELM_RELEASES,
    MANAGED_CLUSTERS,
    Object,
)
from clusternet_engine.model.addresses import repository_rule
from deploying import Deployed, is_gone
from publishing import config_map, fake_cluster, remove_cluster

NAMESPACE = "namespace"


@pytest.mark.usefixtures("hub_kubeconfig")
async def test_what_a_base_that_is_gone_had_asked_for_does_not_stay(parent: Client, child: Client) -> None:
    """Only the cache of Bases has missed the end of the Base; nothing else remembers the objects afterwards."""
    cluster = await fake_cluster(parent, sync_mode="Pull")
    name = f"lagging-{random.randbytes(4).hex()}"
    deployed = Deployed(parent, cluster)
    informers = {
        resource: Informer(parent, resource, namespace=cluster.namespace)
        for resource in (MANAGED_CLUSTERS, BASES, DESCRIPTIONS, HELM_RELEASES)
    }
    for resource in (MANAGED_CLUSTERS, DESCRIPTIONS, HELM_RELEASES):
        informers[resource].add_index(NAMESPACE, lambda obj: (obj["metadata"]["namespace"],))
    objects = Objects(child)

    async def reach(_: Object) -> Objects:
        return objects

    publishing = Publishing(
        "agent",
        parent=parent,
        sources=Sources(
            informers[MANAGED_CLUSTERS],
            informers[BASES],
            informers[DESCRIPTIONS],
            informers[HELM_RELEASES],
            NAMESPACE,
            lambda namespace: next(iter(informers[MANAGED_CLUSTERS].by_index(NAMESPACE, namespace)), None),
        ),
        reach=reach,
        recorder=EventRecorder(parent, "test"),
        helm_binary="helm",
        repositories=Repositories(repository_rule("agent")),
        secrets=OwnPullSecrets(parent),
        workers=2,
    )
    await deployed.create(config_map(name))
    try:
        async with asyncio.TaskGroup() as tasks:
            running = {resource: tasks.create_task(informer.run()) for resource, informer in informers.items()}
            await asyncio.gather(*(informer.wait_synced(30) for informer in informers.values()))
            working = tasks.create_task(publishing.run())
            await deployed.reaches("Success")
            running[BASES].cancel()
            await asyncio.wait([running[BASES]])
            await deployed.delete()
            await deployed.gone()
            assert informers[BASES].get(deployed.base, cluster.namespace), "the cache still knows the Base"
            await is_gone(child, CONFIG_MAPS, name, "default")
            for task in (working, *running.values()):
                task.cancel()
    finally:
        with suppress(NotFound):
            await child.delete(CONFIG_MAPS, name, "default")
        await remove_cluster(parent, cluster)
