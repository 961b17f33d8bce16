"""Secrets never show, whatever surrounds them; what changed still does."""

import json

from ansible_collections.clusternet.core.plugins.module_utils.redact import Redactor, private_texts
from hypothesis import given
from hypothesis import strategies as st

PLANTED = "planted-s3cret"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
HOLDERS = st.sampled_from(
    [
        {"kind": "Secret", "metadata": {"name": "s"}, "data": {"k": PLANTED}},
        {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": PLANTED}},
        {
            "kind": "Secret",
            "metadata": {"name": "s", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": PLANTED}},
        },
        {"kind": "ClusterRegistrationRequest", "metadata": {"name": "r"}, "status": {"token": PLANTED}},
        {"kind": "Description", "metadata": {"name": "d"}, "spec": {"raw": [PLANTED], "chartRaw": [PLANTED]}},
        {"kind": "HelmRelease", "metadata": {"name": "h"}, "spec": {"overrides": PLANTED}},
        *(
            {"kind": kind, "metadata": {"name": "o"}, "spec": {"feed": {"kind": "HelmChart"}, "overrides": overrides}}
            for kind in ("Localization", "Globalization")
            for overrides in (
                [{"type": "Helm", "value": f'{{"auth": {{"password": "{PLANTED}"}}}}'}],
                [{"type": "Helm", "value": f"auth: [{{password: {PLANTED}}}]"}],
                [{"type": "Helm", "value": f"a: &a [{PLANTED}]\nb: *a"}],
                [{"type": "JSONPatch", "value": f'[{{"op": "add", "path": "/a", "value": ["{PLANTED}"]}}]'}],
                [{"type": "MergePatch", "value": f"{{ {PLANTED}"}],
                [{"type": "MergePatch", "value": f"# {PLANTED}"}, PLANTED],
                PLANTED,
            )
        ),
    ]
)


@given(HOLDERS, st.lists(st.text(max_size=5) | st.none(), max_size=4), JSON)
def test_planted_secrets_never_show_however_deep(holder, path, other):
    value = holder
    for key in path:
        value = [other, value] if key is None else {key: value, "other": other}
    shown = json.dumps(Redactor().hide(value))
    assert PLANTED not in shown


def localization(value, kind="HelmChart", how="Helm"):
    spec = {"feed": {"kind": kind, "name": "c"}, "overrides": [{"name": "o", "type": how, "value": value}]}
    return {"kind": "Localization", "metadata": {"name": "l"}, "spec": spec}


def shown_value(redactor, *arguments, **options):
    return redactor.hide(localization(*arguments, **options))["spec"]["overrides"][0]["value"]


def test_the_keys_of_an_override_show_which_changes():
    redactor = Redactor()
    before = shown_value(redactor, '{"auth": {"user": "a", "password": "b"}, "ports": [1, 2]}')
    after = shown_value(redactor, "auth: {user: a, password: c}\nports: [1, 2]")
    assert before["auth"]["user"] == after["auth"]["user"]
    assert before["auth"]["password"] != after["auth"]["password"]
    assert before["ports"] == after["ports"]
    assert len(before["ports"]) == 2


def test_a_json_patch_shows_its_operations_without_values():
    patch = [{"op": "replace", "path": "/spec/a", "value": PLANTED}, {"op": "move", "from": "/b", "path": "/c"}]
    shown = shown_value(Redactor(), json.dumps(patch), how="JSONPatch")
    assert shown == [{**patch[0], "value": shown[0]["value"]}, patch[1]]
    assert PLANTED not in json.dumps(shown)


def test_show_values_shows_overrides_and_charts_but_never_what_is_in_secrets():
    redactor = Redactor(show_values=True)
    assert shown_value(redactor, "a: b") == "a: b"
    assert redactor.values({"a": "b"}) == {"a": "b"}
    assert PLANTED not in json.dumps(redactor.hide(localization(f"data: {{k: {PLANTED}}}", kind="Secret")))
    assert PLANTED not in json.dumps(
        redactor.hide({"kind": "Secret", "metadata": {"name": "s"}, "data": {"k": PLANTED}})
    )


def test_private_texts_are_those_that_are_hidden_in_every_form_they_have():
    secret = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "cGxhaW4="}, "stringData": {"k": "text"}}
    override = {"feed": {"kind": "HelmChart"}, "overrides": [{"type": "Helm", "value": "a: {b: [deep]}"}]}
    data = {"feed": {"kind": "HelmChart"}, "overrides": [{"type": "Helm", "value": {"a": "leaf"}}]}
    found = set(private_texts([{"other": secret}, override, data]))
    assert found == {"cGxhaW4=", "plain", "text", "a: {b: [deep]}", "deep", "leaf"}


@given(JSON)
def test_other_values_stay_as_they_are(value):
    if "kind" not in json.dumps(value):
        assert Redactor().hide(value) == value


@given(st.text(), st.text())
def test_digests_tell_same_from_different_within_a_run_only(one, other):
    redactor = Redactor()
    assert (redactor.digest(one) == redactor.digest(other)) == (one == other)
    assert Redactor().digest(one) != redactor.digest(one)


def test_pain_12_a_diff_leaves_out_what_only_the_server_sets():
    obj = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "uid": "u", "resourceVersion": "1", "managedFields": [], "labels": {"a": "b"}},
        "data": {"key": "dmFsdWU="},
        "status": {},
    }
    shown = Redactor(b"k").visible(obj)
    assert shown["metadata"] == {"name": "s", "labels": {"a": "b"}}
    assert "status" not in shown
    assert obj["data"] == {"key": "dmFsdWU="}


def planted_in(value, steps):
    """Copy of a JSON value with a secret put in where the steps lead."""
    if isinstance(value, dict) and value and steps:
        key = sorted(value)[steps[0] % len(value)]
        return {**value, key: planted_in(value[key], steps[1:])}
    if isinstance(value, list) and value and steps:
        number = steps[0] % len(value)
        return [*value[:number], planted_in(value[number], steps[1:]), *value[number + 1 :]]
    return {"new": [PLANTED]} if len(steps) % 2 else PLANTED


@given(JSON, st.lists(st.integers(0, 5), max_size=5))
def test_what_an_override_puts_into_an_object_never_shows(spec, steps):
    plain = {"kind": "ConfigMap", "metadata": {"name": "c"}, "spec": spec}
    overridden = {**plain, "spec": planted_in(spec, steps)}
    redactor = Redactor()
    assert PLANTED not in json.dumps(redactor.without(overridden, redactor.changed(overridden, plain)))
    assert redactor.without(plain, redactor.changed(plain, plain)) == plain
    known = Redactor(show_values=True)
    assert known.without(overridden, known.changed(overridden, plain)) == overridden


def test_of_an_object_that_is_unknown_without_overrides_only_its_name_shows():
    redactor = Redactor()
    overridden = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "n"},
        "data": {"a": "b"},
    }
    shown = redactor.without(overridden, redactor.changed(overridden, None))
    assert shown == {**overridden, "data": {"a": redactor.digest("b")}}
