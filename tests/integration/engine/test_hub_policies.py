"""What the API server refuses to children and to the hub although their permissions allow it, by policies."""

import json
import uuid

import pytest
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.errors import AlreadyExists, ApiError, Forbidden
from clusternet_engine.kube.resources import (
    BASES,
    CLUSTER_REGISTRATION_REQUESTS,
    CLUSTER_ROLE_BINDINGS,
    CONFIG_MAPS,
    DESCRIPTIONS,
    EVENTS,
    HELM_CHARTS,
    LOCALIZATIONS,
    MANAGED_CLUSTERS,
    NAMESPACES,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SUBSCRIPTIONS,
)
from clusternet_engine.model.constants import APPS_GROUP, MANAGED_CLUSTER_ROLE, READS_VALUES_ANNOTATION
from clusternet_engine.model.rbac import namespace_rules
from hub_site import Applicant, acts_as_child, eventually, policies
from publishing import chart, config_map, localization, subscription

pytestmark = pytest.mark.usefixtures("hub")

EVERYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
DEPLOYER = "child-cluster-deployer"


@pytest.fixture
async def child(applicant):
    one = applicant(clusterLabels={"env": "prod"})
    await one.ask()
    await one.approved()
    return one


@pytest.fixture
async def namespace(child):
    return (await child.status())["dedicatedNamespace"]


@pytest.fixture
async def acting(child, lab):
    async with acts_as_child(lab, await child.status()) as client:
        yield client


@pytest.fixture
async def unlimited(child, namespace, acting, parent):
    """The child with all permissions in its namespace, as a Role that the hub may not narrow gives them."""
    keep = {"metadata": {"annotations": {"clusternet.io/autoupdate": "false"}}, "rules": EVERYTHING}
    await parent.patch(ROLES, MANAGED_CLUSTER_ROLE, keep, namespace)

    async def may():
        try:
            await acting.list(SUBSCRIPTIONS, namespace)
        except Forbidden:
            return False
        return True

    await eventually(may)
    return acting


def base(namespace):
    feed = {"apiVersion": "v1", "kind": "Secret", "name": "db"}
    return {
        "apiVersion": BASES.api_version,
        "kind": "Base",
        "metadata": {"name": "peek", "namespace": namespace},
        "spec": {"feeds": [feed]},
    }


def managed_cluster(namespace):
    return {
        "apiVersion": MANAGED_CLUSTERS.api_version,
        "kind": "ManagedCluster",
        "metadata": {"name": "bank-prod", "namespace": namespace},
        "spec": {"clusterId": str(uuid.uuid4()), "syncMode": "Pull"},
    }


def secret(name, **fields):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **fields}


async def make_description(parent, namespace):
    """Make what the hub makes of a Base."""
    body = {
        "apiVersion": DESCRIPTIONS.api_version,
        "kind": "Description",
        "metadata": {
            "name": "web-generic",
            "namespace": namespace,
            "labels": {"apps.clusternet.io/subs.uid": "mine"},
            "annotations": {"apps.clusternet.io/rendered-feeds": "[]"},
        },
        "spec": {"deployer": "Generic", "raw": ["e30="]},
    }
    return await parent.create(DESCRIPTIONS, body)


async def test_no_child_writes_what_only_administrators_and_the_hub_write(child, namespace, unlimited, parent):
    name = (await child.status())["managedClusterName"]
    account = (await child.only(SERVICE_ACCOUNTS))["metadata"]["name"]
    await make_description(parent, namespace)
    bound = config_map("web", namespace)
    of_account = {"type": "kubernetes.io/service-account-token"}
    of_account["metadata"] = {"name": DEPLOYER, "annotations": {"kubernetes.io/service-account.name": account}}

    def label(**labels):
        return {"metadata": {"labels": labels}}

    def note(**annotations):
        return {"metadata": {"annotations": annotations}}

    attempts = {
        "a Subscription": lambda: unlimited.create(SUBSCRIPTIONS, subscription("all", [bound], namespace=namespace)),
        "a HelmChart": lambda: unlimited.create(HELM_CHARTS, chart("evil", namespace)),
        "a Localization": lambda: unlimited.create(LOCALIZATIONS, localization("l", namespace, bound, [])),
        "a Base": lambda: unlimited.create(BASES, base(namespace)),
        "a ConfigMap": lambda: unlimited.create(CONFIG_MAPS, bound),
        "a second ManagedCluster": lambda: unlimited.create(MANAGED_CLUSTERS, managed_cluster(namespace)),
        "no ManagedCluster": lambda: unlimited.delete(MANAGED_CLUSTERS, name, namespace),
        "a label": lambda: unlimited.patch(MANAGED_CLUSTERS, name, label(tier="gold"), namespace),
        "no label": lambda: unlimited.patch(
            MANAGED_CLUSTERS, name, label(**{"clusters.clusternet.io/cluster-name": None}), namespace
        ),
        "an annotation": lambda: unlimited.patch(
            MANAGED_CLUSTERS, name, note(**{"apps.clusternet.io/cluster-init-base": "peek"}), namespace
        ),
        "taints": lambda: unlimited.patch(MANAGED_CLUSTERS, name, {"spec": {"syncMode": "Push"}}, namespace),
        "a finalizer": lambda: unlimited.patch(
            MANAGED_CLUSTERS, name, {"metadata": {"finalizers": ["a/b"]}}, namespace
        ),
        "the Namespace": lambda: unlimited.patch(
            NAMESPACES, namespace, label(**{"pod-security.kubernetes.io/enforce": "privileged"})
        ),
        "another Secret": lambda: unlimited.create(SECRETS, secret("other"), namespace),
        "a token": lambda: unlimited.create(SECRETS, secret(DEPLOYER) | of_account, namespace),
        "a Description": lambda: unlimited.patch(DESCRIPTIONS, "web-generic", {"spec": {"raw": []}}, namespace),
        "its Subscription": lambda: unlimited.patch(
            DESCRIPTIONS, "web-generic", label(**{"apps.clusternet.io/subs.uid": "yours"}), namespace
        ),
        "what is rendered": lambda: unlimited.patch(
            DESCRIPTIONS, "web-generic", note(**{"apps.clusternet.io/rendered-feeds": "x"}), namespace
        ),
        "no Description": lambda: unlimited.delete(DESCRIPTIONS, "web-generic", namespace),
        "a Role": lambda: unlimited.delete(ROLES, MANAGED_CLUSTER_ROLE, namespace),
        "another request": lambda: unlimited.create(CLUSTER_REGISTRATION_REQUESTS, request_of(Applicant(parent))),
    }
    answers = {what: await answer_to(attempt()) for what, attempt in attempts.items()}
    taken = [what for what, answer in answers.items() if "ValidatingAdmissionPolicy 'clusternet-child" not in answer]
    assert not taken, {what: answers[what] for what in taken}


async def answer_to(attempt):
    """Return why an attempt is refused; empty where it isn't."""
    try:
        await attempt
    except ApiError as error:
        return f"{error.status} {error.message}"
    return ""


def request_of(applicant):
    return {
        "apiVersion": CLUSTER_REGISTRATION_REQUESTS.api_version,
        "kind": CLUSTER_REGISTRATION_REQUESTS.kind,
        "metadata": {"name": applicant.request_name},
        "spec": applicant.spec,
    }


async def test_a_child_writes_what_its_agent_writes(child, namespace, acting, parent):
    """With its usual Role: every rule of it is of use, under the policies."""
    role = await parent.get(ROLES, MANAGED_CLUSTER_ROLE, namespace)
    name = (await child.status())["managedClusterName"]
    account = (await child.only(SERVICE_ACCOUNTS))["metadata"]["name"]
    assert role["rules"] == namespace_rules(name, account)

    async def listed():
        try:
            return (await acting.list(MANAGED_CLUSTERS, namespace)).items
        except Forbidden:
            return []

    [cluster] = await eventually(listed)
    status = {"heartbeatFrequencySeconds": 180, "healthz": True}
    await acting.update(MANAGED_CLUSTERS, {**cluster, "status": status}, subresource="status")
    labels = {"metadata": {"labels": {"node.clusternet.io/gpu": "yes"}}}
    assert (await acting.patch(MANAGED_CLUSTERS, name, labels, namespace))["metadata"]["labels"]["env"] == "prod"
    labels["metadata"]["labels"]["node.clusternet.io/gpu"] = None
    await acting.patch(MANAGED_CLUSTERS, name, labels, namespace)
    reads = {"metadata": {"annotations": {READS_VALUES_ANNOTATION: "true"}}}
    await acting.patch(MANAGED_CLUSTERS, name, reads, namespace)
    await make_description(parent, namespace)
    written = {
        "finalizers": [f"{APPS_GROUP}/finalizer"],
        "annotations": {f"{APPS_GROUP}/applied-objects": "[]"},
    }
    await acting.patch(DESCRIPTIONS, "web-generic", {"metadata": written}, namespace)
    phase = {"status": {"phase": "Success"}}
    await acting.patch(DESCRIPTIONS, "web-generic", phase, namespace, subresource="status")
    made = await acting.create(SECRETS, secret(DEPLOYER, stringData={"token": "t"}), namespace)
    await acting.update(SECRETS, {**made, "stringData": {"token": "u"}})
    event = {
        "metadata": {"name": "e", "namespace": namespace},
        "involvedObject": {"namespace": namespace, "kind": "Description", "name": "web-generic"},
    }
    await acting.create(EVENTS, event, namespace)
    with pytest.raises(AlreadyExists):
        await acting.create(CLUSTER_REGISTRATION_REQUESTS, request_of(child))
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    body = b'{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}'
    assert (await acting.raw("POST", path, body=body)).status == 201
    other = await acting.raw("POST", path.replace(account, "default"), body=body)
    assert other.status == 403
    await parent.patch(DESCRIPTIONS, "web-generic", {"metadata": {"finalizers": None}}, namespace)


async def test_the_hub_touches_nobody_elses_roles_and_credentials(child, namespace, parent, hub_kubeconfig):
    """Not even with its own credential, which may write all roles and make tokens everywhere."""
    role = {"metadata": {"name": f"mine-{namespace}", "namespace": "default"}, "rules": []}
    binding = {
        "metadata": {"name": f"mine-{namespace}"},
        "roleRef": {"apiGroup": ROLES.group, "kind": "ClusterRole", "name": f"clusternet-{child.id}"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    }
    of_account = {
        "metadata": {"name": "stolen", "annotations": {"kubernetes.io/service-account.name": "default"}},
        "type": "kubernetes.io/service-account-token",
    }
    body = b'{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}'
    path = "/api/v1/namespaces/{}/serviceaccounts/default/token"
    await parent.create(ROLES, role)
    try:
        async with Client(ClusterConfig.from_kubeconfig(hub_kubeconfig)) as acting:
            refused = {
                "make a binding": acting.create(CLUSTER_ROLE_BINDINGS, binding),
                "make a role": acting.create(ROLES, {"metadata": {"name": "other"}, "rules": []}, "default"),
                "remove a role": acting.delete(ROLES, role["metadata"]["name"], "default"),
                "remove an administrator": acting.delete(CLUSTER_ROLE_BINDINGS, "cluster-admin"),
                "make a token Secret": acting.create(SECRETS, of_account, "kube-system"),
                "label kube-system": acting.patch(NAMESPACES, "kube-system", {"metadata": {"labels": child.labels}}),
            }
            answers = {what: await answer_to(attempt) for what, attempt in refused.items()}
            taken = {
                what: why for what, why in answers.items() if "ValidatingAdmissionPolicy 'clusternet-hub" not in why
            }
            assert not taken
            assert (await acting.raw("POST", path.format("kube-system"), body=body)).status == 403
            assert (await acting.raw("POST", path.format(namespace), body=body)).status == 201
    finally:
        await parent.delete(ROLES, role["metadata"]["name"], "default")


@pytest.mark.parametrize("prefixes", [[], ["node.clusternet.io/", "example.com/gpu-"]], ids=len)
async def test_the_api_server_takes_the_policies_of_every_variable(parent, prefixes):
    """An expression that it can't compile is refused, or warned of in the status."""
    for policy in policies(clusternet_hub_child_rights="clusternet", clusternet_hub_child_label_prefixes=prefixes):
        policy["metadata"]["name"] += "-trial"
        path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies?dryRun=All"
        answer = await parent.raw("POST", path, body=json.dumps(policy).encode())
        assert answer.status == 201, answer
