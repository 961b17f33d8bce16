"""Who may read the metrics: those whom the cluster knows by their token and allows to get the path.

The cluster decides, as for Kubernetes' own components: a TokenReview says whose token it is, a SubjectAccessReview
whether that one may. Answers are remembered for a moment. Since strangers can send any number of wrong tokens,
questions are limited for each address and for all; tokens that were right lately aren't held up by that.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from aiohttp import web

from clusternet_engine.answers import refuse
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import ApiError, ConnectionFailed
from clusternet_engine.kube.ratelimit import TokenBucket
from clusternet_engine.kube.resources import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS, Object
from clusternet_engine.logs import Sparingly
from clusternet_engine.model.connection_limits import network_of

ALLOWED_SECONDS = 10.0
"""How long a yes is remembered; as long as Kubernetes' own components do."""
DENIED_SECONDS = 5.0
"""How long a no is remembered; short, for somebody who has just been given the right."""
REMEMBERED = 1024
"""Answers, addresses and tokens that were right that are remembered at most."""
ADDRESS_QPS, ADDRESS_BURST = 0.5, 5
QPS, BURST = 5.0, 20
"""Unknown tokens that the cluster is asked about, a second and at once: of one address, and of all."""
_LONGEST_TOKEN = 2**14

K = TypeVar("K")
V = TypeVar("V")

log = logging.getLogger(__name__)


class MetricsAccess:
    """Asks a cluster whether somebody may read the metrics.

    Args:
        client: of the cluster; it may create TokenReviews and SubjectAccessReviews.
        clock: monotonic seconds.
    """

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._answers: OrderedDict[tuple[bytes, str, str], tuple[float, ApiError | None]] = OrderedDict()
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._of_address: OrderedDict[str, TokenBucket] = OrderedDict()
        self._of_all = TokenBucket(QPS, BURST, clock)
        self._problems = Sparingly(60.0)

    async def check(self, request: web.Request) -> None:
        """Return if whoever sent a request may.

        Raises:
            ApiError: 401 if nobody knows them, 403 if they may not, 429 or 503 if the cluster can't be asked now.
        """
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        token = token.strip()
        if kind.lower() != "bearer" or not token or len(token) > _LONGEST_TOKEN:
            raise refuse(401, f"{request.path} wants a bearer token of somebody who may get it")
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        key = digest, request.method.lower(), request.path
        until, refusal = self._answers.get(key, (0.0, None))
        if until <= self._clock():
            if digest not in self._right and not self._may_ask(request.remote or ""):
                raise ApiError(429, "TooManyRequests", "too many unknown tokens, try again later", retry_after=2.0)
            refusal = await self._ask(token, digest, request)
            seconds = DENIED_SECONDS if refusal else ALLOWED_SECONDS
            _remember(self._answers, key, (self._clock() + seconds, refusal))
        if refusal is not None:
            raise refusal

    def _may_ask(self, address: str) -> bool:
        network = network_of(address)
        bucket = self._of_address.get(network) or TokenBucket(ADDRESS_QPS, ADDRESS_BURST, self._clock)
        _remember(self._of_address, network, bucket)
        return bucket.take() and self._of_all.take()

    async def _ask(self, token: str, digest: bytes, request: web.Request) -> ApiError | None:
        """Return why somebody may not, or None."""
        try:
            review = {"apiVersion": TOKEN_REVIEWS.api_version, "kind": TOKEN_REVIEWS.kind, "spec": {"token": token}}
            status = (await self._client.create(TOKEN_REVIEWS, review)).get("status") or {}
            if not status.get("authenticated"):
                self._right.pop(digest, None)
                return refuse(401, "nobody knows this token")
            _remember(self._right, digest, None)
            user = status.get("user") or {}
            answer = await self._client.create(SUBJECT_ACCESS_REVIEWS, access_review(user, request))
        except (ApiError, ConnectionFailed) as error:
            if self._problems.allows("review"):
                log.warning("the cluster can't be asked who may read %s: %s", request.path, error)
            raise refuse(503, "the cluster can't be asked who may read this; the log tells more") from None
        if (answer.get("status") or {}).get("allowed"):
            return None
        return refuse(403, f'User "{user.get("username")}" cannot {request.method.lower()} path "{request.path}"')


def access_review(user: Object, request: web.Request) -> Object:
    """Return the question whether a user, as a TokenReview tells of them, may do what a request asks for."""
    spec = {name: user[field] for name, field in (("user", "username"), ("uid", "uid")) if user.get(field)}
    spec |= {name: user[name] for name in ("groups", "extra") if user.get(name)}
    spec["nonResourceAttributes"] = {"path": request.path, "verb": request.method.lower()}
    return {"apiVersion": SUBJECT_ACCESS_REVIEWS.api_version, "kind": SUBJECT_ACCESS_REVIEWS.kind, "spec": spec}


def _remember(memory: OrderedDict[K, V], key: K, value: V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)
