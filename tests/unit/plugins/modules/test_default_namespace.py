"""Objects that name no namespace get the default one; those that name one keep it, kinds without any get none."""

import pytest

SHADOW = "/apis/shadow/v1alpha1"
OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": "bar"}}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets"},
        "versions": [{"name": "v1", "served": True}],
    },
}


def bare(api_version, kind, name="c", **metadata):
    """Return an object that names no namespace."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **metadata}}


NAMING_NONE = [
    bare("v1", "ConfigMap"),
    bare("v1", "ServiceAccount", namespace=""),
    bare("v1", "Service", namespace=None),
    OTHER,
    bare("rbac.authorization.k8s.io/v1", "ClusterRole"),
    bare("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", namespace="bar"),
    bare("example.org/v1", "Widget"),
    bare("example.org/v1", "Planet"),
]
WHERE = ["foo", "foo", "foo", "bar", None, None, "foo", None]
KINDS = [
    {"name": "widgets", "kind": "Widget", "namespaced": True},
    {"name": "planets", "kind": "Planet", "namespaced": False},
]


@pytest.fixture
def cluster(server):
    """A cluster that serves two kinds of its own, also at its shadow API."""
    served = [{**kind, "group": "example.org", "version": "v1"} for kind in KINDS]
    server.objects = {SHADOW: {"resources": served}, "/apis/example.org/v1": {"resources": KINDS}}
    return server


def places(result):
    """Return where the objects of a result are, by kind and name."""
    assert not result.get("failed"), result
    return {(item["kind"], item["name"]): item["namespace"] for item in result["objects"]}


WANTED = {(item["kind"], item["metadata"]["name"]): place for item, place in zip(NAMING_NONE, WHERE, strict=True)}


@pytest.mark.parametrize("module", ["manifest", "objects"])
def test_who_gets_the_default(cluster, run_module, module):
    result = run_module(module, cluster.url, definitions=NAMING_NONE, namespace="foo")
    assert places(result) == WANTED
    shown = {(diff["after"]["kind"], diff["after"]["metadata"].get("namespace")) for diff in result["diff"]}
    assert shown == {(kind, place) for (kind, name), place in WANTED.items()}
    assert cluster.writes == []


def test_what_is_published_is_the_same_again_and_is_found_when_it_is_to_go(cluster, run_module):
    created = run_module("manifest", cluster.url, definitions=NAMING_NONE, namespace="foo")["diff"]
    plurals = {
        "ConfigMap": "configmaps",
        "ServiceAccount": "serviceaccounts",
        "Service": "services",
        "Widget": "widgets",
    }
    plurals |= {"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings", "Planet": "planets"}
    kept = set()
    for obj in (diff["after"] for diff in created):
        metadata = {**obj["metadata"], "uid": "u", "resourceVersion": "1"}
        place = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
        collection = f"{SHADOW}{place}/{plurals[obj['kind']]}"
        kept.add(f"{collection}/{metadata['name']}")
        cluster.objects[f"{collection}/{metadata['name']}"] = {**obj, "metadata": metadata}
    again = run_module("manifest", cluster.url, check_mode=False, definitions=NAMING_NONE, namespace="foo")
    assert (again["changed"], again["diff"], cluster.writes) == (False, [], [])
    removal = {"definitions": NAMING_NONE, "namespace": "foo", "state": "absent"}
    foreseen = run_module("manifest", cluster.url, **removal)
    assert [item["action"] for item in foreseen["objects"]] == ["deleted"] * len(NAMING_NONE)
    assert cluster.writes == []
    removed = run_module("manifest", cluster.url, check_mode=False, **removal)
    assert places(removed) == WANTED
    assert {write.partition(" ")[2] for write in cluster.writes} == kept


@pytest.mark.parametrize("scope", ["Namespaced", "Cluster"])
def test_a_custom_resource_definition_beside_them_says_the_scope(server, run_module, scope):
    crd = {**CRD, "spec": {**CRD["spec"], "scope": scope}}
    widget = bare("example.org/v1", "Widget")
    server.missing_namespaces = {"foo"}
    result = run_module("objects", server.url, definitions=[crd, widget], namespace="foo")
    expected = "foo" if scope == "Namespaced" else None
    assert places(result) == {("CustomResourceDefinition", "widgets.example.org"): None, ("Widget", "c"): expected}


def test_a_namespace_is_in_use_by_others_only(server, run_module):
    account = bare("v1", "ServiceAccount")
    secret = bare("v1", "Secret")
    server.objects = {f"/api/v1/namespaces/foo/{kind}": [] for kind in ("configmaps", "services")}
    server.objects |= {
        "/api/v1/namespaces/foo": bare("v1", "Namespace", "foo", uid="u"),
        "/api/v1/namespaces/foo/persistentvolumeclaims": [],
        "/api/v1/namespaces/foo/secrets": [{"metadata": {**secret["metadata"], "namespace": "foo"}}],
        "/api/v1/namespaces/foo/serviceaccounts": [{"metadata": {**account["metadata"], "namespace": "foo"}}],
        **{f"/apis/apps/v1/namespaces/foo/{kind}s": [] for kind in ("deployment", "statefulset", "daemonset")},
    }
    own = [bare("v1", "Namespace", "foo"), account, secret]
    options = {"state": "absent", "keep_used_namespaces": True, "namespace": "foo"}
    result = run_module("objects", server.url, definitions=own, **options)
    assert (result["objects"][-1]["action"], result.get("msg")) == ("deleted", None), result


@pytest.mark.parametrize("module", ["manifest", "objects", "render"])
@pytest.mark.parametrize("options", [{}, {"namespace": ""}], ids=["none", "empty"])
def test_without_a_default_an_object_has_to_name_one(cluster, run_module, module, options):
    result = run_module(module, cluster.url, definitions=[bare("v1", "ConfigMap")], **options)
    assert result["failed"]
    assert "ConfigMap c needs a metadata.namespace" in result["msg"]
    assert "a default for all that name none" in result["msg"]


def test_render_doesnt_guess_the_scope_of_a_kind(cluster, run_module):
    result = run_module("render", cluster.url, definitions=[bare("example.org/v1", "Star")], namespace="foo")
    assert "doesn't know the kind example.org/v1 Star" in result["msg"]
