"""Tests which refusals of the parent say something about an object, and which about the parent."""

import pytest
from clusternet_engine.model.verdicts import judges_the_object

WEBHOOK = 'admission webhook "policy.example.org" denied the request: not here'


@pytest.mark.parametrize(
    ("status", "message", "details"),
    [
        (422, 'Deployment.apps "web" is invalid: spec.selector: Invalid value: ...: does not match', {"name": "web"}),
        (422, 'Pod "p" is invalid: spec.hostNetwork: Forbidden: may not be set', {"name": "p"}),
        (400, 'strict decoding error: unknown field "spex"', {}),
        (400, 'ConfigMap in version "v1" cannot be handled as a ConfigMap', {}),
        (404, "the server could not find the requested resource", {}),
        (409, "Operation cannot be fulfilled", {"name": "web"}),
        (413, "Request entity too large", {}),
        (429, "too many requests", {}),
        (500, "etcdserver: request timed out", {}),
        (503, "the server is currently unable to handle the request", {}),
    ],
)
def test_what_holds_everywhere_or_is_a_failure(status, message, details):
    assert judges_the_object(status, message, details)


@pytest.mark.parametrize(
    ("status", "message", "details"),
    [
        (404, 'roles.rbac.authorization.k8s.io "worker" not found', {"name": "worker", "kind": "roles"}),
        (403, 'pods "p" is forbidden: no PriorityClass with name gold was found', {"name": "p"}),
        (403, 'pods "p" is forbidden: error looking up service account x/y: serviceaccount "y" not found', {}),
        (403, 'pods "p" is forbidden: exceeded quota: small', {}),
        (403, 'clusterroles.rbac.authorization.k8s.io "x" is forbidden: user "hub" is attempting to grant', {}),
        (422, "pods \"p\" is forbidden: ValidatingAdmissionPolicy 'a' with binding 'b' denied request: no", {}),
        (400, WEBHOOK, {}),
        (422, WEBHOOK, {}),
        (400, 'admission webhook "effects.example.org" does not support dry run', {}),
        (500, 'Internal error occurred: failed calling webhook "x": connection refused', {}),
    ],
)
def test_what_may_be_otherwise_on_a_child(status, message, details):
    assert not judges_the_object(status, message, details)
