"""The shadow API as its users meet it: through the parent's API server, by plain requests and kubectl (spec/04 §8)."""

import asyncio
import base64
import json
import sys
import uuid
from asyncio.subprocess import PIPE
from contextlib import suppress
from urllib.parse import quote

import aiohttp
import orjson
import pytest
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import (
    API_SERVICES,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CUSTOM_RESOURCE_DEFINITIONS,
    MANIFESTS,
    NAMESPACES,
    ROLE_BINDINGS,
    SECRETS,
    Resource,
)
from clusternet_engine.kube.tls import client_context
from clusternet_engine.model.labels import label_form
from clusternets_own import patched_by_clusternets_hub
from hub_site import HubProcess, eventually, install_api_services, remove_api_services
from yarl import URL

RESERVED = "clusternet-reserved"
API = "/apis/shadow/v1alpha1"
RBAC = "rbac.authorization.k8s.io/v1"
MERGE, STRATEGIC, JSON, APPLY = (
    f"application/{kind}"
    for kind in ("merge-patch+json", "strategic-merge-patch+json", "json-patch+json", "apply-patch+yaml")
)


@pytest.fixture(scope="module")
def shadow_hub(hub_kubeconfig, lab, tmp_path_factory):
    """A hub that serves the shadow API through the parent's API server."""
    port = lab.cluster("parent").engine_port
    log = tmp_path_factory.mktemp("hub") / "hub.log"
    hub = HubProcess(
        hub_kubeconfig,
        log,
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--feature-gates=ShadowAPI=true,Deployer=true,FeedInUseProtection=true",
    )

    async def as_admin(work):
        async with Client(ClusterConfig.from_kubeconfig(lab.cluster("parent").kubeconfig), qps=0) as admin:
            await work(admin, port)

    try:
        asyncio.run(as_admin(install_api_services))
        yield hub
    finally:
        asyncio.run(as_admin(remove_api_services))
        hub.end()


class ShadowClient:
    """Plain requests to the shadow API, in a namespace of their own that the parent doesn't have."""

    def __init__(self, client, session):
        self.client = client
        self.session = session
        self.namespace = f"t-{uuid.uuid4().hex[:8]}"

    def path(self, plural, name=None, *, namespaced=True):
        scope = f"/namespaces/{self.namespace}" if namespaced else ""
        return f"{API}{scope}/{plural}" + (f"/{name}" if name else "")

    async def ask(self, method, path, body=None, content_type=None, **query):
        headers = {"Content-Type": content_type or "application/json"}
        data = None if body is None else orjson.dumps(body)
        async with self.session.request(method, path, params=query, data=data, headers=headers) as answer:
            return answer.status, orjson.loads(await answer.read()), answer.headers

    async def create(self, plural, obj, **query):
        return await self.ask("POST", self.path(plural), obj, **query)

    async def manifest(self, plural, name):
        return await self.client.get(MANIFESTS, f"{plural}.{self.namespace}.{name}", RESERVED)


@pytest.fixture
async def shadow(shadow_hub, parent):
    """A user of the shadow API; what they made is gone afterwards."""
    config = parent.config
    context = client_context(config.ca_data, certificate=config.client_certificate, key=config.client_key)
    async with aiohttp.ClientSession(config.server, connector=aiohttp.TCPConnector(ssl=context)) as session:
        one = ShadowClient(parent, session)
        yield one
    selector = f"apps.clusternet.io/config.namespace={one.namespace}"
    for manifest in (await parent.list(MANIFESTS, RESERVED, label_selector=selector)).items:
        with suppress(NotFound):
            await parent.delete(MANIFESTS, manifest["metadata"]["name"], RESERVED)


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name="web", replicas=3):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "img:1"}]},
            },
        },
    }


async def test_create_keeps_what_was_sent_in_a_manifest(shadow):
    status, body, _ = await shadow.create("deployments", deployment())
    assert status == 201, body
    assert body["spec"] == deployment()["spec"]
    manifest = await shadow.manifest("deployments", "web")
    assert manifest["metadata"]["labels"] == {
        "app": "web",
        "apps.clusternet.io/config.group": "apps",
        "apps.clusternet.io/config.kind": "Deployment",
        "apps.clusternet.io/config.name": "web",
        "apps.clusternet.io/config.namespace": shadow.namespace,
        "apps.clusternet.io/config.version": "v1",
        "clusternet.io/created-by": "clusternet-hub",
    }
    assert set(manifest["template"]) == {"apiVersion", "kind", "metadata", "spec"}
    kept = manifest["template"]["metadata"]
    assert uuid.UUID(kept.pop("uid"))
    assert kept == {
        "name": "web",
        "namespace": shadow.namespace,
        "labels": {"app": "web", "clusternet.io/created-by": "clusternet-hub"},
    }


async def test_clusternets_hub_can_patch_what_this_one_has_stored(shadow, parent):
    """Also what was stored without a UID, as soon as somebody writes it."""
    await shadow.create("configmaps", config_map("settings", a="1"))
    name = f"configmaps.{shadow.namespace}.settings"
    await patched_by_clusternets_hub(parent, name, {"data": {"b": "2"}})
    await parent.patch(MANIFESTS, name, {"template": {"metadata": {"uid": None}}}, RESERVED)
    with pytest.raises(NotFound):
        await patched_by_clusternets_hub(parent, name, {"data": {"c": "3"}})
    status, body, _ = await shadow.ask("PATCH", shadow.path("configmaps", "settings"), {"data": {"c": "3"}}, MERGE)
    assert status == 200, body
    manifest = await patched_by_clusternets_hub(parent, name, {"data": {"d": "4"}})
    assert manifest["template"]["data"] == {"a": "1", "b": "2", "c": "3", "d": "4"}


async def test_every_verb_works_on_what_clusternets_hub_has_stored(shadow, parent):
    """It keeps the UID of its dry run in the object, and a creation time that is null."""
    await shadow.create("deployments", deployment())
    name = f"deployments.{shadow.namespace}.web"
    stored = await shadow.manifest("deployments", "web")
    stored["template"]["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": None}
    await parent.update(MANIFESTS, stored)
    path = shadow.path("deployments", "web")
    status, body, _ = await shadow.ask("GET", path)
    assert (status, body["metadata"]["uid"]) == (200, stored["metadata"]["uid"])
    body["spec"]["replicas"] = 4
    assert (await shadow.ask("PUT", path, body))[0] == 200
    applied = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"x": "y"}}}
    for content_type, patch, query in (
        (MERGE, {"spec": {"replicas": 5}}, {}),
        (STRATEGIC, {"spec": {"replicas": 6}}, {}),
        (JSON, [{"op": "replace", "path": "/spec/replicas", "value": 7}], {}),
        (APPLY, applied, {"fieldManager": "me"}),
    ):
        status, body, _ = await shadow.ask("PATCH", path, patch, content_type, **query)
        assert status == 200, body
    status, body, _ = await shadow.ask("PATCH", f"{path}/scale", {"spec": {"replicas": 8}}, MERGE)
    assert (status, body["spec"]["replicas"]) == (200, 8), body
    status, body, _ = await shadow.ask("GET", shadow.path("deployments"))
    assert [one["metadata"]["uid"] for one in body["items"]] == [stored["metadata"]["uid"]]
    manifest = await parent.get(MANIFESTS, name, RESERVED)
    assert manifest["template"]["metadata"]["uid"] == stored["template"]["metadata"]["uid"]
    assert (await shadow.ask("DELETE", path))[0] == 200


async def test_a11_a_namespace_is_kept_not_made(shadow, parent):
    name = shadow.namespace
    path = shadow.path("namespaces", namespaced=False)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    status, body, _ = await shadow.ask("POST", path, namespace)
    try:
        assert (status, body["kind"]) == (201, "Namespace"), body
        with pytest.raises(NotFound):
            await parent.get(NAMESPACES, name)
        manifest = await parent.get(MANIFESTS, f"namespaces.{name}", RESERVED)
        assert manifest["template"]["metadata"]["labels"] == {"clusternet.io/created-by": "clusternet-hub"}
        status, body, _ = await shadow.ask("GET", f"{path}/{name}")
        assert (status, body["kind"], body["metadata"]["name"]) == (200, "Namespace", name)
    finally:
        await parent.delete(MANIFESTS, f"namespaces.{name}", RESERVED)


async def test_b7_12_the_object_shows_its_manifests_identity(shadow):
    _, made, _ = await shadow.create("configmaps", config_map("a", x="1"))
    manifest = await shadow.manifest("configmaps", "a")
    for field in ("uid", "resourceVersion", "generation", "creationTimestamp"):
        assert made["metadata"][field] == manifest["metadata"][field]


async def test_discovery(shadow):
    status, groups, _ = await shadow.ask("GET", "/apis/shadow")
    assert (status, groups["preferredVersion"]["groupVersion"]) == (200, "shadow/v1alpha1")
    status, document, _ = await shadow.ask("GET", API)
    assert status == 200
    found = {entry["name"]: entry for entry in document["resources"]}
    assert not {
        "apiservices",
        "managedclusters",
        "manifests",
        "subscriptions",
        "pods/exec",
        "deployments/status",
    } & set(found)
    assert found["deployments"] == {
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
    assert found["deployments/scale"]["verbs"] == ["get", "patch", "update"]
    assert "deletecollection" not in found["namespaces"]["verbs"]
    assert (found["events"]["group"], found["ingresses"]["group"]) == ("", "networking.k8s.io")
    assert (found["horizontalpodautoscalers"]["group"], found["horizontalpodautoscalers"]["version"]) == (
        "autoscaling",
        "v2",
    )


def definition(plural, kind, group="shadow-test.example.com"):
    properties = {"spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 7}}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": properties}}
    scale = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"plural": plural, "kind": kind, "singular": kind.lower(), "listKind": f"{kind}List"},
            "scope": "Namespaced",
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": schema, "subresources": {"scale": scale}}
            ],
        },
    }


async def test_custom_resources_come_and_go(shadow, parent):
    plural = f"x{shadow.namespace[2:]}s"
    body = definition(plural, plural.title()[:-1])
    name, kind = body["metadata"]["name"], body["spec"]["names"]["kind"]

    async def served():
        _, document, _ = await shadow.ask("GET", API)
        return plural in {entry["name"] for entry in document["resources"]}

    async def not_served():
        return not await served()

    await parent.create(CUSTOM_RESOURCE_DEFINITIONS, body)
    try:
        await eventually(served)
        custom = {"apiVersion": f"{body['spec']['group']}/v1", "kind": kind, "metadata": {"name": "one"}, "spec": {}}
        status, made, _ = await shadow.create(plural, custom)
        assert (status, made["spec"]) == (201, {}), made
        status, scale, _ = await shadow.ask("GET", shadow.path(plural, "one/scale"))
        assert (status, scale["spec"]) == (200, {"replicas": 7})
        status, wrong, _ = await shadow.create(plural, {**custom, "metadata": {"name": "two"}, "spec": {"size": "big"}})
        assert (status, wrong["reason"]) == (422, "Invalid")

        # A definition may be a feed itself, although the parent has it.
        path = shadow.path("customresourcedefinitions", namespaced=False)
        status, made, _ = await shadow.ask("POST", path, body)
        assert status == 201, made
        assert made["spec"] == body["spec"]
        await parent.delete(MANIFESTS, f"customresourcedefinitions.{name}", RESERVED)
    finally:
        await parent.delete(CUSTOM_RESOURCE_DEFINITIONS, name)
    await eventually(not_served)
    assert (await shadow.manifest(plural, "one"))["template"]["kind"] == kind


async def test_c3_17_chosen_node_ports_survive(shadow):
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {
            "type": "NodePort",
            "selector": {"app": "web"},
            "ports": [{"name": "a", "port": 80, "nodePort": 30080}, {"name": "b", "port": 81}],
        },
    }
    for _ in range(2):
        status, made, _ = await shadow.create("services", service)
        assert status == 201, made
        ports = made["spec"]["ports"]
        assert [port.get("nodePort") for port in ports] == [30080, None]
        assert not {"clusterIP", "clusterIPs"} & set(made["spec"])
        # Somebody has it on the parent: that is no reason to refuse it.
        service["metadata"]["name"] = "t"
    _, made, _ = await shadow.ask("PATCH", shadow.path("services", "s"), {"spec": {"selector": {"app": "x"}}}, MERGE)
    assert made["spec"]["ports"][0]["nodePort"] == 30080


async def test_skip_validating(shadow):
    obj = deployment()
    obj["metadata"]["annotations"] = {"apps.clusternet.io/skip-validating": "true"}
    obj["spec"]["nonsense"] = True
    status, made, _ = await shadow.create("deployments", obj)
    assert status == 201
    assert made["spec"]["nonsense"] is True
    assert "progressDeadlineSeconds" not in made["spec"]


@pytest.mark.parametrize("name", ["system:x", "Upper", "a" * 64, "-x", "b" * 253, "with a blank?", "{digest}"])
async def test_c3_18_names_that_no_label_can_hold(shadow, name):
    """The label has a digest of such a name, and so has the Manifest; users meet the name only."""
    name = name.replace("{digest}", label_form("system:x"))
    role = {"apiVersion": RBAC, "kind": "Role", "metadata": {"name": name}, "rules": []}
    status, body, _ = await shadow.create("roles", role)
    assert (status, body["metadata"].get("name")) == (201, name), body
    other = {**role, "metadata": {"name": "system:x" if name != "system:x" else "system:y"}}
    await shadow.create("roles", other)
    assert (await shadow.create("roles", role))[0] == 409
    path = shadow.path("roles", quote(name, safe=""))
    status, body, _ = await shadow.ask("GET", URL(path, encoded=True))
    assert (status, body["metadata"].get("name")) == (200, name), body
    _, listed, _ = await shadow.ask("GET", shadow.path("roles"), fieldSelector=f"metadata.name={name}")
    assert [item["metadata"]["name"] for item in listed["items"]] == [name]
    status, body, _ = await shadow.ask("PATCH", URL(path, encoded=True), {"metadata": {"labels": {"a": "b"}}}, MERGE)
    assert (status, body["metadata"]["labels"]["a"]) == (200, "b")
    assert (await shadow.ask("DELETE", URL(path, encoded=True)))[0] == 200


async def test_a_name_that_a_kind_does_not_take_is_refused(shadow):
    status, body, _ = await shadow.create("configmaps", config_map("system:x"))
    assert (status, body["reason"]) == (422, "Invalid")
    assert "metadata.name" in body["message"]


async def test_a_name_of_63_characters(shadow):
    name = "a" * 63
    status, body, _ = await shadow.create("services", {"metadata": {"name": name}, "spec": {"ports": [{"port": 1}]}})
    assert (status, body["metadata"]["name"]) == (201, name)


async def test_what_the_hub_may_not_try_out_is_stored_with_a_warning(shadow, parent):
    name = shadow.namespace
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    role = {
        "apiVersion": RBAC,
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }
    path = shadow.path("clusterroles", namespaced=False)
    status, body, headers = await shadow.ask("POST", path, role)
    assert status == 201, body
    assert "schema only" in headers["Warning"]
    await parent.delete(MANIFESTS, f"clusterroles.{name}", RESERVED)
    path = shadow.path("priorityclasses", namespaced=False)
    priority = {"metadata": {"name": name}}
    status, body, _ = await shadow.ask("POST", path, priority)
    assert (status, body["message"]) == (422, f'PriorityClass "{name}" is invalid: value: Required value')
    status, body, _ = await shadow.ask("POST", path, {**priority, "value": "high"})
    assert (status, body["message"]) == (422, f'PriorityClass "{name}" is invalid: value: must be of type integer')
    status, body, _ = await shadow.ask("POST", path, {**priority, "value": 1, "valve": 1}, fieldValidation="Strict")
    assert (status, body["message"]) == (400, 'strict decoding error: unknown field "valve"')


def pod(name, **spec):
    spec = {"containers": [{"name": "main", "image": "registry.example.org/one:1"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


async def test_bindings_of_roles_that_only_children_have(shadow, parent):
    """RBAC looks the role up as a binding is made: on the parent there is none."""
    name = shadow.namespace
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "worker"}
    subjects = [{"kind": "ServiceAccount", "name": "worker", "namespace": name}]
    binding = {"apiVersion": RBAC, "kind": "RoleBinding", "metadata": {"name": "worker"}}
    binding |= {"roleRef": role, "subjects": subjects}
    status, body, headers = await shadow.create("rolebindings", binding)
    assert (status, body.get("roleRef")) == (201, role), body
    assert 'worker\\" not found' in headers["Warning"]
    binding |= {"kind": "ClusterRoleBinding", "roleRef": {**role, "kind": "ClusterRole"}, "metadata": {"name": name}}
    path = shadow.path("clusterrolebindings", namespaced=False)
    status, body, _ = await shadow.ask("POST", path, binding)
    assert status == 201, body
    await parent.delete(MANIFESTS, f"clusterrolebindings.{name}", RESERVED)
    status, body, _ = await shadow.ask("POST", path, {**binding, "subjects": "x"})
    assert status == 400, body


@pytest.mark.parametrize(
    "spec", [{"serviceAccountName": "nobody"}, {"priorityClassName": "gold"}, {"runtimeClassName": "sandboxed"}]
)
async def test_pods_that_need_what_only_children_have(shadow, spec):
    status, body, headers = await shadow.create("pods", pod("one", **spec))
    assert (status, body.get("spec")) == (201, pod("one", **spec)["spec"]), body
    assert "schema only" in headers["Warning"]
    wrong = pod("two", **spec)
    wrong["spec"]["containers"] = "main"
    assert (await shadow.create("pods", wrong))[0] in (400, 422)


async def test_the_parents_defaults_and_admission_are_not_published(shadow, parent):
    """A default PriorityClass of the parent's stays there, and so do all other defaults."""
    classes = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)
    usual = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": shadow.namespace}}
    await parent.create(classes, {**usual, "value": 1000, "globalDefault": True})
    try:

        async def defaulted():
            made = await parent.raw(
                "POST",
                "/api/v1/namespaces/default/pods",
                params={"dryRun": "All"},
                body=orjson.dumps(pod("probe", automountServiceAccountToken=False)),
            )
            return orjson.loads(made.body).get("spec", {}).get("priorityClassName") == shadow.namespace

        await eventually(defaulted)
        status, body, _ = await shadow.create("pods", pod("one"))
        assert (status, body["spec"]) == (201, pod("one")["spec"]), body
        assert (await shadow.manifest("pods", "one"))["template"]["spec"] == pod("one")["spec"]
    finally:
        await parent.delete(classes, shadow.namespace)


async def test_a_policy_of_the_parent_is_no_policy_of_the_children(shadow, parent):
    """Its words are told, whatever status code it has chosen."""
    group, name = "admissionregistration.k8s.io", shadow.namespace
    policies = Resource(group, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False)
    bindings = Resource(
        group, "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", namespaced=False
    )
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}]
    policy = {
        "apiVersion": f"{group}/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": rules, "objectSelector": {"matchLabels": {"for": name}}},
            "validations": [{"expression": "false", "message": "not on this cluster", "reason": "Invalid"}],
        },
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    labelled = config_map("a", x="1")
    labelled["metadata"]["labels"] = {"for": name}
    await parent.create(policies, policy)
    await parent.create(bindings, binding)
    try:

        async def denied():
            path, body = "/api/v1/namespaces/default/configmaps", orjson.dumps(labelled)
            return (await parent.raw("POST", path, params={"dryRun": "All"}, body=body)).status == 422

        await eventually(denied)
        status, body, headers = await shadow.create("configmaps", labelled)
        assert (status, body.get("data")) == (201, {"x": "1"}), body
        assert "not on this cluster" in headers["Warning"]
    finally:
        await parent.delete(bindings, name)
        await parent.delete(policies, name)


async def test_unknown_and_empty_fields_are_dropped_as_api_servers_do(shadow):
    sent = deployment()
    sent["metadata"]["creationTimestamp"] = None
    sent["spec"]["template"]["metadata"]["creationTimestamp"] = None
    sent["spec"]["strategy"] = None
    for mode in ("Ignore", "Warn"):
        name = mode.lower()
        body = {**sent, "metadata": {**sent["metadata"], "name": name}, "spex": {}, "spec": {**sent["spec"], "size": 1}}
        status, made, headers = await shadow.create("deployments", body, fieldValidation=mode)
        assert (status, made["spec"], "spex" in made) == (201, deployment()["spec"], False), made
        assert ("Warning" in headers) is (mode == "Warn")


async def test_a_definition_that_the_parent_has_in_another_form(shadow, parent):
    """It can't be tried out under another name, and the parent's own form is no reason to refuse it."""
    plural = f"y{shadow.namespace[2:]}s"
    body = definition(plural, plural.title()[:-1])
    name = body["metadata"]["name"]
    await parent.create(CUSTOM_RESOURCE_DEFINITIONS, body)
    try:
        newer = orjson.loads(orjson.dumps(body))
        newer["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["more"] = {
            "type": "string"
        }
        path = shadow.path("customresourcedefinitions", namespaced=False)
        status, made, headers = await shadow.ask("POST", path, newer)
        assert (status, made.get("spec")) == (201, newer["spec"]), made
        assert "another definition" in headers["Warning"]
        await parent.delete(MANIFESTS, f"customresourcedefinitions.{name}", RESERVED)
    finally:
        await parent.delete(CUSTOM_RESOURCE_DEFINITIONS, name)


async def test_what_the_parent_refuses_is_refused(shadow):
    wrong = deployment()
    wrong["spec"]["selector"]["matchLabels"]["app"] = "other"
    status, body, _ = await shadow.create("deployments", wrong)
    assert (status, body["reason"]) == (422, "Invalid")
    assert "selector" in body["message"]
    status, body, _ = await shadow.create("deployments", {**deployment(), "spex": {}}, fieldValidation="Strict")
    assert status == 400
    assert "spex" in body["message"]
    _, _, headers = await shadow.create("deployments", {**deployment(), "spex": {}}, fieldValidation="Warn")
    assert "spex" in headers["Warning"]
    status, body, _ = await shadow.create("deployments", config_map("x"))
    assert status == 400
    status, body, _ = await shadow.create("nonsense", config_map("x"))
    assert status == 404


async def test_an_object_of_a_name_that_is_taken_in_the_reserved_namespace(shadow):
    status, body, _ = await shadow.create("configmaps", config_map("kube-root-ca.crt", x="1"))
    assert (status, body["metadata"]["name"], body["data"]) == (201, "kube-root-ca.crt", {"x": "1"})


async def test_it_exists_already(shadow):
    await shadow.create("configmaps", config_map("a"))
    status, body, _ = await shadow.create("configmaps", config_map("a"))
    assert (status, body["reason"], body["message"]) == (409, "AlreadyExists", 'configmaps "a" already exists')


async def test_c4_10_a_dry_run_stores_nothing(shadow):
    status, body, _ = await shadow.create("deployments", deployment(), dryRun="All")
    assert status == 201
    assert body["spec"] == deployment()["spec"]
    assert (await shadow.ask("GET", shadow.path("deployments", "web")))[0] == 404
    await shadow.create("configmaps", config_map("a", x="1"))
    path = shadow.path("configmaps", "a")
    for method, change, kind in (("PUT", config_map("a", x="2"), None), ("PATCH", {"data": {"x": "2"}}, MERGE)):
        status, body, _ = await shadow.ask(method, path, change, kind, dryRun="All")
        assert (status, body["data"]) == (200, {"x": "2"})
    assert (await shadow.ask("DELETE", path, dryRun="All"))[0] == 200
    _, body, _ = await shadow.ask("GET", path)
    assert body["data"] == {"x": "1"}
    assert "deletionTimestamp" not in body["metadata"]
    assert (await shadow.create("configmaps", config_map("b"), dryRun="Some"))[0] == 400


async def test_update(shadow):
    """PUT judges, guards the version, and takes labels away (spec/08 item 5)."""
    first = config_map("a", x="1")
    first["metadata"]["labels"] = {"keep": "1", "go": "1"}
    _, made, _ = await shadow.create("configmaps", first)
    manifest = await shadow.manifest("configmaps", "a")
    patch = {"metadata": {"labels": {"somebody-else": "Base"}}}
    await shadow.client.patch(MANIFESTS, manifest["metadata"]["name"], patch, RESERVED)
    path = shadow.path("configmaps", "a")

    stale = {**made, "data": {"x": "2"}}
    status, body, _ = await shadow.ask("PUT", path, stale)
    assert (status, body["reason"]) == (409, "Conflict")
    second = config_map("a", x="2")
    second["metadata"]["labels"] = {"keep": "1"}
    status, body, _ = await shadow.ask("PUT", path, second)
    assert (status, body["data"]) == (200, {"x": "2"})
    labels = (await shadow.manifest("configmaps", "a"))["metadata"]["labels"]
    assert "go" not in labels
    assert (labels["keep"], labels["somebody-else"]) == ("1", "Base")
    assert labels["apps.clusternet.io/config.name"] == "a"

    status, body, _ = await shadow.ask("PUT", path, {**second, "data": {"x": 3}})
    assert status == 400, body
    status, body, _ = await shadow.ask("PUT", path, deployment("a"))
    assert status == 400
    status, body, _ = await shadow.ask("PUT", shadow.path("configmaps", "b"), config_map("b"))
    assert status == 404
    status, again, _ = await shadow.ask("PUT", path, second)
    assert (status, again["metadata"]["resourceVersion"]) == (
        200,
        (await shadow.manifest("configmaps", "a"))["metadata"]["resourceVersion"],
    )


async def test_c4_9_strategic_merge_patch(shadow):
    await shadow.create("deployments", deployment())
    path = shadow.path("deployments", "web")
    sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}}
    status, body, _ = await shadow.ask("PATCH", path, sidecar, STRATEGIC)
    assert status == 200, body
    containers = body["spec"]["template"]["spec"]["containers"]
    assert sorted((one["name"], one["image"]) for one in containers) == [("c", "img:1"), ("side", "side:1")]
    gone = {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}
    _, body, _ = await shadow.ask("PATCH", path, gone, STRATEGIC)
    assert len(body["spec"]["template"]["spec"]["containers"]) == 1
    status, body, _ = await shadow.ask("PATCH", path, {"spec": {"replicas": 5}}, MERGE)
    assert (status, body["spec"]["replicas"]) == (200, 5)
    status, body, _ = await shadow.ask("PATCH", path, [{"op": "replace", "path": "/spec/replicas", "value": 6}], JSON)
    assert (status, body["spec"]["replicas"]) == (200, 6)
    status, body, _ = await shadow.ask("PATCH", path, [{"op": "remove", "path": "/spec/nonsense"}], JSON)
    assert status == 422
    status, body, _ = await shadow.ask("PATCH", path, {"spec": {"replicas": "many"}}, MERGE)
    assert status in (400, 422)
    status, body, _ = await shadow.ask("PATCH", path, {"metadata": {"resourceVersion": "1"}}, MERGE)
    assert status == 409
    assert (await shadow.ask("PATCH", path, {}, "text/plain"))[0] == 415


async def test_b7_13_a_label_is_added_and_removed_by_a_patch(shadow):
    await shadow.create("configmaps", config_map("a"))
    path = shadow.path("configmaps", "a")
    for value, wanted in (("1", "1"), (None, None)):
        _, body, _ = await shadow.ask("PATCH", path, {"metadata": {"labels": {"l": value}}}, MERGE)
        assert body["metadata"]["labels"].get("l") == wanted
        assert (await shadow.manifest("configmaps", "a"))["metadata"]["labels"].get("l") == wanted


async def test_server_side_apply(shadow):
    """Apply makes, changes, takes away what it no longer wants, and respects what others own."""
    path = shadow.path("deployments", "web")

    async def apply(manager, replicas=None, image="img:1", **query):
        config = deployment(replicas=replicas)
        if replicas is None:
            del config["spec"]["replicas"]
        config["spec"]["template"]["spec"]["containers"][0]["image"] = image
        return await shadow.ask("PATCH", path, config, APPLY, fieldManager=manager, **query)

    status, body, _ = await apply("one", 3)
    assert status == 201, body
    assert body["spec"]["replicas"] == 3
    assert body["metadata"]["managedFields"][0]["manager"] == "one"
    status, body, _ = await apply("one", 3)
    assert (status, body["metadata"]["generation"]) == (200, 1)
    status, body, _ = await apply("two", 4)
    assert (status, body["reason"]) == (409, "Conflict")
    assert body["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one" using apps/v1', "field": ".spec.replicas"}
    ]
    status, body, _ = await apply("two", 4, force="true")
    assert (status, body["spec"]["replicas"]) == (200, 4)
    status, body, _ = await apply("one", image="img:2", force="true")
    assert (status, body["spec"]["replicas"]) == (200, 4)
    status, body, _ = await apply("two")
    assert status == 409  # the image is `one`'s now
    status, body, _ = await apply("two", image="img:2")
    assert status == 200
    assert "replicas" not in body["spec"]  # nobody wants a number any more
    assert (await shadow.ask("PATCH", path, deployment(), APPLY))[0] == 422
    assert "managedFields" not in (await shadow.manifest("deployments", "web"))["template"]["metadata"]


async def test_scale(shadow):
    await shadow.create("deployments", deployment())
    path = shadow.path("deployments", "web/scale")
    status, scale, _ = await shadow.ask("GET", path)
    assert (status, scale["kind"], scale["spec"]) == (200, "Scale", {"replicas": 3})
    scale["spec"]["replicas"] = 5
    status, scale, _ = await shadow.ask("PUT", path, scale)
    assert (status, scale.get("spec")) == (200, {"replicas": 5}), scale
    status, scale, _ = await shadow.ask("PATCH", path, {"spec": {"replicas": 7}}, MERGE)
    assert (status, scale["spec"]) == (200, {"replicas": 7})
    assert (await shadow.manifest("deployments", "web"))["template"]["spec"]["replicas"] == 7
    assert (await shadow.ask("PATCH", path, {"spec": {"replicas": -1}}, MERGE))[0] == 422


async def test_there_is_no_status(shadow):
    """No status that does nothing (spec/08 item 7)."""
    await shadow.create("deployments", deployment())
    for method in ("GET", "PUT"):
        status, body, _ = await shadow.ask(method, shadow.path("deployments", "web/status"), deployment())
        assert (status, body["reason"]) == (405, "MethodNotAllowed")


async def test_list_and_selectors(shadow):
    for name in ("a", "b", "c"):
        obj = config_map(name)
        obj["metadata"]["labels"] = {"tier": "front" if name == "a" else "back"}
        await shadow.create("configmaps", obj)
    path = shadow.path("configmaps")

    async def listed(**query):
        status, body, _ = await shadow.ask("GET", path, **query)
        assert status == 200, body
        return [item["metadata"]["name"] for item in body["items"]], body

    found, body = await listed()
    assert (sorted(found), body["kind"], body["apiVersion"]) == (["a", "b", "c"], "ConfigMapList", "v1")
    assert sorted((await listed(labelSelector="tier=back"))[0]) == ["b", "c"]
    assert (await listed(fieldSelector="metadata.name=b"))[0] == ["b"]
    found, body = await listed(limit="2")
    assert len(found) == 2
    rest, _ = await listed(limit="2", **{"continue": body["metadata"]["continue"]})
    assert sorted([*found, *rest]) == ["a", "b", "c"]
    assert (await shadow.ask("GET", path, fieldSelector="data.x=1"))[0] == 400
    assert (await shadow.ask("GET", path, labelSelector="a in b"))[0] == 400
    _, everywhere, _ = await shadow.ask("GET", f"{API}/configmaps")
    assert {item["metadata"]["name"] for item in everywhere["items"]} >= {"a", "b", "c"}


async def watch(shadow, count, **query):
    """Return the first events of a watch."""
    events = []
    async with shadow.session.get(shadow.path("configmaps"), params={"watch": "1", **query}) as answer:
        assert answer.status == 200
        async with asyncio.timeout(10):
            async for line in answer.content:
                event = json.loads(line)
                events.append((event["type"], event["object"]["metadata"].get("name"), event["object"]))
                if len(events) == count:
                    return events
    return events


async def test_watch_without_a_version_begins_with_what_is_there(shadow):
    """On Kubernetes 1.34 the reference answers 422 (spec/08 item 2)."""
    await shadow.create("configmaps", config_map("a"))

    async def cached():
        return (await watch(shadow, 1, timeoutSeconds="1"))[0:1]

    await eventually(cached)
    for query in ({}, {"resourceVersion": "0"}):
        waiting = asyncio.create_task(watch(shadow, 2, **query))
        await asyncio.sleep(0.2)
        await shadow.create("configmaps", config_map(f"b{len(query)}"))
        events = await waiting
        assert ("ADDED", "a") in [event[:2] for event in events]
        await shadow.client.delete(MANIFESTS, f"configmaps.{shadow.namespace}.b{len(query)}", RESERVED)


async def test_watch_from_a_list(shadow):
    _, listed, _ = await shadow.ask("GET", shadow.path("configmaps"))
    version = listed["metadata"]["resourceVersion"]
    obj = config_map("a", x="1")
    obj["metadata"]["labels"] = {"on": "1"}
    await shadow.create("configmaps", obj)
    path = shadow.path("configmaps", "a")
    await shadow.ask("PATCH", path, {"data": {"x": "2"}}, MERGE)
    await shadow.ask("PATCH", path, {"metadata": {"labels": {"on": "0"}}}, MERGE)
    await shadow.ask("DELETE", path)
    events = await watch(shadow, 9, resourceVersion=version, labelSelector="on=1", timeoutSeconds="2")
    types = [event[0] for event in events if "deletionTimestamp" not in event[2]["metadata"]]
    assert types[0] == "ADDED"
    assert types[-1] == "DELETED"
    assert set(types[1:-1]) == {"MODIFIED"}
    versions = [int(event[2]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(versions)


async def test_watch_list_of_new_clients(shadow):
    await shadow.create("configmaps", config_map("a"))
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}

    async def initial():
        events = await watch(shadow, 2, timeoutSeconds="2", **query)
        return events if events[0][0] == "ADDED" else None

    (_, name, _), (kind, _, last) = await eventually(initial)
    assert (name, kind) == ("a", "BOOKMARK")
    assert last["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_watch_from_before_the_hubs_memory_is_told_to_list_again(shadow):
    (event,) = await watch(shadow, 1, resourceVersion="1")
    assert (event[0], event[2]["code"], event[2]["reason"]) == ("ERROR", 410, "Expired")


async def test_c4_11_delete_collection_deletes_nothing(shadow):
    await shadow.create("configmaps", config_map("a"))
    status, _, headers = await shadow.ask("DELETE", shadow.path("configmaps"))
    assert status == 200
    assert "stay" in headers["Warning"]
    assert (await shadow.ask("GET", shadow.path("configmaps", "a")))[0] == 200


async def test_deleting_the_parents_namespace_leaves_the_templates(shadow, parent):
    name = shadow.namespace
    await shadow.create("configmaps", config_map("a"))
    await parent.create(NAMESPACES, {"metadata": {"name": name}})
    await parent.delete(NAMESPACES, name)

    async def gone():
        try:
            await parent.get(NAMESPACES, name)
        except NotFound:
            return True
        return False

    await eventually(gone, 30, "the namespace is gone")
    assert (await shadow.ask("GET", shadow.path("configmaps", "a")))[0] == 200


async def test_delete(shadow):
    _, made, _ = await shadow.create("configmaps", config_map("a"))
    path = shadow.path("configmaps", "a")
    wrong = {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}
    assert (await shadow.ask("DELETE", path, wrong))[0] == 409
    right = {"preconditions": {"uid": made["metadata"]["uid"]}, "propagationPolicy": "Background"}
    assert (await shadow.ask("DELETE", path, right))[0] == 200

    async def gone():
        return (await shadow.ask("GET", path))[0] == 404

    await eventually(gone)
    assert (await shadow.ask("DELETE", path))[0] == 404


async def test_feed_protection_is_told(shadow):
    await shadow.create("configmaps", config_map("a"))
    name = f"configmaps.{shadow.namespace}.a"
    key = "apps.clusternet.io/feed-protection"
    await shadow.client.patch(MANIFESTS, name, {"metadata": {"annotations": {key: "in use"}}}, RESERVED)
    path = shadow.path("configmaps", "a")
    _, body, _ = await shadow.ask("GET", path)
    assert body["metadata"]["annotations"] == {key: "in use"}
    await shadow.ask("PUT", path, {**body, "data": {"x": "1"}})
    assert "annotations" not in (await shadow.manifest("configmaps", "a"))["template"]["metadata"]


async def test_metadata_only(shadow):
    """The form that the garbage collector reads: it must not miss owners that live on the children."""
    obj = config_map("a", x="1")
    obj["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "none"}]
    await shadow.create("configmaps", obj)
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    async with shadow.session.get(shadow.path("configmaps"), headers={"Accept": accept}) as answer:
        body = await answer.json()
    assert (body["kind"], set(body["items"][0])) == ("PartialObjectMetadataList", {"kind", "apiVersion", "metadata"})
    assert "ownerReferences" not in body["items"][0]["metadata"]
    assert (await shadow.manifest("configmaps", "a"))["template"]["metadata"]["ownerReferences"]


async def test_a_manifest_of_an_old_hub_keeps_its_name(shadow):
    name = f"configmaps-{shadow.namespace}-a"
    await shadow.create("configmaps", config_map("a", x="1"))
    manifest = await shadow.manifest("configmaps", "a")
    metadata = {"name": name, "namespace": RESERVED, "labels": manifest["metadata"]["labels"]}
    await shadow.ask("DELETE", shadow.path("configmaps", "a"))
    await shadow.client.create(MANIFESTS, {**manifest, "metadata": metadata})
    path = shadow.path("configmaps", "a")

    async def changed():
        return (await shadow.ask("PATCH", path, {"data": {"x": "2"}}, MERGE))[0] == 200

    await eventually(changed)
    assert (await shadow.client.get(MANIFESTS, name, RESERVED))["template"]["data"] == {"x": "2"}


async def test_users_need_rights_in_group_shadow(shadow, parent, lab):
    name = f"shadow-{shadow.namespace}"
    rules = [{"apiGroups": ["shadow"], "resources": ["configmaps"], "verbs": ["create", "get"]}]
    role = {
        "apiVersion": RBAC,
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }
    binding = {
        "apiVersion": RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
    }
    await parent.create(CLUSTER_ROLES, role)
    await parent.create(CLUSTER_ROLE_BINDINGS, binding)
    path = shadow.path("configmaps")
    headers = {"Impersonate-User": name, "Content-Type": "application/json"}
    try:

        async def allowed():
            async with shadow.session.post(path, json=config_map("a"), headers=headers) as answer:
                return answer.status == 201

        await eventually(allowed)
        async with shadow.session.get(path, headers=headers) as answer:
            assert answer.status == 403
            assert f'User "{name}" cannot list' in (await answer.json())["message"]
    finally:
        await parent.delete(CLUSTER_ROLE_BINDINGS, name)
        await parent.delete(CLUSTER_ROLES, name)


async def test_nobody_gets_in_beside_the_parents_api_server(shadow_hub, lab):
    url = f"https://127.0.0.1:{lab.cluster('parent').engine_port}{API}/configmaps"
    headers = {"X-Remote-User": "system:admin", "X-Remote-Group": "system:masters"}
    async with aiohttp.ClientSession() as session, session.get(url, ssl=False, headers=headers) as answer:
        assert answer.status == 401


async def test_the_parents_api_server_verifies_the_hub(shadow_hub, parent):
    service = await parent.get(API_SERVICES, "v1alpha1.shadow")
    assert service["spec"]["caBundle"]
    assert not service["spec"].get("insecureSkipTLSVerify")


async def test_an_authority_that_is_unusable_is_replaced_without_an_interruption(shadow, parent):
    name, data = "clusternet-hub-serving", {"tls.crt": base64.b64encode(b"nonsense").decode()}
    await shadow.create("configmaps", config_map("a"))
    before = (await parent.get(API_SERVICES, "v1alpha1.shadow"))["spec"]["caBundle"]
    await parent.patch(SECRETS, name, {"data": data}, "clusternet-system")
    # The hub looks after its certificate once an hour, and whenever an APIService changes.
    await parent.patch(API_SERVICES, "v1alpha1.shadow", {"metadata": {"annotations": {"test": shadow.namespace}}})

    async def replaced():
        service = await parent.get(API_SERVICES, "v1alpha1.shadow")
        return service["spec"]["caBundle"] != before

    await eventually(replaced)

    async def answers():
        """Until the API server has the new authority, it answers 503 in plain text."""
        async with shadow.session.get(shadow.path("configmaps", "a")) as answer:
            return answer.status == 200

    await eventually(answers)


def laughs(first, make):
    """Return some lines of YAML that stand for billions of values."""
    lines = [f"a0: &a0 {first}"] + [f"a{n}: &a{n} {make(', '.join([f'*a{n - 1}'] * 9))}" for n in range(1, 12)]
    return "\n".join(lines)


def hostile_bodies():
    """Yield requests that are small, or as large as they may be, and mean more than a hub can bear."""
    for text in (
        laughs("[x]", "[{}]".format),
        laughs("{k: x}", "{{<<: [{}]}}".format),
        "data: " + "{a: " * 50_000,
        "- " * 100_000,
        "data:\n" + "- a\n" * 199_000,
        "data: {" + "".join(f"k{n}: v, " for n in range(99_000)) + "}",
    ):
        yield "PATCH", APPLY, text.encode()
        yield "POST", "application/yaml", text.encode()
    for text in ("[" * 5000, '{"data":' + '{"a":' * 1000 + "1" + "}" * 1001, '{"data":[' + "[]," * 900_000 + "[]]}"):
        yield "PATCH", MERGE, text.encode()
        yield "POST", "application/json", text.encode()
    add = {"op": "add", "path": "/data/b", "value": ["x"]}
    copies = [{"op": "copy", "from": "/data/b", "path": "/data/b/-"}] * 60
    yield "PATCH", JSON, orjson.dumps([add, *copies])
    yield "PATCH", JSON, orjson.dumps([{"op": "copy", "from": "", "path": f"/data/k{n}"} for n in range(9999)])
    yield "PATCH", JSON, orjson.dumps([{"op": "test", "path": "/data/a", "value": "1"}] * 10_001)
    marks = [f"x/{n}" for n in range(99_000)]
    yield "PATCH", STRATEGIC, orjson.dumps({"metadata": {"finalizers": marks}, "data": {"a": ["no text"]}})
    yield "POST", "application/json", b" " * 4 * 2**20


async def test_a_user_of_one_namespace_does_not_hold_the_hub_up(shadow, parent, lab):
    name = f"hostile-{shadow.namespace}"
    namespace = f"{shadow.namespace}-hostile"
    verbs = ["create", "get", "patch", "delete"]
    role = {
        "apiVersion": RBAC,
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [{"apiGroups": ["shadow"], "resources": ["configmaps"], "verbs": verbs}],
    }
    binding = {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
    }
    await parent.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    await parent.create(CLUSTER_ROLES, role)
    await parent.create(ROLE_BINDINGS, binding)
    path = f"{API}/namespaces/{namespace}/configmaps"
    told = set()

    async def send(method, content_type, body):
        headers = {"Impersonate-User": name, "Content-Type": content_type}
        where = f"{path}/a?fieldManager=x" if method == "PATCH" else path
        async with shadow.session.request(method, where, data=body, headers=headers) as answer:
            status = orjson.loads(await answer.read())
            told.add((content_type, answer.status))
            return answer.status, status

    async def attack(requests):
        while True:
            for request in requests:
                await send(*request)

    async def made():
        return (await send("POST", "application/json", orjson.dumps(config_map("a", a="1"))))[0] == 201

    port = lab.cluster("parent").engine_port
    try:
        await eventually(made)
        requests = list(hostile_bodies())
        async with asyncio.TaskGroup() as tasks, aiohttp.ClientSession() as session:
            attackers = [tasks.create_task(attack(requests[n:] + requests[:n])) for n in range(0, len(requests), 3)]
            for number in range(20):
                async with asyncio.timeout(10):
                    async with session.get(f"https://127.0.0.1:{port}/livez", ssl=False) as answer:
                        assert answer.status == 200
                    assert (await shadow.create("configmaps", config_map(f"m{number}", a="1")))[0] == 201
            for attacker in attackers:
                attacker.cancel()
        for request in requests:
            status, answer = await send(*request)
            assert status in (400, 413, 422), answer
            assert "an error inside the hub" not in answer["message"]
        assert {status for _, status in told} <= {201, 400, 413, 422, 429, 504}
        assert (await shadow.ask("GET", f"{path}/a"))[1]["data"] == {"a": "1"}
    finally:
        await shadow.ask("DELETE", f"{path}/a")
        await parent.delete(CLUSTER_ROLES, name)
        await parent.delete(NAMESPACES, namespace)


async def test_many_writers_lose_nothing(shadow):
    await shadow.create("configmaps", config_map("a"))
    path = shadow.path("configmaps", "a")

    async def write(number):
        for _ in range(20):
            status, _, _ = await shadow.ask("PATCH", path, {"data": {f"k{number}": "1"}}, MERGE)
            if status != 409:
                return status
        return status

    assert set(await asyncio.gather(*map(write, range(8)))) == {200}
    _, body, _ = await shadow.ask("GET", path)
    assert len(body["data"]) == 8


class Kubectl:
    """Runs kubectl on the parent cluster, in a namespace."""

    def __init__(self, lab, namespace):
        self._command = [sys.executable, "-m", "clusternet_lab", "kubectl", "--name", lab.name, "parent"]
        self._namespace = namespace

    async def __call__(self, *arguments, stdin=None):
        command = [*self._command, f"--namespace={self._namespace}", *arguments]
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        output, errors = await process.communicate(stdin.encode() if stdin else None)
        assert process.returncode == 0, errors.decode()
        return output.decode()


@pytest.mark.parametrize("validate", ["--validate=false", "--validate=strict"])
async def test_kubectl(shadow, lab, validate):
    kubectl = Kubectl(lab, shadow.namespace)
    obj = {**deployment(), "apiVersion": "shadow/v1alpha1"}
    text = json.dumps(obj)
    assert "created" in await kubectl("create", validate, "-f", "-", stdin=text)
    assert "web" in await kubectl("get", "deployments.shadow")
    assert "deleted" in await kubectl("delete", "deployments.shadow/web")
    assert "created" in await kubectl("apply", validate, "-f", "-", stdin=text)
    # Its patch says `apiVersion: shadow/v1alpha1` again, so it doesn't call it unchanged; but nothing has changed.
    assert "configured" in await kubectl("apply", validate, "-f", "-", stdin=text)
    assert (await shadow.manifest("deployments", "web"))["metadata"]["generation"] == 1
    obj["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "side:1"})
    assert "configured" in await kubectl("apply", validate, "-f", "-", stdin=json.dumps(obj))
    found = json.loads(await kubectl("get", "deployments.shadow", "web", "-o", "json"))
    assert found["apiVersion"] == "apps/v1"
    assert [one["name"] for one in found["spec"]["template"]["spec"]["containers"]] == ["c", "side"]
    assert "patched" in await kubectl(
        "patch", "deployments.shadow/web", "--type=merge", "-p", '{"spec":{"replicas":4}}'
    )
    assert "scaled" in await kubectl("scale", "deployments.shadow/web", "--replicas=6")
    assert "labeled" in await kubectl("label", "deployments.shadow/web", "tier=front")
    found = json.loads(await kubectl("get", "deployments.shadow", "-l", "tier=front", "-o", "json"))
    assert [item["spec"]["replicas"] for item in found["items"]] == [6]
    applied = await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(obj))
    assert "serverside-applied" in applied


async def test_kubectl_explains_and_validates(shadow, lab):
    kubectl = Kubectl(lab, shadow.namespace)
    assert "template" in await kubectl("explain", "deployments.spec", "--api-version=shadow/v1alpha1")
    wrong = {**deployment(), "apiVersion": "shadow/v1alpha1"}
    wrong["spec"]["replicaz"] = 1
    with pytest.raises(AssertionError, match="replicaz"):
        await kubectl("create", "-f", "-", stdin=json.dumps(wrong))
