"""Tests which objects go by themselves, when they have done their work, and what is told of it."""

import base64
from datetime import UTC, datetime

import pytest
from clusternet_engine.model.applied import prepare, reference
from clusternet_engine.model.expiring import (
    digest,
    expired_status,
    expires,
    has_finished,
    has_started,
    started_reference,
    tells_of_end,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def obj(api_version, kind, spec=None, status=None, **more):
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "x", "namespace": "n"},
        **({} if spec is None else {"spec": spec}),
        **({} if status is None else {"status": status}),
        **more,
    }


def token(expiration):
    data = {} if expiration is None else {"expiration": base64.b64encode(expiration.encode()).decode()}
    return obj("v1", "Secret", type="bootstrap.kubernetes.io/token", data=data)


def conditions(*types):
    return {"conditions": [{"type": one, "status": "True"} for one in types]}


JOB = {"ttlSecondsAfterFinished": 0}
REQUEST = ("certificates.k8s.io/v1", "CertificateSigningRequest")


@pytest.mark.parametrize(
    ("one", "goes", "finished"),
    [
        (obj("batch/v1", "Job", JOB), True, False),
        (obj("batch/v1", "Job", JOB, conditions("Complete")), True, True),
        (obj("batch/v1", "Job", JOB, conditions("FailureTarget", "Failed")), True, True),
        (obj("batch/v1", "Job", JOB, {"conditions": [{"type": "Complete", "status": "False"}]}), True, False),
        (obj("batch/v1", "Job", {}), False, False),
        (obj("example.org/v1", "Job", JOB, conditions("Complete")), False, False),
        (obj("v1", "Pod", {"restartPolicy": "Never"}, {"phase": "Succeeded"}), True, True),
        (obj("v1", "Pod", {"restartPolicy": "OnFailure"}, {"phase": "Running"}), True, False),
        (obj("v1", "Pod", {"restartPolicy": "Always"}), False, False),
        (obj(*REQUEST, {}), True, False),
        (obj(*REQUEST, {}, conditions("Approved")), True, True),
        (obj("v1", "Event"), True, True),
        (obj("events.k8s.io/v1", "Event"), True, True),
        (token("2026-01-02T03:04:05Z"), True, True),
        (token("2026-01-02T03:04:06Z"), True, False),
        (token("soon"), False, False),
        (token(None), False, False),
        (obj("v1", "ConfigMap"), False, False),
        (obj("apps/v1", "Deployment", {}), False, False),
    ],
)
def test_which_objects_go_by_themselves(one, goes, finished):
    assert (expires(one), has_finished(one, NOW)) == (goes, finished)


def test_another_form_is_another_piece_of_work():
    job = prepare(obj("batch/v1", "Job", JOB), "ns.d")
    other = prepare(obj("batch/v1", "Job", {**JOB, "backoffLimit": 1}), "ns.d")
    known = [reference(obj("v1", "ConfigMap")), started_reference(job)]
    assert has_started(job, known)
    assert not has_started(other, known)
    assert not has_started(job, [reference(job)])
    assert digest(job) != digest(other)


def test_what_is_told():
    status = expired_status(conditions("Complete") | {"succeeded": 1}, "f", NOW)
    assert status["succeeded"] == 1
    assert [one["type"] for one in status["conditions"]] == ["Complete", "Expired"]
    assert tells_of_end(status, "f")
    assert not tells_of_end(status, "g")
    (condition,) = expired_status(None, "f", NOW)["conditions"]
    assert condition == {
        "type": "Expired",
        "status": "True",
        "reason": "NotSeen",
        "message": "It isn't there any more, and how it ended was not seen. Such an object is removed by its own rules "
        "once it has done its work. It is made again when it is published in another form.",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
        "form": "f",
    }


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["conditions", "type", "x"]), inner),
    max_leaves=8,
)


@given(JSON, JSON)
def test_whatever_a_cluster_reports_does_no_harm(spec, status):
    for kind in (("batch/v1", "Job"), ("v1", "Pod"), REQUEST, ("v1", "Secret")):
        one = obj(*kind, spec, status, type="bootstrap.kubernetes.io/token", data=spec)
        expires(one)
        has_finished(one, NOW)
    assert tells_of_end(expired_status(status, "f", NOW), "f") or tells_of_end(status, "g") is False
