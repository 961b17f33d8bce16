"""Scheduling by a hub: what it writes into Subscriptions, and when (spec/03 §1.3, §2–§4; spec/06 by number)."""

import asyncio
import signal
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest
from aiohttp import web
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import (
    EVENTS,
    FEED_INVENTORIES,
    HELM_CHARTS,
    MANAGED_CLUSTERS,
    MANIFESTS,
    SUBSCRIPTIONS,
)
from clusternet_engine.model.feeds import feed_key
from clusternet_engine.model.spec_hash import spec_hash
from hub_site import HubProcess, eventually
from publishing import (
    bind,
    chart,
    config_map,
    deployment,
    fake_cluster,
    feed_of,
    manifest_of,
    native_namespace,
    remove_cluster,
    set_ready,
    subscription,
)

GATES = "--feature-gates=FeedInventory=true,FailOver=true,FeasibleClustersToleration=true"
STATIC = {"schedulingStrategy": "Dividing", "dividingScheduling": {"type": "Static"}}
DYNAMIC = {
    "schedulingStrategy": "Dividing",
    "dividingScheduling": {"type": "Dynamic", "dynamicDividing": {"strategy": "Spread"}},
}
REBALANCE = "apps.clusternet.io/rebalance"


@pytest.fixture(scope="module")
def hub(hub_kubeconfig, tmp_path_factory, wait_for) -> Iterator[HubProcess]:
    """A hub with the gates of scheduling."""
    process = HubProcess(hub_kubeconfig, tmp_path_factory.mktemp("hub") / "hub.log", GATES)
    wait_for(lambda: process.leads, 60, "the hub leads")
    yield process
    process.end()


class Stage:
    """Clusters without agents and Subscriptions of one test, told from those of others by a label of their own."""

    def __init__(self, admin):
        self.admin = admin
        self.mark = f"t{uuid.uuid4().hex[:8]}"
        self.clusters = []
        self.made = []

    async def cluster(self, name="", **options):
        labels = {"test": self.mark, **options.pop("labels", {})}
        name = f"{self.mark}-{name}" if name else None
        self.clusters.append(await fake_cluster(self.admin, name, labels=labels, **options))
        return self.clusters[-1]

    async def create(self, resource, body):
        self.made.append((resource, body["metadata"]["name"], body["metadata"].get("namespace")))
        return await self.admin.create(resource, body)

    async def manifest(self, obj):
        return await self.create(MANIFESTS, manifest_of(obj))

    async def deployment(self, replicas, name="web", **container):
        obj = deployment(f"{self.mark}-{name}", replicas=replicas)
        obj["spec"]["template"]["spec"]["containers"][0].update(container)
        await self.manifest(obj)
        return obj

    async def scale(self, obj, replicas):
        name = manifest_of(obj)["metadata"]["name"]
        patch = {"template": {"spec": {"replicas": replicas}}}
        await self.admin.patch(MANIFESTS, name, patch, "clusternet-reserved")

    async def subscribe(self, feeds, *, clusters=None, annotations=None, **spec):
        """Make a Subscription; what is divided stays where it is, so the hub must know of all clusters before."""
        if spec.get("schedulingStrategy") == "Dividing":
            await self.becomes(await self.subscribe([config_map("any")]), self.clusters)
        clusters = [{"clusterAffinity": {"matchLabels": {"test": self.mark}}}] if clusters is None else clusters
        body = subscription(f"{self.mark}-{len(self.made)}", feeds, clusters=clusters, **spec)
        body["metadata"]["annotations"] = annotations or {}
        return await self.create(SUBSCRIPTIONS, body)

    async def taint(self, cluster, *taints):
        await self.admin.patch(MANAGED_CLUSTERS, cluster.name, {"spec": {"taints": list(taints)}}, cluster.namespace)

    async def status(self, subs):
        metadata = subs["metadata"]
        return (await self.admin.get(SUBSCRIPTIONS, metadata["name"], metadata["namespace"])).get("status") or {}

    async def becomes(self, subs, clusters, replicas=None, timeout=30.0):
        """Wait until a Subscription is bound to these clusters, with these replicas of its feeds by key."""
        order = sorted(range(len(clusters)), key=lambda index: clusters[index].binding)
        bindings = [clusters[index].binding for index in order]
        wanted = {
            key: [numbers[index] for index in order] if numbers else [] for key, numbers in (replicas or {}).items()
        }
        seen = {}

        async def reached():
            seen.update(status=await self.status(subs))
            found = seen["status"].get("bindingClusters"), seen["status"].get("replicas") or {}
            return seen["status"] if found == (bindings, wanted) else None

        try:
            return await eventually(reached, timeout)
        except pytest.fail.Exception:
            pytest.fail(f"wanted {bindings} and {wanted}, not {seen['status']}")

    async def tells(self, subs, reason, text="", timeout=30.0):
        """Wait for the condition Scheduled and return it."""

        async def told():
            for condition in (await self.status(subs)).get("conditions") or []:
                if condition["type"] == "Scheduled" and condition["reason"] == reason and text in condition["message"]:
                    return condition
            return None

        return await eventually(told, timeout, f"{reason} {text}")

    async def event(self, subs, reason, text=""):
        selector = f"involvedObject.name={subs['metadata']['name']}"

        async def found():
            events = (await self.admin.list(EVENTS, subs["metadata"]["namespace"], field_selector=selector)).items
            return next((e for e in events if e["reason"] == reason and text in e["message"]), None)

        return await eventually(found, 30, f"event {reason} {text}")

    async def clean_up(self):
        for resource, name, namespace in reversed(self.made):
            with suppress(NotFound):
                await self.admin.patch(resource, name, {"metadata": {"finalizers": None}}, namespace)
                await self.admin.delete(resource, name, namespace)
        for cluster in self.clusters:
            await remove_cluster(self.admin, cluster)


@pytest.fixture
async def stage(parent, hub):
    stage = Stage(parent)
    yield stage
    await stage.clean_up()


class PredictorServer:
    """Predictors of several clusters behind one address: `rooms` by cluster ID; what isn't there fails."""

    def __init__(self):
        self.rooms = {}
        self.asked = []
        self.address = ""
        self.answering = asyncio.Event()
        self.answering.set()

    async def start(self):
        app = web.Application()
        app.router.add_post("/replicas/predict", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"

    async def stop(self):
        await self._runner.cleanup()

    async def _answer(self, request):
        identity = request.headers["Cluster-ID"]
        self.asked.append((identity, await request.json()))
        await self.answering.wait()
        if identity not in self.rooms:
            return web.Response(status=500, text="out of order")
        return web.json_response({"replicas": {"default": self.rooms[identity]}})

    @property
    def status(self):
        return {"predictorEnabled": True, "predictorDirectAccess": True, "predictorAddress": self.address}


@pytest.fixture
async def predictor():
    server = PredictorServer()
    await server.start()
    yield server
    await server.stop()


# Replication


async def test_a1_replication_binds_the_selected_clusters(stage):
    one, two = await stage.cluster("one", labels={"area": "a"}), await stage.cluster("two", labels={"area": "b"})
    subs = await stage.subscribe(
        [config_map("any")], clusters=[{"clusterAffinity": {"matchLabels": {"area": "a", "test": stage.mark}}}]
    )
    status = await stage.becomes(subs, [one])
    assert status["desiredReleases"] == 1
    assert "replicas" not in status
    assert status["specHash"] == spec_hash(
        (await stage.admin.get(SUBSCRIPTIONS, subs["metadata"]["name"], "default"))["spec"]
    )
    condition = await stage.tells(subs, "Scheduled", "bound to 1 cluster")
    assert (condition["status"], condition["observedGeneration"]) == ("True", 1)
    event = await stage.event(subs, "Scheduled", one.name)
    assert event["type"] == "Normal"
    await stage.admin.patch(MANAGED_CLUSTERS, two.name, {"metadata": {"labels": {"area": "a"}}}, two.namespace)
    await stage.becomes(subs, [one, two])
    await stage.admin.delete(MANAGED_CLUSTERS, one.name, one.namespace)
    await stage.becomes(subs, [two])


@pytest.mark.parametrize("before_the_taint", [True, False])
async def test_c2_2_c2_3_c2_5_a_lost_cluster_leaves_and_returns(stage, before_the_taint):
    """With the gate FailOver a cluster that isn't Ready leaves at once; the taint has the same effect."""
    one, two = await stage.cluster("one"), await stage.cluster("two")
    subs = await stage.subscribe([config_map("any")])
    tolerant = await stage.subscribe(
        [config_map("any")],
        clusterTolerations=[{"key": "clusters.clusternet.io/unschedulable", "operator": "Exists"}],
    )
    await stage.becomes(subs, [one, two])
    await stage.becomes(tolerant, [one, two])
    if before_the_taint:
        await set_ready(stage.admin, one, ready=False)
    else:
        await stage.taint(one, {"key": "clusters.clusternet.io/unschedulable", "value": "x", "effect": "NoSchedule"})
    await stage.becomes(subs, [two])
    await stage.tells(subs, "Scheduled", f"keeps away {one.name}")
    await stage.becomes(tolerant, [one, two])
    if before_the_taint:
        await set_ready(stage.admin, one, ready=True)
    else:
        await stage.taint(one)
    await stage.becomes(subs, [one, two])


async def test_c2_6_a_taint_of_a_user_keeps_new_and_bound_ones_away(stage):
    one, two = await stage.cluster("one"), await stage.cluster("two")
    bound = await stage.subscribe([config_map("any")])
    await stage.becomes(bound, [one, two])
    await stage.taint(one, {"key": "maintenance", "value": "true", "effect": "NoSchedule"})
    await stage.becomes(bound, [two])
    new = await stage.subscribe([config_map("any")])
    await stage.becomes(new, [two])


async def test_c3_2_without_a_feasible_cluster_nothing_stays_bound_and_each_cluster_has_its_reason(stage):
    one, two = await stage.cluster("one"), await stage.cluster("two")
    subs = await stage.subscribe([config_map("any")])
    await stage.becomes(subs, [one, two])
    await stage.taint(one, {"key": "maintenance", "value": "true", "effect": "NoSchedule"})
    await stage.taint(two, {"key": "broken", "effect": "NoExecute"})
    status = await stage.becomes(subs, [])
    assert status["desiredReleases"] == 0
    condition = await stage.tells(subs, "NoFeasibleCluster", "clusters are available")
    assert condition["status"] == "False"
    assert f"taint maintenance=true:NoSchedule keeps away {one.name}" in condition["message"]
    assert f"taint broken:NoExecute keeps away {two.name}" in condition["message"]
    event = await stage.event(subs, "FailedScheduling", "clusters are available")
    assert event["type"] == "Warning"
    await stage.taint(one)
    await stage.becomes(subs, [one])
    await stage.tells(subs, "Scheduled")


async def test_c3_15_an_unknown_scheduler_is_told_and_nothing_else_happens(stage):
    await stage.cluster("one")
    subs = await stage.subscribe([config_map("any")], schedulerName="other")
    condition = await stage.tells(subs, "UnknownScheduler", "'other'")
    assert condition["status"] == "False"
    await stage.event(subs, "UnknownScheduler")
    assert set(await stage.status(subs)) == {"conditions"}
    await stage.admin.patch(SUBSCRIPTIONS, subs["metadata"]["name"], {"spec": {"schedulerName": "third"}}, "default")
    condition = await stage.tells(subs, "UnknownScheduler", "'third'")
    assert condition["observedGeneration"] == 2


async def test_another_scheduler_may_take_its_time(stage):
    one = await stage.cluster("one")
    subs = await stage.subscribe([config_map("any")], schedulerName="other")
    await stage.tells(subs, "UnknownScheduler")
    await bind(stage.admin, subs, [one])

    async def withdrawn():
        return not (await stage.status(subs)).get("conditions")

    await eventually(withdrawn)
    assert (await stage.status(subs))["bindingClusters"] == [one.binding]
    two = await stage.cluster("two")
    await stage.admin.patch(SUBSCRIPTIONS, subs["metadata"]["name"], {"spec": {"schedulerName": "default"}}, "default")
    await stage.becomes(subs, [one, two])
    await stage.tells(subs, "Scheduled")


async def test_an_invalid_selector_is_told_and_what_was_bound_stays(stage):
    one = await stage.cluster("one")
    subs = await stage.subscribe([config_map("any")])
    await stage.becomes(subs, [one])
    bad = [{"clusterAffinity": {"matchExpressions": [{"key": "a", "operator": "Like", "values": ["b"]}]}}]
    await stage.admin.patch(SUBSCRIPTIONS, subs["metadata"]["name"], {"spec": {"subscribers": bad}}, "default")
    condition = await stage.tells(subs, "InvalidSpec", "'Like'")
    assert condition["observedGeneration"] == 2
    await stage.becomes(subs, [one])


# Sub groups


def groups(stage, *, minimum, weights=(0, 0)):
    return [
        {
            "clusterAffinity": {"matchLabels": {"test": stage.mark, "region": region}},
            "subGroupStrategy": {"minClusters": count},
            "weight": weight,
        }
        for region, count, weight in zip(("shanghai", "beijing"), minimum, weights, strict=True)
    ]


@pytest.fixture
async def regions(stage, predictor):
    clusters = [
        await stage.cluster(name, labels={"region": region}, status=predictor.status)
        for name, region in (("s1", "shanghai"), ("s2", "shanghai"), ("s3", "shanghai"), ("b1", "beijing"))
    ]
    predictor.rooms.update((cluster.id, 10) for cluster in clusters)
    return clusters


async def test_a6_sub_groups_replicated(stage, regions):
    subs = await stage.subscribe([config_map("x")], clusters=groups(stage, minimum=(2, 1)), schedulingBySubGroup=True)
    await stage.becomes(subs, [regions[0], regions[1], regions[3]])


async def test_a6_sub_groups_divided_by_weight(stage, regions):
    web_server = await stage.deployment(6)
    subs = await stage.subscribe(
        [web_server], clusters=groups(stage, minimum=(1, 1), weights=(2, 1)), schedulingBySubGroup=True, **STATIC
    )
    await stage.becomes(subs, [regions[0], regions[3]], {feed_key(feed_of(web_server)): [4, 2]})


async def test_a6_sub_groups_divided_by_room(stage, regions):
    web_server = await stage.deployment(6)
    subs = await stage.subscribe(
        [web_server], clusters=groups(stage, minimum=(1, 1)), schedulingBySubGroup=True, **DYNAMIC
    )
    await stage.becomes(subs, [regions[0], regions[3]], {feed_key(feed_of(web_server)): [3, 3]})


async def test_c3_22_a_cluster_of_two_groups_is_listed_once(stage):
    one = await stage.cluster("one")
    group = {"clusterAffinity": {"matchLabels": {"test": stage.mark}}, "subGroupStrategy": {"minClusters": 1}}
    subs = await stage.subscribe([config_map("x")], clusters=[group, group], schedulingBySubGroup=True)
    status = await stage.becomes(subs, [one])
    assert status["desiredReleases"] == 1


# Static dividing


async def test_a4_static_dividing_and_its_inventory(stage):
    one, two = await stage.cluster("one", labels={"w": "1"}), await stage.cluster("two", labels={"w": "2"})
    namespace = native_namespace(stage.mark)
    await stage.manifest(namespace)
    web_server = await stage.deployment(6, resources={"requests": {"cpu": "500m"}})
    weighted = [
        {"clusterAffinity": {"matchLabels": {"test": stage.mark, "w": weight}}, "weight": int(weight)}
        for weight in ("1", "2")
    ]
    subs = await stage.subscribe([namespace, web_server], clusters=weighted, **STATIC)
    key, plain = feed_key(feed_of(web_server)), feed_key(feed_of(namespace))
    await stage.becomes(subs, [one, two], {key: [2, 4], plain: []})
    inventory = await stage.admin.get(FEED_INVENTORIES, subs["metadata"]["name"], "default")
    assert inventory["metadata"]["ownerReferences"][0]["uid"] == subs["metadata"]["uid"]
    assert inventory["metadata"]["labels"] == {
        "clusternet.io/created-by": "clusternet-controller-manager",
        "apps.clusternet.io/subs.name": subs["metadata"]["name"],
        "apps.clusternet.io/subs.namespace": "default",
        "apps.clusternet.io/subs.uid": subs["metadata"]["uid"],
    }
    assert inventory["spec"]["feeds"] == [
        feed_of(namespace),
        {
            **feed_of(web_server),
            "desiredReplicas": 6,
            "replicaJsonPath": "/spec/replicas",
            "replicaRequirements": {"resources": {"requests": {"cpu": "500m"}}},
        },
    ]
    await stage.event(subs, "FeedInventorySynced")
    await stage.scale(web_server, 9)
    await stage.becomes(subs, [one, two], {key: [3, 6], plain: []})


async def test_c2_4_a_divided_subscription_stays_where_it_is(stage):
    one, two = await stage.cluster("one"), await stage.cluster("two")
    web_server = await stage.deployment(4)
    everywhere = [{"clusterAffinity": {"matchLabels": {"test": stage.mark}}, "weight": 1}]
    fixed = await stage.subscribe([web_server], clusters=everywhere, **STATIC)
    mobile = await stage.subscribe([web_server], clusters=everywhere, annotations={REBALANCE: "true"}, **STATIC)
    key = feed_key(feed_of(web_server))
    await stage.becomes(fixed, [one, two], {key: [2, 2]})
    await stage.becomes(mobile, [one, two], {key: [2, 2]})
    await set_ready(stage.admin, one, ready=False)
    await stage.becomes(mobile, [two], {key: [4]})
    three = await stage.cluster("zzz")
    await stage.becomes(mobile, [two, three], {key: [2, 2]})
    await set_ready(stage.admin, one, ready=True)
    await stage.becomes(mobile, [one, two, three], {key: [2, 1, 1]})
    await stage.becomes(fixed, [one, two], {key: [2, 2]})
    patch = {"metadata": {"annotations": {REBALANCE: "true"}}}
    await stage.admin.patch(SUBSCRIPTIONS, fixed["metadata"]["name"], patch, "default")
    await stage.becomes(fixed, [one, two, three], {key: [2, 1, 1]})


async def test_c3_13_charts_take_part_in_dividing(stage):
    one, two = await stage.cluster("one"), await stage.cluster("two")
    web_server = await stage.deployment(4)
    mysql = chart(f"{stage.mark}-mysql")
    await stage.create(HELM_CHARTS, mysql)
    everywhere = [{"clusterAffinity": {"matchLabels": {"test": stage.mark}}, "weight": 1}]
    subs = await stage.subscribe([mysql, web_server], clusters=everywhere, **STATIC)
    wanted = {feed_key(feed_of(web_server)): [2, 2], feed_key(feed_of(mysql)): []}
    await stage.becomes(subs, [one, two], wanted)


async def test_c3_20_without_weights_every_cluster_runs_all_replicas(stage):
    one, two = await stage.cluster("one"), await stage.cluster("two")
    subs = await stage.subscribe([await stage.deployment(4)], **STATIC)
    await stage.becomes(subs, [one, two], {})


async def test_a_missing_workload_is_named_until_it_appears(stage):
    one = await stage.cluster("one")
    web_server = deployment(f"{stage.mark}-web", replicas=3)
    missing = config_map(f"{stage.mark}-missing")
    everywhere = [{"clusterAffinity": {"matchLabels": {"test": stage.mark}}, "weight": 1}]
    subs = await stage.subscribe([missing, web_server], clusters=everywhere, **STATIC)
    await stage.tells(subs, "WaitingForInventory", f"Deployment default/{stage.mark}-web: it doesn't exist")
    await stage.event(subs, "UnParseableFeeds", f"{stage.mark}-web")
    await stage.event(subs, "FailedScheduling", f"{stage.mark}-web")
    await stage.manifest(web_server)
    await stage.becomes(subs, [one], {feed_key(feed_of(web_server)): [3], feed_key(feed_of(missing)): []})


# Dynamic dividing


async def test_a5_dynamic_dividing_by_the_room_predicted(stage, predictor):
    clusters = [await stage.cluster(name, status=predictor.status) for name in ("one", "two", "three")]
    one, two, three = clusters
    predictor.rooms.update((cluster.id, 10) for cluster in clusters)
    web_server = await stage.deployment(6, resources={"requests": {"cpu": "500m", "memory": "128Mi"}})
    subs = await stage.subscribe([web_server], **DYNAMIC)
    key = feed_key(feed_of(web_server))
    await stage.becomes(subs, clusters, {key: [2, 2, 2]})
    assert (one.id, {"resources": {"requests": {"cpu": "500m", "memory": "128Mi"}}}) in predictor.asked
    asked = len(predictor.asked)
    fourth = await stage.cluster("zzz", status=predictor.status)
    await stage.scale(web_server, 3)
    await stage.becomes(subs, clusters, {key: [1, 1, 1]})
    assert len(predictor.asked) == asked, "nobody is asked for room to take replicas away"
    predictor.rooms.update({one.id: 0, two.id: 0, three.id: 0, fourth.id: 4})
    await stage.scale(web_server, 5)
    await stage.becomes(subs, [*clusters, fourth], {key: [1, 1, 1, 2]})


async def test_dynamic_dividing_is_rebalanced_on_request(stage, predictor):
    one, two = [await stage.cluster(name, status=predictor.status) for name in ("one", "two")]
    predictor.rooms.update({one.id: 8, two.id: 8})
    web_server = await stage.deployment(8)
    fixed = await stage.subscribe([web_server], **DYNAMIC)
    mobile = await stage.subscribe([web_server], annotations={REBALANCE: "true"}, **DYNAMIC)
    key = feed_key(feed_of(web_server))
    await stage.becomes(fixed, [one, two], {key: [4, 4]})
    await stage.becomes(mobile, [one, two], {key: [4, 4]})
    predictor.rooms.update({one.id: 4, two.id: 4})
    await set_ready(stage.admin, one, ready=False, status=predictor.status)
    await stage.becomes(mobile, [two], {key: [8]})
    predictor.rooms.update({one.id: 8, two.id: 0})
    await set_ready(stage.admin, one, ready=True, status=predictor.status)
    await stage.becomes(mobile, [one, two], {key: [4, 4]})
    await stage.becomes(fixed, [one, two], {key: [4, 4]})


async def test_c3_21_dynamic_keeps_a_cluster_that_is_no_longer_selected_static_leaves_it(stage, predictor):
    one, two = [await stage.cluster(name, labels={"n": name}, status=predictor.status) for name in ("one", "two")]
    predictor.rooms.update({one.id: 8, two.id: 8})
    web_server = await stage.deployment(4)
    everywhere = [{"clusterAffinity": {"matchLabels": {"test": stage.mark}}, "weight": 1}]
    only_one = [{"clusterAffinity": {"matchLabels": {"test": stage.mark, "n": "one"}}, "weight": 1}]
    key = feed_key(feed_of(web_server))
    dynamic = await stage.subscribe([web_server], clusters=everywhere, **DYNAMIC)
    static = await stage.subscribe([web_server], clusters=everywhere, **STATIC)
    for subs in (dynamic, static):
        await stage.becomes(subs, [one, two], {key: [2, 2]})
        await stage.admin.patch(SUBSCRIPTIONS, subs["metadata"]["name"], {"spec": {"subscribers": only_one}}, "default")
    await stage.becomes(static, [one], {key: [4]})
    await stage.becomes(dynamic, [one, two], {key: [2, 2]})
    await stage.tells(dynamic, "Scheduled")


async def test_too_little_room_is_told(stage, predictor):
    one = await stage.cluster("one", status=predictor.status)
    predictor.rooms[one.id] = 2
    web_server = await stage.deployment(5)
    subs = await stage.subscribe([web_server], **DYNAMIC)
    await stage.becomes(subs, [one], {feed_key(feed_of(web_server)): [2]})
    await stage.tells(subs, "InsufficientCapacity", "2 of 5 replicas of Deployment")


async def test_failing_predictors(stage, predictor):
    """One of ten may fail (gate FeasibleClustersToleration), two may not."""
    clusters = [await stage.cluster(f"n{number}", status=predictor.status) for number in range(10)]
    predictor.rooms.update((cluster.id, 5) for cluster in clusters[2:])
    web_server = await stage.deployment(9)
    subs = await stage.subscribe([web_server], **DYNAMIC)
    condition = await stage.tells(subs, "PredictionFailed", f"2/10 predictors failed: {clusters[0].name}: ")
    assert "answered 500" in condition["message"]
    await stage.event(subs, "FailedScheduling", "answered 500")
    assert "bindingClusters" not in await stage.status(subs)
    predictor.rooms[clusters[1].id] = 5
    await stage.becomes(subs, clusters, {feed_key(feed_of(web_server)): [0, *[1] * 9]})


async def test_a_cluster_without_predictor_is_told(stage):
    one = await stage.cluster("one")
    subs = await stage.subscribe([await stage.deployment(2)], **DYNAMIC)
    await stage.tells(subs, "PredictionFailed", f"{one.name}: its agent has no predictor")


async def test_silent_predictors_hold_nobody_up(stage, predictor):
    one = await stage.cluster("one", status=predictor.status)
    predictor.rooms[one.id] = 5
    predictor.answering.clear()
    web_server = await stage.deployment(2)
    waiting = [await stage.subscribe([web_server], **DYNAMIC) for _ in range(12)]

    async def all_asked():
        return len(predictor.asked) == len(waiting)

    await eventually(all_asked)
    quick = await stage.subscribe([config_map("any")])
    await stage.becomes(quick, [one], timeout=5)
    predictor.answering.set()
    for subs in waiting:
        await stage.becomes(subs, [one], {feed_key(feed_of(web_server)): [2]})


async def test_from_dividing_to_replication_and_back(stage):
    one = await stage.cluster("one")
    web_server = await stage.deployment(2)
    everywhere = [{"clusterAffinity": {"matchLabels": {"test": stage.mark}}, "weight": 1}]
    subs = await stage.subscribe([web_server], clusters=everywhere, **STATIC)
    key = feed_key(feed_of(web_server))
    await stage.becomes(subs, [one], {key: [2]})
    for strategy, replicas in (("Replication", {}), ("Dividing", {key: [2]})):
        patch = {"spec": {"schedulingStrategy": strategy}}
        await stage.admin.patch(SUBSCRIPTIONS, subs["metadata"]["name"], patch, "default")
        await stage.becomes(subs, [one], replicas)


async def test_a_status_that_was_taken_away_comes_back(stage):
    one = await stage.cluster("one")
    subs = await stage.subscribe([config_map("any")])
    await stage.becomes(subs, [one])
    current = await stage.admin.get(SUBSCRIPTIONS, subs["metadata"]["name"], "default")
    await stage.admin.update(SUBSCRIPTIONS, {**current, "status": {}}, subresource="status")
    await stage.becomes(subs, [one])


# Restarts, many at once


async def test_what_happened_without_a_hub_is_made_up_for(stage, hubs, hub, hub_kubeconfig):
    one, two = await stage.cluster("one"), await stage.cluster("two")
    kept = await stage.subscribe([config_map("any")])
    await stage.becomes(kept, [one, two])
    version = (await stage.admin.get(SUBSCRIPTIONS, kept["metadata"]["name"], "default"))["status"]
    second = hubs.start(GATES)
    hub.process.send_signal(signal.SIGSTOP)
    try:
        other = await stage.subscribe([config_map("any")])
        await stage.becomes(other, [one, two])
        assert (await stage.admin.get(SUBSCRIPTIONS, kept["metadata"]["name"], "default"))["status"] == version
    finally:
        second.end()
        hub.process.send_signal(signal.SIGCONT)


async def test_many_subscriptions_at_once(stage):
    clusters = [await stage.cluster(f"m{number}") for number in range(5)]
    subs = await asyncio.gather(*(stage.subscribe([config_map("any")], priority=number) for number in range(50)))
    await asyncio.gather(*(stage.becomes(one, clusters) for one in subs))
