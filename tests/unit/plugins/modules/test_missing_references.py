"""A 404 says that a kind isn't served, or that something isn't there which an object needs; users are told which."""

import pytest

SHADOW = "/apis/shadow/v1alpha1"
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "worker", "namespace": "foo"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "worker"},
}


@pytest.mark.parametrize(
    ("served", "message"),
    [
        (
            True,
            "POST /apis/shadow/v1alpha1/namespaces/foo/rolebindings failed with 404 NotFound: not found",
        ),
        (
            False,
            "This cluster doesn't serve the shadow API, so it is no Clusternet parent, or its hub doesn't run. "
            "The role clusternet.core.hub installs one.",
        ),
    ],
)
def test_what_the_shadow_api_misses_is_told_from_a_missing_shadow_api(server, run_module, served, message):
    if served:
        server.objects[SHADOW] = {"resources": []}
    server.missing_namespaces = {"foo"}
    result = run_module("manifest", server.url, check_mode=False, definitions=[BINDING])
    assert result["failed"]
    assert result["msg"].endswith(message), result
