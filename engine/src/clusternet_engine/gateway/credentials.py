"""The tokens shown to children: those that agents have handed to the parent, or short-lived ones (spec/04 §6)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections import defaultdict
from datetime import datetime
from typing import NamedTuple

import orjson

from clusternet_engine.answers import refuse
from clusternet_engine.gateway.settings import Account
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import ApiError, NotFound, error_from_response
from clusternet_engine.kube.resources import SECRETS, SERVICE_ACCOUNTS, Object, object_key
from clusternet_engine.model import constants as names
from clusternet_engine.model.documents import read_json
from clusternet_engine.model.proxying import direct_path, shown_to_child

LIFETIME = 3600
"""Seconds for which tokens of ServiceAccounts are asked for; a child may shorten that."""


class _Token(NamedTuple):
    """A token, and the time from which on another one is to be fetched."""

    text: str
    renew_at: float


class ChildTokens:
    """The tokens of all children, each fetched when it is needed and kept while it is good.

    Args:
        parent: holds the credentials that agents have handed over.
        account: of the children, as whom to act; None = by those credentials.
    """

    def __init__(self, parent: Client, account: Account | None) -> None:
        self._parent = parent
        self._account = account
        self._known: dict[str, _Token] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def token(self, cluster: Object, *, refused: str = "") -> str:
        """Return the token to show to a ManagedCluster's child.

        Args:
            refused: one that the child doesn't accept any more.

        Raises:
            ApiError: there is none; never NotFound, which would tell the caller that its object isn't there.
            ConnectionFailed: the parent can't be reached.
        """
        key = object_key(cluster)
        async with self._locks[key]:
            known = self._known.get(key)
            if known is None or known.text == refused or known.renew_at <= time.time():
                try:
                    known = self._known[key] = await self._fetch(cluster)
                except ApiError as error:
                    raise refuse(503, f"no credential of cluster {key}: {error.message}") from None
            return known.text

    async def _fetch(self, cluster: Object) -> _Token:
        deployer = await self._deployer_token(cluster["metadata"]["namespace"])
        if self._account is None:
            return _Token(deployer, float("inf"))
        return await self._account_token(cluster["spec"]["clusterId"], self._account, deployer)

    async def _deployer_token(self, namespace: str) -> str:
        place = f"{namespace}/{names.CHILD_DEPLOYER_SECRET}"
        try:
            secret = await self._parent.get(SECRETS, names.CHILD_DEPLOYER_SECRET, namespace)
        except NotFound:
            raise refuse(503, f"there is no Secret {place}; the agent makes it when it registers the cluster") from None
        try:
            token = base64.b64decode((secret.get("data") or {}).get(names.TOKEN_KEY) or "").decode()
        except (binascii.Error, UnicodeDecodeError):
            token = ""
        if not token:
            raise refuse(503, f"the Secret {place} holds no token")
        return token

    async def _account_token(self, cluster_id: str, account: Account, deployer: str) -> _Token:
        path = SERVICE_ACCOUNTS.path(account.namespace, account.name, "token")
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": LIFETIME},
        }
        answer = await self._parent.raw(
            "POST",
            direct_path(cluster_id) + path,
            headers=dict(shown_to_child(deployer)),
            body=orjson.dumps(body),
        )
        if answer.status >= 300:
            raise error_from_response("POST", path, answer.status, answer.headers, answer.body)
        now = time.time()
        try:
            status = read_json(answer.body)["status"]
            token, expires = str(status["token"]), datetime.fromisoformat(status["expirationTimestamp"]).timestamp()
        except (ValueError, LookupError, TypeError):
            raise refuse(503, f"cluster {cluster_id} answers a request for a token with something else") from None
        return _Token(token, now + (expires - now) / 2)
