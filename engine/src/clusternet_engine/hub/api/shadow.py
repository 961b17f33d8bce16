"""API group `shadow/v1alpha1`: native objects, kept as Manifests for Subscriptions to publish (spec/04 §8)."""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from clusternet_engine.answers import failure, json_answer, refuse, success, warning_header
from clusternet_engine.hub.api.bodies import Bodies
from clusternet_engine.hub.api.catalog import Catalog
from clusternet_engine.hub.api.changes import BOOKMARK, DELETED, ChangeLog, Event
from clusternet_engine.hub.api.checking import Checked, Checker
from clusternet_engine.hub.api.groups import Call
from clusternet_engine.hub.api.patches import bounded, patched
from clusternet_engine.hub.api.representation import Representation, wanted_representation
from clusternet_engine.hub.api.requests import RequestInfo, is_true
from clusternet_engine.hub.api.schemas import Schemas
from clusternet_engine.hub.api.selection import Selection
from clusternet_engine.hub.api.store import Store, modified, qualified
from clusternet_engine.hub.manifests import Manifests
from clusternet_engine.kube.client import Client, PatchType
from clusternet_engine.kube.errors import ApiError, Conflict, NotFound
from clusternet_engine.kube.resources import Object, Resource
from clusternet_engine.model import constants as names
from clusternet_engine.model.apply import ApplyConflict, Manager, TooManyFields, apply, path_text
from clusternet_engine.model.apply import updated as fields_after
from clusternet_engine.model.names import LABEL_LIMIT
from clusternet_engine.model.secret_values import INCOMPLETE, without_data
from clusternet_engine.model.shadow import (
    SHADOW_API_VERSION,
    make_manifest,
    name_problem,
    owners,
    replicas_of,
    scale_of,
    shadow_object,
    updated_manifest,
    with_owners,
    with_replicas,
    without_nulls,
)
from clusternet_engine.model.shadow_resources import ShadowResource

ATTEMPTS = 5
"""Times a write is tried again that doesn't say on which version it is based."""
WATCH_TIMEOUT = (1800.0, 3600.0)
"""Seconds a watch lives unless it says otherwise, drawn at random; as long as on API servers."""

_NAMESPACE_CONTROLLERS = frozenset(
    {"system:serviceaccount:kube-system:namespace-controller", "system:kube-controller-manager"}
)
_INITIAL_END = "k8s.io/initial-events-end"
_NATIVE_WORKLOADS = frozenset({"", "apps"})
"""Groups whose kinds have one replica where none are asked for, which their schemas don't say."""


class Shadow:
    """The API group.

    Args:
        client: of the parent cluster.
        store: of the Manifests.
        catalog: what can be published.
        schemas: of the parent's resources.
        manifests: the hub's cache, whose changes are watched.
    """

    group = names.SHADOW_GROUP
    version = names.SHADOW_VERSION

    def __init__(self, client: Client, store: Store, catalog: Catalog, schemas: Schemas, manifests: Manifests) -> None:
        self._store = store
        self._catalog = catalog
        self._schemas = schemas
        self._checker = Checker(client, schemas, store.namespace)
        self._changes = ChangeLog(manifests)
        self._bodies = Bodies()

    def resources(self) -> list[Object]:
        """Return the entries of its APIResourceList."""
        served = sorted(self._catalog.resources().items())
        return [document for _, one in served for document in one.documents()]

    async def answer(self, call: Call) -> web.StreamResponse:
        """Answer a request for one of its resources.

        Raises:
            ApiError: it can't be answered.
            ConnectionFailed: the parent can't be reached.
        """
        info = call.info
        served = self._catalog.resources().get(info.resource)
        if served is None:
            raise refuse(404, "the server could not find the requested resource")
        scope = _scope(info, served.resource)
        if info.subresource:
            return await self._scale(call, served, scope)
        verbs = {
            "get": self._get,
            "list": self._list,
            "watch": self._watch,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }
        verb = verbs.get(info.verb)
        needs_scope = served.resource.namespaced and scope is None and info.verb not in ("list", "watch")
        if verb is None or needs_scope:
            raise refuse(405, f"the server does not allow this method on {info.resource}")
        return await verb(call, served.resource, scope)

    async def _get(self, call: Call, resource: Resource, namespace: str | None) -> web.Response:
        manifest = await self._store.get(resource, call.info.name, namespace)
        return json_answer(wanted_representation(call.request).object(shadow_object(manifest)))

    async def _list(self, call: Call, resource: Resource, namespace: str | None) -> web.Response:
        query = call.request.query
        selection = Selection.of(query, resource, namespace)
        representation = wanted_representation(call.request)
        if namespace is not None and call.user.name in _NAMESPACE_CONTROLLERS:
            # Templates outlive the parent's namespace of that name: the controller that empties it sees none.
            return json_answer(representation.list([], {"resourceVersion": str(self._changes.version())}, resource))
        passed = {
            key: query[key] for key in ("resourceVersion", "resourceVersionMatch", "limit", "continue") if key in query
        }
        found = await self._store.list({**passed, "labelSelector": selection.text})
        metadata = {key: value for key, value in found["metadata"].items() if key in ("resourceVersion", "continue")}
        objects = [shadow_object(manifest) for manifest in found.get("items") or () if selection.names_it(manifest)]
        return json_answer(representation.list(objects, metadata, resource))

    async def _watch(self, call: Call, resource: Resource, namespace: str | None) -> web.StreamResponse:
        query = call.request.query
        selects = Selection.of(query, resource, namespace).selects
        version = query.get("resourceVersion") or "0"
        if not version.isdigit():
            raise refuse(400, f"resourceVersion {version!r} is not a version")
        initial = query.get("sendInitialEvents")
        since = int(version) or None
        if is_true(initial):
            since = None
        elif initial is not None and since is None:
            since = self._changes.version()
        shown = {"ends": is_true(initial), "bookmarks": is_true(query.get("allowWatchBookmarks"))}
        seconds = query.get("timeoutSeconds") or ""
        timeout = float(seconds) if seconds.isdigit() and int(seconds) else random.uniform(*WATCH_TIMEOUT)  # noqa: S311
        representation = wanted_representation(call.request)
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(call.request)
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(timeout):
                async with contextlib.aclosing(self._changes.follow(selects, since)) as events:
                    await _send(answer, events, lambda event: _event(event, resource, representation, **shown))
        with contextlib.suppress(ConnectionError):
            await answer.write_eof()
        return answer

    async def _create(self, call: Call, resource: Resource, namespace: str | None) -> web.Response:
        if call.info.name:
            raise refuse(405, "the server does not allow this method on a single object")
        obj = _incoming(await self._bodies.object(call), resource, namespace)
        metadata = obj["metadata"]
        if not metadata.get("name") and metadata.get("generateName"):
            suffix = "".join(random.choices(names.RANDOM_ALPHABET, k=names.RANDOM_LENGTH))  # noqa: S311
            metadata["name"] = f"{metadata['generateName'][: LABEL_LIMIT - names.RANDOM_LENGTH]}{suffix}"
        return await self._make(call, resource, namespace, obj, [])

    async def _make(
        self, call: Call, resource: Resource, namespace: str | None, obj: Object, managers: list[Manager]
    ) -> web.Response:
        name, query = obj["metadata"].get("name") or "", call.request.query
        if problem := name_problem(name, namespace):
            causes = [{"reason": "FieldValueInvalid", "message": problem, "field": "metadata.name"}]
            details = {"name": name, "group": resource.group, "kind": resource.kind, "causes": causes}
            message = f'{qualified(resource)} "{name}" is invalid: metadata.name: Invalid value: "{name}": {problem}'
            raise refuse(422, message, details=details)
        checked = await self._checker.check(obj, resource, query)
        manifest = make_manifest(checked.object, resource, self._store.namespace, str(uuid.uuid4()))
        if managers:
            manifest = await self._bodies.aside(call, with_owners, manifest, managers)
        made = await self._store.create(manifest, resource, _dry_run(query))
        return _answer(call, made, checked, status=201)

    async def _update(self, call: Call, resource: Resource, namespace: str | None) -> web.Response:
        obj = _incoming(await self._bodies.object(call), resource, namespace, call.info.name)
        return await self._change(call, resource, namespace, lambda current, managers: (obj, None))

    async def _patch(self, call: Call, resource: Resource, namespace: str | None) -> web.Response:
        kind, patch = await self._bodies.patch(call)
        if kind is PatchType.APPLY:
            return await self._apply(call, resource, namespace, patch)
        schema = await self._schemas.of(resource) if kind is PatchType.STRATEGIC else None

        def change(current: Object, managers: list[Manager]) -> tuple[Object, None]:
            return _incoming(patched(current, kind, patch, schema), resource, namespace, call.info.name), None

        return await self._change(call, resource, namespace, change)

    async def _apply(self, call: Call, resource: Resource, namespace: str | None, patch: Object) -> web.Response:
        """Server-side apply; the object is made if it isn't there yet."""
        query = call.request.query
        if not (manager := query.get("fieldManager")):
            raise refuse(422, "PatchOptions is invalid: fieldManager: Required value: is required for apply patch")
        config = _incoming(without_nulls(patch), resource, namespace, call.info.name)
        schema, force = await self._schemas.of(resource), is_true(query.get("force"))

        def change(current: Object | None, managers: list[Manager]) -> tuple[Object, list[Manager]]:
            try:
                obj, owners = apply(current, config, schema, managers, manager, force=force)
            except ApplyConflict as error:
                raise _conflict(error, resource, call.info.name) from None
            except TooManyFields as error:
                raise refuse(413, str(error)) from None
            return bounded(obj), owners

        try:
            return await self._change(call, resource, namespace, change)
        except NotFound:
            if config["metadata"].get("uid") or config["metadata"].get("resourceVersion"):
                raise
            obj, managers = await self._bodies.aside(call, change, None, [])
            return await self._make(call, resource, namespace, obj, managers)

    async def _change(
        self,
        call: Call,
        resource: Resource,
        namespace: str | None,
        change: Callable[[Object, list[Manager]], tuple[Object, list[Manager] | None]],
    ) -> web.Response:
        """Write what a change makes of the object; try again if somebody else was quicker, unless it forbids that.

        A change returns the object, and the owners of its fields if it knows them. It is made in a thread.
        """
        name, query = call.info.name, call.request.query
        for attempt in range(ATTEMPTS):
            manifest = await self._store.get(resource, name, namespace)
            before = owners(manifest)
            obj, managers = await self._bodies.aside(call, change, shadow_object(manifest), before)
            for field in ("uid", "resourceVersion"):
                if obj["metadata"].get(field) not in (None, "", manifest["metadata"][field]):
                    raise modified(resource, name)
            checked = await self._checker.check(obj, resource, query)
            updated = updated_manifest(manifest, checked.object, resource)
            if managers is None:
                updated = await self._owned(call, resource, manifest, updated, before)
            else:
                updated = await self._bodies.aside(call, with_owners, updated, managers)
            if updated == manifest:
                return _answer(call, manifest, checked)
            try:
                written = await self._store.replace(updated, resource, _dry_run(query))
            except Conflict:
                if attempt == ATTEMPTS - 1 or _based_on_version(call, obj):
                    raise
                continue
            return _answer(call, written, checked)
        raise AssertionError("unreachable")

    async def _owned(
        self, call: Call, resource: Resource, before: Object, after: Object, managers: list[Manager]
    ) -> Object:
        """Return a Manifest with the owners of its fields, if they are known, after a write that doesn't apply."""
        if not managers:
            return after
        manager = call.request.query.get("fieldManager") or call.request.headers.get("User-Agent") or "unknown"
        schema = await self._schemas.of(resource)
        name = manager.partition("/")[0]

        def owned() -> Object:
            try:
                left = fields_after(before["template"], after["template"], schema, managers, name)
            except TooManyFields as error:
                raise refuse(413, str(error)) from None
            return with_owners(after, left)

        return await self._bodies.aside(call, owned)

    async def _delete(self, call: Call, resource: Resource, namespace: str | None) -> web.Response:
        name, query = call.info.name, call.request.query
        body = await self._bodies.object(call) if call.request.can_read_body else {}
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        options |= {key: body[key] for key in ("preconditions", "dryRun") if body.get(key)}
        if dry_run := _dry_run(query):
            options["dryRun"] = [dry_run["dryRun"]]
        gone = await self._store.delete(resource, name, namespace, options)
        if "template" in gone:
            return json_answer(wanted_representation(call.request).object(shadow_object(gone)))
        uid = (gone.get("details") or {}).get("uid", "")
        return json_answer(success({"name": name, "group": resource.group, "kind": resource.plural, "uid": uid}))

    async def _delete_collection(self, call: Call, resource: Resource, namespace: str | None) -> web.Response:
        """Delete nothing, and say so: whoever empties a namespace of the parent must not undeploy what is published.

        As in the reference (spec/04 §8.3).
        """
        warning = f"all {resource.plural} stay: the shadow API deletes objects one by one only, by their names"
        return json_answer(success({"group": resource.group, "kind": resource.plural}), warnings=[warning])

    async def _scale(self, call: Call, served: ShadowResource, namespace: str | None) -> web.Response:
        resource, info, path = served.resource, call.info, served.replicas_path
        if info.subresource != "scale" or path is None or info.verb not in ("get", "update", "patch"):
            verb, subresource = info.verb, info.subresource
            raise refuse(405, f"the shadow API has no {verb} of {info.resource}/{subresource}: it keeps templates only")
        if info.verb == "get":
            obj = shadow_object(await self._store.get(resource, info.name, namespace))
            return json_answer(scale_of(obj, path, await self._default_replicas(obj, resource, path)))
        if info.verb == "update":
            sent = await self._bodies.object(call)
        else:
            kind, patch = await self._bodies.patch(call)
            sent = {}
        for attempt in range(ATTEMPTS):
            manifest = await self._store.get(resource, info.name, namespace)
            if info.verb == "patch":
                obj = shadow_object(manifest)
                scale = scale_of(obj, path, await self._default_replicas(obj, resource, path))
                # A Scale has no lists that could be merged.
                merging = PatchType.MERGE if isinstance(patch, dict) else kind
                sent = await self._bodies.aside(call, patched, scale, merging, patch, None)
            for field in ("metadata", "spec"):
                if not isinstance(sent.get(field) or {}, dict):
                    raise refuse(400, f"{field} must be an object")
            replicas = (sent.get("spec") or {}).get("replicas", 0)
            if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
                raise refuse(422, f'Scale "{info.name}" is invalid: spec.replicas: must be a whole number from 0')
            version = (sent.get("metadata") or {}).get("resourceVersion")
            if version not in (None, "", manifest["metadata"]["resourceVersion"]):
                raise modified(resource, info.name)
            scaled = {**manifest, "template": with_replicas(manifest["template"], path, replicas)}
            scaled = await self._owned(call, resource, manifest, scaled, owners(manifest))
            try:
                written = await self._store.replace(scaled, resource, _dry_run(call.request.query))
            except Conflict:
                if attempt == ATTEMPTS - 1 or (version and info.verb == "update"):
                    raise
                continue
            return json_answer(scale_of(shadow_object(written), path, replicas))
        raise AssertionError("unreachable")

    async def _default_replicas(self, obj: Object, resource: Resource, path: tuple[str, ...]) -> int:
        """Return how many replicas an object has on a child if it asks for none: what its kind says, or one."""
        if replicas_of(obj, path) is None and resource.group not in _NATIVE_WORKLOADS:
            schema = await self._schemas.of(resource)
            for part in path:
                schema = schema.field(part) if schema else None
            default = schema.extension("default") if schema else None
            if isinstance(default, int) and not isinstance(default, bool):
                return default
        return 1


def _conflict(error: ApplyConflict, resource: Resource, name: str) -> ApiError:
    """Return the answer to an apply that others' fields forbid."""
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{owner.name}" using {owner.api_version}',
            "field": path_text(path),
        }
        for owner, path in error.conflicts
    ]
    told = ", ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
    message = f"{error}: {told}"
    return refuse(
        409, message, details={"name": name, "group": resource.group, "kind": resource.plural, "causes": causes}
    )


def _scope(info: RequestInfo, resource: Resource) -> str | None:
    """Return the namespace of a request.

    Raises:
        ApiError: 404 if the resource has none, but the request names one.
    """
    if resource.namespaced:
        return info.namespace or None
    if info.namespace and info.resource != "namespaces":
        raise refuse(404, f"{info.resource} are not namespaced")
    return None


def _incoming(body: Object, resource: Resource, namespace: str | None, name: str | None = None) -> Object:
    """Return an object that somebody sent, as of its native kind and in its namespace.

    Raises:
        ApiError: 400 if it contradicts the request, or has no metadata.
    """
    api_version, kind = body.get("apiVersion") or SHADOW_API_VERSION, body.get("kind") or resource.kind
    if api_version not in (SHADOW_API_VERSION, resource.api_version) or kind != resource.kind:
        raise refuse(
            400, f"the object is {api_version} {kind}, but {resource.plural} are {resource.api_version} {resource.kind}"
        )
    metadata = body.get("metadata") if body.get("metadata") is not None else {}
    if not isinstance(metadata, dict):
        raise refuse(400, "metadata must be an object")
    for field, wanted in (("labels", dict), ("annotations", dict), ("name", str), ("namespace", str)):
        if metadata.get(field) is not None and not isinstance(metadata[field], wanted):
            raise refuse(400, f"metadata.{field} must be {'an object' if wanted is dict else 'a string'}")
    metadata = {key: value for key, value in metadata.items() if value is not None}
    for field, asked in (("name", name or metadata.get("name")), ("namespace", namespace)):
        if (given := metadata.get(field)) and given != asked:
            raise refuse(400, f"the {field} of the object ({given}) does not match that of the request ({asked or ''})")
    if name is not None:
        metadata["name"] = name
    if namespace is not None:
        metadata["namespace"] = namespace
    return {**body, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}


def _dry_run(query: Mapping[str, str]) -> dict[str, str]:
    """Return what is passed on of a request for a dry run.

    Raises:
        ApiError: 400 if it is one that API servers don't know.
    """
    value = query.get("dryRun")
    if not value:
        return {}
    if value != "All":
        raise refuse(400, f'dryRun: Invalid value: "{value}": supported values: "All"')
    return {"dryRun": value}


def _based_on_version(call: Call, obj: Object) -> bool:
    """Whether a write is meant for one version of the object only."""
    return call.info.verb == "update" and bool(obj["metadata"].get("resourceVersion"))


def _answer(call: Call, manifest: Object, checked: Checked, status: int = 200) -> web.Response:
    body = wanted_representation(call.request).object(shadow_object(manifest))
    return json_answer(body, status, warnings=map(warning_header, checked.warnings))


def _event(
    event: Event, resource: Resource, representation: Representation, *, ends: bool, bookmarks: bool
) -> Object | None:
    """Return an event as it is sent; None if nobody asked for it, or its object isn't wholly known yet."""
    if (manifest := event.manifest) is not None:
        if INCOMPLETE in manifest:
            if event.type != DELETED:
                return None
            manifest = {**manifest, "template": without_data(manifest["template"])}
        return {"type": event.type, "object": representation.object(shadow_object(manifest))}
    if not (ends if event.initial_end else bookmarks):
        return None
    metadata: Object = {"resourceVersion": str(event.version), "creationTimestamp": None}
    if event.initial_end:
        metadata["annotations"] = {_INITIAL_END: "true"}
    body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
    return {"type": BOOKMARK, "object": representation.object(body)}


async def _send(answer: web.StreamResponse, events: Any, shape: Callable[[Event], Object | None]) -> None:
    """Send events until there are no more; an error as the last one."""
    try:
        async for event in events:
            if (body := shape(event)) is not None:
                await answer.write(orjson.dumps(body) + b"\n")
    except ApiError as error:
        await answer.write(orjson.dumps({"type": "ERROR", "object": failure(error)}) + b"\n")
