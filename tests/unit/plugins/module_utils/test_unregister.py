"""What is found of clusters that are to be unregistered."""

from ansible_collections.clusternet.core.plugins.module_utils.fleet import Selection
from ansible_collections.clusternet.core.plugins.module_utils.unregister import assemble

CREATED_AGAIN, BEFORE = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def namespace(identity, **metadata):
    labels = {
        "clusters.clusternet.io/cluster-id": identity,
        "clusters.clusternet.io/cluster-name": "edge-1",
        "clusternet.io/created-by": "clusternet-agent",
    }
    return {"metadata": {"name": f"clusternet-{identity[:5]}", "labels": labels, **metadata}}


def request(identity):
    return {"spec": {"clusterId": identity, "clusterName": "edge-1"}}


def leaving(namespaces, requests=()):
    chosen = Selection(names=["edge-1"], label_selector=None, namespace=None)
    return {found.cluster_id: found.leaving for found in assemble(chosen, [], namespaces, requests)}


def test_only_a_namespace_that_goes_already_is_leaving():
    gone = namespace(BEFORE, deletionTimestamp="2026-11-24T02:00:00Z")
    assert leaving([gone, namespace(CREATED_AGAIN)]) == {BEFORE: True, CREATED_AGAIN: False}
    assert leaving([gone], [request(BEFORE)]) == {BEFORE: False}
    assert leaving([], [request(BEFORE)]) == {BEFORE: False}


def test_by_identity_one_finds_a_cluster_whatever_its_name_and_what_is_left_of_it():
    chosen = Selection(names=None, label_selector=None, namespace=None, cluster_ids=[BEFORE])
    renamed = {"metadata": {"name": "edge-2", "namespace": "ns"}, "spec": {"clusterId": BEFORE}}
    other = {"metadata": {"name": "edge-1", "namespace": "ns"}, "spec": {"clusterId": CREATED_AGAIN}}
    (found,) = assemble(chosen, [other, renamed], [], [request(BEFORE), request(CREATED_AGAIN)])
    assert (found.cluster_id, found.name) == (BEFORE, "edge-2")
    (found,) = assemble(chosen, [other], [namespace(BEFORE)], [])
    assert (found.cluster_id, found.name, found.cluster) == (BEFORE, "edge-1", None)
