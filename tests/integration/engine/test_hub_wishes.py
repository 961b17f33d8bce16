"""What lies in a cluster's namespace although no child may put it there: the hub takes none of it for a wish."""

import uuid

from clusternet_engine.kube.resources import BASES, DESCRIPTIONS, MANAGED_CLUSTERS, SUBSCRIPTIONS, Object
from clusternet_engine.model import constants as names
from hub_site import eventually
from publishing import chart, config_map, subscription
from publishing_site import names_of


def managed_cluster(namespace: str, name: str, cluster_id: str, **labels: str) -> Object:
    return {
        "apiVersion": MANAGED_CLUSTERS.api_version,
        "kind": MANAGED_CLUSTERS.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"clusterId": cluster_id, "syncMode": "Pull"},
    }


def base(namespace: str, name: str, feeds: list[Object], **labels: str) -> Object:
    return {
        "apiVersion": BASES.api_version,
        "kind": BASES.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"feeds": feeds},
    }


async def test_nothing_in_the_namespace_of_a_cluster_is_a_wish(publishing, applicant, parent):
    evil = applicant()
    await evil.ask()
    namespace = (await evil.approved())["dedicatedNamespace"]
    honest = await publishing.cluster()
    database = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": publishing.name}}
    settings = config_map("settings", publishing.name)
    await publishing.make(database, settings)
    wish = await publishing.make(
        subscription(publishing.name, [database, settings], clusters={"site": publishing.name})
    )
    await publishing.becomes(honest, ["Secret/db", "ConfigMap/settings"], names_of)

    # An own application for the whole fleet
    everywhere = [{"clusterAffinity": {"matchExpressions": []}}]
    package = await publishing.make(chart("evil", namespace))
    takeover = await publishing.make(subscription("all", [package], namespace=namespace, clusters=everywhere))
    condition = await publishing.condition(takeover, "Scheduled", "DedicatedNamespace")
    assert condition["status"] == "False"
    bound = {"status": {"bindingClusters": [honest.binding]}}
    await parent.patch(SUBSCRIPTIONS, "all", bound, namespace, subresource="status")

    # What is published to others, with and without the name of its Subscription
    feeds = [{"apiVersion": "v1", "kind": "Secret", "name": "db"}]
    peek = await publishing.make(base(namespace, "peek", feeds))
    assert "no Subscription" in (await publishing.events_when(peek, "NotRendered"))["NotRendered"]
    labels = {names.SUBSCRIPTION_UID_LABEL: wish["metadata"]["uid"]}
    await publishing.make(base(namespace, "borrowed", wish["spec"]["feeds"], **labels))

    # Clusters that nobody has registered: an invented one, and the honest one once more
    for name, cluster_id in (("bank-prod", str(uuid.uuid4())), (honest.name, honest.id)):
        await parent.create(MANAGED_CLUSTERS, managed_cluster(namespace, name, cluster_id, site=publishing.name))
    for name in ("bank-prod", honest.name):
        invented = await parent.get(MANAGED_CLUSTERS, name, namespace)
        await publishing.events_when({"kind": "ManagedCluster", **invented}, "NotRegistered")

    # Everybody else notices nothing, and nothing has come of it
    later = config_map("later", publishing.name)
    await publishing.make(later)
    await publishing.make(subscription(f"{publishing.name}-l", [later], clusters={"site": publishing.name}))

    async def arrived() -> bool:
        return len(await publishing.of(DESCRIPTIONS, honest)) == 2

    await eventually(arrived)
    status = (await publishing.look(wish))["status"]
    assert status["bindingClusters"] == [honest.binding]
    assert len(await publishing.of(BASES, honest)) == 2
    assert (await parent.list(DESCRIPTIONS, namespace)).items == []
    owned = await parent.get(MANAGED_CLUSTERS, (await evil.status())["managedClusterName"], namespace)
    await parent.patch(
        MANAGED_CLUSTERS, owned["metadata"]["name"], {"metadata": {"labels": {"site": publishing.name}}}, namespace
    )

    async def both_bound() -> bool:
        now = (await publishing.look(wish))["status"]["bindingClusters"]
        return sorted(now) == sorted([honest.binding, f"{namespace}/{owned['metadata']['name']}"])

    await eventually(both_bound, why="an administrator may publish to the cluster itself")
