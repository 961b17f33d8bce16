"""Everything that is published is removed, whether a hub runs or not."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.clusternet.core.plugins.module_utils.client import Client

APPS = "/apis/apps.clusternet.io/v1alpha1"
NAMESPACE = "unpublished"
FINALIZERS = ["apps.clusternet.io/finalizer", "apps.clusternet.io/feed-protection"]
FEED = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "c"}
MADE: dict[str, dict[str, Any]] = {
    "subscriptions": {"kind": "Subscription", "spec": {"feeds": [FEED], "subscribers": []}},
    "bases": {"kind": "Base", "spec": {"feeds": [FEED]}},
    "descriptions": {"kind": "Description", "spec": {"deployer": "Generic", "raw": []}},
    "localizations": {"kind": "Localization", "spec": {"overridePolicy": "ApplyLater", "feed": FEED, "overrides": []}},
    "helmcharts": {"kind": "HelmChart", "spec": {"repo": "https://x", "chart": "mysql", "targetNamespace": "abc"}},
    "manifests": {"kind": "Manifest", "template": {"apiVersion": "v1", "kind": "ConfigMap"}},
}


@pytest.fixture
def published(crds: None, parent: Client) -> Iterator[None]:
    """What a hub that doesn't run any more has left, with a finalizer of somebody else on one."""
    parent.request("POST", "/api/v1/namespaces", None, {"metadata": {"name": NAMESPACE}})
    for kind, content in MADE.items():
        finalizers = [*FINALIZERS, *(["example.com/other"] if kind == "helmcharts" else [])]
        body = {
            "apiVersion": "apps.clusternet.io/v1alpha1",
            "metadata": {"name": "app", "finalizers": finalizers},
            **content,
        }
        parent.request("POST", f"{APPS}/namespaces/{NAMESPACE}/{kind}", None, body)
    yield
    for kind in MADE:
        path = f"{APPS}/namespaces/{NAMESPACE}/{kind}/app"
        if parent.get(path):
            parent.request("PATCH", path, None, {"metadata": {"finalizers": []}}, "application/merge-patch+json")
    parent.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


def there(parent: Client) -> list[str]:
    """Return the kinds of which there is something."""
    return [kind for kind in MADE if parent.list(f"{APPS}/namespaces/{NAMESPACE}/{kind}")]


def test_without_a_hub(published: None, parent: Client, play: Callable[..., Any]) -> None:
    waited, predicted, forced, again = play(
        {"clusternet.core.unpublish": {"wait_timeout": 1}},
        {"clusternet.core.unpublish": {"force": True}, "check_mode": True},
        {"clusternet.core.unpublish": {"force": True}},
        {"clusternet.core.unpublish": {"force": True}},
    ).results
    assert waited["failed"]
    assert waited["failure"]["code"] == "Timeout"
    assert "Subscription unpublished/app is still there" in waited["msg"]
    assert [item["what"] for item in waited["removed"]] == ["Subscription unpublished/app"]
    assert there(parent) == ["helmcharts"]
    assert parent.get(f"{APPS}/namespaces/{NAMESPACE}/helmcharts/app")["metadata"]["finalizers"] == [
        "example.com/other"
    ]
    assert predicted["removed"] == forced["removed"]
    assert [item["what"].split()[0] for item in forced["removed"]] == [
        "Base",
        "Description",
        "Localization",
        "HelmChart",
        "Manifest",
    ]
    assert not again["changed"]
