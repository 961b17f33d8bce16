"""Who else lives in a namespace."""

from typing import Any

import pytest
from ansible_collections.clusternet.core.plugins.module_utils import tenants
from ansible_collections.clusternet.core.plugins.module_utils.resources import CONFIG_MAPS, SERVICE_ACCOUNTS


def inside(**names: list[str]) -> dict[Any, list[dict[str, Any]]]:
    """Return what is in a namespace beside what Kubernetes makes in each."""
    content = {kind: names.get(kind.plural, []) for kind in tenants.KINDS}
    content[SERVICE_ACCOUNTS] = ["default", *content[SERVICE_ACCOUNTS]]
    content[CONFIG_MAPS] = ["kube-root-ca.crt", *content[CONFIG_MAPS]]
    return {kind: [{"metadata": {"name": name}} for name in found] for kind, found in content.items()}


def test_an_empty_namespace_and_one_with_only_ones_own() -> None:
    assert tenants.in_use("a", inside(), set()) is None
    assert tenants.in_use("a", inside(secrets=["mine"]), {("Secret", "mine")}) is None


def test_others_are_named_but_not_all() -> None:
    assert tenants.in_use("a", inside(secrets=["mine"]), {("ConfigMap", "mine")}) == "it is in use: Secret mine"
    many = tenants.in_use("a", inside(secrets=[f"s{number}" for number in range(7)]), set())
    assert many == "it is in use: Secret s0, Secret s1, Secret s2, Secret s3, Secret s4 and 2 more"


@pytest.mark.parametrize("namespace", ["default", "kube-system"])
def test_kubernetes_own_namespaces_stay(namespace: str) -> None:
    assert tenants.in_use(namespace, inside(), set()) == "it is Kubernetes' own"
