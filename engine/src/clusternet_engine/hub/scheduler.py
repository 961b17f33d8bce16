"""Chooses the clusters of each Subscription and divides replicas among them (spec/03 §2–§4).

The rules are in `model.scheduling`; here they are called when something they look at has changed, and what they answer
is written into the Subscription's status, together with the condition Scheduled that says how it went.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from clusternet_engine.hub import inventory
from clusternet_engine.hub.caches import BY_FEED, BY_NAMESPACE, Caches
from clusternet_engine.hub.predictors import PredictionFailed, Predictors
from clusternet_engine.hub.settings import Settings
from clusternet_engine.hub.tunnels import Tunnels
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client, PatchType
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.resources import SUBSCRIPTIONS, Object, object_key, split_key
from clusternet_engine.model import constants as names
from clusternet_engine.model import features
from clusternet_engine.model.addresses import push_rule
from clusternet_engine.model.candidates import Subscriber, listed, subscribers_of
from clusternet_engine.model.conditions import find_condition, make_condition, merge_conditions
from clusternet_engine.model.feeds import manifest_references
from clusternet_engine.model.inventory import Unparseable, inventory_feeds
from clusternet_engine.model.scheduling import (
    Placement,
    Plan,
    Reason,
    Rooms,
    Unschedulable,
    current_placement,
    make_plan,
    strategy_of,
    wants_rebalancing,
    within_tolerance,
)
from clusternet_engine.model.spec_hash import spec_hash

NAME = "scheduler"

_FIRST_RETRY = 1.0
_LAST_RETRY = 10.0
"""Seconds between attempts when predictors fail."""
_CAPACITY_RETRY = 30.0
"""Seconds after which clusters are asked again whether they have room for the replicas that are missing."""
_FOREIGN_PATIENCE = 2.0
"""Seconds that another scheduler has for a Subscription which names it, before users hear that it isn't this one."""
_LONGEST_MESSAGE = 4096
_OWN_FIELDS = ("bindingClusters", "replicas", "specHash", "desiredReleases")

log = logging.getLogger(__name__)


class _Question(NamedTuple):
    """What predictors are asked: for which entries of a FeedInventory, and of which clusters."""

    entries: list[Object]
    clusters: list[str]


_Answers: TypeAlias = dict[str, dict[str, int] | str]
"""By cluster: how many replicas of each feed it has room for, or why that isn't known."""


class Scheduler:
    """The controller of Subscriptions' placement.

    Args:
        client: of the parent cluster.
        caches: of the parent cluster.
        recorder: of events.
        settings: the hub's flags.
        tunnels: of the agents.
    """

    def __init__(
        self, client: Client, caches: Caches, recorder: EventRecorder, settings: Settings, tunnels: Tunnels
    ) -> None:
        self._client = client
        self._caches = caches
        self._recorder = recorder
        self._predictors = Predictors(
            caches,
            tunnels if settings.enabled(features.SOCKET_CONNECTION) else None,
            push_rule(settings.push_addresses),
        )
        self._publishers = settings.publishers
        self._fail_over = settings.enabled(features.FAIL_OVER)
        self._makes_inventories = settings.enabled(features.FEED_INVENTORY) and inventory.NAME in settings.controllers
        self._tolerates_failures = settings.enabled(features.FEASIBLE_CLUSTERS_TOLERATION)
        self._controller = Controller(
            NAME,
            self._reconcile,
            workers=settings.workers,
            keys=lambda: map(object_key, sorted(caches.subscriptions.items(), key=_age)),
            priority=self._priority,
        )
        self._leading = False
        self._subscribers: dict[str, list[Subscriber]] = {}
        self._written: dict[str, Object] = {}
        self._asking: dict[str, tuple[_Question, asyncio.Task[_Answers]]] = {}
        self._failures: dict[str, int] = {}
        self._foreign_since: dict[str, float] = {}
        caches.subscriptions.add_handler(self._on_subscription)
        caches.inventories.add_handler(self._on_inventory)
        caches.manifests.add_handler(self._on_manifest)
        caches.clusters.add_handler(self._on_cluster)
        caches.add_registration_handler(self._on_registration)

    async def run(self) -> None:
        """Work until cancelled; begins with all Subscriptions there are."""
        for memory in (self._written, self._failures, self._foreign_since):
            memory.clear()
        self._leading = True
        try:
            await self._controller.run()
        finally:
            self._leading = False
            for _, asking in self._asking.values():
                asking.cancel()
            self._asking.clear()
            await self._predictors.close()

    def _priority(self, key: str) -> int:
        subscription = self._cached(key)
        return int(subscription["spec"].get("priority") or 0) if subscription else 0

    def _cached(self, key: str) -> Object | None:
        namespace, name = split_key(key)
        return self._caches.subscriptions.get(name, namespace)

    def _on_subscription(self, change: Change) -> None:
        """The spec counts, and the wish to be rebalanced; status only where it is missing, or another scheduler's."""
        old, new, key = change.old, change.new, object_key(change.object)
        self._newest(key)
        if new is None:
            self._subscribers.pop(key, None)
        elif old is None or _asks(old) != _asks(new):
            try:
                self._subscribers[key] = subscribers_of(new["spec"])
            except ValueError:
                self._subscribers.pop(key, None)
        elif _is_ours(new) and "specHash" in (new.get("status") or {}):
            return
        self._controller.enqueue(key)

    def _on_inventory(self, change: Change) -> None:
        self._controller.enqueue(object_key(change.object))

    def _on_manifest(self, change: Change) -> None:
        """A workload that was missing may have appeared: the reason why its Subscriptions wait is another one now."""
        if not self._leading or change.type != "ADDED":
            return
        for reference in manifest_references(change.object):
            for subscription in self._caches.subscriptions.by_index(BY_FEED, reference):
                if strategy_of(subscription["spec"]) == names.DIVIDING:
                    self._controller.enqueue(object_key(subscription))

    def _on_cluster(self, change: Change) -> None:
        """Only Subscriptions that select the cluster, or did, are looked at."""
        if not self._leading or (change.old and change.new and self._seen(change.old) == self._seen(change.new)):
            return
        self._look_at_users_of([state for state in (change.old, change.new) if state])

    def _on_registration(self, namespace: str) -> None:
        """What lies in a namespace may count now, or no longer; and so may the clusters there."""
        for subscription in self._caches.subscriptions.by_index(BY_NAMESPACE, namespace):
            self._controller.enqueue(object_key(subscription))
        if self._leading:
            self._look_at_users_of(self._caches.clusters.by_index(BY_NAMESPACE, namespace))

    def _look_at_users_of(self, states: Sequence[Object]) -> None:
        for key, subscribers in self._subscribers.items():
            if any(subscriber.selects(state) for state in states for subscriber in subscribers):
                self._controller.enqueue(key)

    def _seen(self, cluster: Object) -> tuple[Any, ...]:
        """What the rules look at in a ManagedCluster."""
        metadata = cluster["metadata"]
        ready = (
            find_condition((cluster.get("status") or {}).get("conditions"), names.READY) if self._fail_over else None
        )
        return (
            metadata.get("labels"),
            metadata.get("deletionTimestamp") is None,
            cluster["spec"].get("taints"),
            ready and ready["status"],
        )

    async def _reconcile(self, key: str) -> float | None:
        subscription = self._newest(key)
        if subscription is None or subscription["metadata"].get("deletionTimestamp"):
            for memory in (self._written, self._failures, self._foreign_since):
                memory.pop(key, None)
            _, asking = self._asking.pop(key, (None, None))
            if asking:
                asking.cancel()
            return None
        try:
            if not _is_ours(subscription):
                return await self._leave(key, subscription)
            return await self._schedule(key, subscription)
        except NotFound:
            return None

    def _newest(self, key: str) -> Object | None:
        """The Subscription as last written, until the cache has seen that."""
        cached, written = self._cached(key), self._written.get(key)
        if cached and written and _precedes(cached, written):
            return written
        self._written.pop(key, None)
        return cached

    async def _schedule(self, key: str, subscription: Object) -> float | None:
        namespace, name = split_key(key)
        if forbidden := self._forbidden(str(namespace)):
            await self._bind(key, subscription, Placement([], {}, *forbidden))
            return None
        found = self._caches.inventories.get(name, namespace)
        feeds = found["spec"]["feeds"] if found else None
        clusters = self._caches.registered_clusters()
        permits = partial(self._permits, str(namespace))
        try:
            plan = make_plan(subscription, clusters, feeds, fail_over=self._fail_over, permits=permits)
            rooms = self._rooms(key, plan)
            if rooms is None:
                return None
            placement = plan.place(rooms)
        except Unschedulable as obstacle:
            if obstacle.reason == Reason.WAITING_FOR_INVENTORY:
                reason = self._missing_inventory(subscription)
                if not reason:
                    return None
                obstacle = Unschedulable(obstacle.reason, reason)
            await self._obstruct(key, subscription, obstacle)
            return self._retry(key) if obstacle.reason == Reason.PREDICTION_FAILED else None
        self._failures.pop(key, None)
        await self._bind(key, subscription, placement)
        return _CAPACITY_RETRY if placement.reason == Reason.INSUFFICIENT_CAPACITY else None

    def _forbidden(self, namespace: str) -> tuple[Reason, str] | None:
        """Return why nothing is published from a namespace; None if something may be."""
        if self._caches.is_dedicated(namespace):
            message = f"namespace {namespace} belongs to a cluster, so what lies there is not published"
            return Reason.DEDICATED_NAMESPACE, message
        if not self._publishers.may_publish(namespace):
            message = (
                f"namespace {namespace} may not publish to any cluster; flag --publisher of the hub says which may"
            )
            return Reason.NOT_A_PUBLISHER, message
        return None

    def _permits(self, namespace: str, cluster: Object) -> bool:
        return self._publishers.may_publish_to(namespace, cluster["metadata"].get("labels"))

    def _missing_inventory(self, subscription: Object) -> str:
        """Why there is no FeedInventory of these feeds; empty when it is about to come."""
        if not self._makes_inventories:
            return "no FeedInventory of the same name lists these feeds, and this hub makes none (gate FeedInventory)"
        try:
            inventory_feeds(subscription["spec"]["feeds"], self._caches.feed_objects)
        except Unparseable as problem:
            return str(problem)
        return ""

    def _rooms(self, key: str, plan: Plan) -> Rooms | None:
        """Predictions for a plan; None until they have come, whereupon the key is looked at again.

        No worker waits for them: predictors that don't answer would hold up Subscriptions that don't need any.

        Raises:
            Unschedulable: more predictors failed than may.
        """
        if not plan.to_predict:
            return {}
        question = _Question(list(plan.to_predict), [object_key(cluster) for cluster in plan.chosen])
        asked, asking = self._asking.get(key, (None, None))
        if asking and asked == question:
            if not asking.done():
                return None
            del self._asking[key]
            return self._usable(key, asking.result())
        if asking:
            asking.cancel()
        asking = asyncio.create_task(self._ask(plan))
        asking.add_done_callback(lambda _: self._controller.enqueue(key))
        self._asking[key] = (question, asking)
        return None

    async def _ask(self, plan: Plan) -> _Answers:
        answers = await asyncio.gather(*(self._room(cluster, plan.to_predict) for cluster in plan.chosen))
        return {object_key(cluster): answer for cluster, answer in zip(plan.chosen, answers, strict=True)}

    def _usable(self, key: str, answers: _Answers) -> Rooms:
        failed = [f"{split_key(cluster)[1]}: {why}" for cluster, why in answers.items() if isinstance(why, str)]
        if failed and not (self._tolerates_failures and within_tolerance(len(failed), len(answers))):
            message = f"{len(failed)}/{len(answers)} predictors failed: {listed(failed)}"
            raise Unschedulable(Reason.PREDICTION_FAILED, message)
        if failed:
            log.warning("%s: going on without %s", key, listed(failed))
        return {cluster: answer for cluster, answer in answers.items() if not isinstance(answer, str)}

    async def _room(self, cluster: Object, entries: Sequence[Object]) -> dict[str, int] | str:
        try:
            return await self._predictors.predict(cluster, entries)
        except PredictionFailed as error:
            return str(error)

    def _retry(self, key: str) -> float:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        return float(min(_FIRST_RETRY * 2 ** min(failures - 1, 16), _LAST_RETRY))

    async def _bind(self, key: str, subscription: Object, placement: Placement) -> None:
        """Write a placement; the first event is about it, not about every later look."""
        fields = {
            "bindingClusters": placement.bindings,
            "specHash": spec_hash(subscription["spec"]),
            "desiredReleases": len(placement.bindings),
        }
        if placement.replicas:
            fields["replicas"] = placement.replicas
        before = current_placement(subscription)
        told = await self._write(key, subscription, fields, placement.reason, placement.message)
        if placement.reason == Reason.SCHEDULED:
            if (before.bindings, before.replicas) != (placement.bindings, placement.replicas):
                clusters = listed([split_key(binding)[1] for binding in placement.bindings])
                self._recorder.note(subscription, "Normal", "Scheduled", f"{placement.message}: {clusters}")
        elif told:
            self._recorder.note(subscription, "Warning", "FailedScheduling", placement.message)

    async def _obstruct(self, key: str, subscription: Object, obstacle: Unschedulable) -> None:
        """Tell why a Subscription can't be scheduled; what was bound stays bound."""
        if await self._write(key, subscription, _own(subscription), obstacle.reason, obstacle.message):
            log.info("%s can't be scheduled: %s", key, obstacle)
            self._recorder.note(subscription, "Warning", "FailedScheduling", obstacle.message)

    async def _write(self, key: str, subscription: Object, fields: Object, reason: str, message: str) -> bool:
        """Write the scheduler's part of the status if it differs; return whether the condition says something new."""
        before = _told(subscription)
        condition = _condition(subscription, reason, message)
        if condition == before and fields == _own(subscription):
            return False
        written = await self._apply(subscription, {**fields, "conditions": [condition]}, names.SCHEDULER)
        self._written[key] = written
        return before is None or any(before.get(field) != condition[field] for field in ("reason", "message"))

    async def _apply(self, subscription: Object, status: Object, manager: str) -> Object:
        metadata = subscription["metadata"]
        body = {
            "apiVersion": subscription["apiVersion"],
            "kind": subscription["kind"],
            "metadata": {field: metadata[field] for field in ("name", "namespace", "uid")},
            "status": status,
        }
        return await self._client.patch(
            SUBSCRIPTIONS,
            metadata["name"],
            body,
            metadata["namespace"],
            kind=PatchType.APPLY,
            subresource="status",
            field_manager=manager,
            force=True,
        )

    async def _leave(self, key: str, subscription: Object) -> float | None:
        """Leave a Subscription to the scheduler that it names; if none takes it up, tell its user."""
        told = _told(subscription)
        if told and told["reason"] != Reason.UNKNOWN_SCHEDULER:
            told = None
        if "bindingClusters" in (subscription.get("status") or {}):
            if told:
                await self._apply(subscription, {}, names.HUB)
            return None
        waited = time.monotonic() - self._foreign_since.setdefault(key, time.monotonic())
        if waited < _FOREIGN_PATIENCE and not told:
            return _FOREIGN_PATIENCE - waited
        scheduler = subscription["spec"]["schedulerName"]
        message = f"no scheduler {scheduler!r} has taken it up; this hub's own is called {names.DEFAULT_SCHEDULER!r}"
        condition = _condition(subscription, Reason.UNKNOWN_SCHEDULER, message)
        if condition != told:
            await self._apply(subscription, {"conditions": [condition]}, names.HUB)
            if not told:
                self._recorder.note(subscription, "Warning", Reason.UNKNOWN_SCHEDULER, message)
        return None


def _condition(subscription: Object, reason: str, message: str) -> Object:
    """The condition Scheduled; the time of its last transition is that of the one before unless status changes."""
    outcome = names.TRUE if reason == Reason.SCHEDULED else names.FALSE
    message = message if len(message) <= _LONGEST_MESSAGE else f"{message[: _LONGEST_MESSAGE - 1]}…"
    condition = make_condition(names.SCHEDULED, outcome, reason, message, datetime.now(UTC))
    condition["observedGeneration"] = subscription["metadata"]["generation"]
    before = _told(subscription)
    return merge_conditions([before] if before else [], [condition])[0]


def _told(subscription: Object) -> Object | None:
    """The condition Scheduled as it is."""
    return find_condition((subscription.get("status") or {}).get("conditions"), names.SCHEDULED)


def _is_ours(subscription: Object) -> bool:
    return (subscription["spec"].get("schedulerName") or names.DEFAULT_SCHEDULER) == names.DEFAULT_SCHEDULER


def _asks(subscription: Object) -> tuple[int, bool]:
    """What changes when a user asks for something else."""
    return subscription["metadata"]["generation"], wants_rebalancing(subscription)


def _precedes(older: Object, newer: Object) -> bool:
    """Whether both are states of one object in this order."""
    versions = [int(obj["metadata"]["resourceVersion"]) for obj in (older, newer)]
    return older["metadata"]["uid"] == newer["metadata"]["uid"] and versions[0] < versions[1]


def _own(subscription: Object) -> Object:
    """What the scheduler has written into a status, without the condition."""
    status = subscription.get("status") or {}
    return {field: status[field] for field in _OWN_FIELDS if status.get(field) not in (None, {})}


def _age(subscription: Object) -> str:
    return str(subscription["metadata"]["creationTimestamp"])
