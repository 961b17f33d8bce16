"""Tests that what an API server makes of objects is no drift, and what others set is theirs; what they take is told."""

from random import randbytes

import pytest
from clusternet_engine.deploy.objects import Objects
from clusternet_engine.kube.client import PatchType
from clusternet_engine.kube.resources import NAMESPACES, Resource
from clusternet_engine.model.applied import prepare
from clusternet_engine.model.drift import drifted

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", namespaced=True)
OWNER = "ns.description"


@pytest.fixture
async def namespace(child):
    """A namespace of a child, gone afterwards."""
    name = f"drift-{randbytes(4).hex()}"
    await child.create(NAMESPACES, {"metadata": {"name": name}})
    yield name
    await child.delete(NAMESPACES, name)


@pytest.fixture
def objects(child):
    return Objects(child)


def deployment(namespace, **spec):
    """A Deployment as people write them: with zeros, odd quantities and without what has a default."""
    container = {
        "name": "main",
        "image": "registry.example.org/web:1",
        "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}],
        "env": [{"name": "EMPTY", "value": ""}, {"name": "SET", "value": "1"}],
        "resources": {"requests": {"cpu": "0.5", "memory": "1024Ki"}, "limits": {"cpu": 1, "memory": "1e9"}},
        "securityContext": {"privileged": False},
        "stdin": False,
        "args": [],
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch", "readOnly": False}],
    }
    template = {
        "metadata": {"labels": {"app": "web"}, "creationTimestamp": None},
        "spec": {
            "containers": [container],
            "hostNetwork": False,
            "securityContext": {},
            "volumes": [{"name": "scratch", "emptyDir": {}}],
            "tolerations": [{"key": "x", "operator": "Exists", "value": ""}],
        },
    }
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template, "paused": False, **spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": spec,
    }


def others(namespace):
    """Return objects of further kinds whose stored form differs from the written one."""

    def obj(api_version, kind, **fields):
        return {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {"name": "web", "namespace": namespace, "labels": {"empty": ""}},
            **fields,
        }

    yield obj(
        "v1",
        "Service",
        spec={"selector": {"app": "web"}, "ports": [{"port": 80, "name": "web"}, {"port": 53, "name": "dns"}]},
    )
    yield obj(
        "v1",
        "PersistentVolumeClaim",
        spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2048Mi"}}},
    )
    yield obj("v1", "Secret", stringData={"password": "x"}, data={"user": "eA=="}, immutable=False)
    yield obj("v1", "ConfigMap", data={"empty": ""}, binaryData={})
    yield obj("v1", "ResourceQuota", spec={"hard": {"requests.cpu": 4000, "pods": "1k"}})
    yield obj(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        spec={"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}, "maxReplicas": 5},
    )
    yield obj(
        "batch/v1",
        "CronJob",
        spec={
            "schedule": "* * * * *",
            "suspend": True,
            "startingDeadlineSeconds": 0,
            "jobTemplate": {"spec": {"template": deployment(namespace)["spec"]["template"]}},
        },
    )
    yield obj("rbac.authorization.k8s.io/v1", "Role", rules=[])
    yield obj(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        spec={"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}], "egress": []},
    )


async def test_what_the_server_writes_in_another_way_is_no_drift(child, objects, namespace):
    job = next(item for item in others(namespace) if item["kind"] == "CronJob")
    job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    sent = [deployment(namespace), *(item for item in others(namespace) if item["kind"] != "CronJob"), job]
    wanted = [prepare(item, OWNER) for item in sent]
    made = await objects.apply(wanted)
    assert [outcome.error for outcome in made] == [""] * len(wanted)
    writes = []
    patch = child.patch

    async def noted(resource, *arguments, **options):
        writes.append(resource.kind)
        return await patch(resource, *arguments, **options)

    child.patch = noted
    try:
        again = await objects.apply(wanted)
    finally:
        del child.patch
    assert (writes, [outcome.changed for outcome in again]) == ([], [False] * len(wanted))


async def test_replicas_that_nobody_published_are_the_autoscalers(child, objects, namespace):
    wanted = [prepare(deployment(namespace), OWNER)]
    await objects.apply(wanted)
    for count in (3, 5):
        await child.patch(DEPLOYMENTS, "web", {"spec": {"replicas": count}}, namespace, subresource="scale")
        (outcome,) = await objects.apply(wanted)
        assert not outcome.changed
        newer = deployment(namespace)
        newer["spec"]["template"]["spec"]["containers"][0]["image"] = f"registry.example.org/web:{count}"
        wanted = [prepare(newer, OWNER)]
        (outcome,) = await objects.apply(wanted)
        assert outcome.changed
        assert (await child.get(DEPLOYMENTS, "web", namespace))["spec"]["replicas"] == count


async def test_who_changed_what_is_published_is_told(child, objects, namespace):
    wanted = prepare(deployment(namespace, replicas=2), OWNER)
    await objects.apply([wanted])
    await child.patch(
        DEPLOYMENTS, "web", {"spec": {"replicas": 4}}, namespace, subresource="scale", field_manager="autoscaler"
    )
    assert drifted(await child.get(DEPLOYMENTS, "web", namespace), wanted)
    (outcome,) = await objects.apply([wanted])
    assert (outcome.changed, outcome.rivals) == (True, ((".spec.replicas", "autoscaler"),))
    assert (await child.get(DEPLOYMENTS, "web", namespace))["spec"]["replicas"] == 2


async def test_what_others_add_to_lists_stays_and_what_they_change_there_is_drift(child, objects, namespace):
    wanted = prepare(deployment(namespace), OWNER)
    await objects.apply([wanted])

    async def patched(containers, kind=PatchType.STRATEGIC):
        patch = {"spec": {"template": {"spec": {"containers": containers}}}}
        await child.patch(DEPLOYMENTS, "web", patch, namespace, kind=kind, field_manager="mesh")
        (outcome,) = await objects.apply([wanted])
        return outcome

    sidecar = {"name": "sidecar", "image": "registry.example.org/mesh:1"}
    more = {"name": "main", "env": [{"name": "MORE", "value": "1"}]}
    assert not (await patched([sidecar, more])).changed
    changed = await patched([{"name": "main", "resources": {"requests": {"cpu": "700m"}}}])
    field = '.spec.template.spec.containers[name="main"].resources.requests.cpu'
    assert (changed.changed, changed.rivals) == (True, ((field, "mesh"),))
    gone = await patched([{"name": "main", "env": [{"name": "SET", "$patch": "delete"}]}])
    field = '.spec.template.spec.containers[name="main"].env'
    assert gone.changed
    assert [name for name, _ in gone.rivals] == [field]
    live = await child.get(DEPLOYMENTS, "web", namespace)
    containers = live["spec"]["template"]["spec"]["containers"]
    assert {one["name"] for one in containers} == {"main", "sidecar"}
    main = next(one for one in containers if one["name"] == "main")
    assert {one["name"] for one in main["env"]} == {"EMPTY", "SET", "MORE"}
    assert main["resources"]["requests"]["cpu"] == "500m"
