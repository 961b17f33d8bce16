"""Unregistering clusters whose children are cleaned up, or not, by a parent that answers for them, too."""

import base64
from typing import Any

import pytest
from ansible_collections.clusternet.core.plugins.module_utils.child_access import path

SYSTEM = "clusternet-system"
PARENT = "/apis/clusters.clusternet.io/v1beta1"
CHILD = path("id-1")
LEASE = f"{CHILD}/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/clusternet-agent"


def named(name: str, uid: str = "u", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": uid, **metadata}}


@pytest.fixture
def parent(server):
    """A parent with a child on which the role was at work."""
    server.objects = {
        f"{PARENT}/managedclusters": [
            {**named("edge-1", namespace="ns-1"), "kind": "ManagedCluster", "spec": {"clusterId": "id-1"}}
        ],
        f"{PARENT}/clusterregistrationrequests": [],
        "/api/v1/namespaces": [],
        "/apis/proxies.clusternet.io/v1alpha1": {"kind": "APIResourceList"},
        "/api/v1/namespaces/ns-1/secrets/child-cluster-deployer": {
            **named("child-cluster-deployer", namespace="ns-1"),
            "data": {"token": base64.b64encode(b"opaque").decode()},
        },
        LEASE: {**named("clusternet-agent", "id-1", namespace=SYSTEM), "spec": {"holderIdentity": "edge-host_1"}},
        f"{CHILD}/api/v1/namespaces/{SYSTEM}": named(SYSTEM),
        f"{CHILD}/api/v1/namespaces/{SYSTEM}/secrets": [
            named("parent-cluster", namespace=SYSTEM),
            named("clusternet-agent-cluster-registration", namespace=SYSTEM),
        ],
        f"{CHILD}/api/v1/namespaces/{SYSTEM}/serviceaccounts": [named("default", namespace=SYSTEM)],
    }
    for kind in ("configmaps", "services", "persistentvolumeclaims"):
        server.objects[f"{CHILD}/api/v1/namespaces/{SYSTEM}/{kind}"] = []
    for kind in ("deployments", "statefulsets", "daemonsets"):
        server.objects[f"{CHILD}/apis/apps/v1/namespaces/{SYSTEM}/{kind}"] = []
    for kind in ("roles", "rolebindings"):
        server.objects[f"{CHILD}/apis/rbac.authorization.k8s.io/v1/namespaces/{SYSTEM}/{kind}"] = []
    return server


def unregister(run_module: Any, parent: Any, **options: Any) -> dict[str, Any]:
    return run_module("managed_cluster", parent.url, names=["edge-1"], state="absent", **options)


def test_the_child_is_cleaned_up_before_the_parent(parent, run_module):
    result = unregister(run_module, parent, clean_child="required")
    assert not result.get("failed"), result
    (cluster,) = result["clusters"]
    assert [(item["where"], item["what"]) for item in cluster["removed"]] == [
        ("child", f"Secret {SYSTEM}/clusternet-agent-cluster-registration"),
        ("child", f"Secret {SYSTEM}/parent-cluster"),
        ("child", f"Lease {SYSTEM}/clusternet-agent"),
        ("child", f"Namespace {SYSTEM}"),
        ("parent", "ManagedCluster ns-1/edge-1"),
        ("parent", "Secret ns-1/child-cluster-deployer"),
    ]
    assert [item["what"] for item in cluster["left"] if item["where"] == "host"] == ["the agent's process on edge-host"]
    assert result["diff"][0]["before_header"] == f"edge-1: Secret/{SYSTEM}/clusternet-agent-cluster-registration"
    assert parent.writes == []


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("/apis/proxies.clusternet.io/v1alpha1", "SocketConnection"),
        ("/api/v1/namespaces/ns-1/secrets/child-cluster-deployer", "holds no credential"),
        (f"{CHILD}/api/v1/namespaces/{SYSTEM}/secrets", "404"),
        (LEASE, "another cluster"),
    ],
)
def test_a_child_that_is_not_cleaned_up(parent, run_module, broken, why):
    if why == "another cluster":
        parent.objects[LEASE]["metadata"]["uid"] = "id-2"
    else:
        del parent.objects[broken]
    refused = unregister(run_module, parent, clean_child="required", check_mode=False)
    assert refused["failed"]
    assert why in refused["msg"]
    assert parent.writes == []
    result = unregister(run_module, parent)
    assert result["changed"]
    (cluster,) = result["clusters"]
    assert {item["where"] for item in cluster["removed"]} == {"parent"}
    left = [item for item in cluster["left"] if item["where"] == "child"]
    assert f"Lease {SYSTEM}/clusternet-agent" in [item["what"] for item in left]
    assert all(why in item["why"] and "clusternet_agent_state: absent" in item["why"] for item in left)


def test_a_child_that_is_to_be_left_alone_is_not_asked(parent, run_module):
    result = unregister(run_module, parent, clean_child="never", check_mode=False)
    assert any(item["where"] == "child" for item in result["clusters"][0]["left"])
    assert not [request for request in parent.requests if CHILD in request]
    assert [write.partition("?")[0] for write in parent.writes] == [
        f"DELETE {PARENT}/namespaces/ns-1/managedclusters/edge-1",
        "DELETE /api/v1/namespaces/ns-1/secrets/child-cluster-deployer",
    ]


def test_what_was_given_up_is_named(parent, run_module):
    apps = "/apis/apps.clusternet.io/v1alpha1/namespaces/ns-1"
    raw = [base64.b64encode(b'{"kind": "ConfigMap", "metadata": {"namespace": "foo", "name": "c"}}').decode()]
    release = {"releaseName": "db", "targetNamespace": "abc"}
    parent.objects |= {
        f"{apps}/bases": [named("web", namespace="ns-1")],
        f"{apps}/descriptions": [
            {**named("web-generic", namespace="ns-1"), "spec": {"deployer": "Generic", "raw": raw}},
            {**named("web-helm", namespace="ns-1"), "spec": {"deployer": "Helm", "raw": raw}},
        ],
        f"{apps}/helmreleases": [{**named("db", namespace="ns-1"), "spec": release}],
        f"{apps}/localizations": [],
    }
    (cluster,) = unregister(run_module, parent, force=True)["clusters"]
    given_up = [item["what"] for item in cluster["left"] if "force" in item["why"]]
    assert given_up == ["ConfigMap foo/c", "Helm release abc/db"]


def deployed(parent: Any, *raw: str, **spec: Any) -> None:
    apps = "/apis/apps.clusternet.io/v1alpha1/namespaces/ns-1"
    parent.objects |= {
        f"{apps}/bases": [],
        f"{apps}/descriptions": [
            {**named("bad-generic", namespace="ns-1"), "spec": {"deployer": "Generic", "raw": list(raw), **spec}}
        ],
        f"{apps}/helmreleases": [named("without-spec", namespace="ns-1")],
        f"{apps}/localizations": [],
    }


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "raw",
    [
        "!",
        coded("no JSON"),
        coded("[]"),
        coded('{"kind": [], "metadata": 1}'),
        coded('{"a":' * 5000 + "1" + "}" * 5000),
    ],
)
def test_nothing_that_a_child_has_written_keeps_it_from_losing_its_credential(parent, run_module, raw):
    account = named("edge-1", namespace="ns-1", labels={"clusters.clusternet.io/cluster-id": "id-1"})
    parent.objects |= {
        "/api/v1/namespaces/ns-1/serviceaccounts": [account],
        "/api/v1/namespaces/ns-1/secrets/edge-1": named("edge-1", namespace="ns-1"),
    }
    deployed(parent, raw, coded('{"kind": "ConfigMap", "metadata": {"namespace": "foo", "name": "c"}}'))
    result = unregister(run_module, parent, force=True, clean_child="never", check_mode=False)
    assert not result.get("failed"), result
    removed = [write.partition("?")[0].rpartition("/namespaces/ns-1/")[2] for write in parent.writes]
    assert removed[:4] == [
        "secrets/edge-1", "serviceaccounts/edge-1", "managedclusters/edge-1", "secrets/child-cluster-deployer",
    ]  # fmt: skip
    assert "descriptions/bad-generic" in removed
    given_up = [item["what"] for item in result["clusters"][0]["left"] if "force" in item["why"]]
    assert "ConfigMap foo/c" in given_up
    assert any("of Description ns-1/bad-generic" in what for what in given_up)


@pytest.mark.parametrize(
    "answer", [[], [1], [{}], {"items": 3}, {"items": [{"metadata": []}]}, {"metadata": {"name": 7}}]
)
@pytest.mark.parametrize("kind", ["secrets", "serviceaccounts"])
def test_a_child_that_answers_anything_is_unregistered_all_the_same(parent, run_module, answer, kind):
    parent.objects[f"{CHILD}/api/v1/namespaces/{SYSTEM}/{kind}"] = answer
    result = unregister(run_module, parent)
    assert not result.get("failed"), result
    assert "Secret ns-1/child-cluster-deployer" in [item["what"] for item in result["clusters"][0]["removed"]]
