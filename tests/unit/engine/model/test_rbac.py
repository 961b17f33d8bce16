"""What an approved child gets on the parent (spec/02 §6.2), object by object."""

from clusternet_engine.model.rbac import (
    cluster_role,
    cluster_role_binding,
    namespace_role,
    namespace_role_binding,
    outdated,
)

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


def test_a_child_may_do_everything_in_its_namespace():
    assert namespace_role("clusternet-x7k2p") == {
        "apiVersion": RBAC,
        "kind": "Role",
        "metadata": OF_THE_NAMESPACE,
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    }
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
