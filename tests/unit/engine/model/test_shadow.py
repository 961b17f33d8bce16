"""How native objects become Manifests and back (spec/04 §8; spec/06 B7)."""

import pytest
from clusternet_engine.kube.resources import Resource
from clusternet_engine.model import constants as names
from clusternet_engine.model.apply import APPLY, Manager
from clusternet_engine.model.feeds import manifest_feed
from clusternet_engine.model.labels import is_label_value, label_form
from clusternet_engine.model.names import is_dns_subdomain
from clusternet_engine.model.shadow import (
    covers,
    dry_run_object,
    legacy_manifest_name,
    make_manifest,
    manifest_name,
    name_problem,
    owners,
    published_object,
    scale_of,
    shadow_object,
    skips_validation,
    template_of,
    trimmed,
    updated_manifest,
    with_owners,
    with_replicas,
    without_nulls,
)
from hypothesis import given
from hypothesis import strategies as st

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", namespaced=True)
RESERVED = "clusternet-reserved"
UID = "7c1d1f0e-5a53-4f0a-9a0e-0c4b7d6f2a11"
REPLICAS = ("spec", "replicas")


def deployment(**metadata):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "foo", **metadata},
        "spec": {"replicas": 3},
    }


def service(**spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "foo"}, "spec": spec}


def test_b7_8_names():
    assert manifest_name("foos", "abc.def-bar", "kube-system") == "foos.kube-system.abc.def-bar"
    assert manifest_name("bars", "abc") == "bars.abc"
    assert legacy_manifest_name("foos", "abc", "ns") == "foos-ns-abc"
    assert legacy_manifest_name("bars", "abc") == "bars-abc"


@pytest.mark.parametrize(
    ("name", "namespace", "problem"),
    [
        ("web", "foo", ""),
        ("a" * 253, None, ""),
        ("system:x", "foo", ""),
        ("Web", "foo", ""),
        ("", "foo", "is required"),
        ("..", None, "may not be"),
        ("a/b", None, "may not be"),
        ("a%b", "foo", "may not be"),
        ("a" * 1025, None, "no more than 1024"),
        ("web", "Foo", "'Foo' is not the name of a namespace"),
    ],
)
def test_c3_18_names_that_nothing_can_have(name, namespace, problem):
    found = name_problem(name, namespace)
    assert (found is None) == (problem == "")
    assert problem in (found or "")


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/%"), min_size=1, max_size=300)


@given(NAMES, st.none() | st.just("foo"))
def test_every_name_finds_room_and_is_found_again(name, namespace):
    obj = {"apiVersion": "a.example.org/v1", "kind": "X", "metadata": {"name": name}}
    obj["metadata"] |= {"namespace": namespace} if namespace else {}
    resource = Resource("a.example.org", "v1", "x" * 63, "X", namespaced=bool(namespace))
    manifest = make_manifest(obj, resource, RESERVED, UID)
    assert is_dns_subdomain(manifest["metadata"]["name"])
    assert all(map(is_label_value, manifest["metadata"]["labels"].values()))
    feed = manifest_feed(manifest)
    assert (feed["name"], feed.get("namespace")) == (name, namespace)


@given(NAMES, NAMES)
def test_two_names_never_share_a_manifest(one, other):
    assert (manifest_name("x", one) == manifest_name("x", other)) == (one == other)


def test_names_that_are_too_long_or_no_labels_are_digested():
    assert manifest_name("clusterroles", "system:node") == "clusterroles.system-node-324d7600023a69586e0ebd1073609010"
    assert label_form("system:node") == "system-node-324d7600023a69586e0ebd1073609010"
    assert label_form("web") == "web"
    assert len(label_form("a" * 64)) == 63
    group = "g" * 60 + ".example.org"
    obj = {"apiVersion": f"{group}/v1", "kind": "X", "metadata": {"name": "x"}}
    manifest = make_manifest(obj, Resource(group, "v1", "xs", "X", namespaced=False), RESERVED, UID)
    assert manifest_feed(manifest) == {"apiVersion": f"{group}/v1", "kind": "X", "name": "x"}
    manifest["template"] = {}
    assert manifest_feed(manifest)["apiVersion"] == f"{label_form(group)}/v1"


def test_a_manifest_has_the_labels_of_its_object_and_tells_what_it_is():
    obj = deployment(labels={"app": "web", names.CONFIG_NAME_LABEL: "forged"})
    assert make_manifest(obj, DEPLOYMENTS, RESERVED, UID) == {
        "apiVersion": "apps.clusternet.io/v1alpha1",
        "kind": "Manifest",
        "metadata": {
            "name": "deployments.foo.web",
            "namespace": RESERVED,
            "labels": {
                "app": "web",
                "apps.clusternet.io/config.group": "apps",
                "apps.clusternet.io/config.version": "v1",
                "apps.clusternet.io/config.kind": "Deployment",
                "apps.clusternet.io/config.name": "web",
                "apps.clusternet.io/config.namespace": "foo",
            },
        },
        "template": {**obj, "metadata": {**obj["metadata"], "uid": UID}},
    }


def test_a_manifest_of_something_without_a_namespace():
    namespaces = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
    manifest = make_manifest(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}, namespaces, RESERVED, UID
    )
    assert manifest["metadata"]["name"] == "namespaces.n"
    labels = manifest["metadata"]["labels"]
    assert (labels[names.CONFIG_GROUP_LABEL], labels[names.CONFIG_NAMESPACE_LABEL]) == ("", "")


def test_labels_that_the_object_loses_leave_the_manifest():
    before = make_manifest(deployment(labels={"go": "1", "stay": "1"}), DEPLOYMENTS, RESERVED, UID)
    before["metadata"]["labels"]["some-uid"] = "Base"
    before["metadata"]["uid"] = "of the Manifest"
    after = updated_manifest(before, deployment(labels={"stay": "2"}), DEPLOYMENTS)
    labels = after["metadata"]["labels"]
    assert (labels["stay"], labels["some-uid"], "go" in labels) == ("2", "Base", False)


def test_an_object_keeps_its_uid_and_gets_one_if_it_has_none():
    made = make_manifest(deployment(), DEPLOYMENTS, RESERVED, UID)
    made["metadata"]["uid"] = "of the Manifest"
    after = updated_manifest(made, deployment(labels={"a": "1"}), DEPLOYMENTS)
    assert after["template"] == deployment(labels={"a": "1"}, uid=UID)
    assert shadow_object(after)["metadata"]["uid"] == "of the Manifest"
    bare = {"metadata": {"name": "x", "uid": "of the Manifest"}, "template": {}}
    assert updated_manifest(bare, deployment(), DEPLOYMENTS)["template"] == deployment(uid="of the Manifest")


def test_b7_12_an_object_shows_the_identity_of_its_manifest():
    manifest = make_manifest(deployment(annotations={"a": "1"}), DEPLOYMENTS, RESERVED, UID)
    identity = {"generation": 6, "resourceVersion": "77", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    identity |= {"deletionTimestamp": "2026-01-02T00:00:00Z", "deletionGracePeriodSeconds": 0}
    manifest["metadata"] |= identity
    assert shadow_object(manifest) == deployment(annotations={"a": "1"}, **identity)
    manifest["metadata"]["annotations"] = {names.FEED_PROTECTION_ANNOTATION: "in use"}
    shown = shadow_object(manifest)["metadata"]["annotations"]
    assert shown == {"a": "1", names.FEED_PROTECTION_ANNOTATION: "in use"}
    del manifest["template"]["metadata"]["annotations"]
    shown = shadow_object(manifest)["metadata"]["annotations"]
    assert shown == {names.FEED_PROTECTION_ANNOTATION: "in use"}


def test_what_is_kept_of_an_object():
    obj = deployment(
        uid="u",
        resourceVersion="1",
        managedFields=[],
        selfLink="/x",
        generateName="web-",
        creationTimestamp=None,
        annotations={names.FEED_PROTECTION_ANNOTATION: "in use"},
    )
    assert template_of({**obj, "status": {}}) == deployment(labels={names.CREATED_BY_LABEL: "clusternet-hub"})
    kept = template_of(deployment(annotations={"a": "1"}))
    assert kept["metadata"]["annotations"] == {"a": "1"}


@given(st.dictionaries(st.sampled_from(["a", "b", "uid", "status"]), st.text()))
def test_keeping_twice_is_keeping_once(metadata):
    once = template_of(deployment(**metadata))
    assert template_of(once) == once


def test_owners_are_remembered_and_shown():
    manifest = make_manifest(deployment(), DEPLOYMENTS, RESERVED, UID)
    assert owners(manifest) == []
    manager = Manager("me", APPLY, "apps/v1", frozenset({("f:spec", "f:replicas")}))
    manifest = with_owners(manifest, [manager])
    assert owners(manifest) == [manager]
    shown = shadow_object(manifest)["metadata"]["managedFields"]
    assert shown[0]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert "managedFields" not in template_of(shadow_object(manifest))["metadata"]
    manifest["metadata"]["annotations"]["a"] = "1"
    assert with_owners(manifest, [])["metadata"]["annotations"] == {"a": "1", names.MANAGED_FIELDS_ANNOTATION: "[]"}


def test_skip_validating():
    assert not skips_validation(deployment())
    assert not skips_validation(deployment(annotations={names.SKIP_VALIDATING_ANNOTATION: "yes"}))
    assert skips_validation(deployment(annotations={names.SKIP_VALIDATING_ANNOTATION: "true"}))


def test_a_dry_run_takes_place_elsewhere():
    obj = deployment()
    assert dry_run_object(obj, RESERVED, "webabc")["metadata"] == {"name": "webabc", "namespace": RESERVED}
    assert obj == deployment()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
    assert dry_run_object(namespace, RESERVED, "m")["metadata"] == {"name": "m"}


def test_addresses_and_ports_of_the_child_are_no_matter_of_the_dry_run():
    sent = dry_run_object(
        service(
            clusterIP="10.0.0.1", clusterIPs=["10.0.0.1"], healthCheckNodePort=30001, ports=[{"nodePort": 30080}, "x"]
        ),
        RESERVED,
        "s",
    )
    assert sent["spec"] == {"ports": [{}, "x"]}
    assert dry_run_object(service(ports=[{"nodePort": "x"}]), RESERVED, "s")["spec"] == {"ports": [{"nodePort": "x"}]}
    assert dry_run_object(service(ports="x", clusterIP="None"), RESERVED, "s")["spec"] == {
        "ports": "x",
        "clusterIP": "None",
    }
    assert dry_run_object({**service(), "spec": None}, RESERVED, "s")["spec"] is None
    theirs = {**service(clusterIP="x", ports=[{"nodePort": 30080}]), "apiVersion": "serving.example.org/v1"}
    assert dry_run_object(theirs, RESERVED, "s")["spec"] == theirs["spec"]


def test_what_the_parent_fills_in_is_not_published():
    """Its defaults and its admission are those of another cluster than the object is for."""
    asked = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}
    answer = {
        **asked,
        "metadata": {"name": "pabc", "uid": "u", "annotations": {"injected": "1"}},
        "spec": {
            "priority": 1000,
            "priorityClassName": "parent-usual",
            "serviceAccountName": "default",
            "containers": [{"name": "c", "imagePullPolicy": "Always"}, {"name": "sidecar"}],
        },
        "status": {"phase": "Pending"},
    }
    assert published_object(asked, answer) == asked


def test_fields_that_are_null_go_unless_they_mean_something():
    asked = {"metadata": {"name": "x"}, "spec": {"a": None, "b": None, "c": [{"d": None}, {"e": 1}], "f": [None]}}
    answer = {"metadata": {"name": "x"}, "spec": {"b": None, "c": [{}, {"e": 1}], "f": [None]}}
    assert published_object(asked, answer)["spec"] == {"b": None, "c": [{}, {"e": 1}], "f": [None]}
    assert published_object(asked, {"spec": {"c": []}})["spec"] == {"c": [{}, {"e": 1}], "f": [None]}
    assert published_object(asked, {})["spec"] == {"c": [{}, {"e": 1}], "f": [None]}


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        (
            {"type": "NodePort", "clusterIP": "10.0.0.1", "ports": [{"port": 80}, {"port": 81, "nodePort": 30081}]},
            {"type": "NodePort", "ports": [{"port": 80}, {"port": 81, "nodePort": 30081}]},
        ),
        ({"clusterIP": "None", "clusterIPs": ["None"]}, {"clusterIP": "None", "clusterIPs": ["None"]}),
        (
            {"type": "LoadBalancer", "healthCheckNodePort": 32000, "ports": [{"port": 80, "nodePort": 31000}]},
            {"type": "LoadBalancer", "healthCheckNodePort": 32000, "ports": [{"port": 80, "nodePort": 31000}]},
        ),
        ({"ports": [{"port": 80, "nodePort": 0}]}, {"ports": [{"port": 80}]}),
        ({"ports": "x"}, {"ports": "x"}),
    ],
)
def test_b7_9_services(spec, kept):
    """Better than there: a chosen node port stays (C3.17)."""
    assert trimmed(service(**spec))["spec"] == kept


def job(labels, selector=None, **metadata):
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "namespace": "foo"},
        "spec": {
            **({"selector": selector} if selector is not None else {}),
            "template": {"metadata": {"creationTimestamp": None, "labels": labels, **metadata}},
        },
    }


def test_b7_10_jobs():
    made = {"controller-uid": "u", "batch.kubernetes.io/controller-uid": "u"}
    read = job(
        {**made, "job-name": "other", "batch.kubernetes.io/job-name": "other", "mine": "1"}, {"matchLabels": dict(made)}
    )
    assert trimmed(read)["spec"] == {"template": {"metadata": {"labels": {"job-name": "j", "mine": "1"}}}}
    read = job(dict(made), {"matchLabels": {**made, "mine": "1"}})
    assert trimmed(read)["spec"] == {"selector": {"matchLabels": {"mine": "1"}}, "template": {"metadata": {}}}
    assert trimmed(job({}))["spec"] == {"template": {"metadata": {}}}
    bare = {**job({}), "spec": {"template": {"spec": {}}}}
    assert trimmed(bare)["spec"] == bare["spec"]


@pytest.mark.parametrize("spec", [None, "x", [], {"template": "x"}, {"template": {"metadata": "x"}, "selector": "x"}])
@pytest.mark.parametrize("kind", [("v1", "Service"), ("batch/v1", "Job"), ("apps/v1", "Deployment")])
def test_trimming_leaves_what_is_malformed_to_others(kind, spec):
    trimmed({"apiVersion": kind[0], "kind": kind[1], "metadata": {"name": "x"}, "spec": spec})


def test_covers():
    assert covers({"a": [{"b": 1, "default": 2}], "c": 1}, {"a": [{"b": 1}]})
    assert not covers({"a": [{"b": 1}]}, {"a": [{"b": 2}]})
    assert not covers({"a": [1, 2]}, {"a": [1]})
    assert not covers({"a": 1}, {"a": [1]})
    assert not covers(1, {"a": 1})
    assert not covers({}, {"a": 1})


def test_scale():
    obj = deployment(uid="u")
    obj["spec"]["selector"] = {"matchLabels": {"a": "1", "b": "2"}}
    assert scale_of(obj, REPLICAS, 1) == {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "web", "namespace": "foo", "uid": "u"},
        "spec": {"replicas": 3},
        "status": {"replicas": 3, "selector": "a=1,b=2"},
    }
    bare = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}}
    assert scale_of(bare, REPLICAS, 7)["status"] == {"replicas": 7}
    controller = {**deployment(), "spec": {"replicas": 1, "selector": {"app": "x"}}}
    assert scale_of(controller, REPLICAS, 1)["status"]["selector"] == "app=x"
    for selector in ("x", {"matchExpressions": [{"key": "a"}]}):
        assert "selector" not in scale_of({**deployment(), "spec": {"selector": selector}}, REPLICAS, 1)["status"]
    assert with_replicas(obj, REPLICAS, 9)["spec"]["replicas"] == 9
    assert obj["spec"]["replicas"] == 3
    assert with_replicas(bare, REPLICAS, 2)["spec"] == {"replicas": 2}


def test_without_nulls():
    assert without_nulls({"a": None, "b": [{"c": None}], "d": {"e": None, "f": 1}}) == {"b": [{}], "d": {"f": 1}}
