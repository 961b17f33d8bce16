"""Writing to a cluster that stops answering."""

import asyncio

import pytest
from clusternet_engine.deploy.objects import Objects
from clusternet_engine.kube.client import Response
from clusternet_engine.kube.errors import ConnectionFailed, NotFound
from clusternet_engine.model.applied import prepare


class Dying:
    """A cluster whose first write is lost, while others are under way."""

    def __init__(self):
        self.begun, self.written = 0, []

    async def raw(self, method, path):
        body = b'{"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": true}]}'
        return Response(200, {}, body)

    async def get(self, resource, name, namespace):
        raise NotFound(404)

    async def patch(self, resource, name, body, namespace, **options):
        self.begun += 1
        await asyncio.sleep(0)
        if self.begun > 1 and name == "c0":
            raise ConnectionFailed("https://child", "closed", "closed")
        await asyncio.sleep(0.01)
        self.written.append(name)


async def test_nothing_is_written_any_more_once_it_has_failed():
    """A straggler might undo what the next attempt, or the next version, has done."""
    client = Dying()
    bodies = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{number}", "namespace": "default"}}
        for number in range(50)
    ]
    with pytest.raises(ConnectionFailed):
        await Objects(client).apply([prepare(body, "ns.d") for body in bodies])
    await asyncio.sleep(0.1)
    assert client.written == []
