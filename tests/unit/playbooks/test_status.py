"""The table of the playbook `status`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from play import ROOT, run_tasks


@pytest.fixture
def ages(tmp_path: Path) -> dict[str, str]:
    """What the table says of clusters that were last heard of so many seconds ago."""

    def cluster(name: str, seconds: float | None) -> dict:
        time = (
            None if seconds is None else (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        )
        return {
            "name": name,
            "namespace": "ns",
            "ready": "True",
            "kubernetes_version": "v1",
            "nodes": {"ready": 1, "not_ready": 0},
            "last_observed_time": time,
        }

    clusters = [cluster("ahead", -30), cluster("silent", None), cluster("long", 3000)]
    table = f"{{{{ lookup('ansible.builtin.template', '{ROOT}/playbooks/templates/status.txt.j2') }}}}"
    task = {"ansible.builtin.debug": {"msg": table}, "vars": {"clusternet_status_clusters": {"clusters": clusters}}}
    lines = run_tasks([task], "", tmp_path).results[0]["msg"].splitlines()
    return {line.split()[0]: " ".join(line.split()[5:]) for line in lines}


def test_a_clock_that_is_ahead_is_not_never(ages: dict[str, str]) -> None:
    assert ages == {"NAME": "HEARTBEAT", "ahead": "0 s ago", "silent": "never", "long": "50 min ago"}


def test_what_waits_is_shown_by_age(tmp_path: Path) -> None:
    def request(name: str, created: str, **more: object) -> dict:
        known = {"cluster_name": name, "cluster_id": f"id-{name}", "created_at": created}
        return {"registrant": None, "cluster_labels": {}, **known, **more}

    requests = [
        request(
            "young", "2026-11-24T10:00:00Z", registrant="system:bootstrap:abcdef", cluster_labels={"a": "b", "c": "d"}
        ),
        request("old", "2026-11-23T10:00:00Z"),
    ]
    table = f"{{{{ lookup('ansible.builtin.template', '{ROOT}/playbooks/templates/waiting.txt.j2') }}}}"
    task = {"ansible.builtin.debug": {"msg": table}, "vars": {"clusternet_status_waiting": {"requests": requests}}}
    lines = run_tasks([task], "", tmp_path).results[0]["msg"].splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["old", "id-old", "-", "-", "2026-11-23T10:00:00Z"],
        ["young", "id-young", "system:bootstrap:abcdef", "a=b,c=d", "2026-11-24T10:00:00Z"],
    ]
