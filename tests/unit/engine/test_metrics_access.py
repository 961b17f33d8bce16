"""Who may read the metrics, and how often the cluster is asked."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from clusternet_engine import metrics_access
from clusternet_engine.kube.errors import ApiError, ConnectionFailed, Forbidden
from clusternet_engine.kube.resources import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS, Resource
from clusternet_engine.metrics_access import MetricsAccess


class Cluster:
    """Knows two tokens and allows one of them."""

    def __init__(self) -> None:
        self.asked: list[tuple[Resource, dict[str, Any]]] = []
        self.problem: Exception | None = None

    async def create(self, resource: Resource, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((resource, body["spec"]))
        if self.problem is not None:
            raise self.problem
        if resource is TOKEN_REVIEWS:
            name = {"good": "prometheus", "weak": "somebody"}.get(body["spec"]["token"])
            user = {"username": name, "uid": "1", "groups": ["g"], "extra": {"a": ["b"]}}
            return {"status": {"authenticated": True, "user": user} if name else {"authenticated": False}}
        assert resource is SUBJECT_ACCESS_REVIEWS
        return {"status": {"allowed": body["spec"]["user"] == "prometheus"}}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


class Clock:
    """A time that goes on when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(cluster: Cluster, clock: Clock) -> MetricsAccess:
    client: Any = cluster
    return MetricsAccess(client, clock)


def request(authorization: str | None = None, address: str = "192.0.2.1") -> web.Request:
    headers = {} if authorization is None else {"Authorization": authorization}
    made = make_mocked_request("GET", "/metrics", headers=headers)
    return made.clone(remote=address)


async def refusal(access: MetricsAccess, authorization: str | None, address: str = "192.0.2.1") -> int:
    try:
        await access.check(request(authorization, address))
    except ApiError as error:
        return error.status
    return 200


async def test_the_cluster_decides(access: MetricsAccess, cluster: Cluster) -> None:
    assert await refusal(access, "Bearer good") == 200
    assert cluster.asked == [
        (TOKEN_REVIEWS, {"token": "good"}),
        (
            SUBJECT_ACCESS_REVIEWS,
            {
                "user": "prometheus",
                "uid": "1",
                "groups": ["g"],
                "extra": {"a": ["b"]},
                "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
            },
        ),
    ]
    assert await refusal(access, "Bearer weak") == 403
    assert await refusal(access, "Bearer wrong") == 401


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer  ", "Basic good", "Bearer " + "x" * 20000])
async def test_without_a_token_nobody_is_asked(
    access: MetricsAccess, cluster: Cluster, authorization: str | None
) -> None:
    assert await refusal(access, authorization) == 401
    assert cluster.asked == []


async def test_answers_are_remembered_for_a_moment(access: MetricsAccess, cluster: Cluster, clock: Clock) -> None:
    for token, status, number, seconds in (("good", 200, 2, 10.0), ("weak", 403, 2, 5.0), ("wrong", 401, 1, 5.0)):
        cluster.asked.clear()
        for _ in range(5):
            assert await refusal(access, f"Bearer {token}") == status
        assert len(cluster.asked) == number
        clock.now += seconds + 0.1
        assert await refusal(access, f"Bearer {token}") == status
        assert len(cluster.asked) == 2 * number


async def test_a_flood_of_wrong_tokens_reaches_the_cluster_as_a_trickle(
    access: MetricsAccess, cluster: Cluster, clock: Clock
) -> None:
    assert await refusal(access, "Bearer good") == 200
    statuses = [await refusal(access, f"Bearer wrong-{number}") for number in range(100)]
    assert statuses.count(401) <= metrics_access.ADDRESS_BURST
    assert statuses[-1] == 429
    statuses = [await refusal(access, f"Bearer more-{number}", f"10.0.{number}.1") for number in range(200)]
    assert statuses.count(401) <= metrics_access.BURST
    clock.now += 11
    assert await refusal(access, "Bearer good") == 200, "who was right lately isn't held up"
    assert len(access._of_address) <= metrics_access.REMEMBERED


@pytest.mark.parametrize("problem", [ConnectionFailed("https://x", "refused", "no"), Forbidden(403, "Forbidden", "no")])
async def test_a_cluster_that_gives_no_answer(access: MetricsAccess, cluster: Cluster, problem: Exception) -> None:
    cluster.problem = problem
    assert await refusal(access, "Bearer good") == 503
    cluster.problem = None
    assert await refusal(access, "Bearer good") == 200
