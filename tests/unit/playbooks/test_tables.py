"""The tables of the playbooks, as Ansible makes them of what the modules return."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.clusternet.core.plugins.module_utils.managed_cluster import view
from fleet_server import managed_cluster
from play import ROOT, run_tasks


def shown(playbook: str, folder: Path, **variables: Any) -> list[str]:
    """Return what the task that shows a table prints."""
    plays = yaml.safe_load((ROOT / "playbooks" / playbook).read_text())
    tasks = [task for play in plays for part in play["tasks"] for task in part.get("block", [part])]
    tables = [task for task in tasks if "_table" in task.get("ansible.builtin.debug", {}).get("msg", "")]
    (task,) = (task for task in tables if "when" not in task)
    return run_tasks([{**task, "vars": variables}], "", folder).results[0]["msg"]


def test_status_lists_what_is_not_well(tmp_path: Path) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    clusters = [managed_cluster(f"edge-{number}", ready=("True", "False")[number == 7]) for number in range(30)]
    for cluster in clusters:
        cluster["status"]["lastObservedTime"] = now
    found = {"clusters": [view(cluster) for cluster in clusters]}
    lines = shown("status.yml", tmp_path, clusternet_status_clusters=found, clusternet_status_show_all=False)
    assert lines[:3] == [
        "30 clusters: 29 ready, 1 not ready, 0 unknown",
        "without problems: 29 clusters with 87 nodes, v1.34.4 on 29",
        "",
    ]
    assert [line.split()[0] for line in lines[3:]] == ["NAME", "edge-7"]
    lines = shown("status.yml", tmp_path, clusternet_status_clusters=found, clusternet_status_show_all="true")
    assert len(lines) == 3 + 30


def test_run_on_children_lists_where_it_failed(tmp_path: Path) -> None:
    clusters = [view(managed_cluster(name)) for name in ("edge-1", "edge-2")]
    results = [
        {"namespace": f"clusternet-edge-{n}", "name": f"edge-{n}", "problem": p} for n, p in ((1, ""), (2, "no"))
    ]
    variables = {"clusternet_run_clusters": {"clusters": clusters}, "clusternet_run_results": results}
    lines = shown("run_on_children.yml", tmp_path, **variables, clusternet_run_show_all=False)
    assert lines[0] == "2 clusters: 1 ok, 1 failed"
    assert [line.split() for line in lines[3:]] == [["edge-2", "clusternet-edge-2", "failed", "no"]]


def test_publish_counts_the_clusters_of_each_application(tmp_path: Path) -> None:
    place = {"name": "edge-1", "phase": "Success", "reason": None, "objects": [], "releases": []}
    found = {"subscriptions": [{"name": "web", "namespace": "default", "clusters": [place], "problems": []}]}
    lines = shown("publish.yml", tmp_path, clusternet_publish_found=found, clusternet_publish_show_all=False)
    assert lines == ["default/web: as it should be on 1 of 1 cluster"]
