"""What modules are given comes back without secrets: in results, diffs and invocations, and in errors of any kind."""

import base64
import json

import pytest

PLANTED = "planted-s3cret"
ENCODED = base64.b64encode(PLANTED.encode()).decode()
FEED = {"kind": "HelmChart", "namespace": "default", "name": "mysql"}
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}}
APPS = "/apis/apps.clusternet.io/v1alpha1"


def override(value, **more):
    return {"name": "o", "namespace": "edge", "feed": FEED, "overrides": [{"type": "Helm", "value": value}], **more}


def globalization(value, **more):
    return {key: item for key, item in override(value, **more).items() if key != "namespace"}


SECRETS = [
    {**SECRET, "data": {"k": ENCODED}},
    {**SECRET, "stringData": {"k": PLANTED}},
]
CASES = [
    *(
        (module, {option: [make(value)]})
        for module, option, make in (
            ("localization", "localizations", override),
            ("globalization", "globalizations", globalization),
        )
        for value in ({"auth": {"password": PLANTED}}, f"auth:\n  password: {PLANTED}\n", f"broken: [{PLANTED}")
    ),
    *(
        (module, {"definitions": [definition], **more})
        for module, more in (("objects", {}), ("manifest", {}), ("child_object", {"names": ["edge-1"]}))
        for definition in SECRETS
    ),
    ("render", {"definitions": SECRETS[:1], "localizations": [override({"a": PLANTED})]}),
    ("render", {"globalizations": [globalization({"a": PLANTED})]}),
    ("manifest", {"definitions": [json.dumps(SECRETS[0])]}),
]


def leaks(result):
    text = json.dumps(result)
    return PLANTED in text or ENCODED in text


@pytest.mark.parametrize(("module", "options"), CASES)
@pytest.mark.parametrize("wrong", [{}, {"state": "there", "show_values": "neither"}, {"unknown": 1}])
def test_no_option_comes_back_in_clear(server, run_module, module, options, wrong):
    result = run_module(module, server.url, **options, **wrong)
    assert "invocation" in result
    assert not leaks(result), result


def test_options_of_a_wrong_form_come_back_as_digests(server, run_module):
    for options in (
        {"localizations": PLANTED},
        {"localizations": [PLANTED]},
        {"localizations": [{**override(1), "overrides": PLANTED}]},
        {"localizations": [{**override(1), "overrides": [PLANTED]}]},
    ):
        result = run_module("localization", server.url, **options)
        assert result["failed"]
        assert PLANTED not in json.dumps(result["invocation"]), options


def test_a_diff_shows_what_changes_as_digests_unless_values_are_asked_for(server, run_module):
    path = f"{APPS}/namespaces/edge/localizations/o"
    server.objects[path] = {
        "metadata": {"name": "o", "namespace": "edge", "uid": "u"},
        "spec": {
            "overridePolicy": "ApplyNow",
            "priority": 500,
            "feed": {"apiVersion": "apps.clusternet.io/v1alpha1", **FEED},
            "overrides": [{"type": "Helm", "value": '{"auth": {"password": "old", "user": "same"}}'}],
        },
    }
    given = {"localizations": [override({"auth": {"password": PLANTED, "user": "same"}})]}
    result = run_module("localization", server.url, **given)
    assert result["changed"]
    assert not leaks(result), result
    before, after = (result["diff"][0][side]["spec"]["overrides"][0]["value"]["auth"] for side in ("before", "after"))
    assert before["user"] == after["user"]
    assert before["password"] != after["password"]
    shown = run_module("localization", server.url, show_values=True, **given)
    assert PLANTED in json.dumps(shown["diff"])
    assert PLANTED in json.dumps(shown["invocation"])
    server.objects[path]["spec"]["overrides"][0]["value"] = '{"auth": {"password": "planted-s3cret", "user": "same"}}'
    assert run_module("localization", server.url, **given)["changed"] is False


def test_an_error_that_quotes_a_value_loses_just_that(server, run_module, monkeypatch):
    from ansible_collections.clusternet.core.plugins.module_utils.client import Client
    from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError

    quoted = f'spec.overrides[0].value: Invalid value: "{PLANTED}": and "abc" is too short'

    def refuse(self, method, path, *arguments):
        raise ApiError(422, "Invalid", quoted, {"causes": [{"message": quoted, "field": "spec"}]}, method, path)

    monkeypatch.setattr(Client, "request", refuse)
    monkeypatch.setattr(Client, "get", lambda *arguments: None)
    for options in ({"a": PLANTED, "b": "abc", "c": "spec"}, f"a: {PLANTED}\nb: abc"):
        result = run_module("localization", server.url, check_mode=False, localizations=[override(options)])
        assert result["failed"]
        assert not leaks(result), result
        assert "spec.overrides[0].value: Invalid value" in result["msg"]
        assert '"abc"' not in result["msg"]


def test_secrets_of_children_are_read_as_digests_unless_values_are_asked_for(server, run_module, monkeypatch):
    from ansible_collections.clusternet.core.plugins.module_utils.children import Children

    def each(self, action, **fields):
        class Reconciler:
            client = self._doing.connect()

        item = {**fields}
        action(Reconciler(), item)
        self._doing.result["clusters"] = [item]

    monkeypatch.setattr(Children, "each", each)
    server.objects["/api/v1/namespaces/default/secrets/s"] = SECRETS[0]
    options = {"names": ["edge-1"], "objects": [{"kind": "Secret", "name": "s", "namespace": "default"}]}
    hidden = run_module("child_object_info", server.url, **options)
    assert not leaks(hidden), hidden
    assert set(hidden["clusters"][0]["objects"][0]["data"]) == {"k"}
    assert leaks(run_module("child_object_info", server.url, show_values=True, **options))
