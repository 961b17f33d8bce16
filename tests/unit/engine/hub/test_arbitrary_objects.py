"""The hub's controllers, fed with whatever JSON children and users can write: they go on, with every object.

Nothing here knows what a controller does. Its handlers, indexes and reconciles are the real ones; the parent and the
children are stand-ins that answer something of the right shape.
"""

from __future__ import annotations

import asyncio
import base64
import copy
from typing import Any

import pytest
from arbitrary import custom_objects, json_objects, json_values, metadata_of
from clusternet_engine.deploy.errors import DeployFailed
from clusternet_engine.deploy.repositories import Repositories, RepositoryFailed
from clusternet_engine.hub import children
from clusternet_engine.hub.arguments import CONTROLLERS
from clusternet_engine.hub.hub import Hub
from clusternet_engine.hub.predictors import PredictionFailed, Predictors
from clusternet_engine.hub.settings import Settings
from clusternet_engine.kube.client import Client, ObjectList, Response
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.decoding import encode
from clusternet_engine.kube.errors import ApiError, ConnectionFailed, NotFound
from clusternet_engine.kube.resources import Object
from clusternet_engine.kube.watch import WatchEvent
from clusternet_engine.model import constants as names
from clusternet_engine.model.applied import APPLIED_OBJECTS_ANNOTATION
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_SOUGHT = ("CONFIG", "SUBSCRIPTION", "CLUSTER", "CREATED")
KEYS = [
    *(key for name, key in vars(names).items() if name.endswith("_LABEL") and any(word in name for word in _SOUGHT)),
    *("uid-1", "uid-2"),
]
ANNOTATIONS = [
    *(key for name, key in vars(names).items() if name.endswith("_ANNOTATION")),
    APPLIED_OBJECTS_ANNOTATION,
]
APPS, CLUSTERS = "apps.clusternet.io/v1alpha1", "clusters.clusternet.io/v1beta1"


def of_kind(plural: str, kind: str, api_version: str = APPS, *, namespaced: bool = True) -> st.SearchStrategy[Object]:
    return custom_objects(plural, kind, api_version, namespaced=namespaced, labels=KEYS, annotations=ANNOTATIONS)


def secrets(name: str) -> st.SearchStrategy[Object]:
    data = st.dictionaries(
        st.sampled_from(["token", "ca.crt", "namespace", names.ADVERTISE_URL_KEY, "username", "password"]),
        st.binary(max_size=9).map(lambda value: base64.b64encode(value).decode())
        | st.sampled_from(["aHR0cHM6Ly9b", ""]),
    )
    return st.tuples(metadata_of(name, "clusternet-1", KEYS, ANNOTATIONS), data).map(
        lambda pair: {"apiVersion": "v1", "kind": "Secret", "metadata": pair[0], "data": pair[1]}
    )


def plain(kind: str, api_version: str, name: str, namespace: str | None) -> st.SearchStrategy[Object]:
    return metadata_of(name, namespace, KEYS, ANNOTATIONS).map(
        lambda metadata: {"apiVersion": api_version, "kind": kind, "metadata": metadata}
    )


OBJECTS: dict[str, st.SearchStrategy[Object]] = {
    "requests": of_kind("clusterregistrationrequests", "ClusterRegistrationRequest", CLUSTERS, namespaced=False),
    "clusters": of_kind("managedclusters", "ManagedCluster", CLUSTERS),
    "namespaces": plain("Namespace", "v1", "clusternet-1", None),
    "accounts": plain("ServiceAccount", "v1", "a", "clusternet-1"),
    "tokens": secrets("a"),
    "child_credentials": secrets(names.CHILD_DEPLOYER_SECRET),
    "subscriptions": of_kind("subscriptions", "Subscription"),
    "stored_manifests": of_kind("manifests", "Manifest"),
    "charts": of_kind("helmcharts", "HelmChart"),
    "globalizations": of_kind("globalizations", "Globalization", namespaced=False),
    "localizations": of_kind("localizations", "Localization"),
    "inventories": of_kind("feedinventories", "FeedInventory"),
    "bases": of_kind("bases", "Base"),
    "descriptions": of_kind("descriptions", "Description"),
    "releases": of_kind("helmreleases", "HelmRelease"),
}
"""What somebody may write, by the cache that it gets into."""


class StandIn(Client):
    """A cluster that takes everything it is sent and has nothing but what a test says."""

    def __init__(self, config: Any, **arguments: Any) -> None:
        self.config = config
        self.there: Object | None = None

    async def __aenter__(self) -> StandIn:
        return self

    async def close(self) -> None:
        pass

    async def get(self, resource: Any, name: str, namespace: str | None = None, **arguments: Any) -> Object:
        if self.there is None:
            raise NotFound(404, "NotFound", "nothing is here")
        return copy.deepcopy(self.there)

    async def list(self, resource: Any, namespace: str | None = None, **arguments: Any) -> ObjectList:
        return ObjectList([], "1")

    async def create(self, resource: Any, body: Object, namespace: str | None = None, **arguments: Any) -> Object:
        return self._taken(body)

    async def update(self, resource: Any, body: Object, **arguments: Any) -> Object:
        return self._taken(body)

    async def patch(
        self, resource: Any, name: str, patch: Any, namespace: str | None = None, **arguments: Any
    ) -> Object:
        encode(patch)
        return self._taken({"metadata": {"name": name, "namespace": namespace}})

    async def delete(self, resource: Any, name: str, namespace: str | None = None, **arguments: Any) -> Object:
        return {"kind": "Status"}

    async def raw(self, method: str, path: str, **arguments: Any) -> Response:
        kinds = [
            {"name": kind.lower() + "s", "kind": kind, "namespaced": True} for kind in ("ConfigMap", "Secret", "Job")
        ]
        return Response(200, {}, encode({"resources": kinds}))

    def _taken(self, body: Object) -> Object:
        encode(body)
        metadata = {"uid": "uid-9", "resourceVersion": "9", "generation": 1, **body.get("metadata", {})}
        return {**body, "metadata": metadata}


async def _no_repository(self: Repositories, *arguments: Any) -> None:
    raise RepositoryFailed("there is none")


async def _no_prediction(self: Predictors, *arguments: Any) -> dict[str, int]:
    raise PredictionFailed("there is none")


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "Client", StandIn)
    monkeypatch.setattr(Repositories, "look", _no_repository)
    monkeypatch.setattr(Repositories, "fetch", _no_repository)
    monkeypatch.setattr(Predictors, "predict", _no_prediction)


def make_hub() -> Hub:
    hub = Hub(
        StandIn(None),
        Settings(
            controllers=frozenset(CONTROLLERS),
            workers=1,
            system_namespace="clusternet-system",
            reserved_namespace="clusternet-reserved",
            gates=dict.fromkeys(("ClusterInit", "FailOver"), True),
        ),
    )
    for informer in hub.caches._running.values():
        informer._synced.set()
    return hub


def controllers_of(hub: Hub) -> list[Controller]:
    """Return the queues of all controllers, the two of the one that pushes included."""
    found = []
    for runs in hub._controllers.values():
        publishing = getattr(runs, "_publishing", None)
        owners = (publishing._descriptions, publishing._releases) if publishing else (runs,)
        found += [owner._controller for owner in owners]  # type: ignore[attr-defined]
    assert len(found) == len(CONTROLLERS) + 1
    return found


async def work(hub: Hub, events: list[tuple[str, str, Object]]) -> list[str]:
    """Let a hub see events and reconcile everything; return what it couldn't make use of."""
    faults: list[str] = []
    with hub.caches.faults_told(lambda obj, message: faults.append(f"{obj['kind']}: {message}")):
        for cache, type_, obj in events:
            getattr(hub.caches, cache)._apply(WatchEvent(type_, obj))
        for controller in controllers_of(hub):
            queue = controller._queue
            keys = dict.fromkeys([*controller._keys(), *queue._waiting, *queue._timers])
            for key in keys:
                try:
                    await controller._reconcile(key)
                except (ApiError, ConnectionFailed, DeployFailed):
                    pass  # what Kubernetes and children answer, and what is told in statuses
                except Exception as error:
                    raise AssertionError(f"{controller.name} fails on {key}") from error
    return faults


events_strategy = st.lists(
    st.sampled_from(sorted(OBJECTS)).flatmap(
        lambda cache: st.tuples(
            st.just(cache), st.sampled_from(["ADDED", "MODIFIED", "MODIFIED", "DELETED"]), OBJECTS[cache]
        )
    ),
    min_size=1,
    max_size=12,
)


def overlaid(obj: Object, wanted: Object) -> Object:
    """Return an object with these parts in any case."""
    result = dict(obj)
    for key, value in wanted.items():
        before = result.get(key)
        result[key] = overlaid(before, value) if isinstance(value, dict) and isinstance(before, dict) else value
    return result


def linked(cache: str, metadata: Object, **content: Any) -> st.SearchStrategy[tuple[str, str, Object]]:
    """Return an event of an object that is what others expect it to be in these parts, and anything in all others."""
    wanted = {"metadata": {"generation": 1, "deletionTimestamp": None, **metadata}, **content}
    return OBJECTS[cache].map(lambda obj: (cache, "ADDED", overlaid(obj, wanted)))


_KINDS = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
    ("v1", "Secret"),
]
_PLACE = {"namespace": "clusternet-1", "labels": {names.SUBSCRIPTION_UID_LABEL: "uid-1"}}


def chain(kind: tuple[str, str], parts: Object, observed: Any) -> st.SearchStrategy[Any]:
    """Return events of everything between a Subscription of one workload and one chart and their one cluster."""
    version, name = kind
    feed = {"apiVersion": version, "kind": name, "namespace": "default", "name": "b"}
    chart = {"apiVersion": APPS, "kind": "HelmChart", "namespace": "default", "name": "b"}
    native = {**parts, "apiVersion": version, "kind": name, "metadata": {"name": "b", "namespace": "default"}}
    group, _, short = version.rpartition("/")
    config = {
        names.CONFIG_GROUP_LABEL: group, names.CONFIG_VERSION_LABEL: short, names.CONFIG_KIND_LABEL: name,
        names.CONFIG_NAMESPACE_LABEL: "default", names.CONFIG_NAME_LABEL: "b",
    }  # fmt: skip
    raw = [base64.b64encode(encode(native)).decode()]
    owner = [{"apiVersion": APPS, "kind": "Base", "name": "b", "uid": "uid-2"}]
    told = [{**feed, "observedStatus": observed}]
    return st.tuples(
        linked(
            "clusters",
            {"name": "b", "namespace": "clusternet-1"},
            spec={"clusterId": "clusternet-1", "syncMode": "Push"},
        ),
        linked("child_credentials", {}, data={"token": "YQ==", names.ADVERTISE_URL_KEY: "aHR0cHM6Ly9h"}),
        linked(
            "stored_manifests", {"name": "b", "namespace": "clusternet-reserved", "labels": config}, template=native
        ),
        linked("charts", {"name": "b", "namespace": "default"}, status={"phase": "Found", "observedGeneration": 1}),
        linked(
            "localizations",
            {"name": "b", "namespace": "clusternet-1"},
            spec={"feed": feed, "overridePolicy": "ApplyNow"},
        ),
        linked("globalizations", {"name": "b"}, spec={"feed": chart, "overridePolicy": "ApplyNow"}),
        linked(
            "subscriptions",
            {"name": "b", "namespace": "default", "uid": "uid-1"},
            spec={"feeds": [feed, chart]},
            status={"bindingClusters": ["clusternet-1/b"]},
        ),
        linked("inventories", {"name": "b", "namespace": "default"}),
        linked("bases", {"name": "b", "uid": "uid-2", **_PLACE}, spec={"feeds": [feed, chart]}),
        linked(
            "descriptions",
            {"name": "b-generic", "uid": "uid-3", "ownerReferences": owner, **_PLACE},
            spec={"deployer": "Generic", "raw": raw},
            status={"manifestStatuses": told},
        ),
        linked("descriptions", {"name": "b-helm", "ownerReferences": owner, **_PLACE}, spec={"deployer": "Helm"}),
        linked("releases", {"name": "b", **_PLACE}),
    ).map(lambda events: without_removed(events))


def without_removed(events: Any) -> list[tuple[str, str, Object]]:
    for _, _, obj in events:
        obj["metadata"] = {key: value for key, value in obj["metadata"].items() if value is not None}
    return list(events)


chains = st.tuples(
    st.sampled_from(_KINDS),
    st.fixed_dictionaries(
        {}, optional={"spec": json_values, "status": json_values, "stringData": json_values, "data": json_values}
    ),
    json_objects,
).flatmap(lambda drawn: chain(*drawn))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(events_strategy)
def test_whatever_is_written_the_hub_goes_on(events: list[tuple[str, str, Object]]) -> None:
    assert asyncio.run(work(make_hub(), events)) == []


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(chains, events_strategy)
def test_whatever_is_in_what_is_published_the_hub_goes_on(linked: Any, further: list[tuple[str, str, Object]]) -> None:
    assert asyncio.run(work(make_hub(), [*linked, *further])) == []
