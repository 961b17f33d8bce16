"""The way to an approved registration (spec/02 §1 steps 3–7, §5).

The stored credential `parent-cluster` is tried first, then the registration token. A credential counts as refused only
when the parent answers 401 or 403: a parent that cannot be reached changes nothing. Every attempt begins at the
ClusterRegistrationRequest, which is posted when the parent has none. So the same loop registers a new cluster, picks up
a rotated credential and registers again at a parent that was made anew.

How it stands is told by `progress` (annotation `clusternet.io/registration-status` of the Lease).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import secrets as randomness
import time
from dataclasses import dataclass

from clusternet_engine.agent.parent import Parent, diagnose
from clusternet_engine.agent.progress import Progress, Reason, Status, Track
from clusternet_engine.agent.secrets import (
    ParentCredential,
    Registration,
    SecretInvalid,
    parent_cluster_secret,
    parent_credential,
    registration,
)
from clusternet_engine.agent.settings import Settings
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ConfigError
from clusternet_engine.kube.errors import AlreadyExists, ApiError, ConnectionFailed, Forbidden, NotFound, Unauthorized
from clusternet_engine.kube.resources import (
    CLUSTER_REGISTRATION_REQUESTS,
    SECRETS,
    SELF_SUBJECT_REVIEWS,
    Object,
)
from clusternet_engine.model import constants as names
from clusternet_engine.model.names import cluster_object_name

_PENDING_TOLD_AFTER = 2.0
"""Seconds without an answer of the hub before the wait is worth a message."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Membership:
    """An approved registration: as whom to speak to the parent, trusting which CA, and the ManagedCluster's name.

    `complaint` is what the hub says against the cluster although it approved it, mostly "".
    """

    credential: ParentCredential
    trusted_ca: bytes | None
    cluster_name: str
    complaint: str


@dataclass(frozen=True, slots=True)
class Approval:
    """What an approved ClusterRegistrationRequest says; `label_name` is the name its label gives the cluster.

    `complaint` is the request's error message.
    """

    credential: ParentCredential
    cluster_name: str
    label_name: str
    complaint: str


class Stuck(Exception):
    """An attempt has failed for a reason people should hear of."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


def registration_request(settings: Settings, cluster_id: str, registrant: str = "") -> Object:
    """Return the ClusterRegistrationRequest to post (spec/02 §5); an unset name is made from the prefix.

    Args:
        settings: the agent's flags.
        cluster_id: identity of this child.
        registrant: the parent's user that posts it, who may read it then; empty if it isn't known.
    """
    name = settings.cluster_name or f"{settings.cluster_name_prefix}-{_random_suffix()}"
    optional = {
        "clusterNamespace": settings.cluster_namespace,
        "clusterLabels": dict(settings.cluster_labels),
    }
    return {
        "apiVersion": CLUSTER_REGISTRATION_REQUESTS.api_version,
        "kind": CLUSTER_REGISTRATION_REQUESTS.kind,
        "metadata": {
            "name": cluster_object_name(cluster_id),
            "labels": {
                names.REGISTERED_BY_LABEL: names.REGISTERED_BY_AGENT,
                names.CLUSTER_ID_LABEL: cluster_id,
                names.CLUSTER_NAME_LABEL: name,
            },
            **({"annotations": {names.REGISTRANT_ANNOTATION: registrant}} if registrant else {}),
        },
        "spec": {
            "clusterId": cluster_id,
            "clusterType": settings.cluster_type,
            "clusterName": name,
            "syncMode": settings.sync_mode,
            **{key: value for key, value in optional.items() if value},
        },
    }


async def _user(client: Client) -> str:
    """Return as whom the parent knows a client; empty if it doesn't tell."""
    review = {
        "apiVersion": SELF_SUBJECT_REVIEWS.api_version,
        "kind": SELF_SUBJECT_REVIEWS.kind,
        "metadata": {},
    }
    try:
        answer = await client.create(SELF_SUBJECT_REVIEWS, review)
    except (Forbidden, NotFound):
        return ""
    return str(((answer.get("status") or {}).get("userInfo") or {}).get("username") or "")


def _random_suffix() -> str:
    return "".join(randomness.choice(names.RANDOM_ALPHABET) for _ in range(names.RANDOM_LENGTH))


def verdict(request: Object, url: str, stored: ParentCredential | None = None) -> Approval | Status:
    """Return what the hub has decided: an approval, or the reason why there is none yet.

    Args:
        request: the ClusterRegistrationRequest as the parent has it.
        url: the URL by which the parent is reached.
        stored: the credential by which the request was read. It stays if the request has none any more.
    """
    status = request.get("status") or {}
    result, message = status.get("result"), status.get("errorMessage") or ""
    if result not in (None, "", names.APPROVED):
        return Status(Reason.REGISTRATION_DENIED, f"the registration is {result}: {message or 'without a reason'}")
    if not result:
        return Status(
            Reason.REGISTRATION_PENDING,
            f"the hub cannot approve the registration yet: {message}"
            if message
            else f"the hub has not answered {request['metadata']['name']}; is it running?",
        )
    try:
        token = base64.b64decode(status.get("token") or "", validate=True).decode()
        ca_certificate = base64.b64decode(status.get("caCertificate") or "", validate=True)
    except (binascii.Error, UnicodeDecodeError):
        token, ca_certificate = "", b""
    namespace, cluster = status.get("dedicatedNamespace") or "", status.get("managedClusterName") or ""
    if not token and stored and stored.namespace == namespace:
        token = stored.token
    if not (token and ca_certificate and namespace and cluster):
        return Status(Reason.REGISTRATION_PENDING, "the hub has approved the registration without a whole credential")
    labels = request["metadata"].get("labels") or {}
    credential = ParentCredential(url, namespace, token, ca_certificate)
    return Approval(credential, cluster, labels.get(names.CLUSTER_NAME_LABEL, cluster), message)


class Registrar:
    """Registers this child with its parent.

    Args:
        child: client of the child cluster.
        parent: makes the clients of the parent.
        settings: the agent's flags.
        cluster_id: identity of this child (spec/02 §4).
        progress: hears of everything that goes wrong.
    """

    def __init__(self, child: Client, parent: Parent, settings: Settings, cluster_id: str, progress: Progress) -> None:
        self._child = child
        self._parent = parent
        self._settings = settings
        self._cluster_id = cluster_id
        self._progress = progress

    async def run(self) -> Membership:
        """Return when the cluster is approved and its credential is stored on the child; tries until cancelled."""
        backoff = Backoff(0.1, 8)
        while True:
            try:
                membership = await self._attempt()
            except Stuck as stuck:
                self._progress.failed(Track.REGISTRATION, stuck.status.reason, stuck.status.message)
                await asyncio.sleep(backoff.next())
            else:
                namespace = membership.credential.namespace
                url = membership.credential.parent_url
                self._progress.approved(f"ManagedCluster {namespace}/{membership.cluster_name} of {url}")
                return membership

    async def _attempt(self) -> Membership:
        source = await self._registration()
        secret = await self._child_secret(names.PARENT_CLUSTER_SECRET)
        stored = parent_credential(secret, source.parent_url, source.ca_certificate) if secret else None
        trusted_ca = await self._parent.trusted_ca(source, stored)
        approval = await self._approval(source, stored, trusted_ca)
        if approval.credential != stored:
            await self._store(approval, exists=secret is not None)
        return Membership(approval.credential, trusted_ca, approval.cluster_name, approval.complaint)

    async def _registration(self) -> Registration:
        settings = self._settings
        given = settings.ca_file.read_bytes() if settings.ca_file else None
        if settings.parent_url and settings.token:
            return Registration(settings.parent_url, settings.token, given)
        secret = await self._child_secret(names.REGISTRATION_SECRET)
        if secret is None:
            message = f"Secret {settings.system_namespace}/{names.REGISTRATION_SECRET} does not exist on the child"
            raise Stuck(Status(Reason.REGISTRATION_SECRET_INVALID, message))
        try:
            read = registration(secret)
        except SecretInvalid as error:
            raise Stuck(Status(Reason.REGISTRATION_SECRET_INVALID, str(error))) from None
        return Registration(
            settings.parent_url or read.parent_url, settings.token or read.token, given or read.ca_certificate
        )

    async def _approval(
        self, source: Registration, stored: ParentCredential | None, trusted_ca: bytes | None
    ) -> Approval:
        url = source.parent_url
        posted = False
        try:
            if stored:
                try:
                    async with self._parent.client(url, stored.token, trusted_ca) as client:
                        posted = await self._read(client, stored) is None and await self._posts_anew(source, trusted_ca)
                        if not posted:
                            return await self._poll(client, url, stored)
                    stored = None
                except (Unauthorized, Forbidden) as refusal:
                    log.info("the parent refuses the stored credential (%d); trying the token", refusal.status)
            async with self._parent.client(url, source.token, trusted_ca) as client:
                return await self._poll(client, url, None, posted=posted, refused=stored is not None)
        except (ApiError, ConnectionFailed) as error:
            raise Stuck(diagnose(error, url)) from None
        except ConfigError as error:
            raise Stuck(Status(Reason.REGISTRATION_SECRET_INVALID, f"the CA of the parent: {error}")) from None

    async def _posts_anew(self, source: Registration, trusted_ca: bytes | None) -> bool:
        """Post a request that has gone by the registration token; return whether that one may.

        Only who has posted a request may read it. The account of a stored credential may be about to go, as it does
        with its namespace, and then nobody could fetch the answer.
        """
        try:
            async with self._parent.client(source.parent_url, source.token, trusted_ca) as client:
                return await self._post(client) is not None
        except (Unauthorized, Forbidden):
            return False

    async def _poll(
        self,
        client: Client,
        url: str,
        stored: ParentCredential | None,
        *,
        posted: bool = False,
        refused: bool = False,
    ) -> Approval:
        """Return the approval once the request has it; the agent may read this one object, not watch it.

        Args:
            client: of the parent.
            url: of the parent.
            stored: the credential of the client; None for the registration token.
            posted: whether the request was posted by this client a moment ago.
            refused: whether the token is tried because a stored credential was refused. An API server that has just
                started refuses what it allows a moment later, so that one is tried again before long.

        Raises:
            Stuck: the token is of no use, and there is a stored credential to try again.
        """
        backoff = Backoff(0.02, 4)
        started = time.monotonic()
        worth_reading = posted or stored is not None
        while True:
            request = await self._read(client, stored) if worth_reading else None
            if request is None and (not posted or time.monotonic() - started > _PENDING_TOLD_AFTER):
                request = await self._post(client)
                posted = posted or request is not None
                if request is None and not worth_reading:
                    request = await self._read(client, stored)
            worth_reading = True
            decision = verdict(request, url, stored) if request else self._unread(posted=posted)
            if isinstance(decision, Approval):
                return decision
            if decision.reason is Reason.REGISTRATION_DENIED or time.monotonic() - started > _PENDING_TOLD_AFTER:
                if refused and decision.reason is Reason.REGISTERED_BEFORE:
                    raise Stuck(decision)
                self._progress.failed(Track.REGISTRATION, decision.reason, decision.message)
            await asyncio.sleep(backoff.next())

    async def _read(self, client: Client, stored: ParentCredential | None) -> Object | None:
        """Return the request; None while it may not be read by the registration token, or isn't there.

        Raises:
            Forbidden: the stored credential may not read it.
        """
        try:
            return await client.get(CLUSTER_REGISTRATION_REQUESTS, cluster_object_name(self._cluster_id))
        except NotFound:
            return None
        except Forbidden:
            if stored:
                raise
            return None

    async def _post(self, client: Client) -> Object | None:
        """Post the request and return it; None if the parent has one already."""
        body = registration_request(self._settings, self._cluster_id, await _user(client))
        try:
            request = await client.create(CLUSTER_REGISTRATION_REQUESTS, body)
        except AlreadyExists:
            return None
        log.info(
            "posted the registration request %s for the cluster %s",
            request["metadata"]["name"],
            body["spec"]["clusterName"],
        )
        return request

    def _unread(self, *, posted: bool) -> Status:
        """Say what it means that the request can't be read by the registration token."""
        name = cluster_object_name(self._cluster_id)
        if posted:
            return Status(Reason.REGISTRATION_PENDING, f"the hub has not answered {name}; is it running?")
        return Status(
            Reason.REGISTERED_BEFORE,
            f"the parent has {name} from before, and this registration token may not read it. If another one was in use"
            " then, or this cluster has lost its credential, an administrator of the parent removes the request"
            " (clusternet.core.registration, state: absent); it is posted anew at once",
        )

    async def _store(self, approval: Approval, *, exists: bool) -> None:
        secret = parent_cluster_secret(
            approval.credential,
            secret_namespace=self._settings.system_namespace,
            cluster_id=self._cluster_id,
            cluster_name=approval.label_name,
        )
        try:
            if exists:
                await self._child.update(SECRETS, secret)
            else:
                await self._child.create(SECRETS, secret, self._settings.system_namespace)
        except (ApiError, ConnectionFailed) as error:
            raise Stuck(self._child_failed(names.PARENT_CLUSTER_SECRET, error)) from None
        log.info("stored the credential for the parent in Secret %s", names.PARENT_CLUSTER_SECRET)

    async def _child_secret(self, name: str) -> Object | None:
        try:
            return await self._child.get(SECRETS, name, self._settings.system_namespace)
        except NotFound:
            return None
        except (ApiError, ConnectionFailed) as error:
            raise Stuck(self._child_failed(name, error)) from None

    def _child_failed(self, name: str, error: Exception) -> Status:
        where = f"{self._settings.system_namespace}/{name}"
        return Status(Reason.CHILD_ACCESS_FAILED, f"Secret {where} of the child cannot be read or written: {error}")
