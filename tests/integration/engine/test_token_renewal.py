"""A cluster's token is renewed while it is used, and ended in the middle."""

import asyncio
import base64
from contextlib import suppress
from pathlib import Path

import aiohttp
from agent_site import AgentSite
from clusternet_engine.kube.errors import Forbidden, Unauthorized
from clusternet_engine.kube.resources import (
    CLUSTER_REGISTRATION_REQUESTS,
    CONFIG_MAPS,
    MANAGED_CLUSTERS,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from clusternet_engine.model.tokens import read_token
from clusternet_lab import Lab
from deploying import Deployed
from hub_site import acts_as_child, eventually
from publishing import FakeCluster, config_map
from tunnel_site import TunnelHub, TunnelSite

RENEWALS = 3
QUICK = "--parent-token-renewal=0.000001"
"""Renews a token of 30 days after 2.6 seconds: API servers issue none for less than ten minutes."""


async def test_a_token_is_renewed_while_all_goes_on_and_is_revoked_in_the_middle(
    lab: Lab, tunnel_hub: TunnelHub, site: AgentSite, tmp_path: Path, applicant
) -> None:
    tunnel = TunnelSite(lab, site, tmp_path)
    await tunnel.start("--cluster-sync-mode=Pull", QUICK)
    witness = applicant()
    await witness.ask()
    metadata = (await site.managed_cluster())["metadata"]
    deployed = Deployed(site.parent, FakeCluster(metadata["name"], metadata["namespace"], tunnel.id))
    name = f"clusternet-{tunnel.id}"

    async def stored() -> str:
        secret = await site.child.get(SECRETS, "parent-cluster", site.namespace)
        return base64.b64decode(secret["data"]["token"]).decode()

    async def content() -> dict[str, str]:
        return dict((await site.child.get(CONFIG_MAPS, "pulled", site.namespace))["data"])

    tokens = [await stored()]

    async def renewed() -> bool:
        return await stored() != tokens[-1]

    await deployed.create(config_map("pulled", site.namespace, a="0"))
    await deployed.reaches("Success")
    async with tunnel.caller(headers=tunnel.headers()) as caller:
        watch = await caller.get(f"{tunnel.path}/api/v1/namespaces?watch=true")
        await watch.content.readline()
        for number in range(1, RENEWALS + 1):
            await eventually(renewed)
            tokens.append(await stored())
            await deployed.change(config_map("pulled", site.namespace, a=str(number)))
            await deployed.reaches("Success")
            assert await content() == {"a": str(number)}
            async with caller.get(f"{tunnel.path}/version") as answer:
                assert answer.status == 200
        said = [read_token(token) for token in tokens]
        [account] = (
            await site.parent.list(SERVICE_ACCOUNTS, metadata["namespace"], label_selector=of(tunnel.id))
        ).items
        assert {token.account_uid for token in said if token} == {account["metadata"]["uid"]}
        assert len(set(tokens)) == RENEWALS + 1
        await site.beats_again()
        assert not watch.content.at_eof(), "the tunnel has stayed open"
        assert site.log.count("the tunnel to the parent is open") == 1
        request = await site.parent.get(CLUSTER_REGISTRATION_REQUESTS, name)
        assert "token" not in request["status"]
        assert not any(token in site.log + tunnel_hub.log for token in tokens)

        denied = {"status": {"result": "Denied", "errorMessage": "DeniedByAdministrator: stolen"}}
        await site.parent.patch(CLUSTER_REGISTRATION_REQUESTS, name, denied, subresource="status")
        async with asyncio.timeout(10):
            with suppress(aiohttp.ClientPayloadError):
                await watch.read()
        async with caller.get(f"{tunnel.path}/version") as answer:
            assert answer.status >= 400
    status = {**request["status"], "token": base64.b64encode((await stored()).encode()).decode()}
    async with acts_as_child(lab, status) as acting:

        async def refused() -> bool:
            try:
                await acting.list(MANAGED_CLUSTERS, metadata["namespace"])
            except (Unauthorized, Forbidden):
                return True
            return False

        await eventually(refused)
    assert "stolen" in (await site.reaches("RegistrationDenied", 60))["message"]
    await deployed.change(config_map("pulled", site.namespace, a="after"))
    others = await witness.approved()
    async with acts_as_child(lab, others) as other:

        async def served() -> bool:
            try:
                return bool((await other.list(MANAGED_CLUSTERS, others["dedicatedNamespace"])).items)
            except Forbidden:
                return False

        await eventually(served)
    assert await content() == {"a": str(RENEWALS)}
    assert (await site.parent.list(SERVICE_ACCOUNTS, label_selector=of(tunnel.id))).items == []
    await tunnel.end()


def of(cluster_id: str) -> str:
    """Return the selector of what belongs to a cluster."""
    return f"clusters.clusternet.io/cluster-id={cluster_id}"
