"""Invalid values fail before any request, naming the option."""

import pytest

CLUSTER_ID = "5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21"


def _config_map(name):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "foo"}}


_BARE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}

INVALID = [
    ("bootstrap_token", "token", {"token": "UPPER1.0123456789abcdef"}),
    ("bootstrap_token", "token", {"token": "abcdef.short"}),
    ("bootstrap_token", "token_id", {"token_id": "abc", "state": "absent"}),
    ("bootstrap_token", "token_id", {"token_id": "abcdef"}),
    ("bootstrap_token", "ttl", {"ttl": "a week"}),
    ("bootstrap_token", "expires_at", {"expires_at": "2001-01-01T00:00:00Z"}),
    ("bootstrap_token", "expires_at", {"expires_at": "tomorrow"}),
    ("bootstrap_token", "minimum_validity", {"minimum_validity": "-1h"}),
    ("registration", "cluster_id", {"cluster_id": "7", "cluster_name": "a"}),
    ("registration", "cluster_name", {"cluster_id": CLUSTER_ID, "cluster_name": "a" * 31}),
    ("registration", "cluster_name", {"cluster_id": CLUSTER_ID, "cluster_name": "Upper"}),
    ("registration", "cluster_name", {"cluster_id": CLUSTER_ID}),
    (
        "registration",
        "cluster_namespace",
        {"cluster_id": CLUSTER_ID, "cluster_name": "a", "cluster_namespace": "under_score"},
    ),
    ("registration", "cluster_labels", {"cluster_id": CLUSTER_ID, "cluster_name": "a", "cluster_labels": {"a b": "c"}}),
    ("registration", "sync_mode", {"cluster_id": CLUSTER_ID, "cluster_name": "a", "sync_mode": "Both"}),
    ("registration", "wait_timeout", {"cluster_id": CLUSTER_ID, "cluster_name": "a", "wait_timeout": 0}),
    ("registration_info", "cluster_ids", {"cluster_ids": ["x"]}),
    ("registration_info", "label_selector", {"label_selector": "a in b"}),
    ("managed_cluster", "names", {}),
    ("managed_cluster", "names", {"names": ["Upper"]}),
    ("managed_cluster", "labels", {"names": ["a"], "labels": {"k": True}}),
    ("managed_cluster", "labels", {"names": ["a"], "labels": {"k": "v" * 64}}),
    ("managed_cluster", "labels", {"names": ["a"], "labels": {"clusters.clusternet.io/cluster-id": "x"}}),
    ("managed_cluster", "labels", {"names": ["a"], "labels": {"node.clusternet.io/zone": "x"}}),
    ("managed_cluster", "taints", {"names": ["a"], "taints": [{"key": "-", "effect": "NoSchedule"}]}),
    ("managed_cluster", "effect", {"names": ["a"], "taints": [{"key": "k", "effect": "Never"}]}),
    (
        "managed_cluster",
        "taints",
        {"names": ["a"], "taints": [{"key": "clusters.clusternet.io/unschedulable", "effect": "NoSchedule"}]},
    ),
    ("managed_cluster", "sync_mode", {"names": ["a"], "sync_mode": "push"}),
    ("gateway", "port", {"path": "/tmp/children", "port": 70000}),
    ("gateway", "idle_timeout", {"path": "/tmp/children", "idle_timeout": -1}),
    ("gateway", "service_account", {"path": "/tmp/children", "service_account": {"name": "A_", "namespace": "a"}}),
    ("gateway", "executable", {"path": "/tmp/children", "executable": "/nonexistent"}),
    ("managed_cluster_info", "namespace", {"namespace": "a/b"}),
    ("managed_cluster_info", "wait_min_count", {"wait_min_count": -1}),
    ("objects", "definitions", {"definitions": [{"kind": "ConfigMap"}]}),
    ("objects", "src", {"src": ["/nonexistent.yml"]}),
    ("manifest", "definitions", {"definitions": [{"kind": "ConfigMap"}]}),
    ("manifest", "definitions", {"definitions": ["a: [1"]}),
    ("manifest", "definitions", {"definitions": [_config_map("a/b")]}),
    ("manifest", "definitions", {"definitions": [_config_map("c"), _config_map("c")]}),
    ("manifest", "definitions", {"definitions": [{**_config_map("c"), "apiVersion": "apps.clusternet.io/v1alpha1"}]}),
    ("manifest", "src", {"src": ["/nonexistent.yml"]}),
    *(
        (module, "namespace", {"definitions": [_BARE], "namespace": "a/b"})
        for module in ("manifest", "objects", "render")
    ),
    ("child_object", "default_namespace", {"names": ["a"], "definitions": [_BARE], "default_namespace": "a/b"}),
    *(
        (module, "definitions", {"definitions": [_BARE, _config_map("c")], **options})
        for module, options in {
            "manifest": {"namespace": "foo"},
            "objects": {"namespace": "foo"},
            "render": {"namespace": "foo"},
            "child_object": {"names": ["a"], "default_namespace": "foo"},
        }.items()
    ),
    *(
        (module, "metadata.namespace", {"definitions": [{**_BARE, "metadata": {"name": "c", "namespace": 5}}]})
        for module in ("manifest", "objects", "render")
    ),
    ("helm_chart", "charts", {"charts": [{"name": "a"}]}),
    ("helm_chart", "charts", {"charts": [{"name": "a"}, {"name": "a"}], "state": "absent"}),
    ("subscription", "subscriptions", {"subscriptions": [{"name": "a"}]}),
    ("subscription", "wait_for", {"subscriptions": [{"name": "a"}], "wait_for": "absent"}),
    ("subscription", "wait_for", {"subscriptions": [{"name": "a"}], "state": "absent", "wait_for": "healthy"}),
    ("subscription", "wait_timeout", {"subscriptions": [{"name": "a"}], "state": "absent", "wait_timeout": 0}),
    ("localization", "localizations", {"localizations": [{"name": "a", "cluster": "edge-1"}]}),
    ("localization", "cluster", {"localizations": [{"name": "a"}], "state": "absent"}),
    ("localization", "localizations", {"localizations": [{"name": "a", "cluster": "Upper"}], "state": "absent"}),
    ("globalization", "globalizations", {"globalizations": [{"name": "a"}]}),
    ("subscription_info", "names", {"names": ["Upper"]}),
    ("description_info", "label_selector", {"label_selector": "a in b"}),
    ("render", "charts", {"charts": [{"name": "a"}]}),
    ("child_kubeconfig", "names", {"path": "k"}),
    ("child_kubeconfig", "expiration_seconds", {"names": ["a"], "path": "k", "expiration_seconds": 599}),
    ("child_kubeconfig", "service_account", {"names": ["a"], "service_account": {"name": "a", "namespace": "b/c"}}),
    ("child_object", "names", {"definitions": [_config_map("a")]}),
    ("child_object", "names", {"names": ["Upper"], "definitions": [_config_map("a")]}),
    ("child_object", "definitions", {"names": ["a"], "definitions": [_config_map("a"), _config_map("a")]}),
    ("child_object", "wait_timeout", {"names": ["a"], "definitions": [_config_map("a")], "wait_timeout": 0}),
    (
        "child_object_info",
        "objects",
        {"names": ["a"], "objects": [{"kind": "Pod", "name": "a", "label_selector": "b"}]},
    ),
    ("child_object_info", "objects", {"names": ["a"], "objects": [{"kind": "Pod", "label_selector": "a in b"}]}),
    (
        "objects",
        "definitions",
        {"definitions": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "%%"}}]},
    ),
]


@pytest.mark.parametrize(("module", "option", "options"), INVALID)
def test_refused_before_any_request(server, run_module, module, option, options):
    result = run_module(module, server.url, check_mode=False, **options)
    assert result["failed"] is True
    assert option in result["msg"]
    assert server.requests == []


def test_the_refused_token_is_not_repeated(server, run_module):
    result = run_module("bootstrap_token", server.url, token="SECRET.0123456789abcdef")
    assert "0123456789abcdef" not in str(result)
