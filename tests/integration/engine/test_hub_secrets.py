"""Values of published Secrets stand in Secrets, nowhere else on the parent, and go to the children all the same."""

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.errors import ApiError, ConnectionFailed, NotFound
from clusternet_engine.kube.resources import (
    DESCRIPTIONS,
    LOCALIZATIONS,
    MANAGED_CLUSTERS,
    MANIFESTS,
    NAMESPACES,
    SECRETS,
    SUBSCRIPTIONS,
    Object,
)
from clusternet_engine.model import constants as names
from clusternet_engine.model.conditions import find_condition
from clusternet_lab import Lab
from deploying import pushed_cluster
from hub_site import HubProcess, eventually, install_api_services, remove_api_services, serves
from publishing import (
    config_map,
    fake_cluster,
    localization,
    manifest_of,
    native_namespace,
    override,
    remove_cluster,
    subscription,
)

RESERVED = names.RESERVED_NAMESPACE
SHADOW = "/apis/shadow/v1alpha1"
GATES = "--feature-gates=ShadowAPI=true,Deployer=true,FeedInUseProtection=true"


class ShadowHub:
    """A hub at the port where the parent's API server looks for the shadow API; it can be killed and started again."""

    def __init__(self, kubeconfig: Path, port: int, log: Path) -> None:
        self._kubeconfig, self._port, self._log = kubeconfig, port, log
        self.process = self.start()

    def start(self, *flags: str) -> HubProcess:
        serving = ("--bind-address=127.0.0.1", f"--secure-port={self._port}")
        self.process = HubProcess(self._kubeconfig, self._log, *serving, GATES, *flags)
        return self.process

    def kill(self) -> None:
        self.process.kill()

    async def serves(self) -> None:
        await serves(self._port)


@pytest.fixture(scope="module")
def hub(hub_kubeconfig: Path, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShadowHub]:
    """A hub that publishes what is put into the shadow API; approves clusters, too."""
    port = lab.cluster("parent").engine_port
    hub = ShadowHub(hub_kubeconfig, port, tmp_path_factory.mktemp("hub") / "hub.log")

    async def as_admin(work: Callable[..., Awaitable[None]]) -> None:
        async with Client(ClusterConfig.from_kubeconfig(lab.cluster("parent").kubeconfig), qps=0) as admin:
            await work(admin, port)

    try:
        asyncio.run(as_admin(install_api_services))
        yield hub
    finally:
        asyncio.run(as_admin(remove_api_services))
        hub.process.end()


class User:
    """Publishes one Secret through the shadow API.

    Attributes:
        name: of the Secret, of its namespace and of the Subscription.
    """

    def __init__(self, parent: Client) -> None:
        self.parent = parent
        self.name = f"s{uuid.uuid4().hex[:8]}"
        self.path = f"{SHADOW}/namespaces/{self.name}/secrets"
        self.namespace = native_namespace(self.name)

    def secret(self, value: str, **more: str) -> Object:
        """Return the Secret as `kubectl apply` would send it."""
        data = {"k": base64.b64encode(value.encode()).decode(), **more}
        metadata = {"name": self.name, "namespace": self.name, "labels": {"app": self.name}}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}
        annotations = {names.KUBECTL_LAST_APPLIED_ANNOTATION: json.dumps(body)}
        return {**body, "metadata": {**metadata, "annotations": annotations}}

    async def ask(self, method: str, path: str, body: Object | None = None, **params: str) -> Object:
        data = None if body is None else orjson.dumps(body)
        answer = await self.parent.raw(method, path, params=params, body=data)
        assert answer.status < 300, answer.body
        parsed: Object = orjson.loads(answer.body)
        return parsed

    async def value(self) -> str:
        """Return the value as the shadow API shows it."""
        shown = await self.ask("GET", f"{self.path}/{self.name}")
        return base64.b64decode(shown["data"]["k"]).decode()

    async def manifest(self) -> Object:
        return await self.parent.get(MANIFESTS, f"secrets.{self.name}.{self.name}", RESERVED)

    async def publish(self) -> Object:
        """Publish it, with its namespace, to the clusters labelled `site=<name>`."""
        feeds = [self.namespace, self.secret("")]
        return await self.parent.create(SUBSCRIPTIONS, subscription(self.name, feeds, clusters={"site": self.name}))

    async def clean_up(self) -> None:
        with suppress(NotFound):
            await self.parent.delete(SUBSCRIPTIONS, self.name, "default")
        for obj in (self.secret(""), self.namespace):
            with suppress(NotFound):
                await self.parent.delete(MANIFESTS, manifest_of(obj)["metadata"]["name"], RESERVED)


@pytest.fixture
async def user(hub: ShadowHub, parent: Client) -> AsyncIterator[User]:
    made = User(parent)
    await made.ask("POST", f"{SHADOW}/namespaces", made.namespace)
    yield made
    await made.clean_up()


def shapes(text: str) -> list[bytes]:
    """Return a text as it may stand somewhere: plain, and as base64 wherever it begins."""
    found = [text.encode()]
    for skipped in range(3):
        encoded = base64.b64encode(b"x" * skipped + text.encode()).decode().rstrip("=")
        found.append(encoded[4 if skipped else 0 : -2].encode())
    return found


def deep_shapes(text: str) -> list[bytes]:
    """Return also how it looks in objects that are encoded once more, as Descriptions hold them."""
    once = shapes(text)
    return once + [deep for shape in once for deep in shapes(shape.decode())]


async def everything_but_secrets(parent: Client) -> dict[str, bytes]:
    """Return all objects of every kind of the parent, as JSON."""
    versions = ["/api/v1"]
    groups = orjson.loads((await parent.raw("GET", "/apis")).body)["groups"]
    versions += [f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups if group["name"] != "shadow"]
    found = {}
    for version in versions:
        for kind in orjson.loads((await parent.raw("GET", version)).body).get("resources") or ():
            if "list" in kind["verbs"] and (version, kind["name"]) != ("/api/v1", "secrets"):
                answer = await parent.raw("GET", f"{version}/{kind['name']}")
                if answer.status == 200:
                    found[f"{version}/{kind['name']}"] = answer.body
    assert "/apis/apps.clusternet.io/v1alpha1/descriptions" in found
    assert "/api/v1/events" in found
    return found


async def places_of(parent: Client, *texts: str) -> list[str]:
    """Return the kinds of the parent in which any of these texts stands in any form."""
    found = await everything_but_secrets(parent)
    return [
        place
        for place, content in found.items()
        if any(shape in content for text in texts for shape in deep_shapes(text))
    ]


async def values_of(parent: Client, kind: str, namespace: str) -> list[str]:
    """Return the names of the Secrets with values in a namespace."""
    return [
        one["metadata"]["name"] for one in (await parent.list(SECRETS, namespace, field_selector=f"type={kind}")).items
    ]


async def has_value(child: Client, user: User, key: str, value: str) -> None:
    async def arrived() -> bool:
        live = await child.get(SECRETS, user.name, user.name)
        return bool(base64.b64decode((live.get("data") or {}).get(key) or "").decode() == value)

    await eventually(arrived, why=f"{key} is {value} on {child.config.server}")


async def test_values_reach_their_children_and_stand_only_in_secrets(
    user: User, parent: Client, site: Any, pulled: Any, lab: Lab
) -> None:
    first, second, foreign = (f"marker-{uuid.uuid4().hex}" for _ in range(3))
    pulling = await pulled("--cluster-sync-mode=Pull")
    async with Client(ClusterConfig.from_kubeconfig(lab.cluster("child2").kubeconfig), qps=0) as other:
        pushed = await pushed_cluster(parent, other)
        try:
            for cluster in (pulling, pushed):
                patch = {"metadata": {"labels": {"site": user.name}}}
                await parent.patch(MANAGED_CLUSTERS, cluster.name, patch, cluster.namespace)
            since = (await user.ask("GET", user.path))["metadata"]["resourceVersion"]
            made = await user.ask("POST", user.path, user.secret(first))
            assert base64.b64decode(made["data"]["k"]).decode() == first
            merged = {"data": {"other": base64.b64encode(foreign.encode()).decode()}}
            changes = localization(user.name, pushed.namespace, user.secret(""), [override("MergePatch", merged)])
            await parent.create(LOCALIZATIONS, changes)
            await user.publish()
            await has_value(site.child, user, "k", first)
            await has_value(other, user, "k", first)
            await has_value(other, user, "other", foreign)
            assert await places_of(parent, first) == []
            assert await places_of(parent, foreign) == ["/apis/apps.clusternet.io/v1alpha1/localizations"]
            assert "clusternet" not in str((await site.child.get(SECRETS, user.name, user.name))["data"])

            patch = {"data": {"k": base64.b64encode(second.encode()).decode()}}
            live = await user.ask("GET", f"{user.path}/{user.name}")
            assert names.KUBECTL_LAST_APPLIED_ANNOTATION in live["metadata"]["annotations"]
            dry = await user.ask("PUT", f"{user.path}/{user.name}", {**live, **patch}, dryRun="All")
            assert base64.b64decode(dry["data"]["k"]).decode() == second
            assert await user.value() == first
            await user.ask("PUT", f"{user.path}/{user.name}", user.secret(second))
            for child in (site.child, other):
                await has_value(child, user, "k", second)
            assert await places_of(parent, first, second) == []
            [listed] = (await user.ask("GET", user.path))["items"]
            assert base64.b64decode(listed["data"]["k"]).decode() == second
            answer = await parent.raw(
                "GET", user.path, params={"watch": "1", "resourceVersion": since, "timeoutSeconds": "2"}
            )
            seen = [orjson.loads(line) for line in answer.body.splitlines()]
            assert seen[0]["type"] == "ADDED"
            told = [
                base64.b64decode(event["object"]["data"]["k"]).decode() for event in seen if "data" in event["object"]
            ]
            assert set(told) <= {first, second}
            assert told[-1] == second

            await parent.delete(SUBSCRIPTIONS, user.name, "default")
            for child in (site.child, other):
                await _gone(lambda child=child: child.get(SECRETS, user.name, user.name))  # type: ignore[misc]
            for cluster in (pulling, pushed):
                await eventually(
                    lambda cluster=cluster: _none(parent, names.DESCRIPTION_VALUES_TYPE, cluster.namespace),  # type: ignore[misc]
                    why=f"no values in {cluster.namespace}",
                )
            named = (await user.manifest())["metadata"]["annotations"][names.VALUES_ANNOTATION]
            await user.ask("DELETE", f"{user.path}/{user.name}")
            await _gone(lambda: parent.get(SECRETS, named, RESERVED))
        finally:
            await remove_cluster(parent, pushed)
            with suppress(NotFound):
                await other.delete(NAMESPACES, user.name)


async def _none(parent: Client, kind: str, namespace: str) -> bool:
    return await values_of(parent, kind, namespace) == []


async def _gone(look: Callable[[], Awaitable[Object]]) -> None:
    async def gone() -> bool:
        try:
            await look()
        except NotFound:
            return True
        return False

    await eventually(gone)


async def test_a_hub_that_is_killed_while_values_are_written_loses_none(
    hub: ShadowHub, user: User, parent: Client, child: Client
) -> None:
    """What was acknowledged is there, whatever was under way; nobody ever sees, or gets, a Secret without its value."""
    cluster = await pushed_cluster(parent, child)
    await parent.patch(MANAGED_CLUSTERS, cluster.name, {"metadata": {"labels": {"site": user.name}}}, cluster.namespace)
    try:
        await user.ask("POST", user.path, user.secret("0"))
        await user.publish()
        await has_value(child, user, "k", "0")
        acknowledged, ending, odd = 0, asyncio.Event(), []

        async def write() -> None:
            nonlocal acknowledged
            while not ending.is_set():
                with suppress(AssertionError, ApiError, ConnectionFailed):
                    await user.ask("PUT", f"{user.path}/{user.name}", user.secret(str(acknowledged + 1)))
                    acknowledged += 1
                await asyncio.sleep(0.01)

        async def look() -> None:
            while not ending.is_set():
                with suppress(AssertionError, ApiError, ConnectionFailed):
                    if not (await user.value()).isdigit():
                        odd.append(await user.manifest())
                live = await child.get(SECRETS, user.name, user.name)
                if not base64.b64decode(live["data"]["k"]).decode().isdigit():
                    odd.append(live)
                await asyncio.sleep(0.02)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(write())
            tasks.create_task(look())
            for _ in range(2):
                hub.kill()
                hub.start()
                await hub.serves()
                before = acknowledged
                # The API server looks for the hub again at times of its own.
                await eventually(lambda before=before: _more(lambda: acknowledged, before + 3), 90)  # type: ignore[misc]
            ending.set()
        assert odd == []
        last = await eventually(user.value)
        assert int(last) in (acknowledged, acknowledged + 1)
        await has_value(child, user, "k", last)
    finally:
        await remove_cluster(parent, cluster)


async def _more(look: Callable[[], int], than: int) -> bool:
    return look() >= than


async def test_values_in_clear_are_moved_mended_and_put_back(hub: ShadowHub, user: User, parent: Client) -> None:
    marker, name = f"marker-{uuid.uuid4().hex}", user.name
    settings = config_map("settings", name, a="1")
    unable = await fake_cluster(parent, labels={"site": name})
    able = await fake_cluster(parent, labels={"site": name})
    try:
        silent = {"metadata": {"annotations": {names.READS_VALUES_ANNOTATION: None}}}
        await parent.patch(MANAGED_CLUSTERS, unable.name, silent, unable.namespace)
        await parent.create(MANIFESTS, manifest_of(user.secret(marker)))
        await parent.create(MANIFESTS, manifest_of(settings))
        body = subscription(name, [user.secret(""), settings], clusters={"site": name})
        await parent.create(SUBSCRIPTIONS, body)

        async def moved() -> str | None:
            annotations = (await user.manifest())["metadata"].get("annotations") or {}
            return annotations.get(names.VALUES_ANNOTATION)

        kept = await eventually(moved, why="the values are in a Secret")
        assert kept is not None
        assert await user.value() == marker

        async def raw(cluster: Any) -> list[Object]:
            found = (await parent.list(DESCRIPTIONS, cluster.namespace)).items
            return [json.loads(base64.b64decode(text)) for one in found for text in one["spec"]["raw"]]

        async def has(cluster: Any, count: int) -> bool:
            return len(await raw(cluster)) == count

        await eventually(lambda: has(able, 2), why="both objects for the one")
        await eventually(lambda: has(unable, 1), why="the ConfigMap for the other")
        assert await places_of(parent, marker) == []
        [in_description] = [obj for obj in await raw(able) if obj["kind"] == "Secret"]
        assert in_description["data"] == {"k": ""}
        [named] = await values_of(parent, names.DESCRIPTION_VALUES_TYPE, able.namespace)
        assert in_description["metadata"]["annotations"][names.VALUES_ANNOTATION] == named

        async def told() -> str | None:
            status = (await parent.get(SUBSCRIPTIONS, name, "default")).get("status") or {}
            condition = find_condition(status.get("conditions"), names.RENDERED)
            return condition["message"] if condition and condition["reason"] == "ValuesUnreadable" else None

        assert "clusternet_hub_published_secrets" in (await eventually(told, why="the Subscription says so") or "")

        # Removed by hand, on both sides: they are written again.
        await parent.delete(SECRETS, kept, RESERVED)
        await parent.delete(SECRETS, named, able.namespace)

        async def mended() -> bool:
            again = await moved()
            return again not in (None, kept) and await user.value() == marker

        await eventually(mended, why="the values of the Manifest are back")
        await eventually(lambda: parent.get(SECRETS, named, able.namespace), why="those of the Description, too")

        hub.process.stop()
        hub.start("--published-secrets=inline")

        async def inline() -> bool:
            manifest = await user.manifest()
            encoded = base64.b64encode(marker.encode()).decode()
            rendered = [obj for cluster in (able, unable) for obj in await raw(cluster) if obj["kind"] == "Secret"]
            return (
                manifest["template"]["data"] == {"k": encoded}
                and [one["data"] for one in rendered] == [{"k": encoded}] * 2
            )

        await eventually(inline, why="everything is inline, for both")
        await eventually(lambda: _none(parent, names.DESCRIPTION_VALUES_TYPE, able.namespace))
        hub.process.stop()
        hub.start()
        await eventually(moved, why="moved again")
    finally:
        await parent.delete(SUBSCRIPTIONS, name, "default")
        with suppress(NotFound):
            await parent.delete(MANIFESTS, manifest_of(settings)["metadata"]["name"], RESERVED)
        for cluster in (able, unable):
            for one in (await parent.list(DESCRIPTIONS, cluster.namespace)).items:
                with suppress(NotFound):
                    await parent.patch(
                        DESCRIPTIONS, one["metadata"]["name"], {"metadata": {"finalizers": []}}, cluster.namespace
                    )
            await remove_cluster(parent, cluster)
