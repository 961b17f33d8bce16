"""Where a registration stands, told in the log, as an Event and as an annotation of the agent's Lease on the child.

The annotation `clusternet.io/registration-status` is this engine's own. Its value is JSON with the keys

* `step`: the step that is stuck, or `registered`;
* `reason`: one of `Reason`;
* `message`: a sentence for people, free of secrets;
* `time`: when this became so, RFC 3339, UTC.

Whoever installs an agent reads there why its ManagedCluster does not appear.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Literal

from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.client import Client, PatchType
from clusternet_engine.kube.errors import ApiError, ConnectionFailed
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.resources import LEASES, Object
from clusternet_engine.model.times import format_time

STATUS_ANNOTATION = "clusternet.io/registration-status"

log = logging.getLogger(__name__)


class Reason(StrEnum):
    """Why the agent is where it is; the step that belongs to it is `reason.step`."""

    STARTING = "Starting"
    CHILD_ACCESS_FAILED = "ChildAccessFailed"
    REGISTRATION_SECRET_INVALID = "RegistrationSecretInvalid"  # noqa: S105
    PARENT_UNREACHABLE = "ParentUnreachable"
    PARENT_CERTIFICATE_UNTRUSTED = "ParentCertificateUntrusted"
    BOOTSTRAP_TOKEN_REJECTED = "BootstrapTokenRejected"  # noqa: S105
    REGISTRATION_FORBIDDEN = "RegistrationForbidden"
    CLUSTERNET_MISSING = "ClusternetMissing"
    REGISTRATION_INVALID = "RegistrationInvalid"
    REGISTRATION_PENDING = "RegistrationPending"
    REGISTRATION_DENIED = "RegistrationDenied"
    REGISTERED_BEFORE = "RegisteredBefore"
    DEPLOYER_SECRET_MISSING = "DeployerSecretMissing"  # noqa: S105
    DEPLOYER_SECRET_FAILED = "DeployerSecretFailed"  # noqa: S105
    HEARTBEAT_FAILED = "HeartbeatFailed"
    REGISTERED = "Registered"

    @property
    def step(self) -> str:
        """The step of the registration the reason belongs to."""
        return _STEPS[self]


_STEPS = {
    Reason.STARTING: "start",
    Reason.CHILD_ACCESS_FAILED: "configuration",
    Reason.REGISTRATION_SECRET_INVALID: "configuration",
    Reason.PARENT_UNREACHABLE: "connection",
    Reason.PARENT_CERTIFICATE_UNTRUSTED: "connection",
    Reason.BOOTSTRAP_TOKEN_REJECTED: "authentication",
    Reason.REGISTRATION_FORBIDDEN: "authorization",
    Reason.CLUSTERNET_MISSING: "request",
    Reason.REGISTRATION_INVALID: "request",
    Reason.REGISTRATION_PENDING: "approval",
    Reason.REGISTRATION_DENIED: "approval",
    Reason.REGISTERED_BEFORE: "approval",
    Reason.DEPLOYER_SECRET_MISSING: "deployer",
    Reason.DEPLOYER_SECRET_FAILED: "deployer",
    Reason.HEARTBEAT_FAILED: "heartbeat",
    Reason.REGISTERED: "registered",
}


class Track(Enum):
    """The three things that must succeed for a cluster to be registered, in the order in which a failure is shown."""

    REGISTRATION = 0
    HEARTBEAT = 1
    DEPLOYER = 2


@dataclass(frozen=True, slots=True)
class Status:
    """One thing to say about the registration."""

    reason: Reason
    message: str


class Progress:
    """Collects what the tracks report and publishes the first failure, or that the cluster is registered.

    Args:
        child: client of the child cluster.
        recorder: writes the Events.
        lease: the agent's Lease, which carries the annotation and the Events.
    """

    def __init__(self, child: Client, recorder: EventRecorder, lease: Object) -> None:
        self._child = child
        self._recorder = recorder
        self._lease = lease
        self._tracks: dict[Track, Status | None] = dict.fromkeys(
            Track, Status(Reason.STARTING, "the agent has started and has not yet spoken to the parent")
        )
        self._registered_as = ""
        self._changed = asyncio.Event()
        self._changed.set()

    def failed(self, track: Track, reason: Reason, message: str) -> None:
        """Say that a track is stuck; the same report twice is told once."""
        status = Status(reason, message)
        if self._tracks[track] != status:
            log.warning("%s: %s", reason.value, message)
            self._tracks[track] = status
            self._changed.set()

    def passed(self, track: Track) -> None:
        """Say that a track has succeeded."""
        if self._tracks[track] is not None:
            self._tracks[track] = None
            self._changed.set()

    def approved(self, cluster: str) -> None:
        """Say that the parent has approved the registration; `cluster` names the ManagedCluster for people."""
        self._registered_as = cluster
        self.passed(Track.REGISTRATION)

    @property
    def status(self) -> Status:
        """What is to be said now."""
        stuck = next((status for status in self._tracks.values() if status is not None), None)
        return stuck or Status(Reason.REGISTERED, f"registered as {self._registered_as}")

    async def run(self) -> None:
        """Publish every change until cancelled; a failed write is tried again, with the newest status."""
        published: Status | None = None
        backoff = Backoff(0.5, 30)
        while True:
            await self._changed.wait()
            self._changed.clear()
            status = self.status
            if status == published:
                continue
            try:
                await self._annotate(status)
            except (ApiError, ConnectionFailed) as error:
                log.warning("the registration status could not be written to the Lease: %s", error)
                self._changed.set()
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            published = status
            if status.reason is Reason.REGISTERED:
                log.info("%s", status.message)
            if status.reason is not Reason.STARTING:
                kind: Literal["Normal", "Warning"] = "Normal" if status.reason is Reason.REGISTERED else "Warning"
                await self._recorder.event(self._lease, kind, status.reason.value, status.message)

    async def _annotate(self, status: Status) -> None:
        value = json.dumps(
            {
                "step": status.reason.step,
                "reason": status.reason.value,
                "message": status.message,
                "time": format_time(datetime.now(UTC)),
            }
        )
        metadata = self._lease["metadata"]
        patch = {"metadata": {"annotations": {STATUS_ANNOTATION: value}}}
        await self._child.patch(LEASES, metadata["name"], patch, metadata["namespace"], kind=PatchType.MERGE)
