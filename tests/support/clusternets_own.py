"""Stand-ins for Clusternet's own programs, which do what those were seen to do where this engine does otherwise.

They work on real API servers, by plain requests, under the names by which Clusternet's programs write.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import ConnectionFailed, NotFound
from clusternet_engine.kube.resources import DESCRIPTIONS, MANIFESTS, Object, Resource
from clusternet_engine.model import constants as names

AGENT = "clusternet-agent"
_PAUSE = 0.05


class ClusternetAgent:
    """Deploys what Descriptions list, and never removes what has left them.

    It tells a phase without a generation, and one status for each `namespace/name`, whatever the kind.

    Args:
        parent: client of the parent.
        child: client of the child, with `AGENT` as its name.
        namespace: the dedicated one of its cluster.
        kinds: that it knows.
        deploys: whether it deploys, or only restores what others have deployed (gate Recovery).
    """

    def __init__(self, parent: Client, child: Client, namespace: str, *kinds: Resource, deploys: bool = True) -> None:
        self._parent, self._child, self._namespace, self._deploys = parent, child, namespace, deploys
        self._kinds = {(kind.api_version, kind.kind): kind for kind in kinds}

    @asynccontextmanager
    async def works(self) -> AsyncIterator[None]:
        """Deploy, or restore, all the while."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            with suppress(NotFound, ConnectionFailed):
                for description in (await self._parent.list(DESCRIPTIONS, self._namespace)).items:
                    await self._work_on(description)
            await asyncio.sleep(_PAUSE)

    async def _work_on(self, description: Object) -> None:
        metadata, statuses = description["metadata"], {}
        for text in description["spec"].get("raw") or ():
            live = await self._write(json.loads(base64.b64decode(text)), f"{metadata['namespace']}.{metadata['name']}")
            if live is not None:
                reference = {key: live["metadata"][key] for key in ("namespace", "name") if key in live["metadata"]}
                whole = {**reference, "apiVersion": live["apiVersion"], "kind": live["kind"]}
                statuses["/".join(reference.values())] = {**whole, "observedStatus": live.get("status") or {}}
        told: Object = {"manifestStatuses": list(statuses.values())}
        if self._deploys:
            told["phase"] = "Success"
        await self._parent.patch(
            DESCRIPTIONS, metadata["name"], {"status": told}, metadata["namespace"], subresource="status"
        )

    async def _write(self, obj: Object, owner: str) -> Object | None:
        """Write an object on the child, unless it is as it should be; what is there beyond that stays."""
        kind = self._kinds[obj["apiVersion"], obj["kind"]]
        name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace")
        annotations = {**(obj["metadata"].get("annotations") or {}), names.OWNED_BY_DESCRIPTION_ANNOTATION: owner}
        marked = {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
        last = {names.LAST_APPLIED_ANNOTATION: json.dumps(marked)}
        wanted = {**obj, "metadata": {**obj["metadata"], "annotations": {**annotations, **last}}}
        try:
            live = await self._child.get(kind, name, namespace)
        except NotFound:
            return await self._child.create(kind, wanted) if self._deploys else None
        before = json.loads((live["metadata"].get("annotations") or {}).get(names.LAST_APPLIED_ANNOTATION) or "{}")
        return live if before == marked else await self._child.patch(kind, name, wanted, namespace)


async def patched_by_clusternets_hub(parent: Client, manifest_name: str, patch: Object) -> Object:
    """Merge a patch into the object of a Manifest, as Clusternet's hub does.

    The server library that it is built on takes an object without a UID for one that has to be made.

    Raises:
        NotFound: the object has no UID.
    """
    manifest = await parent.get(MANIFESTS, manifest_name, names.RESERVED_NAMESPACE)
    if not manifest["template"]["metadata"].get("uid"):
        raise NotFound(404, "NotFound", f"{manifest_name} not found")
    return await parent.patch(MANIFESTS, manifest_name, {"template": patch}, names.RESERVED_NAMESPACE)
