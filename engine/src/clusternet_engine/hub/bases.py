"""Renders Bases into Descriptions (spec/03 §6, §7.3, §9).

The values of Secrets are kept beside a Description, in Secrets that it names: they are written before it, written again
when somebody removes one, and removed when it names them no longer.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from clusternet_engine.hub.caches import (
    BY_FEED,
    BY_NAMESPACE,
    BY_NAMESPACE_AND_FEED,
    BY_OWNER,
    BY_SUBSCRIPTION,
    BY_UID,
    Caches,
    namespaced_reference,
)
from clusternet_engine.hub.marks import lacks, mark, release
from clusternet_engine.hub.settings import Settings
from clusternet_engine.hub.values import ValuesKey
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.errors import AlreadyExists, ApiError, Conflict, ConnectionFailed, NotFound
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.parallel import run_all
from clusternet_engine.kube.resources import (
    BASES,
    DESCRIPTIONS,
    SECRETS,
    SUBSCRIPTIONS,
    Object,
    Resource,
    make_key,
    object_key,
    split_key,
)
from clusternet_engine.model import constants as names
from clusternet_engine.model import features
from clusternet_engine.model.applied import remembering_lost
from clusternet_engine.model.bases import (
    awaits_replicas,
    is_bound,
    is_divided,
    is_replica_localization,
    lists_all_feeds,
    owner_reference,
    replica_localizations,
)
from clusternet_engine.model.descriptions import (
    HELM_SUFFIX,
    Built,
    build_generic,
    build_helm,
    difference,
    generic_name,
    helm_name,
    is_empty,
    made_from,
)
from clusternet_engine.model.feeds import chart_feed, feed_reference, manifest_references
from clusternet_engine.model.initialization import init_base_name, init_skipped
from clusternet_engine.model.logins import logins_patch, pointing_to_secrets, rendered_logins
from clusternet_engine.model.overrides import is_live, is_urgent, selects_differently
from clusternet_engine.model.releases import description_name
from clusternet_engine.model.rendering import (
    VERIFYING_CHART,
    Problem,
    Rendering,
    chart_phase,
    render,
    rendered_chart_source,
    source_references,
    withhold_secrets,
)
from clusternet_engine.model.rendering_problems import problems_patch
from clusternet_engine.model.secret_values import Seal, unreadable
from clusternet_engine.model.sync_modes import cluster_deployer
from clusternet_engine.model.uid_labels import uid_label, without_uid_labels
from clusternet_engine.threads import Threads

NAME = "base"

_RENDER_TIMEOUT = 60.0
"""Seconds in which a Base with overrides is rendered; most of that is the wait for others."""
_UNSEEN_RECHECK = 0.2
"""Seconds until the next look for a Description that is there although the cache doesn't know it."""

log = logging.getLogger(__name__)


class Bases:
    """The controller that makes Descriptions.

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
        self._initialization = settings.enabled(features.CLUSTER_INIT)
        self._publishers = settings.publishers
        self._unasked: set[str] = set()
        """Bases that aren't rendered, because nobody asks for all that they bring."""
        self._key = ValuesKey(client, settings.reserved_namespace) if settings.references_values else None
        self._controller = Controller(
            NAME, self._reconcile, workers=settings.workers, keys=lambda: map(object_key, caches.bases.items())
        )
        self._threads = Threads("rendering")
        self._told: dict[str, frozenset[tuple[str, str]]] = {}
        """Problems that events have told of, by key of the Base."""
        caches.bases.add_handler(self._on_base)
        caches.subscriptions.add_handler(self._on_subscription)
        caches.inventories.add_handler(self._on_inventory)
        caches.manifests.add_handler(self._on_manifest)
        caches.charts.add_handler(self._on_chart)
        caches.globalizations.add_handler(self._on_override)
        caches.localizations.add_handler(self._on_override)
        caches.clusters.add_handler(self._on_cluster)
        caches.add_registration_handler(self._on_registration)
        caches.descriptions.add_handler(self._on_description)
        caches.releases.add_handler(self._on_release)
        caches.description_values.add_handler(self._on_values)

    async def run(self) -> None:
        """Work until cancelled, with feature gate Deployer; begins with all Bases there are."""
        self._told.clear()
        if self._enabled:
            await self._controller.run()

    # What asks for rendering

    def _on_base(self, change: Change) -> None:
        if change.old is None or change.new is None or _concern(change.old) != _concern(change.new):
            self._controller.enqueue(object_key(change.object))
        if self._initialization:
            self._on_registration(change.object["metadata"]["namespace"])

    def _on_subscription(self, change: Change) -> None:
        """Replicas have been divided anew, or a Base may have come into being too late."""
        if change.new is None:
            self._enqueue(self._caches.bases.by_index(BY_SUBSCRIPTION, change.object["metadata"]["uid"]))
            return
        self._look_again(self._caches.bases.by_index(BY_SUBSCRIPTION, change.new["metadata"]["uid"]))
        if not is_divided(change.new):
            return
        before = (change.old or {}).get("status") or {}
        after = change.new.get("status") or {}
        if any(before.get(field) != after.get(field) for field in ("bindingClusters", "replicas", "specHash")):
            self._enqueue(self._caches.bases.by_index(BY_SUBSCRIPTION, change.new["metadata"]["uid"]))

    def _on_inventory(self, change: Change) -> None:
        metadata = change.object["metadata"]
        subscription = self._caches.subscriptions.get(metadata["name"], metadata["namespace"])
        if subscription is not None:
            self._enqueue(self._caches.bases.by_index(BY_SUBSCRIPTION, subscription["metadata"]["uid"]))

    def _on_manifest(self, change: Change) -> None:
        if change.old is not None and change.new is not None and change.old["template"] == change.new["template"]:
            return
        self._enqueue_users(manifest_references(change.object))

    def _on_chart(self, change: Change) -> None:
        if change.old is not None and change.new is not None:
            before, after = rendered_chart_source(change.old), rendered_chart_source(change.new)
            if before == after and _outcome(change.old) == _outcome(change.new):
                return
        self._enqueue_users((feed_reference(chart_feed(change.object)),))

    def _on_override(self, change: Change) -> None:
        """Only those with the policy ApplyNow count (spec/03 §7.3)."""
        if change.old is not None and change.new is not None and not _differs(change.old, change.new):
            return
        for override in (change.old, change.new):
            feed = override["spec"].get("feed") if override is not None and is_urgent(override) else None
            if feed:
                self._enqueue_users(self._references_of(feed), change.object["metadata"].get("namespace"))

    def _on_cluster(self, change: Change) -> None:
        """The labels of a cluster decide which Globalizations apply, and who may publish to it; and it may be back."""
        self._on_registration(change.object["metadata"]["namespace"])
        before, after = (
            (cluster or {}).get("metadata", {}).get("labels") or {} for cluster in (change.old, change.new)
        )
        namespace = change.object["metadata"]["namespace"]
        if self._key and unreadable(change.old) != unreadable(change.new):
            self._enqueue(self._caches.bases.by_index(BY_NAMESPACE, namespace))
        if change.old is None or change.new is None:
            return
        if cluster_deployer(change.old) != cluster_deployer(change.new):
            self._enqueue(self._caches.bases.by_index(BY_NAMESPACE, namespace))
        if before == after:
            return
        for globalization in self._caches.globalizations.items():
            feed = globalization["spec"].get("feed")
            if feed and is_urgent(globalization) and selects_differently(globalization, before, after):
                self._enqueue_users(self._references_of(feed), namespace)

    def _on_registration(self, namespace: str) -> None:
        self._look_again(self._caches.bases.by_index(BY_NAMESPACE, namespace))

    def _on_description(self, change: Change) -> None:
        """One that is gone is made anew if it is wanted.

        A change may be an old one of ours that the cache shows late: then what followed was decided without it.
        """
        if change.new is None or (change.old is not None and change.old["spec"] != change.new["spec"]):
            self._enqueue_owner(change.object)

    def _on_values(self, change: Change) -> None:
        """Values that are gone are written again if they are wanted."""
        if change.new is None:
            self._enqueue_owner(change.object)

    def _on_release(self, change: Change) -> None:
        """Once the last release is gone, so can the Description of charts."""
        if change.new is None:
            base = description_name(change.object).removesuffix(HELM_SUFFIX)
            self._controller.enqueue(make_key(base, change.object["metadata"]["namespace"]))

    def _references_of(self, feed: Object) -> set[str]:
        """Return the references by which Bases can list what an override's feed means."""
        return {feed_reference(feed), *self._references((feed,))}

    def _enqueue_users(self, references: Iterable[str], namespace: str | None = None) -> None:
        """Render the Bases that list a feed; all, or those of one dedicated namespace."""
        for reference in references:
            if namespace is None:
                self._enqueue(self._caches.bases.by_index(BY_FEED, reference))
            else:
                key = namespaced_reference(namespace, reference)
                self._enqueue(self._caches.bases.by_index(BY_NAMESPACE_AND_FEED, key))

    def _enqueue(self, bases: Iterable[Object]) -> None:
        for base in bases:
            self._controller.enqueue(object_key(base))

    def _enqueue_owner(self, description: Object) -> None:
        metadata = description["metadata"]
        for owner in metadata.get("ownerReferences") or ():
            if owner["kind"] == names.BASE_KIND:
                self._controller.enqueue(make_key(owner["name"], metadata["namespace"]))

    # Rendering

    async def _reconcile(self, key: str) -> float | None:
        namespace, name = split_key(key)
        base = self._caches.bases.get(name, namespace)
        if base is None:
            self._told.pop(key, None)
            self._unasked.discard(key)
            return None
        if base["metadata"].get("deletionTimestamp"):
            await self._finish(base)
            return None
        if await self._is_left_over(base):
            log.info("Base %s is removed: its Subscription is gone", key)
            await self._delete(BASES, base)
            return None
        if not self._is_asked_for(base):
            self._told.pop(key, None)
            return None
        rendering = await self._render(base)
        if rendering is None:
            return None
        try:
            base = await self._note_logins(base, rendering)
            again = await self._write(base, rendering)
        except (Conflict, NotFound):
            raise  # something has changed meanwhile
        except (ApiError, ConnectionFailed) as error:
            self._recorder.note(base, "Warning", "FailedSyncingDescription", str(error))
            raise
        await self._tell(base, rendering.problems)
        label = uid_label(base)
        if lacks(base, (names.FINALIZER,), label):
            await mark(self._client, BASES, base, (names.FINALIZER,), label, names.HUB)
        return again

    async def _is_left_over(self, base: Object) -> bool:
        """Return whether the Subscription that a hub has made a Base for is gone.

        The request to make it may outlive the hub that has sent it, and come when the next one has let the Subscription
        go. The cache of Subscriptions may only lag, so the parent is asked.
        """
        labels = base["metadata"].get("labels") or {}
        uid = labels.get(names.SUBSCRIPTION_UID_LABEL) or ""
        made = labels.get(names.CREATED_BY_LABEL) == names.CREATED_BY_CONTROLLER_MANAGER
        if not (made and uid) or self._caches.subscriptions.by_index(BY_UID, uid):
            return False
        listed = await self._client.list(SUBSCRIPTIONS, labels.get(names.SUBSCRIPTION_NAMESPACE_LABEL))
        return all(subscription["metadata"]["uid"] != uid for subscription in listed.items)

    def _is_asked_for(self, base: Object) -> bool:
        """Return whether a Subscription asks for all that a Base brings, or the Base initialises its cluster.

        Otherwise whoever makes a Base could read what is published to others. Descriptions that are there stay as they
        are: a Base that lags behind its Subscription is about to be brought up to date, or removed.
        """
        key = object_key(base)
        uid = (base["metadata"].get("labels") or {}).get(names.SUBSCRIPTION_UID_LABEL) or ""
        subscription = next(iter(self._caches.subscriptions.by_index(BY_UID, uid)), None) if uid else None
        problem = self._forbidden(base, subscription)
        lags = subscription is not None and not (is_bound(base, subscription) and lists_all_feeds(subscription, base))
        if not problem and not lags:
            self._unasked.discard(key)
            return True
        if key not in self._unasked:
            self._unasked.add(key)
            log.info("Base %s isn't rendered: %s", key, problem or "its Subscription doesn't ask for all of it")
            if problem:
                self._recorder.note(base, "Warning", "NotRendered", problem)
        return False

    def _forbidden(self, base: Object, subscription: Object | None) -> str:
        """Return why nobody may ask for a Base; empty if its Subscription may, or it initialises its cluster."""
        namespace = base["metadata"]["namespace"]
        cluster = self._caches.cluster_in(namespace)
        if subscription is not None:
            publisher = subscription["metadata"]["namespace"]
            if self._caches.is_dedicated(publisher):
                return f"its Subscription lies in {publisher}, the namespace of a cluster"
            if cluster and not self._publishers.may_publish_to(publisher, cluster["metadata"].get("labels")):
                return f"namespace {publisher} of its Subscription may not publish to this cluster"
            return ""
        if self._initialization and cluster is not None and not init_skipped(cluster):
            chosen = init_base_name(cluster, self._caches.bases.by_index(BY_NAMESPACE, namespace))
            if chosen == base["metadata"]["name"]:
                return ""
        return "it has no Subscription, and doesn't initialise the cluster (feature gate ClusterInit)"

    def _look_again(self, bases: Iterable[Object]) -> None:
        """Look again at those that nobody asked for."""
        if self._unasked:
            self._enqueue(base for base in bases if object_key(base) in self._unasked)

    async def _render(self, base: Object) -> Rendering | None:
        """Return what a Base becomes now; None while the division of its replicas isn't known.

        Overrides can take long. So they are worked on in a thread, with what the caches have held at the beginning.
        """
        namespace = base["metadata"]["namespace"]
        feeds = base["spec"]["feeds"]
        localizations = self._localizations(namespace, feeds)
        uid = (base["metadata"].get("labels") or {}).get(names.SUBSCRIPTION_UID_LABEL) or ""
        for subscription in self._caches.subscriptions.by_index(BY_UID, uid):
            metadata = subscription["metadata"]
            inventory = self._caches.inventories.get(metadata["name"], metadata["namespace"])
            if awaits_replicas(subscription, base, inventory):
                return None
            # Those in the cache may be older than the Subscription, so they are worked out again.
            localizations = [one for one in localizations if not is_replica_localization(one, uid)]
            if is_divided(subscription):
                localizations += replica_localizations(subscription, base, inventory, ())
        references = self._references(feeds)
        globalizations = [one for each in references for one in self._caches.globalizations.by_index(BY_FEED, each)]
        cluster = self._caches.cluster_in(namespace)
        labels = [cluster["metadata"].get("labels") or {}] if cluster else []
        sources = {id(feed): self._caches.feed_objects(feed) for feed in feeds}
        inputs = (feeds, lambda feed: sources[id(feed)], localizations, globalizations, labels)
        if localizations or globalizations:
            rendering = await self._threads.run(namespace, _RENDER_TIMEOUT, render, *inputs)
        else:
            rendering = render(*inputs)
        if self._key and (why := unreadable(cluster)):
            withhold_secrets(rendering, feeds, why)
        return rendering

    def _localizations(self, namespace: str, feeds: list[Object]) -> list[Object]:
        find = self._caches.localizations.by_index
        return [
            one
            for reference in self._references(feeds)
            for one in find(BY_NAMESPACE_AND_FEED, namespaced_reference(namespace, reference))
        ]

    def _references(self, feeds: Iterable[Object]) -> list[str]:
        """Return every reference by which an override can mean what these feeds mean."""
        sources = (source for feed in feeds for source in self._caches.feed_objects(feed))
        return list(dict.fromkeys(reference for source in sources for reference in source_references(source)))

    async def _note_logins(self, base: Object, rendering: Rendering) -> Object:
        """Note what logins the charts need, before anybody can ask for them; return the Base as it is then.

        The rendered charts name the Secrets that whoever deploys them is to read.
        """
        metadata = base["metadata"]
        logins = rendered_logins(base, rendering)
        cluster = self._caches.cluster_in(metadata["namespace"])
        pulls = cluster is not None and cluster_deployer(cluster) == "agent"
        rendering.charts = pointing_to_secrets(base, rendering.charts, logins, pulls=pulls)
        if patch := logins_patch(base, logins):
            patched = await self._client.patch(BASES, metadata["name"], patch, metadata["namespace"])
            return {**base, "metadata": patched["metadata"]}  # its spec stays the one that was rendered
        return base

    # Descriptions

    async def _write(self, base: Object, rendering: Rendering) -> float | None:
        """Bring both Descriptions of a Base in line with what was rendered."""
        namespace = base["metadata"]["namespace"]
        waits: list[float] = []
        build_native = partial(build_generic, seal=await self._seal(base))

        async def write(name: str, build: Callable[[Object, Rendering, Object | None], Built]) -> None:
            before = self._caches.descriptions.get(name, namespace)
            built = build(base, rendering, before)
            rendering.problems += built.problems
            if build is not build_helm:
                await self._keep_values(namespace, built)
            if again := await self._write_one(base, built.description, before):
                waits.append(again)
            if build is not build_helm:
                await self._clean_values(base, built)

        works = (partial(write, generic_name(base), build_native), partial(write, helm_name(base), build_helm))
        await run_all(works, at_once=len(works))
        return min(waits, default=None)

    async def _seal(self, base: Object) -> Seal | None:
        """Return what takes the values out of the Secrets for a cluster; None if they stay in."""
        namespace = base["metadata"]["namespace"]
        if self._key is None or unreadable(self._caches.cluster_in(namespace)):
            return None
        return Seal(await self._key.get(), namespace, owner_reference(base))

    async def _keep_values(self, namespace: str, built: Built) -> None:
        """Write the Secrets with values that a Description refers to."""
        for name, secret in built.values.items():
            if secret is not None and self._caches.description_values.get(name, namespace) is None:
                with contextlib.suppress(AlreadyExists):
                    await self._client.create(SECRETS, secret)

    async def _clean_values(self, base: Object, built: Built) -> None:
        """Remove the Secrets with values that the Description of a Base no longer refers to."""
        for secret in self._caches.description_values.by_index(BY_OWNER, base["metadata"]["uid"]):
            if secret["metadata"]["name"] not in built.values:
                await self._delete(SECRETS, secret)

    async def _write_one(self, base: Object, wanted: Object, before: Object | None) -> float | None:
        if before is None:
            return None if is_empty(wanted) else await self._create(base, wanted)
        metadata = before["metadata"]
        if metadata.get("deletionTimestamp"):
            return None  # its end brings us back
        if not made_from(before, base) or (is_empty(wanted) and not self._still_needed(before)):
            await self._delete(DESCRIPTIONS, before)
            return None
        cluster = self._caches.cluster_in(metadata["namespace"])
        if cluster is not None and cluster_deployer(cluster) == "agent":
            wanted = remembering_lost(before, wanted)
        if patch := difference(before, wanted):
            await self._client.patch(DESCRIPTIONS, metadata["name"], patch, metadata["namespace"])
            self._recorder.note(base, "Normal", "DescriptionUpdated", f"Description {object_key(before)} updated")
        return None

    async def _create(self, base: Object, wanted: Object) -> float | None:
        try:
            await self._client.create(DESCRIPTIONS, wanted)
        except AlreadyExists:
            # Made or deleted a moment ago, and the cache doesn't know it yet.
            return _UNSEEN_RECHECK
        self._recorder.note(base, "Normal", "DescriptionCreated", f"Description {object_key(wanted)} created")
        return None

    def _still_needed(self, description: Object) -> bool:
        """Whether a Description without charts has to stay until its releases are gone.

        They are only uninstalled as long as it is not being deleted: a cluster that is bound again keeps them.
        """
        if description["spec"]["deployer"] != names.DEPLOYER_HELM:
            return False
        if not is_empty(description):
            return True
        return bool(self._caches.releases.by_index(BY_OWNER, description["metadata"]["uid"]))

    async def _delete(self, resource: Resource, obj: Object) -> None:
        metadata = obj["metadata"]
        try:
            await self._client.delete(resource, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except NotFound:
            return

    async def _finish(self, base: Object) -> None:
        """Send the Descriptions of a Base, and their values, after it, and let it go; it doesn't wait for them."""
        for description in self._caches.descriptions.by_index(BY_OWNER, base["metadata"]["uid"]):
            if not description["metadata"].get("deletionTimestamp"):
                await self._delete(DESCRIPTIONS, description)
        for secret in self._caches.description_values.by_index(BY_OWNER, base["metadata"]["uid"]):
            await self._delete(SECRETS, secret)
        await release(self._client, BASES, base, (names.FINALIZER,))

    # Problems

    async def _tell(self, base: Object, problems: list[Problem]) -> None:
        """Tell users of what is new among the problems, and keep those of overrides for the Subscription's status."""
        key = object_key(base)
        before = self._told.get(key, frozenset())
        now = frozenset((problem.event, problem.message) for problem in problems)
        if now:
            self._told[key] = now
        else:
            self._told.pop(key, None)
        uid = (base["metadata"].get("labels") or {}).get(names.SUBSCRIPTION_UID_LABEL) or ""
        for event, message in sorted(now - before):
            for obj in (base, *self._caches.subscriptions.by_index(BY_UID, uid)):
                self._recorder.note(obj, "Normal" if event == VERIFYING_CHART else "Warning", event, message)
        if patch := problems_patch(base, problems):
            await self._client.patch(BASES, base["metadata"]["name"], patch, base["metadata"]["namespace"])


def _concern(base: Object) -> tuple[Any, ...]:
    """Return what matters of a Base."""
    metadata = base["metadata"]
    return (
        base["spec"],
        without_uid_labels(metadata.get("labels") or {}),
        [metadata.get(field) for field in ("deletionTimestamp", "finalizers")],
        [
            (metadata.get("annotations") or {}).get(annotation)
            for annotation in (names.RENDERING_PROBLEMS_ANNOTATION, names.CHART_LOGINS_ANNOTATION)
        ],
    )


def _outcome(chart: Object) -> tuple[str | None, str | None]:
    return chart_phase(chart), (chart.get("status") or {}).get("reason")


def _differs(before: Object, after: Object) -> bool:
    return before["spec"] != after["spec"] or is_live(before) != is_live(after)
