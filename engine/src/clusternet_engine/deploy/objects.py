"""Applies and removes native objects on one cluster (spec/03 §8.2, §9)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from clusternet_engine.deploy.discovery import Discovery, KindUnknown
from clusternet_engine.kube.client import Client, PatchType
from clusternet_engine.kube.errors import ApiError, Conflict, NotFound
from clusternet_engine.kube.parallel import all_of
from clusternet_engine.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, Object, Resource
from clusternet_engine.model import constants as names
from clusternet_engine.model.applied import Identity, identity, owner_of, owner_text, reference
from clusternet_engine.model.apply import path_text
from clusternet_engine.model.conditions import find_condition
from clusternet_engine.model.drift import differences, needs_apply, outdated
from clusternet_engine.model.feeds import feed_text
from clusternet_engine.model.field_owners import FIELD_MANAGER, other_owners
from clusternet_engine.model.managers import taken_over
from clusternet_engine.model.ordering import waves

QPS = 500.0
BURST = 1000
"""Requests a second and at once to one cluster; its API server has its own protection against too many."""
_CONCURRENCY = 20
"""Requests at once for the objects of one Description."""
_ESTABLISH_TIMEOUT = 30.0
"""Seconds a CustomResourceDefinition may take until its kind is served."""
_SERVED_TIMEOUT = 5.0
"""Seconds the API server may lag behind the condition Established."""
_IMMORTAL = ("default", "kube-system", "kube-public", "kube-node-lease")
"""Namespaces that Kubernetes doesn't let go or makes anew."""
_TAKEOVERS = 2
"""Times an object is applied once more at most when one of Clusternet's programs writes it at the same moment."""
_MAX_RIVALS = 5
"""Fields of an object that are told of when they have drifted."""
_GOING = "it is being removed, and not gone yet"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one object.

    Attributes:
        reference: of the object.
        error: why it isn't as wanted; empty if it is.
        waits: nothing is wrong, but something else has to happen before.
        adopted: whose it was before, if it was there and not ours.
        changed: whether something was written.
        version: the resourceVersion that the object had before; empty if it wasn't there.
        rivals: fields that had drifted, and who owns them instead; empty where nobody does.
    """

    reference: Object
    error: str = ""
    waits: bool = False
    adopted: str = ""
    changed: bool = False
    version: str = ""
    rivals: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """How messages name the object."""
        return feed_text(self.reference)


@dataclass(slots=True)
class _Seen:
    """What is known of an object's place on the cluster before it is applied."""

    resource: Resource | None = None
    live: Object | None = None


@dataclass(slots=True)
class _Failed:
    """What has failed so far that others need."""

    namespaces: set[str] = field(default_factory=set)
    kinds: set[tuple[str, str]] = field(default_factory=set)

    def add(self, obj: Object) -> None:
        if obj["apiVersion"] == "v1" and obj["kind"] == "Namespace":
            self.namespaces.add(obj["metadata"]["name"])
        elif obj["kind"] == CUSTOM_RESOURCE_DEFINITIONS.kind:
            self.kinds.add(_defined_kind(obj))

    def hinders(self, obj: Object) -> str:
        """Return what an object needs and doesn't have, as text; empty if nothing is missing."""
        namespace = obj["metadata"].get("namespace")
        if namespace in self.namespaces:
            return f"waits for Namespace {namespace}, which could not be applied"
        if (obj["apiVersion"].rpartition("/")[0], obj["kind"]) in self.kinds:
            return f"waits for the CustomResourceDefinition of {obj['kind']}, which could not be applied"
        return ""


class Objects:
    """The native objects of one cluster.

    Args:
        client: of the cluster, as one that may deploy.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.discovery = Discovery(client)
        self._limit = asyncio.Semaphore(_CONCURRENCY)

    async def apply(
        self,
        objects: Sequence[Object],
        *,
        first: Coroutine[Any, Any, None] | None = None,
        ended: Collection[Identity] = (),
    ) -> list[Outcome]:
        """Apply prepared objects wave by wave; what fails doesn't stop others, unless they need it.

        Args:
            objects: from `model.applied.prepare`.
            first: done before anything is written, while the cluster is being read.
            ended: what isn't made again where it is gone, since it goes by itself.

        Raises:
            ConnectionFailed: the cluster can't be reached.
        """
        seen: dict[int, _Seen] = {}
        await all_of([*(self._look(obj, seen) for obj in objects), *([first] if first else [])])
        failed = _Failed()
        outcomes: dict[int, Outcome] = {}
        for group in waves(objects):
            applied = await all_of(self._apply(obj, seen[id(obj)], failed, ended) for obj in group)
            for obj, outcome in zip(group, applied, strict=True):
                outcomes[id(obj)] = outcome
                if outcome.error:
                    failed.add(obj)
        return [outcomes[id(obj)] for obj in objects]

    async def delete(self, references: Iterable[Object], owner: str, shared: Mapping[Identity, str]) -> list[Outcome]:
        """Remove objects in reverse order; objects of other owners stay.

        Whoever calls comes back as long as something waits: a wave begins when all before it is gone.

        Args:
            references: to the objects.
            owner: the `owner_text` that they must carry.
            shared: what somebody else is to take over, and who.

        Raises:
            ConnectionFailed: the cluster can't be reached.
        """
        outcomes: list[Outcome] = []
        for group in reversed(waves(references)):
            if ending := next((outcome for outcome in outcomes if outcome.waits), None):
                outcomes += [Outcome(entry, f"waits for the end of {ending.text}", waits=True) for entry in group]
            else:
                outcomes += await all_of(self._delete(entry, owner, shared) for entry in group)
        return outcomes

    async def _look(self, obj: Object, seen: dict[int, _Seen]) -> None:
        """Read an object; errors show up again when it is applied."""
        try:
            resource = await self.discovery.resource(obj["apiVersion"], obj["kind"])
            seen[id(obj)] = _Seen(resource, await self._read(resource, obj))
        except (ApiError, KindUnknown, ValueError):
            seen[id(obj)] = _Seen()

    async def _read(self, resource: Resource, obj: Object) -> Object | None:
        async with self._limit:
            try:
                return await self.client.get(resource, obj["metadata"]["name"], _namespace(resource, obj))
            except NotFound:
                return None

    async def _apply(self, obj: Object, seen: _Seen, failed: _Failed, ended: Collection[Identity]) -> Outcome:
        entry = reference(obj)
        if hindrance := failed.hinders(obj):
            return Outcome(entry, hindrance, waits=True)
        try:
            resource, live = seen.resource, seen.live
            if resource is None:
                resource = await self.discovery.resource(obj["apiVersion"], obj["kind"])
                live = await self._read(resource, obj)
            if live is not None and live["metadata"].get("deletionTimestamp"):
                return Outcome(entry, _GOING, waits=True)
            if live is None and identity(entry) in ended:
                return Outcome(entry)
            version = live["metadata"]["resourceVersion"] if live else ""
            if live is not None and not needs_apply(live, obj):
                return Outcome(entry, version=version)
            written = await self._write(resource, obj, live)
        except KindUnknown as error:
            return Outcome(entry, str(error))
        except ApiError as error:
            if isinstance(error, NotFound):
                self.discovery.forget(obj["apiVersion"])
            return Outcome(entry, error.message or str(error))
        except ValueError as error:
            return Outcome(entry, str(error))
        except TimeoutError as error:
            return Outcome(entry, str(error) or "out of time")
        return Outcome(
            entry,
            adopted=_foreign(live, obj),
            changed=written["metadata"].get("resourceVersion") != version,
            version=version,
            rivals=_rivals(live, obj),
        )

    async def _write(self, resource: Resource, obj: Object, live: Object | None) -> Object:
        """Apply an object, with all that Clusternet's programs own of it; return it as it is now."""
        async with self._limit:
            managed = taken_over(live) if live is not None else None
            written = await self._write_once(resource, obj, live, managed)
            for _ in range(_TAKEOVERS):
                if (managed := taken_over(written)) is None:
                    break
                written = await self._write_once(resource, obj, written, managed)
        if resource.kind == CUSTOM_RESOURCE_DEFINITIONS.kind and live is None:
            await self._established(obj["metadata"]["name"], obj)
        return written

    async def _write_once(
        self, resource: Resource, obj: Object, live: Object | None, managed: list[Object] | None
    ) -> Object:
        """Apply an object, after its `managedFields` were set if that is due; return it as it is now."""
        name, namespace = obj["metadata"]["name"], _namespace(resource, obj)
        if live is not None and managed is not None:
            patch = [
                {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
                {"op": "replace", "path": "/metadata/managedFields", "value": managed},
            ]
            await self.client.patch(resource, name, patch, namespace, kind=PatchType.JSON)
        return await self.client.patch(
            resource, name, obj, namespace, kind=PatchType.APPLY, field_manager=FIELD_MANAGER, force=True
        )

    async def _established(self, name: str, definition: Object) -> None:
        """Wait until the kind of a CustomResourceDefinition is served."""
        try:
            async with asyncio.timeout(_ESTABLISH_TIMEOUT):
                current = await self.client.get(CUSTOM_RESOURCE_DEFINITIONS, name)
                if not _is_established(current):
                    watch = self.client.watch(
                        CUSTOM_RESOURCE_DEFINITIONS,
                        resource_version=current["metadata"]["resourceVersion"],
                        field_selector=f"metadata.name={name}",
                    )
                    async with aclosing(watch) as events:
                        async for event in events:
                            if event.type in ("ADDED", "MODIFIED") and _is_established(event.object):
                                break
        except TimeoutError:
            raise TimeoutError(f"its kind is not served within {_ESTABLISH_TIMEOUT:g} s") from None
        await self._served(definition)

    async def _served(self, definition: Object) -> None:
        spec = definition["spec"]
        version = next((entry["name"] for entry in spec.get("versions") or () if entry.get("served")), None)
        if version is None:
            return
        try:
            async with asyncio.timeout(_SERVED_TIMEOUT):
                while True:
                    try:
                        await self.discovery.resource(f"{spec['group']}/{version}", spec["names"]["kind"])
                    except KindUnknown:
                        await asyncio.sleep(0.02)
                    else:
                        return
        except TimeoutError:
            log.info("CustomResourceDefinition %s is established but not in discovery", definition["metadata"]["name"])

    async def _delete(self, entry: Object, owner: str, shared: Mapping[Identity, str]) -> Outcome:
        obj = {"metadata": {"name": entry["name"], "namespace": entry.get("namespace")}}
        try:
            resource = await self.discovery.resource(entry["apiVersion"], entry["kind"])
            live = await self._read(resource, obj)
            found = owner_of(live) if live else None
            if live is None or found is None or owner_text(*found) != owner:
                return Outcome(entry)
            metadata = live["metadata"]
            if resource.kind == "Namespace" and metadata["name"] in _IMMORTAL:
                return Outcome(entry)
            if heir := shared.get(identity(entry)):
                return Outcome(entry, f"it stays until Description {heir} has taken it over", waits=True)
            if metadata.get("deletionTimestamp"):
                return Outcome(entry, _GOING, waits=True)
            async with self._limit:
                answer = await self.client.delete(
                    resource,
                    metadata["name"],
                    metadata.get("namespace"),
                    uid=metadata["uid"],
                    resource_version=metadata["resourceVersion"],
                    propagation="Background",
                )
            if answer.get("kind") != "Status" and await self._read(resource, obj):
                return Outcome(entry, _GOING, waits=True, changed=True)
        except (KindUnknown, NotFound):
            return Outcome(entry)
        except Conflict:
            return Outcome(entry, "it was changed while being removed", waits=True)
        except ApiError as error:
            return Outcome(entry, error.message or str(error))
        except ValueError as error:
            return Outcome(entry, str(error))
        return Outcome(entry, changed=True)


def _namespace(resource: Resource, obj: Object) -> str | None:
    return (obj["metadata"].get("namespace") or "default") if resource.namespaced else None


def _defined_kind(definition: Object) -> tuple[str, str]:
    spec = definition.get("spec") or {}
    return spec.get("group") or "", (spec.get("names") or {}).get("kind") or ""


def _is_established(definition: Object) -> bool:
    condition = find_condition((definition.get("status") or {}).get("conditions"), "Established")
    return condition is not None and condition["status"] == names.TRUE


def _rivals(live: Object | None, wanted: Object) -> tuple[tuple[str, str], ...]:
    """Return the fields of an object of ours that have drifted, and who has changed them."""
    if live is None or outdated(live, wanted):
        return ()
    paths = list(islice(differences(live, wanted), _MAX_RIVALS))
    return tuple((path_text(path), manager) for path, manager in other_owners(live, paths))


def _foreign(live: Object | None, wanted: Object) -> str:
    """Return whose object it was that is taken over; empty if it was new or ours."""
    if live is None or owner_of(live) == owner_of(wanted):
        return ""
    owner = owner_of(live)
    return f"Description {owner[0]}/{owner[1]}" if owner else "somebody else"
