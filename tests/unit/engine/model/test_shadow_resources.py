"""Which resources the shadow API serves (spec/04 §8.1; spec/06 B7.11), and its OpenAPI document."""

import pytest
from clusternet_engine.kube.resources import Resource
from clusternet_engine.model.schemas import GVK
from clusternet_engine.model.shadow_openapi import make_document
from clusternet_engine.model.shadow_resources import (
    REPLICAS_PATH,
    GroupVersionResources,
    ShadowResource,
    choose,
    of_definition,
    replicas_path,
    version_rank,
    with_replicas_path,
)

VERBS = ["create", "delete", "get", "list"]


def entry(name, kind="X", **more):
    return {"name": name, "singularName": "", "kind": kind, "namespaced": True, "verbs": VERBS, **more}


def served(group, version, *plurals, priority=0, preferred=False):
    entries = tuple(one if isinstance(one, dict) else entry(one) for one in plurals)
    return GroupVersionResources(group, version, priority, preferred, entries)


def found(*discovered):
    return {plural: (one.resource.group, one.resource.version) for plural, one in choose(discovered).items()}


def test_b7_11_the_preferred_version_else_the_highest():
    assert found(
        served("batch", "v2alpha1", "cronjobs", "scenarios"),
        served("batch", "v1", "jobs", "xyz", preferred=True),
        served("batch", "v1beta1", "cronjobs", "scenarios", "jobs"),
        served("batch", "v1alpha1", "scenarios"),
    ) == {
        "jobs": ("batch", "v1"),
        "xyz": ("batch", "v1"),
        "cronjobs": ("batch", "v1beta1"),
        "scenarios": ("batch", "v1beta1"),
    }


def test_versions_are_ordered_as_kubernetes_does():
    mixed = ["v1", "v10", "v2alpha1", "v2", "other", "v1beta10", "v1beta2", "v1alpha1", "v1beta1"]
    ordered = ["other", "v1alpha1", "v2alpha1", "v1beta1", "v1beta2", "v1beta10", "v1", "v2", "v10"]
    assert sorted(mixed, key=version_rank) == ordered


@pytest.mark.parametrize(("first", "second", "winner"), [(10, 20, "b"), (20, 10, "a"), (10, 10, "b")])
def test_of_several_groups_the_one_with_the_highest_priority_wins(first, second, winner):
    assert found(served("a", "v1", "events", priority=first), served("b", "v1", "events", priority=second)) == {
        "events": (winner, "v1")
    }


def test_what_is_left_out():
    readonly = entry("componentstatuses") | {"verbs": ["get", "list"]}
    assert (
        found(
            served("apps.clusternet.io", "v1alpha1", "manifests"),
            served("shadow", "v1alpha1", "pods"),
            served("metrics.k8s.io", "v1", "pods"),
            served("custom.metrics.k8s.io", "v1", "pods"),
            served("apiregistration.k8s.io", "v1", "apiservices"),
            served("", "v1", readonly, entry("pods/exec")),
        )
        == {}
    )


def test_discovery_documents():
    chosen = choose(
        [served("apps", "v1", entry("deployments", "Deployment", shortNames=["deploy"]), entry("deployments/scale"))]
    )
    resource, scale = chosen["deployments"].documents()
    assert resource == {
        "name": "deployments",
        "singularName": "deployment",
        "namespaced": True,
        "group": "apps",
        "version": "v1",
        "kind": "Deployment",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["deploy"],
        "categories": ["clusternet.shadow"],
    }
    assert (scale["name"], scale["group"], scale["version"], scale["kind"], scale["verbs"]) == (
        "deployments/scale",
        "autoscaling",
        "v1",
        "Scale",
        ["get", "patch", "update"],
    )
    assert "shortNames" not in scale
    namespaces = ShadowResource(Resource("", "v1", "namespaces", "Namespace", namespaced=False), "namespace")
    (document,) = namespaces.documents()
    assert document["verbs"] == ["create", "delete", "get", "list", "patch", "update", "watch"]
    assert "shortNames" not in document


def test_only_what_has_a_scale_can_be_scaled():
    chosen = choose([served("", "v1", "pods", "replicationcontrollers", entry("replicationcontrollers/scale"))])
    assert {plural: one.replicas_path for plural, one in chosen.items()} == {
        "pods": None,
        "replicationcontrollers": ("spec", "replicas"),
    }
    _, scale = choose([served("x.io", "v2", "foos", "foos/scale")])["foos"].documents()
    assert (scale["group"], scale["version"]) == ("autoscaling", "v1")


def test_a_singular_is_the_one_that_is_told_else_made_of_the_kind():
    chosen = choose([served("", "v1", entry("mice", "Mouse", singularName="mousie"), entry("oxen", "Ox"))])
    assert {plural: one.singular for plural, one in chosen.items()} == {"mice": "mousie", "oxen": "ox"}
    custom = definition(("v1", True, True, None))
    custom["status"]["acceptedNames"] |= {"singular": "foosie", "shortNames": ["fo"]}
    foos = choose([of_definition(custom, 1)])["foos"]
    assert (foos.singular, foos.short_names) == ("foosie", ("fo",))


def definition(*versions, established=True):
    return {
        "spec": {
            "group": "x.io",
            "scope": "Namespaced",
            "names": {"plural": "foos"},
            "versions": [
                {"name": name, "served": served_, "storage": storage, **({"subresources": sub} if sub else {})}
                for name, served_, storage, sub in versions
            ],
        },
        "status": {
            "conditions": [{"type": "Established", "status": "True" if established else "False"}],
            "acceptedNames": {"plural": "foos", "kind": "Foo"},
        },
    }


SCALE = {"scale": {"specReplicasPath": ".spec.size"}}


def test_custom_resources():
    assert of_definition(definition(("v1", True, True, None), established=False), 1) is None
    waiting = definition(("v1", True, True, None), established=False)
    waiting["status"]["conditions"].append({"type": "NamesAccepted", "status": "True"})
    assert of_definition(waiting, 1) is None
    assert of_definition(definition(("v1", False, True, None)), 1) is None
    assert of_definition({**definition(("v1", True, True, None)), "status": None}, 1) is None
    one = of_definition(definition(("v1", True, True, None), ("v2", True, False, None)), 7)
    assert (one.version, one.priority, len(one.resources)) == ("v1", 7, 1)
    assert one.resources[0]["namespaced"]
    assert one.preferred, "its own version, whatever else the group has"
    everywhere = definition(("v1", True, True, None))
    everywhere["spec"]["scope"] = "Cluster"
    assert not of_definition(everywhere, 7).resources[0]["namespaced"]
    two = of_definition(
        definition(("v1", False, True, None), ("v2", True, False, SCALE), ("v1beta1", True, False, None)), 7
    )
    assert two.version == "v2"
    chosen = choose([two])["foos"]
    assert (chosen.resource.kind, chosen.singular, chosen.replicas_path) == ("Foo", "foo", REPLICAS_PATH)
    assert with_replicas_path(chosen, ("spec", "size")).replicas_path == ("spec", "size")


def test_where_the_number_of_replicas_stands():
    one = definition(("v1", True, True, None), ("v2", True, False, SCALE))
    assert replicas_path(one, "v2") == ("spec", "size")
    assert replicas_path(one, "v1") == REPLICAS_PATH


def test_openapi_document():
    schemas = {
        "io.Deployment": {"type": "object", GVK: [{"group": "apps", "version": "v1", "kind": "Deployment"}]},
        "io.Node": {"type": "object", GVK: [{"group": "", "version": "v1", "kind": "Node"}]},
        "io.Other": {"type": "object"},
    }
    document = make_document(
        schemas,
        [
            ShadowResource(Resource("apps", "v1", "deployments", "Deployment", namespaced=True), "deployment"),
            ShadowResource(Resource("", "v1", "nodes", "Node", namespaced=False), "node"),
            ShadowResource(Resource("", "v1", "pods", "Pod", namespaced=True), "pod"),
        ],
    )
    assert set(document["paths"]) == {
        "/apis/shadow/v1alpha1/namespaces/{namespace}/deployments",
        "/apis/shadow/v1alpha1/namespaces/{namespace}/deployments/{name}",
        "/apis/shadow/v1alpha1/nodes",
        "/apis/shadow/v1alpha1/nodes/{name}",
    }
    patch = document["paths"]["/apis/shadow/v1alpha1/nodes/{name}"]["patch"]
    assert patch[GVK] == {"group": "shadow", "version": "v1alpha1", "kind": "Node"}
    asked = {
        operation["x-kubernetes-action"]: [parameter["name"] for parameter in operation["parameters"]]
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if "nodes" in path
    }
    assert asked == {
        "list": [],
        "post": ["dryRun", "fieldManager", "fieldValidation"],
        "get": [],
        "put": ["dryRun", "fieldManager", "fieldValidation"],
        "patch": ["dryRun", "fieldManager", "fieldValidation", "force"],
        "delete": ["dryRun"],
    }
    assert document["paths"]["/apis/shadow/v1alpha1/nodes/{name}"].keys() == {"get", "put", "patch", "delete"}
    put = document["paths"]["/apis/shadow/v1alpha1/nodes/{name}"]["put"]
    assert put["requestBody"]["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/io.Node"}}}
    assert patch["requestBody"]["content"].keys() == {
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    }
    assert "requestBody" not in document["paths"]["/apis/shadow/v1alpha1/nodes"]["get"]
    assert document["components"]["schemas"]["io.Node"][GVK] == [patch[GVK]]
