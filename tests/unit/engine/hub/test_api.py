"""What the hub's API server makes of requests, before it asks the parent anything."""

import asyncio

import pytest
from clusternet_engine.hub.api.authentication import RequestHeaders, User
from clusternet_engine.hub.api.authorization import access_review, forbidden_message
from clusternet_engine.hub.api.changes import BOOKMARK, ChangeLog
from clusternet_engine.hub.api.patches import patch_type, patched, read_patch
from clusternet_engine.hub.api.requests import RequestInfo, parse_request
from clusternet_engine.hub.api.selection import Selection
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import PatchType
from clusternet_engine.kube.errors import ApiError
from clusternet_engine.kube.resources import CONFIG_MAPS
from multidict import CIMultiDict

S = "/apis/shadow/v1alpha1"


@pytest.mark.parametrize(
    ("method", "path", "query", "wanted"),
    [
        ("GET", "/apis", {}, {"verb": "get"}),
        ("GET", "/openapi/v3", {}, {"verb": "get"}),
        ("GET", S, {}, {"verb": "get", "group": "shadow", "version": "v1alpha1"}),
        ("GET", f"{S}/nodes", {}, {"verb": "list", "resource": "nodes"}),
        ("GET", f"{S}/nodes", {"watch": "true"}, {"verb": "watch", "resource": "nodes"}),
        ("GET", f"{S}/nodes/a", {}, {"verb": "get", "resource": "nodes", "name": "a"}),
        ("HEAD", f"{S}/nodes/a", {}, {"verb": "get", "resource": "nodes", "name": "a"}),
        ("POST", f"{S}/namespaces/x/pods", {}, {"verb": "create", "namespace": "x", "resource": "pods"}),
        ("GET", f"{S}/namespaces", {}, {"verb": "list", "resource": "namespaces"}),
        ("PUT", f"{S}/namespaces/x", {}, {"verb": "update", "namespace": "x", "resource": "namespaces", "name": "x"}),
        (
            "PUT",
            f"{S}/namespaces/x/status",
            {},
            {"verb": "update", "namespace": "x", "resource": "namespaces", "name": "x", "subresource": "status"},
        ),
        (
            "PATCH",
            f"{S}/namespaces/x/deployments/web/scale",
            {},
            {"verb": "patch", "namespace": "x", "resource": "deployments", "name": "web", "subresource": "scale"},
        ),
        ("DELETE", f"{S}/namespaces/x/pods", {}, {"verb": "deletecollection", "namespace": "x", "resource": "pods"}),
        ("DELETE", f"{S}/nodes/a%3Ab", {}, {"verb": "delete", "resource": "nodes", "name": "a:b"}),
        ("OPTIONS", f"{S}/nodes/a", {}, {"verb": "options", "resource": "nodes", "name": "a"}),
        (
            "GET",
            f"{S}/sockets/id/proxy/direct/api/v1/pods%2Fx",
            {},
            {
                "verb": "get",
                "resource": "sockets",
                "name": "id",
                "subresource": "proxy",
                "rest": "direct/api/v1/pods%2Fx",
            },
        ),
    ],
)
def test_what_a_request_asks_for(method, path, query, wanted):
    if path.startswith(f"{S}/"):
        wanted = {"group": "shadow", "version": "v1alpha1", **wanted}
    assert parse_request(method, path, query) == RequestInfo(path=path, **wanted)


HEADERS = RequestHeaders.of(
    {
        "data": {
            "requestheader-client-ca-file": "CA",
            "requestheader-allowed-names": '["front-proxy-client"]',
            "requestheader-username-headers": '["X-Remote-User", "X-Other-User"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-", "X-Extra-"]',
        }
    }
)


def test_users_of_request_headers():
    headers = CIMultiDict([("x-remote-user", "me"), ("X-Remote-Group", "a"), ("X-Remote-Group", "b")])
    assert HEADERS.user(headers) == User("me", groups=("a", "b"))
    assert HEADERS.user(CIMultiDict([("X-Other-User", "me")])) == User("me")
    assert HEADERS.user(CIMultiDict()) is None
    assert RequestHeaders.of({}).user(headers) is None


def test_b7_2_extras_in_any_case_and_percent_encoded():
    headers = CIMultiDict(
        [
            ("X-Remote-User", "me"),
            ("X-Remote-Extra-Clusternet-Token", "1"),
            ("x-remote-extra-EXAMPLE.com%2fkey", "2"),
            ("X-REMOTE-EXTRA-Clusternet-Token", "3"),
            ("X-Extra-clusternet-token", "4"),
        ]
    )
    user = HEADERS.user(headers)
    assert user.extra == {"clusternet-token": ("1", "3", "4"), "example.com/key": ("2",)}
    assert "1" not in repr(user)


def test_refusals_say_who_what_and_where():
    info = RequestInfo("get", "", "shadow", "v1alpha1", "foo", "deployments", "web", "scale")
    assert forbidden_message(User("me"), info, "no rule") == (
        'deployments.shadow "web" is forbidden: User "me" cannot get resource "deployments/scale"'
        ' in API group "shadow" in the namespace "foo": no rule'
    )
    info = RequestInfo("list", "", "shadow", "v1alpha1", resource="nodes")
    assert forbidden_message(User("me"), info, "") == (
        'nodes.shadow is forbidden: User "me" cannot list resource "nodes" in API group "shadow" at the cluster scope'
    )
    assert forbidden_message(User("me"), RequestInfo("get", "/apis"), "") == (
        'forbidden: User "me" cannot get path "/apis"'
    )


def test_questions_about_paths():
    assert access_review(User("me"), RequestInfo("get", "/apis"))["spec"] == {
        "user": "me",
        "groups": [],
        "nonResourceAttributes": {"verb": "get", "path": "/apis"},
    }


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({}, ""),
        ({"fieldSelector": "metadata.name=a"}, ",apps.clusternet.io/config.name=a"),
        ({"fieldSelector": "metadata.namespace!=a"}, ",apps.clusternet.io/config.namespace!=a"),
        ({"labelSelector": "a in (b,c)"}, ",a in (b,c)"),
    ],
)
def test_selections(query, text):
    selection = Selection.of(query, CONFIG_MAPS, "foo")
    assert selection.text == (
        "apps.clusternet.io/config.kind=ConfigMap,apps.clusternet.io/config.group=,"
        f"apps.clusternet.io/config.namespace=foo{text}"
    )


@pytest.mark.parametrize("query", [{"fieldSelector": "data=x"}, {"fieldSelector": "x"}, {"labelSelector": "a in b"}])
def test_selections_that_are_none(query):
    with pytest.raises(ApiError) as caught:
        Selection.of(query, CONFIG_MAPS, None)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("kind", "patch", "after"),
    [
        (PatchType.MERGE, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}, "l": [1]}),
        (PatchType.MERGE, {"a": None, "s": {"t": {"u": None}}}, {"l": [1], "s": {"t": {}}}),
        (PatchType.JSON, [{"op": "remove", "path": "/a/b"}], {"a": {}, "l": [1]}),
    ],
)
def test_patches(kind, patch, after):
    obj = {"a": {"b": 1}, "l": [1]}
    assert patched(obj, kind, patch, None) == after
    assert obj == {"a": {"b": 1}, "l": [1]}


@pytest.mark.parametrize(
    ("kind", "patch", "status"),
    [
        (PatchType.JSON, [{"op": "remove", "path": "/x"}], 422),
        (PatchType.JSON, [{"op": "test", "path": "/a", "value": 1}], 422),
        (PatchType.JSON, [{"op": "nonsense", "path": "/a"}], 400),
        (PatchType.JSON, ["x"], 400),
        (PatchType.JSON, [{"op": "replace", "path": "", "value": 1}], 422),
        (PatchType.JSON, [{}] * 10001, 413),
        (PatchType.JSON, [{"op": "copy", "from": "", "path": "/c"}] * 300, 413),
        (PatchType.STRATEGIC, {"a": {"$patch": "x"}}, 422),
    ],
)
def test_patches_that_do_not_fit(kind, patch, status):
    with pytest.raises(ApiError) as caught:
        patched({"a": {"b": 1}}, kind, patch, None)
    assert caught.value.status == status


def test_reading_patches():
    assert patch_type("application/merge-patch+json; charset=utf-8") is PatchType.MERGE
    assert read_patch(PatchType.APPLY, b"a: 1") == {"a": 1}
    wrong = (PatchType.JSON, b"{}"), (PatchType.MERGE, b"[]"), (PatchType.MERGE, b"{"), (PatchType.APPLY, b"{")
    for kind, body in wrong:
        with pytest.raises(ApiError) as caught:
            read_patch(kind, body)
        assert caught.value.status == 400
    with pytest.raises(ApiError) as caught:
        patch_type("text/plain")
    assert caught.value.status == 415


class Manifests:
    """An informer as far as the log of changes needs one."""

    def __init__(self):
        self.resource_version = ""
        self.objects = {}

    def add_handler(self, handler):
        self._handler = handler

    def items(self):
        return list(self.objects.values())

    def put(self, name, version, **labels):
        obj = {"metadata": {"name": name, "resourceVersion": str(version), "labels": labels}}
        old = self.objects.get(name)
        self.objects[name] = obj
        self.resource_version = str(version)
        self._handler(Change("MODIFIED" if old else "ADDED", old, obj))

    def drop(self, name, version):
        self.resource_version = str(version)
        self._handler(Change("DELETED", self.objects.pop(name), None))


async def follow(log, count, since, selects=lambda manifest: True):
    events = []
    async for event in log.follow(selects, since):
        if event.type != BOOKMARK or event.initial_end:
            name = event.manifest["metadata"]["name"] if event.manifest else None
            events.append((event.type, name, event.version))
        if len(events) == count:
            break
    return events


async def test_watching():
    manifests = Manifests()
    log = ChangeLog(manifests)
    manifests.put("a", 10, on="1")
    manifests.put("b", 11)
    assert await follow(log, 3, None) == [("ADDED", "a", 10), ("ADDED", "b", 11), ("BOOKMARK", None, 11)]
    assert await follow(log, 1, 10) == [("ADDED", "b", 11)]

    def on(manifest):
        return "on" in manifest["metadata"]["labels"]

    waiting = asyncio.create_task(follow(log, 3, 11, on))
    await asyncio.sleep(0)
    manifests.put("b", 12, on="1")
    manifests.put("c", 13)
    manifests.put("b", 14)
    await asyncio.sleep(0)
    manifests.drop("a", 15)
    assert await waiting == [("ADDED", "b", 12), ("DELETED", "b", 14), ("DELETED", "a", 15)]
    assert await follow(log, 3, 11, on) == [("ADDED", "b", 12), ("DELETED", "b", 14), ("DELETED", "a", 15)]
    with pytest.raises(ApiError) as caught:
        await follow(log, 1, 9)
    assert caught.value.status == 410


async def test_the_log_forgets(monkeypatch):
    monkeypatch.setattr("clusternet_engine.hub.api.changes.REMEMBERED", 3)
    manifests = Manifests()
    log = ChangeLog(manifests)
    slow = log.follow(lambda manifest: True, 0)
    for version in range(1, 6):
        manifests.put("a", version)
    assert await follow(log, 2, 3) == [("MODIFIED", "a", 4), ("MODIFIED", "a", 5)]
    with pytest.raises(ApiError):
        await follow(log, 1, 1)
    with pytest.raises(ApiError):
        await anext(slow)


async def test_the_log_forgets_sooner_what_is_large(monkeypatch):
    """The number of changes alone bounds nothing: a user may change an object of a megabyte as often as a small one."""
    monkeypatch.setattr("clusternet_engine.hub.api.changes.REMEMBERED_SIZE", 1000)
    manifests = Manifests()
    log = ChangeLog(manifests)
    for version in range(1, 6):
        manifests.put("a", version, text="x" * 400)
    assert await follow(log, 2, 3) == [("MODIFIED", "a", 4), ("MODIFIED", "a", 5)]
    with pytest.raises(ApiError):
        await follow(log, 1, 2)
    manifests.put("b", 6, text="x" * 5000)
    assert await follow(log, 1, 5) == [("ADDED", "b", 6)]
    with pytest.raises(ApiError):
        await follow(log, 1, 4)
