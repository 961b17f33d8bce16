"""Client and informer on a real API server."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client, PatchType
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.errors import AlreadyExists, Conflict, ConnectionFailed, Invalid, NotFound, Unauthorized
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import CONFIG_MAPS, EVENTS, NAMESPACES, Object, object_key
from revival import revive_api_server


@pytest.fixture
def config(child_kubeconfigs: dict[str, Path]) -> ClusterConfig:
    return ClusterConfig.from_kubeconfig(child_kubeconfigs["child1"])


@pytest.fixture
async def client(config: ClusterConfig) -> AsyncIterator[Client]:
    async with Client(config, qps=0) as opened:
        yield opened


@pytest.fixture
async def namespace(client: Client) -> AsyncIterator[str]:
    name = f"kube-{uuid.uuid4().hex[:8]}"
    await client.create(NAMESPACES, {"metadata": {"name": name}})
    yield name
    await client.delete(NAMESPACES, name)


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_create_read_update_patch_delete(client: Client, namespace: str) -> None:
    created = await client.create(CONFIG_MAPS, config_map("x", a="1"), namespace)
    with pytest.raises(AlreadyExists):
        await client.create(CONFIG_MAPS, config_map("x"), namespace)
    updated = await client.update(CONFIG_MAPS, {**created, "data": {"a": "2"}})
    with pytest.raises(Conflict):
        await client.update(CONFIG_MAPS, {**created, "data": {"a": "3"}})
    assert (await client.get(CONFIG_MAPS, "x", namespace))["data"] == {"a": "2"}
    await client.patch(CONFIG_MAPS, "x", {"data": {"b": "4"}}, namespace)
    patched = await client.patch(
        CONFIG_MAPS, "x", [{"op": "remove", "path": "/data/a"}], namespace, kind=PatchType.JSON
    )
    assert patched["data"] == {"b": "4"}
    applied = config_map("x", c="5")
    with pytest.raises(Conflict):
        await client.patch(
            CONFIG_MAPS, "x", config_map("x", b="5"), namespace, kind=PatchType.APPLY, field_manager="other"
        )
    result = await client.patch(
        CONFIG_MAPS, "x", applied, namespace, kind=PatchType.APPLY, field_manager="other", force=True
    )
    assert result["data"] == {"b": "4", "c": "5"}
    with pytest.raises(Invalid):
        await client.create(CONFIG_MAPS, config_map("Not_A_Name"), namespace)
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAPS, "x", namespace, uid="another")
    await client.delete(CONFIG_MAPS, "x", namespace, uid=updated["metadata"]["uid"], propagation="Background")
    with pytest.raises(NotFound) as raised:
        await client.get(CONFIG_MAPS, "x", namespace)
    assert f"GET /api/v1/namespaces/{namespace}/configmaps/x: 404 NotFound" in str(raised.value)


async def test_raw_and_credentials(client: Client, config: ClusterConfig) -> None:
    response = await client.raw("GET", "/version")
    assert response.status == 200
    assert b"gitVersion" in response.body
    assert (await client.raw("GET", "/nowhere")).status == 404
    stranger = ClusterConfig(server=config.server, ca_data=config.ca_data, token="not-a-token")
    async with Client(stranger) as other:
        with pytest.raises(Unauthorized):
            await other.get(NAMESPACES, "default")
    async with Client(ClusterConfig(server=config.server)) as other:
        with pytest.raises(ConnectionFailed) as raised:
            await other.raw("GET", "/version")
        assert raised.value.cause == "tls"


async def test_pages_of_1200_objects(client: Client, namespace: str) -> None:
    limit = asyncio.Semaphore(20)

    async def make(number: int) -> None:
        async with limit:
            await client.create(CONFIG_MAPS, config_map(f"m-{number:04}", n=str(number)), namespace)

    await asyncio.gather(*(make(number) for number in range(1200)))
    listed = await client.list(CONFIG_MAPS, namespace)
    names = [item["metadata"]["name"] for item in listed.items if item["metadata"]["name"].startswith("m-")]
    assert names == [f"m-{number:04}" for number in range(1200)]
    assert all(item["kind"] == "ConfigMap" for item in listed.items)
    informer = Informer(client, CONFIG_MAPS, namespace=namespace)
    async with asyncio.timeout(60):
        task = asyncio.create_task(informer.run())
        await informer.wait_synced(30)
        assert sum(obj["metadata"]["name"].startswith("m-") for obj in informer.items()) == 1200
        task.cancel()
        await asyncio.wait((task,))


async def test_watch_resumes_from_any_version(client: Client, namespace: str) -> None:
    versions = [(await client.list(CONFIG_MAPS, namespace)).resource_version]
    for number in range(10):
        obj = await client.create(CONFIG_MAPS, config_map(f"w-{number}"), namespace)
        versions.append(obj["metadata"]["resourceVersion"])
    await client.delete(CONFIG_MAPS, "w-0", namespace)
    for start in (0, 3, 9):
        names = []
        stream = client.watch(CONFIG_MAPS, namespace, resource_version=versions[start], timeout_seconds=20)
        async with asyncio.timeout(30), contextlib.aclosing(stream):
            async for event in stream:
                names.append((event.type, event.object["metadata"]["name"]))
                if event.type == "DELETED":
                    break
        wanted = [("ADDED", f"w-{number}") for number in range(start, 10)]
        assert [entry for entry in names if entry[1].startswith("w-")] == [*wanted, ("DELETED", "w-0")]


async def test_server_ends_a_watch_in_time(client: Client, namespace: str) -> None:
    version = (await client.list(CONFIG_MAPS, namespace)).resource_version
    async with asyncio.timeout(20):
        async for _ in client.watch(CONFIG_MAPS, namespace, resource_version=version, timeout_seconds=1):
            pass


async def test_informer_outlives_its_api_server(lab: Any, client: Client, namespace: str) -> None:
    """kill -9 of the API server in the middle of watching, three times, with changes around it."""
    informer = Informer(client, CONFIG_MAPS, namespace=namespace, field_selector="metadata.name!=kube-root-ca.crt")
    replayed: dict[str, Object] = {}

    def replay(change: Change) -> None:
        if change.type == "DELETED":
            del replayed[object_key(change.object)]
        else:
            assert (object_key(change.object) in replayed) == (change.type == "MODIFIED")
            replayed[object_key(change.object)] = change.object

    informer.add_handler(replay)
    task = asyncio.create_task(informer.run())
    try:
        await informer.wait_synced(30)
        for round_ in range(3):
            await client.create(CONFIG_MAPS, config_map(f"r-{round_}", round=str(round_)), namespace)
            if round_:
                await client.delete(CONFIG_MAPS, f"r-{round_ - 1}", namespace)
            await asyncio.to_thread(lab.kill, "child1", "kube-apiserver")
            await asyncio.to_thread(revive_api_server, lab, "child1")
            async with asyncio.timeout(60):
                while True:
                    with contextlib.suppress(ConnectionFailed):
                        if (await client.raw("GET", "/readyz")).status == 200:
                            break
                    await asyncio.sleep(0.1)
            await client.patch(CONFIG_MAPS, f"r-{round_}", {"data": {"after": "yes"}}, namespace)
            listed = await client.list(CONFIG_MAPS, namespace, field_selector="metadata.name!=kube-root-ca.crt")
            wanted = {object_key(obj): obj["metadata"]["resourceVersion"] for obj in listed.items}
            async with asyncio.timeout(60):
                while {key: obj["metadata"]["resourceVersion"] for key, obj in replayed.items()} != wanted:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert {object_key(obj): obj for obj in informer.items()} == replayed
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def test_events_count_repetitions(client: Client, namespace: str) -> None:
    obj = await client.create(CONFIG_MAPS, config_map("x"), namespace)
    recorder = EventRecorder(client, "clusternet-test")
    for _ in range(3):
        await recorder.event(obj, "Warning", "Tested", "it was tested")
    await recorder.event(obj, "Normal", "Tested", "m" * 5000)
    events = (await client.list(EVENTS, namespace)).items
    found = {event["message"]: event for event in events if event["involvedObject"].get("name") == "x"}
    assert found["it was tested"]["count"] == 3
    assert found["it was tested"]["type"] == "Warning"
    assert found["it was tested"]["involvedObject"]["uid"] == obj["metadata"]["uid"]
    assert len(found) == 2
    await client.delete(EVENTS, found["it was tested"]["metadata"]["name"], namespace)
    await recorder.event(obj, "Warning", "Tested", "it was tested")
    again = (await client.list(EVENTS, namespace, field_selector="type=Warning")).items
    assert [event["count"] for event in again if event["reason"] == "Tested"] == [1]
    cluster_scoped = await client.get(NAMESPACES, namespace)
    await recorder.event(cluster_scoped, "Normal", "Tested", "a namespace")
    listed = await client.list(EVENTS, "default", field_selector=f"involvedObject.name={namespace}")
    assert len(listed.items) == 1


async def test_events_never_raise(client: Client) -> None:
    nowhere = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "no-such-namespace"}}
    await EventRecorder(client, "clusternet-test").event(nowhere, "Normal", "Tested", "nobody sees this")
