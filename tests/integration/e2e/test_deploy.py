"""The life of a deployment: predicted, made as predicted, left alone the second time, removed without a trace."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from api import Api
from clusternet_lab import Lab
from deployment import Deployment, changes, refusal

PASSING = {"events", "leases", "endpointslices", "endpoints", "apiservices", "ipaddresses"}
"""Kinds that Kubernetes makes and removes by itself."""

SHARED_ENGINE = re.compile(r"clusternet\.core\.engine : (?!Run the process).*\(child1\)")
"""The child's host is the parent's, where the engine has been installed by then; a check run installs nothing."""


@pytest.fixture
def undeployed(tmp_path: Path, wait_for) -> Iterator[Deployment]:
    """A parent and a child on which nothing was ever deployed."""
    name = f"clean-{os.getpid()}"
    try:
        made = Deployment(Lab.up(name, children=1), tmp_path)
        wait_for(
            lambda: all(map(is_furnished, (made.parent, *made.children.values()))),
            why="namespaces lack their CA or account",
        )
        yield made
    finally:
        Lab.open(name).down()


def is_furnished(api: Api) -> bool:
    """Return whether Kubernetes has put into every namespace what it puts there a moment after its start."""
    bundles = api.items("/api/v1/configmaps", fieldSelector="metadata.name=kube-root-ca.crt")
    accounts = api.items("/api/v1/serviceaccounts", fieldSelector="metadata.name=default")
    namespaces = {item["metadata"]["name"] for item in api.items("/api/v1/namespaces")}
    return all({item["metadata"]["namespace"] for item in items} == namespaces for items in (bundles, accounts))


def stored(api: Api) -> set[str]:
    """Return the path of every object of a cluster."""
    groups = [f"/apis/{group['preferredVersion']['groupVersion']}" for group in api.get("/apis")["groups"]]
    found = set()
    for root in ("/api/v1", *groups):
        for kind in api.get(root)["resources"]:
            if "list" in kind["verbs"] and kind["name"] not in PASSING:
                for item in api.items(f"{root}/{kind['name']}"):
                    metadata = item["metadata"]
                    found.add(f"{root}/{kind['name']}/{metadata.get('namespace', '')}/{metadata['name']}")
    return found


def everything(deployment: Deployment) -> set[str]:
    """Return all objects of both clusters and all files that a deployment may leave in the lab."""
    objects = stored(deployment.parent) | {f"child1:{path}" for path in stored(deployment.children["child1"])}
    folders = (deployment.lab.folder / name for name in ("hosts", "engine"))
    return objects | {str(path) for folder in folders for path in folder.rglob("*")}


def check_the_agents_metrics(deployment: Deployment) -> None:
    """The agent can judge tokens: the deployer's may get everything, its own may not."""
    child, port = deployment.children["child1"], deployment.lab.cluster("child1").engine_port
    pool = urllib3.PoolManager(cert_reqs="CERT_NONE", assert_hostname=False)

    def status(account: str = "") -> int:
        headers = {}
        if account:
            path = f"/api/v1/namespaces/clusternet-system/serviceaccounts/{account}/token"
            headers["Authorization"] = "Bearer " + child("POST", path, {"spec": {}}).body["status"]["token"]
        return pool.request("GET", f"https://127.0.0.1:{port}/metrics", headers=headers, retries=False).status

    assert [status(), status("clusternet-agent"), status("clusternet-app-deployer")] == [401, 403, 200]


def check_that_clusters_need_a_parent(deployment: Deployment) -> None:
    """Before anything is deployed, parts that need the rest say so."""
    assert refusal(deployment.playbook("clusternet.core.deploy", "--limit", "child1", code=2)) == (
        "The cluster of parent is no parent yet, so no cluster can be joined to it. Run clusternet.core.deploy "
        "without a limit, or with one that has parent, too."
    )
    assert refusal(deployment.playbook("clusternet.core.deploy", "--tags", "verify", code=2)) == (
        "No hub runs for the parent of parent. Run clusternet.core.deploy; it says why if it can't be started."
    )


@pytest.mark.timeout(600)
def test_predicted_made_kept_and_removed(undeployed: Deployment, wait_for):
    before = everything(undeployed)
    check_that_clusters_need_a_parent(undeployed)
    predicted = changes(undeployed.playbook("clusternet.core.deploy", "--check"))
    assert everything(undeployed) == before, "the check run has left something"

    made = changes(undeployed.playbook("clusternet.core.deploy"))
    assert [change for change in predicted if not SHARED_ENGINE.match(change)] == made
    assert changes(undeployed.playbook("clusternet.core.deploy")) == []

    check_the_agents_metrics(undeployed)

    undeployed.playbook("clusternet.core.teardown")

    def removed() -> bool:
        left = everything(undeployed) - before
        assert not left, sorted(left)[:20]
        return True

    wait_for(removed, why="the teardown has left something")
    assert changes(undeployed.playbook("clusternet.core.teardown")) == []
