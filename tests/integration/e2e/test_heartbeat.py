"""A silent cluster is Unknown and tainted; one that speaks again is Ready without the taint (spec/02 §9)."""

from deployment import HEARTBEAT, ready

GRACE = 3 * HEARTBEAT
SLACK = 5.0  # seconds; status times have whole seconds, and a busy machine is slow
TAINT = "clusters.clusternet.io/unschedulable"


def taints(cluster):
    return [(t["key"], t["effect"]) for t in cluster["spec"].get("taints", [])]


def test_silence_and_return(deployment, wait_for):
    before = wait_for(
        lambda: (c := deployment.managed_cluster("child1")) and ready(c)["status"] == "True" and not taints(c) and c,
        why="child1 isn't Ready to begin with",
    )
    agent = deployment.process("child1")
    agent.suspend()
    try:
        silent = wait_for(
            lambda: (c := deployment.managed_cluster("child1")) and ready(c)["status"] == "Unknown" and taints(c) and c,
            timeout=GRACE + SLACK,
            why="child1 fell silent and isn't Unknown with a taint",
        )
    finally:
        agent.resume()
    assert ready(silent)["reason"] == "ClusterStatusUnknown"
    assert taints(silent) == [(TAINT, "NoSchedule")]
    assert [silent["status"][probe] for probe in ("healthz", "livez", "readyz")] == [False, False, False]
    other = deployment.managed_cluster("child2")
    assert (ready(other)["status"], taints(other)) == ("True", [])

    after = wait_for(
        lambda: (c := deployment.managed_cluster("child1")) and ready(c)["status"] == "True" and not taints(c) and c,
        timeout=30,
        why="child1 speaks again and isn't Ready without a taint",
    )
    assert ready(after)["reason"] == "ManagedClusterReady"
    assert after["status"]["readyz"] is True
    assert after["status"]["lastObservedTime"] > before["status"]["lastObservedTime"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
