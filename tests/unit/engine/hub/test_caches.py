"""Which ManagedCluster is a cluster's, when others say to be it, and when connections to it end."""

import asyncio
import base64
from typing import Any

import aiohttp
import pytest
from clusternet_engine.deploy.errors import Unreachable
from clusternet_engine.hub.children import Children
from clusternet_engine.hub.clients import Clients
from clusternet_engine.hub.predictors import PredictionFailed, Predictors
from clusternet_engine.hub.tunnels import Tunnels
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.direct import DirectRoute
from clusternet_engine.kube.errors import ConnectionFailed
from clusternet_engine.kube.resources import Object
from clusternet_engine.model.addresses import parse_destinations, parse_networks, push_rule

ID, OTHER = "7ff1a5c6-0000-0000-0000-000000000001", "7ff1a5c6-0000-0000-0000-000000000002"


def cluster(namespace: str, cluster_id: str = ID, name: str = "c") -> Object:
    status = {"useSocket": True, "apiserverURL": "https://a", "predictorEnabled": True, "predictorAddress": "https://p"}
    return {"metadata": {"namespace": namespace, "name": name}, "spec": {"clusterId": cluster_id}, "status": status}


def request(namespace: str, cluster_id: str = ID, **further: str) -> Object:
    status = {"dedicatedNamespace": namespace, **further} if namespace else further
    return {"metadata": {"name": f"clusternet-{cluster_id}"}, "spec": {"clusterId": cluster_id}, "status": status}


def owned_namespace(name: str, cluster_id: str = ID) -> Object:
    labels = {"clusternet.io/created-by": "clusternet-agent", "clusters.clusternet.io/cluster-id": cluster_id}
    return {"metadata": {"name": name, "labels": labels}}


@pytest.fixture
def fake() -> Object:
    """Made by another child in its own namespace; listed first."""
    return cluster("another")


@pytest.fixture
def genuine() -> Object:
    return cluster("own")


async def test_the_hubs_own_word_counts(caches: Any, fake: Object, genuine: Object) -> None:
    for each in (fake, genuine, cluster("another", OTHER, "honest")):
        caches.put(caches.clusters, each)
    caches.put(caches.requests, request("own"))
    assert caches.cluster(ID) == genuine
    assert caches.is_registered(genuine)
    assert not caches.is_registered(fake)
    assert caches.cluster(OTHER)["metadata"]["name"] == "honest", "nobody else says to be that one"
    caches.remove(caches.clusters, genuine)
    assert caches.cluster(ID) is None
    assert caches.cluster("nobody") is None


@pytest.mark.parametrize("requests", [[], [request("")]], ids=["no request", "not approved"])
async def test_without_that_nobody_may_contradict(
    caches: Any, fake: Object, genuine: Object, requests: list[Object]
) -> None:
    for each in requests:
        caches.put(caches.requests, each)
    caches.put(caches.clusters, genuine)
    assert caches.cluster(ID) == genuine
    caches.put(caches.clusters, fake)
    assert caches.cluster(ID) is None


async def test_of_two_in_one_namespace_the_request_names_the_genuine_one(caches: Any, genuine: Object) -> None:
    twin = cluster("own", name="bank-prod")
    for each in (twin, genuine):
        caches.put(caches.clusters, each)
    caches.put(caches.requests, request("own", managedClusterName="c"))
    assert caches.registered_clusters() == [genuine]
    assert caches.cluster_in("own") == genuine
    caches.remove(caches.clusters, genuine)
    assert caches.cluster_in("own") is None, "another name is no registration"


async def test_an_invented_cluster_is_none(caches: Any, genuine: Object) -> None:
    for each in (genuine, cluster("own", OTHER, "bank-prod")):
        caches.put(caches.clusters, each)
    caches.put(caches.requests, request("own", managedClusterName="c"))
    assert caches.registered_clusters() == [genuine]
    caches.remove(caches.requests, request("own"))
    caches.put(caches.namespaces, owned_namespace("own"))
    assert caches.registered_clusters() == [genuine], "the request goes before the namespace"


async def test_a_cluster_that_was_denied_is_out(caches: Any, genuine: Object) -> None:
    caches.put(caches.clusters, genuine)
    caches.put(caches.requests, request("own", result="Denied"))
    assert caches.registered_clusters() == []
    assert caches.is_dedicated("own")


async def test_dedicated_is_what_the_hub_wrote_down(caches: Any) -> None:
    told: list[str] = []
    caches.add_registration_handler(told.append)
    caches.put(caches.namespaces, {"metadata": {"name": "own"}})
    assert not caches.is_dedicated("own")
    caches.put(caches.requests, request("own"))
    assert caches.is_dedicated("own")
    caches.put(caches.namespaces, owned_namespace("own"))
    caches.remove(caches.requests, request("own"))
    assert caches.is_dedicated("own"), "until it is gone"
    caches.remove(caches.namespaces, owned_namespace("own"))
    assert not caches.is_dedicated("own")
    assert set(told) == {"own"}
    before = len(told)
    caches.put(caches.requests, request("other", OTHER, token="a"))
    caches.put(caches.requests, request("other", OTHER, token="b"))
    assert told[before:] == ["other"], "another token is no news"


async def test_a_chart_in_the_namespace_of_a_cluster_is_none(caches: Any) -> None:
    feed = {"apiVersion": "apps.clusternet.io/v1alpha1", "kind": "HelmChart", "namespace": "own", "name": "evil"}
    chart = {"metadata": {"namespace": "own", "name": "evil"}, "spec": {}}
    caches.put(caches.charts, chart)
    assert caches.feed_objects(feed) == [chart]
    caches.put(caches.requests, request("own"))
    assert caches.feed_objects(feed) == []


async def test_nobody_is_known_before_the_requests_are(caches: Any, fake: Object) -> None:
    caches.put(caches.clusters, fake)
    caches.requests._synced.clear()
    assert caches.cluster(ID) is None


async def test_no_tunnel_of_another_cluster_is_used(caches: Any, fake: Object, genuine: Object) -> None:
    for each in (fake, genuine):
        caches.put(caches.clusters, each)
        metadata = {"namespace": each["metadata"]["namespace"], "name": "child-cluster-deployer"}
        caches.put(caches.child_credentials, {"metadata": metadata, "data": {"token": "dA=="}})
    caches.put(caches.requests, request("own"))
    children, predictors = Children(caches, Tunnels(), push_rule()), Predictors(caches, Tunnels(), push_rule())
    with pytest.raises(Unreachable, match=f"{ID} isn't registered as ManagedCluster another/c"):
        await children.objects(fake)
    assert await children.objects(genuine)
    entry = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "n", "name": "web"}
    with pytest.raises(PredictionFailed, match="isn't registered"):
        await predictors.predict(fake, [entry])
    with pytest.raises(PredictionFailed, match="can't be reached"):
        await predictors.predict(genuine, [entry])
    await children.close()
    await predictors.close()


async def objects_of(caches: Any, one: Object, rule: str = "", **secret: str) -> Any:
    """Ask for the objects of a cluster that is reached without a tunnel."""
    one = {**one, "status": {"useSocket": False, "apiserverURL": "https://10.0.0.1:6443", **one["status"]}}
    caches.put(caches.clusters, one)
    data = {key: base64.b64encode(value.encode()).decode() for key, value in {"token": "t", **secret}.items()}
    metadata = {"namespace": one["metadata"]["namespace"], "name": "child-cluster-deployer"}
    caches.put(caches.child_credentials, {"metadata": metadata, "data": data})
    children = Children(caches, Tunnels(), push_rule(parse_destinations(rule)))
    try:
        return await children.objects(one)
    finally:
        await children.close()


def untunnelled(**status: str) -> Object:
    return {**cluster("own"), "status": status}


async def test_without_a_tunnel_only_allowed_addresses_are_reached(caches: Any) -> None:
    why = r"may not connect to 10\.0\.0\.1:6443 without one; --push-addresses \(clusternet_hub_push_addresses\) allows"
    for rule in ("", "10.0.0.2", "10.0.0.1:443", "a.example.com"):
        with pytest.raises(Unreachable, match=why):
            await objects_of(caches, untunnelled(), rule)
    assert await objects_of(caches, untunnelled(), "10.0.0.0/8:6443")
    named = untunnelled(apiserverURL="https://a.example.com")
    with pytest.raises(Unreachable, match=r"may not connect to a\.example\.com without one"):
        await objects_of(caches, named, "*.example.org")
    assert await objects_of(caches, named, "*.example.com")
    advertised = untunnelled(apiserverURL="")
    with pytest.raises(Unreachable, match="may not connect to"):
        await objects_of(caches, advertised, "10.0.0.0/8", **{"apiserver-advertise-url": "https://127.0.0.1"})


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/latest/meta-data?x=", "https://10.0.0.1?x=", "https://a:b@10.0.0.1", "https://10.0.0.1/#"]
)
async def test_what_is_no_url_of_an_api_server_is_reached_by_nobody(caches: Any, url: str) -> None:
    with pytest.raises(Unreachable, match="not of the form https://host"):
        await objects_of(caches, untunnelled(apiserverURL=url), "*")


@pytest.mark.parametrize("token", ["a b", "a\r\nX-Header: b", "\x00", "ä", "a" * 20_000])
async def test_what_is_no_token_is_not_sent(caches: Any, token: str) -> None:
    with pytest.raises(Unreachable, match="holds no token"):
        await objects_of(caches, untunnelled(), "*", token=token)


async def test_a_cluster_that_is_not_registered_is_not_reached_without_a_tunnel_either(
    caches: Any, genuine: Object
) -> None:
    caches.put(caches.clusters, genuine)
    caches.put(caches.requests, request("own"))
    with pytest.raises(Unreachable, match="isn't registered"):
        await objects_of(caches, {**cluster("another"), "status": {}}, "*")


async def test_a_name_that_leads_to_loopback_is_refused_when_it_is_dialled(caches: Any) -> None:
    async with Client(
        ClusterConfig(server="https://localhost:1"), route=DirectRoute(push_rule(parse_destinations("localhost")))
    ) as client:
        with pytest.raises(ConnectionFailed, match="leads to an address that isn't allowed") as raised:
            await client.raw("GET", "/version")
        assert raised.value.cause == "address"
        with pytest.raises(ConnectionFailed, match="leads to an address that isn't allowed"):
            async with client.outside():
                pass


async def test_other_programs_get_the_address_that_was_judged() -> None:
    route = DirectRoute(push_rule(parse_networks("127.0.0.1,::1")))
    config = ClusterConfig(server="https://localhost:1/path")
    async with Client(config, route=route) as client, client.outside() as judged:
        assert judged.server in ("https://127.0.0.1:1/path", "https://[::1]:1/path")
        assert judged.tls_server_name == "localhost"


async def test_a_client_is_closed_when_its_cluster_is_gone(caches: Any, fake: Object, genuine: Object) -> None:
    clients = Clients(caches, lambda cluster_id: aiohttp.ClientSession())
    for each in (fake, genuine, cluster("other", OTHER)):
        caches.put(caches.clusters, each)
    mine, others = clients.of(ID), clients.of(OTHER)
    assert clients.of(ID) is mine
    caches.remove(caches.clusters, fake)
    assert clients.of(ID) is mine, "only a cluster's own end is its end"
    caches.remove(caches.clusters, genuine)
    async with asyncio.timeout(5):
        await asyncio.gather(*clients._closing)
    assert mine.closed
    assert not others.closed
    anew = clients.of(ID)
    assert anew is not mine
    await clients.close()
    assert others.closed
    assert anew.closed
