"""Hands the parent the credential of the child's deployer: Secret `child-cluster-deployer` (spec/02 §7)."""

from __future__ import annotations

import asyncio
import logging

from clusternet_engine.agent.progress import Progress, Reason, Status, Track
from clusternet_engine.agent.secrets import ServiceAccountToken, child_deployer_secret, service_account_token
from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import ApiError, ConnectionFailed, NotFound
from clusternet_engine.kube.resources import SECRETS, Object
from clusternet_engine.model import constants as names

_RECHECK = 60.0
"""Seconds after which a rotated token of the child is carried to the parent at the latest."""

log = logging.getLogger(__name__)


def wanted_update(existing: Object, wanted: Object) -> Object | None:
    """Return the Secret to write over `existing`, or None when it is right or somebody else keeps it.

    Only a Secret with annotation `clusternet.io/autoupdate: "true"` may be overwritten. Labels, annotations and
    finalizers others have put on it stay.
    """
    before = existing["metadata"]
    if (before.get("annotations") or {}).get(names.AUTOUPDATE_ANNOTATION) != "true":
        return None
    after = wanted["metadata"]
    finalizers = before.get("finalizers") or []
    metadata = {
        **before,
        "labels": {**(before.get("labels") or {}), **after["labels"]},
        "finalizers": finalizers + [name for name in after["finalizers"] if name not in finalizers],
    }
    if before.get("deletionTimestamp"):
        metadata["finalizers"] = finalizers
    updated = {**existing, "metadata": metadata, "data": wanted["data"]}
    return None if updated == existing else updated


class DeployerCredential:
    """Keeps `child-cluster-deployer` on the parent equal to the child's ServiceAccount `clusternet-app-deployer`.

    Args:
        child, parent: clients; the parent's acts as the approved cluster.
        child_namespace: where the ServiceAccount lives on the child.
        parent_namespace: the dedicated namespace on the parent.
        cluster_id: identity of the child.
        child_url: the URL by which the agent reaches the child, told to the parent.
        progress: hears what is missing.
    """

    def __init__(
        self,
        child: Client,
        parent: Client,
        *,
        child_namespace: str,
        parent_namespace: str,
        cluster_id: str,
        child_url: str,
        progress: Progress,
    ) -> None:
        self._child = child
        self._parent = parent
        self._child_namespace = child_namespace
        self._parent_namespace = parent_namespace
        self._cluster_id = cluster_id
        self._child_url = child_url
        self._progress = progress

    async def run(self) -> None:
        """Bring the credential to the parent and keep it right until cancelled."""
        backoff = Backoff(0.1, 5)
        while True:
            problem = await self._ensure()
            if problem:
                self._progress.failed(Track.DEPLOYER, problem.reason, problem.message)
                await asyncio.sleep(backoff.next())
            else:
                self._progress.passed(Track.DEPLOYER)
                backoff.reset()
                await asyncio.sleep(_RECHECK)

    async def _ensure(self) -> Status | None:
        where = f"{self._child_namespace}/{names.APP_DEPLOYER}"
        try:
            token = service_account_token(await self._child.get(SECRETS, names.APP_DEPLOYER, self._child_namespace))
        except NotFound:
            return Status(
                Reason.DEPLOYER_SECRET_MISSING,
                f"Secret {where} (type kubernetes.io/service-account-token) does not exist on the child",
            )
        except (ApiError, ConnectionFailed) as error:
            return Status(Reason.DEPLOYER_SECRET_MISSING, f"Secret {where} of the child cannot be read: {error}")
        if token is None:
            return Status(
                Reason.DEPLOYER_SECRET_MISSING,
                f"Secret {where} of the child has no token yet; does its ServiceAccount exist?",
            )
        try:
            await self._hand_over(token)
        except (ApiError, ConnectionFailed) as error:
            where = f"{self._parent_namespace}/{names.CHILD_DEPLOYER_SECRET}"
            return Status(Reason.DEPLOYER_SECRET_FAILED, f"Secret {where} cannot be written on the parent: {error}")
        return None

    async def _hand_over(self, token: ServiceAccountToken) -> None:
        wanted = child_deployer_secret(
            token, namespace=self._parent_namespace, cluster_id=self._cluster_id, child_url=self._child_url
        )
        try:
            existing = await self._parent.get(SECRETS, names.CHILD_DEPLOYER_SECRET, self._parent_namespace)
        except NotFound:
            await self._parent.create(SECRETS, wanted, self._parent_namespace)
            log.info("gave the parent the credential of ServiceAccount %s", token.name)
            return
        update = wanted_update(existing, wanted)
        if update:
            await self._parent.update(SECRETS, update)
            log.info("renewed the credential of ServiceAccount %s on the parent", token.name)
