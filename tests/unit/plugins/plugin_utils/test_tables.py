"""Tables of a fleet: what is wrong first, what is right counted, everything read once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.clusternet.core.plugins.plugin_utils import tables
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 24, 10, 0, 0, tzinfo=UTC)
WELL = {"ready": 3, "not_ready": 0, "unknown": 0, "lost": 0}


def cluster(name: str, ready: str = "True", seconds: float | None = 5, **changes: Any) -> dict[str, Any]:
    """Return a cluster as the module shows it, last heard of so many seconds ago."""
    time = None if seconds is None else (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {
        "type": "Ready",
        "status": ready,
        "reason": "ClusterStatusUnknown",
        "message": "no heartbeat",
    }
    return {
        "name": name,
        "namespace": f"ns-{name}",
        "ready": ready,
        "kubernetes_version": "v1.34.4",
        "nodes": WELL,
        "last_observed_time": time,
        "conditions": [condition],
        **changes,
    }


FLEET = [
    cluster("well-1"),
    cluster("silent", "Unknown", seconds=None, conditions=[]),
    cluster("few-nodes", nodes={**WELL, "lost": 1}),
    cluster("well-2", kubernetes_version="v1.33.1"),
    cluster("broken", "False", seconds=3000),
]


def test_what_is_wrong_with_clusters_comes_first_and_the_rest_is_summed_up() -> None:
    assert tables.cluster_table(FLEET, False, NOW) == [
        "5 clusters: 3 ready, 1 not ready, 1 unknown",
        "without problems: 2 clusters with 6 nodes, v1.33.1 on 1, v1.34.4 on 1",
        "",
        "NAME        NAMESPACE      READY     VERSION   NODES   HEARTBEAT    REMARK",
        "broken      ns-broken      False     v1.34.4   3/3     50 min ago   no heartbeat",
        "silent      ns-silent      Unknown   v1.34.4   3/3     never        its agent has not reported yet",
        "few-nodes   ns-few-nodes   True      v1.34.4   3/4     5 s ago      1 of 4 nodes not ready",
    ]


def test_all_clusters_if_asked_for() -> None:
    lines = tables.cluster_table(FLEET, True, NOW)
    assert lines[:2] == ["5 clusters: 3 ready, 1 not ready, 1 unknown", ""]
    assert [line.split()[0] for line in lines[3:]] == ["broken", "silent", "few-nodes", "well-1", "well-2"]


def test_a_fleet_that_is_well_has_no_table() -> None:
    assert tables.cluster_table([cluster("a")] * 1200, False, NOW) == [
        "1,200 clusters: 1,200 ready, 0 not ready, 0 unknown",
        "without problems: 1,200 clusters with 3,600 nodes, v1.34.4 on 1,200",
    ]
    assert tables.cluster_table([], True, NOW) == ["0 clusters: 0 ready, 0 not ready, 0 unknown"]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "never"),
        (-9, "0 s ago"),
        (119, "119 s ago"),
        (120, "2 min ago"),
        (7199, "119 min ago"),
        (7200, "2 h ago"),
    ],
)
def test_how_long_ago_something_was(seconds: float | None, shown: str) -> None:
    assert tables.age(cluster("a", seconds=seconds)["last_observed_time"], NOW) == shown
    assert tables.age("yesterday", NOW) == "unknown"


def test_what_waits_for_approval_is_ordered_by_age() -> None:
    def request(name: str, created: str | None, **more: Any) -> dict[str, Any]:
        known = {"cluster_name": name, "cluster_id": f"id-{name}", "created_at": created}
        return {"registrant": None, "cluster_labels": {}, **known, **more}

    labels = {"c": "d", "a": "b"}
    young = request("young", "2026-11-24T10:00:00Z", registrant="system:bootstrap:abcdef", cluster_labels=labels)
    old = request("old", "2026-11-23T10:00:00Z")
    assert [line.split() for line in tables.registration_table([young, old])[1:]] == [
        ["old", "id-old", "-", "-", "2026-11-23T10:00:00Z"],
        ["young", "id-young", "system:bootstrap:abcdef", "a=b,c=d", "2026-11-24T10:00:00Z"],
    ]


def on_cluster(name: str, **changes: Any) -> dict[str, Any]:
    """Return where an application stands on a cluster."""
    workload = {"reason": None, "status": {"replicas": 2, "readyReplicas": 2}}
    return {"name": name, "phase": "Success", "reason": None, "objects": [workload], "releases": [], **changes}


def test_what_is_missing_of_applications_comes_first() -> None:
    release = {"name": "mysql", "reason": None}
    starting = {"reason": "1 of 3 replicas are available", "status": {"replicas": 3, "readyReplicas": 1}}
    web = [on_cluster("edge-1", releases=[release]), on_cluster("edge-2", phase="Failure", reason="no such namespace")]
    api = [on_cluster("edge-1", objects=[starting, {"reason": None, "status": None}]), on_cluster("edge-2")]
    found = [
        {"name": "web", "namespace": "default", "clusters": web, "problems": []},
        {"name": "api", "namespace": "default", "clusters": api, "problems": []},
        {"name": "none", "namespace": "default", "clusters": [], "problems": ["no cluster matches"]},
    ]
    counts = [
        "default/web: as it should be on 1 of 2 clusters",
        "default/api: as it should be on 1 of 2 clusters",
        "default/none: on no cluster",
        "",
    ]
    wrong = [
        "APPLICATION    CLUSTER   PHASE     OBJECTS   RELEASES   REPLICAS   REMARK",
        "default/web    edge-2    Failure   1         -          2/2        no such namespace",
        "default/api    edge-1    Success   2         -          1/3        1 of 3 replicas are available",
        "default/none   -         Pending   0         -          -          no cluster matches",
    ]
    assert tables.publication_table(found, False) == counts + wrong
    assert tables.publication_table(found, True) == [
        *counts,
        *wrong,
        "default/web    edge-1    Success   1         mysql      2/2",
        "default/api    edge-2    Success   1         -          2/2",
    ]
    assert tables.publication_table(found[:1][:0], False) == []


def test_where_tasks_failed_comes_first() -> None:
    results = [
        {"namespace": "ns-well-1", "name": "well-1", "problem": ""},
        {"namespace": "ns-well-2", "name": "well-2", "problem": ""},
        {"namespace": "ns-few-nodes", "name": "few-nodes", "problem": "Put the objects there: forbidden"},
    ]
    lines = tables.run_table(FLEET, results, False)
    assert lines == [
        "5 clusters: 2 ok, 2 not ready, 1 failed",
        "",
        "CHILD       NAMESPACE      RESULT      REMARK",
        "few-nodes   ns-few-nodes   failed      Put the objects there: forbidden",
        "broken      ns-broken      not ready",
        "silent      ns-silent      not ready",
    ]
    assert [line.split() for line in tables.run_table(FLEET, results, True)[6:]] == [
        ["well-1", "ns-well-1", "ok"],
        ["well-2", "ns-well-2", "ok"],
    ]


@given(st.lists(st.tuples(st.text(), st.text(max_size=300)), max_size=20))
def test_no_text_gets_out_of_its_cell(rows: list[tuple[str, str]]) -> None:
    lines = tables.aligned(("ONE", "TWO"), [(f"x{one}", f"|{two}") for one, two in rows])
    assert len(lines) == len(rows) + 1
    assert all(line.isprintable() for line in lines)
    assert all(len(line) <= 2 * 120 + 3 for line in lines)
    column = lines[0].index("TWO")
    assert all(line[column] == "|" for line in lines[1:])
    assert all(line[column - 3 : column] == "   " for line in lines)


class Counting(dict[str, Any]):
    """A cluster that counts how often it is looked at."""

    looks = 0

    def __getitem__(self, key: str) -> Any:
        Counting.looks += 1
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("a table copies no clusters")


@pytest.mark.parametrize("everything", [False, True])
def test_each_cluster_is_looked_at_equally_often_however_many_there_are(everything: bool) -> None:
    def looks(number: int) -> float:
        fleet = [Counting(cluster(f"c-{index}", ("True", "False")[index % 2])) for index in range(number)]
        results = [Counting(namespace=f"ns-c-{index}", name=f"c-{index}", problem="") for index in range(number)]
        found = {"name": "web", "namespace": "n", "problems": []}
        places = [
            Counting(on_cluster(f"c-{index}", phase=("Success", "Failure")[index % 2])) for index in range(number)
        ]
        Counting.looks = 0
        tables.cluster_table(fleet, everything, NOW)
        tables.run_table(fleet, results, everything)
        tables.publication_table([{**found, "clusters": places}], everything)
        return Counting.looks / number

    assert looks(400) == looks(40)
