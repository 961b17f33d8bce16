"""Paths are told from contents of files."""

import base64
import json

import pytest
from ansible_collections.clusternet.core.plugins.module_utils.paths import is_path

KUBECONFIG = "apiVersion: v1\nkind: Config\n" + "clusters: []\n" * 40


@pytest.mark.parametrize(
    "text",
    ["/etc/kubernetes/admin.conf", "~/.kube/config", "a:b", "parent", "", "/srv/my file.yml\n", "/" + "d/" * 400, "/ä"],
)
def test_a_path(text):
    assert is_path(text)


@pytest.mark.parametrize(
    "text",
    [
        KUBECONFIG,
        json.dumps({"apiVersion": "v1"}),
        base64.b64encode(KUBECONFIG.encode()).decode(),
        base64.b64encode(json.dumps({"apiVersion": "v1"}).encode()).decode(),
        "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n",
        base64.b64encode(b"-----BEGIN PRIVATE KEY-----").decode(),
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
        "t" * 256,
        "a\x00b",
    ],
)
def test_a_content(text):
    assert not is_path(text)
