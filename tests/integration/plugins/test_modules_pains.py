"""What neighbouring collections got wrong, tried against a real API server."""

import threading
import time
import uuid
from pathlib import Path

from ansible_collections.clusternet.core.plugins.module_utils.auth import connection_settings
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.definitions import from_files, ordered, prepare
from ansible_collections.clusternet.core.plugins.module_utils.objects import Work
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import Reconciler
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline

CLUSTERS = "/apis/clusters.clusternet.io/v1beta1"
SECRET = "planted-s3cret-value"
UNREACHABLE = {"host": "https://127.0.0.1:1", "api_key": "planted-s3cret-token", "kubeconfig": ""}


def objects(*definitions, **options):
    return {"clusternet.core.objects": {"definitions": list(definitions), **options}}


def config_map(name, namespace="default", **data):
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def secret(name, **data):
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def test_pain_3_nothing_is_answered_from_a_cache(play, fleet):
    fleet.add("cached")
    read, unreachable = play(
        {"clusternet.core.managed_cluster_info": {"names": ["cached"]}},
        {"clusternet.core.managed_cluster_info": {"names": ["cached"], **UNREACHABLE}},
    ).results
    assert len(read["clusters"]) == 1
    assert unreachable["failed"] is True
    assert unreachable["failure"]["code"] == "ConnectionFailed"


def test_pain_5_misspelt_fields_are_refused(play):
    run = play(objects({**config_map("misspelt"), "dta": {"a": "b"}}))
    assert run.results[0]["failed"] is True
    assert "dta" in run.results[0]["msg"]


def test_pain_7_and_9_wait_sees_the_new_status_as_soon_as_it_is_there(play, fleet):
    cluster = fleet.add("late", ready="False")
    report = threading.Timer(8, fleet.report, (cluster, "True"))
    report.start()
    started = time.monotonic()
    result = play(
        {"clusternet.core.managed_cluster": {"names": ["late"], "labels": {"a": "b"}, "wait": True, "wait_timeout": 90}}
    ).results[0]
    report.join()
    assert not result["failed"], result
    assert time.monotonic() - started >= 8
    assert result["clusters"][0]["cluster"]["ready"] == "True"


def test_pain_7_a_timeout_says_what_is_missing(play, fleet):
    fleet.add("never", ready="False")
    result = play(
        {"clusternet.core.managed_cluster_info": {"names": ["never"], "wait": True, "wait_timeout": 1}}
    ).results[0]
    assert result["failed"] is True
    assert result["failure"]["code"] == "Timeout"
    assert "never: Ready is False (reported False)" in result["msg"]


def test_pain_8_waiting_for_nothing_returns_at_once(play, crds):
    chosen = {"label_selector": "nobody=has-this", "wait": True, "wait_timeout": 1}
    at_once, minimum = play(
        {"clusternet.core.managed_cluster_info": chosen},
        {"clusternet.core.managed_cluster_info": {**chosen, "wait_min_count": 1}},
    ).results
    assert at_once["clusters"] == []
    assert not at_once["failed"]
    assert minimum["failed"] is True
    assert "0 of 1 clusters are registered" in minimum["msg"]


def test_pain_10_and_11_check_mode_predicts_a_namespace_and_its_content(play, parent):
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "only-predicted"}}
    run = play(objects(namespace, config_map("c", "only-predicted", a="b")), arguments=["--check", "--diff"])
    assert [item["action"] for item in run.results[0]["objects"]] == ["created", "created"]
    assert run.results[0]["objects"][1]["predicted"] is True
    assert parent.get("/api/v1/namespaces/only-predicted") is None


def test_pain_10_check_mode_does_not_delete(play, parent):
    definition = config_map("kept", a="b")
    play(objects(definition))
    predicted = play(objects(definition, state="absent"), arguments=["--check"]).results[0]
    assert predicted["changed"] is True
    assert parent.get("/api/v1/namespaces/default/configmaps/kept") is not None
    assert play(objects(definition, state="absent", wait=True)).results[0]["changed"] is True
    assert parent.get("/api/v1/namespaces/default/configmaps/kept") is None


def test_pain_12_and_13_no_secret_is_shown(play):
    first, second = secret("shown", key=SECRET), secret("shown", key=SECRET + "-2")
    token = {"clusternet.core.bootstrap_token": {"token": "abcdef.planteds3cret000"}}
    run = play(
        objects(first),
        objects(second),
        objects(second, state="absent"),
        token,
        {"clusternet.core.bootstrap_token": {"token_id": "abcdef", "state": "absent"}},
        arguments=["-vvv", "--diff"],
    )
    assert [result["failed"] for result in run.results] == [False] * 5, run.results
    assert "planted" not in run.output
    assert "cGxhbnRlZC1zM2NyZXQ" not in run.output  # the same in base64
    created, updated, deleted = (result["diff"][0] for result in run.results[:3])
    assert created["before"] == {}
    assert created["after"]["data"]["key"].startswith("hidden, digest ")
    assert updated["before"]["data"]["key"] != updated["after"]["data"]["key"]
    assert deleted["after"] == {}


def test_pain_14_what_others_changed_is_taken_back_once(play, parent):
    definition = config_map("drifting", a="b")
    play(objects(definition))
    path = "/api/v1/namespaces/default/configmaps/drifting"
    parent.request("PATCH", path, None, {"data": {"a": "other", "more": "kept"}}, "application/merge-patch+json")
    back, again = play(objects(definition), objects(definition)).results
    assert (back["changed"], again["changed"]) == (True, False)
    assert parent.get(path)["data"] == {"a": "b", "more": "kept"}
    fewer = config_map("drifting")
    assert play(objects(fewer)).results[0]["changed"] is True
    assert parent.get(path)["data"] == {"more": "kept"}
    play(objects(definition, state="absent"))


def test_an_unchanged_object_costs_one_get(crds, parent_kubeconfig):
    sent: list[str] = []

    class Counting(Client):
        def request(self, method, path, *arguments):
            sent.append(method)
            return super().request(method, path, *arguments)

    folder = Path(__file__).parents[3] / "roles" / "hub" / "files" / "crds"
    definitions = ordered(prepare("src", from_files("src", [str(path) for path in folder.glob("*.yaml")])))
    client = Counting(connection_settings({"kubeconfig": str(parent_kubeconfig)}))
    result: dict = {"changed": False}
    Work(Reconciler(client, False), definitions, result, Deadline(60)).apply(wait=True)
    assert result["changed"] is False
    assert sent == ["GET"] * len(definitions)


def test_a_dead_cluster_is_removed_without_a_trace(play, fleet, parent):
    cluster = fleet.add("dead", ready="Unknown")
    namespace, cluster_id = cluster["metadata"]["namespace"], cluster["spec"]["clusterId"]
    bases = f"/apis/apps.clusternet.io/v1alpha1/namespaces/{namespace}/bases"
    base = {
        "apiVersion": "apps.clusternet.io/v1alpha1",
        "kind": "Base",
        "metadata": {"name": "web", "finalizers": ["apps.clusternet.io/finalizer"]},
        "spec": {"feeds": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "c"}]},
    }
    parent.request("POST", bases, None, base)
    absent = {"names": ["dead"], "state": "absent", "wait": True, "wait_timeout": 90}
    refused, removed, again = play(
        {"clusternet.core.managed_cluster": absent},
        {"clusternet.core.managed_cluster": {**absent, "force": True}},
        {"clusternet.core.managed_cluster": absent},
    ).results
    assert "Base web" in refused["msg"]
    assert refused["changed"] is False
    assert not removed["failed"], removed
    assert {"where": "parent", "what": f"Namespace {namespace}"} in removed["clusters"][0]["removed"]
    assert any(item["what"].startswith("Secret clusternet-system/") for item in removed["clusters"][0]["left"])
    assert again["changed"] is False
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    for path in (
        f"/api/v1/namespaces/{namespace}",
        f"{CLUSTERS}/clusterregistrationrequests/clusternet-{cluster_id}",
        f"{rbac}/clusterroles/clusternet-{cluster_id}",
        f"{rbac}/clusterrolebindings/clusternet-{cluster_id}",
    ):
        assert parent.get(path) is None, path


def test_a_request_is_approved_and_denied(play, crds, parent):
    cluster_id = str(uuid.uuid4())
    asked = {"cluster_id": cluster_id, "cluster_name": "decided", "result": "approved"}
    denied = {"cluster_id": cluster_id, "result": "denied", "reason": "stolen"}
    path = f"{CLUSTERS}/clusterregistrationrequests/clusternet-{cluster_id}"
    module = "clusternet.core.registration"
    try:
        missing, predicted = play(
            {module: {"cluster_id": cluster_id, "result": "denied"}}, {module: asked}, arguments=["--check"]
        ).results
        assert missing["failure"]["code"] == "NotFound"
        assert (predicted["changed"], predicted["request"]["result"]) == (True, "Approved")
        assert parent.get(path) is None
        made, again, refused, once_more, unsaid = play(
            {module: asked},
            {module: asked},
            {module: denied},
            {module: denied},
            {module: {"cluster_id": cluster_id, "result": "denied"}},
            arguments=["--diff"],
        ).results
        assert (made["changed"], made["request"]["result"]) == (True, "Approved")
        assert (again["changed"], once_more["changed"], unsaid["changed"]) == (False, False, False)
        assert refused["changed"]
        assert refused["request"]["error_message"] == "DeniedByAdministrator: stolen"
        assert "Denied" in str(refused["diff"])
        status = {"errorMessage": "WaitingForApproval: x", "result": None}
        parent.request("PATCH", f"{path}/status", None, {"status": status}, content_type="application/merge-patch+json")
        waiting, others = play(
            {"clusternet.core.registration_info": {"waiting": True, "cluster_ids": [cluster_id]}},
            {"clusternet.core.registration_info": {"waiting": False, "cluster_ids": [cluster_id]}},
        ).results
        assert [one["waiting_for_approval"] for one in waiting["requests"]] == [True]
        assert "result: approved" in waiting["requests"][0]["explanation"]
        assert others["requests"] == []
    finally:
        parent.request("DELETE", path)
