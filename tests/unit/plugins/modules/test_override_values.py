"""What overrides have set doesn't show in the objects of Descriptions, unless it is asked for."""

import base64
import json

import pytest

APPS = "/apis/apps.clusternet.io/v1alpha1"
PLANTED = "planted-s3cret"
OBJECT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "namespace": "foo"},
    "spec": {"replicas": 7, "paused": True, "template": {"image": "nginx:1", "args": ["--password", PLANTED]}},
}
CHART = {"kind": "HelmChart", "metadata": {"name": "h", "namespace": "foo"}, "spec": {"chart": "h", "version": PLANTED}}


def coded(obj):
    return base64.b64encode(json.dumps(obj).encode()).decode()


def override(value, kind="Deployment", name="d"):
    feed = {"apiVersion": "v1", "kind": kind, "namespace": "foo", "name": name}
    return {"metadata": {"name": "o"}, "spec": {"feed": feed, "overrides": [{"type": "any", "value": value}]}}


def found(server, run_module, **options):
    """The object and the spec of the chart that the module returns."""
    generic = {"deployer": "Generic", "raw": [coded(OBJECT)]}
    helm = {"deployer": "Helm", "charts": [{"name": "h", "namespace": "foo"}], "chartRaw": [coded(CHART)], "raw": []}
    server.objects[f"{APPS}/descriptions"] = [
        {"metadata": {"name": name, "namespace": "ns"}, "kind": "Description", "spec": spec, "status": {}}
        for name, spec in (("a", generic), ("b", helm))
    ]
    result = run_module("description_info", server.url, **options)
    assert not result.get("failed"), result
    generic, helm = result["descriptions"]
    return generic["objects"][0], helm["charts"][0]["spec"]


@pytest.mark.parametrize(
    "value",
    [
        json.dumps({"spec": {"replicas": 7, "template": {"args": [PLANTED]}}}),
        json.dumps([{"op": "add", "path": "/spec/template/args/-", "value": PLANTED}]),
        f"spec:\n  replicas: 7\n  template: {{args: [{PLANTED}]}}",
    ],
)
@pytest.mark.parametrize("kind", ["localizations", "globalizations"])
def test_a_value_of_an_override_is_hidden_where_it_went(server, run_module, kind, value):
    server.objects[f"{APPS}/{kind}"] = [override(value), override(PLANTED, "HelmChart", "h")]
    obj, chart = found(server, run_module)
    assert PLANTED not in json.dumps([obj, chart])
    assert obj["spec"]["template"]["image"] == "nginx:1"
    assert obj["spec"]["paused"] is True
    assert obj["metadata"] == OBJECT["metadata"]
    assert (obj["spec"]["replicas"] == 7) == ("replicas" not in value)
    assert found(server, run_module, show_values=True) == (OBJECT, CHART["spec"])


def test_a_text_in_which_an_override_has_changed_a_field_is_hidden(server, run_module):
    changed = override(json.dumps({"image": PLANTED}))
    changed["spec"]["overrides"][0]["fieldPath"] = "/spec/template/args/0"
    server.objects[f"{APPS}/localizations"] = [changed]
    server.objects[f"{APPS}/globalizations"] = []
    obj, _chart = found(server, run_module)
    assert obj["spec"]["template"]["args"][0].startswith("hidden, digest")
    assert obj["spec"]["template"]["image"] == "nginx:1"


def test_without_the_right_to_read_overrides_all_values_are_hidden(server, run_module):
    server.forbidden = {f"{APPS}/globalizations"}
    server.objects[f"{APPS}/localizations"] = []
    obj, chart = found(server, run_module)
    assert obj["metadata"] == OBJECT["metadata"]
    assert {"replicas", "template"} <= set(obj["spec"])
    assert "nginx" not in json.dumps(obj)
    assert PLANTED not in json.dumps(chart)


def test_overrides_of_something_else_hide_nothing(server, run_module):
    server.objects[f"{APPS}/localizations"] = [override(json.dumps({"a": PLANTED}), name="another")]
    server.objects[f"{APPS}/globalizations"] = []
    assert found(server, run_module) == (OBJECT, CHART["spec"])
