"""Judging and merging native objects by what was applied last."""

import json

from ansible_collections.clusternet.core.plugins.module_utils.last_applied import (
    ANNOTATION,
    contains,
    is_as_wanted,
    merged,
    remembering,
)


def deployment(image="nginx:1", **spec):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "foo", "labels": {"app": "web"}},
        "spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}, **spec},
    }


def with_defaults(wanted):
    """What the parent makes of it: defaults in lists, too, and a label of its own."""
    live = json.loads(json.dumps(wanted))
    live["metadata"]["labels"]["clusternet.io/created-by"] = "clusternet-hub"
    live["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "IfNotPresent"
    live["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"
    return live


def test_what_was_applied_and_not_changed_since_is_as_wanted():
    wanted = remembering(deployment())
    assert is_as_wanted(with_defaults(wanted), wanted)
    assert not is_as_wanted(with_defaults(remembering(deployment("nginx:2"))), wanted)
    changed = with_defaults(wanted)
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    assert not is_as_wanted(changed, wanted)
    assert not is_as_wanted(with_defaults(deployment()), wanted)


def test_defaults_stay_when_something_is_changed():
    live = with_defaults(remembering(deployment(replicas=1)))
    result = merged(live, remembering(deployment(replicas=2)))
    assert result["spec"]["replicas"] == 2
    assert result["spec"]["template"]["spec"]["dnsPolicy"] == "ClusterFirst"
    container = result["spec"]["template"]["spec"]["containers"][0]
    assert container == {"name": "web", "image": "nginx:1", "imagePullPolicy": "IfNotPresent"}
    assert result["metadata"]["labels"] == {"app": "web", "clusternet.io/created-by": "clusternet-hub"}


def test_what_is_no_longer_given_is_removed_and_what_others_set_stays():
    live = with_defaults(remembering(deployment(replicas=3, paused=True)))
    live["spec"]["minReadySeconds"] = 5
    result = merged(live, remembering(deployment(replicas=3)))
    assert "paused" not in result["spec"]
    assert result["spec"]["minReadySeconds"] == 5


def test_a_list_of_other_things_is_replaced():
    live = with_defaults(remembering(deployment()))
    wanted = deployment()
    wanted["spec"]["template"]["spec"]["containers"] = [{"name": "other", "image": "x"}]
    result = merged(live, remembering(wanted))
    assert result["spec"]["template"]["spec"]["containers"] == [{"name": "other", "image": "x"}]


def test_null_means_absent():
    assert contains({"a": 1}, {"a": 1, "b": None})
    assert not contains({"a": 1, "b": 2}, {"b": None})
    assert merged({"metadata": {}, "b": 2}, {"metadata": {}, "b": None}) == {"metadata": {}}


def test_secrets_and_long_texts_are_remembered_as_digests():
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "foo"},
        "data": {"password": "cGxhbnRlZA=="},
    }
    text = remembering(secret)["metadata"]["annotations"][ANNOTATION]
    assert "cGxhbnRlZA" not in text
    assert remembering(secret) == remembering(secret)
    big = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "x" * 300_000}}
    wanted = remembering(big)
    assert len(wanted["metadata"]["annotations"][ANNOTATION]) < 500
    assert wanted["data"] == big["data"]


def test_an_annotation_that_is_no_json_counts_as_none():
    live = {"metadata": {"annotations": {ANNOTATION: "{"}}, "kept": 1}
    assert merged(live, {"metadata": {}, "new": 2})["kept"] == 1
