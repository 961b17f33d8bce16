"""Private charts of a pulling agent: the hub lends it the login, a copy in the cluster's own namespace."""

import base64
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from agent_site import AgentSite
from charts import ChartServer
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import (
    HELM_CHARTS,
    NAMESPACES,
    SECRETS,
    SUBSCRIPTIONS,
    Object,
    Resource,
)
from clusternet_engine.model.constants import CLUSTER_ID_LABEL
from deploying import exists, is_gone
from hub_site import HubProcess, eventually
from publishing import chart, subscription

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)


@pytest.fixture(scope="module")
def hub(hub_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub that publishes, too."""
    log = tmp_path_factory.mktemp("hub") / "hub.log"
    process = HubProcess(hub_kubeconfig, log, "--feature-gates=Deployer=true")
    yield process
    process.end()


@pytest.fixture
async def namespace(site: AgentSite) -> AsyncIterator[str]:
    name = f"app-{random.randbytes(4).hex()}"
    yield name
    with suppress(NotFound):
        await site.child.delete(NAMESPACES, name)


async def test_a_pulling_agent_installs_a_chart_whose_login_is_elsewhere(pulled, site, helm, namespace):
    """The hub copies the login into the cluster's namespace, keeps it fresh, and takes it away again."""
    cluster = await pulled("--cluster-sync-mode=Pull", f"--helm-binary={helm}")
    parent, ops = site.parent, f"ops-{random.randbytes(3).hex()}"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "pull", "namespace": ops},
        "stringData": {"username": "reader", "password": "word", "token": "for-nobody"},
    }

    async def copies() -> list[dict[str, str]]:
        found = await parent.list(SECRETS, cluster.namespace, label_selector="apps.clusternet.io/chart-login=true")
        return [{key: base64.b64decode(value).decode() for key, value in one["data"].items()} for one in found.items]

    async def has_copies(*expected: dict[str, str]) -> None:
        async def same() -> bool:
            return await copies() == list(expected)

        await eventually(same, why=f"copies are {expected}")

    def released(value: str | None) -> Object:
        return {"metadata": {"labels": {"pull-secret-for.clusternet.io/default": value}}}

    login = {"username": "reader", "password": "word"}
    name = f"private-{random.randbytes(3).hex()}"
    await parent.create(NAMESPACES, {"metadata": {"name": ops}})
    await parent.create(SECRETS, secret)
    await parent.patch(SECRETS, "pull", released("true"), ops)
    with ChartServer(login=("reader", "word")) as charts:
        charts.add_example("hello")
        named = {"name": "pull", "namespace": ops}
        private = chart(name, repo=charts.repo, chart="hello", targetNamespace=namespace, chartPullSecret=named)
        wish = subscription(name, [private], clusters={CLUSTER_ID_LABEL: cluster.id})
        try:
            await parent.create(HELM_CHARTS, private)
            await parent.create(SUBSCRIPTIONS, wish)
            await exists(site.child, CONFIG_MAPS, name, namespace)
            await has_copies(login)
            changed = login | {"password": "another"}
            await parent.patch(SECRETS, "pull", {"stringData": {"password": "another"}}, ops)
            await has_copies(changed)
            await parent.patch(SECRETS, "pull", released(None), ops)
            await has_copies()
            await parent.patch(SECRETS, "pull", released("true"), ops)
            await has_copies(changed)
            await parent.delete(SUBSCRIPTIONS, name, "default")
            await has_copies()
            await is_gone(site.child, CONFIG_MAPS, name, namespace)
        finally:
            with suppress(NotFound):
                await parent.delete(SUBSCRIPTIONS, name, "default")
            await parent.delete(HELM_CHARTS, name, "default")
            await parent.delete(NAMESPACES, ops)
