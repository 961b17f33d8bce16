"""What feeds need, and what nodes have room for (spec/03 §1.3, §4.3; cases B4.1 to B4.8 of spec/06)."""

import pytest
from clusternet_engine.model.capacity import room_in_cluster, room_on_node
from clusternet_engine.model.inventory import Unparseable, has_replicas, inventory_feeds, make_inventory, pod_needs
from clusternet_engine.model.labels import label_form
from hypothesis import given
from hypothesis import strategies as st


def resources(requests=None, limits=None, **more):
    return {"resources": {key: value for key, value in (("requests", requests), ("limits", limits)) if value}, **more}


def workload(kind="Deployment", version="apps/v1", replicas=2, pod=None):
    spec = {"template": {"spec": {"containers": [{"name": "c"}]} if pod is None else pod}}
    return {"apiVersion": version, "kind": kind, "spec": spec if replicas is None else {"replicas": replicas, **spec}}


def manifest(template, name="m"):
    return {"metadata": {"name": name}, "template": template}


def feed(kind="Deployment", version="apps/v1", name="web"):
    return {"kind": kind, "apiVersion": version, "namespace": "foo", "name": name}


def entry_of(template):
    return inventory_feeds([feed(template["kind"], template["apiVersion"])], lambda _: [manifest(template)])[0]


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        ("Deployment", "apps/v1"),
        ("Deployment", "apps/v1beta1"),
        ("Deployment", "apps/v1beta2"),
        ("Deployment", "extensions/v1beta1"),
        ("ReplicaSet", "apps/v1"),
        ("ReplicaSet", "apps/v1beta2"),
        ("ReplicaSet", "extensions/v1beta1"),
        ("StatefulSet", "apps/v1"),
        ("StatefulSet", "apps/v1beta1"),
        ("StatefulSet", "apps/v1beta2"),
    ],
)
def test_b4_1_workloads(kind, version):
    assert entry_of(workload(kind, version)) == {
        **feed(kind, version),
        "desiredReplicas": 2,
        "replicaJsonPath": "/spec/replicas",
        "replicaRequirements": {"resources": {}},
    }


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        ("DaemonSet", "apps/v1"),
        ("Deployment", "example.org/v1"),
        ("StatefulSet", "extensions/v1beta1"),
        ("Job", "batch/v1"),
    ],
)
def test_other_kinds_have_no_replicas_and_need_not_be_there(kind, version):
    assert not has_replicas(feed(kind, version))
    assert inventory_feeds([feed(kind, version)], lambda _: []) == [feed(kind, version)]


def test_c3_13_charts_have_no_replicas_to_divide():
    chart = {"kind": "HelmChart", "apiVersion": "apps.clusternet.io/v1alpha1", "namespace": "default", "name": "mysql"}
    assert inventory_feeds([chart], lambda _: []) == [chart]


THREE = [
    {"name": "none"},
    resources({"memory": "128Mi", "foo": "2"}, {"memory": "256Mi", "foo": "3"}),
    resources({"cpu": "500m", "memory": "128Mi"}, {"cpu": "500m", "memory": "128Mi"}),
]


def test_b4_2_containers_are_summed_up():
    needs = entry_of(workload(pod={"containers": THREE}))["replicaRequirements"]["resources"]
    assert needs == {
        "requests": {"memory": "256Mi", "cpu": "500m", "foo": "2"},
        "limits": {"memory": "384Mi", "cpu": "500m", "foo": "3"},
    }


def test_b4_3_an_init_container_counts_where_it_needs_more():
    init = [
        resources({"memory": "512Mi", "foo": "3"}, {"memory": "512Mi", "foo": "4", "bar": "1"}),
        resources({"memory": "1Mi"}),
    ]
    needs = entry_of(workload(pod={"containers": THREE, "initContainers": init}))["replicaRequirements"]["resources"]
    assert needs == {
        "requests": {"memory": "512Mi", "cpu": "500m", "foo": "3", "bar": "1"},
        "limits": {"memory": "512Mi", "cpu": "500m", "foo": "4", "bar": "1"},
    }


def test_b4_4_a_limit_counts_as_request():
    needs = pod_needs({"containers": [resources(None, {"cpu": "1"}), resources({"cpu": "100m"}, {"cpu": "2"})]})
    assert {name: str(quantity) for name, quantity in needs.requests.items()} == {"cpu": "1100m"}
    assert {name: str(quantity) for name, quantity in needs.limits.items()} == {"cpu": "3"}


def test_what_else_a_replica_asks_of_a_node():
    asked = {"nodeSelector": {"disk": "ssd"}, "tolerations": [{"operator": "Exists"}], "affinity": {"nodeAffinity": {}}}
    pod = {"containers": [], "hostNetwork": True, **asked}
    assert entry_of(workload(pod=pod))["replicaRequirements"] == {**asked, "resources": {}}


def test_a_feed_keeps_only_what_it_says():
    namespace = {"kind": "Namespace", "apiVersion": "v1", "name": "foo"}
    assert inventory_feeds([namespace, {**namespace, "namespace": ""}], lambda _: []) == [namespace, namespace]


def test_a_pod_that_says_nothing():
    assert entry_of(workload(pod={}))["replicaRequirements"] == {"resources": {}}
    assert entry_of(workload(pod={"containers": None, "tolerations": []}))["replicaRequirements"] == {"resources": {}}


def test_replicas_left_out_are_one():
    assert entry_of(workload(replicas=None))["desiredReplicas"] == 1


def test_of_several_manifests_the_first_by_name_counts():
    found = [manifest(workload(replicas=number), name) for number, name in ((3, "b"), (2, "a"), (4, "c"))]
    assert inventory_feeds([feed()], lambda _: found)[0]["desiredReplicas"] == 2


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ([], "it doesn't exist"),
        ([manifest({})], "is not a Deployment"),
        ([manifest({"spec": []})], "is not a Deployment"),
        ([manifest({"spec": {"template": {"spec": "text"}}})], "is not a Deployment"),
        ([manifest(workload(replicas="two"))], "'two' is not a number of replicas"),
        ([manifest(workload(replicas=True))], "True is not a number of replicas"),
        ([manifest(workload(pod={"containers": [resources({"cpu": "lots"})]}))], "'lots' is not a quantity"),
    ],
)
def test_a_workload_that_cannot_be_read_is_named(found, why):
    with pytest.raises(Unparseable, match=f"Deployment foo/web: .*{why}"):
        inventory_feeds([feed(), feed("Service", "v1")], lambda _: found)


def test_all_that_cannot_be_read_are_named():
    with pytest.raises(Unparseable, match=r"Deployment foo/a: .*; Deployment foo/b: "):
        inventory_feeds([feed(name="a"), feed(name="b")], lambda _: [])


@pytest.mark.parametrize("name", ["app", "a" * 64])
def test_the_object(name):
    subscription = {
        "apiVersion": "apps.clusternet.io/v1alpha1",
        "kind": "Subscription",
        "metadata": {"name": name, "namespace": "default", "uid": "u"},
    }
    inventory = make_inventory(subscription, [feed()])
    metadata = inventory["metadata"]
    assert (metadata["namespace"], metadata["name"], inventory["spec"]) == ("default", name, {"feeds": [feed()]})
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "apps.clusternet.io/v1alpha1",
            "kind": "Subscription",
            "name": name,
            "uid": "u",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert metadata["labels"]["clusternet.io/created-by"] == "clusternet-controller-manager"
    assert metadata["labels"]["apps.clusternet.io/subs.uid"] == "u"
    assert metadata["labels"]["apps.clusternet.io/subs.namespace"] == "default"
    assert metadata["labels"]["apps.clusternet.io/subs.name"] == label_form(name)


# Room on nodes


def node(name="n", taints=(), unschedulable=False, allocatable=None, **labels):
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": list(taints)} | ({"unschedulable": True} if unschedulable else {}),
        "status": {"allocatable": allocatable or {"cpu": "8", "memory": "16Gi", "pods": "4"}},
    }


def pod(requests, where="n", phase="Running"):
    spec = {"containers": [resources(requests)]} | ({"nodeName": where} if where else {})
    return {"spec": spec, "status": {"phase": phase}}


SMALL = resources({"cpu": "1", "memory": "1Gi"})


def test_b4_5_slots_for_pods_are_a_resource():
    running = [pod({"cpu": "1", "memory": "4Gi"})] * 2
    assert room_on_node(SMALL, node(), running) == 2


@pytest.mark.parametrize("used", [{"cpu": "7"}, {"memory": "15Gi"}])
def test_b4_6_the_scarcest_resource_counts(used):
    assert room_on_node(SMALL, node(), [pod(used)]) == 1


def test_b4_7_nodes_are_summed_up():
    nodes = [
        node("a", allocatable={"cpu": "4", "memory": "16Gi", "pods": "110"}),
        node("b", allocatable={"cpu": "16", "memory": "11Gi", "pods": "110"}),
    ]
    pods = [pod({"memory": "1Gi"}, "b"), pod({"cpu": "9"}, "a", "Succeeded"), pod({"cpu": "9"}, "")]
    assert room_in_cluster(SMALL, nodes, pods) == 14


@pytest.mark.parametrize(
    ("toleration", "room"),
    [
        (None, 0),
        ({"key": "dedicated", "value": "user1", "effect": "NoSchedule"}, 4),
        ({"key": "dedicated", "operator": "Exists"}, 4),
        ({"key": "dedicated", "value": "user2"}, 0),
        ({"key": "dedicated", "value": "user1", "effect": "NoExecute"}, 0),
    ],
)
def test_b4_8_taints_of_nodes(toleration, room):
    tainted = node(taints=[{"key": "dedicated", "value": "user1", "effect": "NoSchedule"}])
    assert room_on_node({"tolerations": [toleration] if toleration else []}, tainted, []) == room
    assert room_on_node({}, node(taints=[{"key": "dedicated", "effect": "PreferNoSchedule"}]), []) == 4


def test_a_cordoned_node_has_no_room():
    assert room_on_node({}, node(unschedulable=True), []) == 0
    tolerated = {"tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]}
    assert room_on_node(tolerated, node(unschedulable=True), []) == 4


def test_an_overcommitted_node_and_an_unknown_resource_have_no_room():
    assert room_on_node(SMALL, node(), [pod({"cpu": "9"})]) == 0
    assert room_on_node(SMALL, node(), [pod({"cpu": "9"}, "a", "Succeeded"), pod({"cpu": "9"})]) == 0
    assert room_on_node(resources({"gpu": "1"}), node(), []) == 0
    assert room_on_node(resources({"gpu": "0"}), node(), []) == 4


def test_bare_objects_are_no_trouble():
    assert room_on_node({}, {"metadata": {"name": "n"}}, []) == 0
    assert room_on_node({"nodeSelector": {"disk": "ssd"}}, {"metadata": {"name": "n"}}, []) == 0
    assert room_on_node({}, node(), [{"spec": {}}]) == 3
    assert room_in_cluster({}, [node()], [{"metadata": {}}]) == 4


def test_node_selector():
    assert room_on_node({"nodeSelector": {"disk": "ssd"}}, node(disk="ssd"), []) == 4
    assert room_on_node({"nodeSelector": {"disk": "ssd"}}, node(disk="hdd"), []) == 0
    assert room_on_node({"nodeSelector": {"disk": "ssd"}}, node(), []) == 0


def affinity(*terms):
    required = {"nodeSelectorTerms": list(terms)}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def expression(operator, *values, key="size"):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("term", "fits"),
    [
        (expression("In", "5", "6"), True),
        (expression("In", "6"), False),
        (expression("NotIn", "5"), False),
        (expression("NotIn", "6"), True),
        (expression("NotIn", "6", key="other"), True),
        (expression("Exists"), True),
        (expression("Exists", key="other"), False),
        (expression("DoesNotExist"), False),
        (expression("DoesNotExist", key="other"), True),
        (expression("Gt", "4"), True),
        (expression("Gt", "5"), False),
        (expression("Lt", "6"), True),
        (expression("Lt", "5"), False),
        (expression("Gt", "4", key="other"), False),
        (expression("Gt", "x"), False),
        (expression("Gt"), False),
        (expression("Gt", "1", "2"), False),
        (expression("Like", "5"), False),
        ({}, False),
        ({"matchExpressions": [{"key": "size", "operator": "In"}]}, False),
        ({"matchExpressions": [{"key": "size", "operator": "NotIn"}]}, True),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}, True),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["m"]}]}, False),
        (
            {**expression("In", "5"), "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["m"]}]},
            False,
        ),
    ],
)
def test_node_affinity(term, fits):
    assert room_on_node(affinity(term), node(size="5"), []) == (4 if fits else 0)


def test_one_of_several_terms_is_enough():
    assert room_on_node(affinity(expression("In", "6"), expression("In", "5")), node(size="5"), []) == 4
    assert room_on_node(affinity(), node(), []) == 0
    assert room_on_node({"affinity": {"podAffinity": {}}}, node(), []) == 4


@given(st.permutations([node(name) for name in "abc"]), st.permutations([pod({"cpu": "3"}, where) for where in "aabd"]))
def test_order_does_not_matter(nodes, pods):
    assert room_in_cluster(SMALL, nodes, pods) == 2 + 3 + 4
