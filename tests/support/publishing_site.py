"""What one test publishes on a parent: made, looked at, and taken away again."""

import asyncio
import base64
import json
import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import Conflict, NotFound
from clusternet_engine.kube.resources import (
    BASES,
    DESCRIPTIONS,
    EVENTS,
    GLOBALIZATIONS,
    HELM_CHARTS,
    HELM_RELEASES,
    LOCALIZATIONS,
    MANIFESTS,
    SUBSCRIPTIONS,
    Object,
    Resource,
)
from clusternet_engine.model import constants as names
from clusternet_engine.model.conditions import find_condition
from hub_site import eventually
from publishing import FakeCluster, fake_cluster, manifest_of, remove_cluster

_KINDS = {
    resource.kind: resource
    for resource in (SUBSCRIPTIONS, HELM_CHARTS, MANIFESTS, LOCALIZATIONS, GLOBALIZATIONS, BASES, DESCRIPTIONS)
}


class PublishingSite:
    """The parent as its administrator and a test's user see it.

    Args:
        parent: client of the parent cluster, as its administrator.

    Attributes:
        name: of this test alone, to make names of.
    """

    def __init__(self, parent: Client) -> None:
        self.parent = parent
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.clusters: list[FakeCluster] = []
        self._made: list[Object] = []

    async def cluster(self, **options: Any) -> FakeCluster:
        """Add a cluster without an agent, labelled `site=<name>`."""
        labels = {"site": self.name} | options.pop("labels", {})
        cluster = await fake_cluster(self.parent, labels=labels, **options)
        self.clusters.append(cluster)
        return cluster

    async def make(self, *objects: Object) -> Object:
        """Create objects, native ones as their Manifests; return the last one as stored."""
        made: Object = {}
        for obj in objects:
            body = obj if obj["kind"] in _KINDS else manifest_of(obj)
            made = await self.parent.create(_KINDS[body["kind"]], body)
            self._made.append(made)
        return made

    async def change(self, obj: Object, patch: Object) -> Object:
        """Patch an object that was made here; of native ones the template."""
        if obj["kind"] not in _KINDS:
            obj, patch = manifest_of(obj), {"template": patch}
        metadata = obj["metadata"]
        return await self.parent.patch(_KINDS[obj["kind"]], metadata["name"], patch, metadata.get("namespace"))

    async def remove(self, obj: Object) -> None:
        """Ask for the deletion of an object."""
        body = obj if obj["kind"] in _KINDS else manifest_of(obj)
        await self.parent.delete(_KINDS[body["kind"]], body["metadata"]["name"], body["metadata"].get("namespace"))

    async def look(self, obj: Object) -> Object:
        """Return an object as it is now; of native ones the Manifest."""
        body = obj if obj["kind"] in _KINDS else manifest_of(obj)
        metadata = body["metadata"]
        return await self.parent.get(_KINDS[body["kind"]], metadata["name"], metadata.get("namespace"))

    async def is_gone(self, obj: Object) -> bool:
        """Return whether an object doesn't exist."""
        try:
            await self.look(obj)
        except NotFound:
            return True
        return False

    async def of(self, resource: Resource, cluster: FakeCluster) -> list[Object]:
        """Return all objects of a kind in the namespace of a cluster."""
        return (await self.parent.list(resource, cluster.namespace)).items

    async def description(self, cluster: FakeCluster, deployer: str = names.DEPLOYER_GENERIC) -> Object:
        """Return the only Description of this deployer for a cluster, as soon as there is one."""

        async def there() -> Object | None:
            found = [one for one in await self.of(DESCRIPTIONS, cluster) if one["spec"]["deployer"] == deployer]
            assert len(found) <= 1, [one["metadata"]["name"] for one in found]
            return found[0] if found else None

        description = await eventually(there, why=f"a Description {deployer} in {cluster.namespace}")
        assert description is not None
        return description

    async def rendered(self, cluster: FakeCluster) -> list[Object]:
        """Return the native objects that a cluster gets now."""
        return contents(await self.description(cluster), "raw")

    async def becomes(self, cluster: FakeCluster, expected: Any, look: Any, timeout: float = 30.0) -> None:
        """Wait until `look` at the native objects of a cluster gives what is expected."""
        last: Any = None

        async def same() -> bool:
            nonlocal last
            last = look(await self.rendered(cluster))
            return bool(last == expected)

        try:
            await eventually(same, timeout)
        except BaseException:
            raise AssertionError(f"{last!r} instead of {expected!r}") from None

    async def events(self, obj: Object) -> dict[str, str]:
        """Return the messages of the events on an object by their reasons."""
        metadata = obj["metadata"]
        found = await self.parent.list(
            EVENTS, metadata.get("namespace", "default"), field_selector=f"involvedObject.uid={metadata['uid']}"
        )
        return {event["reason"]: event["message"] for event in found.items}

    async def events_when(self, obj: Object, reason: str) -> dict[str, str]:
        """Return the messages of the events on an object as soon as there is one with this reason."""

        async def told() -> dict[str, str] | None:
            events = await self.events(obj)
            return events if reason in events else None

        events = await eventually(told, why=f"an event {reason} of {obj['kind']} {obj['metadata']['name']}")
        assert events is not None
        return events

    async def condition(self, subscription: Object, kind: str, reason: str) -> Object:
        """Return a condition of a Subscription as soon as it has this reason for the present generation."""
        last: Object | None = None

        async def told() -> Object | None:
            nonlocal last
            now = await self.look(subscription)
            last = find_condition((now.get("status") or {}).get("conditions"), kind)
            fits = last and last["reason"] == reason and last["observedGeneration"] == now["metadata"]["generation"]
            return last if fits else None

        condition = await eventually(told, why=f"{kind} for the reason {reason}")
        assert condition is not None
        return condition

    async def found(self, chart: Object, phase: str = names.CHART_FOUND) -> Object:
        """Create a HelmChart whose repository knows it, or doesn't; the hub must not look itself."""
        made = await self.make(chart)
        await self.set_phase(made, phase)
        return made

    async def set_phase(self, chart: Object, phase: str, reason: str = "as the test says") -> None:
        """Say whether a chart was found."""
        metadata = chart["metadata"]
        status = {"status": {"phase": phase, "reason": reason}}
        await self.parent.patch(HELM_CHARTS, metadata["name"], status, metadata["namespace"], subresource="status")

    async def clean_up(self) -> None:
        """Take everything away."""
        await asyncio.gather(*map(self._remove_made, self._made))
        await asyncio.gather(*(self._let_go(cluster) for cluster in self.clusters))

    async def _remove_made(self, obj: Object) -> None:
        with suppress(NotFound):
            await self.remove(obj)

    async def _let_go(self, cluster: FakeCluster) -> None:
        """Remove a cluster; what only its agent could undo counts as undone."""
        for resource in (HELM_RELEASES, DESCRIPTIONS):
            for one in await self.of(resource, cluster):
                with suppress(NotFound, Conflict):
                    await self.parent.patch(
                        resource, one["metadata"]["name"], {"metadata": {"finalizers": []}}, cluster.namespace
                    )
        await remove_cluster(self.parent, cluster)


def contents(description: Object, field: str) -> list[Object]:
    """Return what a list of encoded texts in a Description holds; blank texts are empty objects."""
    return [json.loads(base64.b64decode(text).strip() or b"{}") for text in description["spec"].get(field) or ()]


def names_of(objects: Iterable[Object]) -> list[str]:
    """Return `Kind/name` of objects."""
    return [f"{obj['kind']}/{obj['metadata']['name']}" for obj in objects]
