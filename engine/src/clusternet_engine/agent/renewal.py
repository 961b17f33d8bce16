"""Renews the token by which the agent speaks to the parent, before it expires.

The agent asks the parent for a token of its own account when a share of the life of the present one is over, a little
earlier in some agents than in others. It is stored in the Secret `parent-cluster` of the child first; then every
client of the parent uses it from its next request on. Watches and the tunnel stay open, since they were authenticated
when they were opened. When the parent doesn't give one, the agent goes on with the present token and tries again; a
token that has expired is noticed by the heartbeat, and the registration is gone through again.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import math
import random
import time

from clusternet_engine.kube.backoff import Backoff
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.credentials import RenewedToken
from clusternet_engine.kube.errors import ApiError, ConnectionFailed
from clusternet_engine.kube.resources import SECRETS, SERVICE_ACCOUNTS, Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.tokens import Token, read_token

_LOOK = 60.0
"""Seconds between looks at the clock, which may have been set, or have stood while this host slept."""
_JITTER = 0.1
"""Share of the wait by which some agents renew earlier than others."""
_MIN_PAUSE = 1.0
"""Seconds between two renewals, whatever their tokens say."""

log = logging.getLogger(__name__)


class Renewal:
    """Keeps the agent's token for the parent fresh.

    Args:
        child: client of the child, where the token is stored.
        child_namespace: where on the child.
        parent: client of the parent that uses the token.
        source: where the clients of the parent take the token from.
        share: of a token's life after which it is renewed.
    """

    def __init__(
        self, child: Client, *, child_namespace: str, parent: Client, source: RenewedToken, share: float
    ) -> None:
        self._child = child
        self._child_namespace = child_namespace
        self._parent = parent
        self._source = source
        self._share = share

    async def run(self) -> None:
        """Renew until cancelled; returns at once if the token never expires."""
        received: float | None = None
        while (token := read_token(self._source.current)) is not None:
            await self._wait(token, received)
            text = await self._renew(token)
            received = time.time()
            self._source.replace(text)
            log.info("renewed the token for the parent")
            await asyncio.sleep(_MIN_PAUSE)

    async def _wait(self, token: Token, received: float | None) -> None:
        share = self._share * (1 - random.random() * _JITTER)  # noqa: S311
        pause = token.renewal(received, time.time(), share)
        while pause > 0:
            await asyncio.sleep(min(pause, _LOOK))
            pause = token.renewal(received, time.time(), share)

    async def _renew(self, token: Token) -> str:
        """Return a new token when it is issued and stored."""
        backoff = Backoff(1, 60)
        text = ""
        while True:
            try:
                text = text or await self._issue(token)
                await self._store(text)
            except (ApiError, ConnectionFailed) as error:
                log.warning("the token for the parent can't be renewed, trying again: %s", error)
                await asyncio.sleep(backoff.next())
            else:
                return text

    async def _issue(self, token: Token) -> str:
        wanted: Object = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"name": token.account},
            "spec": {"expirationSeconds": math.ceil(token.life)},
        }
        answer = await self._parent.create(SERVICE_ACCOUNTS, wanted, token.namespace, subresource="token")
        return str(answer["status"]["token"])

    async def _store(self, text: str) -> None:
        data = {names.TOKEN_KEY: base64.b64encode(text.encode()).decode()}
        await self._child.patch(SECRETS, names.PARENT_CLUSTER_SECRET, {"data": data}, self._child_namespace)
