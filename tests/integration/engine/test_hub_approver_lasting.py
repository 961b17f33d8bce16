"""Tokens that last until they are deleted, as Clusternet's own agents need them."""

from pathlib import Path

import pytest
from clusternet_engine.kube.resources import SECRETS, SERVICE_ACCOUNTS
from clusternet_engine.model.tokens import read_token
from hub_site import HubProcess, is_renewed


@pytest.fixture(scope="module", autouse=True)
def hub(hub_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory):
    """A hub that issues such tokens, for all tests of this module."""
    log = tmp_path_factory.mktemp("hub") / "hub.log"
    process = HubProcess(hub_kubeconfig, log, "--child-token-lifetime=0")
    yield process
    process.end()


async def test_a_token_that_is_not_issued_is_told(applicant, lab):
    child = applicant()
    lab.kill("parent", "kube-controller-manager")
    try:
        await child.ask()
        assert "kube-controller-manager" in await child.obstructed("TokenNotIssued")
        assert "result" not in await child.status()
    finally:
        lab.restart("parent", "kube-controller-manager")
    await child.approved()


async def test_the_token_is_that_of_its_secret(applicant, parent):
    child = applicant()
    await child.ask()
    status = await child.approved()
    account = await child.only(SERVICE_ACCOUNTS)
    secret = await parent.get(SECRETS, account["metadata"]["name"], status["dedicatedNamespace"])
    assert secret["type"] == "kubernetes.io/service-account-token"
    assert (secret["data"]["token"], secret["data"]["ca.crt"]) == (status["token"], status["caCertificate"])
    assert read_token(await child.token()) is None


@pytest.mark.parametrize("resource", [SECRETS, SERVICE_ACCOUNTS], ids=lambda resource: resource.kind)
async def test_a_deleted_credential_is_renewed(applicant, parent, lab, resource):
    child = applicant()
    await child.ask()
    before = await child.approved()
    account = await child.only(SERVICE_ACCOUNTS)
    await parent.delete(resource, account["metadata"]["name"], before["dedicatedNamespace"])

    await is_renewed(child, lab, before)
