"""Asking predictors over HTTP: what is sent, and everything an answer can be (spec/03 §4.3)."""

import asyncio

import pytest
from aiohttp import web
from clusternet_engine.hub import predictors
from clusternet_engine.hub.predictors import PredictionFailed, Predictors
from clusternet_engine.kube.slots import Slots
from clusternet_engine.model.addresses import parse_destinations, push_rule

ENTRY = {
    "kind": "Deployment",
    "apiVersion": "apps/v1",
    "namespace": "foo",
    "name": "web",
    "replicaRequirements": {"resources": {"requests": {"cpu": "1"}}},
}


class Server:
    """A predictor that gives one answer to everything."""

    def __init__(self):
        self.answer = web.json_response({"replicas": {"default": 7}})
        self.seen = []
        self.busy = self.busiest = 0
        self.pause = 0.0

    async def start(self):
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"127.0.0.1:{site._server.sockets[0].getsockname()[1]}"

    async def stop(self):
        await self._runner.cleanup()

    async def _handle(self, request):
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            self.seen.append((request.method, request.path, dict(request.headers), await request.json()))
            await asyncio.sleep(self.pause)
        finally:
            self.busy -= 1
        return web.Response(status=self.answer.status, body=self.answer.body, headers=self.answer.headers)


@pytest.fixture
async def server():
    server = Server()
    await server.start()
    yield server
    await server.stop()


class Asking(Predictors):
    """Predictors that know each cluster they are asked about."""

    async def predict(self, cluster, entries):
        self._caches.put(self._caches.clusters, cluster)
        return await super().predict(cluster, entries)


@pytest.fixture
async def asking(caches):
    asking = Asking(caches, None, push_rule(parse_destinations("127.0.0.1,*")))
    yield asking
    await asking.close()


def cluster(address, **status):
    status = {"predictorEnabled": True, "predictorDirectAccess": True, "predictorAddress": address, **status}
    metadata = {"namespace": "own", "name": "c"}
    return {"metadata": metadata, "spec": {"clusterId": "the-id"}, "status": status}


@pytest.mark.parametrize("form", ["http://{}", "http://{}/", "{}"])
async def test_the_request_and_the_answer(server, asking, form):
    entries = [ENTRY, {**ENTRY, "name": "other", "replicaRequirements": None}]
    rooms = await asking.predict(cluster(form.format(server.address)), entries)
    assert rooms == {"apps/v1/Deployment/foo/web": 7, "apps/v1/Deployment/foo/other": 7}
    method, path, headers, body = next(seen for seen in server.seen if seen[3])
    assert (method, path, body) == ("POST", "/replicas/predict", ENTRY["replicaRequirements"])
    assert (headers["Content-Type"], headers["Cluster-ID"]) == ("application/json", "the-id")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (web.Response(status=500), "answered 500 for Deployment foo/web"),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "answered 302"),
        (web.Response(text="<html>"), "gave no number"),
        (web.json_response([]), "gave no number"),
        (web.json_response({"replicas": None}), "gave no number"),
        (web.json_response({"replicas": {"other": 1}}), "gave no number"),
        (web.json_response({"replicas": {"default": "1"}}), "gave no number"),
        (web.json_response({"replicas": {"default": True}}), "gave no number"),
        (web.json_response({"replicas": {"default": -1}}), "gave no number"),
        (web.Response(text="x" * 2**20), "gave no number"),
    ],
)
async def test_answers_that_are_none(server, asking, answer, why):
    server.answer = answer
    with pytest.raises(PredictionFailed, match=why):
        await asking.predict(cluster(server.address), [ENTRY])


async def test_a_predictor_that_does_not_answer_is_given_up(server, asking, monkeypatch):
    monkeypatch.setattr(predictors, "TIMEOUT", 0.1)
    server.pause = 1.0
    with pytest.raises(PredictionFailed, match=r"within 0\.1 s"):
        await asking.predict(cluster(server.address), [ENTRY])


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1:1", "can't be reached"),
        ("http://127.0.0.1:x", "can't be reached"),
        ("http://no such host", "not of the form"),
        ("ftp://127.0.0.1:1", "not of the form"),
        ("http://127.0.0.1:1/path?query=", "not of the form"),
        ("http://a:b@127.0.0.1:1", "not of the form"),
    ],
)
async def test_a_predictor_that_is_not_there(asking, address, why):
    with pytest.raises(PredictionFailed, match=why) as raised:
        await asking.predict(cluster(address), [ENTRY])
    assert "127.0.0.1" not in str(raised.value), "others read the status of a Subscription"


@pytest.mark.parametrize("rule", ["", "10.0.0.0/8", "localhost,*"])
async def test_a_predictor_is_asked_only_where_the_operator_allows_it(server, caches, rule):
    asking = Asking(caches, None, push_rule(parse_destinations(rule)))
    with pytest.raises(PredictionFailed, match=r"without a tunnel; --push-addresses \(clusternet_hub_push_addresses\)"):
        await asking.predict(cluster(server.address), [ENTRY])
    assert not server.seen
    await asking.close()


async def test_a_predictor_of_a_cluster_that_is_not_registered_is_not_asked(server, caches):
    asking = Predictors(caches, None, push_rule(parse_destinations("127.0.0.1")))
    with pytest.raises(PredictionFailed, match="isn't registered"):
        await asking.predict(cluster(server.address), [ENTRY])
    assert not server.seen


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({"predictorEnabled": False}, "has no predictor"),
        ({"predictorAddress": ""}, "doesn't say where"),
        ({"predictorDirectAccess": False}, "reached neither directly"),
    ],
)
async def test_a_predictor_that_cannot_be_asked(asking, status, why):
    with pytest.raises(PredictionFailed, match=why):
        await asking.predict(cluster("127.0.0.1:1", **status), [ENTRY])


async def test_a_cluster_without_status(asking):
    with pytest.raises(PredictionFailed, match="has no predictor"):
        await asking.predict({"metadata": {"namespace": "own", "name": "c"}, "spec": {"clusterId": "x"}}, [ENTRY])


async def test_many_are_asked_at_once_but_not_all(server, asking, monkeypatch):
    monkeypatch.setattr(asking, "_slots", Slots(5, shared=True))
    server.pause = 0.02
    await asyncio.gather(*(asking.predict(cluster(server.address), [ENTRY]) for _ in range(20)))
    assert server.busiest == 2, "a cluster leaves most of it to others"
    asked = [cluster(server.address) for _ in range(20)]
    for number, one in enumerate(asked):
        one["metadata"] = {**one["metadata"], "namespace": f"ns-{number}"}
        one["spec"] = {"clusterId": f"id-{number}"}
    await asyncio.gather(*(asking.predict(one, [ENTRY]) for one in asked))
    assert server.busiest == 5


async def test_it_can_be_asked_again_after_its_end(server, asking):
    await asking.predict(cluster(server.address), [ENTRY])
    await asking.close()
    assert await asking.predict(cluster(server.address), [ENTRY]) == {"apps/v1/Deployment/foo/web": 7}
