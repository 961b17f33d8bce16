"""Hub, agents and API servers are killed at random moments of registrations; every cluster must end Ready, only once.

Each round both children register anew, with new identities. ``CLUSTERNET_TEST_SEED`` repeats a run.
"""

import os
import random
import time
from calendar import timegm
from collections import Counter

import pytest
from chaos import QUICK_ELECTION, disturb, plan
from deployment import CLUSTERS, Deployment, ready
from programs import Programs

ROUNDS = 20
WINDOW = 2.0  # seconds after its start in which a registration is disturbed
ROUND_TIMEOUT = 60.0
CHILDREN = ("child1", "child2")
CLUSTER_NAMES = ("parent", *CHILDREN)
OURS = "clusternet.io/created-by=clusternet-agent"
ID = "clusters.clusternet.io/cluster-id"


@pytest.fixture
def programs(deployment):
    programs = Programs(deployment, QUICK_ELECTION)
    yield programs
    programs.end()
    deployment.lab.wait_ready()
    for child in CHILDREN:
        programs.forget(child)


def duplicates(deployment: Deployment, identities: set[str]) -> dict[str, list[str]]:
    """Return, by path, the identities that don't own exactly one object."""
    found = {}
    for path in ("/api/v1/namespaces", "/api/v1/serviceaccounts", f"{CLUSTERS}/managedclusters"):
        items = deployment.parent.items(path, labelSelector=OURS)
        count = Counter(item["metadata"]["labels"][ID] for item in items)
        if wrong := [identity for identity in identities if count[identity] != 1]:
            found[path] = wrong
    return found


def requested(deployment: Deployment) -> set[str]:
    """Return the identities of all registration requests."""
    return {item["spec"]["clusterId"] for item in deployment.parent.items(f"{CLUSTERS}/clusterregistrationrequests")}


@pytest.mark.timeout(1800)
def test_kills_at_random_moments_of_registration(deployment, programs, wait_for):
    seed = int(os.environ.get("CLUSTERNET_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"CLUSTERNET_TEST_SEED={seed}")
    generator = random.Random(seed)
    before = requested(deployment)
    registered: set[str] = set()
    try:
        programs.start("parent")
        for number in range(ROUNDS):
            victims = ("parent", generator.choice(CHILDREN), f"kube-apiserver of {generator.choice(CLUSTER_NAMES)}")
            kills = plan(generator, victims, WINDOW)
            print(f"round {number}: {', '.join(map(str, kills))}", flush=True)
            for child in CHILDREN:
                programs.forget(child)
                programs.start(child)
            disturb(deployment, programs, kills)
            quiet = time.time()

            def every_cluster_is_ready(quiet: float = quiet) -> bool:
                for child in CHILDREN:
                    cluster = deployment.managed_cluster(child)
                    assert ready(cluster).get("status") == "True", (child, cluster.get("status"))
                    heard = timegm(time.strptime(cluster["status"]["lastObservedTime"], "%Y-%m-%dT%H:%M:%SZ"))
                    assert heard > quiet, f"{child} hasn't been heard since the last kill"
                    assert deployment.as_child(child)("GET", f"{CLUSTERS}/managedclusters").status == 403
                return True

            wait_for(
                every_cluster_is_ready, timeout=ROUND_TIMEOUT, why=f"round {number} (seed {seed}): not all are Ready"
            )
            registered |= {deployment.cluster_id(child) for child in CHILDREN}
            assert len(registered) == (number + 1) * len(CHILDREN)
            assert requested(deployment) == before | registered, f"round {number} (seed {seed})"
            assert duplicates(deployment, registered) == {}, f"round {number} (seed {seed})"
            for child in CHILDREN:
                programs.kill(child)
    finally:
        for identity in requested(deployment):  # the deployment's own, too: it is made anew
            remove(deployment, identity)


def remove(deployment: Deployment, identity: str) -> None:
    """Remove what a registration left on the parent."""
    for path in (
        f"{CLUSTERS}/clusterregistrationrequests",
        *map("/apis/rbac.authorization.k8s.io/v1/{}".format, ("clusterroles", "clusterrolebindings")),
    ):
        deployment.parent("DELETE", f"{path}/clusternet-{identity}")
    for namespace in deployment.parent.items("/api/v1/namespaces", labelSelector=f"{ID}={identity}"):
        path = f"/api/v1/namespaces/{namespace['metadata']['name']}"
        kept = {"metadata": {"finalizers": None}}
        deployment.parent(
            "PATCH", f"{path}/secrets/child-cluster-deployer", kept, content_type="application/merge-patch+json"
        )
        deployment.parent("DELETE", path)
