"""Connection options that are empty texts are not given, whatever their type is."""

import pytest
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS

NAMES = sorted(
    {name for option, spec in AUTH_ARGUMENTS.items() for name in (option, *spec.get("aliases", ()))} - {"host"}
)


@pytest.mark.parametrize("module", ["managed_cluster_info", "objects"])
def test_a_module_runs_as_without_them(server, run_module, module):
    """One module that shows its options as they are, and one that hides secrets in them."""
    server.objects = {"/apis/clusters.clusternet.io/v1beta1/managedclusters": []}
    own = {} if module == "managed_cluster_info" else {"definitions": []}
    for name in NAMES:
        result = run_module(module, server.url, **own, **{name: ""})
        assert not result.get("failed"), (name, result)
    result = run_module(module, server.url, **own, **dict.fromkeys(NAMES, ""))
    assert not result.get("failed"), result
