"""HelmCharts looked for and HelmReleases pushed to child clusters (spec/03 §1.2, §8.3); releases are made by hand."""

import base64
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from charts import ChartServer, pack
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import BASES, HELM_CHARTS, NAMESPACES, SECRETS, Object, Resource
from clusternet_engine.model import constants as names
from deploying import Release, encode, events_of, exists, is_gone, pushed_cluster
from hub_site import HubProcess, eventually
from publishing import FakeCluster, chart, remove_cluster

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet", namespaced=True)
FINALIZER = "apps.clusternet.io/finalizer"


@pytest.fixture(scope="module")
def charts() -> Iterator[ChartServer]:
    with ChartServer() as server:
        server.add_example("hello", "1.0.0", "1.1.0", "2.0.0-rc1")
        server.add_example("mysql")
        library = {"apiVersion": "v2", "name": "library", "version": "1.0.0", "type": "library"}
        server.add(library, pack(library, {"templates/_none.tpl": b""}))
        bad = {"apiVersion": "v2", "name": "bad", "version": "1.0.0"}
        server.add(bad, pack(bad, {"templates/bad.yaml": b"apiVersion: v1\nkind: Nonsense\nmetadata: {name: x}\n"}))
        yield server


@pytest.fixture(scope="module")
def private() -> Iterator[ChartServer]:
    with ChartServer(login=("reader", "s3cret-word")) as server:
        server.add_example("hello", "1.0.0")
        yield server


@pytest.fixture(scope="module")
def hub(hub_kubeconfig: Path, helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub that only looks for charts and pushes."""
    log = tmp_path_factory.mktemp("hub") / "hub.log"
    flags = ("--controllers=description,helmchart", "--feature-gates=Deployer=true", f"--helm-binary={helm}")
    process = HubProcess(hub_kubeconfig, log, *flags)
    yield process
    process.end()


@pytest.fixture
async def cluster(hub: HubProcess, parent: Client, child: Client) -> AsyncIterator[FakeCluster]:
    made = await pushed_cluster(parent, child)
    yield made
    await remove_cluster(parent, made)


@pytest.fixture
async def target(child: Client) -> AsyncIterator[str]:
    """A namespace for releases."""
    name = f"helm-{random.randbytes(4).hex()}"
    yield name
    with suppress(NotFound):
        await child.delete(NAMESPACES, name)


async def test_a_release_is_installed_upgraded_and_uninstalled(parent, child, cluster, charts, target):
    """B6.5: Helm works in the target namespace."""
    release = Release(parent, cluster)
    await release.create({"greeting": "moin"}, repo=charts.repo, chart="hello", version="1.0.0", targetNamespace=target)
    status = await release.reaches("deployed")
    assert status["version"] == 1
    assert status["notes"] == f"{release.release} says moin.\n"
    assert status["firstDeployed"].endswith("UTC")
    live = await exists(child, CONFIG_MAPS, release.release, target)
    assert live["data"] == {"greeting": "moin", "version": "1.0.0"}

    await release.change(version="~1.1", overrides=encode({"greeting": "hi"}))
    status = await release.reaches("deployed")
    assert status["version"] == 2
    assert (await child.get(CONFIG_MAPS, release.release, target))["data"] == {"greeting": "hi", "version": "1.1.0"}

    await release.delete()
    await is_gone(child, CONFIG_MAPS, release.release, target)
    records = await child.list(SECRETS, target, label_selector="owner=helm")
    assert not records.items


async def test_mysql_of_the_examples_is_installed(parent, child, cluster, charts, target):
    """A1, the part of Helm: the release is in the target namespace, with what the chart makes."""
    release = Release(parent, cluster)
    await release.create(
        {"commonLabels": {"team": "data"}, "primary": {"persistence": {"enabled": False}}},
        repo=charts.repo,
        chart="mysql",
        version="9.2.0",
        targetNamespace=target,
    )
    await release.reaches("deployed")
    live = await child.get(STATEFUL_SETS, f"{release.release}-mysql", target)
    assert live["metadata"]["labels"]["team"] == "data"
    assert "volumeClaimTemplates" not in live["spec"]
    await release.delete()


async def test_c3_19_without_a_version_nothing_is_upgraded_again_and_again(parent, child, cluster, charts, target):
    """C3.19 `[quirk]` mended: an empty version, a range and another spelling are content with what is there."""
    release = Release(parent, cluster)
    await release.create(repo=charts.repo, chart="hello", targetNamespace=target)
    assert (await release.reaches("deployed"))["version"] == 1
    assert (await child.get(CONFIG_MAPS, release.release, target))["data"]["version"] == "1.1.0"
    for spelling in ("~1.1", "v1.1.0", ">=1.0.0"):
        await release.change(version=spelling)
        assert (await release.reaches("deployed"))["version"] == 1
    await release.delete()


async def test_a_failing_release_says_why_and_is_mended_by_a_change(parent, child, cluster, charts, target):
    release = Release(parent, cluster)
    await release.create(repo=charts.repo, chart="bad", version="1.0.0", targetNamespace=target)
    assert "Nonsense" in (await release.reaches("failed"))["description"]
    assert "HelmReleaseFailure" in await eventually(lambda: events_of(parent, release.name, release.namespace))
    await release.change(chart="library")
    assert "library" in (await release.reaches("failed"))["description"]
    await release.change(chart="hello", repo=charts.silent.replace("silent", "nowhere"))
    assert "404" in (await release.reaches("failed"))["description"]
    await release.change(repo=charts.repo)
    await release.reaches("deployed")
    await release.delete()


async def test_an_atomic_release_that_failed_is_installed_anew(parent, child, cluster, charts, target):
    """Without nodes nothing gets ready, so waiting fails; with `atomic` nothing of it stays."""
    release = Release(parent, cluster)
    await release.create(
        {"primary": {"persistence": {"enabled": False}}},
        repo=charts.repo, chart="mysql", targetNamespace=target, wait=True, atomic=True, timeoutSeconds=1,
    )  # fmt: skip
    status = await release.reaches("failed")
    assert "version" not in status
    await is_gone(child, STATEFUL_SETS, f"{release.release}-mysql", target)
    await release.change(wait=False, atomic=False)
    assert (await release.reaches("deployed"))["version"] == 1
    await release.delete()


async def test_values_and_credentials_are_not_in_arguments(parent, cluster, charts, target, helm):
    """While Helm waits, its command line shows neither the child's token nor a value."""
    release = Release(parent, cluster)
    await release.create(
        {"auth": {"rootPassword": "s3cret-root"}, "primary": {"persistence": {"enabled": False}}},
        repo=charts.repo, chart="mysql", targetNamespace=target, wait=True, timeoutSeconds=3,
    )  # fmt: skip

    async def running() -> list[str]:
        return [
            " ".join(process.info["cmdline"])
            for process in psutil.process_iter(["cmdline"])
            if release.release in (process.info["cmdline"] or ())
        ]

    [line] = await eventually(running)
    assert "s3cret-root" not in line
    assert "eyJ" not in line
    await release.reaches("failed")
    await release.delete()


class TestCharts:
    """Whether a HelmChart can be had."""

    async def reaches(self, parent: Client, name: str, phase: str, timeout: float = 30.0) -> str:
        async def reached() -> Object | None:
            found = await parent.get(HELM_CHARTS, name, "default")
            status = found.get("status") or {}
            current = status.get("observedGeneration") == found["metadata"]["generation"]
            return status if current and status.get("phase") == phase else None

        status = await eventually(reached, timeout, f"{name} is {phase}")
        assert status is not None
        return str(status["reason"])

    @pytest.fixture
    async def make(self, hub: HubProcess, parent: Client) -> AsyncIterator[Any]:
        made: list[str] = []

        async def make(chart_name: str, **spec: Any) -> str:
            made.append(f"chart-{random.randbytes(3).hex()}")
            await parent.create(HELM_CHARTS, chart(made[-1], chart=chart_name, **spec))
            return made[-1]

        yield make
        for name in made:
            await parent.delete(HELM_CHARTS, name, "default")

    async def test_http_repositories(self, parent, make, charts):
        name = await make("hello", repo=charts.repo, version="1.0.0")
        assert await self.reaches(parent, name, "Found") == ""
        labels = (await parent.get(HELM_CHARTS, name, "default"))["metadata"]["labels"]
        assert labels["apps.clusternet.io/config.kind"] == "HelmChart"
        assert labels["apps.clusternet.io/config.name"] == name
        missing = await make("hello", repo=charts.repo, version="3.0.0")
        assert "no version 3.0.0" in await self.reaches(parent, missing, "NotFound")
        assert "is not in" in await self.reaches(parent, await make("nothing", repo=charts.repo), "NotFound")

    async def test_c3_11_bad_repositories_have_their_reason(self, parent, make, charts):
        broken = await make("hello", repo=charts.broken)
        silent = await make("hello", repo=charts.silent)
        refused = await make("hello", repo="http://127.0.0.1:9")
        for name, reason in ((broken, "500"), (refused, "can't be reached"), (silent, "did not answer within 15 s")):
            told = await self.reaches(parent, name, "NotFound", timeout=60)
            assert reason in told, told

    async def test_a_chart_that_appears_is_found(self, parent, make, charts):
        name = await make("late", repo=charts.repo, version="1.0.0")
        await self.reaches(parent, name, "NotFound")
        late = {"apiVersion": "v2", "name": "late", "version": "1.0.0"}
        charts.add(late, pack(late, {}))
        await self.reaches(parent, name, "Found")

    async def test_a8_oci_registries(self, parent, make, charts):
        """A8 and B6.6, B6.7: with `plainHTTP` everything goes over HTTP."""
        found = await make("mysql", repo=charts.oci, version="9.2.0", plainHTTP=True)
        assert await self.reaches(parent, found, "Found") == ""
        unknown = await make("mysql", repo=charts.oci, version="9.9.9", plainHTTP=True)
        assert "no tag 9.9.9" in await self.reaches(parent, unknown, "NotFound")
        latest = await make("mysql", repo=charts.oci, version="latest", plainHTTP=True)
        assert "no tag latest" in await self.reaches(parent, latest, "NotFound")
        without = await make("mysql", repo=charts.oci, version="", plainHTTP=True)
        assert "needs spec.version" in await self.reaches(parent, without, "NotFound")
        encrypted = await make("mysql", repo=charts.oci, version="9.2.0")
        assert "can't be reached" in await self.reaches(parent, encrypted, "NotFound")

    async def test_c3_12_private_repositories(self, parent, child, cluster, make, private, target):
        await parent.create(SECRETS, login("reader-right", "s3cret-word"))
        await parent.create(SECRETS, login("reader-wrong", "wrong"))
        right = {"name": "reader-right", "namespace": "default"}
        try:
            for repo in (private.repo, private.oci):
                more = {"repo": repo, "version": "1.0.0", "plainHTTP": True}
                open_ = await make("hello", **more)
                assert "chartPullSecret" in await self.reaches(parent, open_, "NotFound")
                wrong = await make("hello", chartPullSecret={**right, "name": "reader-wrong"}, **more)
                assert "refused" in await self.reaches(parent, wrong, "NotFound")
                absent = await make("hello", chartPullSecret={**right, "name": "reader-none"}, **more)
                assert "there is none" in await self.reaches(parent, absent, "NotFound")
                await self.reaches(parent, await make("hello", chartPullSecret=right, **more), "Found")
                release = Release(parent, cluster)
                await noted(parent, cluster, release, "default/reader-right", repo, plain=True)
                await release.create(chart="hello", targetNamespace=target, chartPullSecret=right, **more)
                await release.reaches("deployed")
                await release.delete()
                await parent.delete(BASES, "b", cluster.namespace)
        finally:
            for name in ("reader-right", "reader-wrong"):
                await parent.delete(SECRETS, name, "default")

    async def test_the_hub_lends_nobody_its_right_to_read_secrets(
        self, parent, child, cluster, make, charts, private, target
    ):
        """A Secret of another namespace is used where it is released, and goes where the hub has rendered it to."""
        ops = f"ops-{random.randbytes(3).hex()}"
        await parent.create(NAMESPACES, {"metadata": {"name": ops}})
        await parent.create(SECRETS, login("reader", "s3cret-word", ops))
        foreign, absent = {"name": "reader", "namespace": ops}, {"name": "none", "namespace": ops}
        more = {"repo": private.repo, "version": "1.0.0"}
        try:
            asked = len(private.requests)
            stolen, missing = [await make("hello", chartPullSecret=one, **more) for one in (foreign, absent)]
            reasons = [await self.reaches(parent, one, "NotFound") for one in (stolen, missing)]
            assert reasons[0] == reasons[1].replace(f"{ops}/none", f"{ops}/reader"), "no telling what is there"
            assert "pull-secret-for.clusternet.io/default=true" in reasons[0]
            assert len(private.requests) == asked

            release = Release(parent, cluster)
            await release.create(chart="hello", targetNamespace=target, chartPullSecret=foreign, **more)
            reason = (await release.reaches("failed"))["description"]
            assert "is what the hub has rendered" in reason, "the HelmRelease alone says nothing"
            await release.delete()

            release = Release(parent, cluster)
            await noted(parent, cluster, release, f"{ops}/reader", private.repo)
            await release.create(chart="hello", targetNamespace=target, chartPullSecret=foreign, **more)
            assert "can't be used" in (await release.reaches("failed"))["description"], "it isn't released"
            label = {"metadata": {"labels": {"pull-secret-for.clusternet.io/default": "true"}}}
            await parent.patch(SECRETS, "reader", label, ops)
            await self.reaches(parent, stolen, "Found", timeout=60)
            await release.change(timeoutSeconds=299)
            await release.reaches("deployed")
            seen = len(charts.logins)
            await release.change(repo=charts.repo, version="1.1.0")
            assert "is what the hub has rendered" in (await release.reaches("failed"))["description"]
            assert len(charts.logins) == seen, "the login goes to no other repository"
            await release.delete()
            await parent.delete(BASES, "b", cluster.namespace)
        finally:
            await parent.delete(NAMESPACES, ops)


async def noted(
    parent: Client, cluster: FakeCluster, release: Release, secret: str, repo: str, *, plain: bool = False
) -> None:
    """Make the Base of a release by hand, with what the hub notes on it of its chart's login."""
    note = {"chart_namespace": "default", "secret": secret, "repo": repo, "plain": plain}
    base = {
        "apiVersion": BASES.api_version,
        "kind": BASES.kind,
        "metadata": {
            "name": "b",
            "namespace": cluster.namespace,
            "annotations": {names.CHART_LOGINS_ANNOTATION: json.dumps({f"default/{release.release}": note})},
        },
        "spec": {"feeds": []},
    }
    await parent.create(BASES, base)


def login(name: str, password: str, namespace: str = "default") -> Object:
    """A Secret for chartPullSecret."""
    data = {"username": "reader", "password": password}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }
