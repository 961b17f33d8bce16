"""Brings HelmReleases to their cluster and takes them away again (spec/03 §8.3)."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from weakref import WeakValueDictionary

from clusternet_engine.deploy.archives import BadArchive, read_archive
from clusternet_engine.deploy.errors import DeployFailed
from clusternet_engine.deploy.helm import HISTORY, Helm, HelmFailed
from clusternet_engine.deploy.neighbours import Neighbours
from clusternet_engine.deploy.objects import Objects
from clusternet_engine.deploy.pull_secrets import PullSecretMissing, PullSecrets
from clusternet_engine.deploy.repositories import Repositories, RepositoryFailed
from clusternet_engine.deploy.statuses import Statuses
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import ApiError, NotFound
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.resources import DESCRIPTIONS, HELM_RELEASES, SECRETS, Object, object_key
from clusternet_engine.model import constants as names
from clusternet_engine.model.applied import is_object, prepare
from clusternet_engine.model.charts import ChartMissing
from clusternet_engine.model.documents import DocumentError, read_kubernetes
from clusternet_engine.model.feeds import is_chart
from clusternet_engine.model.helm_records import (
    PENDING,
    UNINSTALLING,
    Record,
    failed_status,
    needs_upgrade,
    newest_first,
    selector,
    status_of,
)
from clusternet_engine.model.releases import (
    UnreadableChart,
    description_name,
    place_of,
    release_name,
    wanted_releases,
)
from clusternet_engine.threads import Overdue, Threads

_DEFAULT_TIMEOUT = 300
_READ_TIMEOUT = 60.0
"""Seconds in which values, an archive or the records of a release are read; most of that is the wait for others."""
_RETRY_FIRST, _RETRY_LIMIT = 5.0, 600.0
"""Seconds between attempts for a release that fails."""
_INSTALL_FLAGS = {
    "createNamespace": "--create-namespace",
    "wait": "--wait",
    "waitForJob": "--wait-for-jobs",
    "replace": "--replace",
    "skipCRDs": "--skip-crds",
    "disableHooks": "--no-hooks",
    "atomic": "--atomic",
}
_UPGRADE_FLAGS = {
    "wait": "--wait",
    "waitForJob": "--wait-for-jobs",
    "skipCRDs": "--skip-crds",
    "disableHooks": "--no-hooks",
    "force": "--force",
    "upgradeAtomic": "--atomic",
}
_MAX_DESCRIPTION = 4096

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Place:
    """A release on its cluster."""

    objects: Objects
    namespace: str
    name: str
    timeout: int
    subject: str
    """For whom it is: the dedicated namespace of the cluster."""


class Releases:
    """Deploys HelmReleases; whoever calls decides whether, and to which cluster.

    Args:
        parent: client of the parent cluster.
        helm: the program.
        repositories: where charts come from.
        secrets: the logins to them.
        recorder: of events.
    """

    def __init__(
        self,
        parent: Client,
        helm: Helm,
        repositories: Repositories,
        secrets: PullSecrets,
        recorder: EventRecorder,
    ) -> None:
        self._parent = parent
        self._helm = helm
        self._repositories = repositories
        self._secrets = secrets
        self._recorder = recorder
        self._statuses = Statuses()
        self._threads = Threads("releases")
        self._backoffs: dict[str, tuple[int, Backoff]] = {}
        self._locks: WeakValueDictionary[tuple[str, str, str], asyncio.Lock] = WeakValueDictionary()

    def forget(self, release: Object) -> None:
        """The HelmRelease is gone."""
        self._backoffs.pop(object_key(release), None)
        self._statuses.forget(release)

    async def deploy(self, release: Object, objects: Objects, neighbours: Neighbours) -> None:
        """Install or upgrade, unless the cluster has what is wanted, and write the status.

        Raises:
            DeployFailed: it didn't work; with the time of the next attempt.
        """
        async with self._alone(release):
            await self._deploy(release, _place(release, objects))

    async def _deploy(self, release: Object, place: _Place) -> None:
        spec = release["spec"]
        try:
            subject = release["metadata"]["namespace"]
            values = await self._threads.run(subject, _READ_TIMEOUT, _values, spec.get("overrides"))
            records = await self._records(place)
            if _is_deployed(records) and not needs_upgrade(records[0], spec, values):
                await self._write(release, status_of(records[0], release["metadata"]["generation"]))
                self._backoffs.pop(object_key(release), None)
                return
            archive = await self._archive(release)
            record = await self._bring(release, place, records, archive, values)
        except (BadArchive, ChartMissing, RepositoryFailed, PullSecretMissing) as error:
            await self._failed(release, place, str(error), located=False)
        except (HelmFailed, _BadValues, Overdue) as error:
            await self._failed(release, place, str(error), located=True)
        except ApiError as error:
            await self._failed(release, place, error.message or str(error), located=True)
        else:
            self._backoffs.pop(object_key(release), None)
            await self._write(release, status_of(record, release["metadata"]["generation"]))
            text = f"{place.name} is deployed as revision {record.revision} of {record.chart} {record.chart_version}"
            self._recorder.note(release, "Normal", "HelmReleaseUpdated", text)

    async def pending(self, release: Object, base: Object | None, neighbours: Neighbours) -> bool:
        """Return whether a HelmRelease that goes has to be uninstalled.

        Not when a new Base has its chart in the same place, nor when another HelmRelease has that place.
        """
        if base is not None and await self._is_kept(release, base):
            return False
        return not await self._is_shared(release, neighbours)

    async def withdraw(self, release: Object, objects: Objects, base: Object | None, neighbours: Neighbours) -> None:
        """Uninstall a release, unless another HelmRelease has come to its place while this one waited for its turn.

        Raises:
            DeployFailed: it didn't work; with the time of the next attempt.
        """
        place = _place(release, objects)
        try:
            async with self._alone(release):
                if not await self._is_shared(release, neighbours) and await self._records(place):
                    await self._uninstall(place, release["spec"])
        except (HelmFailed, ApiError, Overdue) as error:
            reason = f"{place.name} can't be uninstalled: {error}"
            self._recorder.note(release, "Warning", "HelmReleaseFailure", reason)
            raise DeployFailed(reason, self._next_attempt(release)) from None

    async def unreachable(self, release: Object, reason: str) -> None:
        """Write into the status that the cluster couldn't be reached."""
        await self._write(release, failed_status(reason, None, release["metadata"]["generation"]))

    def _alone(self, release: Object) -> asyncio.Lock:
        """Return what keeps several HelmReleases of one place from working on it at the same time."""
        return self._locks.setdefault((release["metadata"]["namespace"], *place_of(release)), asyncio.Lock())

    async def _is_kept(self, release: Object, base: Object) -> bool:
        """Return whether a Base has the chart of a HelmRelease, and nothing says that it is to be elsewhere now."""
        metadata = release["metadata"]
        name = description_name(release)
        charts = [feed for feed in base["spec"]["feeds"] if is_chart(feed)]
        if metadata["name"] not in (release_name({"metadata": {"name": name}}, chart) for chart in charts):
            return False
        try:
            description = await self._parent.get(DESCRIPTIONS, name, metadata["namespace"])
            wanted = [] if description["metadata"].get("deletionTimestamp") else list(wanted_releases(description))
        except (NotFound, UnreadableChart):
            return True
        return all(place_of(one) == place_of(release) for one in wanted if one["metadata"]["name"] == metadata["name"])

    async def _is_shared(self, release: Object, neighbours: Neighbours) -> bool:
        """Return whether another HelmRelease has the same place on the cluster; it makes of the release what it wants.

        The cache may be older than the end of that one, and nobody would uninstall any more what stays by mistake; so
        the parent is asked.
        """
        for other in neighbours.of(release):
            if place_of(other) != place_of(release):
                continue
            metadata = other["metadata"]
            try:
                fresh = await self._parent.get(HELM_RELEASES, metadata["name"], metadata["namespace"])
            except NotFound:
                continue
            if not fresh["metadata"].get("deletionTimestamp") and place_of(fresh) == place_of(release):
                neighbours.wake(other)
                return True
        return False

    async def _bring(
        self, release: Object, place: _Place, records: Sequence[Record], archive: bytes, values: Object
    ) -> Record:
        spec = release["spec"]
        subject = release["metadata"]["namespace"]
        contents = await self._threads.run(subject, _READ_TIMEOUT, read_archive, archive)
        record = await self._settle(place, spec, records)
        if spec.get("replaceCRDs"):
            await self._replace_crds(place.objects, contents.crds)
        verb, flags = ("upgrade", _UPGRADE_FLAGS) if record else ("install", _INSTALL_FLAGS)
        arguments = [verb, place.name, "{chart}", "--namespace", place.namespace, "--timeout", f"{place.timeout}s"]
        arguments += [flag for field, flag in flags.items() if spec.get(field)]
        if record:
            arguments += ["--reset-values", "--history-max", str(HISTORY)]
        # Atomic runs may need their time twice: to fail, and to undo.
        await self._write(release, {"phase": f"pending-{verb}", "description": ""})
        async with place.objects.client.outside() as config:
            await self._helm.run(
                config,
                arguments,
                subject=place.subject,
                timeout=2 * place.timeout,
                archive=archive,
                values=values,
            )
        done = await self._record(place)
        if done is None:
            raise HelmFailed(f"helm {verb} has ended well, but {place.namespace} has no record of {place.name}")
        return done

    async def _replace_crds(self, objects: Objects, crds: list[Object]) -> None:
        if not all(map(is_object, crds)):
            raise HelmFailed("a file in crds/ of the chart holds something else than Kubernetes objects")
        outcomes = await objects.apply([_plain(crd) for crd in crds])
        if problems := [outcome for outcome in outcomes if outcome.error]:
            raise HelmFailed("; ".join(f"{outcome.text}: {outcome.error}" for outcome in problems))

    async def _archive(self, release: Object) -> bytes:
        spec = release["spec"]
        credential = await self._secrets.of_release(release)
        return await self._repositories.fetch(spec, credential)

    async def _records(self, place: _Place) -> list[Record]:
        secrets = await place.objects.client.list(SECRETS, place.namespace, label_selector=selector(place.name))
        return await self._threads.run(place.subject, _READ_TIMEOUT, newest_first, secrets.items)

    async def _record(self, place: _Place) -> Record | None:
        """Return the newest record that isn't of a run that has yet to end, or was killed."""
        return next((record for record in await self._records(place) if record.status not in PENDING), None)

    async def _settle(self, place: _Place, spec: Object, records: Sequence[Record]) -> Record | None:
        """Return the record to go on from, after removing what Helm can't work on.

        Nobody else works on the release: one run at a time is started, and a run dies with its hub or agent. The record
        of an install that was killed is all that tells what it has made, so that is uninstalled.
        """
        stale = list(takewhile(lambda record: record.status in PENDING, records))
        for one in stale:
            log.warning("%s/%s: revision %d was left %s", place.namespace, place.name, one.revision, one.status)
        record = records[len(stale)] if len(stale) < len(records) else None
        failed = record is not None and (
            record.status == UNINSTALLING or (spec.get("atomic") and record.status != names.RELEASE_DEPLOYED)
        )
        if failed or (stale and record is None):
            await self._uninstall(place, spec)
            return None
        for one in stale:
            try:
                await place.objects.client.delete(SECRETS, one.secret, place.namespace)
            except NotFound:
                continue
        return record

    async def _uninstall(self, place: _Place, spec: Object) -> None:
        arguments = ["uninstall", place.name, "--namespace", place.namespace, "--timeout", f"{place.timeout}s"]
        arguments += ["--ignore-not-found", *(["--no-hooks"] if spec.get("disableHooks") else [])]
        async with place.objects.client.outside() as config:
            await self._helm.run(config, arguments, subject=place.subject, timeout=place.timeout)

    async def _failed(self, release: Object, place: _Place, reason: str, *, located: bool) -> None:
        try:
            record = await self._record(place)
        except (ApiError, Overdue) as error:
            log.info("%s: its record can't be read: %s", place.name, error)
            record = None
        reason = reason[:_MAX_DESCRIPTION]
        if await self._write(release, failed_status(reason, record, release["metadata"]["generation"])):
            self._recorder.note(release, "Warning", "HelmReleaseFailure" if located else "ChartLocateFailure", reason)
        raise DeployFailed(reason, self._next_attempt(release))

    def _next_attempt(self, release: Object) -> float:
        key, generation = object_key(release), release["metadata"]["generation"]
        known = self._backoffs.get(key)
        if known is None or known[0] != generation:
            known = self._backoffs[key] = generation, Backoff(_RETRY_FIRST, _RETRY_LIMIT)
        return known[1].next()

    async def _write(self, release: Object, wanted: Object) -> bool:
        metadata = release["metadata"]
        if self._statuses.says(release, wanted):
            return False
        try:
            await self._parent.patch(
                HELM_RELEASES, metadata["name"], {"status": wanted}, metadata["namespace"], subresource="status"
            )
        except NotFound:
            log.info("HelmRelease %s has gone while being deployed", object_key(release))
        self._statuses.wrote(release, wanted)
        return True


class _BadValues(Exception):
    """The values of a HelmRelease can't be read."""


def _values(overrides: str | None) -> Object:
    try:
        text = base64.b64decode(overrides or "", validate=True)
        values = read_kubernetes(text)
    except DocumentError as error:
        raise _BadValues(f"spec.overrides is {error}") from None
    except ValueError as error:
        raise _BadValues(f"spec.overrides is not base64: {error}") from None
    if values is not None and not isinstance(values, dict):
        raise _BadValues("spec.overrides is not a mapping")
    return values or {}


def _place(release: Object, objects: Objects) -> _Place:
    timeout = release["spec"].get("timeoutSeconds") or _DEFAULT_TIMEOUT
    return _Place(objects, *place_of(release), timeout, release["metadata"]["namespace"])


def _is_deployed(records: Sequence[Record]) -> bool:
    return bool(records) and records[0].status == names.RELEASE_DEPLOYED


def _plain(crd: Object) -> Object:
    """Return a CustomResourceDefinition of a chart as it is applied: it belongs to no Description."""
    prepared = prepare(crd, "")
    annotations = {
        key: value
        for key, value in prepared["metadata"]["annotations"].items()
        if key not in (names.OWNED_BY_DESCRIPTION_ANNOTATION, names.LAST_APPLIED_ANNOTATION)
    }
    return {**prepared, "metadata": {**prepared["metadata"], "annotations": annotations}}
