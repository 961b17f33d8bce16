"""Leader election on a Lease, as client-go does it, so that records of both are understood by both.

Whether another holder is alive is judged by when *this* process saw its record change, on a monotonic clock: clocks of
different machines are never compared. A holder of the same machine that was killed is known to be gone at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from clusternet_engine import metrics
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ConfigError
from clusternet_engine.kube.errors import AlreadyExists, ApiError, Conflict, ConnectionFailed, NotFound
from clusternet_engine.kube.holders import has_ended
from clusternet_engine.kube.resources import LEASES, Object
from clusternet_engine.model.election import JITTER, fit_together

log = logging.getLogger(__name__)

RELEASE_TIMEOUT = 3.0
"""Seconds to give the lease back when stopping."""

Lead = Callable[[Object], Awaitable[None]]


class LeaderElector:
    """Runs something in at most one process at a time.

    :param namespace: of the Lease, which must exist.
    :param name: of the Lease, made if it is missing.
    :param identity: of this process, unique among the candidates.
    :param lease_duration: seconds after which candidates take the lease from a holder that went silent.
    :param renew_deadline: seconds without a successful renewal after which the holder gives up; < ``lease_duration``.
    :param retry_period: seconds between attempts to acquire or renew; × 1.2 < ``renew_deadline``.
    :param title: what logs show instead of identities, where these hold secrets.
    :raises ValueError: the durations do not fit together.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        lease_duration: float = 15.0,
        renew_deadline: float = 10.0,
        retry_period: float = 2.0,
        title: str = "",
    ) -> None:
        if not fit_together(lease_duration, renew_deadline, retry_period):
            raise ValueError(
                f"lease duration ({lease_duration:g} s) must exceed the renew deadline ({renew_deadline:g} s), "
                f"and that {JITTER:g} times the retry period ({retry_period:g} s)"
            )
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._lease_duration = lease_duration
        self._renew_deadline = renew_deadline
        self._retry_period = retry_period
        self._title = title
        self._observed: dict[str, Any] = {}
        self._observed_at = 0.0
        self._lease: Object | None = None
        self._standing_by = False

    @property
    def leading(self) -> bool:
        """Whether this process holds the lease."""
        return self._lease is not None

    @property
    def standing_by(self) -> bool:
        """Tell whether another process held the lease when this one looked last; false if it could not look."""
        return self._standing_by

    async def run(self, lead: Lead) -> None:
        """Acquire the lease, run ``lead(lease)`` as long as it is held, and begin again when it was lost.

        ``lead`` is cancelled when the lease is lost: renewals failed for the renew deadline, another took it, or it
        was deleted (its UID is an identity, so a new Lease means a new ``lead``). When ``lead`` returns or raises, or
        this is cancelled, the lease is released for the next candidate; then this returns, raises the same, or is
        cancelled.
        """
        while True:
            lease = await self._acquire()
            if await self._hold(lease, lead):
                return

    async def _acquire(self) -> Object:
        waiting = False
        while True:
            try:
                async with asyncio.timeout(self._renew_deadline):
                    lease = await self._try_acquire()
            except (ApiError, ConnectionFailed, ConfigError, TimeoutError) as error:
                log.warning("lease %s/%s: can't acquire: %s", self._namespace, self._name, error or "out of time")
                self._standing_by = False
            else:
                self._standing_by = lease is None
                if lease is not None:
                    return lease
                if not waiting:
                    holder = self._shown(self._observed.get("holderIdentity"))
                    log.info("lease %s/%s is held by %s; waiting", self._namespace, self._name, holder)
                    waiting = True
            await asyncio.sleep(self._retry_period * random.uniform(1.0, JITTER))  # noqa: S311

    async def _try_acquire(self) -> Object | None:
        """The lease if it is ours now, ``None`` if another one holds it or was faster."""
        try:
            lease = await self._client.get(LEASES, self._name, self._namespace)
        except NotFound as error:
            if error.details.get("kind") not in (None, LEASES.plural):
                raise
            lease = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.kind,
                "metadata": {"name": self._name, "namespace": self._namespace},
                "spec": self._record({}),
            }
            with contextlib.suppress(AlreadyExists):
                return await self._client.create(LEASES, lease)
            return None
        spec = lease.get("spec") or {}
        if spec != self._observed:
            self._observed = spec
            self._observed_at = time.monotonic()
        holder = spec.get("holderIdentity")
        valid = time.monotonic() < self._observed_at + float(spec.get("leaseDurationSeconds") or 0)
        if valid and holder and holder != self._identity and not has_ended(holder):
            return None
        with contextlib.suppress(Conflict):
            return await self._client.update(LEASES, {**lease, "spec": self._record(spec)})
        return None

    def _record(self, previous: dict[str, Any]) -> dict[str, Any]:
        """The spec with this process as holder, following on the previous one."""
        now = micro_time(datetime.now(UTC))
        ours = previous.get("holderIdentity") == self._identity
        transitions = int(previous.get("leaseTransitions") or 0)
        return {
            **previous,
            "holderIdentity": self._identity,
            "leaseDurationSeconds": math.ceil(self._lease_duration),
            "acquireTime": (previous.get("acquireTime") if ours else None) or now,
            "renewTime": now,
            "leaseTransitions": transitions if ours or not previous else transitions + 1,
        }

    async def _hold(self, lease: Object, lead: Lead) -> bool:
        """Lead until ``lead`` ends by itself (true) or the lease is lost (false)."""
        log.info("lease %s/%s acquired as %s", self._namespace, self._name, self._shown(self._identity))
        gauge = metrics.LEADER.labels(f"{self._namespace}/{self._name}")
        gauge.set(1)
        self._lease = lease
        leading = asyncio.ensure_future(lead(lease))
        renewing = asyncio.create_task(self._renew(), name=f"renew {self._name}")
        try:
            await asyncio.wait((leading, renewing), return_when=asyncio.FIRST_COMPLETED)
            if leading.done():
                leading.result()
                return True
            renewing.result()
            return False
        finally:
            await _cancel(renewing)
            try:
                await _cancel(leading)
            finally:
                gauge.set(0)
                await self._release()

    async def _renew(self) -> None:
        """Renew again and again; returns when the lease is lost."""
        while True:
            deadline = time.monotonic() + self._renew_deadline
            await asyncio.sleep(self._retry_period)
            while not await self._renewed(deadline):
                if self._lease is None:
                    return
                if time.monotonic() >= deadline:
                    log.error("lease %s/%s lost: not renewed in time", self._namespace, self._name)
                    return
                await asyncio.sleep(min(self._retry_period, max(0.0, deadline - time.monotonic())))

    async def _renewed(self, deadline: float) -> bool:
        """Try once; false on failure, with no lease any more if it is certainly lost."""
        assert self._lease is not None
        try:
            async with asyncio.timeout_at(_loop_time(deadline)):
                try:
                    body = {**self._lease, "spec": self._record(self._lease["spec"])}
                    self._lease = await self._client.update(LEASES, body)
                    return True
                except (Conflict, NotFound):
                    return await self._look_again()
        except (ApiError, ConnectionFailed, ConfigError, TimeoutError) as error:
            log.warning("lease %s/%s: renewal failed: %s", self._namespace, self._name, error or "out of time")
            return False

    async def _look_again(self) -> bool:
        """After a conflict: renew upon the newest version, unless the lease is another's or another one."""
        assert self._lease is not None
        try:
            current = await self._client.get(LEASES, self._name, self._namespace)
        except NotFound:
            current = None
        if current is None or current["metadata"]["uid"] != self._lease["metadata"]["uid"]:
            log.error("lease %s/%s lost: it was deleted", self._namespace, self._name)
            self._lease = None
            return False
        spec = current.get("spec") or {}
        if spec.get("holderIdentity") != self._identity:
            log.error("lease %s/%s lost to %s", self._namespace, self._name, self._shown(spec.get("holderIdentity")))
            self._lease = None
            return False
        self._lease = await self._client.update(LEASES, {**current, "spec": self._record(spec)})
        return True

    async def _release(self) -> None:
        """Give the lease back, if it is still ours, so that the next candidate need not wait."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        now = micro_time(datetime.now(UTC))
        spec = {
            **lease["spec"],
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "acquireTime": now,
            "renewTime": now,
        }
        try:
            async with asyncio.timeout(RELEASE_TIMEOUT):
                try:
                    await self._client.update(LEASES, {**lease, "spec": spec})
                except Conflict:
                    current = await self._client.get(LEASES, self._name, self._namespace)
                    if not self._is_ours(current, lease):
                        return
                    await self._client.update(LEASES, {**current, "spec": spec})
            log.info("lease %s/%s released", self._namespace, self._name)
        except (ApiError, ConnectionFailed, ConfigError, TimeoutError) as error:
            log.warning("lease %s/%s: not released: %s", self._namespace, self._name, error or "out of time")

    def _shown(self, identity: str | None) -> str:
        """An identity for logs."""
        if not self._title:
            return str(identity)
        return self._title if identity == self._identity else "another"

    def _is_ours(self, current: Object, held: Object) -> bool:
        """Whether the lease as it is now is the one held, still by this process, changed only by others' metadata."""
        same_lease = current["metadata"]["uid"] == held["metadata"]["uid"]
        return bool(same_lease and (current.get("spec") or {}).get("holderIdentity") == self._identity)


def micro_time(moment: datetime) -> str:
    """A ``MicroTime`` as API servers write it: UTC with exactly six digits of a second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _loop_time(monotonic: float) -> float:
    return asyncio.get_running_loop().time() + monotonic - time.monotonic()


async def _cancel(task: asyncio.Future[None]) -> None:
    """Cancel a task and wait for its end; its own failure while stopping is logged."""
    if task.done():
        return
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("failed while stopping", exc_info=error)
