"""Turns Descriptions of charts into HelmReleases, and takes them away again (spec/03 §8.3, §9)."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from clusternet_engine.hub.caches import BY_NAMESPACE, BY_OWNER, Caches
from clusternet_engine.hub.marks import release
from clusternet_engine.hub.settings import Settings
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.errors import AlreadyExists, ApiError, ConnectionFailed, NotFound
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.parallel import run_all
from clusternet_engine.kube.resources import DESCRIPTIONS, HELM_RELEASES, Object, make_key, object_key, split_key
from clusternet_engine.model import constants as names
from clusternet_engine.model import features
from clusternet_engine.model.logins import awaited_copy
from clusternet_engine.model.releases import (
    UnreadableChart,
    description_name,
    difference,
    helm_status,
    place_of,
    wanted_releases,
)

NAME = "helmrelease"

_AT_ONCE = 10
"""Releases of one Description written at the same time."""
_UNSEEN_RECHECK = 0.2
"""Seconds until the next look for a release that is there although the cache doesn't know it."""

log = logging.getLogger(__name__)


class Releases:
    """The controller that makes HelmReleases; whoever deploys to the cluster carries them out.

    Args:
        client: of the parent cluster.
        caches: of the parent cluster.
        recorder: of events.
        settings: the hub's flags.
    """

    def __init__(self, client: Client, caches: Caches, recorder: EventRecorder, settings: Settings) -> None:
        self._client = client
        self._caches = caches
        self._recorder = recorder
        self._enabled = settings.enabled(features.DEPLOYER)
        self._controller = Controller(NAME, self._reconcile, workers=settings.workers, keys=self._keys)
        caches.descriptions.add_handler(self._on_description)
        caches.releases.add_handler(self._on_release)
        caches.logins.add_handler(self._on_login)

    async def run(self) -> None:
        """Work until cancelled, with feature gate Deployer; begins with all Descriptions there are."""
        if self._enabled:
            await self._controller.run()

    def _keys(self) -> list[str]:
        return [object_key(one) for one in self._caches.descriptions.items() if _is_helm(one)]

    def _on_description(self, change: Change) -> None:
        if _is_helm(change.object) and (
            change.old is None or change.new is None or _concern(change.old) != _concern(change.new)
        ):
            self._controller.enqueue(object_key(change.object))

    def _on_release(self, change: Change) -> None:
        if description := description_name(change.object):
            self._controller.enqueue(make_key(description, change.object["metadata"]["namespace"]))

    def _on_login(self, change: Change) -> None:
        """A release may have waited for it."""
        if change.old is None:
            for description in self._caches.descriptions.by_index(BY_NAMESPACE, change.object["metadata"]["namespace"]):
                if _is_helm(description):
                    self._controller.enqueue(object_key(description))

    async def _reconcile(self, key: str) -> float | None:
        namespace, name = split_key(key)
        description = self._caches.descriptions.get(name, namespace)
        if description is None or not _is_helm(description):
            return None
        if description["metadata"].get("deletionTimestamp"):
            await self._finish(description)
            return None
        try:
            return await self._bring_about(description)
        except UnreadableChart as error:
            self._recorder.note(description, "Warning", "UnequalLengths", str(error))
            await self._write_status(description, {"phase": names.DESCRIPTION_FAILURE, "reason": str(error)})
            return None
        except (ApiError, ConnectionFailed) as error:
            self._recorder.note(description, "Warning", "HelmReleaseFailure", str(error))
            raise

    async def _bring_about(self, description: Object) -> float | None:
        """Make the wanted releases, remove the others, and sum up how they do."""
        wanted = {release["metadata"]["name"]: release for release in wanted_releases(description)}
        there = {release["metadata"]["name"]: release for release in self._releases(description)}
        works: list[partial[Any]] = []
        unseen: list[str] = []
        waiting: list[str] = []
        for name, one in wanted.items():
            before = self._caches.releases.get(name, description["metadata"]["namespace"])
            if (before is None or difference(before, one)) and self._lacks_login(one):
                waiting.append(one["spec"]["releaseName"])
            elif before is None:
                works.append(partial(self._create, description, one, unseen))
            elif name not in there or before["metadata"].get("deletionTimestamp"):
                log.info("%s waits for the end of the former %s", object_key(description), name)
            elif place_of(before) != place_of(one):
                works.append(partial(self._delete, before))  # its end brings us back
            elif patch := difference(before, one):
                works.append(partial(self._update, description, before, patch))
        works += (partial(self._delete, there[name]) for name in there.keys() - wanted.keys())
        await run_all(works, at_once=_AT_ONCE)
        if not works:
            status = helm_status(description, there)
            if waiting:
                # The copy of a login has yet to be made, or its Secret can't be used; its end brings us back.
                reason = f"the logins of chartPullSecret can't be used, or not yet: {', '.join(waiting)}"
                status = {"phase": names.DESCRIPTION_PENDING, "reason": reason}
            await self._write_status(description, status)
        return _UNSEEN_RECHECK if unseen else None

    def _lacks_login(self, wanted: Object) -> bool:
        """Return whether a release's child couldn't read yet what its chart is to be got with."""
        name = awaited_copy(wanted)
        return bool(name) and self._caches.logins.get(name, wanted["metadata"]["namespace"]) is None

    async def _create(self, description: Object, wanted: Object, unseen: list[str]) -> None:
        """Make a release, or note that there is one which the cache doesn't know."""
        try:
            await self._client.create(HELM_RELEASES, wanted)
        except AlreadyExists:
            unseen.append(object_key(wanted))
            return
        self._recorder.note(description, "Normal", "HelmReleasesCreated", f"HelmRelease {object_key(wanted)} created")

    async def _update(self, description: Object, before: Object, patch: Object) -> None:
        metadata = before["metadata"]
        await self._client.patch(HELM_RELEASES, metadata["name"], patch, metadata["namespace"])
        self._recorder.note(description, "Normal", "HelmReleaseUpdated", f"HelmRelease {object_key(before)} updated")

    async def _delete(self, one: Object) -> None:
        metadata = one["metadata"]
        if metadata.get("deletionTimestamp"):
            return
        try:
            await self._client.delete(HELM_RELEASES, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except NotFound:
            return

    async def _finish(self, description: Object) -> None:
        """Remove the releases of a Description that is being deleted; the last one gone, let it go."""
        releases = self._releases(description)
        if releases:
            await run_all((partial(self._delete, one) for one in releases), at_once=_AT_ONCE)
        else:
            await release(self._client, DESCRIPTIONS, description, (names.FINALIZER,))

    async def _write_status(self, description: Object, status: Object) -> None:
        metadata = description["metadata"]
        status = {**status, "observedGeneration": metadata["generation"]}
        before = description.get("status") or {}
        if all(before.get(field, "") == value for field, value in status.items()):
            return
        try:
            await self._client.patch(
                DESCRIPTIONS, metadata["name"], {"status": status}, metadata["namespace"], subresource="status"
            )
        except NotFound:
            return

    def _releases(self, description: Object) -> list[Object]:
        """Return the releases that belong to a Description."""
        return self._caches.releases.by_index(BY_OWNER, description["metadata"]["uid"])


def _is_helm(description: Object) -> bool:
    return bool(description["spec"]["deployer"] == names.DEPLOYER_HELM)


def _concern(description: Object) -> tuple[Any, ...]:
    metadata = description["metadata"]
    return (description["spec"], metadata.get("labels"), metadata.get("deletionTimestamp"))
