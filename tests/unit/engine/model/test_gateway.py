"""Paths and kubeconfigs of a gateway, and the headers by which its requests get through the parent (spec/04 §6, §7)."""

import base64
import json

import pytest
from clusternet_engine.model.gateway import Entrance, about_gateway, contexts, file_names, kubeconfig, split_path
from clusternet_engine.model.proxying import direct_path, headers_to_parent, impersonates

ENTRANCE = Entrance("https://127.0.0.1:4711", b"PEM", "secret", {"pid": 7})


def cluster(name, namespace):
    return {"metadata": {"name": name, "namespace": namespace}}


FLEET = [cluster("berlin", "ns2"), cluster("austin", "ns3"), cluster("berlin", "ns1")]


def test_a_context_has_the_name_of_its_cluster_unless_several_have_it():
    assert contexts(FLEET) == {"berlin.ns1": "ns1/berlin", "berlin.ns2": "ns2/berlin", "austin": "ns3/austin"}
    assert contexts([]) == {}


def test_a_file_has_the_same_name_whatever_other_clusters_there_are():
    assert file_names(FLEET) == {"ns2.berlin": "ns2/berlin", "ns3.austin": "ns3/austin", "ns1.berlin": "ns1/berlin"}


def test_a_kubeconfig_leads_to_the_gateway():
    config = kubeconfig(ENTRANCE, {"austin": "ns3/austin", "berlin": "ns1/berlin"})
    assert config["current-context"] == "austin"
    assert [item["context"] for item in config["contexts"]] == [
        {"cluster": "austin", "user": "clusternet-gateway"},
        {"cluster": "berlin", "user": "clusternet-gateway"},
    ]
    assert [item["cluster"]["server"] for item in config["clusters"]] == [
        "https://127.0.0.1:4711/ns3/austin",
        "https://127.0.0.1:4711/ns1/berlin",
    ]
    assert base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]) == b"PEM"
    assert config["users"] == [{"name": "clusternet-gateway", "user": {"token": "secret"}}]
    assert kubeconfig(ENTRANCE, {})["current-context"] == ""
    assert "secret" not in repr(ENTRANCE)


def test_a_gateway_knows_its_own_files():
    text = json.dumps(kubeconfig(ENTRANCE, {"austin": "ns3/austin"})).encode()
    assert about_gateway(text) == {"url": ENTRANCE.url, "certificate-authority-data": "UEVN", "pid": 7}
    for other in (b"", b"apiVersion: v1\nkind: Config\n", b"[]", b"{}", b'{"extensions": []}', b'{"extensions": 1}'):
        assert about_gateway(other) is None


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/ns1/berlin", ("ns1", "berlin", "/")),
        ("/ns1/berlin/", ("ns1", "berlin", "/")),
        ("/ns1/berlin/api/v1/a%2Fb/", ("ns1", "berlin", "/api/v1/a%2Fb/")),
        ("/ns1/b%65rlin/api", ("ns1", "berlin", "/api")),
    ],
)
def test_paths_begin_with_a_cluster(path, parts):
    assert split_path(path) == parts


@pytest.mark.parametrize("path", ["", "/", "/ns1", "/ns1/", "//berlin/api"])
def test_paths_without_a_cluster(path):
    with pytest.raises(ValueError, match="namespace and name"):
        split_path(path)


def test_headers_for_the_parent():
    caller = [("Authorization", "Bearer of-the-gateway"), ("Accept", "application/json"), ("Host", "127.0.0.1")]
    shown = [("Impersonate-User", "clusternet"), ("Impersonate-Extra-Clusternet-Token", "of-the-child")]
    assert headers_to_parent(caller, "of-the-parent", "of-the-child") == [
        ("Accept", "application/json"),
        ("Authorization", "Bearer of-the-parent"),
        *shown,
    ]
    assert headers_to_parent(caller, "", "of-the-child", "SPDY/3.1") == [
        ("Accept", "application/json"),
        ("Connection", "Upgrade"),
        ("Upgrade", "SPDY/3.1"),
        *shown,
    ]


def test_whether_a_caller_impersonates():
    assert impersonates(["Accept", "IMPERSONATE-user"])
    assert not impersonates(["Accept", "X-Impersonate-User"])


def test_where_the_parent_offers_a_child():
    assert direct_path("id-1") == "/apis/proxies.clusternet.io/v1alpha1/sockets/id-1/proxy/direct"
