"""What clusters tell of their resources, and clusters that tell anything."""

from types import SimpleNamespace

import orjson
import pytest
from clusternet_engine.deploy.discovery import Discovery, KindUnknown
from clusternet_engine.kube.errors import ConnectionFailed


class Cluster:
    def __init__(self, body):
        self.body = body

    async def raw(self, method, path):
        return SimpleNamespace(status=200, headers={}, body=self.body)


def entry(**fields):
    return {"name": "webs", "kind": "Web", "namespaced": True, **fields}


async def test_the_resource_of_a_kind():
    body = orjson.dumps({"resources": [entry(), entry(name="webs/status", kind="Status")]})
    resource = await Discovery(Cluster(body)).resource("x/v1", "Web")
    assert (resource.group, resource.version, resource.plural, resource.namespaced) == ("x", "v1", "webs", True)
    with pytest.raises(KindUnknown):
        await Discovery(Cluster(b"{}")).resource("x/v1", "Web")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"1",
        b'{"resources": 1}',
        b'{"resources": ["webs"]}',
        b'{"resources": [{"kind": "Web"}]}',
        orjson.dumps({"resources": [entry(name=1)]}),
        orjson.dumps({"resources": [entry(kind=[])]}),
        b"[" * 100_000,
        b'{"resources": [' + b"{}," * 100_000 + b"{}]}",
    ],
)
async def test_clusters_that_tell_something_else(body):
    with pytest.raises(ConnectionFailed, match="no list of resources"):
        await Discovery(Cluster(body)).resource("x/v1", "Web")
