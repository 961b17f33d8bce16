"""The kubeconfig that service_account_kubeconfig writes."""

import base64
import json

import pytest
from ansible_collections.clusternet.core.plugins.module_utils import kubeconfig as reader
from ansible_collections.clusternet.core.plugins.module_utils.access import Access, resolve
from ansible_collections.clusternet.core.plugins.module_utils.auth import ConnectionSettings
from ansible_collections.clusternet.core.plugins.modules.service_account_kubeconfig import kubeconfig, token_of

ACCESS = Access("https://example.org:6443", ca="PEM", client_cert="admin", client_key="key", proxy="http://proxy:3128")


def test_it_reaches_the_cluster_alike_but_as_the_account() -> None:
    written = json.loads(kubeconfig(ACCESS, "clusternet-system", "clusternet-hub", "secret"))
    found = resolve(ConnectionSettings(kubeconfig=written), {})
    assert (found.server, found.ca, found.proxy, found.verify) == (ACCESS.server, ACCESS.ca, ACCESS.proxy, True)
    assert found.headers == {"authorization": "Bearer secret"}
    assert found.client_cert is None
    assert found.client_key is None


def test_an_unverified_cluster_stays_one_without_a_contradiction() -> None:
    access = Access("https://example.org", ca="PEM", verify=False)
    cluster, _user = reader.entries(json.loads(kubeconfig(access, "n", "s", "t")))
    assert cluster == {"server": "https://example.org", "insecure-skip-tls-verify": True}


@pytest.mark.parametrize("secret", [{}, {"data": None}, {"data": {"token": ""}}])
def test_an_unfilled_secret_has_no_token(secret: dict) -> None:
    assert token_of(secret) is None


def test_a_token_is_decoded() -> None:
    assert token_of({"data": {"token": base64.b64encode(b"abc").decode()}}) == "abc"
