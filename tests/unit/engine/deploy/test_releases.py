"""Which HelmReleases that go have to be uninstalled."""

import asyncio
import base64
import json

import pytest
from clusternet_engine.deploy.releases import Releases
from clusternet_engine.kube.errors import NotFound


def release(name, target="apps", *, going=False):
    metadata = {
        "name": name,
        "namespace": "cluster",
        "uid": name,
        "labels": {"apps.clusternet.io/config.name": "b-helm"},
    }
    if going:
        metadata["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    return {"kind": "HelmRelease", "metadata": metadata, "spec": {"targetNamespace": target, "releaseName": "web"}}


def description(target="apps", *, going=False, chart="web"):
    metadata = {"name": "b-helm", "namespace": "cluster", "uid": "d"}
    if going:
        metadata["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    raw = base64.b64encode(json.dumps({"metadata": {}, "spec": {"targetNamespace": target}}).encode()).decode()
    spec = {"charts": [{"name": chart, "namespace": "default"}], "chartRaw": [raw], "raw": ["IA=="]}
    return {"apiVersion": "v1", "kind": "Description", "metadata": metadata, "spec": spec}


BASE = {"spec": {"feeds": [{"apiVersion": "apps/v1", "kind": "HelmChart", "namespace": "default", "name": "web"}]}}
GOING = release("b-helm-default-web")


class Parent:
    def __init__(self, *objects):
        self.objects = {obj["metadata"]["name"]: obj for obj in objects}

    async def get(self, resource, name, namespace):
        if name not in self.objects:
            raise NotFound(404)
        return self.objects[name]


class Cached:
    """What a cache that may be old says of the others."""

    def __init__(self, *others):
        self.others, self.woken = others, []

    def of(self, obj):
        return iter(self.others)

    def wake(self, obj):
        self.woken.append(obj["metadata"]["name"])


async def pending(parent, neighbours, base=None):
    return await Releases(parent, None, None, None, None).pending(GOING, base, neighbours)


async def test_the_other_release_of_the_same_place_takes_over():
    neighbours = Cached(release("elsewhere", "other"), release("same"))
    assert not await pending(Parent(release("elsewhere", "other"), release("same")), neighbours)
    assert neighbours.woken == ["same"]


async def test_another_release_may_come_to_the_place_while_one_waits_for_its_turn():
    """What it has installed there meanwhile stays."""
    neighbours = Cached()
    releases = Releases(Parent(release("same")), None, None, None, None)
    assert await releases.pending(GOING, None, neighbours)
    async with releases._alone(GOING):
        waiting = asyncio.create_task(releases.withdraw(GOING, None, None, neighbours))
        await asyncio.sleep(0)
        neighbours.others = (release("same"),)
    await waiting
    assert neighbours.woken == ["same"]


@pytest.mark.parametrize("now", [(), (release("same", going=True),), (release("same", "other"),)])
async def test_what_a_lagging_cache_says_of_another_release_is_not_believed(now):
    assert await pending(Parent(*now), Cached(release("same")))


@pytest.mark.parametrize(
    ("there", "uninstalled"),
    [
        ((), False),
        ((description(),), False),
        ((description("other"),), True),
        ((description("other", going=True),), False),
        ((description("other", chart="another"),), False),
    ],
)
async def test_a_base_that_is_made_anew_keeps_a_release_where_it_is(there, uninstalled):
    assert await pending(Parent(*there), Cached(), BASE) is uninstalled


async def test_a_base_without_the_chart_keeps_nothing():
    assert await pending(Parent(), Cached(), {"spec": {"feeds": []}})
