"""Issues the credentials by which clusters speak to the parent.

A credential is a token of the cluster's ServiceAccount. It expires and is renewed by the cluster itself; or, if the hub
is told so, it lasts as long as the Secret that Kubernetes keeps it in, which Clusternet's own agents need. Whatever it
is, deleting the account ends it. A cluster that has a lasting token keeps it when the hub is told to issue others.

The hub keeps no token. What it has issued lies in the request's status until the cluster has it; if it gets old there,
another one takes its place.
"""

from __future__ import annotations

import base64
import binascii
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from clusternet_engine.hub.caches import Caches
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS, Object, Resource
from clusternet_engine.model import constants as names
from clusternet_engine.model import registration as rules
from clusternet_engine.model.registration import Obstacle, Reason
from clusternet_engine.model.tokens import read_token

_PATIENCE = 10.0
"""Seconds after which a token that Kubernetes hasn't filled in is worth a message."""
_LOOK = 1.0
"""Seconds between looks at it."""
_OLD = 0.8
"""Share of its life after which a token that waits for its cluster is replaced."""
_REISSUE = 60.0
"""Seconds between two tokens for the same account, so that a wrong clock doesn't make the hub issue more and more."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a cluster gets, or has.

    Attributes:
        identity: tells it apart from others; gives nothing away.
        token: base64; empty if the cluster has it and the hub can't know it.
        ca_certificate: of the parent, base64.
        look_again: seconds after which it has to be looked at again, if any.
    """

    identity: str
    token: str = field(repr=False)
    ca_certificate: str
    look_again: float | None = None


class Credentials:
    """The credentials of clusters.

    Args:
        client: of the parent cluster.
        caches: of the parent cluster.
        system_namespace: where the parent's CA is published, as in every namespace.
        lifetime: of tokens, in seconds; 0 for tokens that last.
        make: creates an object for a request, or reads the one that has its name.
        confirm: raises `Conflict` if a request isn't any more what the cache says.
    """

    def __init__(
        self,
        client: Client,
        caches: Caches,
        *,
        system_namespace: str,
        lifetime: float,
        make: Callable[[Object, Resource, Object], Awaitable[Object]],
        confirm: Callable[[Object], Awaitable[None]],
    ) -> None:
        self._client = client
        self._caches = caches
        self._system_namespace = system_namespace
        self._lifetime = lifetime
        self._make = make
        self._confirm = confirm
        self._waiting: dict[str, float] = {}
        self._issued: dict[str, float] = {}

    def reset(self) -> None:
        """Forget what was seen before."""
        self._waiting.clear()
        self._issued.clear()

    def forget(self, request: str) -> None:
        """Forget a request that is gone or settled."""
        self._waiting.pop(request, None)

    async def of(self, request: Object, account: Object) -> Credential | float:
        """Return the credential of a cluster, issued if need be; or the seconds to wait for Kubernetes to issue it.

        Raises:
            Obstacle: it can't be issued now.
        """
        if not self._lifetime or self._has_lasting(request, account):
            return await self._lasting(request, account)
        return await self._expiring(request, account)

    def _has_lasting(self, request: Object, account: Object) -> bool:
        metadata = account["metadata"]
        secret = self._caches.tokens.get(metadata["name"], metadata["namespace"])
        issued = rules.issued_credential(secret, metadata["uid"]) if secret else None
        if issued is None:
            return False
        offered = (request.get("status") or {}).get("token") == issued[0]
        return offered or rules.handed_over(request) == rules.credential_id(issued[0])

    async def _lasting(self, request: Object, account: Object) -> Credential | float:
        secret = await self._token_secret(request, account)
        issued = rules.issued_credential(secret, account["metadata"]["uid"])
        if issued is None:
            self._check_patience(request, secret)
            return _LOOK
        self._waiting.pop(request["metadata"]["name"], None)
        return Credential(rules.credential_id(issued[0]), *issued)

    async def _token_secret(self, request: Object, account: Object) -> Object:
        name, namespace = account["metadata"]["name"], account["metadata"]["namespace"]
        secret = self._caches.tokens.get(name, namespace)
        if secret is None:
            secret = await self._make(request, SECRETS, rules.make_token_secret(request, namespace, name))
            rules.check_token_secret(secret, name)
            if not rules.is_labelled_for(secret, request["spec"]["clusterId"]):
                patch = {"metadata": {"labels": rules.system_labels(request)}}
                secret = await self._client.patch(SECRETS, name, patch, namespace)
        rules.check_token_secret(secret, name)
        return secret

    def _check_patience(self, request: Object, secret: Object) -> None:
        since = self._waiting.setdefault(request["metadata"]["name"], time.monotonic())
        if time.monotonic() - since > _PATIENCE:
            where = f"{secret['metadata']['namespace']}/{secret['metadata']['name']}"
            raise Obstacle(
                Reason.TOKEN_NOT_ISSUED,
                f"Kubernetes hasn't filled in Secret {where} within {_PATIENCE:g} s;"
                " does the parent's kube-controller-manager run?",
            )

    async def _expiring(self, request: Object, account: Object) -> Credential:
        status, uid = request.get("status") or {}, account["metadata"]["uid"]
        ca_certificate = status.get("caCertificate") or ""
        if rules.handed_over(request) == uid:
            return Credential(uid, "", ca_certificate or await self._parent_ca())
        offered = status.get("token") or ""
        rest = self._rest(offered, uid)
        if rest > 0 and ca_certificate:
            return Credential(uid, offered, ca_certificate, rest)
        if status.get("result") == names.APPROVED:
            await self._confirm(request)
        ca_certificate = await self._parent_ca()
        token = await self._issue(account)
        self._issued[uid] = time.monotonic()
        return Credential(uid, token, ca_certificate, max(self._rest(token, uid), _REISSUE))

    def _rest(self, offered: str, account_uid: str) -> float:
        """Return the seconds for which a token may still wait for its cluster; 0 or less if it is another account's."""
        try:
            token = read_token(base64.b64decode(offered, validate=True).decode())
        except (binascii.Error, UnicodeDecodeError):
            return 0.0
        if token is None or token.account_uid != account_uid:
            return 0.0
        rest = token.issued + token.life * _OLD - time.time()
        issued = self._issued.get(account_uid)
        return max(rest, issued + _REISSUE - time.monotonic()) if issued is not None else rest

    async def _issue(self, account: Object) -> str:
        metadata = account["metadata"]
        wanted: Object = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"name": metadata["name"]},
            "spec": {"expirationSeconds": math.ceil(self._lifetime)},
        }
        answer = await self._client.create(SERVICE_ACCOUNTS, wanted, metadata["namespace"], subresource="token")
        return base64.b64encode(str(answer["status"]["token"]).encode()).decode()

    async def _parent_ca(self) -> str:
        """Return the CA bundle that the parent publishes for those who use its API, base64."""
        try:
            published = await self._client.get(CONFIG_MAPS, names.ROOT_CA_CONFIG_MAP, self._system_namespace)
        except NotFound:
            published = {}
        text = str((published.get("data") or {}).get(names.CA_CERTIFICATE_KEY) or "")
        if not text:
            raise Obstacle(
                Reason.TOKEN_NOT_ISSUED,
                f"the parent hasn't published its CA in ConfigMap {self._system_namespace}/{names.ROOT_CA_CONFIG_MAP};"
                " does its kube-controller-manager run?",
            )
        return base64.b64encode(text.encode()).decode()
