# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of a fleet that a person reads: what is wrong comes first, what is right is counted.

The playbooks show them by the filters of this collection. Each takes what an info module returns and gives lines. Every
item is read once, and every width is computed once, so that the time grows with the number of clusters and not with its
square. Texts that clusters have written are cut to one line without control characters, so that none of them can
pretend to be another line or move the cursor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_GAP = "   "
_LONGEST = 120  # characters of a cell
_RESULTS = ("failed", "not run", "not ready", "ok")


def aligned(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return a table as lines, each column as wide as its longest cell.

    Args:
        headings: of the columns.
        rows: as many cells each.
    """
    cells = [list(headings), *([_shown(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def counted(number: int, what: str) -> str:
    """Return a number with its noun: ``1 cluster``, ``1,000 clusters``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def age(time: str | None, now: datetime) -> str:
    """Return how long ago something was, from a time as Kubernetes writes it; a clock that is ahead counts as now."""
    if not time:
        return "never"
    try:
        then = datetime.strptime(time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return "unknown"
    seconds = max(0, int((now - then).total_seconds()))
    if seconds < 120:
        return f"{seconds} s ago"
    return f"{seconds // 60} min ago" if seconds < 7200 else f"{seconds // 3600} h ago"


def cluster_table(clusters: Iterable[Mapping[str, Any]], show_all: bool, now: datetime) -> list[str]:
    """Return how clusters are: counts, then those that are not well.

    Args:
        clusters: as M(clusternet.core.managed_cluster_info) returns them.
        show_all: list those that are well, too, after the others.
        now: the current time.
    """
    ordered = sorted(clusters, key=lambda item: (_rank(item), item["name"], item["namespace"]))
    ready = Counter(item["ready"] for item in ordered)
    other = len(ordered) - ready["True"] - ready["False"]
    states = [(ready["True"], "ready"), (ready["False"], "not ready"), (other, "unknown")]
    well = [item for item in ordered if not _remark(item)]
    listed = ordered if show_all else ordered[: len(ordered) - len(well)]
    lines = [f"{counted(len(ordered), 'cluster')}: {', '.join(f'{number:,} {state}' for number, state in states)}"]
    if well and not show_all:
        versions = Counter(item["kubernetes_version"] or "an unknown version" for item in well)
        several = ", ".join(f"{_shown(version)} on {number:,}" for version, number in sorted(versions.items()))
        nodes = sum(item["nodes"]["ready"] for item in well)
        lines.append(f"without problems: {counted(len(well), 'cluster')} with {counted(nodes, 'node')}, {several}")
    if listed:
        rows = (
            (
                item["name"],
                item["namespace"],
                item["ready"],
                item["kubernetes_version"] or "-",
                f"{item['nodes']['ready']}/{sum(item['nodes'].values())}",
                age(item["last_observed_time"], now),
                _remark(item),
            )
            for item in listed
        )
        lines += ["", *aligned(("NAME", "NAMESPACE", "READY", "VERSION", "NODES", "HEARTBEAT", "REMARK"), rows)]
    return lines


def registration_table(requests: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return which clusters wait for an administrator, those that wait longest first.

    Args:
        requests: as M(clusternet.core.registration_info) returns them.
    """
    rows = (
        (
            item["cluster_name"],
            item["cluster_id"],
            item["registrant"] or "-",
            ",".join(f"{key}={value}" for key, value in sorted(item["cluster_labels"].items())) or "-",
            item["created_at"],
        )
        for item in sorted(requests, key=lambda item: item["created_at"] or "")
    )
    return aligned(("NAME", "CLUSTER ID", "POSTED BY", "LABELS", "SINCE"), rows)


def publication_table(subscriptions: Iterable[Mapping[str, Any]], show_all: bool = False) -> list[str]:
    """Return where applications stand: counts for each, then the clusters on which something is missing.

    Args:
        subscriptions: as M(clusternet.core.subscription_info) returns them.
        show_all: list the clusters on which nothing is missing, too, after the others.
    """
    lines, wrong, right = [], [], []
    for application in subscriptions:
        name = f"{application['namespace']}/{application['name']}"
        rows = [(name, *_on_cluster(item)) for item in application["clusters"]]
        missing = [row for row in rows if row[-1]]
        if not rows:
            wrong.append((name, "-", "Pending", 0, "-", "-", "; ".join(application["problems"])))
        wrong += missing
        right += [row for row in rows if not row[-1]]
        lines.append(
            f"{name}: as it should be on {len(rows) - len(missing):,} of {counted(len(rows), 'cluster')}"
            if rows
            else f"{name}: on no cluster"
        )
    listed = wrong + right if show_all else wrong
    if listed:
        lines += [
            "",
            *aligned(("APPLICATION", "CLUSTER", "PHASE", "OBJECTS", "RELEASES", "REPLICAS", "REMARK"), listed),
        ]
    return lines


def run_table(
    clusters: Iterable[Mapping[str, Any]], results: Iterable[Mapping[str, Any]], show_all: bool = False
) -> list[str]:
    """Return how tasks went on clusters: counts, then where they failed and where they weren't run.

    Args:
        clusters: as M(clusternet.core.managed_cluster_info) returns them.
        results: C(namespace), C(name) and C(problem), empty if there was none, of those on which the tasks were run.
        show_all: list those on which they succeeded, too, after the others.
    """
    problems = {(item["namespace"], item["name"]): item["problem"] for item in results}
    rows = []
    for item in clusters:
        problem = problems.get((item["namespace"], item["name"]))
        missing = "not run" if item["ready"] == "True" else "not ready"
        result = missing if problem is None else "failed" if problem else "ok"
        rows.append((item["name"], item["namespace"], result, problem or ""))
    rows.sort(key=lambda row: (_RESULTS.index(row[2]), *row[:2]))
    count = Counter(row[2] for row in rows)
    listed = rows if show_all else rows[: len(rows) - count["ok"]]
    states = ", ".join(f"{count[state]:,} {state}" for state in reversed(_RESULTS) if count[state])
    lines = [f"{counted(len(rows), 'cluster')}: {states}" if rows else "0 clusters"]
    if listed:
        lines += ["", *aligned(("CHILD", "NAMESPACE", "RESULT", "REMARK"), listed)]
    return lines


def _shown(cell: Any) -> str:
    """Return a cell as one line of what can be printed."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(cell))
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _rank(cluster: Mapping[str, Any]) -> int:
    """Return how early a cluster is listed: not ready, not known to be ready, ready without all nodes, well."""
    if cluster["ready"] != "True":
        return 0 if cluster["ready"] == "False" else 1
    return 2 if _remark(cluster) else 3


def _remark(cluster: Mapping[str, Any]) -> str:
    """Return what is wrong with a cluster; nothing if it is well."""
    if cluster["ready"] != "True":
        condition = next((item for item in cluster["conditions"] if item.get("type") == "Ready"), None)
        if condition is None:
            return "its agent has not reported yet"
        return condition.get("message") or condition.get("reason") or "no reason given"
    nodes = sum(cluster["nodes"].values())
    lacking = nodes - cluster["nodes"]["ready"]
    return f"{lacking:,} of {counted(nodes, 'node')} not ready" if lacking else ""


def _on_cluster(cluster: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the cells of a cluster on which an application is to be; the last one is what is missing."""
    statuses = [item["status"] or {} for item in cluster["objects"]]
    workloads = [status for status in statuses if "replicas" in status]
    ready = sum(status.get("readyReplicas") or 0 for status in workloads)
    reasons = [item["reason"] for item in (*cluster["objects"], *cluster["releases"]) if item["reason"]]
    return (
        cluster["name"],
        cluster["phase"],
        len(cluster["objects"]),
        ", ".join(item["name"] for item in cluster["releases"]) or "-",
        f"{ready}/{sum(status['replicas'] or 0 for status in workloads)}" if workloads else "-",
        cluster["reason"] or "; ".join(reasons) or ("" if cluster["phase"] == "Success" else cluster["phase"]),
    )
