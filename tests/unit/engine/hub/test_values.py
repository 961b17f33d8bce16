"""Manifests and their values arrive in any order; what is read is whole, or known not to be."""

import itertools
from types import SimpleNamespace

import pytest
from clusternet_engine.hub import values as hub_values
from clusternet_engine.hub.values import ManifestValues, Values, ValuesKey
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import AlreadyExists, Conflict, NotFound
from clusternet_engine.kube.resources import MANIFESTS
from clusternet_engine.model import constants as names
from clusternet_engine.model.secret_values import INCOMPLETE, LATE, LOST, parted, referring, values_name, values_secret

NAMESPACE = "clusternet-reserved"
NAME = "secrets.n.s"


def template(value):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "data": {"k": value}}


def manifest(value, version="1", uid="u", **metadata):
    made = {"name": NAME, "namespace": NAMESPACE, "uid": uid, "resourceVersion": version, **metadata}
    return {"apiVersion": MANIFESTS.api_version, "kind": "Manifest", "metadata": made, "template": template(value)}


def kept(value, name, version="1", uid="u", owners=(), **metadata):
    """Return a Manifest that refers to its values, and the Secret with them."""
    whole = manifest(value, version, uid, **metadata)
    bare, values = parted(whole["template"])
    secret = values_secret(name, NAMESPACE, names.MANIFEST_VALUES_TYPE, of=NAME, values=values, owners=owners)
    secret["metadata"] |= {"uid": f"uid-{name}", "resourceVersion": version}
    return {**referring(whole, name), "template": bare}, secret


class Parent(Client):
    """Keeps objects and notes what is written; `before` a write, something may happen."""

    def __init__(self, *objects):
        self.objects = {self._key(obj): obj for obj in objects}
        self.writes = []

    @staticmethod
    def _key(obj):
        return obj["kind"], obj["metadata"]["name"]

    async def get(self, resource, name, namespace=None, **_more):
        if (resource.kind, name) not in self.objects:
            raise NotFound(404, "NotFound", name)
        return self.objects[resource.kind, name]

    async def create(self, resource, body, namespace=None, **_more):
        if self._key(body) in self.objects:
            raise AlreadyExists(409, "AlreadyExists", "it is there")
        self.writes.append(("create", *self._key(body)))
        self.objects[self._key(body)] = body
        return body

    async def update(self, resource, body, **_more):
        there = await self.get(resource, body["metadata"]["name"])
        if there["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", "it has changed")
        self.writes.append(("update", *self._key(body)))
        self.objects[self._key(body)] = body
        return body

    async def patch(self, resource, name, patch, namespace=None, **_more):
        self.writes.append(("patch", resource.kind, name, patch))
        return {}

    async def delete(self, resource, name, namespace=None, **_more):
        await self.get(resource, name)
        self.writes.append(("delete", resource.kind, name))
        del self.objects[resource.kind, name]
        return {}


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_whatever_the_order_the_newest_values_show_in_the_end(caches, order):
    """Two versions of a Manifest and their values: of one kind, newer ones come later."""
    (first, old), (second, new) = kept("MQ==", "one", "1"), kept("Mg==", "two", "2")
    news = [
        (caches.stored_manifests, first),
        (caches.manifest_values, old),
        (caches.stored_manifests, second),
        (caches.manifest_values, new),
    ]
    if order.index(0) > order.index(2) or order.index(1) > order.index(3):
        return
    shown = []
    caches.manifests.add_handler(lambda change: shown.append(change.new))
    for number in order:
        caches.put(*news[number])
    now = caches.manifests.get(NAME, NAMESPACE)
    assert now["template"] == template("Mg==")
    assert INCOMPLETE not in now
    assert shown[-1] == now
    # An empty value shows only where it is said to be lost.
    assert all(one["template"]["data"]["k"] or one[INCOMPLETE] == LOST for one in shown)


def test_values_that_are_late_or_gone_leave_the_former_ones(caches):
    (first, old), (second, _new) = kept("MQ==", "one", "1"), kept("Mg==", "two", "2")
    caches.put(caches.manifest_values, old)
    caches.put(caches.stored_manifests, first)
    caches.remove(caches.manifest_values, old)
    now = caches.manifests.get(NAME, NAMESPACE)
    assert (now["template"], INCOMPLETE in now) == (template("MQ=="), False)
    caches.put(caches.stored_manifests, second)
    now = caches.manifests.get(NAME, NAMESPACE)
    assert (now["template"], now[INCOMPLETE]) == (template("MQ=="), LATE)
    anew = kept("Mw==", "three", "3", uid="another")[0]
    caches.put(caches.stored_manifests, anew)
    assert caches.manifests.get(NAME, NAMESPACE)[INCOMPLETE] == LOST
    gone = []
    caches.manifests.add_handler(lambda change: gone.append(change.type))
    caches.remove(caches.stored_manifests, anew)
    assert gone == ["ADDED", "DELETED"]
    assert caches.manifests.items() == []


async def test_reading_follows_a_manifest_that_is_just_being_replaced(caches):
    (first, _old), (second, new) = kept("MQ==", "one", "1"), kept("Mg==", "two", "2")
    values = ManifestValues(Parent(second, new), caches.manifest_values, NAMESPACE, referenced=True)
    assert (await values.whole(first))["template"] == template("Mg==")
    lost = ManifestValues(Parent(second), caches.manifest_values, NAMESPACE, referenced=True)
    assert "data" not in (await lost.whole(second))["template"]
    with pytest.raises(NotFound):
        await ManifestValues(Parent(), caches.manifest_values, NAMESPACE, referenced=True).whole(first)


async def test_keeping_writes_the_values_first_and_nothing_in_a_dry_run(caches):
    parent = Parent()
    values = ManifestValues(parent, caches.manifest_values, NAMESPACE, referenced=True)
    stored = await values.keep(manifest("MQ=="))
    assert stored["template"]["data"] == {"k": ""}
    assert parent.writes == [("create", "Secret", values_name(stored))]
    assert (await values.whole(stored))["template"] == template("MQ==")
    again = await values.keep(await values.whole(stored))
    assert values_name(again) != values_name(stored)
    parent.writes.clear()
    assert values_name(await values.keep(manifest("MQ=="), dry_run=True))
    assert parent.writes == []
    inline = ManifestValues(parent, caches.manifest_values, NAMESPACE, referenced=False)
    assert await inline.keep(referring(manifest("MQ=="), "one")) == manifest("MQ==")
    assert parent.writes == []


def controller(parent, caches, **settings):
    of_hub = SimpleNamespace(reserved_namespace=NAMESPACE, references_values=True, workers=1, **settings)
    return Values(parent, caches, of_hub)


def known(caches, *objects):
    """Let the hub know all objects of its parent."""
    for obj in objects:
        caches.put(caches.manifest_values if obj["kind"] == "Secret" else caches.stored_manifests, obj)
    return Parent(*objects)


async def test_values_in_clear_are_moved_unless_somebody_was_quicker(caches):
    parent = known(caches, manifest("MQ=="))
    await controller(parent, caches)._reconcile(NAME)
    assert [write[0] for write in parent.writes] == ["create", "update"]
    assert parent.objects["Manifest", NAME]["template"]["data"] == {"k": ""}
    parent = Parent(manifest("Mg==", "2"))
    await controller(parent, caches)._reconcile(NAME)
    assert [write[0] for write in parent.writes] == ["create", "delete"]
    assert parent.objects == {("Manifest", NAME): manifest("Mg==", "2")}


async def test_values_go_with_their_manifest(caches):
    parent = known(caches, *kept("MQ==", "one"))
    await controller(parent, caches)._reconcile(NAME)
    [(verb, kind, name, patch)] = parent.writes
    assert (verb, kind, name) == ("patch", "Secret", "one")
    assert patch["metadata"]["ownerReferences"][0]["uid"] == "u"


async def test_values_that_somebody_removed_are_written_again_unless_the_cache_is_late(caches):
    stored, secret = kept("MQ==", "one")
    parent = known(caches, secret, stored)
    caches.remove(caches.manifest_values, secret)
    assert await controller(parent, caches)._reconcile(NAME) is not None
    assert parent.writes == []
    del parent.objects["Secret", "one"]
    await controller(parent, caches)._reconcile(NAME)
    assert [write[0] for write in parent.writes] == ["create", "update"]
    later, _ = kept("Mg==", "two", "2")
    caches.put(caches.stored_manifests, later)
    parent = Parent(later)
    assert await controller(parent, caches)._reconcile(NAME) is not None, "older values must not come back"
    assert parent.writes == []


async def test_what_nobody_names_is_removed_after_a_while_and_at_once_with_its_manifest(caches, monkeypatch):
    owner = [{"apiVersion": MANIFESTS.api_version, "kind": "Manifest", "name": NAME, "uid": "u"}]
    stored, secret = kept("MQ==", "one", owners=owner)
    _, left = kept("Mg==", "left")
    parent = known(caches, secret, stored, left)
    working = controller(parent, caches)
    assert await working._reconcile(NAME) > 100
    assert parent.writes == []
    monkeypatch.setattr(hub_values, "_GRACE", 0.0)
    await working._reconcile(NAME)
    assert parent.writes == [("delete", "Secret", "left")]
    monkeypatch.undo()
    caches.remove(caches.stored_manifests, stored)
    await working._reconcile(NAME)
    assert parent.writes[1:] == [], "the parent still has the Manifest"
    del parent.objects["Manifest", NAME]
    await working._reconcile(NAME)
    assert parent.writes[1:] == [("delete", "Secret", "one")]


async def test_the_key_is_made_once_and_a_broken_one_anew():
    parent = Parent()
    key = await ValuesKey(parent, NAMESPACE).get()
    assert len(key) == 32
    assert await ValuesKey(parent, NAMESPACE).get() == key
    parent.objects["Secret", names.VALUES_KEY_SECRET] |= {"data": {"key": "%"}}
    parent.objects["Secret", names.VALUES_KEY_SECRET]["metadata"]["uid"] = "u"
    assert len(await ValuesKey(parent, NAMESPACE).get()) == 32
