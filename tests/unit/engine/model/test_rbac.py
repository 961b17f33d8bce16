"""What an approved child gets on the parent, object by object."""

from pathlib import Path

import pytest
import yaml
from clusternet_engine.model.rbac import (
    ChildRights,
    cluster_role,
    cluster_role_binding,
    cluster_rules,
    namespace_role,
    namespace_role_binding,
    namespace_rules,
    outdated,
)
from jinja2 import Environment

RBAC = "rbac.authorization.k8s.io/v1"
ID = "0d3e7f5c-6c2a-4f0e-9d58-1f3c2b7a9e10"
LABELS = {
    "clusters.clusternet.io/bootstrapping": "rbac-defaults",
    "clusternet.io/created-by": "clusternet-controller-manager",
}
ACCOUNT = {"kind": "ServiceAccount", "name": "clusternet-abcde", "namespace": "clusternet-x7k2p"}
OF_THE_CLUSTER = {
    "name": f"clusternet-{ID}",
    "labels": {**LABELS, "clusters.clusternet.io/cluster-id": ID},
    "annotations": {"clusternet.io/autoupdate": "true"},
}
OF_THE_NAMESPACE = {
    "name": "clusternet-managedcluster-role",
    "namespace": "clusternet-x7k2p",
    "labels": LABELS,
    "annotations": {"clusternet.io/autoupdate": "true"},
}


def test_a_child_reads_its_own_request_and_uses_its_own_socket():
    assert cluster_role(ID) == {
        "apiVersion": RBAC,
        "kind": "ClusterRole",
        "metadata": OF_THE_CLUSTER,
        "rules": [
            {
                "apiGroups": ["clusters.clusternet.io"],
                "resources": ["clusterregistrationrequests"],
                "verbs": ["create"],
            },
            {
                "apiGroups": ["clusters.clusternet.io"],
                "resources": ["clusterregistrationrequests"],
                "resourceNames": [f"clusternet-{ID}"],
                "verbs": ["get"],
            },
            {
                "apiGroups": ["proxies.clusternet.io"],
                "resources": ["sockets"],
                "resourceNames": [ID],
                "verbs": ["*"],
            },
        ],
    }
    assert cluster_role_binding(ID, "clusternet-x7k2p", "clusternet-abcde") == {
        "apiVersion": RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": OF_THE_CLUSTER,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"clusternet-{ID}"},
        "subjects": [ACCOUNT],
    }


def test_a_child_may_do_in_its_namespace_what_an_agent_does():
    assert namespace_role("clusternet-x7k2p", "shop", "clusternet-abcde") == {
        "apiVersion": RBAC,
        "kind": "Role",
        "metadata": OF_THE_NAMESPACE,
        "rules": namespace_rules("shop", "clusternet-abcde"),
    }
    assert granted(namespace_rules("shop", "clusternet-abcde")) == {
        *allowed("clusters.clusternet.io", "managedclusters", "get list watch"),
        *allowed("clusters.clusternet.io", "managedclusters", "patch update", "shop"),
        *allowed("clusters.clusternet.io", "managedclusters/status", "patch update", "shop"),
        *allowed("apps.clusternet.io", "bases", "get list watch"),
        *allowed("apps.clusternet.io", "descriptions", "get list patch update watch"),
        *allowed("apps.clusternet.io", "descriptions/status", "patch update"),
        *allowed("apps.clusternet.io", "helmreleases", "get list patch update watch"),
        *allowed("apps.clusternet.io", "helmreleases/status", "patch update"),
        *allowed("", "secrets", "create get"),
        *allowed("", "secrets", "patch update", "child-cluster-deployer"),
        *allowed("", "serviceaccounts/token", "create", "clusternet-abcde"),
        *allowed("", "events", "create patch"),
    }


def test_clusternets_own_agent_may_do_more_where_that_is_asked_for():
    usual = granted(namespace_rules("shop", "clusternet-abcde"))
    assert granted(namespace_rules("shop", "clusternet-abcde", ChildRights.CLUSTERNET)) - usual == {
        *allowed("apps.clusternet.io", "helmreleases", "delete"),
        *allowed("discovery.k8s.io", "endpointslices", "create delete deletecollection get list patch update watch"),
    }


@pytest.mark.parametrize("rights", ChildRights)
def test_the_hub_holds_what_it_gives(rights):
    """Without the right to escalate it can't give anything else."""
    held = granted(hub_rules(rights))
    assert not any(verb in ("escalate", "bind", "*") for _, resource, verb, _ in held if resource != "sockets")
    for group, resource, verb, name in granted([*cluster_rules(ID), *namespace_rules("c", "a", rights)]):
        assert held & {(group, resource, one, which) for one in (verb, "*") for which in (name, None)}, (resource, verb)


def granted(rules):
    """Return what rules allow as (group, resource, verb, name or None for every name)."""
    return {
        (group, resource, verb, name)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [None])
    }


def allowed(group, resource, verbs, name=None):
    return {(group, resource, verb, name) for verb in verbs.split()}


def hub_rules(rights):
    """Return the rules of the hub's ClusterRole, as the role `hub` makes it."""
    environment = Environment(autoescape=False)
    environment.filters["to_json"] = str
    template = Path(__file__).parents[4] / "roles" / "hub" / "templates" / "objects.yaml.j2"
    variables = {"clusternet_hub_proxy_subjects": [], "clusternet_hub_secure_port": 0}
    text = environment.from_string(template.read_text()).render(clusternet_hub_child_rights=rights.value, **variables)
    [role] = [
        one
        for one in yaml.safe_load_all(text)
        if one and (one["kind"], one["metadata"]["name"]) == ("ClusterRole", "clusternet:hub")
    ]
    return role["rules"]


def test_the_role_is_bound_to_the_account():
    assert namespace_role_binding("clusternet-x7k2p", "clusternet-abcde") == {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": OF_THE_NAMESPACE,
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Role",
            "name": "clusternet-managedcluster-role",
        },
        "subjects": [ACCOUNT],
    }


def test_what_the_api_server_fills_in_is_no_difference():
    wanted = cluster_role_binding(ID, "clusternet-x7k2p", "clusternet-abcde")
    assert outdated({**wanted, "subjects": [{**ACCOUNT, "apiGroup": ""}]}, wanted) is None
    assert outdated({**wanted, "subjects": []}, wanted) == wanted
