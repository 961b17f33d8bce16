"""Modules for children, against a parent that answers for them, too."""

import base64
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar
from ansible_collections.clusternet.core.plugins.module_utils import child_kubeconfig
from ansible_collections.clusternet.core.plugins.module_utils.access import Access, renewing_credentials
from ansible_collections.clusternet.core.plugins.module_utils.auth import ConnectionSettings
from ansible_collections.clusternet.core.plugins.module_utils.child_access import ServiceAccount, path, through
from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError
from ansible_collections.clusternet.core.plugins.module_utils.kubeconfig_sections import user_section
from ansible_collections.clusternet.core.plugins.plugin_utils.trust import could_be_template

CLUSTERS = "/apis/clusters.clusternet.io/v1beta1/managedclusters"
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "foo"}}
MAPS = "api/v1/namespaces/foo/configmaps/c"
ACCOUNT = ServiceAccount("foo", "viewer")
NOW = 1_800_000_000


def cluster(name: str, namespace: str, number: int) -> dict[str, Any]:
    """Return a ManagedCluster."""
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterId": f"id-{number}"}}


def token(**claims: Any) -> str:
    """Return something that looks like the token of a ServiceAccount."""
    body = {
        "sub": "system:serviceaccount:foo:viewer",
        "kubernetes.io": {"serviceaccount": {"uid": "u"}},
        "iat": NOW,
        "exp": NOW + 3600,
        **claims,
    }
    return f"e30.{base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip('=')}.c2ln"


@pytest.fixture
def parent(server):
    """A parent with two children, of which the second one's agent has handed over no credential."""
    secret = {"metadata": {"name": "d"}, "data": {"token": base64.b64encode(b"deployer-token").decode()}}
    server.objects = {
        CLUSTERS: [cluster("edge-1", "ns-1", 1), cluster("edge-2", "ns-2", 2)],
        "/apis/proxies.clusternet.io/v1alpha1": {"kind": "APIResourceList"},
        "/api/v1/namespaces/ns-1/secrets/child-cluster-deployer": secret,
    }
    return server


def test_a_child_without_a_credential_doesnt_keep_the_other_from_being_handled(parent, run_module):
    result = run_module("child_object", parent.url, label_selector="a=b", definitions=[CONFIG_MAP])
    assert result["failed"]
    assert result["changed"]
    first, second = result["clusters"]
    assert first["objects"][0]["action"] == "created"
    assert second["failed"]
    assert second["changed"] is False
    assert second["objects"] == []
    assert "holds no credential of ns-2/edge-2" in second["msg"]
    assert result["diff"][0]["after_header"] == "edge-1: ConfigMap/foo/c"
    assert parent.writes == []


@pytest.mark.parametrize("state", ["present", "absent"])
def test_objects_that_name_no_namespace_get_the_default(parent, run_module, state):
    bare = {**CONFIG_MAP, "metadata": {"name": "c"}}
    options = {"names": ["edge-1"], "definitions": [bare], "default_namespace": "foo"}
    if state == "absent":
        parent.objects[f"{path('id-1')}/{MAPS}"] = {**CONFIG_MAP, "metadata": {**CONFIG_MAP["metadata"], "uid": "u"}}
    result = run_module("child_object", parent.url, state=state, **options)
    assert not result.get("failed"), result
    (item,) = result["clusters"][0]["objects"]
    assert (item["namespace"], item["action"]) == ("foo", "created" if state == "present" else "deleted")


@pytest.mark.parametrize("state", ["created", "patched", "absent"])
def test_what_is_done_with_an_object_that_is_there(parent, run_module, state):
    parent.objects[f"{path('id-1')}/{MAPS}"] = {**CONFIG_MAP, "metadata": {**CONFIG_MAP["metadata"], "uid": "u"}}
    wanted = {**CONFIG_MAP, "data": {"a": "b"}}
    result = run_module("child_object", parent.url, names=["edge-1"], definitions=[wanted], state=state)
    assert not result.get("failed"), result
    action = {"created": "unchanged", "patched": "updated", "absent": "deleted"}[state]
    assert [item["action"] for item in result["clusters"][0]["objects"]] == [action]
    assert parent.writes == []


def test_no_parent_without_tunnels_is_taken_for_one_with_empty_children(parent, run_module):
    """Every path of a child is 404 there: to remove something would seem to be done already."""
    del parent.objects["/apis/proxies.clusternet.io/v1alpha1"]
    for module, options in {
        "child_object": {"definitions": [CONFIG_MAP], "state": "absent"},
        "child_object_info": {"objects": [{"kind": "Pod"}]},
        "child_kubeconfig": {},
    }.items():
        result = run_module(module, parent.url, names=["edge-1"], **options)
        assert result["failure"]["code"] == "NoProxy"
        assert "SocketConnection" in result["msg"]


def test_kinds_that_are_not_served_and_objects_that_are_not_there(parent, run_module):
    parent.objects[f"{path('id-1')}/api/v1/namespaces/foo/configmaps"] = [{"metadata": {"name": "c"}}]
    queries = [
        {"kind": "ConfigMap", "namespace": "foo"},
        {"kind": "ConfigMap", "namespace": "foo", "name": "missing"},
        {"kind": "Widget", "api_version": "example.com/v1"},
    ]
    result = run_module("child_object_info", parent.url, names=["edge-1"], objects=queries)
    (found,) = result["clusters"]
    assert found["objects"] == [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}]
    assert found["unknown_kinds"] == ["example.com/v1 Widget"]
    assert result["changed"] is False


def test_nothing_is_done_where_no_cluster_has_the_labels(parent, run_module):
    parent.objects[CLUSTERS] = []
    result = run_module("child_object_info", parent.url, label_selector="a=b", objects=[{"kind": "Pod"}])
    assert (result["clusters"], result["msg"]) == ([], "There is no such cluster.")
    assert run_module("child_kubeconfig", parent.url, label_selector="a=b")["failure"]["code"] == "NotFound"


def test_a_kubeconfig_is_written_for_its_owner_only_and_once(parent, run_module, tmp_path: Path):
    file = tmp_path / "kubeconfig"
    options = {"names": ["edge-1"], "path": str(file), "api_key": "the-users-token"}
    predicted = run_module("child_kubeconfig", parent.url, **options)
    assert predicted["changed"] is True
    assert not file.exists()
    first = run_module("child_kubeconfig", parent.url, check_mode=False, **options)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    user = json.loads(file.read_text())["users"][0]["user"]
    assert user == {
        "token": "the-users-token",
        "as": "clusternet",
        "as-user-extra": {"clusternet-token": ["deployer-token"]},
    }
    for result in (predicted, first):
        assert result["contexts"][0]["server"] == parent.url + path("id-1")
        assert "deployer-token" not in str(result)
        assert "the-users-token" not in str(result)
        assert result["diff"][0]["after"]["contexts"][0]["name"] == "edge-1"
    again = run_module("child_kubeconfig", parent.url, check_mode=False, **options)
    assert again["changed"] is False
    file.chmod(0o644)
    assert run_module("child_kubeconfig", parent.url, check_mode=False, **options)["changed"] is True
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_is_in_the_way_is_replaced_and_never_shown(parent, run_module, tmp_path: Path):
    file = tmp_path / "kubeconfig"
    file.write_bytes(b"secret \xff")
    result = run_module("child_kubeconfig", parent.url, names=["edge-1"], path=str(file), check_mode=False)
    assert result["changed"] is True
    assert result["diff"][0]["before"] == {}
    missing = run_module("child_kubeconfig", parent.url, names=["edge-1"], path="/nowhere/k", check_mode=False)
    assert "Cannot write /nowhere/k" in missing["msg"]


def test_the_first_one_named_is_the_current_one(parent, run_module):
    secrets = "/api/v1/namespaces/{}/secrets/child-cluster-deployer"
    parent.objects[secrets.format("ns-2")] = parent.objects[secrets.format("ns-1")]
    result = run_module("child_kubeconfig", parent.url, names=["edge-2", "edge-1"])
    assert [item["name"] for item in result["contexts"]] == ["edge-2", "edge-1"]
    assert result["kubeconfig"]["current-context"] == "edge-2"


def test_a_returned_kubeconfig_is_whole(parent, run_module):
    result = run_module("child_kubeconfig", parent.url, names=["edge-1"], api_key="the-users-token")
    assert result["kubeconfig"]["users"][0]["user"]["token"] == "the-users-token"
    assert result["invocation"]["module_args"]["api_key"] == "hidden"
    assert result["changed"] is False


def test_tokens_of_an_account_are_kept_while_they_are_good(parent, run_module, tmp_path: Path):
    file = tmp_path / "kubeconfig"
    account = f"{path('id-1')}/api/v1/namespaces/foo/serviceaccounts/viewer"
    options = {"names": ["edge-1"], "path": str(file), "service_account": {"name": "viewer", "namespace": "foo"}}
    assert "no ServiceAccount foo/viewer" in run_module("child_kubeconfig", parent.url, **options)["msg"]
    parent.objects[account] = {"metadata": {"name": "viewer", "uid": "u"}}
    assert run_module("child_kubeconfig", parent.url, **options)["changed"] is True
    assert not any(request.startswith("POST") for request in parent.requests)
    now = int(time.time())
    kept = {"context": "edge-1", "cluster": cluster("edge-1", "ns-1", 1), "token": token(iat=now, exp=now + 3600)}
    config = child_kubeconfig.build(Access(parent.url), {}, [child_kubeconfig.Child(**kept)])
    file.write_text(json.dumps(config, indent=1))
    file.chmod(0o600)
    assert run_module("child_kubeconfig", parent.url, check_mode=False, **options)["changed"] is False
    parent.objects[account]["metadata"]["uid"] = "another"
    assert run_module("child_kubeconfig", parent.url, **options)["changed"] is True


@pytest.mark.parametrize(
    ("kept", "good"),
    [
        (token(), True),
        (token(iat=NOW - 1800, exp=NOW + 1800), True),
        (token(iat=NOW - 1801, exp=NOW + 1799), False),
        (token(sub="system:serviceaccount:foo:admin"), False),
        (token(**{"kubernetes.io": {"serviceaccount": {"uid": "another"}}}), False),
        ("opaque", False),
        ("a.b.c", False),
        (None, False),
    ],
)
def test_which_tokens_are_good(kept, good):
    assert child_kubeconfig.is_good(kept, ACCOUNT, "u", NOW) is good


def test_contexts_of_clusters_with_the_same_name_bear_their_namespaces():
    found = child_kubeconfig.contexts([cluster("a", "n", 1), cluster("a", "m", 2), cluster("b", "n", 3)])
    assert [name for name, _cluster in found] == ["a.n", "a.m", "b"]


def test_a_user_cant_be_impersonated_besides():
    """Else the request would be made as the parent's own user, who may do more."""
    with pytest.raises(ConfigError, match="impersonate"):
        through(Access("https://parent", headers={"impersonate-user": "alice"}), "id", "token")


def test_what_renews_credentials_is_taken_over(tmp_path: Path):
    def config(**user: Any) -> dict[str, Any]:
        return {
            "clusters": [{"name": "c", "cluster": {"server": "https://parent"}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }

    plugin = {"exec": {"command": "login"}}
    assert renewing_credentials(ConnectionSettings(kubeconfig=config(**plugin, token="t")), {}) == plugin
    assert renewing_credentials(ConnectionSettings(kubeconfig=config(tokenFile="/t")), {}) == {"tokenFile": "/t"}
    assert renewing_credentials(ConnectionSettings(kubeconfig=config(**plugin), api_key="k"), {}) == {}
    assert renewing_credentials(ConnectionSettings(host="https://parent"), {}) == {}
    access = Access("https://parent", client_cert="cert", client_key="key", headers={"authorization": "Bearer t"})
    assert user_section(access, plugin) == plugin
    assert set(user_section(access, {"tokenFile": "/t"})) == {
        "tokenFile",
        "client-certificate-data",
        "client-key-data",
    }
    basic = Access("https://parent", headers={"authorization": "Basic " + base64.b64encode(b"u:p:q").decode()})
    assert user_section(basic, {}) == {"username": "u", "password": "p:q"}


@pytest.fixture
def look(parent, monkeypatch):
    """``look(*terms, **options)`` returns what the lookup finds; the parent's URL stands in the environment."""
    for name in [name for name in os.environ if name.startswith(("K8S_AUTH_", "KUBE"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("K8S_AUTH_HOST", parent.url)
    return lambda *terms, **options: lookup_loader.get("clusternet.core.child").run(list(terms), {}, **options)


def test_the_lookup_reads_and_evaluates_nothing(parent, look):
    evil = "{{ lookup('pipe', 'id') }}"
    assert could_be_template(evil)
    parent.objects[f"{path('id-1')}/{MAPS}"] = {**CONFIG_MAP, "data": {"a": evil}}
    (found,) = look("edge-1", kind="ConfigMap", namespace="foo", name="c")
    assert found["data"] == {"a": evil}
    assert Templar(DataLoader()).template(found["data"]["a"]) == evil
    assert look("edge-1", kind="ConfigMap", namespace="foo", name="missing") == []


def test_empty_variables_and_options_of_the_lookup_are_not_given(parent, look, monkeypatch):
    monkeypatch.setenv("K8S_AUTH_SSL_CA_CERT", "")
    monkeypatch.setenv("K8S_AUTH_CLIENT_CERT", "")
    parent.objects[f"{path('id-1')}/{MAPS}"] = CONFIG_MAP
    (found,) = look("edge-1", kind="ConfigMap", namespace="foo", name="c", client_key="", validate_certs="")
    assert found["metadata"]["name"] == "c"


@pytest.mark.parametrize(
    ("terms", "options", "message"),
    [
        ((), {"kind": "Pod"}, "at least one cluster"),
        (("Upper",), {"kind": "Pod"}, "lower-case"),
        (("edge-3",), {"kind": "Pod"}, "No cluster is registered under the name edge-3"),
        (("edge-2",), {"kind": "Pod"}, "holds no credential"),
        (("edge-1",), {"kind": "Pod", "name": "p"}, "Pod p needs one"),
        (("edge-1",), {"kind": "Widget"}, "doesn't serve v1 Widget"),
    ],
)
def test_the_lookup_says_what_is_wrong(look, terms, options, message):
    with pytest.raises(AnsibleError, match=message):
        look(*terms, **options)
