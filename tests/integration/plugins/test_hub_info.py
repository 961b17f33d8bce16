"""Show who renews a Lease on a parent."""

import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.clusternet.core.plugins.module_utils.client import Client


@pytest.fixture
def own(parent: Client) -> Iterator[str]:
    """Give a namespace with Leases of Clusternet's own: controller manager and scheduler run, a hub doesn't."""
    namespace = f"own-{uuid.uuid4().hex[:8]}"
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    parent.request("POST", "/api/v1/namespaces", None, {"metadata": {"name": namespace}})
    for name, seconds in (("controller-manager", 15), ("scheduler", 15), ("hub-peer-x7k2p", 1)):
        spec = {"holderIdentity": f"{name}-1_0b1f4c0e", "leaseDurationSeconds": seconds}
        parent.request("POST", leases, None, {"metadata": {"name": f"clusternet-{name}"}, "spec": spec})
    done = threading.Event()

    def renew() -> None:
        number = 0
        while not done.wait(0.2):
            number += 1
            change = {"spec": {"renewTime": f"2026-01-01T00:00:00.{number:06d}Z"}}
            for name in ("controller-manager", "scheduler"):
                path = f"{leases}/clusternet-{name}"
                parent.request("PATCH", path, None, change, "application/merge-patch+json")

    renewing = threading.Thread(target=renew)
    renewing.start()
    yield namespace
    done.set()
    renewing.join()
    parent.request("DELETE", f"/api/v1/namespaces/{namespace}")


def test_clusternets_own_programs_are_shown(own: str, play: Callable[..., Any]) -> None:
    result = play({"clusternet.core.hub_info": {"namespace": own}}).results[0]
    assert not result["changed"]
    assert result["hubs"] == []
    assert result["controller_managers"] == [{"identity": "controller-manager-1_0b1f4c0e", "leads": True}]
    assert result["schedulers"] == [{"identity": "scheduler-1_0b1f4c0e", "leads": True}]
