"""Secrets never show, whatever surrounds them; what changed still does."""

import json

from ansible_collections.clusternet.core.plugins.module_utils.redact import Redactor
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
    ]
)


@given(HOLDERS, st.lists(st.text(max_size=5) | st.none(), max_size=4), JSON)
def test_planted_secrets_never_show_however_deep(holder, path, other):
    value = holder
    for key in path:
        value = [other, value] if key is None else {key: value, "other": other}
    shown = json.dumps(Redactor().hide(value))
    assert PLANTED not in shown


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
