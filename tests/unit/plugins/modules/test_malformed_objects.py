"""Modules that read what children and users have written: what is malformed is named, everything else is returned."""

import base64
import json

import pytest
from ansible.module_utils.basic import AnsibleModule

APPS = "/apis/apps.clusternet.io/v1alpha1"
GOOD = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "foo"}}
DEEP = json.loads('{"a":' * 900 + "1" + "}" * 900)


def coded(text):
    return base64.b64encode(text.encode()).decode()


def description(name, spec, **status):
    metadata = {"name": name, "namespace": "ns-1", "uid": f"u-{name}", "generation": 1, "labels": {}}
    return {"metadata": metadata, "kind": "Description", "spec": spec, "status": status}


def test_a_chart_without_values_is_a_chart(server, run_module):
    """Clusternet and our hub write the base64 of one blank where a chart has no values."""
    spec = {
        "deployer": "Helm",
        "charts": [{"name": "mysql", "namespace": "default"}],
        "chartRaw": [coded('{"spec": {"chart": "mysql"}}')],
        "raw": [coded(" ")],
    }
    server.objects[f"{APPS}/descriptions"] = [description("app-helm", spec)]
    result = run_module("description_info", server.url)
    assert not result.get("failed"), result
    (found,) = result["descriptions"]
    assert found["charts"] == [
        {"name": "mysql", "namespace": "default", "spec": {"chart": "mysql"}, "values": None},
    ]
    assert found["malformed"] == []


@pytest.mark.parametrize("bad", ["!", coded("no JSON"), coded("[]"), coded("{}"), coded('{"a":' * 3000 + "}" * 3000)])
def test_description_info_names_what_is_malformed_and_returns_the_rest(server, run_module, bad):
    spec = {"deployer": "Generic", "raw": [coded(json.dumps(GOOD)), bad]}
    server.objects[f"{APPS}/descriptions"] = [
        description("bad", spec),
        description("good", {"deployer": "Generic", "raw": [coded(json.dumps(GOOD))]}),
    ]
    result = run_module("description_info", server.url)
    assert not result.get("failed"), result
    assert [found["objects"] for found in result["descriptions"]] == [[GOOD], [GOOD]]
    assert [len(found["malformed"]) for found in result["descriptions"]] == [1, 0]
    assert result["descriptions"][0]["malformed"][0].startswith("entry 1 of spec.raw ")


def test_an_object_that_is_nested_too_deeply_is_named_in_a_warning(server, run_module, monkeypatch):
    warned = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda self, text: warned.append(text))
    entry = {"apiVersion": "v1", "kind": "Job", "name": "j", "namespace": "foo", "observedStatus": DEEP}
    server.objects[f"{APPS}/descriptions"] = [
        description("deep", {"deployer": "Generic", "raw": []}, manifestStatuses=[entry]),
        description("good", {"deployer": "Generic", "raw": [coded(json.dumps(GOOD))]}),
    ]
    result = run_module("description_info", server.url)
    assert not result.get("failed"), result
    assert result["descriptions"][1]["objects"] == [GOOD]
    assert [warning.partition(";")[0] for warning in warned] == [
        "Description ns-1/deep is nested deeper than 200 levels"
    ]


@pytest.mark.parametrize(
    "status", [{"conditions": ["not an object"]}, {"conditions": 7}, {"conditions": [{"type": [], "status": "True"}]}]
)
def test_subscription_info_takes_a_malformed_status_as_not_available(server, run_module, status):
    uid = "0c4a9f0e-9d1c-4f0b-8f5e-b7f2f7f7a001"
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "foo"}}
    feed = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "namespace": "foo"}
    made = description(
        "app-generic",
        {"deployer": "Generic", "raw": [coded(json.dumps(job))]},
        phase="Success",
        manifestStatuses=[{**feed, "observedStatus": status}],
    )
    made["metadata"]["labels"] = {"apps.clusternet.io/subs.uid": uid, "clusters.clusternet.io/cluster-name": "edge-1"}
    server.objects |= {
        f"{APPS}/subscriptions": [
            {
                "metadata": {"name": "app", "namespace": "default", "uid": uid, "generation": 1},
                "spec": {"feeds": [feed]},
                "status": {"bindingClusters": ["ns-1/edge-1"]},
            }
        ],
        f"{APPS}/descriptions": [made],
        f"{APPS}/helmreleases": [],
    }
    result = run_module("subscription_info", server.url)
    assert not result.get("failed"), result
    (found,) = result["subscriptions"]
    assert found["problems"] == ["edge-1: Job foo/j: the status that its cluster reports of it is malformed"]
