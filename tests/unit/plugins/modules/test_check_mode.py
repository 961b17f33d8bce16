"""In check mode no module sends a write that isn't a dry run (pains 10, 11)."""

import base64

import pytest

CLUSTER_ID = "5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21"
NAMESPACE = "clusternet-x7k2p"
CLUSTERS = "/apis/clusters.clusternet.io/v1beta1"
TOKENS = "/api/v1/namespaces/kube-system/secrets"


def _meta(name, namespace=None, **more):
    return {"name": name, "uid": f"uid-{name}", "resourceVersion": "1", **more} | (
        {"namespace": namespace} if namespace else {}
    )


def _encoded(**values):
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}


CLUSTER = {
    "metadata": _meta("child1", NAMESPACE, labels={"env": "dev"}),
    "spec": {"clusterId": CLUSTER_ID, "syncMode": "Pull", "taints": [{"key": "old", "effect": "NoExecute"}]},
}
REQUEST = {
    "metadata": _meta(f"clusternet-{CLUSTER_ID}"),
    "spec": {"clusterId": CLUSTER_ID, "clusterName": "child1", "syncMode": "Pull", "clusterType": "StandardCluster"},
}
DESCRIPTION = "Registration of clusters with Clusternet"
TOKEN = {
    "metadata": _meta("bootstrap-token-abcdef", "kube-system"),
    "type": "bootstrap.kubernetes.io/token",
    "data": _encoded(
        **{
            "token-id": "abcdef",
            "token-secret": "0123456789abcdef",
            "description": DESCRIPTION,
            "auth-extra-groups": "system:bootstrappers:clusternet:register-cluster-token",
            "usage-bootstrap-authentication": "true",
        }
    ),
}


@pytest.fixture
def populated(server):
    """A parent with one registered cluster and one token."""
    own = {
        "clusternet.io/created-by": "clusternet-agent",
        "clusters.clusternet.io/cluster-id": CLUSTER_ID,
        "clusters.clusternet.io/cluster-name": "child1",
    }
    namespace = {"metadata": _meta(NAMESPACE, labels=own), "kind": "Namespace", "apiVersion": "v1"}
    account = {"metadata": _meta("clusternet-sa", NAMESPACE)}
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    server.objects = {
        f"{CLUSTERS}/managedclusters": [CLUSTER],
        f"{CLUSTERS}/namespaces/{NAMESPACE}/managedclusters": [CLUSTER],
        f"{CLUSTERS}/namespaces/{NAMESPACE}/managedclusters/child1": CLUSTER,
        f"{CLUSTERS}/clusterregistrationrequests": [REQUEST],
        f"{CLUSTERS}/clusterregistrationrequests/clusternet-{CLUSTER_ID}": REQUEST,
        "/api/v1/namespaces": [namespace],
        f"/api/v1/namespaces/{NAMESPACE}": namespace,
        f"/api/v1/namespaces/{NAMESPACE}/secrets/child-cluster-deployer": {
            "metadata": _meta("child-cluster-deployer", NAMESPACE, finalizers=["apps.clusternet.io/finalizer"])
        },
        f"/api/v1/namespaces/{NAMESPACE}/secrets/clusternet-sa": {"metadata": _meta("clusternet-sa", NAMESPACE)},
        f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts": [account],
        f"{rbac}/clusterroles/clusternet-{CLUSTER_ID}": {"metadata": _meta(f"clusternet-{CLUSTER_ID}")},
        f"{rbac}/clusterrolebindings/clusternet-{CLUSTER_ID}": {"metadata": _meta(f"clusternet-{CLUSTER_ID}")},
        TOKENS: [TOKEN],
        f"{TOKENS}/bootstrap-token-abcdef": TOKEN,
    }
    return server


APPS = "/apis/apps.clusternet.io/v1alpha1"
FEED = {"api_version": "v1", "kind": "ConfigMap", "namespace": "foo", "name": "c"}
SUBSCRIPTION = {"name": "app", "subscribers": [{"cluster_affinity": {}}], "feeds": [FEED]}
CHART = {"name": "mysql", "repo": "https://x", "chart": "mysql", "target_namespace": "abc"}
OVERRIDE = {"name": "o", "feed": FEED, "overrides": [{"type": "MergePatch", "value": {"data": {"a": "b"}}}]}


@pytest.fixture
def published(populated):
    """The same parent, which publishes something."""
    stored = {
        f"{APPS}/namespaces/default/subscriptions": ("app", "default"),
        f"{APPS}/namespaces/default/helmcharts": ("mysql", "default"),
        f"{APPS}/namespaces/{NAMESPACE}/localizations": ("o", NAMESPACE),
        f"{APPS}/globalizations": ("o", None),
        "/apis/shadow/v1alpha1/namespaces/foo/configmaps": ("c", "foo"),
    }
    for collection, place in stored.items():
        populated.objects[f"{collection}/{place[0]}"] = {"metadata": _meta(*place), "spec": {"old": 1}}
    return populated


CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": NAMESPACE}}

CHANGING = {
    "objects, new": ("objects", {"definitions": [CONFIG_MAP]}),
    "objects, removed": (
        "objects",
        {
            "definitions": [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}],
            "state": "absent",
        },
    ),
    "bootstrap_token, new": ("bootstrap_token", {"description": "another"}),
    "bootstrap_token, given": ("bootstrap_token", {"token": "zzzzzz.0123456789abcdef"}),
    "bootstrap_token, other expiry": ("bootstrap_token", {"expires_at": "2099-01-01T00:00:00Z"}),
    "bootstrap_token, rotated": ("bootstrap_token", {"rotate": True}),
    "bootstrap_token, removed": ("bootstrap_token", {"state": "absent"}),
    "bootstrap_token, removed by id": ("bootstrap_token", {"state": "absent", "token_id": "abcdef"}),
    "registration, new": (
        "registration",
        {"cluster_id": CLUSTER_ID.replace("5", "6"), "cluster_name": "new", "wait": True},
    ),
    "registration, changed": ("registration", {"cluster_id": CLUSTER_ID, "cluster_name": "other"}),
    "registration, removed": ("registration", {"cluster_id": CLUSTER_ID, "state": "absent"}),
    "managed_cluster, all": (
        "managed_cluster",
        {
            "names": ["child1"],
            "labels": {"env": "prod"},
            "purge_labels": True,
            "taints": [{"key": "new", "effect": "NoSchedule"}],
            "purge_taints": True,
            "sync_mode": "Dual",
            "wait": True,
        },
    ),
    "managed_cluster, removed": ("managed_cluster", {"names": ["child1"], "state": "absent", "wait": True}),
    "managed_cluster, forced": (
        "managed_cluster",
        {"label_selector": "env=dev", "state": "absent", "force": True},
    ),
}


@pytest.mark.parametrize(("module", "options"), CHANGING.values(), ids=CHANGING.keys())
def test_pain_10_check_mode_predicts_and_never_writes(populated, run_module, module, options):
    result = run_module(module, populated.url, **options)
    assert not result.get("failed"), result
    assert result["changed"] is True
    assert result["diff"]
    assert populated.writes == []


@pytest.mark.parametrize("kept", [True, False])
def test_a_namespace_in_which_others_live_stays_when_asked_for(populated, run_module, kept):
    populated.objects.update(
        {
            f"/api/v1/namespaces/{NAMESPACE}/secrets": [{"metadata": _meta("of-others", NAMESPACE)}],
            f"/api/v1/namespaces/{NAMESPACE}/configmaps": [],
            f"/api/v1/namespaces/{NAMESPACE}/services": [],
            f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims": [],
            **{
                f"/apis/apps/v1/namespaces/{NAMESPACE}/{kind}s": []
                for kind in ("deployment", "statefulset", "daemonset")
            },
        }
    )
    own = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "clusternet-sa", "namespace": NAMESPACE}}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    options = {"definitions": [namespace, own], "state": "absent", "keep_used_namespaces": kept}
    result = run_module("objects", populated.url, check_mode=False, **options)
    assert (result["objects"][-1]["action"] == "unchanged") is kept
    assert result.get("msg") == (f"Namespace {NAMESPACE} stays, it is in use: Secret of-others." if kept else None)
    assert (f"DELETE /api/v1/namespaces/{NAMESPACE}" in populated.writes) is not kept


SHADOWED = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "foo"}, "data": {"a": "b"}}
PUBLISHING = {
    "subscription": ("subscription", {"subscriptions": [SUBSCRIPTION], "wait_for": "healthy"}),
    "subscription, removed": (
        "subscription",
        {"subscriptions": [{"name": "app"}], "state": "absent", "wait_for": "absent"},
    ),
    "helm_chart": ("helm_chart", {"charts": [CHART], "wait": True}),
    "helm_chart, removed": ("helm_chart", {"charts": [CHART], "state": "absent", "wait": True}),
    "localization": ("localization", {"localizations": [{**OVERRIDE, "cluster": "child1"}]}),
    "localization, removed": (
        "localization",
        {"localizations": [{"name": "o", "namespace": NAMESPACE}], "state": "absent"},
    ),
    "globalization": ("globalization", {"globalizations": [OVERRIDE]}),
    "globalization, removed": ("globalization", {"globalizations": [{"name": "o"}], "state": "absent"}),
    "manifest": ("manifest", {"definitions": [SHADOWED]}),
    "manifest, removed": ("manifest", {"definitions": [SHADOWED], "state": "absent", "wait": True}),
}


@pytest.mark.parametrize(("module", "options"), PUBLISHING.values(), ids=PUBLISHING.keys())
@pytest.mark.parametrize("there", [True, False], ids=["there", "not there"])
def test_pain_10_publishing_predicts_and_never_writes(request, run_module, module, options, there):
    parent = request.getfixturevalue("published" if there else "populated")
    result = run_module(module, parent.url, **options)
    assert not result.get("failed"), result
    assert result["changed"] is (there or options.get("state") != "absent")
    assert bool(result["diff"]) is result["changed"]
    assert parent.writes == []


def test_a_shadow_api_is_not_even_asked_for_dry_runs(published, run_module):
    """Clusternet's own hub stores what it is asked to create as a dry run (spec/06 C4.10)."""
    run_module("manifest", published.url, definitions=[SHADOWED])
    run_module("manifest", published.url, definitions=[SHADOWED], state="absent")
    assert all(request.startswith("GET ") for request in published.requests)


def test_an_unchanged_list_of_one_namespace_costs_one_request(server, run_module):
    wanted = [SUBSCRIPTION, {**SUBSCRIPTION, "name": "other"}]
    created = [diff["after"] for diff in run_module("subscription", server.url, subscriptions=wanted)["diff"]]
    for obj in created:
        obj["metadata"].update(uid="u", resourceVersion="1")
    server.objects = {f"{APPS}/namespaces/default/subscriptions": created}
    server.requests.clear()
    result = run_module("subscription", server.url, check_mode=False, subscriptions=wanted)
    assert [item["action"] for item in result["subscriptions"]] == ["unchanged", "unchanged"]
    assert server.requests == [f"GET {APPS}/namespaces/default/subscriptions?limit=500"]


def test_diffs_of_many_come_in_the_order_given(server, run_module):
    names = [f"app-{number}" for number in range(30)]
    result = run_module("subscription", server.url, subscriptions=[{**SUBSCRIPTION, "name": name} for name in names])
    assert [item["name"] for item in result["subscriptions"]] == names
    assert [diff["after_header"] for diff in result["diff"]] == [f"Subscription/default/{name}" for name in names]


def test_an_unchanged_native_object_costs_one_request(server, run_module):
    (created,) = run_module("manifest", server.url, definitions=[SHADOWED])["diff"]
    path = "/apis/shadow/v1alpha1/namespaces/foo/configmaps/c"
    server.objects = {path: {**created["after"], "metadata": {**created["after"]["metadata"], "uid": "u"}}}
    server.requests.clear()
    assert run_module("manifest", server.url, check_mode=False, definitions=[SHADOWED])["changed"] is False
    assert server.requests == [f"GET {path}"]


@pytest.mark.parametrize("module", ["registration_info", "managed_cluster_info"])
def test_info_modules_only_read(populated, run_module, module):
    result = run_module(module, populated.url)
    assert result["changed"] is False
    assert all(request.startswith("GET ") for request in populated.requests)


def test_one_request_for_one_cluster(populated, run_module):
    result = run_module("managed_cluster_info", populated.url, names=["child1"], namespace=NAMESPACE)
    assert [cluster["name"] for cluster in result["clusters"]] == ["child1"]
    assert len(populated.requests) == 1


def test_pain_11_dry_run_before_the_namespace_or_kind_exists(server, run_module):
    server.missing_namespaces = {"later"}
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "later"}}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "later"}}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}}
    result = run_module("objects", server.url, definitions=[widget, config_map, namespace])
    assert result["changed"] is True
    assert [(item["kind"], item["action"], item["predicted"]) for item in result["objects"]] == [
        ("Namespace", "created", False),
        ("ConfigMap", "created", True),
        ("Widget", "created", True),
    ]
    assert server.writes == []


def test_a_predicted_token_is_not_shown(populated, run_module):
    result = run_module("bootstrap_token", populated.url, description="another")
    assert (result["token"], result["token_id"], result["secret_name"]) == (None, None, None)
    assert result["expires_at"]


def test_a_token_of_the_same_purpose_is_used_again(populated, run_module):
    result = run_module("bootstrap_token", populated.url)
    assert result["changed"] is False
    assert result["token"] == "abcdef.0123456789abcdef"


@pytest.mark.parametrize("absent", [{"names": ["child1"]}, {"label_selector": "env=dev"}])
def test_pain_4_absent_without_the_kind_is_fine(server, run_module, absent):
    server.objects["/api/v1/namespaces"] = []
    result = run_module("managed_cluster", server.url, state="absent", **absent)
    assert not result.get("failed"), result
    assert result["changed"] is False
    assert "nothing to remove" in result["msg"]


def test_pain_4_absent_object_of_an_unknown_kind_is_fine(server, run_module):
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "n"}}
    result = run_module("objects", server.url, definitions=[widget], state="absent", check_mode=False)
    assert result["changed"] is False
    assert "example.org/v1 Widget" in result["msg"]
    assert server.writes == []


def test_absent_refuses_while_something_is_deployed(populated, run_module):
    path = f"/apis/apps.clusternet.io/v1alpha1/namespaces/{NAMESPACE}/descriptions"
    populated.objects[path] = [{"metadata": _meta("web-generic", NAMESPACE)}]
    result = run_module("managed_cluster", populated.url, names=["child1"], state="absent", check_mode=False)
    assert result["failed"] is True
    assert "Description web-generic" in result["msg"]
    assert result["clusters"][0]["failed"] is True
    assert populated.writes == []


def test_a_namespace_that_is_not_the_clusters_own_is_left(populated, run_module):
    populated.objects["/api/v1/namespaces"] = []
    result = run_module("managed_cluster", populated.url, names=["child1"], state="absent")
    removed, left = result["clusters"][0]["removed"], result["clusters"][0]["left"]
    assert not any(item["what"].startswith("Namespace") for item in removed)
    assert any(item["where"] == "parent" and NAMESPACE in item["what"] for item in left)
    assert any(item["where"] == "child" and "parent-cluster" in item["what"] for item in left)
