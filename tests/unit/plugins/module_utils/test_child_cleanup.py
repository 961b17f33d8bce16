"""What is removed from a child, in which order, and what has to stay."""

import base64
import json
from typing import Any

import pytest
from ansible_collections.clusternet.core.plugins.module_utils.child_cleanup import assemble, system_namespace
from ansible_collections.clusternet.core.plugins.module_utils.object_namespaces import describe
from ansible_collections.clusternet.core.plugins.module_utils.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    PERSISTENT_VOLUME_CLAIMS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
)

NAMESPACE = "agents"


def one(name: str, namespace: str | None = NAMESPACE, **content: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **content.pop("metadata", {})}
    return {"metadata": metadata, **content}


def token(account: str) -> dict[str, Any]:
    return one(f"{account}-token", metadata={"annotations": {"kubernetes.io/service-account.name": account}})


def deployment(name: str, account: str, release: str | None = None) -> dict[str, Any]:
    annotations = {"meta.helm.sh/release-name": release} if release else {}
    pod = {"serviceAccountName": account}
    return one(name, metadata={"annotations": annotations}, spec={"template": {"spec": pod}})


def release(name: str) -> dict[str, Any]:
    return one(f"sh.helm.release.v1.{name}.v1", metadata={"labels": {"owner": "helm", "name": name}})


def inside(**further: list) -> dict:
    """Return what the role puts into the namespace, and more."""
    kinds = {
        "secrets": SECRETS,
        "accounts": SERVICE_ACCOUNTS,
        "config_maps": CONFIG_MAPS,
        "services": SERVICES,
        "deployments": DEPLOYMENTS,
        "stateful_sets": STATEFUL_SETS,
        "daemon_sets": DAEMON_SETS,
        "claims": PERSISTENT_VOLUME_CLAIMS,
        "roles": ROLES,
        "role_bindings": ROLE_BINDINGS,
    }
    usual = {
        "secrets": [
            one("clusternet-agent-cluster-registration"),
            one("parent-cluster"),
            token("clusternet-agent"),
            token("clusternet-app-deployer"),
        ],
        "accounts": [one("default"), one("clusternet-agent"), one("clusternet-app-deployer")],
        "config_maps": [one("kube-root-ca.crt")],
        "roles": [one("clusternet:agent:admin"), one("other")],
        "role_bindings": [one("clusternet:agent:admin")],
    }
    return {kind: usual.get(name, []) + further.get(name, []) for name, kind in kinds.items()}


WIDE = {
    "clusternet-agent": [
        (CLUSTER_ROLE_BINDINGS, one("clusternet:agent:admin", None)),
        (CLUSTER_ROLES, one("clusternet:agent:admin", None)),
    ],
    "clusternet-app-deployer": [(CLUSTER_ROLE_BINDINGS, one("clusternet:app:deployer:admin", None))],
}
LEASE = one("clusternet-agent", spec={"holderIdentity": "edge-host_1"})
PLACE = one(NAMESPACE, None)


def names(child: Any) -> list[str]:
    return [describe({"kind": resource.kind, **obj}) for resource, obj in child.objects]


def test_registration_and_rights_go_first_and_the_binding_that_does_it_last() -> None:
    found = assemble(NAMESPACE, LEASE, inside(), WIDE, PLACE)
    assert names(found) == [
        "Secret agents/clusternet-agent-cluster-registration",
        "RoleBinding agents/clusternet:agent:admin",
        "ClusterRoleBinding clusternet:agent:admin",
        "ClusterRole clusternet:agent:admin",
        "Role agents/clusternet:agent:admin",
        "Secret agents/clusternet-agent-token",
        "ServiceAccount agents/clusternet-agent",
        "Secret agents/parent-cluster",
        "Lease agents/clusternet-agent",
        "Namespace agents",
        "ServiceAccount agents/clusternet-app-deployer",
        "ClusterRoleBinding clusternet:app:deployer:admin",
    ]
    (process,) = found.stays
    assert process["where"] == "host"
    assert process["what"] == "the agent's process on edge-host"
    assert "only waits" in process["why"]


def test_an_agent_of_a_chart_goes_with_its_release() -> None:
    more = inside(deployments=[deployment("agent", "clusternet-agent", "my-agent")], secrets=[release("my-agent")])
    found = assemble(NAMESPACE, LEASE, more, WIDE, PLACE)
    assert names(found)[-6:-3] == [
        "Secret agents/sh.helm.release.v1.my-agent.v1",
        "Lease agents/clusternet-agent",
        "Deployment agents/agent",
    ]
    assert names(found)[-3] == "Namespace agents"
    assert found.stays == []


@pytest.mark.parametrize(
    ("kind", "other", "shown"),
    [
        ("deployments", deployment("web", "web"), "Deployment web"),
        ("secrets", release("web"), "Secret sh.helm.release.v1.web.v1"),
        ("accounts", one("clusternet-hub"), "ServiceAccount clusternet-hub"),
        ("claims", one("data"), "PersistentVolumeClaim data"),
    ],
)
def test_a_namespace_with_something_of_others_stays(kind: str, other: dict, shown: str) -> None:
    found = assemble(NAMESPACE, LEASE, inside(**{kind: [other]}), WIDE, PLACE)
    assert "Namespace agents" not in names(found)
    assert {"where": "child", "what": "Namespace agents", "why": f"it is in use: {shown}"} in found.stays
    assert other["metadata"]["name"] not in " ".join(names(found))


def test_namespaces_of_kubernetes_itself_stay() -> None:
    found = assemble("kube-system", LEASE, inside(), WIDE, one("kube-system", None))
    assert "Namespace kube-system" not in names(found)


def test_a_second_run_goes_on_with_what_is_left() -> None:
    nothing = {kind: [] for kind in inside()}
    found = assemble(NAMESPACE, None, nothing, {account: [] for account in WIDE}, None)
    assert found == ([], [])


def test_an_agent_that_has_its_token_from_elsewhere_may_register_anew() -> None:
    bare = {**inside(), SECRETS: []}
    (process,) = assemble(NAMESPACE, LEASE, bare, WIDE, PLACE).stays
    assert "may register anew" in process["why"]


def test_the_namespace_is_that_of_the_token() -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"sub": "system:serviceaccount:agents:deployer"}).encode()).decode()
    assert system_namespace(f"e30.{claims.rstrip('=')}.c2ln") == "agents"
    for other in ("", "opaque", "a.b.c", "e30.e30.c2ln", "e30.bnVsbA.c2ln"):
        assert system_namespace(other) == "clusternet-system"
