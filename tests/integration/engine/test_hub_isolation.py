"""One object that nobody can read, or that lies: its cluster has the harm, everybody else is served."""

import json

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.resources import DESCRIPTIONS, Object
from hub_site import HubProcess, Hubs, eventually
from publishing import config_map, subscription
from publishing_site import PublishingSite, names_of

PUBLISHING = ("--feature-gates=Deployer=true,FeedInventory=true", "--controllers=*,-helmchart")


async def leads(hub: HubProcess) -> None:
    """Wait until it has listed everything and runs the controllers."""

    async def leading() -> bool:
        return hub.leads

    await eventually(leading)


async def report(parent: Client, description: Object, observed: str) -> None:
    """Report a status of the first object of a Description, as its cluster may; any JSON, which no client writes."""
    metadata = description["metadata"]
    now = await parent.get(DESCRIPTIONS, metadata["name"], metadata["namespace"])
    entry = {"apiVersion": "v1", "kind": "ConfigMap", "name": "first", "observedStatus": "OBSERVED"}
    status = {"phase": "Success", "observedGeneration": metadata["generation"], "manifestStatuses": [entry]}
    now["metadata"].pop("managedFields", None)
    body = json.dumps({**now, "status": status}).replace('"OBSERVED"', observed)
    path = DESCRIPTIONS.path(metadata["namespace"], metadata["name"], "status")
    answer = await parent.raw("PUT", path, body=body.encode())
    assert answer.status == 200, answer.body[:500]


async def test_an_object_that_can_not_be_read_or_lies_harms_no_other(hubs: Hubs, parent: Client, applicant) -> None:
    hub = hubs.start(*PUBLISHING)
    await leads(hub)
    site = PublishingSite(parent)
    try:
        cluster, other = await site.cluster(), await site.cluster()
        feeds = [config_map("first", site.name)]
        await site.make(*feeds)
        made = await site.make(subscription(site.name, feeds, clusters={"site": site.name}))
        everything = ["ConfigMap/first"]

        async def publishing_goes_on(name: str) -> None:
            feeds.append(config_map(name, site.name))
            everything.append(f"ConfigMap/{name}")
            await site.make(feeds[-1])
            await site.change(made, {"spec": {"feeds": subscription(site.name, feeds)["spec"]["feeds"]}})
            for each in (other, cluster):
                await site.becomes(each, everything, names_of)

        bad = await site.description(cluster)
        for levels in (1_100, 9_000):
            await report(parent, bad, '{"a":' * levels + "1" + "}" * levels)
            await publishing_goes_on(f"after-{levels}")
        told = await site.events_when({"kind": "Description", **bad}, "MalformedObject")
        assert "nested deeper than 200 levels" in told["MalformedObject"]
        assert "watch interrupted" not in hub.log

        # Nor does it keep a hub from starting, and others from being approved.
        bad = await site.description(cluster)
        await report(parent, bad, '{"a":' * 9_000 + "1" + "}" * 9_000)
        hub.kill()
        hub = hubs.start(*PUBLISHING)
        newcomer = applicant()
        await newcomer.ask()
        await newcomer.approved()
        await publishing_goes_on("after-restart")

        # A lie is a failure of its own cluster.
        good, bad = await site.description(other), await site.description(cluster)
        await report(parent, bad, '{"conditions": ["not an object"]}')
        await report(parent, good, "{}")
        condition = await site.condition(made, "Deployed", "DeployFailed")
        assert condition["message"] == f"{cluster.name}: the status it reports of ConfigMap first is malformed"
    finally:
        await site.clean_up()
