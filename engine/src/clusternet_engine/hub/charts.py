"""Sees that HelmCharts can be had: labels, and whether their repository has them (spec/03 §1.2)."""

from __future__ import annotations

import logging

from clusternet_engine.deploy.pull_secrets import PullSecretMissing
from clusternet_engine.deploy.repositories import Repositories, RepositoryFailed
from clusternet_engine.hub.caches import BY_NAMESPACE, Caches
from clusternet_engine.hub.pull_secrets import HubPullSecrets
from clusternet_engine.hub.settings import Settings
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.controller import Controller, group_of
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.resources import HELM_CHARTS, Object, object_key, split_key
from clusternet_engine.model import constants as names
from clusternet_engine.model import features
from clusternet_engine.model.addresses import repository_rule
from clusternet_engine.model.charts import ChartMissing, repository_host
from clusternet_engine.model.labels import label_form

NAME = "helmchart"

_WORKERS = 20
"""Charts looked for at the same time: a repository that is silent holds a worker up."""
_FOUND_RECHECK = 600.0
_RECHECK_FIRST, _RECHECK_LIMIT = 5.0, 600.0
"""Seconds until a chart is looked for again: one that was found, and one that wasn't."""

log = logging.getLogger(__name__)


class Charts:
    """The controller of HelmCharts.

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
        self._repositories = Repositories(repository_rule("hub", settings.repository_addresses))
        self._secrets = HubPullSecrets(client)
        self._backoffs: dict[str, tuple[int, Backoff]] = {}
        self._controller = Controller(
            NAME,
            self._reconcile,
            workers=_WORKERS,
            keys=lambda: map(object_key, caches.charts.items()),
            groups=self._groups,
            shared=True,
        )
        caches.charts.add_handler(self._on_chart)
        caches.add_registration_handler(self._on_registration)

    async def run(self) -> None:
        """Work until cancelled; begins with all HelmCharts there are."""
        if self._enabled:
            await self._controller.run()

    def _on_chart(self, change: Change) -> None:
        key = object_key(change.object)
        if change.new is None:
            self._backoffs.pop(key, None)
        elif _generation(change.old) != _generation(change.new) or _missing_labels(change.new):
            self._controller.enqueue(key)

    def _on_registration(self, namespace: str) -> None:
        for chart in self._caches.charts.by_index(BY_NAMESPACE, namespace):
            self._controller.enqueue(object_key(chart))

    def _groups(self, key: str) -> tuple[str, ...]:
        """Return whose charts a key takes turns with: those of its namespace, and those of the same repository."""
        namespace, name = split_key(key)
        chart = self._caches.charts.get(name, namespace)
        return group_of(key), f"repository {repository_host(chart['spec']['repo']) if chart else ''}"

    async def _reconcile(self, key: str) -> float | None:
        namespace, name = split_key(key)
        chart = self._caches.charts.get(name, namespace)
        if chart is None or chart["metadata"].get("deletionTimestamp"):
            return None
        try:
            if labels := _missing_labels(chart):
                await self._client.patch(HELM_CHARTS, name, {"metadata": {"labels": labels}}, namespace)
            return await self._verify(key, chart)
        except NotFound:
            return None

    async def _verify(self, key: str, chart: Object) -> float:
        metadata, spec, status = chart["metadata"], chart["spec"], chart.get("status") or {}
        if self._caches.is_dedicated(metadata["namespace"]):
            reason = f"namespace {metadata['namespace']} belongs to a cluster, so what lies there is not published"
            await self._write(chart, names.CHART_NOT_FOUND, reason)
            return _RECHECK_LIMIT
        judged = status.get("observedGeneration") == metadata["generation"]
        try:
            await self._repositories.look(spec, await self._secrets.of_chart(chart))
        except (ChartMissing, PullSecretMissing, RepositoryFailed) as error:
            wait = self._next_attempt(key, metadata["generation"])
            if isinstance(error, RepositoryFailed) and judged and status.get("phase") == names.CHART_FOUND:
                log.info("HelmChart %s was found before; its repository fails now: %s", key, error)
                return wait
            await self._write(chart, names.CHART_NOT_FOUND, str(error))
            return wait
        self._backoffs.pop(key, None)
        await self._write(chart, names.CHART_FOUND, "")
        return _FOUND_RECHECK

    async def _write(self, chart: Object, phase: str, reason: str) -> None:
        metadata, status = chart["metadata"], chart.get("status") or {}
        wanted = {"phase": phase, "reason": reason, "observedGeneration": metadata["generation"]}
        if all(status.get(field, "") == value for field, value in wanted.items()):
            return
        await self._client.patch(
            HELM_CHARTS, metadata["name"], {"status": wanted}, metadata["namespace"], subresource="status"
        )
        if phase == names.CHART_NOT_FOUND:
            await self._recorder.event(chart, "Warning", "HelmChartNotFound", reason)

    def _next_attempt(self, key: str, generation: int) -> float:
        known = self._backoffs.get(key)
        if known is None or known[0] != generation:
            known = self._backoffs[key] = generation, Backoff(_RECHECK_FIRST, _RECHECK_LIMIT)
        return known[1].next()


def _generation(chart: Object | None) -> int | None:
    return chart["metadata"]["generation"] if chart else None


def _missing_labels(chart: Object) -> dict[str, str]:
    """Return the labels that describe a HelmChart as a feed, as far as it lacks them (spec/03 §1.2)."""
    metadata = chart["metadata"]
    wanted = {
        names.CONFIG_GROUP_LABEL: HELM_CHARTS.group,
        names.CONFIG_VERSION_LABEL: HELM_CHARTS.version,
        names.CONFIG_KIND_LABEL: HELM_CHARTS.kind,
        names.CONFIG_NAME_LABEL: label_form(metadata["name"]),
        names.CONFIG_NAMESPACE_LABEL: metadata["namespace"],
    }
    labels = metadata.get("labels") or {}
    return {key: value for key, value in wanted.items() if labels.get(key) != value}
