"""Values are taken out of Secrets and put back, whatever form they have; a name tells nothing of them."""

import base64
import json
import zlib

import pytest
from clusternet_engine.model import constants as names
from clusternet_engine.model.descriptions import build_generic, decode, referred_values
from clusternet_engine.model.rendering import RenderedObject, Rendering, render, withhold_secrets
from clusternet_engine.model.secret_values import (
    INCOMPLETE,
    LOST,
    MAX_CONTENT,
    MalformedValues,
    Seal,
    is_secret,
    joined,
    parted,
    referring,
    shows_values,
    unreadable,
    values_in,
    values_name,
    values_secret,
    without_data,
)
from hypothesis import given
from hypothesis import strategies as st

PLANTED = "planted-s3cret"
KIND = names.MANIFEST_VALUES_TYPE
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ANNOTATIONS = st.dictionaries(
    st.sampled_from([names.KUBECTL_LAST_APPLIED_ANNOTATION, names.LAST_APPLIED_ANNOTATION, "other"]),
    st.text(max_size=5),
)
SECRETS = st.fixed_dictionaries(
    {
        "apiVersion": st.just("v1"),
        "kind": st.just("Secret"),
        "metadata": st.fixed_dictionaries({"name": st.just("s")}, optional={"annotations": ANNOTATIONS}),
    },
    optional={"data": JSON, "stringData": JSON, "type": st.just("Opaque")},
)
BASE = {
    "apiVersion": "apps.clusternet.io/v1alpha1",
    "kind": "Base",
    "metadata": {"name": "b", "namespace": "edge", "uid": "base"},
    "spec": {"feeds": [{"apiVersion": "v1", "kind": "Secret", "namespace": "n", "name": "s"}]},
}
REFERENCE = "v1/Secret/n/s"
OWNER = {"apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Base", "name": "b", "uid": "base", "controller": True}


def secret(value=PLANTED, **metadata):
    data = {"k": base64.b64encode(value.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n", **metadata}, "data": data}


@given(SECRETS)
def test_what_is_taken_apart_is_the_same_when_it_is_put_together(obj):
    bare, values = parted(obj)
    again = joined(bare, values)
    if obj["metadata"].get("annotations") == {}:
        again = {**again, "metadata": {**again["metadata"], "annotations": {}}}
    assert again == obj
    assert not shows_values(bare)
    kept = values_secret("v", "n", KIND, of="m", values=values)
    assert values_in(kept, KIND) == values


@given(st.sampled_from(["data", "stringData", "annotations"]))
def test_no_value_stays(place):
    if place == "annotations":
        obj = secret("", annotations={names.KUBECTL_LAST_APPLIED_ANNOTATION: PLANTED})
    else:
        obj = {**secret(""), place: {"k": PLANTED, "l": [PLANTED]}}
    assert PLANTED not in json.dumps(parted(obj)[0])


def test_a_value_written_into_the_bare_object_counts_and_a_key_taken_out_stays_away():
    bare, values = parted({**secret(), "data": {"a": "MQ==", "b": "Mg==", "c": ""}})
    assert bare["data"] == {"a": "", "b": "", "c": ""}
    assert joined({**bare, "data": {"a": "", "new": "Mw==", "c": ""}}, values)["data"] == {
        "a": "MQ==",
        "new": "Mw==",
        "c": "",
    }


def test_only_secrets_of_kubernetes_have_values():
    assert is_secret(secret())
    assert not is_secret({**secret(), "apiVersion": "example.org/v1"})
    for other in ({"kind": ["Secret"]}, {**secret(), "metadata": None}, None, [], "Secret"):
        assert not is_secret(other)


@pytest.mark.parametrize("annotations", [None, [], "x", 1])
def test_annotations_of_a_wrong_form_harm_nothing(annotations):
    odd = secret(annotations=annotations)
    bare, values = parted(odd)
    assert joined(bare, values) == odd
    assert values_name(odd) is None
    assert referring(odd, None) == odd
    sealed, kept = seal().take(odd, REFERENCE)
    assert values_name(sealed) == kept["metadata"]["name"]
    assert build_generic(BASE, rendering(odd), None, seal()).values


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "Opaque"},
        {"type": names.DESCRIPTION_VALUES_TYPE},
        {"data": None},
        {"data": {"values": "%"}},
        {"data": {"values": base64.b64encode(b"plain").decode()}},
        {"data": {"values": base64.b64encode(zlib.compress(b"[]")).decode()}},
        {"data": {"values": base64.b64encode(zlib.compress(b'{"annotations": 1}')).decode()}},
        {"data": {"values": base64.b64encode(zlib.compress(b'{"data": "' + b"x" * MAX_CONTENT + b'"}')).decode()}},
    ],
)
def test_what_holds_no_values_is_refused_without_being_shown(broken):
    kept = values_secret("v", "n", KIND, of="m", values={"data": {"k": PLANTED}})
    with pytest.raises(MalformedValues) as refused:
        values_in({**kept, **broken}, KIND)
    assert PLANTED not in str(refused.value)


def seal(key=b"key", uid="base"):
    return Seal(key, "edge", {**OWNER, "uid": uid})


def test_the_name_of_values_follows_from_them_and_from_a_key():
    bare, kept = seal().take(secret(), REFERENCE)
    assert values_name(bare) == kept["metadata"]["name"]
    assert kept["metadata"]["ownerReferences"] == [{key: OWNER[key] for key in OWNER if key != "controller"}]
    assert kept["immutable"] is True
    assert referring(joined(bare, values_in(kept, names.DESCRIPTION_VALUES_TYPE)), None) == secret()
    same = seal().take(secret(labels={"a": "b"}), REFERENCE)[1]
    assert same == kept
    others = [
        seal().take(secret("other"), REFERENCE),
        seal(b"other").take(secret(), REFERENCE),
        seal(uid="anew").take(secret(), REFERENCE),
        seal().take(secret(namespace="m"), REFERENCE),
    ]
    assert len({one["metadata"]["name"] for _, one in others} | {kept["metadata"]["name"]}) == 5
    assert seal().take({**secret(), "data": {}}, REFERENCE) == ({**secret(), "data": {}}, None)


def rendering(obj):
    return Rendering([RenderedObject(REFERENCE, obj)])


def test_a_description_refers_to_values_and_changes_exactly_when_they_do():
    built = build_generic(BASE, rendering(secret()), None, seal())
    [name] = referred_values(built.description)
    assert set(built.values) == {name}
    assert PLANTED not in base64.b64decode(built.description["spec"]["raw"][0]).decode()
    again = build_generic(BASE, rendering(secret()), built.description, seal())
    assert again.description["spec"] == built.description["spec"]
    changed = build_generic(BASE, rendering(secret("other")), built.description, seal())
    assert changed.description["spec"] != built.description["spec"]
    assert set(changed.values) != set(built.values)


def test_what_stays_as_it_was_keeps_its_reference_or_gets_one():
    faulty = render(BASE["spec"]["feeds"], lambda feed: [], (), (), ())
    before = build_generic(BASE, rendering(secret()), None, seal()).description
    kept = build_generic(BASE, faulty, before, seal())
    assert kept.description["spec"] == before["spec"]
    assert list(kept.values.values()) == [None]
    inline = build_generic(BASE, rendering(secret()), None).description
    assert decode(inline["spec"]["raw"][0]) == secret()
    moved = build_generic(BASE, faulty, inline, seal())
    assert moved.description["spec"] == before["spec"]
    assert None not in moved.values.values()


def manifest(obj, **more):
    labels = {
        names.CONFIG_KIND_LABEL: "Secret",
        names.CONFIG_VERSION_LABEL: "v1",
        names.CONFIG_NAME_LABEL: "s",
        names.CONFIG_NAMESPACE_LABEL: "n",
    }
    return {"kind": "Manifest", "metadata": {"name": "m", "labels": labels}, "template": obj, **more}


def test_a_user_cant_say_where_values_are():
    stolen = referring(secret(), "child-cluster-deployer")
    [part] = render(BASE["spec"]["feeds"], lambda feed: [manifest(stolen)], (), (), ()).generic
    assert values_name(part.object) is None


def test_lost_values_are_a_problem_not_empty_values():
    found = render(BASE["spec"]["feeds"], lambda feed: [manifest(secret(""), **{INCOMPLETE: LOST})], (), (), ())
    assert found.generic == []
    assert [problem.reason for problem in found.problems] == ["ValuesMissing"]
    assert "data" not in without_data(secret())


def cluster(sync_mode="Pull", annotation=None, **status):
    annotations = {names.READS_VALUES_ANNOTATION: annotation} if annotation else {}
    return {
        "metadata": {"name": "edge-1", "annotations": annotations},
        "spec": {"syncMode": sync_mode},
        "status": {"lastObservedTime": "2026-11-29T00:00:00Z", **status},
    }


def test_agents_that_dont_say_so_cant_read_references():
    assert unreadable(None) is None
    assert unreadable(cluster(annotation="true")) is None
    assert unreadable(cluster("Push", appPusher=True)) is None
    assert unreadable(cluster("Dual", appPusher=True)) is None
    assert "clusternet_hub_published_secrets" in unreadable(cluster())
    assert "clusternet_hub_published_secrets" in unreadable(cluster("Dual", appPusher=False))
    assert "first heartbeat" in unreadable(cluster(lastObservedTime=None))
    assert "first heartbeat" in unreadable(cluster("Dual"))
    assert unreadable(cluster("Push")) is None
    found = rendering(secret())
    found.generic.append(RenderedObject("v1/ConfigMap/n/c", {"kind": "ConfigMap", "apiVersion": "v1"}))
    withhold_secrets(found, BASE["spec"]["feeds"], "why")
    assert [(problem.reason, problem.message) for problem in found.problems] == [
        ("ValuesUnreadable", "Secret n/s: why")
    ]
