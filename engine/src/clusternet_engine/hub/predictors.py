"""Asks the predictors of children how many replicas they have room for (spec/03 §4.3)."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence

import aiohttp
import orjson

from clusternet_engine.connecting import AddressRefused, JudgedConnector
from clusternet_engine.hub.caches import Caches
from clusternet_engine.hub.clients import Clients
from clusternet_engine.hub.tunnels import Tunnels
from clusternet_engine.kube.resources import Object
from clusternet_engine.kube.slots import Slots
from clusternet_engine.kube.tls import unverified_context
from clusternet_engine.model.addresses import AddressRule
from clusternet_engine.model.documents import DocumentError, read_json
from clusternet_engine.model.feeds import feed_key, feed_text
from clusternet_engine.model.texts import printable

TIMEOUT = 20.0
"""Seconds a predictor may take for an answer."""
AT_ONCE = 100
"""Requests under way at the same time."""
_LARGEST_ANSWER = 2**16
_PATH = "/replicas/predict"
_UNVERIFIED = unverified_context()
_URL = re.compile(r"https?://[A-Za-z0-9._:\[\]-]{1,300}(?:/[A-Za-z0-9._~/-]{0,500})?", re.ASCII)

log = logging.getLogger(__name__)


class PredictionFailed(Exception):
    """A predictor can't be asked, or gave no answer that can be used; the text says why."""


class Predictors:
    """The predictors of all children, over kept-alive connections.

    Args:
        caches: of the parent cluster.
        tunnels: of the agents; None if this hub doesn't serve them.
        rule: says where predictors may be reached without a tunnel.
    """

    def __init__(self, caches: Caches, tunnels: Tunnels | None, rule: AddressRule) -> None:
        self._caches = caches
        self._rule = rule
        self._tunnels = tunnels
        self._clients = Clients(caches, self._client)
        self._slots = Slots(AT_ONCE, shared=True)

    async def predict(self, cluster: Object, entries: Sequence[Object]) -> dict[str, int]:
        """Return by feed key how many more replicas a cluster has room for.

        Args:
            cluster: the ManagedCluster.
            entries: of a FeedInventory, those with replicas.

        Raises:
            PredictionFailed: for any of them.
        """
        address = _address(cluster, tunnelled=self._tunnels is not None)
        way = self._way(cluster)
        rooms = await asyncio.gather(*(self._ask(address, way, cluster, entry) for entry in entries))
        return {feed_key(entry): room for entry, room in zip(entries, rooms, strict=True)}

    async def close(self) -> None:
        """Close all connections; the next question opens new ones."""
        await self._clients.close()

    async def _ask(self, address: str, way: str, cluster: Object, entry: Object) -> int:
        url = f"{address}{_PATH}"
        try:
            async with (
                self._slots.of(cluster["metadata"]["namespace"]),
                asyncio.timeout(TIMEOUT),
                self._clients.of(way).post(
                    url,
                    data=orjson.dumps(entry.get("replicaRequirements") or {}),
                    headers={"Content-Type": "application/json", "Cluster-ID": cluster["spec"]["clusterId"]},
                    allow_redirects=False,
                    ssl=_UNVERIFIED,
                ) as response,
            ):
                status, body = response.status, await _limited(response.content)
        except TimeoutError:
            raise PredictionFailed(f"its predictor gave no answer within {TIMEOUT:g} s") from None
        except AddressRefused:
            raise self._refused() from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.info("%s: %s", printable(url), printable(str(error)) or type(error).__name__)
            raise PredictionFailed("its predictor can't be reached") from None
        if status != 200:
            raise PredictionFailed(f"its predictor answered {status} for {feed_text(entry)}")
        return _room(body)

    def _way(self, cluster: Object) -> str:
        """Return whose tunnel leads to a cluster's predictor, by cluster ID; "" if it is reached without."""
        if not self._caches.is_registered(cluster):
            raise PredictionFailed(f"cluster {cluster['spec']['clusterId']} isn't registered as this ManagedCluster")
        if not (cluster["status"].get("predictorDirectAccess") or self._tunnels is None):
            return str(cluster["spec"]["clusterId"])
        if not self._rule.allowed:
            raise self._refused()
        return ""

    def _refused(self) -> PredictionFailed:
        return PredictionFailed(
            f"the hub may not connect to its predictor without a tunnel; {self._rule.option} allows that"
        )

    def _client(self, way: str) -> aiohttp.ClientSession:
        """A predictor's certificate can't be verified, as nothing tells its CA; but nothing secret is sent to it."""
        connector: aiohttp.BaseConnector
        if way and self._tunnels is not None:
            connector = self._tunnels.route(way).connector()
        else:
            connector = JudgedConnector(self._rule, limit=0)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


async def _limited(stream: aiohttp.StreamReader) -> bytes:
    """The body of an answer, cut where it is longer than any that makes sense."""
    body = b""
    while len(body) < _LARGEST_ANSWER and (chunk := await stream.readany()):
        body += chunk
    return body


def _address(cluster: Object, *, tunnelled: bool) -> str:
    """Where the predictor of a cluster is reached, directly or through its tunnel."""
    status = cluster.get("status") or {}
    if not status.get("predictorEnabled"):
        raise PredictionFailed("its agent has no predictor (feature gate Predictor)")
    address = str(status.get("predictorAddress") or "").rstrip("/")
    if not address:
        raise PredictionFailed("its agent doesn't say where its predictor is (status.predictorAddress)")
    if not (status.get("predictorDirectAccess") or (tunnelled and status.get("useSocket"))):
        raise PredictionFailed(
            "its predictor can be reached neither directly (flag --predictor-direct-access) nor through a "
            "tunnel (feature gate SocketConnection)"
        )
    url = address if "://" in address else f"http://{address}"
    if not _URL.fullmatch(url):
        raise PredictionFailed("the address of its predictor is not of the form [http[s]://]host[:port][/path]")
    return url


def _room(body: bytes) -> int:
    try:
        room = read_json(body)["replicas"]["default"]
    except (DocumentError, LookupError, TypeError):
        room = None
    if not isinstance(room, int) or isinstance(room, bool) or room < 0:
        raise PredictionFailed("its predictor gave no number of replicas")
    return room
