"""Asks the predictors of children how many replicas they have room for (spec/03 §4.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp
import orjson

from clusternet_engine.hub.caches import Caches
from clusternet_engine.hub.clients import Clients
from clusternet_engine.hub.tunnels import Tunnels
from clusternet_engine.kube.resources import Object
from clusternet_engine.kube.tls import unverified_context
from clusternet_engine.model.documents import DocumentError, read_json
from clusternet_engine.model.feeds import feed_key, feed_text

TIMEOUT = 20.0
"""Seconds a predictor may take for an answer."""
AT_ONCE = 100
"""Requests under way at the same time."""
_LARGEST_ANSWER = 2**16
_PATH = "/replicas/predict"
_UNVERIFIED = unverified_context()


class PredictionFailed(Exception):
    """A predictor can't be asked, or gave no answer that can be used; the text says why."""


class Predictors:
    """The predictors of all children, over kept-alive connections.

    Args:
        caches: of the parent cluster.
        tunnels: of the agents; None if this hub doesn't serve them.
    """

    def __init__(self, caches: Caches, tunnels: Tunnels | None = None) -> None:
        self._caches = caches
        self._tunnels = tunnels
        self._clients = Clients(caches, self._client)
        self._slots = asyncio.Semaphore(AT_ONCE)

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
                self._slots,
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
            raise PredictionFailed(f"no answer from {url} within {TIMEOUT:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise PredictionFailed(f"no answer from {url}: {error or type(error).__name__}") from None
        if status != 200:
            raise PredictionFailed(f"{url} answered {status} for {feed_text(entry)}")
        return _room(body, url)

    def _way(self, cluster: Object) -> str:
        """Return whose tunnel leads to a cluster's predictor, by cluster ID; "" if it is reached without."""
        if cluster["status"].get("predictorDirectAccess") or self._tunnels is None:
            return ""
        if not self._caches.is_registered(cluster):
            raise PredictionFailed(f"cluster {cluster['spec']['clusterId']} isn't registered as this ManagedCluster")
        return str(cluster["spec"]["clusterId"])

    def _client(self, way: str) -> aiohttp.ClientSession:
        """A predictor's certificate can't be verified, as nothing tells its CA; but nothing secret is sent to it."""
        connector: aiohttp.BaseConnector
        if way and self._tunnels is not None:
            connector = self._tunnels.route(way).connector()
        else:
            connector = aiohttp.TCPConnector(limit=0)
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
            f"its predictor {address} can be reached neither directly (flag --predictor-direct-access) nor through a "
            "tunnel (feature gate SocketConnection)"
        )
    return address if "://" in address else f"http://{address}"


def _room(body: bytes, url: str) -> int:
    try:
        room = read_json(body)["replicas"]["default"]
    except (DocumentError, LookupError, TypeError):
        room = None
    if not isinstance(room, int) or isinstance(room, bool) or room < 0:
        raise PredictionFailed(f"{url} gave no number of replicas")
    return room
